/** Consumer groups: making and destroying them, moving them, their consumers, and acknowledging. */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { minId, type StreamId } from '#protocol/sync/streamId.ts'
import type { Delivery } from '#server/crdt/pendingList.ts'
import {
  cursorsAt,
  endCursors,
  newlyAcknowledged,
  positionAt,
  positionOf,
} from '#server/store/groupPosition.ts'
import type { StreamGroupView, StreamView } from '#server/store/views.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { tellTaken } from './keyEvents.ts'
import { edgeIdAt, idAt } from './streamArguments.ts'
import { makeConsumer } from './streamDelivery.ts'

interface GroupOptions {
  mkstream: boolean
  /** undefined: not known. */
  entriesRead: number | undefined
}

function parseGroupOptions(args: Arguments, mayMake: boolean): GroupOptions {
  const options: GroupOptions = { mkstream: false, entriesRead: undefined }
  for (let at = 5; at < args.count; at++) {
    if (mayMake && args.is(at, 'MKSTREAM')) options.mkstream = true
    else if (args.is(at, 'ENTRIESREAD') && at + 1 < args.count) {
      const read = args.integerFrom(++at, Number.NEGATIVE_INFINITY, errors.notInteger)
      if (read < -1) throw new ReplyError(errors.entriesReadNegative)
      options.entriesRead = read === -1 ? undefined : Math.min(read, Number.MAX_SAFE_INTEGER)
    } else throw new ReplyError(errors.wrongSubcommandArity('XGROUP', args.text(1)))
  }
  return options
}

function streamOfGroup({ args, db }: CommandContext): StreamView {
  const stream = db.stream(args.text(2))
  if (stream === undefined) throw new ReplyError(errors.noStreamOfGroup)
  return stream
}

function groupOf(context: CommandContext): StreamGroupView {
  const group = streamOfGroup(context).group(context.args.text(3))
  if (group === undefined)
    throw new ReplyError(errors.noGroupOfKey(context.args.text(2), context.args.text(3)))
  return group
}

export const XGROUP_CREATE: Handler = (context) => {
  const { args, db, write, events, reply } = context
  const { mkstream, entriesRead } = parseGroupOptions(args, true)
  const [key, name] = [args.text(2), args.text(3)]
  const stream = mkstream ? db.stream(key) : streamOfGroup(context)
  const start = args.text(4) === '$' ? 'end' : idAt(args, 4)
  if (stream?.group(name) !== undefined) throw new ReplyError(errors.groupExists)
  write.streamCreateGroup(key, name, start)
  const made = db.stream(key)?.group(name)
  if (entriesRead !== undefined && made !== undefined) {
    const position = { ...positionOf(made), entriesRead }
    write.changeGroup(key, name, (sink) => sink.setPosition(position))
  }
  events.note(EventClass.stream, 'xgroup-create', key)
  reply.ok()
}

export const XGROUP_SETID: Handler = (context) => {
  const { args, write, events, reply } = context
  const { entriesRead } = parseGroupOptions(args, false)
  const stream = streamOfGroup(context)
  const group = groupOf(context)
  const isEnd = args.text(4) === '$'
  const id = isEnd ? stream.lastId : edgeIdAt(args, 4)
  const position = positionAt(group, id, isEnd ? endCursors(stream) : cursorsAt(id), entriesRead)
  write.changeGroup(args.text(2), group.name, (sink) => sink.setPosition(position))
  events.note(EventClass.stream, 'xgroup-setid', args.text(2))
  reply.ok()
}

export const XGROUP_DESTROY: Handler = (context) => {
  const { args, write, reply } = context
  streamOfGroup(context)
  const destroyed = write.streamDestroyGroup(args.text(2), args.text(3))
  if (destroyed) tellTaken(context, EventClass.stream, 'xgroup-destroy', args.text(2))
  reply.integer(destroyed ? 1 : 0)
}

export const XGROUP_CREATECONSUMER: Handler = (context) => {
  const { args, reply } = context
  const group = groupOf(context)
  const name = args.text(4)
  const isNew = group.local?.consumerNamed(name) === undefined
  if (isNew) makeConsumer(context, args.text(2), group.name, name)
  reply.integer(isNew ? 1 : 0)
}

export const XGROUP_DELCONSUMER: Handler = (context) => {
  const { args, write, events, reply } = context
  const group = groupOf(context)
  const name = args.text(4)
  const consumer = group.local?.consumerNamed(name)
  if (consumer === undefined) return reply.integer(0)
  const pendingCount = consumer.pending.size
  const position = positionWithout(group, consumer.pending.from(minId))
  write.changeGroup(args.text(2), group.name, (sink) => {
    sink.removeConsumer(name)
    if (pendingCount > 0) sink.setPosition(position)
  })
  events.note(EventClass.stream, 'xgroup-delconsumer', args.text(2))
  reply.integer(pendingCount)
}

/** What goes unacknowledged must not be told to be: another cluster may give it. */
function positionWithout(group: StreamGroupView, lost: Iterable<Delivery>) {
  const position = positionOf(group)
  const since = [...position.since]
  for (const { id, origin } of lost) if (id > (since[origin] ?? minId)) since[origin] = id
  return { ...position, since }
}

export const XACK: Handler = (context) => {
  const { args, db, write, reply } = context
  const [key, name] = [args.text(1), args.text(2)]
  const stream = db.stream(key)
  const group = stream?.group(name)
  if (stream === undefined || group === undefined) return reply.integer(0)
  const ids = new Set<StreamId>()
  for (let i = 3; i < args.count; i++) ids.add(idAt(args, i))
  const acked = [...ids].flatMap((id) => group.local?.deliveriesOf(id) ?? [])
  reply.integer(acked.length)
  if (acked.length === 0) return
  write.changeGroup(key, name, (sink) => sink.forget(acked))
  for (const origin of new Set(acked.map((delivery) => delivery.origin))) {
    const own = acked.filter((delivery) => delivery.origin === origin).map(({ id }) => id)
    const told = newlyAcknowledged(stream, group, origin, db.origin, own)
    if (told !== undefined) write.streamAcknowledge(key, name, origin, told.from, told.upto)
  }
}
