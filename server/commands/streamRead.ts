/** XREAD and XREADGROUP: entries of several streams at once, or as soon as there are some. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { maxId, minId, nextId, type StreamId } from '#protocol/sync/streamId.ts'
import type { StreamEntry } from '#server/crdt/streamBlock.ts'
import type { StreamView } from '#server/store/views.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { idAt } from './streamArguments.ts'
import { createConsumer, deliverAgain, deliverNew, type GroupReader, groupToRead } from './streamDelivery.ts'
import { countOf, firstOf, type GoneEntry, replyEntries } from './streamReply.ts'
import { blockMsAt } from './timeout.ts'

interface ReadOptions {
  /** undefined: it doesn't wait; 0: for ever. */
  blockMs: number | undefined
  /** Of each stream; Infinity: all. */
  count: number
  group: GroupReader | undefined
  keys: string[]
  /** Where the ids begin. */
  idsFrom: number
}

/** A stream that is asked for; an id of undefined stands for `>`. */
interface Wish {
  readonly key: string
  readonly behind: StreamId | undefined
}

/** What is given of a stream. */
interface Found {
  readonly key: string
  readonly entries: readonly (StreamEntry | GoneEntry)[]
}

function parseRead(args: Arguments, nowMs: number, isGroup: boolean): ReadOptions {
  const options: ReadOptions = {
    blockMs: undefined,
    count: Number.POSITIVE_INFINITY,
    group: undefined,
    keys: [],
    idsFrom: 0,
  }
  let names: [group: string, consumer: string] | undefined
  let noAck = false
  for (let at = 1; at < args.count && options.idsFrom === 0; at++) {
    const more = args.count - 1 - at
    if (args.is(at, 'BLOCK') && more > 0) options.blockMs = blockMsAt(args, ++at, nowMs)
    else if (args.is(at, 'COUNT') && more > 0)
      options.count = countOf(args.integer(++at)) || Number.POSITIVE_INFINITY
    else if (args.is(at, 'STREAMS') && more > 0) {
      if (more % 2 !== 0) throw new ReplyError(errors.unbalancedStreams)
      options.idsFrom = at + 1 + more / 2
      options.keys = args.texts(at + 1, options.idsFrom)
    } else if (args.is(at, 'GROUP') && more > 1) {
      if (!isGroup) throw new ReplyError(errors.groupOfXread)
      names = [args.text(at + 1), args.text(at + 2)]
      at += 2
    } else if (args.is(at, 'NOACK')) {
      if (!isGroup) throw new ReplyError(errors.noackOfXread)
      noAck = true
    } else throw new ReplyError(errors.syntax)
  }
  if (options.idsFrom === 0) throw new ReplyError(errors.syntax)
  if (isGroup && names === undefined) throw new ReplyError(errors.noGroupOption)
  if (names !== undefined) options.group = { name: names[0], consumer: names[1], noAck }
  return options
}

/** Each key and what it is asked for; groups and types are looked at on the way. */
function wishesOf({ args, db }: CommandContext, { keys, idsFrom, group }: ReadOptions): Wish[] {
  return keys.map((key, i) => {
    const stream = group === undefined ? db.stream(key) : groupToRead(db, key, group.name).stream
    const text = args.text(idsFrom + i)
    if (text === '$') {
      if (group !== undefined) throw new ReplyError(errors.lastIdOfXreadgroup)
      return { key, behind: stream?.lastId ?? minId }
    }
    if (text !== '>') {
      const behind = idAt(args, idsFrom + i)
      // In Redis the greatest id stands for `>`, and nothing can be pending behind it.
      return { key, behind: group !== undefined && behind === maxId ? undefined : behind }
    }
    if (group === undefined) throw new ReplyError(errors.newEntriesOfXread)
    return { key, behind: undefined }
  })
}

/** False: there is nothing, and nothing was written. */
function readNow(context: CommandContext, wishes: readonly Wish[], { group, count }: ReadOptions): boolean {
  const { reply, db } = context
  const found: Found[] = []
  for (const wish of wishes) {
    const entries =
      group === undefined
        ? entriesBehind(db.stream(wish.key), wish.behind, count)
        : entriesOfGroup(context, wish, group, count)
    if (entries !== undefined) found.push({ key: wish.key, entries })
  }
  if (found.length === 0) return false
  if (reply.resp3) reply.map(found.length)
  else reply.array(found.length)
  for (const one of found) {
    if (!reply.resp3) reply.array(2)
    reply.bulk(one.key)
    replyEntries(reply, one.entries)
  }
  return true
}

function entriesBehind(
  stream: StreamView | undefined,
  behind: StreamId | undefined,
  count: number,
): StreamEntry[] | undefined {
  const first = nextId(behind ?? maxId)
  if (stream === undefined || first === undefined) return undefined
  const entries = firstOf(stream.range(first, maxId), count)
  return entries.length > 0 ? entries : undefined
}

function entriesOfGroup(
  context: CommandContext,
  { key, behind }: Wish,
  reader: GroupReader,
  count: number,
): Found['entries'] | undefined {
  if (behind !== undefined) return deliverAgain(context, key, reader, behind, count)
  const entries = deliverNew(context, key, reader, count)
  return entries.length > 0 ? entries : undefined
}

function read(context: CommandContext, isGroup: boolean): void {
  const { args, reply, nowMs, wait } = context
  const options = parseRead(args, nowMs, isGroup)
  const wishes = wishesOf(context, options)
  const { group, blockMs } = options
  if (group !== undefined) for (const { key } of wishes) createConsumer(context, key, group)
  if (readNow(context, wishes, options)) return
  if (blockMs === undefined || wait === null) {
    reply.nullArray()
    return
  }
  wait({
    keys: options.keys,
    // A group that is gone is told of.
    type: group === undefined ? 'stream' : 'any',
    timeoutMs: blockMs,
    serve(later) {
      if (group !== undefined) for (const { key } of wishes) groupToRead(later.db, key, group.name)
      // What has become another value meanwhile has nothing for it.
      const streams = wishes.filter(({ key }) => later.db.type(key) === 'stream')
      return readNow(later, streams, options)
    },
  })
}

export const XREAD: Handler = (context) => read(context, false)
export const XREADGROUP: Handler = (context) => read(context, true)
