import { expect, test } from 'vitest'
import { recordLength } from '#protocol/sync/record.ts'
import { originsMax, stampAt, stampStep } from '#protocol/sync/stamp.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { Backlog } from '#server/log/backlog.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { operationsRecord, slotStateRecord } from './records.ts'

const wallMs = Date.UTC(2026, 0, 1)
const stamp = (origin: number, count: number) => stampAt(wallMs, origin) + count * stampStep

function collect(backlog: Backlog, from: number, to: number): Uint8Array[] {
  const shown: Uint8Array[] = []
  const end = backlog.walk(from, to, (bytes, start, behind) => {
    shown.push(new Uint8Array(bytes.subarray(start, behind)))
    return true
  })
  expect(end).toBe(to)
  return shown
}

test('shows what was appended, from any record to any other', () => {
  const backlog = new Backlog(1 << 16)
  const records = [10, 400, 3, 9000, 1].map((effectsLength, i) =>
    operationsRecord([{ slot: i, first: stamp(1, i), effectsLength }]),
  )
  const positions = [0]
  for (const [i, record] of records.entries()) {
    backlog.appendOf(record, 0, record.length, 1, stamp(1, i))
    positions.push(backlog.end)
  }
  for (let from = 0; from < positions.length; from++) {
    for (let to = from; to < positions.length; to++) {
      const shown = collect(backlog, positions[from] as number, positions[to] as number)
      expect(shown).toEqual(records.slice(from, to))
    }
  }
  const views = backlog.views(positions[1] as number, positions[4] as number)
  expect(Buffer.concat(views)).toEqual(Buffer.concat(records.slice(1, 4)))
})

test('a record is written in place, whole or not at all, in one chunk', () => {
  const backlog = new Backlog(4096)
  const records = [10, 100, 3000, 0, 60].map((effectsLength, i) =>
    operationsRecord([{ slot: i, first: stamp(1, i), effectsLength }]),
  )
  for (const [i, record] of records.entries()) {
    // Begun and given up.
    backlog.begin(500).raw(record, 0, 5)
    const end = backlog.end
    const writer = backlog.begin(record.length + i)
    writer.raw(record)
    expect(backlog.end).toBe(end)
    backlog.commit(1, stamp(1, i))
    expect(backlog.end).toBe(end + record.length)
  }
  expect(collect(backlog, 0, backlog.end)).toEqual(records)
  expect(backlog.firstPositionAbove(1, stamp(1, 4))).toBe(backlog.end)
  backlog.begin(10).raw(new Uint8Array(1000))
  expect(() => backlog.commit(1, stamp(1, 9))).toThrow('fits the room')
})

test('stops behind the record at which it is told to', () => {
  const backlog = new Backlog(1 << 20)
  const record = operationsRecord([{ slot: 1, first: stamp(1, 1), effectsLength: 5 }])
  for (let i = 0; i < 3; i++) backlog.appendOf(record, 0, record.length, 1, stamp(1, 1))
  expect(backlog.walk(0, backlog.end, () => false)).toBe(record.length)
})

test('a full window drops its oldest chunks, but nothing that is still wanted', () => {
  const backlog = new Backlog(4096)
  const record = operationsRecord([{ slot: 7, first: stamp(2, 1), effectsLength: 200 }])
  for (let i = 0; i < 100; i++) backlog.appendOf(record, 0, record.length, 2, stamp(2, 1))
  backlog.trim(0)
  expect(backlog.start).toBe(0)
  backlog.trim(backlog.end)
  expect(backlog.sizeBytes).toBeLessThanOrEqual(4096)
  expect(backlog.sizeBytes).toBeGreaterThan(2048)
  expect(collect(backlog, backlog.start, backlog.end).every((shown) => shown.length === record.length)).toBe(
    true,
  )
})

test('the floor of a slot rises with what is dropped and with what a slot state covers', () => {
  const backlog = new Backlog(4096)
  expect(backlog.floor(3, 5)).toBe(0)
  const label = emptyVector()
  label[5] = stamp(5, 9)
  const state = slotStateRecord(3, label, 40)
  backlog.raiseFloor(3, 5, stamp(5, 9))
  backlog.append(state, 0, state.length, emptyVector())
  expect(backlog.floor(3, 5)).toBe(stamp(5, 9))
  const old = operationsRecord([
    { slot: 3, first: stamp(5, 10), effectsLength: 3000, span: 2 },
    { slot: 4, first: stamp(5, 20), effectsLength: 3000 },
  ])
  const recent = operationsRecord([{ slot: 3, first: stamp(5, 30), effectsLength: 3000 }])
  backlog.appendOf(old, 0, old.length, 5, stamp(5, 20))
  backlog.appendOf(recent, 0, recent.length, 5, stamp(5, 30))
  backlog.trim(backlog.end)
  expect(backlog.floor(3, 5)).toBe(stamp(5, 12))
  expect(backlog.floor(4, 5)).toBe(stamp(5, 20))
  expect(backlog.floor(4, 4)).toBe(0)
})

test('nothing above a stamp is before the position it gives, and everything above the floor is in the window', () => {
  const random = new SeededRandom(seedFromEnv())
  for (let run = 0; run < 30; run++) {
    const backlog = new Backlog(2000)
    const all: { slot: number; origin: number; last: number; position: number }[] = []
    const counts = new Array<number>(originsMax).fill(0)
    for (let i = 0; i < 200; i++) {
      const origin = random.below(3)
      // Two shards of one peer: their stamps don't rise together.
      const slot = random.below(4)
      const count = (counts[origin] as number) + random.below(5)
      counts[origin] = count
      const last = stamp(origin, count * 4 + (slot % 2) * 1000)
      const record = operationsRecord([{ slot, first: last, effectsLength: random.below(60) }])
      all.push({ slot, origin, last, position: backlog.end })
      backlog.appendOf(record, 0, record.length, origin, last)
      if (random.chance(0.3)) backlog.trim(backlog.end)
    }
    for (const { slot, origin, last, position } of all) {
      const above = last - stampStep
      if (position >= backlog.start) {
        expect(backlog.firstPositionAbove(origin, above)).toBeLessThanOrEqual(position)
      }
      if (last > backlog.floor(slot, origin)) expect(position).toBeGreaterThanOrEqual(backlog.start)
    }
    const start = backlog.firstPositionAbove(0, 0)
    if (start < backlog.end) {
      backlog.walk(start, backlog.end, (bytes, at, end) => {
        expect(recordLength(bytes, at, end)).toBe(end - at)
        return true
      })
    }
  }
})
