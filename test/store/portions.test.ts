/** Digests of portions: equal where all that a slot state has is equal, whatever order it lies in, and different where anything differs. */
import { expect, test } from 'vitest'
import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { KeyedHash } from '#server/store/keyedHash.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { PortionDigests, PortionSet, Portions } from '#server/store/portions.ts'
import { walkSlot } from '#server/store/slotWalk.ts'
import { Transaction } from '#server/store/transaction.ts'

const slot = slotOfKey('{k}')
const nowMs = Date.UTC(2026, 0, 1)
const key = Uint8Array.from({ length: 16 }, (_, i) => 7 * i + 1)

class Side {
  readonly db: Keyspace
  readonly write: Transaction

  constructor(hashSeed: number, cluster = 1) {
    const ranges = [{ first: 0, last: slotCount - 1 }]
    this.db = new Keyspace({ origin: originOfCluster(cluster), ranges, hashSeed })
    this.write = new Transaction(this.db, new StampClock(originOfCluster(cluster)))
  }

  do(run: (write: Transaction) => void): this {
    this.write.begin(nowMs)
    run(this.write)
    this.write.finish(new ByteWriter())
    return this
  }

  digests(bits = 3, bytesWanted = 1): PortionDigests {
    const digests = new PortionDigests(new Portions({ bits, key }))
    let position = 0
    do
      position = walkSlot(this.db.tables, slot, position, bytesWanted, (ref) =>
        digests.add(this.db.tables, ref),
      )
    while (position > 0)
    return digests
  }

  /** Another with all of this one's state. */
  copy(hashSeed: number): Side {
    const copy = new Side(hashSeed)
    const state = new ByteWriter()
    this.db.encodeSlot(slot, state)
    copy.db.mergeSlot(slot, this.db.vectors.of(slot).slice(), state.bytes, 0, state.length)
    return copy
  }
}

// The vectors that its authors publish: inputs 0, 1, 2... under the key 0 to 7.
test.each([
  [0, '218d1f59b9b83cc8'],
  [1, 'be552412f8387315'],
  [2, '064f39ef7c50eb57'],
  [3, 'ce0f1a45f7060679'],
  [4, 'd5e78a175be52ea1'],
  [15, '217d0bcb4e81c902'],
  [16, '7336aad25f7bf3b5'],
])('HalfSipHash-2-4 of %i bytes', (length, wanted) => {
  const numbers = Uint8Array.from({ length: 16 }, (_, i) => i)
  const hash = new KeyedHash(Uint8Array.from({ length: 16 }, (_, i) => i & 7))
  hash.update(numbers, 0, length)
  const writer = new ByteWriter()
  for (const word of hash.words) writer.u32(word)
  const hex = [...writer.view()].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  expect(hex).toBe(wanted + wanted)
})

test('the halves of a hash have keys of their own', () => {
  const hash = new KeyedHash(key)
  hash.update(key, 0, 16)
  const [a, b, c, d] = hash.words
  expect([a, b]).not.toEqual([c, d])
})

function filled(hashSeed: number): Side {
  const side = new Side(hashSeed)
  side.do((write) => {
    for (let i = 0; i < 50; i++) write.setString(`{k}${i}`, `text ${i}`, { kind: 'clear' })
    for (let i = 0; i < 100; i++) {
      write.hashSet('{k}hash', `field ${i}`, `${i}`)
      write.setAdd('{k}set', [`member ${i}`])
    }
    write.zsetAdd('{k}scores', 'a', 1)
    write.listPush('{k}list', 'right', ['x', 'y'])
    write.increment('{k}counter', 7)
  })
  return side
}

test('equal states have equal digests, in another order, in small steps and large ones', () => {
  const one = filled(1)
  const other = one.copy(2)
  // What was removed and has come back lies elsewhere.
  const without = one.copy(3)
  without.do((write) => {
    write.setRemove('{k}set', ['member 3'])
    write.hashDelete('{k}hash', ['field 5'])
  })
  other.do((write) => {
    write.setAdd('{k}set', ['another'])
    write.hashSet('{k}hash', 'another', 'x')
  })
  const back = new ByteWriter()
  other.db.encodeSlot(slot, back)
  const both = without.copy(4)
  both.db.mergeSlot(slot, other.db.vectors.of(slot).slice(), back.bytes, 0, back.length)
  const again = both.copy(5)
  expect(both.digests().compare(again.digests(3, 1 << 20).encode()).count).toBe(0)
  expect(one.digests().compare(one.copy(6).digests().encode()).count).toBe(0)
})

