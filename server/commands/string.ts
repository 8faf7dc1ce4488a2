/** Strings as registers; see `counter.ts` and `stringRange.ts` for the rest of the group. */

import { type FoundOptions, parseOptions } from '#protocol/commands/options.ts'
import type { stringCommands } from '#protocol/commands/string.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import { DECR, DECRBY, INCR, INCRBY, INCRBYFLOAT } from './counter.ts'
import {
  millisecondsFromNow,
  millisecondsSinceEpoch,
  positiveTimeMs,
  secondsFromNow,
  secondsSinceEpoch,
  type TimeForm,
} from './expiry.ts'
import { deleteKey } from './keyEvents.ts'
import { APPEND, GETRANGE, LCS, SETRANGE, STRLEN } from './stringRange.ts'

const clear = { kind: 'clear' } as const
const keep = { kind: 'keep' } as const

const GET: Handler = ({ args, db, reply }) => {
  if (!db.replyWithString(args.bytes, args.start(1), args.end(1), reply))
    throw new ReplyError(errors.wrongType)
}

const never = Number.POSITIVE_INFINITY

const SET: Handler = (context) => {
  const { args, write, events, reply } = context
  if (args.count > 3) return setWithOptions(context)
  if (events.classes === 0)
    write.setBytes(args.bytes, args.start(1), args.end(1), args.start(2), args.end(2), never)
  else set(context, args.text(1), args.text(2))
  reply.ok()
}

const timeWords = { EX: 1, PX: 1, EXAT: 1, PXAT: 1 } as const
const setWords = { NX: 0, XX: 0, GET: 0, KEEPTTL: 0, ...timeWords } as const
const setExclusive = [
  ['NX', 'XX'],
  ['KEEPTTL', 'EX', 'PX', 'EXAT', 'PXAT'],
] as const
const getexWords = { PERSIST: 0, ...timeWords } as const
const getexExclusive = [['PERSIST', 'EX', 'PX', 'EXAT', 'PXAT']] as const

function setWithOptions(context: CommandContext): void {
  const { args, db, write, events, reply } = context
  const options = parseOptions(args, 3, setWords, setExclusive)
  const atMs = optionTimeMs(context, options, 'SET')
  const key = args.text(1)
  const old = options.GET ? db.string(key) : undefined
  if (options.GET && old === undefined) events.note(EventClass.missed, 'keymiss', key)
  const wanted = !(options.NX || options.XX) || (db.use(key) !== 'none') === options.XX > 0
  if (wanted) {
    const value = args.text(2)
    if (atMs !== undefined) setUntil(context, key, value, atMs)
    else {
      write.setString(key, value, options.KEEPTTL ? keep : clear)
      events.note(EventClass.string, 'set', key)
    }
  }
  if (old !== undefined) reply.bulk(old)
  else if (wanted && !options.GET) reply.ok()
  else reply.null()
}

/** The time that the options give, if any. */
function optionTimeMs(
  { args, nowMs }: CommandContext,
  options: FoundOptions<typeof timeWords>,
  command: string,
): number | undefined {
  if (options.EX) return positiveTimeMs(args, options.EX, secondsFromNow, nowMs, command)
  if (options.PX) return positiveTimeMs(args, options.PX, millisecondsFromNow, nowMs, command)
  if (options.EXAT) return positiveTimeMs(args, options.EXAT, secondsSinceEpoch, nowMs, command)
  if (options.PXAT) return positiveTimeMs(args, options.PXAT, millisecondsSinceEpoch, nowMs, command)
  return undefined
}

/** A value that has expired already is not written, though told of: what is left is the end of the old one. */
function setUntil({ nowMs, write, events }: CommandContext, key: string, value: string, atMs: number): void {
  const hasPassed = atMs <= nowMs
  if (!hasPassed) write.setString(key, value, { kind: 'at', atMs })
  else if (!write.delete(key)) events.note(EventClass.created, 'new', key)
  events.note(EventClass.string, 'set', key)
  events.note(EventClass.generic, 'expire', key)
  if (hasPassed) events.note(EventClass.expired, 'expired', key)
}

