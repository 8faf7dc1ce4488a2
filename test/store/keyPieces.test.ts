/**
 * Large keys that are cut in pieces while they change, staged and joined in steps while they are used. The tables and the sizes are those
 * of production; `test/crdt/staging.test.ts` does the same to networks of tiny keys.
 */
import { describe, expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { idOf } from '#protocol/sync/streamId.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { ElementTable } from '#server/crdt/elementTable.ts'
import { ListSequence } from '#server/crdt/listSequence.ts'
import { SortedSetState } from '#server/crdt/sortedSet.ts'
import { StreamLog } from '#server/crdt/streamLog.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import { SlotTables } from '#server/store/slotTables.ts'
import { Transaction } from '#server/store/transaction.ts'
import { replace } from '#test/crdt/fault.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const tag = '{t}'
const slot = slotOfKey(tag)
const ranges = [{ first: 0, last: 16383 }]
const startMs = Date.UTC(2026, 0, 1)
const types = ['hash', 'set', 'zset', 'list', 'stream'] as const
type Type = (typeof types)[number]
/** So that a key takes several pieces. */
const elements = 3_000
const partBytes = 64 * 1024

const everything = new Float64Array(8).fill(Number.POSITIVE_INFINITY)

const nameOf = (type: Type): string => tag + type

/** A cluster with one large key of each type. */
class Changing {
  readonly random: SeededRandom
  readonly db: Keyspace
  readonly records: Uint8Array[] = []
  nowMs: number
  readonly #write: Transaction
  #entries: number

  constructor(cluster: number, random: SeededRandom, nowMs = startMs) {
    this.random = random
    this.nowMs = nowMs
    // The first cluster's ids are above the second's.
    this.#entries = cluster === 1 ? 1_000_000 : 0
    const origin = originOfCluster(cluster)
    this.db = new Keyspace({ origin, ranges, hashSeed: random.below(2 ** 32) })
    this.#write = new Transaction(this.db, new StampClock(origin))
    for (const type of types) for (let from = 0; from < elements; from += 100) this.#add(type, from, 100)
  }

  #change(intent: (write: Transaction) => void): void {
    this.#write.begin(this.nowMs)
    intent(this.#write)
    const writer = new ByteWriter()
    if (this.#write.finish(writer)) this.records.push(writer.take())
  }

  #add(type: Type, from: number, count: number): void {
    const name = nameOf(type)
    const numbers = Array.from({ length: count }, (_, i) => from + i)
    this.#change((write) => {
      if (type === 'set') write.setAdd(name, numbers.map(String))
      else if (type === 'list')
        write.listPush(
          name,
          'right',
          numbers.map((n) => `element ${n}`),
        )
      else if (type === 'stream')
        write.streamAdd(
          name,
          numbers.map(() => this.#entry()),
        )
      for (const n of numbers) {
        if (type === 'hash') write.hashSet(name, `field ${n}`, String(n))
        else if (type === 'zset') write.zsetAdd(name, `member ${n}`, n)
      }
    })
  }

  #entry() {
    this.#entries++
    return { id: idOf(startMs + this.#entries, 0), fields: ['field', `value ${this.#entries}`] }
  }

  /** Something of some key, now and then all of it. */
  change(): void {
    const { random } = this
    this.nowMs += random.below(20)
    const type = random.pick(types)
    const name = nameOf(type)
    const n = random.below(elements * 1.2)
    const kind = random.below(100)
    const isOfType = this.db.type(name) === type || this.db.type(name) === 'none'
    if (kind === 0) this.#change((write) => write.delete(name))
    else if (kind === 1) this.#change((write) => write.setString(name, 'text', { kind: 'clear' }))
    else if (kind < 6)
      this.#change((write) => write.expire(name, this.nowMs + 100_000 + random.below(100_000)))
    else if (kind < 16 && isOfType) this.#add(type, n, 1 + random.below(100))
    else if (isOfType) this.#change((write) => this.#changeOne(write, type, name, n))
    else this.#change((write) => write.delete(name))
  }

  #changeOne(write: Transaction, type: Type, name: string, n: number): void {
    const { random } = this
    const isRemoval = random.chance(0.4)
    switch (type) {
      case 'hash':
        if (isRemoval) write.hashDelete(name, [`field ${n}`])
        else if (random.chance(0.5)) write.hashIncrement(name, `field ${n}`, 7)
        else write.hashSet(name, `field ${n}`, 'other')
        break
      case 'set':
        if (isRemoval) write.setRemove(name, [String(n)])
        else write.setAdd(name, [String(n)])
        break
      case 'zset':
        if (isRemoval) write.zsetRemove(name, [`member ${n}`])
        else write.zsetIncrement(name, `member ${n}`, random.below(100) - 50)
        break
      case 'list':
        this.#changeList(write, name, isRemoval)
        break
      case 'stream': {
        const ids = [...(this.db.stream(name)?.range(idOf(0, 0), idOf(startMs * 2, 0)) ?? [])].map(
          ({ id }) => id,
        )
        const id = ids[random.below(Math.max(1, ids.length))]
        if (isRemoval && id !== undefined) write.streamDelete(name, [id])
        else write.streamAdd(name, [this.#entry()])
      }
    }
  }

  #changeList(write: Transaction, name: string, isRemoval: boolean): void {
    const { random } = this
    const size = this.db.list(name)?.size ?? 0
    const at = random.below(Math.max(1, size))
    if (isRemoval && size > 0) write.listPop(name, random.pick(['left', 'right']), 1 + random.below(5))
    else if (at > 0)
      random.pick([
        () => write.listSet(name, at, 'written'),
        () => write.listInsert(name, at, 'between'),
        () => write.listPush(name, random.pick(['left', 'right']), ['pushed', 'pushed']),
      ])()
    else write.listPush(name, 'right', ['pushed', 'pushed'])
  }
}

function apply(db: Keyspace, record: Uint8Array): void {
  const reader = new RecordReader()
  reader.read(record, 0, record.length)
  for (const part of reader.parts.slice(0, reader.partCount))
    if (part.slot === slot && !db.vectors.covers(slot, part.last)) db.apply(part, record)
}

function stagedOf(db: Keyspace): Keyspace {
  const staged = new Keyspace({ origin: db.origin, ranges, hashSeed: 7 })
  staged.nowMs = db.nowMs
  return staged
}

/** Of what is there, without changes in between. */
function stagedFrom(source: Keyspace): Keyspace {
  const staged = stagedOf(source)
  const label = source.vectors.of(slot).slice()
  let position: SlotPosition = 0
  do {
    const part = new ByteWriter()
    position = source.encodeSlotPartForPeer(slot, position, partBytes, part)
    staged.loadSlotPart(slot, label, part.bytes, 0, part.length, true)
  } while (position !== 0)
  return staged
}

/** Staged from a source that changes between the parts; an operation never comes before a part that was cut before it. */
function cutAndStage(source: Changing): { staged: Keyspace; parts: number } {
  const { db, random, records } = source
  const staged = stagedOf(db)
  const label = db.vectors.of(slot).slice()
  let sent = records.length
  let position: SlotPosition = 0
  let parts = 0
  do {
    const part = new ByteWriter()
    position = db.encodeSlotPartForPeer(slot, position, partBytes, part)
    for (let left = random.below(records.length - sent + 1); left > 0; left--)
      apply(staged, records[sent++] as Uint8Array)
    staged.loadSlotPart(slot, label, part.bytes, 0, part.length, true)
    parts++
    for (let changes = random.below(30); changes > 0; changes--) source.change()
  } while (position !== 0)
  while (sent < records.length) apply(staged, records[sent++] as Uint8Array)
  return { staged, parts }
}

function cutRun(seed: number): void {
  const source = new Changing(1, new SeededRandom(seed))
  const { staged, parts } = cutAndStage(source)
  expect(parts).toBeGreaterThan(10)
  staged.nowMs = source.nowMs
  source.db.nowMs = source.nowMs
  expect(staged.slotDigest(slot)).toBe(source.db.slotDigest(slot))
}

/** What a peer has is joined in steps, between which the keys are used, and at once: nobody can tell which. */
function joinRun(seed: number): void {
  const random = new SeededRandom(seed)
  const peer = new Changing(2, new SeededRandom(seed + 1), startMs + 1)
  for (let changes = random.below(100); changes > 0; changes--) peer.change()
  const label = peer.db.vectors.of(slot).slice()
  const [inSteps, atOnce] = [new Changing(1, new SeededRandom(seed)), new Changing(1, new SeededRandom(seed))]
  const state = new ByteWriter()
  peer.db.encodeSlot(slot, state)
  atOnce.db.mergeSlot(slot, label, state.bytes, 0, state.length)
  const staged = stagedFrom(peer.db)
  inSteps.db.addStaged(staged)
  inSteps.db.joinStaged(staged, slot, label)
  let steps = 0
  while (inSteps.db.joinMore()) {
    steps++
    if (steps % 20 > 0) continue
    inSteps.change()
    atOnce.change()
  }
  expect(steps).toBeGreaterThan(20)
  expect(inSteps.db.slotDigest(slot)).toBe(atOnce.db.slotDigest(slot))
}

const runs = Number(process.env['RUNS'] ?? 2)

test('a key that changes between its pieces', () => {
  const seed = seedFromEnv()
  for (let run = 0; run < runs; run++) cutRun(seed + run)
})

test('a key that is used between the steps of its join', () => {
  const seed = seedFromEnv()
  for (let run = 0; run < runs; run++) joinRun(seed + run)
})

describe('a fault is found', () => {
  function expectFound(undo: () => void, run: (seed: number) => void): void {
    try {
      for (let seed = 1; seed <= 10; seed++) {
        try {
          run(seed)
        } catch {
          return
        }
      }
    } finally {
      undo()
    }
    expect.fail('not found')
  }

  test('a piece begins behind the element after the last', () => {
    const undo = replace(
      ElementTable.prototype,
      'walk',
      (original) =>
        function (this: ElementTable<unknown>, position, visit) {
          const next = original.call(this, position, visit)
          return next === 0 ? 0 : next + 1
        },
    )
    expectFound(undo, cutRun)
  })

  test('a piece of a list leaves one out', () => {
    const undo = replace(
      ListSequence.prototype,
      'behind',
      (original) =>
        function (this: ListSequence, id) {
          const all = original.call(this, id)
          if (id !== undefined) all.next()
          return all
        },
    )
    expectFound(undo, cutRun)
  })

  test('a member of a piece gives way to what operations have left of it before', () => {
    const undo = replace(
      SortedSetState.prototype,
      'takeFrom',
      (original) =>
        function (this: SortedSetState, other) {
          const mine = [...this.range(0, this.size)].map(([member]) => member)
          for (const member of mine) other.removeMember(everything, 0, member, [])
          original.call(this, other)
        },
    )
    expectFound(undo, cutRun)
  })

  test('a piece of a stream puts nothing behind what is there', () => {
    const undo = replace(StreamLog.prototype, 'takeFrom', () => () => {})
    expectFound(undo, cutRun)
  })

  test('a key is used when some of it is joined', () => {
    const tables = SlotTables.prototype as unknown as { joinAimed(): void }
    const undo = replace(tables, 'joinAimed', () => () => {})
    expectFound(undo, joinRun)
  })
})
