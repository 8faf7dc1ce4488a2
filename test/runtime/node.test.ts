/** What only the real ports do. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { InvariantError } from '#runtime/invariant.ts'
import { NodeDisk, openFilesMax } from '#runtime/node/nodeDisk.ts'
import { NodeTimers } from '#runtime/node/nodeTimers.ts'
import { DiskError } from '#runtime/ports.ts'

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'antipode-node-'))
afterAll(() => fs.rmSync(directory, { recursive: true }))

const codeOf = (act: () => void): string => {
  try {
    act()
    return ''
  } catch (error) {
    return error instanceof DiskError ? error.code : String(error)
  }
}

test('a full disk is a DiskError', () => {
  const disk = new NodeDisk(path.join(directory, 'full'))
  fs.symlinkSync('/dev/full', path.join(directory, 'full', 'log'))
  expect(codeOf(() => disk.append('log', [bytesOf('x')]))).toBe('ENOSPC')
  disk.close()
})

test('a directory that cannot be made is a DiskError', () => {
  fs.writeFileSync(path.join(directory, 'file'), '')
  expect(codeOf(() => new NodeDisk(path.join(directory, 'file', 'below')))).toBe('ENOTDIR')
})

test('what a crash left of a replacement is not seen, and a name that leads elsewhere is a bug', () => {
  const disk = new NodeDisk(path.join(directory, 'left'))
  fs.writeFileSync(path.join(directory, 'left', '.lease.new'), 'half')
  expect(disk.list()).toEqual([])
  disk.replace('lease', bytesOf('whole'))
  expect(fs.readdirSync(path.join(directory, 'left'))).toEqual(['lease'])
  for (const name of ['../x', 'a/b', '.hidden', ''])
    expect(() => disk.append(name, [])).toThrow(InvariantError)
})

test('a removed file is out of sight at once, freed by another thread, and at the next start if that never ran', async () => {
  const place = path.join(directory, 'removing')
  const disk = new NodeDisk(place)
  disk.append('a', [bytesOf('old')])
  disk.remove('a')
  expect(disk.list()).toEqual([])
  expect(codeOf(() => disk.remove('a'))).toBe('ENOENT')
  await vi.waitFor(() => expect(fs.readdirSync(place)).toEqual([]))
  fs.writeFileSync(path.join(place, '.b.1.0.removed'), 'left by a crash')
  expect(new NodeDisk(place).list()).toEqual([])
  await vi.waitFor(() => expect(fs.readdirSync(place)).toEqual([]))
})

test('keeps a limited number of files open', () => {
  const disk = new NodeDisk(path.join(directory, 'many'))
  const open = () =>
    fs.readdirSync('/proc/self/fd').filter((descriptor) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(path.join(directory, 'many'))
      } catch {
        // The descriptor of this very listing.
        return false
      }
    }).length
  for (let i = 0; i < openFilesMax * 3; i++) disk.append(`file-${i}`, [bytesOf('x')])
  expect(open()).toBe(openFilesMax)
  disk.close()
  expect(open()).toBe(0)
})

test('files and directories are their owner’s', () => {
  const place = path.join(directory, 'private')
  const disk = new NodeDisk(place)
  disk.append('log', [bytesOf('x')])
  disk.replace('lease', bytesOf('x'))
  disk.close()
  const modes = [place, path.join(place, 'log'), path.join(place, 'lease')].map(
    (name) => fs.statSync(name).mode & 0o777,
  )
  expect(modes).toEqual([0o700, 0o600, 0o600])
})

test('who always asks for the turn’s end does not keep the others from their turn', async () => {
  const timers = new NodeTimers()
  let ends = 0
  let stopped = false
  const again = () => {
    ends++
    if (!stopped) timers.atTurnEnd(again)
  }
  timers.atTurnEnd(again)
  await new Promise((resolve) => setTimeout(resolve, 1))
  stopped = true
  expect(ends).toBeGreaterThan(1)
})

test('log lines are JSON with their facts, at once, also just before a crash', () => {
  const program = `
    import { nodeLogger } from '#runtime/node/nodeLogger.ts'
    const logger = nodeLogger({ role: 'shard', name: 'db/0' }, 'info')
    logger.debug({}, 'unheard')
    logger.warn({ slot: 5 }, 'last words')
    process.abort()`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', program], {
    cwd: path.join(import.meta.dirname, '../..'),
    encoding: 'utf8',
  })
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({
    level: 'warn',
    role: 'shard',
    name: 'db/0',
    slot: 5,
    message: 'last words',
  })
  expect(Date.parse(lines[0].time)).toBeGreaterThan(0)
})
