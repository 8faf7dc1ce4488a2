/** The registers of HyperLogLogs and their bytes; that these are Redis's is for `test/compat`. */
import { describe, expect, test } from 'vitest'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { indexOf, type Ranked, ranked, rankedElement, rankOf } from '#server/crdt/elementHash.ts'
import { HyperLogLog, rising } from '#server/crdt/hyperLogLog.ts'
import { registerCount, sparseRankMax } from '#server/crdt/sparseRegisters.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const runs = Number(process.env['RUNS'] ?? 60)
const headerBytes = 16
const denseBytes = headerBytes + 12288

function ranksOf(registers: HyperLogLog): number[] {
  const ranks = new Array<number>(registerCount).fill(0)
  registers.eachRank((index, rank) => {
    ranks[index] = rank
  })
  return ranks
}

function madeOf(values: readonly Ranked[], dense = false): HyperLogLog {
  const registers = HyperLogLog.empty()
  if (dense) registers.toDense()
  registers.raise(values)
  return registers
}

/** Close together or far apart, so that runs of all kinds meet. */
function randomValues(random: SeededRandom): Ranked[] {
  const from = random.below(registerCount)
  const span = random.pick([1, 5, 70, 300, registerCount])
  const rankMax = random.pick([1, 3, sparseRankMax, sparseRankMax, 51])
  return Array.from({ length: random.below(800) }, () =>
    ranked((from + random.below(span)) % registerCount, 1 + random.below(rankMax)),
  )
}

function told(values: readonly Ranked[]): number[] {
  const ranks = new Array<number>(registerCount).fill(0)
  for (const value of values) ranks[indexOf(value)] = Math.max(rankOf(value), ranks[indexOf(value)] as number)
  return ranks
}

test('registers are the greatest ranks that came, in either encoding, also read back from the bytes', () => {
  const seed = seedFromEnv()
  for (let run = 0; run < runs; run++) {
    const values = randomValues(new SeededRandom(seed + run))
    const ranks = told(values)
    for (const dense of [false, true]) {
      const registers = madeOf(values, dense)
      const why = `seed ${seed + run}, dense ${dense}`
      expect(ranksOf(registers), why).toEqual(ranks)
      expect(registers.isSound, why).toBe(true)
      expect(registers.isDense && !dense, why).toBe(
        !dense && (registers.length === denseBytes || ranks.some((rank) => rank > sparseRankMax)),
      )
      expect(registers.length <= 3000 || registers.length === denseBytes, why).toBe(true)
      const again = HyperLogLog.of(registers.text)
      expect(again === undefined ? [] : ranksOf(again), why).toEqual(ranks)
      registers.toDense()
      expect(ranksOf(registers), why).toEqual(ranks)
      expect(registers.length, why).toBe(denseBytes)
    }
  }
})

test('a join is the greater of both, and the estimate is that of the registers', () => {
  const seed = seedFromEnv()
  for (let run = 0; run < runs; run++) {
    const random = new SeededRandom(seed + run)
    const [a, b] = [randomValues(random), randomValues(random)]
    const joined = madeOf(a, random.chance(0.3))
    joined.outdate()
    joined.count()
    joined.join(madeOf(b, random.chance(0.3)))
    const all = madeOf([...a, ...b], true)
    expect(ranksOf(joined), `seed ${seed + run}`).toEqual(ranksOf(all))
    all.outdate()
    expect(joined.count(), `seed ${seed + run}`).toBe(all.count())
  }
})

test('what rises is what changes registers when it comes in that order', () => {
  const seed = seedFromEnv()
  for (let run = 0; run < runs; run++) {
    const random = new SeededRandom(seed + run)
    const before = madeOf(randomValues(random), random.chance(0.5))
    const values = randomValues(random)
    const risen = rising(before, values)
    const ranks = ranksOf(before)
    const left = values.filter((value) => {
      if (rankOf(value) <= (ranks[indexOf(value)] as number)) return false
      ranks[indexOf(value)] = rankOf(value)
      return true
    })
    expect(risen, `seed ${seed + run}`).toEqual(left)
    expect(before.raise(risen)).toBe(risen.length > 0)
    expect(ranksOf(before), `seed ${seed + run}`).toEqual(ranks)
  }
})

describe('estimates', () => {
  test.each([0, 1, 2, 10, 100, 1_000, 10_000, 100_000])('of %d elements are near', (count) => {
    const registers = HyperLogLog.empty()
    for (let i = 0; i < count; i++) registers.raise([rankedElement(`element ${i}`)])
    registers.outdate()
    const estimate = registers.count()
    expect(Math.abs(estimate - count)).toBeLessThanOrEqual(count * 0.03)
    expect(registers.isOutdated).toBe(false)
    expect(registers.count()).toBe(estimate)
  })
})

describe('elements', () => {
  /** What redis-server's PFDEBUG DECODE tells of each alone. */
  test.each([
    ['', 5938, 2],
    ['a', 12711, 2],
    ['b', 15780, 1],
    ['antipode', 8702, 4],
    ['0123456789abcdef', 5949, 1],
  ])('%j is register %d, rank %d', (element, index, rank) => {
    expect(ranksOf(madeOf([rankedElement(element)]))[index]).toBe(rank)
  })
})

describe('what is none', () => {
  const empty = HyperLogLog.empty().text
  test.each([
    ['a short text', 'HYLL'],
    ['another text', `x${empty.slice(1)}`],
    ['an unknown encoding', `${empty.slice(0, 4)}\x02${empty.slice(5)}`],
    ['a dense one that is too short', `${empty.slice(0, 4)}\x00${empty.slice(5)}`],
  ])('%s', (_, text) => expect(HyperLogLog.of(text)).toBeUndefined())

  test.each([
    ['too few registers', `${empty.slice(0, headerBytes)}\x00`],
    ['too many', `${empty}\x00`],
    ['half a run', empty.slice(0, -1)],
    ['nothing', empty.slice(0, headerBytes)],
  ])('unsound: %s', (_, text) => {
    const registers = HyperLogLog.of(text)
    expect(registers?.isSound).toBe(false)
    expect(HyperLogLog.isSpeltBy(text)).toBe(false)
    expect(() => registers?.toDense()).toThrow(FormatError)
  })

  test('an unsound one takes elements before the damage, not behind it', () => {
    const registers = HyperLogLog.of(`${empty.slice(0, headerBytes)}\x3f`)
    expect(registers?.raise([ranked(63, 2)])).toBe(true)
    expect(() => registers?.raise([ranked(64, 2)])).toThrow(FormatError)
  })
})
