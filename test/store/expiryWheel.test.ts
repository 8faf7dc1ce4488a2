import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BlockPool } from '#server/store/blockPool.ts'
import { ExpiryWheel, expiryTickMs } from '#server/store/expiryWheel.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const noLimit = Number.MAX_SAFE_INTEGER
const startMs = Date.UTC(2026, 0, 1)
const hourMs = 3_600_000
const yearMs = 365 * 24 * hourMs
/** What any keyspace can ask for. */
const latestMs = 2 ** 49
/** After everything that a test adds. */
const horizonMs = 2 ** 43 * expiryTickMs

type Entry = { slot: number; hash: number; dueMs: number }

const nameOf = (slot: number, hash: number): string => `${slot}:${hash}`

function takeAll(wheel: ExpiryWheel, nowMs: number, limit = noLimit): string[] {
  const names: string[] = []
  while (wheel.take(nowMs, (slot, hash) => names.push(nameOf(slot, hash)), limit) === limit);
  return names.sort()
}

/** What the wheel is held against: a list that is looked through. */
class Model {
  entries: Entry[] = []

  take(nowMs: number): string[] {
    const isDue = ({ dueMs }: Entry) =>
      Math.ceil(dueMs / expiryTickMs) <= Math.floor(Math.max(0, nowMs) / expiryTickMs)
    const due = this.entries.filter(isDue)
    this.entries = this.entries.filter((entry) => !isDue(entry))
    return due.map(({ slot, hash }) => nameOf(slot, hash)).sort()
  }
}

test('an entry comes up within a quarter of a second after its time, never before', () => {
  const wheel = new ExpiryWheel()
  wheel.add(1, 7, startMs + 1)
  wheel.add(16_383, 2 ** 32 - 1, startMs + 500)
  expect(takeAll(wheel, startMs + 249)).toEqual([])
  expect(takeAll(wheel, startMs + 250)).toEqual(['1:7'])
  expect(takeAll(wheel, startMs + 499)).toEqual([])
  expect(takeAll(wheel, startMs + 500)).toEqual([`16383:${2 ** 32 - 1}`])
  expect(wheel.size).toBe(0)
})

test('what is there twice comes up twice', () => {
  const wheel = new ExpiryWheel()
  wheel.add(1, 7, startMs)
  wheel.add(1, 7, startMs + 60_000)
  wheel.add(1, 7, startMs)
  expect(takeAll(wheel, startMs)).toEqual(['1:7', '1:7'])
  expect(takeAll(wheel, startMs + 60_000)).toEqual(['1:7'])
})

test('a clock set back or forward by years loses nothing and brings nothing up early', () => {
  const wheel = new ExpiryWheel()
  wheel.add(1, 1, startMs + 1_000)
  wheel.add(2, 2, startMs + 50 * yearMs)
  wheel.add(3, 3, latestMs)
  expect(takeAll(wheel, startMs - 20 * yearMs)).toEqual([])
  expect(takeAll(wheel, startMs + 40 * yearMs)).toEqual(['1:1'])
  wheel.add(4, 4, startMs + 2_000)
  expect(takeAll(wheel, startMs)).toEqual([])
  expect(takeAll(wheel, startMs + 1_999)).toEqual([])
  expect(takeAll(wheel, startMs + 2_000)).toEqual(['4:4'])
  expect(takeAll(wheel, latestMs - 1_000)).toEqual(['2:2'])
  expect(takeAll(wheel, startMs)).toEqual([])
  expect(takeAll(wheel, latestMs - 1)).toEqual([])
  expect(takeAll(wheel, latestMs + expiryTickMs)).toEqual(['3:3'])
})

test('times that no clock shows are kept in bounds', () => {
  const wheel = new ExpiryWheel()
  wheel.add(1, 1, -5_000)
  wheel.add(2, 2, 2 ** 70)
  expect(takeAll(wheel, -1)).toEqual(['1:1'])
  expect(takeAll(wheel, latestMs)).toEqual([])
  expect(takeAll(wheel, 2 ** 70)).toEqual(['2:2'])
})

// ---- any sequence of additions, times and rebuilds

type Step =
  | { kind: 'add'; slot: number; hash: number; afterMs: number }
  | { kind: 'addAt'; slot: number; hash: number; dueMs: number }
  | { kind: 'pass'; ms: number }
  | { kind: 'part'; limit: number }
  | { kind: 'begin' }
  | { kind: 'end' }

