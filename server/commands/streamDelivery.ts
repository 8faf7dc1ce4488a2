/** Giving entries to the consumer of a group: new ones, or those pending for it once more. */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { type Origin, originOf } from '#protocol/sync/stamp.ts'
import { nextId, type StreamId } from '#protocol/sync/streamId.ts'
import { type Delivery, type EntryName, runsOf } from '#server/crdt/pendingList.ts'
import type { StreamEntry } from '#server/crdt/streamBlock.ts'
import { newEntries, positionBehind } from '#server/store/groupPosition.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { StreamGroupView, StreamView } from '#server/store/views.ts'
import type { CommandContext } from './context.ts'
import { firstOf, type GoneEntry } from './streamReply.ts'

export interface GroupReader {
  /** Of the group. */
  readonly name: string
  readonly consumer: string
  /** What is given counts as acknowledged. */
  readonly noAck: boolean
}

interface ReadGroup {
  stream: StreamView
  group: StreamGroupView
}

export function groupToRead(db: Keyspace, key: string, name: string): ReadGroup {
  const stream = db.stream(key)
  const group = stream?.group(name)
  if (stream === undefined || group === undefined) throw new ReplyError(errors.noGroupToRead(key, name))
  return { stream, group }
}

export const nameOf = ({ id, stamp }: StreamEntry): EntryName => ({ id, origin: originOf(stamp) })

/** Whether it is there yet or not, it has been seen. */
export function createConsumer(context: CommandContext, key: string, { name, consumer }: GroupReader): void {
  const { db, write, nowMs } = context
  const { group } = groupToRead(db, key, name)
  if (group.local?.consumerNamed(consumer) === undefined) makeConsumer(context, key, name, consumer)
  else write.seeConsumer(key, name, consumer, nowMs)
}

/** One that is not there yet. */
export function makeConsumer(
  { write, events, nowMs }: CommandContext,
  key: string,
  group: string,
  consumer: string,
): void {
  write.changeGroup(key, group, (sink) => sink.setConsumer(consumer, nowMs, -1))
  events.note(EventClass.stream, 'xgroup-createconsumer', key)
}

/** Nothing is written when there are none. */
export function deliverNew(
  context: CommandContext,
  key: string,
  reader: GroupReader,
  count: number,
): StreamEntry[] {
  const { db, write, nowMs } = context
  const { name, consumer, noAck } = reader
  const { stream, group } = groupToRead(db, key, name)
  const entries = firstOf(newEntries(stream, group), count)
  if (entries.length === 0) return entries
  const position = positionBehind(stream, group, entries)
  const names = entries.map(nameOf)
  write.changeGroup(key, name, (sink) => {
    sink.setConsumer(consumer, nowMs, nowMs)
    sink.setPosition(position)
    if (!noAck) sink.deliver(consumer, nowMs, 1, names)
  })
  return entries
}

/** What is pending for the consumer behind an id. */
export function deliverAgain(
  context: CommandContext,
  key: string,
  reader: GroupReader,
  behind: StreamId,
  count: number,
): (StreamEntry | GoneEntry)[] {
  const { db, write, nowMs } = context
  const { stream, group } = groupToRead(db, key, reader.name)
  const first = nextId(behind)
  const pending = group.local?.consumerNamed(reader.consumer)?.pending
  const deliveries = first === undefined || pending === undefined ? [] : firstOf(pending.from(first), count)
  const again: Delivery[] = []
  const entries = deliveries.map((delivery) => {
    const entry = entryNamed(stream, delivery)
    if (entry === undefined) return { id: delivery.id, fields: undefined }
    again.push(delivery)
    return entry
  })
  if (again.length > 0) {
    // Told before any of them is changed.
    const runs = runsOf(again, (a, b) => a.count === b.count).map((run) => ({ run, times: run[0].count + 1 }))
    write.changeGroup(key, reader.name, (sink) => {
      for (const { run, times } of runs) sink.deliver(reader.consumer, nowMs, times, run)
    })
  }
  return entries
}

export function entryNamed(
  stream: StreamView,
  { id, origin }: { id: StreamId; origin: Origin },
): StreamEntry | undefined {
  for (const entry of stream.rangeOf(origin, id, id)) return entry
  return undefined
}
