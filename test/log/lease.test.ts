import { expect, test } from 'vitest'
import { StampClock, stampAt, stampWallMs } from '#protocol/sync/stamp.ts'
import { ClockLease, leaseAheadMs, leaseFile } from '#server/log/lease.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { ListeningLogger } from './records.ts'

const wallMs = Date.UTC(2026, 0, 1)

function opened(disk: FaultyDisk): ClockLease {
  const lease = new ClockLease(disk, new ListeningLogger())
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

test('the file stays small', () => {
  const disk = new FaultyDisk()
  const lease = opened(disk)
  for (let i = 0; i < 7000; i++) lease.renew(wallMs + i * 2500, 0)
  expect(disk.files.get(leaseFile)?.bytes.length).toBeLessThan(70_000)
  expect(opened(disk.afterKill()).endMs).toBe(lease.endMs)
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
  file.bytes = new Uint8Array(40)
  expect(() => opened(disk)).toThrow(/clock.lease is damaged/)
  file.bytes = whole.slice(0, 12)
  expect(() => opened(disk)).toThrow(/no intact entry/)
})
