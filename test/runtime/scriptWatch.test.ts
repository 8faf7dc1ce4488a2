/** Who may stop a script, and when it is too late, with the real thread. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { runningCommandBytesMax } from '#runtime/node/runningCommand.ts'
import { NodeScriptWatch } from '#runtime/node/scriptWatch.ts'
import { RecordingLogger } from '#test/silentLogger.ts'

const noArguments = { count: 0, bytes: new Uint8Array(0), start: () => 0, end: () => 0 }
const folder = mkdtempSync(join(tmpdir(), 'antipode-watch-'))
const socketPath = join(folder, 'shard.s')
const watch = new NodeScriptWatch(socketPath, new RecordingLogger())

/** The answer, once it has come. */
function ask(question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(socketPath, () => socket.write(`${question}\n`))
    socket.on('error', reject)
    socket.on('data', (bytes) => {
      answer += bytes.toString('utf8')
      if (!answer.endsWith('\n')) return
      socket.destroy()
      resolve(answer.slice(0, -1))
    })
  })
}

const passed = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

beforeAll(async () => {
  watch.begin('script', noArguments)
  watch.end()
  while ((await ask('status').catch(() => null)) === null) await passed(5)
})
afterEach(() => watch.end())
afterAll(() => rmSync(folder, { recursive: true }))

it('nothing runs', async () => {
  expect(await ask('status')).toBe('idle')
  expect(await ask('kill script 0')).toBe('idle')
  watch.begin('script', noArguments)
  expect(watch.isKilled).toBe(false)
  expect(watch.mayWrite()).toBe(true)
})

it('a script is stopped, and may not write any more', async () => {
  watch.begin('script', noArguments)
  expect(await ask('status')).toMatch(/^runs script [0-9]+$/)
  expect(watch.isKilled).toBe(false)
  expect(await ask('kill script 0')).toBe('killed')
  expect(watch.isKilled).toBe(true)
  expect(watch.mayWrite()).toBe(false)
  expect(await ask('kill script 0')).toBe('killed')
})

it('one that writes is not stopped', async () => {
  watch.begin('script', noArguments)
  expect(watch.mayWrite()).toBe(true)
  expect(await ask('kill script 0')).toBe('unkillable')
  expect(watch.isKilled).toBe(false)
  expect(await ask('status')).toMatch(/^runs script [0-9]+$/)
})

it('one that ends soon is left alone, and so is the next', async () => {
  watch.begin('script', noArguments)
  const killed = ask('kill script 60000')
  await ask('status')
  watch.end()
  watch.begin('script', noArguments)
  expect(await killed).toBe('idle')
  expect(watch.isKilled).toBe(false)
})

it('one is stopped when it has run for so long', async () => {
  watch.begin('script', noArguments)
  const began = Date.now()
  expect(await ask('kill script 80')).toBe('killed')
  expect(Date.now() - began).toBeGreaterThanOrEqual(80)
})

it('a function is shown with its command, and is not stopped as a script', async () => {
  const bytes = Buffer.from('FCALLf0\xff', 'latin1')
  const args = {
    count: 3,
    bytes,
    start: (i: number) => [0, 5, 6][i] ?? 0,
    end: (i: number) => [5, 6, 8][i] ?? 0,
  }
  watch.begin('function', args)
  expect(await ask('show')).toMatch(/^runs function [0-9]+ \["FCALL","f","0ÿ"\]$/)
  expect(await ask('status')).toMatch(/^runs function [0-9]+$/)
  expect(await ask('kill script 0')).toBe('other')
  expect(watch.isKilled).toBe(false)
  expect(await ask('kill function 0')).toBe('killed')
})

it('of a long command the beginning is shown', async () => {
  const bytes = Buffer.alloc(runningCommandBytesMax + 10, 'a')
  const args = {
    count: 3,
    bytes,
    start: (i: number) => [0, 1, 2][i] ?? 0,
    end: (i: number) => [1, 2, bytes.length][i] ?? 0,
  }
  watch.begin('function', args)
  expect(await ask('show')).toMatch(/^runs function [0-9]+ \["a","a"\]$/)
})
