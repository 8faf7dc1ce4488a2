/** Lists; popping and moving, with the commands that wait, are in `listPop.ts` and `listMove.ts`, searching in `listSearch.ts`. */

import type { listCommands } from '#protocol/commands/list.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import { tellTaken } from './keyEvents.ts'
import { BLMOVE, BRPOPLPUSH, LMOVE, RPOPLPUSH } from './listMove.ts'
import { BLMPOP, BLPOP, BRPOP, LMPOP, LPOP, RPOP } from './listPop.ts'
import { LINSERT, LPOS, LREM } from './listSearch.ts'
import { type ListSide, pushEvents } from './listSide.ts'

function push(
  { args, db, write, events, reply }: CommandContext,
  side: ListSide,
  onlyExisting: boolean,
): void {
  const key = args.text(1)
  db.requireWritable(key, 'list')
  const values = onlyExisting && db.list(key) === undefined ? [] : args.texts(2)
  reply.integer(write.listPush(key, side, values))
  if (values.length > 0) events.note(EventClass.list, pushEvents[side], key)
}

const LPUSH: Handler = (context) => push(context, 'left', false)
const RPUSH: Handler = (context) => push(context, 'right', false)
const LPUSHX: Handler = (context) => push(context, 'left', true)
const RPUSHX: Handler = (context) => push(context, 'right', true)

const LLEN: Handler = ({ args, db, reply }) => reply.integer(db.list(args.text(1))?.size ?? 0)

const LINDEX: Handler = ({ args, db, reply }) => {
  const list = db.list(args.text(1))
  // Without a list the index is not looked at.
  if (list === undefined) return reply.null()
  const value = list.at(placeOf(args.integer(2), list.size))
  if (value === undefined) reply.null()
  else reply.bulk(value)
}

const LSET: Handler = ({ args, db, write, events, reply }) => {
  const key = args.text(1)
  const list = db.list(key)
  if (list === undefined) throw new ReplyError(errors.noSuchKey)
  const index = placeOf(args.integer(2), list.size)
  if (index < 0 || index >= list.size) throw new ReplyError(errors.indexOutOfRange)
  write.listSet(key, index, args.text(3))
  events.note(EventClass.list, 'lset', key)
  reply.ok()
}

const LRANGE: Handler = ({ args, db, reply }) => {
  const bounds = boundsAt(args, 2)
  const list = db.list(args.text(1))
  if (list === undefined) return reply.array(0)
  const { start, end } = clamped(bounds, list.size)
  reply.array(end - start)
  for (const value of list.range(start, end)) reply.bulk(value)
}

const LTRIM: Handler = (context) => {
  const { args, db, write, reply } = context
  const bounds = boundsAt(args, 2)
  const key = args.text(1)
  const list = db.list(key)
  if (list !== undefined) {
    const { start, end } = clamped(bounds, list.size)
    if (end - start < list.size) write.listTrim(key, start, end)
    tellTaken(context, EventClass.list, 'ltrim', key)
  }
  reply.ok()
}

/** Counted from the front; what is before the first element is negative. */
function placeOf(index: number | bigint, size: number): number {
  const place = Number(index)
  return place < 0 ? size + place : place
}

interface Bounds {
  first: number | bigint
  last: number | bigint
}

function boundsAt(args: Arguments, i: number): Bounds {
  return { first: args.integer(i), last: args.integer(i + 1) }
}

/** The elements [start, end) of a list that lie between the bounds. */
function clamped({ first, last }: Bounds, size: number): { start: number; end: number } {
  const start = Math.min(size, Math.max(0, placeOf(first, size)))
  const end = Math.min(size, placeOf(last, size) + 1)
  return { start, end: Math.max(start, end) }
}

export const listHandlers = {
  BLMOVE,
  BLMPOP,
  BLPOP,
  BRPOP,
  BRPOPLPUSH,
  LINDEX,
  LINSERT,
  LLEN,
  LMOVE,
  LMPOP,
  LPOP,
  LPOS,
  LPUSH,
  LPUSHX,
  LRANGE,
  LREM,
  LSET,
  LTRIM,
  RPOP,
  RPOPLPUSH,
  RPUSH,
  RPUSHX,
} satisfies Handlers<typeof listCommands>