/** Distances of every size, so that every level is met: most times near the borders between buckets. */
const distanceMs = fc
  .tuple(fc.integer({ min: 0, max: 41 }), fc.integer({ min: -2, max: 2 }), fc.integer({ min: 0, max: 260 }))
  .map(([bits, ticks, ms]) => (2 ** bits + ticks) * expiryTickMs + ms)
const slot = fc.integer({ min: 0, max: 16_383 })
const hash = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('add'), slot, hash, afterMs: distanceMs }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('addAt'),
      slot,
      hash,
      dueMs: fc.integer({ min: 0, max: latestMs }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 0, max: 100_000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass'), ms: distanceMs }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass'), ms: distanceMs.map((ms) => -ms) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('part'), limit: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('begin') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end') }) },
)

/** The wheel and the model, led through the same steps. */
class Pair {
  readonly wheel = new ExpiryWheel()
  readonly model = new Model()
  /** During a rebuild: the entries that `endRebuild` will drop. */
  former: Model | undefined = undefined
  nowMs = startMs

  run(step: Step): void {
    switch (step.kind) {
      case 'add':
        this.add({ slot: step.slot, hash: step.hash, dueMs: Math.min(this.nowMs + step.afterMs, horizonMs) })
        return
      case 'addAt':
        this.add(step)
        return
      case 'pass':
        this.nowMs = Math.min(Math.max(0, this.nowMs + step.ms), horizonMs)
        expect(takeAll(this.wheel, this.nowMs, 3)).toEqual(this.expected())
        break
      case 'part':
        this.takePart(step.limit)
        break
      case 'begin':
        this.beginRebuild()
        break
      default:
        this.endRebuild()
    }
    expect(this.wheel.size).toBe(this.model.entries.length + (this.former?.entries.length ?? 0))
  }

  add(entry: Entry): void {
    this.wheel.add(entry.slot, entry.hash, entry.dueMs)
    this.model.entries.push(entry)
  }

  expected(): string[] {
    return [...this.model.take(this.nowMs), ...(this.former?.take(this.nowMs) ?? [])].sort()
  }

  /** What comes up is due; the rest of what is due comes up at once, too: nothing is left for the next step. */
  takePart(limit: number): void {
    const first: string[] = []
    const work = this.wheel.take(this.nowMs, (slot, hash) => first.push(nameOf(slot, hash)), limit)
    expect(work).toBeLessThanOrEqual(limit)
    expect(first.length).toBeLessThanOrEqual(work)
    const all = [...first, ...takeAll(this.wheel, this.nowMs)].sort()
    expect(all).toEqual(this.expected())
  }

  /** Half of the keys are still there, and are added again with times of their own. */
  beginRebuild(): void {
    if (this.former !== undefined) return
    this.wheel.beginRebuild()
    this.former = new Model()
    this.former.entries = this.model.entries
    this.model.entries = []
    for (const entry of this.former.entries.filter((_, at) => at % 2 === 0)) this.add(entry)
  }

  endRebuild(): void {
    if (this.former === undefined) return
    this.wheel.endRebuild()
    this.former = undefined
  }
}

test('whatever is added, and however time goes, exactly what is due comes up', () => {
  const steps = fc.array(step, { maxLength: 120, size: 'max' })
  const run = (steps: Step[]): void => {
    const pair = new Pair()
    for (const step of steps) pair.run(step)
    pair.run({ kind: 'pass', ms: horizonMs })
    expect(pair.wheel.size).toBe(0)
  }
  fc.assert(fc.property(steps, run), { seed: seedFromEnv(), numRuns: 2_000 })
})

// ---- memory and work

/** Every entry that is moved or visited is taken from a list of the pool: counted there, whatever `take` says. */
function countPops(): { pops: number; visits: number; end(): void } {
  const original = BlockPool.prototype.pop
  const count = {
    pops: 0,
    visits: 0,
    end: () => {
      BlockPool.prototype.pop = original
    },
  }
  BlockPool.prototype.pop = function (head) {
    count.pops++
    return original.call(this, head)
  }
  return count
}