const GETEX: Handler = (context) => {
  const { args, db, write, events, reply, nowMs } = context
  const options = parseOptions(args, 2, getexWords, getexExclusive)
  const key = args.text(1)
  const value = db.string(key)
  if (value === undefined) return reply.null()
  const atMs = optionTimeMs(context, options, 'GETEX')
  if (atMs !== undefined) {
    if (atMs <= nowMs) deleteKey(context, key)
    else {
      write.expire(key, atMs)
      events.note(EventClass.generic, 'expire', key)
    }
  } else if (options.PERSIST && db.expireAtMs(key) !== Number.POSITIVE_INFINITY) {
    write.expire(key, Number.POSITIVE_INFINITY)
    events.note(EventClass.generic, 'persist', key)
  }
  reply.bulk(value)
}

const GETDEL: Handler = (context) => {
  const { args, db, reply } = context
  const key = args.text(1)
  const value = db.string(key)
  if (value === undefined) return reply.null()
  deleteKey(context, key)
  reply.bulk(value)
}

const GETSET: Handler = (context) => {
  const { args, db, reply } = context
  const key = args.text(1)
  const old = db.string(key)
  set(context, key, args.text(2))
  if (old === undefined) reply.null()
  else reply.bulk(old)
}

const SETNX: Handler = (context) => {
  const { args, db, reply } = context
  const key = args.text(1)
  const free = db.use(key) === 'none'
  if (free) set(context, key, args.text(2))
  reply.integer(free ? 1 : 0)
}

const SETEX: Handler = (context) => setForTime(context, secondsFromNow, 'SETEX')
const PSETEX: Handler = (context) => setForTime(context, millisecondsFromNow, 'PSETEX')

function setForTime(context: CommandContext, form: TimeForm, command: string): void {
  const { args, reply, nowMs } = context
  const atMs = positiveTimeMs(args, 2, form, nowMs, command)
  setUntil(context, args.text(1), args.text(3), atMs)
  reply.ok()
}

const MGET: Handler = ({ args, db, reply }) => {
  reply.array(args.count - 1)
  for (let i = 1; i < args.count; i++) {
    if (!db.replyWithString(args.bytes, args.start(i), args.end(i), reply)) reply.null()
  }
}

const MSET: Handler = (context) => {
  needPairs(context, 'MSET')
  setPairs(context)
  context.reply.ok()
}

const MSETNX: Handler = (context) => {
  needPairs(context, 'MSETNX')
  const { args, db, reply } = context
  for (let i = 1; i < args.count; i += 2) {
    if (db.use(args.text(i)) !== 'none') return reply.integer(0)
  }
  setPairs(context)
  reply.integer(1)
}

function needPairs({ args }: CommandContext, command: string): void {
  if (args.count % 2 === 0) throw new ReplyError(errors.wrongArity(command))
}

function setPairs(context: CommandContext): void {
  const { args } = context
  for (let i = 1; i < args.count; i += 2) set(context, args.text(i), args.text(i + 1))
}

function set({ write, events }: CommandContext, key: string, value: string): void {
  write.setString(key, value, clear)
  events.note(EventClass.string, 'set', key)
}

export const stringHandlers = {
  APPEND,
  DECR,
  DECRBY,
  GET,
  GETDEL,
  GETEX,
  GETRANGE,
  GETSET,
  INCR,
  INCRBY,
  INCRBYFLOAT,
  LCS,
  MGET,
  MSET,
  MSETNX,
  PSETEX,
  SET,
  SETEX,
  SETNX,
  SETRANGE,
  STRLEN,
  SUBSTR: GETRANGE,
} satisfies Handlers<typeof stringCommands>
