import { describe, expect, test } from 'vitest'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { packedElementsMax } from '#server/store/packedValue.ts'
import { Transaction } from '#server/store/transaction.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const startMs = Date.UTC(2026, 0, 1)
const origin = originOfCluster(1)

class Database {
  readonly db = new Keyspace({ origin, ranges: [{ first: 0, last: slotCount - 1 }] })
  readonly #transaction = new Transaction(this.db, new StampClock(origin))

  write(intent: (transaction: Transaction) => void): void {
    this.#transaction.begin(startMs)
    intent(this.#transaction)
    this.#transaction.finish(new ByteWriter())
  }

  isPacked(key: string): boolean {
    const { tables } = this.db
    return tables.packed(tables.findText(key)) !== undefined
  }

  /** Every look at the hash says the same. */
  fields(key: string): [string, string][] {
    const hash = this.db.hash(key)
    if (hash === undefined) return []
    const entries = [...hash.entries()]
    expect(entries.length).toBe(hash.size)
    expect([...hash.fields()]).toEqual(entries.map(([field]) => field))
    for (const [field, text] of entries) expect(hash.get(field)).toBe(text)
    const scanned: [string, string][] = []
    let at = 0
    do at = hash.scan(at, 10, (field, text) => scanned.push([field, text]))
    while (at !== 0)
    expect(scanned.sort()).toEqual([...entries].sort())
    return entries
  }
}

describe('a small hash', () => {
  test('is like a map while it grows, shrinks and crosses the limit, with a TTL and without', () => {
    const random = new SeededRandom(seedFromEnv())
    for (const timed of [false, true]) {
      const database = new Database()
      const model = new Map<string, string>()
      let [packed, unpacked] = [0, 0]
      for (let step = 0; step < 3_000; step++) {
        const field = 'f'.repeat(random.below(3)) + random.below(packedElementsMax * 2)
        const growing = Math.floor(step / 700) % 2 === 0
        if (random.chance(growing ? 0.75 : 0.25)) {
          const text = 'v'.repeat(random.below(random.chance(0.01) ? 1_500 : 12))
          database.write((transaction) => transaction.hashSet('h', field, text))
          model.set(field, text)
        } else {
          // One that is there, mostly: it is to shrink below the limit again.
          const fields = [random.pick([...model.keys(), field]), String(random.below(packedElementsMax))]
          database.write((transaction) => transaction.hashDelete('h', fields))
          for (const gone of fields) model.delete(gone)
        }
        if (timed && random.chance(0.05))
          database.write((transaction) => transaction.expire('h', startMs + 99_000))
        if (model.size > 0) database.isPacked('h') ? packed++ : unpacked++
        if (step % 50 === 0) expect(new Map(database.fields('h'))).toEqual(model)
      }
      expect(Math.min(packed, unpacked)).toBeGreaterThan(5)
      database.write((transaction) => transaction.delete('h'))
      expect([database.db.size, database.db.expiring, database.db.usedBytes]).toEqual([0, 0, 0])
    }
  })

  test('keeps the order of first insertion, and counts in one field make it a full state', () => {
    const database = new Database()
    for (const field of ['c', 'a', 'b', 'a'])
      database.write((transaction) => transaction.hashSet('h', field, field + field))
    expect(database.fields('h')).toEqual([
      ['c', 'cc'],
      ['a', 'aa'],
      ['b', 'bb'],
    ])
    expect(database.isPacked('h')).toBe(true)
    database.write((transaction) => transaction.hashIncrement('h', 'n', 2))
    expect(database.isPacked('h')).toBe(false)
    expect(database.db.hash('h')?.get('n')).toBe('2')
    database.write((transaction) => transaction.hashDelete('h', ['n']))
    expect(database.fields('h')).toHaveLength(3)
  })

  test('with its bytes: any, and names that begin alike', () => {
    const database = new Database()
    const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')
    for (const field of ['', 'a', 'aa', bytes])
      database.write((transaction) => transaction.hashSet('h', field, bytes + field))
    expect(database.fields('h').map(([field]) => field)).toEqual(['', 'a', 'aa', bytes])
  })
})

describe('a small set', () => {
  test('is like a set while it grows, shrinks and crosses the limit', () => {
    const random = new SeededRandom(seedFromEnv())
    const database = new Database()
    const model = new Set<string>()
    for (let step = 0; step < 3_000; step++) {
      const members = Array.from({ length: 1 + random.below(3) }, () =>
        String(random.below(packedElementsMax * 2)),
      )
      const growing = Math.floor(step / 700) % 2 === 0
      if (random.chance(growing ? 0.7 : 0.3)) {
        database.write((transaction) => transaction.setAdd('s', members))
        for (const member of members) model.add(member)
      } else {
        database.write((transaction) => transaction.setRemove('s', members))
        for (const member of members) model.delete(member)
      }
      expect(database.db.set('s')?.size ?? 0).toBe(model.size)
      if (step % 50 === 0) expect(new Set(database.db.set('s')?.members() ?? [])).toEqual(model)
    }
  })

  test('a random member is any of them', () => {
    const random = new SeededRandom(seedFromEnv())
    const database = new Database()
    database.write((transaction) => transaction.setAdd('s', ['a', 'b', 'c', 'd']))
    const met = new Set(Array.from({ length: 200 }, () => database.db.set('s')?.randomMember(random)))
    expect([...met].sort()).toEqual(['a', 'b', 'c', 'd'])
  })
})

test('a slot with small hashes and sets goes over whole', () => {
  const [here, there] = [new Database(), new Database()]
  here.write((transaction) => {
    transaction.hashSet('{t}h', 'f', 'v')
    transaction.setAdd('{t}s', ['x', 'y'])
    transaction.expire('{t}s', startMs + 5_000)
  })
  const writer = new ByteWriter()
  const slot = slotOfKey('{t}')
  here.db.encodeSlot(slot, writer)
  there.db.mergeSlot(slot, here.db.vectors.of(slot).slice(), writer.bytes, 0, writer.length)
  expect(there.isPacked('{t}h')).toBe(true)
  expect(there.db.slotDigest(slot)).toBe(here.db.slotDigest(slot))
  expect(there.db.expireAtMs('{t}s')).toBe(startMs + 5_000)
})

test('takes little memory', () => {
  const database = new Database()
  const count = 2_000
  for (let i = 0; i < count; i++)
    database.write((transaction) => {
      transaction.hashSet(`hash:${String(i).padStart(11, '0')}`, 'field', 'value')
      transaction.setAdd(`set:${String(i).padStart(12, '0')}`, ['member'])
    })
  expect(database.db.usedBytes / count / 2).toBeLessThan(90)
})
