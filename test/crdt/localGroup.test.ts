/** What a consumer group is in one cluster, against maps and arrays. */
import { describe, expect, it } from 'vitest'
import { idOf, minId, type StreamId } from '#protocol/sync/streamId.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { GroupChangeWriter, noCursors, type Position, readGroupChanges } from '#server/crdt/groupChange.ts'
import { LocalGroup } from '#server/crdt/localGroup.ts'
import type { EntryName } from '#server/crdt/pendingList.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const start: Position = {
  lastDelivered: minId,
  entriesRead: undefined,
  cursors: noCursors,
  since: noCursors,
  disregarded: noCursors,
}

type Row = { id: StreamId; origin: number; consumer: string; deliveredMs: number; count: number }

const keyOf = ({ id, origin }: EntryName): string => `${id}${String.fromCharCode(origin)}`
const inOrder = (rows: Iterable<Row>): Row[] => [...rows].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))

/** The same, said as simply as can be. */
class Model {
  readonly consumers = new Map<string, [seenMs: number, activeMs: number]>()
  readonly pending = new Map<string, Row>()

  deliver(consumer: string, deliveredMs: number, count: number, entries: readonly EntryName[]): void {
    if (!this.consumers.has(consumer)) this.consumers.set(consumer, [deliveredMs, deliveredMs])
    for (const { id, origin } of entries)
      this.pending.set(keyOf({ id, origin }), { id, origin, consumer, deliveredMs, count })
  }

  forget(entries: readonly EntryName[]): void {
    for (const entry of entries) this.pending.delete(keyOf(entry))
  }

  removeConsumer(name: string): void {
    this.consumers.delete(name)
    for (const [key, row] of this.pending) if (row.consumer === name) this.pending.delete(key)
  }
}

function rowsOf(group: LocalGroup, from: StreamId): Row[] {
  return [...group.pendingFrom(from)].map(({ id, origin, consumer, deliveredMs, count }) => ({
    id,
    origin,
    consumer: consumer.name,
    deliveredMs,
    count,
  }))
}

function expectSame(group: LocalGroup, model: Model, from: StreamId): void {
  const rows = inOrder(model.pending.values())
  expect(group.pendingCount).toBe(rows.length)
  expect(rowsOf(group, minId)).toEqual(rows)
  expect(rowsOf(group, from)).toEqual(rows.filter(({ id }) => id >= from))
  expect(group.firstPending).toBe(rows[0]?.id)
  expect(group.lastPending).toBe(rows.at(-1)?.id)
  for (const origin of [0, 1, 2])
    expect(group.firstPendingOf(origin)).toBe(rows.find((row) => row.origin === origin)?.id)
  expect(group.deliveriesOf(from).map(({ origin }) => origin)).toEqual(
    rows.filter(({ id }) => id === from).map(({ origin }) => origin),
  )
  expect(group.consumers.map(({ name, seenMs, activeMs }) => [name, seenMs, activeMs])).toEqual(
    [...model.consumers].map(([name, times]) => [name, ...times]).sort(),
  )
  for (const { name, pending } of group.consumers) {
    const own = rows.filter(({ consumer }) => consumer === name)
    expect(pending.size).toBe(own.length)
    expect([...pending.from(from)].map(keyOf)).toEqual(own.filter(({ id }) => id >= from).map(keyOf))
  }
}

function written(group: LocalGroup): ByteWriter {
  const writer = new ByteWriter()
  group.tell(new GroupChangeWriter(writer))
  return writer
}

describe('a group in one cluster', () => {
  it('knows what is pending of whom', () => {
    const random = new SeededRandom(seedFromEnv())
    for (let run = 0; run < 18; run++) {
      const group = new LocalGroup(start)
      const model = new Model()
      const size = run % 3 === 0 ? 3_000 : 40
      const id = (): StreamId => idOf(random.below(size), random.below(3))
      const entry = (): EntryName => ({ id: id(), origin: random.below(3) })
      const name = (): string => `c${random.below(4)}`
      let nextMs = 0
      for (let step = 0; step < 60; step++) {
        const entries = Array.from({ length: random.below(size / 4) }, entry)
        const roll = random.below(20)
        if (roll < 6) {
          // As they come: at the end.
          const appended = entries.map(({ origin }) => ({ id: idOf(size + nextMs++, 0), origin }))
          const [consumer, atMs] = [name(), random.below(5)]
          for (const one of [group, model]) one.deliver(consumer, atMs, 1, appended)
        } else if (roll < 10) {
          const [consumer, atMs, count] = [name(), random.below(5), random.below(3)]
          for (const one of [group, model]) one.deliver(consumer, atMs, count, entries)
        } else if (roll < 16) {
          const known = inOrder(model.pending.values()).filter(() => random.chance(0.4))
          for (const one of [group, model]) one.forget([...entries, ...known])
        } else if (roll < 19) {
          const [consumer, seenMs, activeMs] = [name(), random.below(9), random.below(9) - 1]
          group.setConsumer(consumer, seenMs, activeMs)
          model.consumers.set(consumer, [seenMs, activeMs])
        } else {
          const consumer = name()
          for (const one of [group, model]) one.removeConsumer(consumer)
        }
        if (step % 10 === 0 || size < 100) expectSame(group, model, id())
      }
      const copy = new LocalGroup(start)
      readGroupChanges(new ByteReader(written(group).take()), copy)
      expectSame(copy, model, id())
      expect(copy.usedBytes).toBe(group.usedBytes)
      for (const consumer of model.consumers.keys()) copy.removeConsumer(consumer)
      expect(copy.usedBytes).toBe(new LocalGroup(start).usedBytes)
    }
  })

  it('tells where it is', () => {
    const position: Position = {
      lastDelivered: idOf(5, 7),
      entriesRead: 0,
      cursors: noCursors.map((_, origin) => (origin % 2 === 0 ? undefined : idOf(origin, 1))),
      since: noCursors.map((_, origin) => (origin < 3 ? idOf(7, origin) : undefined)),
      disregarded: noCursors.map((_, origin) => (origin === 7 ? idOf(2 ** 52, 2 ** 50) : undefined)),
    }
    const group = new LocalGroup(start)
    readGroupChanges(new ByteReader(written(new LocalGroup(position)).take()), group)
    expect(group.position).toEqual(position)
  })

  it('refuses bytes that are no changes', () => {
    const group = new LocalGroup(start)
    group.deliver('alice', 1, 1, [{ id: idOf(1, 1), origin: 1 }])
    const bytes = written(group).take()
    for (let end = 1; end < bytes.length; end++) {
      const read = () => readGroupChanges(new ByteReader(bytes, 0, end), new LocalGroup(start))
      // Some prefixes are whole changes.
      try {
        read()
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError)
      }
    }
    for (const code of [0, 6, 255])
      expect(() => readGroupChanges(new ByteReader(Uint8Array.of(code)), group)).toThrow(FormatError)
    expect(() => readGroupChanges(new ByteReader(Uint8Array.of(4, 1, 1, 1, 8)), group)).toThrow(FormatError)
  })
})
