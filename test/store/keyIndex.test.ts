import { describe, expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { originOfCluster } from '#protocol/sync/stamp.ts'
import { SlotTables } from '#server/store/slotTables.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const never = Number.POSITIVE_INFINITY
const tag = '{t}'
const slot = slotOfKey(tag)

/** Keys of one slot beside a plain map. */
class Both {
  readonly tables: SlotTables
  readonly model = new Map<string, string>()
  readonly random: SeededRandom

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.tables = new SlotTables(originOfCluster(1), this.random.below(2 ** 32))
  }

  set(name: string, text: string): void {
    this.tables.aim(name)
    this.tables.putText(8, text, never)
    this.model.set(name, text)
  }

  delete(name: string): void {
    this.tables.aim(name)
    this.tables.remove()
    this.model.delete(name)
  }

  get(name: string): string | undefined {
    const ref = this.tables.findText(name)
    return ref === 0 ? undefined : this.tables.text(ref)
  }

  scanned(count: number): string[] {
    const names: string[] = []
    let at = 0
    do at = this.tables.index.scan(slot, at, count, (ref) => names.push(this.tables.nameOf(ref)))
    while (at !== 0)
    return names
  }

  check(): void {
    const { tables, model } = this
    expect(tables.index.sizeOf(slot)).toBe(model.size)
    for (const [name, text] of model) if (this.get(name) !== text) throw new Error(`${name} is lost`)
    const each: string[] = []
    tables.index.forEach(slot, (ref) => each.push(tables.nameOf(ref)))
    expect(each.sort()).toEqual([...model.keys()].sort())
    expect(this.scanned(10).sort()).toEqual(each)
  }
}

describe('the keys of a slot', () => {
  for (const [most, keys] of [
    ['a few', 5],
    ['a bucket full', 400],
    ['many buckets', 20_000],
  ] as const) {
    test(`${most}: like a map, while they come and go and are moved`, () => {
      const both = new Both(seedFromEnv())
      const { random } = both
      const nameOf = (i: number): string => tag + 'k'.repeat(i % 7) + i
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < keys * 2; i++)
          both.set(nameOf(random.below(keys)), 'v'.repeat(random.below(random.chance(0.001) ? 20_000 : 60)))
        both.check()
        for (let i = 0; i < keys * (round + 1); i++) both.delete(nameOf(random.below(keys)))
        for (let step = 0; step < 200; step++) both.tables.compact()
        both.check()
      }
      for (const name of [...both.model.keys()]) both.delete(name)
      both.check()
      expect(both.tables.usedBytes).toBe(0)
    })
  }

  test('come in the order of their hashes', () => {
    const tables = new SlotTables(originOfCluster(1), 0)
    const hashOf = (name: string): number => {
      tables.aim(name)
      return tables.name.hash >>> 0
    }
    const names = Array.from({ length: 30_000 }, (_, i) => ({ name: `${tag}${i}`, hash: 0 }))
    for (const each of names) each.hash = hashOf(each.name)
    names.sort((a, b) => a.hash - b.hash)
    for (const { name } of names) {
      tables.aim(name)
      tables.putText(8, name, never)
    }
    expect(tables.index.sizeOf(slot)).toBe(names.length)
    for (const { name } of names) expect(tables.text(tables.findText(name))).toBe(name)
  })

  test('one that stays is met by a scan, whatever happens meanwhile', () => {
    const both = new Both(seedFromEnv())
    const { random, tables } = both
    const staying = Array.from({ length: 3_000 }, (_, i) => `${tag}stays${i}`)
    for (const name of staying) both.set(name, 'x')
    const met = new Set<string>()
    let at = 0
    do {
      at = tables.index.scan(slot, at, 20, (ref) => met.add(tables.nameOf(ref)))
      for (let i = 0; i < 300; i++) {
        const name = `${tag}other${random.below(20_000)}`
        if (random.chance(0.5)) both.set(name, 'y')
        else both.delete(name)
      }
      tables.compact()
    } while (at !== 0)
    expect(staying.filter((name) => !met.has(name))).toEqual([])
  })

  test('a random one is any of them, about equally often', () => {
    const both = new Both(seedFromEnv())
    for (let i = 0; i < 50; i++) both.set(`${tag}${i}`, 'x')
    const counts = new Map<string, number>()
    for (let draw = 0; draw < 10_000; draw++) {
      const name = both.tables.nameOf(both.tables.index.random(both.random))
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    expect(counts.size).toBe(50)
    for (const count of counts.values()) expect(count).toBeLessThan(400)
  })

  test('is found by the hash of its name', () => {
    const both = new Both(seedFromEnv())
    for (let i = 0; i < 2_000; i++) both.set(`${tag}${i}`, 'x')
    for (let i = 0; i < 2_000; i++) {
      both.tables.aim(`${tag}${i}`)
      const found: string[] = []
      both.tables.index.byHash(slot, both.tables.name.hash, (ref) => found.push(both.tables.nameOf(ref)))
      expect(found).toContain(`${tag}${i}`)
    }
  })
})

describe('memory', () => {
  test('a key of 16 bytes with a value of 32 takes less than 80', () => {
    const tables = new SlotTables(originOfCluster(1), 1)
    const count = 200_000
    for (let i = 0; i < count; i++) {
      tables.aim(`key:${String(i).padStart(12, '0')}`)
      tables.putText(8, 'v'.repeat(32), never)
    }
    expect(tables.usedBytes / count).toBeLessThan(80)
    expect(tables.reservedBytes / count).toBeLessThan(160)
  })
})
