/** Ids of list elements: their order, the rule by which LINSERT finds one, and how deep they become. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { originsMax, stampStep } from '#protocol/sync/stamp.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import {
  compareIds,
  depthBetween,
  depthOf,
  type InsertRun,
  idBetween,
  type ListId,
  listKeyOf,
  pushedId,
  readId,
  runAfter,
  stampOfKey,
  writeId,
} from '#server/crdt/listId.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import {
  comparePaths,
  flat,
  keyOf,
  type Path,
  pathBetween,
  pathOf,
  pushedPath,
  type Run,
  runWith,
} from './listOrder.ts'

const steps = fc.tuple(
  fc.constantFrom(-1, 1),
  // Few of each, so that paths begin alike.
  fc.constantFrom(-9, -8, 8, 9, 17),
  fc.integer({ min: -1, max: 1 }).map((offset) => offset + 0),
)
const ids = fc.array(steps, { minLength: 1, maxLength: 4 }).map((of): ListId => of.flat())

describe('order', () => {
  test('is as told, antisymmetric and transitive', () => {
    fc.assert(
      fc.property(ids, ids, ids, (a, b, c) => {
        expect(Math.sign(compareIds(a, b))).toBe(Math.sign(comparePaths(pathOf(a), pathOf(b))))
        expect(Math.sign(compareIds(a, b))).toBe(0 - Math.sign(compareIds(b, a)))
        if (compareIds(a, b) < 0 && compareIds(b, c) < 0) expect(compareIds(a, c)).toBeLessThan(0)
        if (compareIds(a, b) === 0) expect(a).toEqual(b)
      }),
      { numRuns: 3_000 },
    )
  })

  test('keys are those of the stamps, with the smaller cluster first', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), fc.nat(7), fc.nat(7), (ticks, one, other) => {
        const [a, b] = [ticks * originsMax + one, ticks * originsMax + other]
        expect(listKeyOf(a)).toBe(keyOf(a))
        expect(stampOfKey(listKeyOf(a))).toBe(a)
        expect(stampOfKey(-listKeyOf(a))).toBe(a)
        // Clusters are 8 minus their origin.
        if (one > other) expect(listKeyOf(a)).toBeLessThan(listKeyOf(b))
        expect(listKeyOf(a)).toBeLessThan(listKeyOf(b + stampStep))
        expect(pushedId(-1, a, 3)).toEqual(flat(pushedPath('left', a, 3)))
        expect(pushedId(1, a, 0)).toEqual(flat(pushedPath('right', a, 0)))
        expect(Object.is(pushedId(-1, a, 0)[2], 0)).toBe(true)
      }),
    )
  })

  test('survives its bytes', () => {
    fc.assert(
      fc.property(ids, (id) => {
        const writer = new ByteWriter()
        writeId(writer, id)
        const reader = new ByteReader(writer.bytes, 0, writer.length)
        expect(readId(reader)).toEqual(id)
        expect(reader.atEnd).toBe(true)
        expect(() => readId(new ByteReader(writer.bytes, 0, writer.length - 1))).toThrow(FormatError)
      }),
    )
  })
})

/** One list to which several clusters write in turn, by the production rule and by the told one. */
class Both {
  readonly ids: ListId[] = []
  readonly #runs: Map<number, InsertRun> = new Map()
  readonly #toldRuns: Map<number, Run> = new Map()
  readonly #used = new Set<string>()
  #ticks = 1_000
  deepest = 0

  push(side: -1 | 1, origin = 7): void {
    const id = pushedId(side, this.#stamp(origin), 0)
    if (side === 1) this.ids.push(id)
    else this.ids.unshift(id)
  }

  insert(index: number, origin = 7): void {
    const [left, right] = [this.ids[index - 1], this.ids[index]]
    const key = listKeyOf(this.#stamp(origin))
    const run = this.#runs.get(origin)
    const id = idBetween(left, right, key, run)
    const path = pathBetween(toPath(left), toPath(right), key, this.#toldRuns.get(origin))
    expect(id).toEqual(flat(path))
    expect(depthBetween(left, right, run)).toBe(left && right ? depthOf(id) : 1)
    if (left !== undefined) expect(compareIds(left, id)).toBeLessThan(0)
    if (right !== undefined) expect(compareIds(id, right)).toBeLessThan(0)
    expect(this.#used.has(String(id)), 'a path is used once').toBe(false)
    this.#used.add(String(id))
    this.#runs.set(origin, runAfter(run, id))
    this.#toldRuns.set(origin, runWith(this.#toldRuns.get(origin), path))
    this.ids.splice(index, 0, id)
    this.deepest = Math.max(this.deepest, depthOf(id))
  }

  #stamp(origin: number): number {
    return ++this.#ticks * originsMax + origin
  }
}

const toPath = (id: ListId | undefined): Path | undefined => (id === undefined ? undefined : pathOf(id))

describe('LINSERT', () => {
  test('finds the id that the rule says, between its neighbours, and none twice', () => {
    const random = new SeededRandom(seedFromEnv())
    for (let round = 0; round < 40; round++) {
      const both = new Both()
      let near = 0
      for (let step = 0; step < 300; step++) {
        const { length } = both.ids
        if (random.chance(0.1)) both.push(random.pick([-1, 1]), random.below(3))
        else if (random.chance(0.2)) both.ids.splice(random.below(length + 1), 1 + random.below(2))
        else {
          // Where the last one was, or anywhere.
          near = random.chance(0.6) ? Math.min(length, near + random.below(2)) : random.below(length + 1)
          both.insert(near, random.below(3))
        }
      }
    }
  })

  const habits: readonly [string, number, number, (both: Both, number: number) => void][] = [
    ['after the last', 2_000, 1, (both) => both.insert(both.ids.length)],
    ['before the first', 2_000, 1, (both) => both.insert(0)],
    ['after the last inserted, in the middle', 500, 2, (both, number) => both.insert(number + 1)],
    ['after one fixed anchor', 500, 2, (both) => both.insert(1)],
    ['before one fixed anchor', 500, 2, (both) => both.insert(both.ids.length - 1)],
    ['two clusters in turn after one anchor', 500, 4, (both, number) => both.insert(1, number % 2)],
    ['two clusters in turn, zigzag', 200, 5, (both, number) => both.insert(1 + (number >> 1), number % 2)],
  ]

  test.each(habits)('%s: %i times, at most %i steps', (_, count, depthMax, insert) => {
    const both = new Both()
    both.push(1)
    both.push(1)
    for (let number = 0; number < count; number++) insert(both, number)
    expect(both.deepest).toBeLessThanOrEqual(depthMax)
  })

  test.each([
    ['a list that grows', 5_000, Number.POSITIVE_INFINITY, 20],
    ['a list of 200, where as many go', 20_000, 200, 60],
  ])('anywhere in %s: %i times', (_, count, sizeMax, depthMax) => {
    const random = new SeededRandom(seedFromEnv())
    const both = new Both()
    both.push(1)
    for (let number = 0; number < count; number++) {
      both.insert(random.below(both.ids.length + 1))
      if (both.ids.length > sizeMax) both.ids.splice(random.below(both.ids.length), 1)
    }
    expect(both.deepest).toBeLessThanOrEqual(depthMax)
  })

  test('between the last two, again and again, goes half a step deeper each time; a limit ends it', () => {
    const both = new Both()
    both.push(1)
    both.push(1)
    for (let [number, at] = [0, 1]; number < 200; number++) {
      both.insert(at)
      at += number % 2
    }
    expect(both.deepest).toBe(101)
  })
})
