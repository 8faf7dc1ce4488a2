import { expect, test } from 'vitest'
import { StampClock, stampAt, stampWallMs } from '#protocol/sync/stamp.ts'
import { ClockLease, leaseAheadMs, leaseFile, stampsAheadMs } from '#server/log/lease.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { ListeningLogger } from './records.ts'

const wallMs = Date.UTC(2026, 0, 1)

const leaseOn = (disk: FaultyDisk, bootId = 'boot') => new ClockLease(disk, new ListeningLogger(), bootId)

function opened(disk: FaultyDisk): ClockLease {
  const lease = leaseOn(disk)
  lease.open()
  return lease
}

test('a clock that starts at the end of the lease gives no stamp a second time', () => {
  const disk = new FaultyDisk()
  expect(opened(disk).endMs).toBe(0)
  const lease = opened(disk)
  const clock = new StampClock(1)
  lease.renew(wallMs, clock.last)
  let last = 0
  for (let nowMs = wallMs; nowMs < wallMs + 20_000; nowMs += 100) {
    lease.renew(nowMs, clock.last)
    last = clock.next(nowMs, 0, 3) + 16
    expect(lease.covers(last)).toBe(true)
  }
  const next = new StampClock(1)
  next.raise(stampAt(opened(disk.afterKill()).endMs, 1))
  expect(next.next(wallMs - 3_600_000, 0)).toBeGreaterThan(last)
})

test('renewals go on in the background, and only their success counts', () => {
  const disk = new FaultyDisk()
  disk.slow = true
  const lease = opened(disk)
  lease.renew(wallMs, 0)
  expect(lease.endMs).toBe(wallMs + leaseAheadMs)
  lease.renew(wallMs + 2500, 0)
  lease.renew(wallMs + 2600, 0)
  expect(disk.syncCount).toBe(1)
  expect(lease.endMs).toBe(wallMs + leaseAheadMs)
  disk.finishSyncs()
  expect(lease.endMs).toBe(wallMs + 2500 + leaseAheadMs)
  expect(opened(disk.afterKill()).endMs).toBe(lease.endMs)
})

test('a step of the wall clock waits for the disk', () => {
  const disk = new FaultyDisk()
  disk.slow = true
  const lease = opened(disk)
  lease.renew(wallMs, 0)
  lease.renew(wallMs + 300_000, 0)
  expect(lease.endMs).toBe(wallMs + 300_000 + leaseAheadMs)
  const ahead = stampAt(wallMs + 900_000, 1)
  lease.extendOver(ahead)
  expect(lease.covers(ahead)).toBe(true)
  expect(stampWallMs(ahead)).toBeLessThan(lease.endMs)
  // The wall clock goes back: the lease does not.
  lease.renew(wallMs, 0)
  expect(lease.endMs).toBe(wallMs + 900_000 + leaseAheadMs)
})

test('a clock that is ahead is put further ahead by little at each restart', () => {
  let disk = new FaultyDisk()
  let aheadMs = 0
  for (let restart = 0; restart < 10; restart++) {
    const lease = leaseOn(disk, `boot ${restart}`)
    lease.startMs = lease.open().endMs
    const clock = new StampClock(1)
    clock.raise(stampAt(lease.startMs, 1))
    lease.renew(wallMs, clock.last)
    const stamp = clock.next(wallMs, 0)
    expect(lease.covers(stamp)).toBe(true)
    aheadMs = stampWallMs(stamp) - wallMs
    disk = disk.afterKill()
  }
  expect(aheadMs).toBeLessThanOrEqual(leaseAheadMs + 9 * stampsAheadMs)
})

test('the file stays small', () => {
  const disk = new FaultyDisk()
  const lease = opened(disk)
  for (let i = 0; i < 7000; i++) lease.renew(wallMs + i * 2500, 0)
  expect(disk.files.get(leaseFile)?.bytes.length).toBeLessThan(70_000)
  expect(opened(disk.afterKill()).endMs).toBe(lease.endMs)
})

test('tells whether the machine was started again', () => {
  const disk = new FaultyDisk()
  expect(leaseOn(disk).open()).toEqual({ endMs: 0, startMs: 0, sameBoot: false })
  opened(disk).renew(wallMs, 0)
  const endMs = wallMs + leaseAheadMs
  expect(leaseOn(disk).open()).toEqual({ endMs, startMs: 0, sameBoot: true })
  expect(leaseOn(disk, 'other').open()).toEqual({ endMs, startMs: 0, sameBoot: false })
  const unknown = leaseOn(disk, '')
  expect(unknown.open()).toEqual({ endMs, startMs: 0, sameBoot: false })
  unknown.startMs = endMs
  // From the first renewal on the file names the new boot, even when the old lease would do.
  unknown.renew(wallMs - 1000, 0)
  expect(leaseOn(disk, '').open()).toEqual({ endMs, startMs: endMs, sameBoot: false })
  expect(leaseOn(disk).open()).toEqual({ endMs, startMs: endMs, sameBoot: false })
})

test('a torn entry is passed over, a file that is no lease is refused', () => {
  const disk = new FaultyDisk()
  const lease = opened(disk)
  lease.renew(wallMs, 0)
  lease.renew(wallMs + 2500, 0)
  const file = disk.files.get(leaseFile) as { bytes: Uint8Array; syncedBytes: number }
  const whole = file.bytes
  file.bytes = whole.slice(0, whole.length - 3)
  expect(opened(disk).endMs).toBe(wallMs + leaseAheadMs)
  file.bytes = whole.slice()
  file.bytes[8] = 9
  expect(() => opened(disk)).toThrow(/has format 9, this program reads format 1/)
  for (const bytes of [new Uint8Array(80), whole.slice(0, 40), whole.slice(0, 64), new Uint8Array(0)]) {
    file.bytes = bytes
    expect(() => opened(disk)).toThrow(/clock.lease is damaged/)
  }
  file.bytes = whole.slice()
  file.bytes[20] = 9
  expect(() => opened(disk)).toThrow(/clock.lease is damaged/)
})
