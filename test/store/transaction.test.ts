import { beforeEach, describe, expect, test } from 'vitest'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { RecordReader } from '#protocol/sync/record.ts'
import { originOf, originOfCluster, StampClock, stampStep } from '#protocol/sync/stamp.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { InvariantError } from '#runtime/invariant.ts'
import { parseAmount } from '#server/crdt/amount.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'

const nowMs = Date.UTC(2026, 0, 1)
const origin = originOfCluster(2)
const ranges = [{ first: 0, last: slotCount - 1 }]

let db: Keyspace
let write: Transaction
let touched: string[]

beforeEach(() => {
  db = new Keyspace({ origin, ranges })
  write = new Transaction(db, new StampClock(origin))
  touched = []
  db.onTouched = (key) => touched.push(key)
})

function commit(intents: () => void): Uint8Array {
  const writer = new ByteWriter()
  write.begin(nowMs)
  intents()
  write.finish(writer)
  return writer.take()
}

function partsOf(bytes: Uint8Array) {
  const reader = new RecordReader()
  expect(reader.read(bytes, 0, bytes.length)).toBe(bytes.length)
  return reader.parts.slice(0, reader.partCount)
}

describe('the record', () => {
  test('has a part for each slot, whose stamps go on from the last', () => {
    const [first] = partsOf(commit(() => write.setString('a', '1', { kind: 'clear' })))
    const parts = partsOf(
      commit(() => {
        write.setString('a', '2', { kind: 'clear' })
        write.setString('b', '2', { kind: 'clear' })
        write.setAdd('{a}s', ['x'])
      }),
    )
    expect(parts.map((part) => part.slot)).toEqual([slotOfKey('a'), slotOfKey('b')])
    const [a, b] = parts
    expect(a?.previous).toBe(first?.last)
    expect(b?.previous).toBe(0)
    expect((a?.last ?? 0) - (a?.first ?? 0)).toBe(2 * stampStep)
    expect(originOf(a?.first ?? 0)).toBe(origin)
    expect(db.vectors.get(slotOfKey('a'), origin)).toBe(a?.last)
    expect(db.vectors.get(slotOfKey('b'), origin)).toBe(b?.last)
  })

  test('is not there when nothing was written', () => {
    const bytes = commit(() => {
      expect(write.delete('none')).toBe(false)
      expect(write.expire('none', nowMs + 1)).toBe(false)
      expect(write.hashDelete('none', ['f'])).toBe(0)
      expect(write.setRemove('none', ['m'])).toBe(0)
      expect(write.setAdd('none', [])).toBe(0)
      write.flushSlot(slotOfKey('none'))
      expect(write.written).toBe(false)
    })
    expect(bytes.length).toBe(0)
    expect(touched).toEqual([])
  })

  test('may have a part for every slot', () => {
    const keys = Array.from({ length: 300 }, (_, at) => `k${at}`)
    const twice = (): void => {
      for (const key of keys) write.setString(key, 'v', { kind: 'clear' })
      for (const key of keys) write.setAdd(`{${key}}s`, ['x'])
    }
    const slots = new Set(keys.map(slotOfKey))
    expect(partsOf(commit(twice)).map((part) => part.slot)).toEqual([...slots])
    expect(partsOf(commit(() => write.delete('k0')))).toHaveLength(1)
    expect(partsOf(commit(twice))).toHaveLength(slots.size)
  })

  test('replayed elsewhere gives the same slot', () => {
    const peer = new Keyspace({ origin: originOfCluster(1), ranges })
    const bytes = commit(() => {
      write.setString('{k}s', 'v', { kind: 'at', atMs: nowMs + 5_000 })
      write.increment('{k}c', 5)
      write.increment('{k}c', parseAmount('0.5') ?? 0)
      write.hashSet('{k}h', 'f', 'v')
      write.hashIncrement('{k}h', 'n', -3)
      write.hashDelete('{k}h', ['f'])
      write.setAdd('{k}m', ['x', 'y'])
      write.setRemove('{k}m', ['x'])
      write.delete('{k}c')
      write.increment('{k}c', 7)
    })
    for (const part of partsOf(bytes)) peer.apply(part, bytes)
    expect(peer.slotDigest(slotOfKey('{k}'))).toBe(db.slotDigest(slotOfKey('{k}')))
    expect(peer.string('{k}c')).toBe('7')
  })

  test('a part that does not continue its chain is a broken invariant', () => {
    const peer = new Keyspace({ origin: originOfCluster(1), ranges })
    const first = commit(() => write.setString('k', '1', { kind: 'clear' }))
    const second = commit(() => write.setString('k', '2', { kind: 'clear' }))
    const apply = (bytes: Uint8Array): void => {
      for (const part of partsOf(bytes)) peer.apply(part, bytes)
    }
    expect(() => apply(second)).toThrow(InvariantError)
    apply(first)
    expect(() => apply(first)).toThrow(InvariantError)
    apply(second)
    expect(peer.string('k')).toBe('2')
  })
})

