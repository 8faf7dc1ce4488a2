/** The life of a lab: started twice, detached, killed, left over, started again with its data. */
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LabStatus } from '#control/contract/status.ts'
import { antipode, freeBasePort } from './lab.ts'

let directory: string
let basePort: number

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lab-life-'))
  basePort = await freeBasePort(2)
})

afterEach(async () => {
  await lab('down')
  rmSync(directory, { recursive: true })
})

interface Outcome {
  code: number
  output: string
  complaint: string
}

async function lab(...words: string[]): Promise<Outcome> {
  return await new Promise((resolve) => {
    execFile(antipode, ['lab', ...words, '--dir', directory], (error, output, complaint) => {
      resolve({ code: error === null ? 0 : Number(error.code), output, complaint })
    })
  })
}

const up = async (...words: string[]) => await lab('up', '--detach', '--shards', '1', ...words)

async function status(): Promise<LabStatus> {
  return JSON.parse((await lab('status', '--json')).output)
}

/** One command to cluster `number`, over a connection of its own. */
async function ask(number: number, command: string, ...words: string[]): Promise<unknown> {
  const client = new Redis({ host: '127.0.0.1', port: basePort + 2 * (number - 1), lazyConnect: true })
  try {
    await client.connect()
    return await client.call(command, ...words)
  } finally {
    client.disconnect()
  }
}

/** Processes that were started for this directory. */
function livingProcesses(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(join('/proc', pid, 'cmdline'), 'latin1').replaceAll('\0', ' ')
      } catch {
        // It ended meanwhile.
        return ''
      }
    })
    .filter((line) => line.includes(directory))
}

const runFiles = () =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(pid|sock)$/.test(name))

describe('a detached lab', () => {
  it('is ready when the command returns, stops with `down`, and has its data when it is started again', async () => {
    const first = await up('--base-port', String(basePort))
    expect(first.output.trim().split('\n').at(-1)).toBe('ready')
    expect(await ask(1, 'SET', 'key1', '123')).toBe('OK')
    expect(await lab('down')).toMatchObject({ code: 0, output: 'stopped\n' })
    expect(livingProcesses()).toEqual([])
    expect(runFiles()).toEqual([])
    expect(await up()).toMatchObject({ code: 0 })
    expect(await ask(1, 'GET', 'key1')).toBe('123')
    expect(await ask(2, 'GET', 'key1')).toBe('123')
    await lab('down')
    expect((await up('--fresh', '--base-port', String(basePort))).code).toBe(0)
    expect(await ask(1, 'DBSIZE')).toBe(0)
  })

  it('can not be started twice, nor with another shape', async () => {
    await up('--base-port', String(basePort))
    const { pid } = await status()
    const second = await lab('up')
    expect(second).toMatchObject({ code: 1, output: '' })
    expect(second.complaint).toContain(`is running already (process ${pid})`)
    await lab('down')
    expect((await lab('up', '--shards', '3')).complaint).toContain('this lab has --shards 1')
    expect((await lab('status')).complaint).toContain('no lab is running')
  })
})

describe('a lab that was killed', () => {
  it('leaves clusters that serve on, which the next one takes over, and `down` stops', async () => {
    await up('--base-port', String(basePort))
    const before = await status()
    process.kill(before.pid, 'SIGKILL')
    expect(await ask(1, 'SET', 'left', 'over')).toBe('OK')
    expect(await up()).toMatchObject({ code: 0 })
    const after = await status()
    expect(after.pid).not.toBe(before.pid)
    const pids = ({ clusters }: LabStatus) =>
      clusters.flatMap(({ agent, node }) => [agent.pid, ...(node?.processes ?? []).map(({ pid }) => pid)])
    expect(pids(after)).toEqual(pids(before))
    process.kill(after.pid, 'SIGKILL')
    expect((await lab('down')).output).toContain('stopped what was left over')
    expect(livingProcesses()).toEqual([])
    expect(runFiles()).toEqual([])
    expect((await lab('down')).output).toContain('nothing is running')
  })
})

describe('a lab in the foreground', () => {
  it('stops everything when it is interrupted, however often and early', async () => {
    const child = spawn(antipode, ['lab', 'up', '--dir', directory, '--base-port', String(basePort)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
    const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
    for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) child.kill(signal)
    expect(await exited).toBe(0)
    expect(livingProcesses()).toEqual([])
    expect(runFiles()).toEqual([])
  })
})

describe('a port that is taken', () => {
  it('is named, and nothing is started', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => {
      server.listen(basePort + 2, '127.0.0.1', resolve)
    })
    try {
      const { code, complaint } = await lab('up', '--base-port', String(basePort))
      expect(code).toBe(1)
      expect(complaint).toContain(`port ${basePort + 2} of cluster-2 is taken by another program`)
      expect(livingProcesses()).toEqual([])
    } finally {
      server.close()
    }
  })
})

describe('a process that was killed', () => {
  it('is back soon', async () => {
    await up('--base-port', String(basePort))
    for (const role of ['shard', 'proxy', 'syncer', 'agent']) {
      expect((await lab('kill', '1', role)).output).toMatch(/^killed /)
      await expect.poll(async () => (await status()).waitingFor, { timeout: 20_000 }).toEqual([])
      const { clusters } = await status()
      const [cluster] = clusters
      expect(cluster?.agent.state).toBe('running')
      expect(await ask(1, 'SET', role, 'back')).toBe('OK')
    }
    expect(await ask(1, 'DBSIZE')).toBe(4)
  })
})
