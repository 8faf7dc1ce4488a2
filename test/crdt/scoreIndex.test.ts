/** The order of a sorted set's members, beside a plain sorted array. */
import { expect, test } from 'vitest'
import { ScoreIndex } from '#server/crdt/scoreIndex.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const runs = Number(process.env['RUNS'] ?? 12)

const compareNames = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Names by their number, which is what the index holds. */
class Names {
  readonly #names: string[] = []
  readonly #numbers: Map<string, number> = new Map()

  of(name: string): number {
    const known = this.#numbers.get(name) ?? this.#names.push(name) - 1
    this.#numbers.set(name, known)
    return known
  }

  name(ref: number): string {
    return this.#names[ref] as string
  }

  compareName(ref: number, name: string): number {
    return compareNames(this.name(ref), name)
  }
}

type Member = [name: string, score: number]

class Pair {
  readonly names = new Names()
  readonly index = new ScoreIndex(this.names)
  readonly sorted: Member[] = []

  #placeOf(name: string, score: number): number {
    const at = this.sorted.findIndex(([n, s]) => s > score || (s === score && n >= name))
    return at < 0 ? this.sorted.length : at
  }

  insert(name: string, score: number): void {
    this.sorted.splice(this.#placeOf(name, score), 0, [name, score])
    this.index.insert(score, name, this.names.of(name))
  }

  deleteAt(position: number): void {
    const [[name, score]] = this.sorted.splice(position, 1) as [Member]
    this.index.delete(score, name)
  }

  check(random: SeededRandom, scores: () => number): void {
    const { index, sorted } = this
    expect(index.size).toBe(sorted.length)
    const position = random.below(sorted.length + 1)
    const end = position + random.below(40)
    expect([...index.range(position, end)]).toEqual(sorted.slice(position, end))
    expect([...index.rangeReversed(position, end)]).toEqual(sorted.slice(position, end).reverse())
    const score = scores()
    expect(index.countBelow(score, false)).toBe(sorted.filter(([, s]) => s < score).length)
    expect(index.countBelow(score, true)).toBe(sorted.filter(([, s]) => s <= score).length)
    const member = sorted[position]
    if (member === undefined) return
    expect(index.rank(member[1], member[0])).toBe(position)
    expect(index.nameAt(position)).toBe(member[0])
  }
}

/** Which scores come: any, few different ones, only one, ever greater, ever less. */
function scoresOf(random: SeededRandom, kind: number): () => number {
  let next = 0
  const makers = [
    () => random.fraction() * 2e6 - 1e6,
    () => random.below(5),
    () => 7,
    () => next++,
    () => next--,
    () => random.pick([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0, random.fraction()]),
  ]
  return makers[kind % makers.length] as () => number
}

test('it says what a sorted array says, while it grows and shrinks', () => {
  const seed = seedFromEnv()
  for (let run = 0; run < runs; run++) {
    const random = new SeededRandom(seed + run)
    const scores = scoresOf(random, run)
    const pair = new Pair()
    let names = 0
    for (let step = 0; step < 12_000; step++) {
      const growing = Math.floor(step / 3_000) % 2 === 0
      if (pair.sorted.length === 0 || random.chance(growing ? 0.9 : 0.12))
        pair.insert(`${random.below(1000)}:${names++}`, scores())
      else {
        const place = random.pick([0, pair.sorted.length - 1, random.below(pair.sorted.length)])
        pair.deleteAt(place)
      }
      if (step % 37 === 0) pair.check(random, scores)
    }
    expect([...pair.index.range(0, pair.index.size)], `seed ${seed + run}`).toEqual(pair.sorted)
    while (pair.sorted.length > 0) pair.deleteAt(random.below(pair.sorted.length))
    expect([pair.index.size, [...pair.index.range(0, 9)], [...pair.index.rangeReversed(0, 9)]]).toEqual([
      0,
      [],
      [],
    ])
    expect(pair.index.usedBytes).toBeLessThan(8_000)
  }
})

test('many groups: positions, ranks and counts', () => {
  const random = new SeededRandom(seedFromEnv())
  const names = new Names()
  const index = new ScoreIndex(names)
  const count = 200_000
  const order = Array.from({ length: count }, (_, at) => at)
  for (let at = count - 1; at > 0; at--) {
    const other = random.below(at + 1)
    const moved = order[at] as number
    order[at] = order[other] as number
    order[other] = moved
  }
  for (const at of order) index.insert(at, `m${at}`, names.of(`m${at}`))
  for (let draw = 0; draw < 500; draw++) {
    const at = random.below(count)
    expect(index.rank(at, `m${at}`)).toBe(at)
    expect([...index.range(at, at + 2)].map(([, score]) => score)).toEqual(
      [at, at + 1].filter((score) => score < count),
    )
    expect([index.countBelow(at, false), index.countBelow(at, true)]).toEqual([at, at + 1])
  }
  expect(index.usedBytes / count).toBeLessThan(24)
  for (const at of order) if (at % 100 !== 0) index.delete(at, `m${at}`)
  expect(index.size).toBe(count / 100)
  expect([...index.range(0, index.size)].every(([, score], at) => score === at * 100)).toBe(true)
  expect(index.usedBytes / index.size).toBeLessThan(90)
})

test('members whose scores are equal lie by the bytes of their names', () => {
  const names = new Names()
  const index = new ScoreIndex(names)
  const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
  const all = ['', ...bytes.flatMap((byte) => [byte, `${byte}\0`, `${byte}ÿ`])]
  for (const name of [...all].reverse()) index.insert(1, name, names.of(name))
  const sorted = [...all].sort(compareNames)
  expect([...index.range(0, all.length)].map(([name]) => name)).toEqual(sorted)
  for (const name of ['', 'a', 'a\0', 'ab', 'ÿ', 'ÿÿÿ']) {
    expect(index.countBelowName(name, false)).toBe(sorted.filter((other) => other < name).length)
    expect(index.countBelowName(name, true)).toBe(sorted.filter((other) => other <= name).length)
  }
})

test('an element that has moved is found at its new place', () => {
  const names = new Names()
  const index = new ScoreIndex(names)
  for (const name of ['a', 'b', 'c']) index.insert(1, name, names.of(name))
  const copy = names.of('b, elsewhere')
  index.replace(1, 'b', names.of('b'), copy)
  index.replace(1, 'x', names.of('a'), copy)
  expect([...index.refs()]).toEqual([names.of('a'), copy, names.of('c')])
})
