/**
 * A stream outside the keyspace, as DUMP, COPY and RENAME take it and RESTORE gives it. Its groups go along, with what they are
 * in this cluster; to other clusters they are new groups, which begin where the old ones had got to here.
 */
import type { RdbConsumer, RdbDelivery, RdbEntry, RdbGroup, RdbStream } from '#protocol/rdb/rdbStream.ts'
import { maxId, minId } from '#protocol/sync/streamId.ts'
import type { GroupChangeSink } from '#server/crdt/groupChange.ts'
import { lastDeliveredOf, positionOf, startPosition } from '#server/store/groupPosition.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Transaction } from '#server/store/transaction.ts'
import type { StreamGroupView } from '#server/store/views.ts'

/** Of entries with the same id, which clusters may have added at the same time, the first. */
export function takeStream(db: Keyspace, key: string): RdbStream {
  const stream = db.stream(key)
  const entries: RdbEntry[] = []
  for (const { id, fields } of stream?.range(minId, maxId) ?? [])
    if (entries.at(-1)?.id !== id) entries.push({ id, fields })
  return {
    type: 'stream',
    entries,
    lastId: stream?.lastId ?? minId,
    maxDeletedId: stream?.maxDeletedId ?? minId,
    entriesAdded: stream?.entriesAdded ?? 0,
    groups: [...(stream?.groups() ?? [])].map(takeGroup),
  }
}

function takeGroup(group: StreamGroupView): RdbGroup {
  const pending: RdbDelivery[] = []
  for (const { id, consumer, deliveredMs, count } of group.local?.pendingFrom(minId) ?? []) {
    if (pending.at(-1)?.id === id) continue
    pending.push({ id, consumer: consumer.name, deliveredMs, deliveries: count })
  }
  const consumers: RdbConsumer[] = (group.local?.consumers ?? []).map(({ name, seenMs, activeMs }) => ({
    name,
    seenMs,
    activeMs: activeMs < 0 ? undefined : activeMs,
  }))
  const { entriesRead } = positionOf(group)
  return { name: group.name, lastId: lastDeliveredOf(group), entriesRead, pending, consumers }
}

/** Where there is nothing. */
export function writeStream(db: Keyspace, write: Transaction, key: string, stream: RdbStream): void {
  const { entries, lastId, maxDeletedId, entriesAdded, groups } = stream
  write.streamAdd(key, entries)
  write.streamSetMarks(key, { lastId, maxDeletedId, added: entriesAdded })
  for (const group of groups) {
    write.streamCreateGroup(key, group.name, group.lastId)
    write.changeGroup(key, group.name, (sink) => tellGroup(sink, db, key, group))
  }
}

function tellGroup(sink: GroupChangeSink, db: Keyspace, key: string, group: RdbGroup): void {
  const made = db.stream(key)?.group(group.name)
  if (made !== undefined) sink.setPosition({ ...startPosition(made), entriesRead: group.entriesRead })
  for (const { name, seenMs, activeMs } of group.consumers) sink.setConsumer(name, seenMs, activeMs ?? -1)
  for (const { id, consumer, deliveredMs, deliveries } of group.pending)
    sink.deliver(consumer, deliveredMs, deliveries, [{ id, origin: db.origin }])
}
