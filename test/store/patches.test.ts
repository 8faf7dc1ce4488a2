/** Long strings that are changed where they lie: against plain copies, and with a replica that gets the records. */
import { beforeEach, describe, expect, test } from 'vitest'
import { bulkBytesMax } from '#protocol/resp/requestScanner.ts'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { grownCopy } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { textBytesMax } from '#server/crdt/register.ts'
import { Arena, pagedBytesMax, reservingBytesMin } from '#server/store/arena.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const nowMs = Date.UTC(2026, 0, 1)
const ranges = [{ first: 0, last: slotCount - 1 }]
const MiB = 1024 * 1024
const keep = { kind: 'keep' } as const
const clear = { kind: 'clear' } as const

class Database {
  readonly db: Keyspace
  readonly write: Transaction
  /** The last one. */
  record: Uint8Array = new Uint8Array(0)
  recordBytes = 0
  readonly #peer: Keyspace | undefined

  constructor(clusterId: number, peer?: Keyspace, patchedBytesMin?: number) {
    const origin = originOfCluster(clusterId)
    this.db = new Keyspace({ origin, ranges, ...(patchedBytesMin === undefined ? {} : { patchedBytesMin }) })
    this.write = new Transaction(this.db, new StampClock(origin))
    this.#peer = peer
  }

  change(intents: (write: Transaction) => void): void {
    const writer = new ByteWriter()
    this.write.begin(nowMs)
    intents(this.write)
    if (!this.write.finish(writer)) return
    this.recordBytes = writer.length
    this.record = writer.bytes.slice(0, writer.length)
    const reader = new RecordReader()
    reader.read(writer.bytes, 0, writer.length)
    for (const part of reader.parts.slice(0, reader.partCount)) {
      expect(this.#peer?.lacksBase(part, writer.bytes)).not.toBe(true)
      this.#peer?.apply(part, writer.bytes)
    }
  }
}

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte)

function patchedCopy(old: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
  const copy = grownCopy(old, offset + bytes.length)
  copy.set(bytes, offset)
  return copy
}

describe('random changes of strings of all lengths', () => {
  const lengths = [
    0,
    1,
    20,
    100,
    pagedBytesMax - 20,
    pagedBytesMax,
    pagedBytesMax + 1,
    16_384,
    30_000,
    70_000,
  ]

  test.each([
    ['as in production', undefined],
    ['the short ones, too', 0],
  ])('%s', (_, patchedBytesMin) => {
    const random = new SeededRandom(seedFromEnv())
    const peer = new Keyspace({ origin: originOfCluster(2), ranges })
    const own = new Database(1, peer, patchedBytesMin)
    const told = new Map<string, Uint8Array>()
    const keys = ['a', 'b', 'key of a longer name'.repeat(20), 'n'.repeat(pagedBytesMax)]
    for (let step = 0; step < 1500; step++) {
      const key = random.pick(keys)
      const old = told.get(key) ?? filled(0, 0)
      const bytes = filled(random.pick([1, 3, 100, random.below(9_000)]), 1 + random.below(255))
      const x = random.below(20)
      if (x === 0) {
        own.change((write) => write.delete(key))
        told.delete(key)
      } else if (x < 4) {
        const value = filled(random.pick(lengths), random.below(256))
        own.change((write) => write.setStringBytes(key, value, random.chance(0.5) ? clear : keep))
        told.set(key, value)
      } else if (x === 4 && told.has(key)) {
        own.change((write) =>
          write.expire(key, random.chance(0.5) ? nowMs + 50_000 : Number.POSITIVE_INFINITY),
        )
      } else {
        const offset = x < 12 ? old.length : random.below(old.length + 100)
        own.change((write) => write.patchString(key, offset, bytes))
        told.set(key, patchedCopy(old, offset, bytes))
      }
      for (const db of [own.db, peer])
        expect(Buffer.compare(db.stringBytes(key) ?? filled(0, 0), told.get(key) ?? filled(0, 0))).toBe(0)
    }
    for (const key of keys) expect(peer.slotDigest(slotOfKey(key))).toBe(own.db.slotDigest(slotOfKey(key)))
    for (const key of keys) own.change((write) => write.delete(key))
    expect([own.db.size, peer.size]).toEqual([0, 0])
    const empty = new Keyspace({ origin: originOfCluster(3), ranges }).usedBytes
    expect(own.db.usedBytes - empty).toBeLessThan(1000)
  })
})

