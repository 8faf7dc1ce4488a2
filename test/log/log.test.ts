import { describe, expect, test } from 'vitest'
import { stampAt } from '#protocol/sync/stamp.ts'
import { isSegmentName } from '#server/log/blockFormat.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { append, openLog } from './opened.ts'
import { operationsRecord } from './records.ts'

const record = (count: number, effectsLength = 20) =>
  operationsRecord([{ slot: 1, first: stampAt(Date.UTC(2026, 0, 1), 1) + count * 8, effectsLength }])

describe('positions', () => {
  test('none: everything counts as durable at once, and no file is written', () => {
    const disk = new FaultyDisk()
    const { log } = openLog(disk, { persistence: 'none' })
    let synced = 0
    log.onSynced = () => synced++
    append(log, record(1))
    expect(log.synced).toBe(0)
    expect(log.flush()).toBe(true)
    expect([log.written, log.synced]).toEqual([log.end, log.end])
    expect(synced).toBe(1)
    expect(disk.files.size).toBe(0)
  })

  test('everysec: one sync a second, the first at the start', () => {
    const disk = new FaultyDisk()
    const { log, world } = openLog(disk, { persistence: 'everysec' })
    append(log, record(1))
    log.flush()
    expect(log.written).toBe(log.end)
    expect(log.synced).toBeLessThan(log.end)
    world.advance(999)
    append(log, record(2))
    log.flush()
    expect(disk.syncCount).toBe(1)
    world.advance(1)
    expect(log.synced).toBe(log.end)
    expect(disk.syncCount).toBe(2)
  })

  test('everysec with a peer that waits: soon, but not all the time', () => {
    const disk = new FaultyDisk()
    disk.slow = true
    const { log, world } = openLog(disk, { persistence: 'everysec' })
    append(log, record(1))
    log.flush()
    world.advance(4)
    disk.finishSyncs()
    expect(disk.syncCount).toBe(1)
    // From the moment that a peer listens.
    log.shipping = true
    world.advance(4)
    expect(disk.syncCount).toBe(2)
    world.advance(40)
    disk.finishSyncs()
    expect(log.synced).toBe(log.end)
    append(log, record(3))
    log.flush()
    world.advance(9)
    expect(disk.syncCount).toBe(2)
    world.advance(1)
    expect(disk.syncCount).toBe(3)
  })

  test('always: one sync under way, the next covers all that came meanwhile', () => {
    const disk = new FaultyDisk()
    disk.slow = true
    const { log } = openLog(disk)
    disk.finishSyncs()
    const ends: number[] = []
    const syncedAt: number[] = []
    log.onSynced = () => syncedAt.push(log.synced)
    for (let i = 0; i < 4; i++) {
      append(log, record(i))
      log.flush()
      ends.push(log.end)
    }
    expect(disk.syncCount).toBe(2)
    disk.finishSyncs()
    expect(disk.syncCount).toBe(3)
    disk.finishSyncs()
    expect(syncedAt).toEqual([ends[0], ends[3]])
    expect(disk.syncCount).toBe(3)
  })
})

test('the window is small while nobody else reads it', () => {
  const { log } = openLog(new FaultyDisk(), { persistence: 'everysec', backlogBytesMax: 8 << 20 })
  const fill = (): void => {
    for (let count = 0; count < 100; count++) {
      append(log, record(count, 64 * 1024))
      log.flush()
    }
  }
  log.isShared = false
  fill()
  expect(log.backlog.sizeBytes).toBeLessThanOrEqual(1 << 20)
  log.isShared = true
  fill()
  expect(log.backlog.sizeBytes).toBeGreaterThan(5 << 20)
  log.isShared = false
  fill()
  expect(log.backlog.sizeBytes).toBeLessThanOrEqual(1 << 20)
})

