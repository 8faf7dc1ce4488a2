/**
 * What consumer groups are in this cluster, brought back: from records of the log, from parts of a slot that were cut while it
 * changed, and from both. The changes are those that random stream commands make.
 */
import { expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { RecordKind, RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster } from '#protocol/sync/stamp.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import { HandlerDatabase } from '#test/commands/handlerDatabase.ts'
import { decodeReply, type Reply, show } from '#test/compat/reply.ts'
import type { Request } from '#test/compat/side.ts'
import { streamRequests } from '#test/compat/streamRequests.ts'
import { Vocabulary } from '#test/compat/vocabulary.ts'
import { seedFromEnv } from '#test/seed.ts'
import { PartwiseKeyspace } from './partwiseKeyspace.ts'

const slot = slotOfKey('{t}x1')
const keys = ['{t}x1', '{t}x2', '{t}x3', '{t}x4']
const options = { origin: originOfCluster(1), ranges: [{ first: 0, last: 16383 }] }
const startMs = Date.UTC(2026, 0, 1)
const makes = Object.values(streamRequests)

/** A shard's work and its log. */
class Changing {
  readonly records: Uint8Array[] = []
  readonly db: Keyspace = new PartwiseKeyspace(options)
  readonly v: Vocabulary
  readonly #database: HandlerDatabase = new HandlerDatabase({ keyspace: this.db })
  #nowMs = startMs

  constructor(seed: number) {
    this.v = new Vocabulary(seed, startMs)
  }

  run(...requests: Request[]): void {
    this.#nowMs += this.v.below(3)
    this.#database.execute(requests, this.#nowMs)
    const { logged } = this.#database
    const reader = new RecordReader()
    for (let at = 0; at < logged.length; ) {
      const end = reader.read(logged, at, logged.length)
      this.records.push(logged.slice(at, end))
      at = end
    }
  }

  change(count: number): void {
    for (let i = 0; i < count; i++) {
      const made = this.v.pick(makes)(this.v)
      const requests = 'requests' in made ? made.requests : [made]
      if (this.v.chance(0.2)) this.run(...requests)
      else for (const request of requests) this.run(request)
      // Gone, and there anew, with groups of the same names.
      if (this.v.chance(0.03)) this.run(['XGROUP', 'DESTROY', this.v.pick(keys), this.v.pick(['g1', 'g2'])])
      if (this.v.chance(0.1))
        this.run(['XGROUP', 'CREATE', this.v.pick(keys), this.v.pick(['g1', 'g2']), '0'])
    }
  }

  cut(between: () => void): { parts: Uint8Array[]; label: Float64Array; from: number } {
    // The slot's turn comes after the snapshot has begun: what the label covers is in the log behind it as well.
    const from = this.records.length
    between()
    const label = Float64Array.from(this.db.vectors.of(slot))
    const parts: Uint8Array[] = []
    let position: SlotPosition = 0
    do {
      const writer = new ByteWriter()
      position = this.db.encodeSlotPart(slot, position, 1, writer)
      parts.push(writer.take())
      between()
    } while (position !== 0)
    return { parts, label, from }
  }
}

function replay(db: Keyspace, records: readonly Uint8Array[]): void {
  const reader = new RecordReader()
  for (const record of records) {
    reader.read(record, 0, record.length)
    if (reader.kind === RecordKind.group) {
      db.applyGroupChanges(reader.slot, record, reader.stateStart, reader.stateEnd)
      continue
    }
    for (const part of reader.parts.slice(0, reader.partCount))
      if (!db.vectors.covers(part.slot, part.last)) db.apply(part, record)
  }
}

/** Everything that can be asked about streams, but for when consumers gave their last sign of life: that isn't logged. */
function shown(db: Keyspace): string[] {
  const database = new HandlerDatabase({ keyspace: db })
  return keys.map((key) => {
    const [reply] = database.execute([['XINFO', 'STREAM', key, 'FULL', 'COUNT', '0']], startMs)
    return show(unseen(decodeReply(reply as Uint8Array)))
  })
}

function unseen(reply: Reply): Reply {
  const items = reply.items.map((item, i) =>
    reply.items[i - 1]?.text === 'seen-time' ? { ...item, text: '' } : unseen(item),
  )
  return { ...reply, items }
}

function pendingIn(db: Keyspace): number {
  let count = 0
  for (const key of keys) {
    if (db.type(key) !== 'stream') continue
    for (const { local } of db.stream(key)?.groups() ?? []) count += local?.pendingCount ?? 0
  }
  return count
}

test('the log brings back what groups were', () => {
  const changing = new Changing(seedFromEnv())
  let pending = 0
  for (let round = 0; round < 60; round++) {
    changing.change(100)
    const again = new Keyspace(options)
    replay(again, changing.records)
    expect(shown(again)).toEqual(shown(changing.db))
    expect(again.usedBytes).toBe(changing.db.usedBytes)
    pending += pendingIn(again)
  }
  expect(pending).toBeGreaterThan(20)
})

test('parts of a slot that changes meanwhile, and the log since, bring it back too', () => {
  const changing = new Changing(seedFromEnv())
  let pending = 0
  for (let round = 0; round < 40; round++) {
    changing.change(60)
    const { parts, label, from } = changing.cut(() => changing.change(changing.v.below(40)))
    changing.change(changing.v.below(60))
    const again = new Keyspace(options)
    for (const part of parts) again.loadSlotPart(slot, label, part, 0, part.length)
    replay(again, changing.records.slice(from))
    expect(shown(again)).toEqual(shown(changing.db))
    expect(again.slotDigest(slot)).toBe(changing.db.slotDigest(slot))
    pending += pendingIn(again)
  }
  expect(pending).toBeGreaterThan(40)
})

test('a slot state for peers says nothing of it', () => {
  const [one, other] = [new Changing(1), new Changing(1)]
  const stream: Request[] = [
    ['XADD', '{t}x1', '1-0', 'a', 'b'],
    ['XGROUP', 'CREATE', '{t}x1', 'g1', '0'],
  ]
  for (const changing of [one, other]) for (const request of stream) changing.run(request)
  one.run(['XREADGROUP', 'GROUP', 'g1', 'alice', 'STREAMS', '{t}x1', '>'])
  const states = [one, other].map(({ db }) => {
    const writer = new ByteWriter()
    db.encodeSlot(slot, writer)
    return writer.take().length
  })
  expect(states[0]).toBe(states[1])
  expect(one.records.length).toBe(other.records.length + 1)
  expect(one.records.at(-1)?.[4]).toBe(RecordKind.group)
})

test('a damaged record is refused, or says something else', () => {
  const changing = new Changing(1)
  changing.run(['XADD', '{t}x1', '1-0', 'a', 'b'])
  changing.run(['XGROUP', 'CREATE', '{t}x1', 'g1', '0'])
  changing.run(['XREADGROUP', 'GROUP', 'g1', 'alice', 'STREAMS', '{t}x1', '>'])
  const record = changing.records.at(-1) as Uint8Array
  const reader = new RecordReader()
  reader.read(record, 0, record.length)
  for (let at = reader.stateStart; at < record.length; at++) {
    for (const bit of [1, 16, 128]) {
      const damaged = Uint8Array.from(record)
      damaged[at] = (damaged[at] as number) ^ bit
      const again = new Keyspace(options)
      replay(again, changing.records.slice(0, -1))
      try {
        again.applyGroupChanges(slot, damaged, reader.stateStart, record.length)
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError)
      }
    }
  }
})