describe('a long string', () => {
  let own: Database
  let peer: Database
  beforeEach(() => {
    peer = new Database(2)
    own = new Database(1, peer.db)
    own.change((write) => write.setStringBytes('k', filled(40_000, 7), clear))
  })

  test('is changed by a record of some tens of bytes', () => {
    expect(own.recordBytes).toBeGreaterThan(40_000)
    own.change((write) => write.patchString('k', 12_345, Uint8Array.of(1)))
    expect(own.recordBytes).toBeLessThan(60)
    own.change((write) => write.patchString('k', 40_000, filled(10, 2)))
    expect(own.recordBytes).toBeLessThan(60)
    expect(peer.db.stringBytes('k')?.length).toBe(40_010)
    expect([...(peer.db.stringBytes('k', 12_344, 12_347) ?? [])]).toEqual([7, 1, 7])
  })

  test('is told to be touched, here and there', () => {
    const touched: string[] = []
    own.db.onTouched = (key) => touched.push(`own ${key}`)
    peer.db.onTouched = (key) => touched.push(`peer ${key}`)
    own.change((write) => write.patchString('k', 1, Uint8Array.of(1)))
    expect(touched).toEqual(['own k', 'peer k'])
  })

  test('goes as a whole when little of it stays', () => {
    own.change((write) => write.patchString('k', 1, filled(30_000, 1)))
    expect(own.recordBytes).toBeGreaterThan(40_000)
  })

  const expiringAt = (): unknown[] =>
    [own.db, peer.db].map((db) => [db.expireAtMs('k'), db.expiring, db.tables.state(db.tables.findText('k'))])
  const patchedWithFew = (): void => {
    own.change((write) => write.patchString('k', 1, Uint8Array.of(1)))
    expect(own.recordBytes).toBeLessThan(60)
    own.change((write) => write.patchString('k', own.db.stringBytes('k')?.length ?? 0, filled(10, 2)))
    expect(own.recordBytes).toBeLessThan(60)
  }

  test('keeps its TTL when it is patched, wherever that came from, and never leaves its place', () => {
    const kept = [nowMs + 9_000, 1, undefined]
    own.change((write) => write.setStringBytes('k', filled(40_000, 7), { kind: 'at', atMs: nowMs + 9_000 }))
    patchedWithFew()
    expect(expiringAt()).toEqual([kept, kept])
    own.change((write) => write.setStringBytes('k', filled(40_000, 7), clear))
    own.change((write) => write.expire('k', nowMs + 9_000))
    expect(expiringAt()).toEqual([kept, kept])
    patchedWithFew()
    expect(expiringAt()).toEqual([kept, kept])
    own.change((write) => write.expire('k', nowMs + 8_000))
    expect(own.db.expireAtMs('k')).toBe(nowMs + 8_000)
  })

  test('that has been persisted is patched, replaced and deleted like one that never expired', () => {
    const none = [Number.POSITIVE_INFINITY, 0, undefined]
    for (const end of [
      () => patchedWithFew(),
      () => own.change((write) => write.setStringBytes('k', filled(40_000, 8), clear)),
      () => {
        own.change((write) => write.delete('k'))
        expect([own.db.size, peer.db.size, own.db.expiring, own.db.residues]).toEqual([0, 0, 0, 0])
        own.change((write) => write.setStringBytes('k', filled(40_000, 8), clear))
      },
    ]) {
      own.change((write) => write.expire('k', nowMs + 9_000))
      own.change((write) => write.expire('k', Number.POSITIVE_INFINITY))
      expect(expiringAt()).toEqual([none, none])
      end()
      expect(expiringAt()).toEqual([none, none])
      expect(peer.db.slotDigest(slotOfKey('k'))).toBe(own.db.slotDigest(slotOfKey('k')))
    }
  })

  test('of which an EXEC changes several parts is patched each time, also when the EXEC has made it', () => {
    own.change((write) => {
      write.patchString('k', 1, Uint8Array.of(1))
      write.patchString('k', 3, Uint8Array.of(3))
      write.setStringBytes('l', filled(20_000, 1), clear)
      write.patchString('l', 2, Uint8Array.of(9))
      write.patchString('l', 20_000, Uint8Array.of(8))
    })
    expect(own.recordBytes).toBeLessThan(20_200)
    expect([...(peer.db.stringBytes('k', 0, 5) ?? [])]).toEqual([7, 1, 7, 3, 7])
    expect([...(peer.db.stringBytes('l', 1, 4) ?? [])]).toEqual([1, 9, 1])
    expect(peer.db.stringBytes('l')?.at(-1)).toBe(8)
  })

  test('that another write has covered there is left as it is, and is lacking', () => {
    const writer = new ByteWriter()
    own.write.begin(nowMs)
    own.write.patchString('k', 0, Uint8Array.of(1))
    own.write.finish(writer)
    peer.change((write) => write.setStringBytes('k', filled(20_000, 5), clear))
    const reader = new RecordReader()
    reader.read(writer.bytes, 0, writer.length)
    const [part] = reader.parts
    if (part === undefined) throw new Error('no part')
    expect(peer.db.lacksBase(part, writer.bytes)).toBe(true)
    const before = peer.db.slotDigest(slotOfKey('k'))
    peer.db.apply(part, writer.bytes)
    expect(peer.db.slotDigest(slotOfKey('k'))).toBe(before)
  })
})

test('a text may become as long as an argument', () => {
  expect(textBytesMax).toBe(bulkBytesMax)
})