describe('files', () => {
  test('a restart shows every record and keeps the last ones in memory', () => {
    const disk = new FaultyDisk()
    const { log } = openLog(disk)
    const records = Array.from({ length: 50 }, (_, i) => record(i, 100))
    for (const each of records) {
      append(log, each)
      log.flush()
    }
    const again = openLog(disk.afterKill(), { backlogBytesMax: 2000 })
    expect(again.replayed).toEqual(records)
    expect(again.log.end).toBe(log.end)
    expect(again.log.backlog.sizeBytes).toBeGreaterThan(1000)
    expect(again.log.backlog.sizeBytes).toBeLessThanOrEqual(2000)
    expect(again.recovered.tear).toBeNull()
  })

  test('full segments are followed by new ones, synced in their order', () => {
    const disk = new FaultyDisk()
    disk.slow = true
    const { log } = openLog(disk, { segmentBytesMax: 1000 })
    for (let i = 0; i < 40; i++) {
      append(log, record(i, 100))
      log.flush()
    }
    const names = [...disk.files.keys()].filter(isSegmentName)
    expect(names.length).toBeGreaterThan(4)
    for (let i = 0; i < names.length + 1; i++) disk.finishSyncs()
    expect(log.synced).toBe(log.end)
    for (const name of names)
      expect(disk.files.get(name)?.syncedBytes).toBe(disk.files.get(name)?.bytes.length)
    expect(openLog(disk.afterKill(), { segmentBytesMax: 1000 }).log.end).toBe(log.end)
  })

  test('what a killed process wrote counts as durable only after a sync of its successor', () => {
    const disk = new FaultyDisk()
    disk.slow = true
    const first = openLog(disk)
    append(first.log, record(1))
    first.log.flush()
    const next = disk.afterKill()
    next.slow = true
    const { log } = openLog(next)
    expect([log.written, log.synced]).toEqual([first.log.end, 0])
    next.finishSyncs()
    expect(log.synced).toBe(log.end)
  })

  test('a log that was kept is read once more when persistence is set to none, then removed', () => {
    const disk = new FaultyDisk()
    const first = openLog(disk)
    append(first.log, record(1))
    first.log.flush()
    const { log, replayed, logger } = openLog(disk, { persistence: 'none' })
    expect(replayed).toHaveLength(1)
    expect(log.synced).toBe(log.end)
    expect(disk.files.size).toBe(0)
    expect(logger.texts('warn')).toEqual(['persistence is none: the log was read a last time and removed'])
  })

  test('a drain makes everything durable and says so in the log', () => {
    const disk = new FaultyDisk()
    const { log, world } = openLog(disk, { persistence: 'everysec' })
    for (let i = 0; i < 3; i++) {
      append(log, record(i))
      log.flush()
    }
    let drained = false
    log.drain(() => {
      drained = true
    })
    expect(drained).toBe(true)
    expect(log.synced).toBe(log.end)
    // The mark makes damage to the last block known as such.
    const [name, file] = [...disk.files][0] as [string, { bytes: Uint8Array }]
    file.bytes[file.bytes.length - 30] = 255
    expect(() => openLog(disk)).toThrow(`log file ${name}`)
    world.advance(0)
  })
})

describe('a disk that fails', () => {
  test('records wait in memory while appends fail, and follow when they work again', () => {
    const disk = new FaultyDisk()
    disk.tornFraction = 0.7
    const { log, world, logger } = openLog(disk)
    const changes: (string | undefined)[] = []
    log.onFailureChange = () => changes.push(log.failure?.code)
    append(log, record(1))
    log.flush()
    disk.failAt = disk.calls
    disk.failsOn = true
    append(log, record(2))
    expect(log.flush()).toBe(false)
    append(log, record(3))
    expect(log.flush()).toBe(false)
    world.advance(1600)
    expect(log.written).toBeLessThan(log.end)
    disk.failAt = Number.POSITIVE_INFINITY
    world.advance(500)
    expect([log.failure, log.written, log.synced]).toEqual([null, log.end, log.end])
    expect(changes.filter((change, i) => change !== changes[i - 1])).toEqual(['ENOSPC', undefined])
    expect(logger.texts('error')).toHaveLength(1)
    expect(logger.texts('info')).toEqual(['log can be written again'])
    const again = openLog(disk.afterKill())
    expect(again.recovered.tear).toBeNull()
    expect(again.replayed).toHaveLength(3)
  })

  test('a failed sync is the end of the process', () => {
    const disk = new FaultyDisk()
    const { log, fatal } = openLog(disk)
    append(log, record(1))
    disk.code = 'EIO'
    disk.failAt = disk.calls + 1
    log.flush()
    expect(fatal.map((error) => error.message)).toEqual([expect.stringContaining('EIO')])
    expect(log.synced).toBe(0)
  })
})
