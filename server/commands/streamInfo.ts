/** XINFO. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { formatId, maxId, minId } from '#protocol/sync/streamId.ts'
import type { Consumer } from '#server/crdt/localGroup.ts'
import type { Delivery } from '#server/crdt/pendingList.ts'
import { firstIdOf, lagOf, lastDeliveredOf, positionOf } from '#server/store/groupPosition.ts'
import type { StreamGroupView, StreamView } from '#server/store/views.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { trimBlockEntries } from './streamArguments.ts'
import { firstOf, replyEntries, replyEntry } from './streamReply.ts'

const fullCountDefault = 10

function streamOf({ args, db }: CommandContext): StreamView {
  const stream = db.stream(args.text(2))
  if (stream === undefined) throw new ReplyError(errors.noSuchKey)
  return stream
}

/** `FULL [COUNT count]`: how many of each list, Infinity for all; undefined: it isn't said. */
function parseFull(args: Arguments): number | undefined {
  if (args.count === 3) return undefined
  const isRight = args.is(3, 'FULL') && (args.count === 4 || (args.count === 6 && args.is(4, 'COUNT')))
  if (!isRight) throw new ReplyError(errors.wrongSubcommandArity('XINFO', args.text(1)))
  if (args.count === 4) return fullCountDefault
  const count = Number(args.integer(5))
  return count < 0 ? fullCountDefault : count || Number.POSITIVE_INFINITY
}

export const XINFO_STREAM: Handler = (context) => {
  const { reply } = context
  const stream = streamOf(context)
  const count = parseFull(context.args)
  reply.map(count === undefined ? 10 : 9)
  tellStream(reply, stream)
  if (count === undefined) tellEnds(reply, stream)
  else tellFull(reply, stream, count)
}

function tellStream(reply: ReplyWriter, stream: StreamView): void {
  const { size, lastId, entriesAdded, maxDeletedId } = stream
  // As if the entries lay in Redis's tree: nobody should count on it, but tools ask for it.
  const blockCount = Math.ceil(size / trimBlockEntries)
  const numbers = { length: size, 'radix-tree-keys': blockCount, 'radix-tree-nodes': blockCount + 1 }
  for (const [name, value] of Object.entries(numbers)) {
    reply.bulk(name)
    reply.integer(value)
  }
  reply.bulk('last-generated-id')
  reply.bulk(formatId(lastId))
  reply.bulk('max-deleted-entry-id')
  reply.bulk(formatId(maxDeletedId))
  reply.bulk('entries-added')
  reply.integer(entriesAdded)
  reply.bulk('recorded-first-entry-id')
  reply.bulk(formatId(firstIdOf(stream)))
}

function tellEnds(reply: ReplyWriter, stream: StreamView): void {
  reply.bulk('groups')
  reply.integer([...stream.groups()].length)
  const ends = { 'first-entry': stream.range(minId, maxId), 'last-entry': stream.rangeReversed(minId, maxId) }
  for (const [name, entries] of Object.entries(ends)) {
    reply.bulk(name)
    const [entry] = firstOf(entries, 1)
    if (entry === undefined) reply.null()
    else replyEntry(reply, entry)
  }
}

function tellFull(reply: ReplyWriter, stream: StreamView, count: number): void {
  reply.bulk('entries')
  replyEntries(reply, firstOf(stream.range(minId, maxId), count))
  reply.bulk('groups')
  const groups = [...stream.groups()]
  reply.array(groups.length)
  for (const group of groups) tellFullGroup(reply, stream, group, count)
}

function tellFullGroup(reply: ReplyWriter, stream: StreamView, group: StreamGroupView, count: number): void {
  const { local } = group
  reply.map(7)
  reply.bulk('name')
  reply.bulk(group.name)
  tellProgress(reply, stream, group)
  reply.bulk('pel-count')
  reply.integer(local?.pendingCount ?? 0)
  reply.bulk('pending')
  tellDeliveries(reply, local?.pendingFrom(minId) ?? [], count, true)
  reply.bulk('consumers')
  const consumers = local?.consumers ?? []
  reply.array(consumers.length)
  for (const consumer of consumers) tellFullConsumer(reply, consumer, count)
}

function tellFullConsumer(
  reply: ReplyWriter,
  { name, seenMs, activeMs, pending }: Consumer,
  count: number,
): void {
  reply.map(5)
  reply.bulk('name')
  reply.bulk(name)
  reply.bulk('seen-time')
  reply.integer(seenMs)
  reply.bulk('active-time')
  reply.integer(activeMs)
  reply.bulk('pel-count')
  reply.integer(pending.size)
  reply.bulk('pending')
  tellDeliveries(reply, pending.from(minId), count, false)
}

function tellDeliveries(
  reply: ReplyWriter,
  deliveries: Iterable<Delivery>,
  count: number,
  withConsumer: boolean,
): void {
  const found = firstOf(deliveries, count)
  reply.array(found.length)
  for (const { id, consumer, deliveredMs, count: times } of found) {
    reply.array(withConsumer ? 4 : 3)
    reply.bulk(formatId(id))
    if (withConsumer) reply.bulk(consumer.name)
    reply.integer(deliveredMs)
    reply.integer(times)
  }
}

function tellProgress(reply: ReplyWriter, stream: StreamView, group: StreamGroupView): void {
  reply.bulk('last-delivered-id')
  reply.bulk(formatId(lastDeliveredOf(group)))
  const counts = { 'entries-read': positionOf(group).entriesRead, lag: lagOf(stream, group) }
  for (const [name, value] of Object.entries(counts)) {
    reply.bulk(name)
    if (value === undefined) reply.null()
    else reply.integer(value)
  }
}

export const XINFO_GROUPS: Handler = (context) => {
  const { reply } = context
  const stream = streamOf(context)
  const groups = [...stream.groups()]
  reply.array(groups.length)
  for (const group of groups) {
    reply.map(6)
    reply.bulk('name')
    reply.bulk(group.name)
    reply.bulk('consumers')
    reply.integer(group.local?.consumerCount ?? 0)
    reply.bulk('pending')
    reply.integer(group.local?.pendingCount ?? 0)
    tellProgress(reply, stream, group)
  }
}

export const XINFO_CONSUMERS: Handler = (context) => {
  const { args, reply, nowMs } = context
  const group = streamOf(context).group(args.text(3))
  if (group === undefined) throw new ReplyError(errors.noGroupOfKey(args.text(2), args.text(3)))
  const consumers = group.local?.consumers ?? []
  reply.array(consumers.length)
  for (const { name, seenMs, activeMs, pending } of consumers) {
    reply.map(4)
    reply.bulk('name')
    reply.bulk(name)
    const numbers = {
      pending: pending.size,
      idle: Math.max(0, nowMs - seenMs),
      inactive: activeMs < 0 ? -1 : Math.max(0, nowMs - activeMs),
    }
    for (const [label, value] of Object.entries(numbers)) {
      reply.bulk(label)
      reply.integer(value)
    }
  }
}