test('a replay over a key that was cut later than its label ends as life did, TTL writes included', () => {
  const own = new Database(1)
  const slot = slotOfKey('k')
  own.change((write) => write.setStringBytes('k', filled(20_000, 1), clear))
  const label = own.db.vectors.of(slot).slice()
  const records = [
    (write: Transaction) => write.expire('k', nowMs + 9_000),
    (write: Transaction) => write.patchString('k', 5, Uint8Array.of(5)),
    (write: Transaction) => write.expire('k', Number.POSITIVE_INFINITY),
    (write: Transaction) => write.patchString('k', 6, Uint8Array.of(6)),
    (write: Transaction) => write.patchString('k', 7, Uint8Array.of(7)),
  ].map((change) => {
    own.change(change)
    return own.record
  })
  const cut = new ByteWriter()
  own.db.encodeSlotPart(slot, 0, 1, cut)
  const started = new Keyspace({ origin: originOfCluster(1), ranges })
  started.nowMs = nowMs
  started.loadSlotPart(slot, label, cut.bytes, 0, cut.length)
  const reader = new RecordReader()
  for (const record of records) {
    reader.read(record, 0, record.length)
    for (const part of reader.parts.slice(0, reader.partCount)) started.apply(part, record)
  }
  expect(started.slotDigest(slot)).toBe(own.db.slotDigest(slot))
  expect([started.expiring, started.residues]).toEqual([0, 0])
  expect([...(started.stringBytes('k', 4, 9) ?? [])]).toEqual([1, 5, 6, 7, 1])
})

describe('growth of a large block', () => {
  test('keeps ref and content, and doubles what it takes', () => {
    const arena = new Arena()
    const ref = arena.allocate(20_000)
    arena.bytes(ref).fill(3, 1)
    const buffers = new Set<Uint8Array>()
    for (let size = 20_001; size < 600_000; size += 1_000) {
      arena.extend(ref, size, 1_000_000)
      buffers.add(arena.bytes(ref))
      expect(arena.bytes(ref).length).toBeGreaterThanOrEqual(size)
    }
    expect(
      arena
        .bytes(ref)
        .subarray(1, 20_000)
        .every((byte) => byte === 3),
    ).toBe(true)
    expect(buffers.size).toBeLessThan(8)
    expect(arena.sizeBytes(ref)).toBe(arena.usedBytes)
    expect(arena.usedBytes).toBeGreaterThan(arena.bytes(ref).length)
    arena.free(ref)
    expect([arena.usedBytes, arena.largeBytes]).toEqual([0, 0])
  })

  test('never goes beyond the greatest length', () => {
    const arena = new Arena()
    const ref = arena.allocate(20_000)
    arena.extend(ref, 20_001, 25_000)
    expect(arena.bytes(ref).length).toBe(25_000)
  })

  test('from 32 MiB on needs no copy, and takes what is in use', () => {
    const arena = new Arena()
    const ref = arena.allocate(reservingBytesMin + 1, 100 * MiB)
    const bytes = arena.bytes(ref)
    expect(arena.usedBytes).toBeLessThan(reservingBytesMin + 1000)
    for (const size of [40 * MiB, 41 * MiB, 100 * MiB]) {
      arena.extend(ref, size, 100 * MiB)
      expect(arena.bytes(ref)).toBe(bytes)
      expect(arena.usedBytes).toBeLessThan(size + 1000)
    }
    arena.free(ref)
    expect([arena.usedBytes, arena.largeBytes]).toEqual([0, 0])
  })

  test('reserves when it gets there', () => {
    const arena = new Arena()
    const ref = arena.allocate(30 * MiB, 100 * MiB)
    expect(arena.bytes(ref).length).toBe(30 * MiB)
    arena.extend(ref, 33 * MiB, 100 * MiB)
    const bytes = arena.bytes(ref)
    expect(bytes.length).toBe(100 * MiB)
    expect(arena.usedBytes).toBeLessThan(33 * MiB + 1000)
    arena.free(ref)
  })

  test('of a string: memory is what it holds, up to the longest there may be', () => {
    const own = new Database(1)
    own.change((write) => write.setStringBytes('k', filled(33 * MiB, 1), clear))
    expect(own.db.memoryUsage('k')).toBeLessThan(33 * MiB + 1000)
    own.change((write) => write.patchString('k', 33 * MiB, filled(MiB, 2)))
    expect(own.db.memoryUsage('k')).toBeLessThan(34 * MiB + 1000)
    expect(own.recordBytes).toBeLessThan(MiB + 100)
    own.change((write) => write.patchString('k', textBytesMax - 1, Uint8Array.of(3)))
    expect(own.db.stringBytes('k')?.length).toBe(textBytesMax)
    expect([...(own.db.stringBytes('k', 34 * MiB - 1, 34 * MiB + 1) ?? [])]).toEqual([2, 0])
    expect([...(own.db.stringBytes('k', textBytesMax - 2) ?? [])]).toEqual([0, 3])
    own.change((write) => write.delete('k'))
    expect(own.db.usedBytes).toBeLessThan(100_000)
  }, 60_000)
})
