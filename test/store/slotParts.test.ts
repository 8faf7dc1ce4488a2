/**
 * A slot that is cut in parts while it changes, taken back with what its log holds since: what a snapshot and a start do. The
 * real index gives a part for each of its buckets, which are cut, joined and moved meanwhile.
 */
import { expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import { Transaction } from '#server/store/transaction.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const tag = '{t}'
const slot = slotOfKey(tag)
const origin = originOfCluster(1)
const ranges = [{ first: 0, last: 16383 }]
const startMs = Date.UTC(2026, 0, 1)

class Changing {
  readonly random: SeededRandom
  readonly db: Keyspace
  readonly records: Uint8Array[] = []
  nowMs = startMs
  readonly #write: Transaction

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.db = new Keyspace({ origin, ranges, hashSeed: this.random.below(2 ** 32) })
    this.#write = new Transaction(this.db, new StampClock(origin))
  }

  change(intent: (write: Transaction) => void): void {
    this.#write.begin(this.nowMs)
    intent(this.#write)
    const writer = new ByteWriter()
    if (this.#write.finish(writer)) this.records.push(writer.take())
  }

  set(name: string): void {
    const expiry = this.random.chance(0.2)
      ? ({ kind: 'at', atMs: this.nowMs + 1 + this.random.below(100_000) } as const)
      : ({ kind: 'clear' } as const)
    this.change((write) => write.setString(name, 'v'.repeat(this.random.below(100)), expiry))
  }

  /** Of `names` keys of each type. */
  changeAny(names: number): void {
    const { random } = this
    this.nowMs += random.below(20)
    const name = (type: string): string => `${tag}${type}${random.below(names)}`
    const element = `e${random.below(50)}`
    random.pick<() => void>([
      () => this.set(name('s')),
      () => this.set(name('s')),
      () => this.change((write) => write.delete(name(random.pick(['s', 'h', 'm', 'c', 'z', 'l'])))),
      () => this.change((write) => write.delete(name('s'))),
      () => this.change((write) => write.hashSet(name('h'), element, 'v'.repeat(random.below(40)))),
      () => this.change((write) => write.setAdd(name('m'), [element])),
      () => this.change((write) => write.zsetAdd(name('z'), element, random.below(40))),
      () => this.change((write) => write.zsetIncrement(name('z'), element, random.below(40) - 20)),
      () => this.change((write) => write.zsetRemove(name('z'), [element])),
      () => this.change((write) => write.add(name('c'), 1)),
      () => this.change((write) => write.listPush(name('l'), 'left', [element, element])),
      () => this.change((write) => write.listPop(name('l'), 'right', 1)),
      () => this.#changeList(name('l'), element),
      () =>
        this.change((write) =>
          write.expire(
            name(random.pick(['s', 'h', 'm', 'c', 'z', 'l'])),
            this.nowMs + 1 + random.below(100_000),
          ),
        ),
    ])()
  }

  /** So that it no longer lies in its entry. */
  #changeList(name: string, element: string): void {
    const size = this.db.list(name)?.size ?? 0
    if (size < 2) return
    this.change((write) => {
      write.listSet(name, 0, element)
      write.listInsert(name, 1, element)
    })
  }
}

/** Taken back by a process whose hashes are others. */
function started(
  changing: Changing,
  parts: readonly Uint8Array[],
  label: Float64Array,
  from: number,
): Keyspace {
  const db = new Keyspace({ origin, ranges, hashSeed: changing.random.below(2 ** 32) })
  db.nowMs = changing.nowMs
  for (const part of parts) db.loadSlotPart(slot, label, part, 0, part.length)
  const reader = new RecordReader()
  for (const record of changing.records.slice(from)) {
    reader.read(record, 0, record.length)
    for (const part of reader.parts.slice(0, reader.partCount))
      if (!db.vectors.covers(part.slot, part.last)) db.apply(part, record)
  }
  return db
}

function cut(
  changing: Changing,
  between: () => void,
): { parts: Uint8Array[]; label: Float64Array; from: number } {
  const { db, records } = changing
  const label = Float64Array.from(db.vectors.of(slot))
  const from = records.length
  const parts: Uint8Array[] = []
  let position: SlotPosition = 0
  do {
    const writer = new ByteWriter()
    position = db.encodeSlotPart(slot, position, 1, writer)
    parts.push(writer.take())
    between()
  } while (position !== 0)
  return { parts, label, from }
}

function compact(db: Keyspace): void {
  for (let step = 0; step < 50 && db.compact(); step++);
}

for (const [what, flushChance] of [
  ['grows, shrinks and is moved', 0],
  ['is flushed', 0.05],
] as const) {
  test(`a slot that ${what} between its parts`, () => {
    const changing = new Changing(seedFromEnv())
    const { db, random } = changing
    // From so few keys that a slot has one bucket to so many that it has some dozens, and back.
    for (const names of [100, 6_000, 300, 3_000]) {
      for (let i = 0; i < names; i++) changing.changeAny(names)
      if (names === 6_000) for (let i = 0; i < names; i++) changing.set(`${tag}s${i}`)
      let cuts = 0
      const { parts, label, from } = cut(changing, () => {
        cuts++
        for (let i = 0; i < 100; i++) changing.changeAny(names)
        // Whole intervals of hashes become empty, or full.
        const first = random.below(names)
        for (let i = first; i < first + 300; i++) {
          const name = `${tag}s${i % names}`
          if (random.chance(0.8)) changing.change((write) => write.delete(name))
          else changing.set(name)
        }
        if (random.chance(flushChance)) changing.change((write) => write.flushSlot(slot))
        compact(db)
      })
      if (names === 6_000 && flushChance === 0) expect(cuts).toBeGreaterThan(5)
      const again = started(changing, parts, label, from)
      expect(again.vectors.of(slot)).toEqual(db.vectors.of(slot))
      expect([again.size, again.expiring]).toEqual([db.size, db.expiring])
      expect(again.slotDigest(slot)).toBe(db.slotDigest(slot))
    }
  })
}

test('a key that stays is in a part, whatever happens between them', () => {
  const changing = new Changing(seedFromEnv())
  const { db, random } = changing
  const staying = Array.from({ length: 2_000 }, (_, i) => `${tag}stays${i}`)
  for (const name of staying) changing.set(name)
  for (let i = 0; i < 20_000; i++) changing.set(`${tag}s${i}`)
  for (let i = 0; i < 20_000; i++)
    if (random.chance(0.9)) changing.change((write) => write.delete(`${tag}s${i}`))
  const { parts, label } = cut(changing, () => {
    for (let i = 0; i < 500; i++) {
      const name = `${tag}s${random.below(20_000)}`
      if (random.chance(0.7)) changing.change((write) => write.delete(name))
      else changing.set(name)
    }
    compact(db)
  })
  expect(parts.length).toBeGreaterThan(5)
  const again = started(changing, parts, label, changing.records.length)
  expect(staying.filter((name) => again.type(name) !== db.type(name))).toEqual([])
})