describe('intents', () => {
  test('see what those before them wrote', () => {
    commit(() => {
      write.setString('c', '10', { kind: 'clear' })
      expect(write.increment('c', 5)).toBe('15')
      expect(write.increment('c', parseAmount('0.25') ?? 0)).toBe('15.25')
      write.setString('c', 'x', { kind: 'clear' })
      expect(db.string('c')).toBe('x')
      expect(write.delete('c')).toBe(true)
      expect(write.increment('c', 1)).toBe('1')
    })
    expect(db.size).toBe(1)
  })

  test('say what was new and what was there', () => {
    commit(() => {
      expect(write.hashSet('h', 'f', '1')).toBe(true)
      expect(write.hashSet('h', 'f', '2')).toBe(false)
      expect(write.hashDelete('h', ['f', 'f', 'none'])).toBe(1)
      expect(write.setAdd('s', ['x', 'y', 'x'])).toBe(2)
      expect(write.setAdd('s', ['x', 'z'])).toBe(1)
      expect(write.setRemove('s', ['x', 'x', 'none', 'y', 'z'])).toBe(3)
    })
    expect([db.type('h'), db.type('s'), db.size]).toEqual(['none', 'none', 0])
  })

  test('SET over another type replaces it; its TTL goes, or stays with KEEPTTL', () => {
    commit(() => {
      write.setAdd('a', ['x'])
      write.setAdd('b', ['x'])
      write.expire('a', nowMs + 9_000)
      write.expire('b', nowMs + 9_000)
      write.setString('a', 'v', { kind: 'clear' })
      write.setString('b', 'v', { kind: 'keep' })
    })
    expect([db.string('a'), db.expireAtMs('a')]).toEqual(['v', Infinity])
    expect([db.string('b'), db.expireAtMs('b')]).toEqual(['v', nowMs + 9_000])
  })

  test('a write of a type that does not show is a bug of the caller', () => {
    commit(() => {
      write.setAdd('set', ['x'])
      write.setString('text', 'v', { kind: 'clear' })
    })
    write.begin(nowMs)
    expect(() => write.increment('set', 1)).toThrow(InvariantError)
    expect(() => write.hashSet('text', 'f', 'v')).toThrow(InvariantError)
  })

  test('flush removes the slot, counters included', () => {
    commit(() => {
      write.setString('{k}a', 'v', { kind: 'at', atMs: nowMs + 1_000 })
      write.increment('{k}b', 5)
      write.hashIncrement('{k}c', 'f', 5)
      write.setAdd('{k}d', ['x'])
      write.setString('other', 'v', { kind: 'clear' })
      write.flushSlot(slotOfKey('{k}'))
    })
    expect([db.size, db.expiring]).toEqual([1, 0])
    commit(() => {
      expect(write.increment('{k}b', 2)).toBe('2')
      expect(write.hashIncrement('{k}c', 'f', 2)).toBe('2')
    })
  })

  test('tell the keys they touch, as delivered effects and flushes do', () => {
    const record = commit(() => {
      write.setString('a', 'v', { kind: 'clear' })
      write.setAdd('b', ['x'])
      write.expire('b', nowMs + 1_000)
    })
    expect(touched).toEqual(['a', 'b', 'b'])
    touched = []
    commit(() => write.flushSlot(slotOfKey('a')))
    expect(touched).toEqual(['a'])
    const peer = new Keyspace({ origin: originOfCluster(1), ranges })
    const heard: string[] = []
    peer.onTouched = (key) => heard.push(key)
    for (const part of partsOf(record)) peer.apply(part, record)
    expect(heard.sort()).toEqual(['a', 'b', 'b'])
  })
})
