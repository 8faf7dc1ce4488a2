/** Which fields this cluster deletes when, and what of them lies in memory. */
import { beforeEach, expect, test } from 'vitest'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { type Origin, originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { FieldTtls } from '#server/crdt/fieldTtls.ts'
import { HashState } from '#server/crdt/hash.ts'
import { KeyState } from '#server/crdt/keyState.ts'
import { Sibling } from '#server/crdt/register.ts'
import { Strnum } from '#server/crdt/strnum.ts'
import { writeFullField } from '#server/crdt/strnumCodec.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const startMs = Date.UTC(2026, 0, 1)
const never = Number.POSITIVE_INFINITY

class Cluster {
  readonly db: Keyspace
  readonly #write: Transaction
  nowMs = startMs

  constructor(origin: Origin) {
    this.db = new Keyspace({ origin, ranges: [{ first: 0, last: slotCount - 1 }] })
    this.#write = new Transaction(this.db, new StampClock(origin))
    this.at(startMs)
  }

  at(ms: number): void {
    this.nowMs = ms
    this.db.nowMs = ms
  }

  commit(intents: (write: Transaction) => void): void {
    this.#write.begin(this.nowMs)
    intents(this.#write)
    this.#write.finish(new ByteWriter())
  }

  /** Deletes what is due, as the shard does in a tick. */
  tick(): void {
    for (;;) {
      const keys = this.db.dueExpiries(64)
      let left = 0
      this.commit((write) => {
        for (const key of keys) left += write.deleteDue(key)
      })
      if (!this.db.hasDueExpiries && left === 0) return
    }
  }

  get fields(): string[] {
    return [...(this.db.tables.stateOf(this.db.tables.findText('h')).hash?.fields() ?? [])]
  }
}

let a: Cluster

beforeEach(() => {
  a = new Cluster(originOfCluster(1))
})

test('a field is deleted by its owner a second after its time, and the key with the last', () => {
  a.commit((write) => {
    write.hashSet('h', 'f', 'v')
    write.hashSet('h', 'g', 'v')
    write.hashExpire('h', ['f'], startMs + 5_000)
    write.hashExpire('h', ['g'], startMs + 9_000)
  })
  a.at(startMs + 5_900)
  a.tick()
  expect(a.fields.sort()).toEqual(['f', 'g'])
  a.at(startMs + 6_250)
  a.tick()
  expect(a.fields).toEqual(['g'])
  expect(a.db.expiring).toBe(0)
  a.at(startMs + 10_250)
  a.tick()
  expect(a.db.size).toBe(0)
  expect([a.db.tables.expiringHashes, a.db.hasDueExpiries, a.db.residues]).toEqual([0, false, 0])
})

test("another's field is deleted after thirty seconds", () => {
  const b = new Cluster(originOfCluster(2))
  a.commit((write) => {
    write.hashSet('h', 'f', 'v')
    write.hashSet('h', 'stays', 'v')
    write.hashExpire('h', ['f'], startMs + 5_000)
  })
  const writer = new ByteWriter()
  const slot = slotOfKey('h')
  a.db.encodeSlot(slot, writer)
  const bytes = writer.take()
  b.db.mergeSlot(slot, a.db.vectors.of(slot).slice(), bytes, 0, bytes.length)
  for (let second = 6; second < 35; second++) {
    b.at(startMs + second * 1_000)
    b.tick()
    expect(b.db.hash('h')?.size).toBe(1)
    expect(b.fields.length).toBe(2)
  }
  // Looked at every second meanwhile.
  for (const ms of [36_000, 36_500, 37_000, 37_500]) {
    b.at(startMs + ms)
    b.tick()
  }
  expect(b.fields).toEqual(['stays'])
})

test('many fields due at once go in steps, without a pause between them', () => {
  const fields = Array.from({ length: 4_500 }, (_, i) => `f${i}`)
  a.commit((write) => {
    for (const field of fields) write.hashSet('h', field, 'v')
    write.hashExpire('h', fields, startMs + 5_000)
  })
  a.at(startMs + 7_000)
  const keys = a.db.dueExpiries(64)
  a.commit((write) => {
    for (const key of keys) expect(write.deleteDue(key)).toBe(3_500)
  })
  expect(a.fields.length).toBe(3_500)
  a.tick()
  expect(a.db.size).toBe(0)
})

test('a hash without field TTLs is packed, before and after', () => {
  const tables = a.db.tables
  const isPacked = (): boolean => tables.packed(tables.findText('h')) !== undefined
  a.commit((write) => void write.hashSet('h', 'f', 'v'))
  expect(isPacked()).toBe(true)
  a.commit((write) => write.hashExpire('h', ['f'], startMs + 5_000))
  expect(isPacked()).toBe(false)
  expect(tables.expiringHashes).toBe(1)
  a.commit((write) => void write.hashSet('h', 'f', 'w'))
  expect(isPacked()).toBe(true)
  expect(tables.expiringHashes).toBe(0)
})

test('entries of the wheel are rebuilt with those of hashes', () => {
  a.commit((write) => {
    write.hashSet('h', 'f', 'v')
    write.hashSet('h', 'g', 'v')
    write.hashExpire('h', ['f'], startMs + 5_000_000)
  })
  const tables = a.db.tables
  tables.wheel.beginRebuild()
  while (tables.wheel.isRebuilding) a.db.tidyExpiries()
  a.at(startMs + 5_002_000)
  a.tick()
  expect(a.fields).toEqual(['g'])
})

test('fields in conflict of a state from before there were field TTLs count as having none', () => {
  const writer = new ByteWriter()
  const state = new Strnum()
  const stamps = [8_000_007, 8_000_006 + 8]
  state.siblings = stamps.sort((x, y) => x - y).map((stamp) => new Sibling(stamp, 'v', true))
  writer.varint(1)
  writer.text('f')
  writeFullField(writer, state)
  const hash = HashState.decode(new ByteReader(writer.bytes, 0, writer.length))
  hash.writeFieldTtl(new Float64Array(8), 9_000_007, 'f', startMs)
  expect(hash.expireAtMs('f')).toBe(never)
})

test('a peer that gives no fields a TTL leaves nothing behind', () => {
  const state = new KeyState()
  state.writeFieldTtl(new Float64Array(8), 9_000_007, [], startMs)
  expect(state.nothing).toBe(true)
})

test('a field of a state is not told twice, with a TTL either', () => {
  const hash = new HashState()
  hash.writeFieldTtl(new Float64Array(8), 9_000_007, 'f', startMs)
  const once = new ByteWriter()
  hash.encode(once)
  const twice = new ByteWriter()
  twice.varint(2)
  for (let i = 0; i < 2; i++) twice.raw(once.bytes, 1, once.length)
  expect(HashState.decode(new ByteReader(once.bytes, 0, once.length)).hasGhost).toBe(true)
  expect(() => HashState.decode(new ByteReader(twice.bytes, 0, twice.length))).toThrow(FormatError)
})

test('the first and all passed times of fields are as a plain list has them', () => {
  const random = new SeededRandom(seedFromEnv())
  const ttls = new FieldTtls()
  const told = new Map<string, number>()
  for (let step = 0; step < 20_000; step++) {
    const name = `f${random.below(40)}`
    const atMs = random.chance(0.2) ? never : 1 + random.below(100)
    if (random.chance(0.3)) {
      ttls.set(name, [], never, false)
      told.delete(name)
    } else {
      const isGhost = random.chance(0.1)
      ttls.set(name, [{ stamp: step + 1, expireAtMs: atMs }], isGhost ? never : atMs, isGhost)
      told.set(name, isGhost ? never : atMs)
    }
    if (random.chance(0.7)) continue
    const nowMs = random.below(110)
    const passed = [...told].filter(([, ms]) => nowMs > ms).map(([field]) => field)
    expect([...ttls.passed(nowMs)].sort()).toEqual(passed.sort())
    expect(ttls.soonestMs()).toBe(Math.min(never, ...told.values()))
    expect(ttls.size).toBe(told.size)
  }
})
