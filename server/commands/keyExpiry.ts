/** When keys expire: setting, asking, taking back. */

import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { CommandContext, Handler } from './context.ts'
import {
  millisecondsFromNow,
  millisecondsSinceEpoch,
  secondsFromNow,
  secondsSinceEpoch,
  type TimeForm,
  timeMs,
} from './expiry.ts'
import { deleteKey } from './keyEvents.ts'

const never = Number.POSITIVE_INFINITY

export const EXPIRE: Handler = (context) => expire(context, secondsFromNow, 'EXPIRE')
export const PEXPIRE: Handler = (context) => expire(context, millisecondsFromNow, 'PEXPIRE')
export const EXPIREAT: Handler = (context) => expire(context, secondsSinceEpoch, 'EXPIREAT')
export const PEXPIREAT: Handler = (context) => expire(context, millisecondsSinceEpoch, 'PEXPIREAT')

function expire(context: CommandContext, form: TimeForm, command: string): void {
  const { args, db, write, events, reply, nowMs } = context
  const condition = parseCondition(context)
  const atMs = timeMs(args.integer(2), form, nowMs)
  if (atMs === undefined) throw new ReplyError(errors.invalidExpire(command))
  const key = args.text(1)
  const oldMs = db.expireAtMs(key)
  const allowed = oldMs !== undefined && allows(condition, oldMs, atMs)
  if (allowed) {
    if (atMs <= nowMs) deleteKey(context, key)
    else {
      write.expire(key, atMs)
      events.note(EventClass.generic, 'expire', key)
    }
  } else db.use(key)
  reply.integer(allowed ? 1 : 0)
}

/** When a TTL may be set; of a field, too. */
export interface ExpiryCondition {
  NX: boolean
  XX: boolean
  GT: boolean
  LT: boolean
}

export const conditionWords = ['NX', 'XX', 'GT', 'LT'] as const
export const unconditional: ExpiryCondition = { NX: false, XX: false, GT: false, LT: false }

function parseCondition({ args }: CommandContext): ExpiryCondition {
  if (args.count === 3) return unconditional
  const condition = { ...unconditional }
  for (let i = 3; i < args.count; i++) {
    const word = conditionWords.find((name) => args.is(i, name))
    if (word === undefined) throw new ReplyError(errors.unsupportedOption(args.text(i)))
    condition[word] = true
  }
  if (condition.NX && (condition.XX || condition.GT || condition.LT))
    throw new ReplyError(errors.expireOptionsWithNx)
  if (condition.GT && condition.LT) throw new ReplyError(errors.expireGtAndLt)
  return condition
}

/** What has no TTL counts as living for ever: nothing is later, anything is earlier. */
export function allows(condition: ExpiryCondition, oldMs: number, atMs: number): boolean {
  if (condition.NX && oldMs !== never) return false
  if (condition.XX && oldMs === never) return false
  if (condition.GT && atMs <= oldMs) return false
  return !(condition.LT && atMs >= oldMs)
}

export const PERSIST: Handler = ({ args, db, write, events, reply }) => {
  const key = args.text(1)
  const atMs = db.expireAtMs(key)
  const volatile = atMs !== undefined && atMs !== never
  if (volatile) {
    write.expire(key, never)
    events.note(EventClass.generic, 'persist', key)
  } else db.use(key)
  reply.integer(volatile ? 1 : 0)
}

export const TTL: Handler = (context) => tellTime(context, secondsFromNow)
export const PTTL: Handler = (context) => tellTime(context, millisecondsFromNow)
export const EXPIRETIME: Handler = (context) => tellTime(context, secondsSinceEpoch)
export const PEXPIRETIME: Handler = (context) => tellTime(context, millisecondsSinceEpoch)

const noKey = -2
const noTtl = -1

function tellTime({ args, db, reply, nowMs }: CommandContext, { unitMs, relative }: TimeForm): void {
  const atMs = db.expireAtMs(args.text(1))
  if (atMs === undefined) reply.integer(noKey)
  else if (atMs === never) reply.integer(noTtl)
  else reply.integer(Math.floor(((relative ? Math.max(0, atMs - nowMs) : atMs) + unitMs / 2) / unitMs))
}
