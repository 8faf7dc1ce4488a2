import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  clusterOfOrigin,
  originOf,
  originOfCluster,
  StampClock,
  stampAt,
  stampEpochMs,
  stampWallMs,
} from '#protocol/sync/stamp.ts'
import { stampText, timeText } from '#protocol/sync/stampText.ts'
import { covers, emptyVector, includes, raiseTo, SlotVectors } from '#protocol/sync/versionVector.ts'

const nowMs = Date.UTC(2026, 5, 1)

test('stamps order by time, then the smaller cluster id wins', () => {
  expect(stampAt(nowMs, originOfCluster(2))).toBeLessThan(stampAt(nowMs, originOfCluster(1)))
  expect(stampAt(nowMs, originOfCluster(1))).toBeLessThan(stampAt(nowMs + 1, originOfCluster(8)))
  for (let id = 1; id <= 8; id++)
    expect(clusterOfOrigin(originOf(stampAt(nowMs, originOfCluster(id))))).toBe(id)
})

test('a stamp keeps its wall time, and fits into 53 bits for decades', () => {
  expect(stampWallMs(stampAt(nowMs, 3))).toBe(nowMs)
  expect(stampWallMs(stampAt(stampEpochMs - 5, 3))).toBe(stampEpochMs)
  expect(stampAt(Date.UTC(2090, 0, 1), 7)).toBeLessThan(Number.MAX_SAFE_INTEGER)
})

test('a clock never repeats itself, never falls behind what it saw, and follows the wall clock', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          stepMs: fc.integer({ min: -5000, max: 5000 }),
          seenAheadMs: fc.integer({ min: -5000, max: 5000 }),
          count: fc.integer({ min: 1, max: 2000 }),
        }),
      ),
      (steps) => {
        const clock = new StampClock(4)
        let wallMs = nowMs
        let last = 0
        for (const { stepMs, seenAheadMs, count } of steps) {
          wallMs += stepMs
          const seen = stampAt(wallMs + seenAheadMs, 6)
          const first = clock.next(wallMs, seen, count)
          expect(first).toBeGreaterThan(last)
          expect(first).toBeGreaterThan(seen)
          expect(stampWallMs(first)).toBeGreaterThanOrEqual(wallMs)
          expect(originOf(first)).toBe(4)
          last = first + (count - 1) * 8
          expect(clock.last).toBe(last)
        }
      },
    ),
  )
})

test('a raised clock goes on above', () => {
  const clock = new StampClock(4)
  clock.raise(stampAt(nowMs + 9000, 7))
  expect(clock.next(nowMs, 0)).toBeGreaterThan(stampAt(nowMs + 9000, 7))
})

test('vectors cover prefixes, include each other, and are raised entry by entry', () => {
  const [a, b] = [emptyVector(), emptyVector()]
  a[3] = 83
  b[5] = 45
  expect([covers(a, 83), covers(a, 75), covers(a, 91), covers(a, 45)]).toEqual([true, true, false, false])
  expect([includes(a, b), includes(a, a)]).toEqual([false, true])
  raiseTo(a, b)
  expect(includes(a, b)).toBe(true)
  expect(a[3]).toBe(83)
})

test('the vectors of all slots lie apart, and those in use are found', () => {
  const vectors = new SlotVectors(16384)
  vectors.set(0, 3, 83)
  vectors.raise(16383, Float64Array.of(0, 0, 0, 0, 0, 0, 0, 807))
  expect([vectors.greatest(0), vectors.greatest(1), vectors.get(16383, 7)]).toEqual([83, 0, 807])
  expect([vectors.covers(0, 75), vectors.covers(1, 75)]).toEqual([true, false])
  expect(vectors.firstOccupied(0, 16383)).toBe(0)
  expect(vectors.firstOccupied(1, 16383)).toBe(16383)
  expect(vectors.firstOccupied(1, 16382)).toBe(-1)
  vectors.set(5, 3, 75)
  expect([...vectors.greatestStamps]).toEqual([0, 0, 0, 83, 0, 0, 0, 807])
})

test('a stamp is read as time, counter and cluster', () => {
  expect(stampText(stampAt(Date.UTC(2026, 10, 22, 12, 31, 18, 123), originOfCluster(2)) + 17 * 8)).toBe(
    '2026-11-22T12:31:18.123Z/17/2',
  )
  fc.assert(
    fc.property(fc.integer({ min: stampEpochMs, max: Date.UTC(2090, 0, 1) }), (wallMs) => {
      expect(timeText(wallMs)).toBe(new Date(wallMs).toISOString())
    }),
  )
})
