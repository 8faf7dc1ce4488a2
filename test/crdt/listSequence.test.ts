/** The blocked sequence beside a plain array, from one element to many groups and back, with texts of all lengths. */
import { describe, expect, test } from 'vitest'
import { originsMax } from '#protocol/sync/stamp.ts'
import { compareIds, idBetween, type ListId, listKeyOf, pushedId } from '#server/crdt/listId.ts'
import { ListSequence } from '#server/crdt/listSequence.ts'
import { Sibling, type Siblings } from '#server/crdt/register.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { must } from './shown.ts'

interface Element {
  id: ListId
  siblings: Siblings
}

const textOf = ({ id, siblings }: Element): string =>
  `${id} ${siblings.map(({ stamp, text }) => `${stamp} ${text}`)}`

class Both {
  readonly sequence = new ListSequence()
  readonly model: Element[] = []
  readonly #random: SeededRandom
  #ticks = 1_000

  constructor(random: SeededRandom) {
    this.#random = random
  }

  stamp(): number {
    return ++this.#ticks * originsMax + this.#random.below(8)
  }

  #text(): string {
    const random = this.#random
    return 't'.repeat(
      random.chance(0.001) ? random.below(100_000) : random.below(random.chance(0.1) ? 900 : 12),
    )
  }

  push(side: -1 | 1, count: number): void {
    const stamp = this.stamp()
    for (let number = 0; number < count; number++) this.#insert(pushedId(side, stamp, number), stamp)
  }

  insertAt(index: number): void {
    const stamp = this.stamp()
    const [left, right] = [this.model[index - 1]?.id, this.model[index]?.id]
    this.#insert(idBetween(left, right, listKeyOf(stamp), undefined), stamp)
  }

  #insert(id: ListId, stamp: number): void {
    const text = this.#text()
    must(!this.sequence.seek(id), () => `${id} is there already`)
    const { index } = this.sequence
    this.sequence.insert(id, stamp, text)
    this.model.splice(index, 0, { id, siblings: [new Sibling(stamp, text, true)] })
    must(this.sequence.atText === text, () => `${id} is not where it was put`)
  }

  writeAt(index: number): void {
    const element = this.model[index]
    if (element === undefined) return
    const count = this.#random.chance(0.3) ? 2 + this.#random.below(2) : 1
    const siblings = Array.from({ length: count }, () => new Sibling(this.stamp(), this.#text(), true))
    element.siblings = siblings
    expect(this.sequence.seek(element.id)).toBe(true)
    this.sequence.write(siblings)
  }

  removeAt(index: number): void {
    this.sequence.seekIndex(index)
    this.sequence.remove()
    this.model.splice(index, 1)
  }

  cut(start: number, end: number): void {
    this.sequence.cut(start, end)
    this.model.splice(start, end - start)
  }

  removeSome(start: number, end: number, chance: number): void {
    const seen = new Set<string>()
    const gone = new Set<string>()
    this.sequence.removeWhere(start, end, (leaf, at) => {
      const id = String(leaf.id(at))
      must(!seen.has(id), () => `${id} is asked for twice`)
      seen.add(id)
      if (this.#random.chance(chance)) gone.add(id)
      return gone.has(id)
    })
    expect(seen.size).toBe(end - start)
    for (let at = end - 1; at >= start; at--)
      if (gone.has(String(this.model[at]?.id))) this.model.splice(at, 1)
  }

  /** Some element, or the place behind the last. */
  anyIndex(): number {
    return this.#random.below(this.model.length + 1)
  }

  check(): void {
    const { sequence, model } = this
    expect(sequence.size).toBe(model.length)
    const texts = model.map(({ siblings }) => siblings.at(-1)?.text)
    expect([...sequence.texts(0, model.length, 1)].join() === texts.join()).toBe(true)
    const backwards = [...sequence.texts(model.length - 1, model.length, -1)]
    expect(backwards.reverse().join() === texts.join()).toBe(true)
    const seen: Element[] = []
    let usedBytes = 0
    for (const leaf of sequence.leaves()) {
      usedBytes += leaf.usedBytes
      for (let at = 0; at < leaf.count; at++) seen.push({ id: leaf.id(at), siblings: leaf.siblings(at) })
    }
    // One text each: comparing a hundred thousand objects takes seconds.
    expect(seen.map(textOf).join('\n') === model.map(textOf).join('\n')).toBe(true)
    if (model.length > 0) expect(sequence.usedBytes, 'memory is counted').toBe(usedBytes)
    for (let probe = 0; probe < 50 && model.length > 0; probe++) {
      const index = this.#random.below(model.length)
      const { id, siblings } = model[index] as Element
      sequence.seekIndex(index)
      expect([sequence.index, sequence.atId, sequence.atStamp]).toEqual([index, id, siblings.at(-1)?.stamp])
      expect([sequence.seek(id), sequence.index]).toEqual([true, index])
      const start = this.anyIndex()
      const end = start + this.#random.below(model.length - start + 1)
      if (probe > 5) continue
      const wanted = texts.slice(start, end).join()
      expect([...sequence.texts(start, end - start, 1)].join() === wanted).toBe(true)
      expect([...sequence.texts(end - 1, end - start, -1)].reverse().join() === wanted).toBe(true)
    }
    const ascends = model.every(({ id }, at) => at === 0 || compareIds((model[at - 1] as Element).id, id) < 0)
    expect(ascends).toBe(true)
  }
}

describe('a sequence', () => {
  test.each([
    ['grows at the ends', [1, 0.05, 0.05]],
    ['grows in the middle', [0.05, 1, 0.05]],
    ['is written and cut', [0.6, 0.3, 0.8]],
  ] as const)('does what an array does: %s', (_, [pushing, inserting, cutting]) => {
    const random = new SeededRandom(seedFromEnv())
    const both = new Both(random)
    for (let round = 0; round < 8; round++) {
      const growing = round % 2 === 0
      for (let step = 0; step < 1_500; step++) {
        if (random.chance(growing ? 0.5 : 0.05) && random.chance(pushing))
          both.push(random.pick([-1, 1]), 1 + random.below(random.chance(0.02) ? 600 : 4))
        if (random.chance(growing ? 0.6 : 0.1) && random.chance(inserting)) both.insertAt(both.anyIndex())
        if (random.chance(0.2)) both.writeAt(both.anyIndex())
        const { length } = both.model
        if (length > 0 && random.chance(growing ? 0.1 : 0.9))
          both.removeAt(random.pick([0, length - 1, random.below(length)]))
        if (random.chance(cutting * 0.01)) {
          const start = both.anyIndex()
          const end = start + random.below(both.model.length - start + 1)
          if (random.chance(0.5)) both.cut(start, end)
          else both.removeSome(start, end, random.pick([0.1, 0.5, 0.97, 1]))
        }
      }
      both.check()
    }
    both.cut(0, both.model.length)
    both.check()
    expect(both.sequence.usedBytes).toBe(new ListSequence().usedBytes)
  })

  test('of many groups finds positions, loses ranges of any size, and grows again', () => {
    const random = new SeededRandom(seedFromEnv())
    const both = new Both(random)
    const stamp = both.stamp()
    const count = 70_000
    for (let number = 0; number < count; number++) {
      both.sequence.seekIndex(number)
      both.sequence.insert(pushedId(1, stamp, number), stamp, String(number))
      both.model.push({
        id: pushedId(1, stamp, number),
        siblings: [new Sibling(stamp, String(number), true)],
      })
    }
    expect(both.sequence.usedBytes / count).toBeLessThan(26)
    // The middle is taken apart, which splits full groups.
    for (let step = 0; step < 3_000; step++) both.insertAt(30_000 + random.below(500))
    both.check()
    both.removeSome(50_000, 65_000, 0.98)
    both.check()
    both.cut(10, 50_000)
    both.check()
    both.cut(5_000, both.model.length - 3)
    both.check()
    for (let step = 0; step < 300; step++) both.push(random.pick([-1, 1]), 1)
    both.check()
  })

  test('gives its memory back as it runs empty, and as a queue moves along', () => {
    const both = new Both(new SeededRandom(seedFromEnv()))
    const stamp = both.stamp()
    const { sequence } = both
    const fill = 20_000
    let [head, tail] = [0, 0]
    const push = () => {
      sequence.seekIndex(sequence.size)
      sequence.insert(pushedId(1, stamp, tail), stamp, `value ${tail++}`)
    }
    for (let number = 0; number < fill; number++) push()
    const full = sequence.usedBytes
    for (let number = 0; number < 60_000; number++) {
      push()
      sequence.seekIndex(0)
      must(sequence.atText === `value ${head++}`, () => `not the value before ${head}`)
      sequence.remove()
    }
    expect(sequence.usedBytes).toBeLessThan(full * 1.05)
    while (sequence.size > 10) {
      sequence.seekIndex(0)
      sequence.remove()
    }
    expect(sequence.usedBytes).toBeLessThan(2_000)
  })
})