describe('a million entries in one second', () => {
  const entries = 1_000_000
  const limit = 10_000
  const dueMs = startMs + 5 * hourMs + 1_000

  function filled(): ExpiryWheel {
    const wheel = new ExpiryWheel()
    takeAll(wheel, startMs)
    for (let at = 0; at < entries; at++) wheel.add(at & 16_383, at, dueMs)
    return wheel
  }

  test('are moved and visited in slices', () => {
    const wheel = filled()
    const count = countPops()
    let slices = 0
    for (let nowMs = startMs; nowMs < dueMs + 60_000; nowMs += 30_000) {
      for (let more = true; more; ) {
        const before = count.pops
        more = wheel.take(nowMs, () => count.visits++, limit) === limit
        expect(count.pops - before).toBeLessThanOrEqual(limit)
        if (more) slices++
      }
      if (nowMs < dueMs) expect(count.visits).toBe(0)
    }
    count.end()
    expect(count.visits).toBe(entries)
    // Down from level 2 to 1, from 1 to 0, and up.
    expect([count.pops, slices]).toEqual([3 * entries, (3 * entries) / limit])
  })

  test('take at most 13 bytes each, and give them back', () => {
    const wheel = filled()
    expect(wheel.usedBytes / entries).toBeLessThan(12.5)
    expect(takeAll(wheel, dueMs + expiryTickMs, limit).length).toBe(entries)
    expect(wheel.usedBytes).toBeLessThanOrEqual(200_000)
  })

  test('that nobody needs any more go with a rebuild', () => {
    const wheel = filled()
    expect(wheel.needsRebuild(1_000, 1_000)).toBe(true)
    expect(wheel.needsRebuild(entries, entries / 2)).toBe(false)
    wheel.beginRebuild()
    expect(wheel.isRebuilding).toBe(true)
    expect(wheel.needsRebuild(1_000, 1_000)).toBe(false)
    for (let at = 0; at < 1_000; at++) wheel.add(at, at, dueMs)
    wheel.endRebuild()
    expect([wheel.size, wheel.isRebuilding]).toEqual([1_000, false])
    // The memory goes in slices, too; until it is gone there is no other rebuild.
    for (let more = true, before = wheel.usedBytes; more; before = wheel.usedBytes) {
      expect(wheel.needsRebuild(-1e9, 0)).toBe(false)
      more = wheel.giveBack()
      expect(before - wheel.usedBytes).toBeGreaterThan(0)
      expect(before - wheel.usedBytes).toBeLessThan(8_000_000)
    }
    expect(wheel.usedBytes).toBeLessThan(200_000)
    expect(wheel.giveBack()).toBe(false)
    expect(wheel.needsRebuild(-1e9, 0)).toBe(true)
    expect(wheel.needsRebuild(0, 0)).toBe(false)
    expect(takeAll(wheel, dueMs + expiryTickMs).length).toBe(1_000)
  })
})

test('adding and taking at a steady rate takes no more memory than the entries that are there', () => {
  const random = new SeededRandom(seedFromEnv())
  const wheel = new ExpiryWheel()
  for (let second = 0; second < 4 * 3_600; second++) {
    const nowMs = startMs + second * 1_000
    for (let at = 0; at < 20; at++) {
      const afterMs = random.chance(0.5) ? random.below(60_000) : random.below(hourMs)
      wheel.add(at, at, nowMs + afterMs)
    }
    takeAll(wheel, nowMs)
    // A block for each of some 370 buckets may be partly filled.
    const limitBytes = 12.5 * wheel.size + 370 * 400 + 200_000
    if (wheel.usedBytes > limitBytes) expect({ second, usedBytes: wheel.usedBytes }).toEqual({ limitBytes })
  }
})

test('a clock that swings does not make the wheel grow', () => {
  const wheel = new ExpiryWheel()
  for (let at = 0; at < 10_000; at++) wheel.add(at & 16_383, at, startMs + at * 10_000)
  takeAll(wheel, startMs - 1_000)
  const before = wheel.usedBytes
  for (let swing = 0; swing < 50; swing++) {
    expect(takeAll(wheel, startMs - hourMs * (swing + 1))).toEqual([])
    expect(takeAll(wheel, startMs - 1_000)).toEqual([])
  }
  expect(wheel.usedBytes).toBeLessThanOrEqual(2 * before)
  expect(takeAll(wheel, startMs + 10_000 * 10_000).length).toBe(10_000)
})
