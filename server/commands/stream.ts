/**
 * Streams; reading with waiting is in `streamRead.ts`, trimming in `streamTrim.ts`, consumer groups are in `streamGroup.ts` and
 * `streamClaim.ts`, what is told of all of it in `streamInfo.ts`.
 */

import type { streamCommands } from '#protocol/commands/stream.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { clusterOfOrigin } from '#protocol/sync/stamp.ts'
import { formatId, minId, type StreamId } from '#protocol/sync/streamId.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import { idAt, intervalEndAt, intervalStartAt, newIdAt, parseTrimOptions } from './streamArguments.ts'
import { XAUTOCLAIM, XCLAIM } from './streamClaim.ts'
import {
  XACK,
  XGROUP_CREATE,
  XGROUP_CREATECONSUMER,
  XGROUP_DELCONSUMER,
  XGROUP_DESTROY,
  XGROUP_SETID,
} from './streamGroup.ts'
import { newEntryId } from './streamId.ts'
import { XINFO_CONSUMERS, XINFO_GROUPS, XINFO_STREAM } from './streamInfo.ts'
import { XPENDING } from './streamPending.ts'
import { XREAD, XREADGROUP } from './streamRead.ts'
import { countOf, firstOf, replyEntries } from './streamReply.ts'
import { trim, XTRIM } from './streamTrim.ts'

const XADD: Handler = (context) => {
  const { args, db, write, events, reply, nowMs, streamIdMode } = context
  const { trimming, noMkstream, end } = parseTrimOptions(args, true)
  const textCount = args.count - end - 1
  if (textCount < 2 || textCount % 2 === 1) throw new ReplyError(errors.wrongArity('xadd'))
  const wanted = args.text(end) === '*' ? undefined : newIdAt(args, end)
  const key = args.text(1)
  const source = { mode: streamIdMode, clusterId: clusterOfOrigin(db.origin), nowMs }
  const isZero = wanted !== undefined && wanted.ms === 0n && !wanted.isAuto && (wanted.seq ?? 0n) === 0n
  if (isZero && (streamIdMode === 'liberal' || wanted.seq !== undefined))
    throw new ReplyError(errors.streamIdZero)
  db.requireWritable(key, 'stream')
  const stream = db.stream(key)
  if (stream === undefined && noMkstream) return reply.null()
  const id = newEntryId(source, wanted, stream?.lastId ?? minId)
  write.streamAdd(key, [{ id, fields: args.texts(end + 1) }])
  events.note(EventClass.stream, 'xadd', key)
  if (trimming !== undefined) trim(context, key, trimming)
  reply.bulk(formatId(id))
}

const XLEN: Handler = ({ args, db, reply }) => reply.integer(db.stream(args.text(1))?.size ?? 0)

const XRANGE: Handler = (context) => {
  const { args } = context
  const from = intervalStartAt(args, 2)
  tellRange(context, from, intervalEndAt(args, 3), false)
}

const XREVRANGE: Handler = (context) => {
  const { args } = context
  const from = intervalStartAt(args, 3)
  tellRange(context, from, intervalEndAt(args, 2), true)
}

function tellRange(
  { args, db, reply }: CommandContext,
  from: StreamId,
  to: StreamId,
  isReversed: boolean,
): void {
  const count = parseCount(args, 4)
  const stream = db.stream(args.text(1))
  if (stream === undefined) reply.array(0)
  else if (count === 0) reply.nullArray()
  else {
    const entries = isReversed ? stream.rangeReversed(from, to) : stream.range(from, to)
    replyEntries(reply, firstOf(entries, count))
  }
}

/** `[COUNT count]`, said again and again if need be; Infinity without. */
function parseCount(args: Arguments, from: number): number {
  let count = Number.POSITIVE_INFINITY
  for (let at = from; at < args.count; at += 2) {
    if (!args.is(at, 'COUNT') || at + 1 >= args.count) throw new ReplyError(errors.syntax)
    count = countOf(args.integer(at + 1))
  }
  return count
}

const XDEL: Handler = ({ args, db, write, events, reply }) => {
  const key = args.text(1)
  if (db.stream(key) === undefined) return reply.integer(0)
  const ids: StreamId[] = []
  for (let i = 2; i < args.count; i++) ids.push(idAt(args, i))
  const deleted = write.streamDelete(key, ids)
  if (deleted > 0) events.note(EventClass.stream, 'xdel', key)
  reply.integer(deleted)
}

const XSETID: Handler = ({ args, db, write, events, reply }) => {
  const lastId = idAt(args, 2)
  const { entriesAdded, maxDeletedId } = parseMarks(args, lastId)
  const key = args.text(1)
  const stream = db.stream(key)
  if (stream === undefined) throw new ReplyError(errors.noSuchKey)
  if (lastId < stream.maxDeletedId) throw new ReplyError(errors.setIdBelowDeleted)
  if (lastId < stream.lastId) throw new ReplyError(errors.setIdBelowTop)
  if (entriesAdded !== undefined && stream.size > entriesAdded)
    throw new ReplyError(errors.entriesAddedBelowLength)
  write.streamSetMarks(key, {
    lastId,
    added: entriesAdded ?? stream.entriesAdded,
    maxDeletedId: maxDeletedId ?? stream.maxDeletedId,
  })
  events.note(EventClass.stream, 'xsetid', key)
  reply.ok()
}

interface SetMarks {
  entriesAdded: number | undefined
  maxDeletedId: StreamId | undefined
}

function parseMarks(args: Arguments, lastId: StreamId): SetMarks {
  const marks: SetMarks = { entriesAdded: undefined, maxDeletedId: undefined }
  for (let at = 3; at < args.count; at += 2) {
    if (at + 1 >= args.count) throw new ReplyError(errors.syntax)
    if (args.is(at, 'ENTRIESADDED')) {
      const added = args.integerFrom(at + 1, Number.NEGATIVE_INFINITY, errors.notInteger)
      if (added < 0) throw new ReplyError(errors.negativeEntriesAdded)
      marks.entriesAdded = Math.min(added, Number.MAX_SAFE_INTEGER)
    } else if (args.is(at, 'MAXDELETEDID')) {
      const deleted = idAt(args, at + 1)
      if (lastId < deleted) throw new ReplyError(errors.setIdBelowGivenDeleted)
      // Said as 0-0 it says nothing.
      marks.maxDeletedId = deleted === minId ? undefined : deleted
    } else throw new ReplyError(errors.syntax)
  }
  return marks
}

export const streamHandlers = {
  XACK,
  XADD,
  XAUTOCLAIM,
  XCLAIM,
  XDEL,
  'XGROUP|CREATE': XGROUP_CREATE,
  'XGROUP|CREATECONSUMER': XGROUP_CREATECONSUMER,
  'XGROUP|DELCONSUMER': XGROUP_DELCONSUMER,
  'XGROUP|DESTROY': XGROUP_DESTROY,
  'XGROUP|SETID': XGROUP_SETID,
  'XINFO|CONSUMERS': XINFO_CONSUMERS,
  'XINFO|GROUPS': XINFO_GROUPS,
  'XINFO|STREAM': XINFO_STREAM,
  XLEN,
  XPENDING,
  XRANGE,
  XREAD,
  XREADGROUP,
  XREVRANGE,
  XSETID,
  XTRIM,
} satisfies Handlers<typeof streamCommands>
