/** The log of one origin beside a plain array: blocks filled, cut, taken apart and merged, with entries of all sizes. */
import { expect, test } from 'vitest'
import { originsMax, stampStep } from '#protocol/sync/stamp.ts'
import { idOf, maxId, minId, type StreamId, wideId } from '#protocol/sync/streamId.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { StreamEntry } from '#server/crdt/streamBlock.ts'
import { StreamLog } from '#server/crdt/streamLog.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const runs = Number(process.env['RUNS'] ?? 40)
const origin = 3
const infinity = Number.POSITIVE_INFINITY

const textOf = (entries: readonly StreamEntry[]): string =>
  entries.map(({ id, stamp, fields }) => `${id} ${stamp} ${fields.join()}`).join('\n')

class Both {
  log = new StreamLog()
  model: StreamEntry[] = []
  readonly random: SeededRandom
  /** Beyond 2^53 from the start, or never. */
  readonly #wide: boolean
  #ticks = 1_000
  #ms = 1

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.#wide = this.random.chance(0.2)
  }

  get lastStamp(): number {
    return this.#ticks * originsMax + origin
  }

  #id(): StreamId {
    this.#ms += this.random.below(3)
    if (this.#wide) return wideId(2n ** 53n - 40n + BigInt(this.#ms), BigInt(++this.#ticks) << 44n)
    return idOf(this.#ms, ++this.#ticks)
  }

  next(): StreamEntry {
    const { random } = this
    const id = this.#id()
    const count = random.chance(0.9) ? 2 : 1 + random.below(4)
    const fields: string[] = []
    for (let at = 0; at < count; at++) {
      fields.push(random.chance(0.9) ? `name${at}` : `other${random.below(3)}`)
      fields.push('v'.repeat(random.chance(0.02) ? random.below(9_000) : random.below(20)))
    }
    return { id, stamp: this.lastStamp, fields }
  }

  add(): void {
    const entry = this.next()
    this.log.add(entry)
    this.model.push(entry)
  }

  removeAny(): void {
    const index = this.random.below(this.model.length + 1)
    const entry = this.model[index]
    const known = this.random.chance(0.8)
    const id = entry?.id ?? maxId
    this.log.remove(id, known ? infinity : (entry?.stamp ?? 0) - stampStep)
    if (known) this.model = this.model.filter((other) => other.id !== id)
  }

  trim(share: number): void {
    const upto = this.model[this.random.below(Math.ceil(this.model.length * share))]?.id ?? minId
    const covered = this.random.chance(0.7)
      ? infinity
      : (this.model[this.random.below(this.model.length)]?.stamp ?? 0)
    this.log.trim(upto, covered)
    this.model = this.model.filter(({ id, stamp }) => id > upto || stamp > covered)
  }

  check(): void {
    const { log, model, random } = this
    const [a, b] = [0, 1].map(() => model[random.below(model.length)]?.id ?? maxId).sort() as [
      StreamId,
      StreamId,
    ]
    expect([log.size, log.lastId]).toEqual([model.length, model.at(-1)?.id ?? minId])
    expect(log.countBelow(a)).toBe(model.filter(({ id }) => id < a).length)
    for (const [from, to] of [
      [minId, maxId],
      [a, b],
    ] as const) {
      const told = textOf(model.filter(({ id }) => id >= from && id <= to))
      expect(textOf([...log.range(from, to)])).toBe(told)
      expect(textOf([...log.rangeReversed(from, to)].reverse())).toBe(told)
    }
  }

  copy(): StreamLog {
    const writer = new ByteWriter()
    this.log.encode(writer)
    return StreamLog.decode(new ByteReader(writer.take()), origin)
  }
}

function forEachRun(run: (both: Both) => void): void {
  const seed = seedFromEnv()
  for (let at = 0; at < runs; at++) {
    try {
      run(new Both(seed + at))
    } catch (error) {
      throw new Error(`run with seed ${seed + at}`, { cause: error })
    }
  }
}

test('entries are added at the end, removed anywhere, cut off at the front', () => {
  forEachRun((both) => {
    for (let steps = 0; steps < 60; steps++) {
      const x = both.random.fraction()
      if (x < 0.6) for (let count = both.random.below(60); count > 0; count--) both.add()
      else if (x < 0.9) for (let count = both.random.below(30); count > 0; count--) both.removeAny()
      else both.trim(both.random.chance(0.2) ? 1 : 0.3)
      if (steps % 7 === 0) both.check()
    }
    both.check()
    if (both.model.length === 0) return
    expect([...both.copy().range(minId, maxId)]).toEqual(both.model)
    both.log.trim(maxId, infinity)
    expect([both.log.size, both.log.usedBytes]).toEqual([0, 0])
  })
})

test('memory is what a new log of the same entries takes, or less than twice that', () => {
  forEachRun((both) => {
    for (let count = 0; count < 2_000; count++) both.add()
    for (let count = 0; count < 300; count++) both.removeAny()
    both.trim(0.5)
    if (both.model.length < 500) return
    expect(both.log.usedBytes).toBeLessThan(2 * both.copy().usedBytes)
  })
})

test('entries of a replay find their place, and what is dead by then is left out', () => {
  forEachRun((both) => {
    const all: StreamEntry[] = []
    for (let count = 0; count < 400; count++) {
      both.add()
      all.push(both.model.at(-1) as StreamEntry)
    }
    const gone = all.filter(() => both.random.chance(0.3))
    for (const { id } of gone) both.log.remove(id, infinity)
    // The replay tells of them again, and then of their removal.
    for (const entry of all) both.log.add(entry)
    both.check()
    for (const { id } of gone) both.log.remove(id, infinity)
    both.model = all.filter((entry) => !gone.includes(entry))
    both.check()
    // DEL, and then a lesser id: the greater ones of before are dead.
    const [first, ...others] = both.model as [StreamEntry, ...StreamEntry[]]
    both.log.trim(maxId, infinity)
    both.model = [{ ...first, stamp: both.lastStamp + stampStep }]
    for (const entry of both.model) both.log.add(entry)
    for (const entry of [first, ...others]) both.log.add(entry)
    both.check()
  })
})

test('a merge has what both have, and what only one side can know', () => {
  forEachRun((both) => {
    for (let count = 50 + both.random.below(300); count > 0; count--) both.add()
    const common = both.model
    const theirs = both.copy()
    const [label, gone] = [both.lastStamp, new Set<StreamId>()]
    for (const { id } of common)
      if (both.random.chance(0.2)) {
        theirs.remove(id, infinity)
        gone.add(id)
      }
    const front = common[both.random.below(common.length)]?.id ?? minId
    if (both.random.chance(0.5)) {
      theirs.trim(front, infinity)
      for (const { id } of common) if (id <= front) gone.add(id)
    }
    for (let count = both.random.below(200); count > 0; count--) both.add()
    for (let count = both.random.below(40); count > 0; count--) both.removeAny()
    const steps = both.random.chance(0.5)
      ? StreamLog.merging(both.log, both.lastStamp, theirs, label)
      : StreamLog.merging(theirs, label, both.log, both.lastStamp)
    both.model = both.model.filter(({ id }) => !gone.has(id))
    for (let step = steps.next(); ; step = steps.next()) {
      if (!step.done) continue
      both.log = step.value
      break
    }
    both.check()
  })
})
