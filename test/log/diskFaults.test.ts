/**
 * The same life of a log again and again, failing at the first, second, ... disk call, once or from then on; then a power
 * cut, and the next life. Whatever failed: what was promised to be durable is there, in order, and nothing else is.
 */
import { expect, test } from 'vitest'
import { stampAt } from '#protocol/sync/stamp.ts'
import { DiskError } from '#runtime/ports.ts'
import { ClockLease, leaseRefusal } from '#server/log/lease.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { append, type OpenedLog, openLog } from './opened.ts'
import { operationsRecord } from './records.ts'

const wallMs = Date.UTC(2026, 0, 1)
const records = Array.from({ length: 12 }, (_, i) =>
  operationsRecord([{ slot: i, first: stampAt(wallMs, 1) + i * 8, effectsLength: 10 + i * 7 }]),
)
const ends = records.map((_, i) => records.slice(0, i + 1).reduce((sum, record) => sum + record.length, 0))

/** Returns how many of the records are promised to be durable; undefined: not even the start worked. */
function live(disk: FaultyDisk, from: number, to: number): number | undefined {
  let opened: OpenedLog
  try {
    opened = openLog(disk, { segmentBytesMax: 300 })
  } catch (error) {
    if (error instanceof DiskError) return undefined
    throw error
  }
  const { log, world, fatal } = opened
  for (let i = from; i < to && fatal.length === 0; i++) {
    append(log, records[i] as Uint8Array)
    log.flush()
    disk.finishSyncs()
    world.advance(200)
  }
  if (fatal.length === 0) log.drain(() => {})
  disk.finishSyncs()
  log.stop()
  return ends.filter((end) => end <= log.synced).length
}

test.each([false, true])('a failing disk call, again and again from then on: %s', (failsOn) => {
  const random = new SeededRandom(seedFromEnv())
  let callsOfAGoodLife = 0
  for (let failAt = 0; failAt <= callsOfAGoodLife; failAt++) {
    for (const slow of [false, true]) {
      const disk = new FaultyDisk()
      Object.assign(disk, {
        slow,
        failAt,
        failsOn,
        tornFraction: random.fraction(),
        code: random.pick(['ENOSPC', 'EIO']),
      })
      const promised = live(disk, 0, 8)
      if (failAt === 0) {
        disk.failAt = Number.POSITIVE_INFINITY
        const good = new FaultyDisk()
        good.slow = slow
        expect(live(good, 0, 8)).toBe(8)
        callsOfAGoodLife = Math.max(callsOfAGoodLife, good.calls)
      }
      const next = disk.afterPowerCut(random)
      const again = openLog(next, { segmentBytesMax: 300 })
      expect(again.replayed).toEqual(records.slice(0, again.replayed.length))
      expect(again.replayed.length).toBeGreaterThanOrEqual(promised ?? 0)
      expect(live(next, again.replayed.length, 12)).toBe(12)
      expect(openLog(next.afterPowerCut(random)).replayed).toEqual(records)
    }
  }
  expect(callsOfAGoodLife).toBeGreaterThan(15)
})

test.each([false, true])('the lease never promises what a power cut takes back: %s', (failsOn) => {
  const random = new SeededRandom(seedFromEnv())
  for (let failAt = 0; failAt < 30; failAt++) {
    const disk = new FaultyDisk()
    Object.assign(disk, { slow: true, failAt, failsOn, tornFraction: random.fraction() })
    let lease: ClockLease
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    let given = 0
    try {
      lease = new ClockLease(disk, logger, 'boot')
      lease.open()
      for (let step = 0; step < 20; step++) {
        const nowMs = wallMs + step * 700 + (step === 11 ? 100_000 : 0)
        if (leaseRefusal(() => lease.renew(nowMs, 0)) === null && lease.endMs > nowMs) given = nowMs
        if (random.chance(0.5)) disk.finishSyncs()
      }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
    }
    const next = new ClockLease(disk.afterPowerCut(random), logger, 'boot')
    expect(next.open().endMs).toBeGreaterThanOrEqual(given === 0 ? 0 : given + 1)
  }
})