test.each<[string, (write: Transaction) => void]>([
  ['a text', (write) => write.setString('{k}3', 'other', { kind: 'clear' })],
  ['the stamp of one', (write) => write.setString('{k}3', 'text 3', { kind: 'clear' })],
  ['a TTL', (write) => void write.expire('{k}3', nowMs + 1e6)],
  ['a key more', (write) => write.setString('{k}new', '', { kind: 'clear' })],
  ['a key less', (write) => void write.delete('{k}3')],
  ['a field', (write) => void write.hashSet('{k}hash', 'field 3', '3')],
  ['a field less', (write) => void write.hashDelete('{k}hash', ['field 3'])],
  ['a member less', (write) => void write.setRemove('{k}set', ['member 3'])],
  ['a score', (write) => write.zsetAdd('{k}scores', 'a', 2)],
  ['an element', (write) => void write.listPush('{k}list', 'left', ['z'])],
  ['a counter', (write) => void write.increment('{k}counter', 1)],
  ['what is left of a counter', (write) => void write.delete('{k}counter')],
])('the portion differs, and no other, where something does: %s', (_, change) => {
  const [one, other] = [filled(1), filled(1)]
  const before = one.digests(14).encode()
  // A reset of the counter of another cluster leaves its baseline.
  expect(one.digests(14).compare(other.digests(14).encode()).count).toBe(0)
  one.do(change)
  expect(one.digests(14).compare(before).count).toBe(1)
})

test('another key, another portion and another digest', () => {
  const side = filled(1)
  const other = new PortionDigests(new Portions({ bits: 3, key: key.map((byte) => byte ^ 1) }))
  walkSlot(side.db.tables, slot, 0, 1 << 20, (ref) => other.add(side.db.tables, ref))
  expect(side.digests().compare(other.encode()).count).toBe(8)
  const names = Array.from({ length: 4096 }, (_, i) => `{k}${i}`)
  const portions = new Portions({ bits: 8, key })
  const counts = new Uint16Array(256)
  for (const name of names) counts[portions.ofName(name)] = (counts[portions.ofName(name)] as number) + 1
  expect(Math.max(...counts)).toBeLessThan(40)
  expect(Math.min(...counts)).toBeGreaterThan(2)
})

test('a key that is too large has no digest: it differs from itself', () => {
  const [one, other] = [new Side(1), new Side(2)]
  for (const side of [one, other])
    side.do((write) => write.setString('{k}huge', 'x'.repeat(200_000), { kind: 'clear' }))
  const digests = one.digests(0)
  expect(digests.isSpoilt(0)).toBe(true)
  expect(digests.compare(other.digests(0).encode()).count).toBe(1)
})

test('a set of portions that is too long, too short, or names one too many is refused', () => {
  const portions = new Portions({ bits: 2, key })
  expect(PortionSet.read(portions, Uint8Array.of(0b1001)).count).toBe(2)
  for (const bytes of [Uint8Array.of(), Uint8Array.of(0, 0), Uint8Array.of(0b1_0000)])
    expect(() => PortionSet.read(portions, bytes)).toThrow(FormatError)
})

test('a walk meets each key once, also when the buckets of the index are joined or cut on the way', () => {
  const side = new Side(1)
  side.do((write) => {
    for (let i = 0; i < 3000; i++) write.setString(`{k}${i}`, '', { kind: 'clear' })
  })
  const met = new Map<string, number>()
  let position = 0
  let step = 0
  do {
    position = walkSlot(side.db.tables, slot, position, 20, (ref) => {
      const name = side.db.tables.nameOf(ref)
      met.set(name, (met.get(name) ?? 0) + 1)
      return 1
    })
    // Most go, so that buckets are joined, and others come.
    side.do((write) => {
      for (let i = 0; i < 60 && step < 40; i++) {
        const name = 60 * step + i
        if (name % 8 > 0) write.delete(`{k}${name}`)
        write.setString(`{k}later ${step} ${i}`, '', { kind: 'clear' })
      }
    })
    step++
  } while (position > 0)
  expect(Math.max(...met.values())).toBe(1)
  for (let i = 0; i < 2400; i += 8) expect(met.get(`{k}${i}`)).toBe(1)
  for (let i = 2400; i < 3000; i++) expect(met.get(`{k}${i}`)).toBe(1)
})
