/** When fields of hashes expire: setting, asking, taking back, as Redis 7.4 does. Each field has an answer of its own. */

import type { hashExpiryCommands } from '#protocol/commands/hashExpiry.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { HashView } from '#server/store/views.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import {
  expireAtMsMax,
  millisecondsFromNow,
  millisecondsSinceEpoch,
  secondsFromNow,
  secondsSinceEpoch,
  type TimeForm,
  timeMs,
} from './expiry.ts'
import { tellTaken } from './keyEvents.ts'
import { allows, conditionWords, type ExpiryCondition, unconditional } from './keyExpiry.ts'

const never = Number.POSITIVE_INFINITY

const noField = -2
const noTtl = -1
const refused = 0
const done = 1
const deleted = 2

const HEXPIRE: Handler = (context) => expire(context, secondsFromNow, 'HEXPIRE')
const HPEXPIRE: Handler = (context) => expire(context, millisecondsFromNow, 'HPEXPIRE')
const HEXPIREAT: Handler = (context) => expire(context, secondsSinceEpoch, 'HEXPIREAT')
const HPEXPIREAT: Handler = (context) => expire(context, millisecondsSinceEpoch, 'HPEXPIREAT')

function expire(context: CommandContext, form: TimeForm, command: string): void {
  const { args, db, write, events, reply, nowMs } = context
  const key = args.text(1)
  const hash = db.hash(key)
  const atMs = parseTime(context, form, command)
  const condition = parseCondition(context)
  const fields = parseFields(context, condition === unconditional ? 3 : 4, errors.fieldCountNotPositive)
  const times = timesOf(hash, fields)
  const answers = fields.map((field) => {
    const oldMs = times.get(field)
    if (oldMs === undefined) return noField
    if (!allows(condition, oldMs, atMs)) return refused
    times.set(field, atMs > nowMs ? atMs : undefined)
    return atMs > nowMs ? done : deleted
  })
  const changed = [...new Set(fields.filter((_, i) => answers[i] === done || answers[i] === deleted))]
  if (changed.length > 0) {
    if (atMs > nowMs) {
      write.hashExpire(key, changed, atMs)
      events.note(EventClass.hash, 'hexpire', key)
    } else {
      write.hashDelete(key, changed)
      tellTaken(context, EventClass.hash, 'hdel', key)
    }
  }
  reply.array(answers.length)
  for (const answer of answers) reply.integer(answer)
}

/** When each of the fields expires; undefined: it isn't there. A field that is named twice finds what the first has done. */
function timesOf(hash: HashView | undefined, fields: readonly string[]): Map<string, number | undefined> {
  return new Map(fields.map((field) => [field, hash?.has(field) ? hash.expireAtMs(field) : undefined]))
}

function parseTime({ args, nowMs }: CommandContext, form: TimeForm, command: string): number {
  const value = args.integer(2)
  if (value < 0) throw new ReplyError(errors.negativeExpire)
  const atMs = timeMs(value, form, nowMs)
  if (atMs === undefined || atMs > expireAtMsMax) throw new ReplyError(errors.invalidExpire(command))
  return atMs
}

/** One word, or none. */
function parseCondition({ args }: CommandContext): ExpiryCondition {
  const word = conditionWords.find((name) => args.is(3, name))
  return word === undefined ? unconditional : { ...unconditional, [word]: true }
}

/** FIELDS at `from`, their number, and they. */
function parseFields({ args }: CommandContext, from: number, notPositive: string): string[] {
  if (!args.is(from, 'FIELDS')) throw new ReplyError(errors.fieldsMissing)
  const count = args.integerFrom(from + 1, 1, notPositive)
  if (count !== args.count - from - 2) throw new ReplyError(errors.fieldCountMismatch)
  return args.texts(from + 2)
}

const HPERSIST: Handler = (context) => {
  const { args, db, write, events, reply } = context
  const key = args.text(1)
  const hash = db.hash(key)
  const fields = parseFields(context, 2, errors.fieldCountNotInteger)
  const times = timesOf(hash, fields)
  const answers = fields.map((field) => {
    const oldMs = times.get(field)
    if (oldMs === undefined) return noField
    times.set(field, never)
    return oldMs === never ? noTtl : done
  })
  const changed = fields.filter((_, i) => answers[i] === done)
  if (changed.length > 0) {
    write.hashExpire(key, changed, never)
    events.note(EventClass.hash, 'hpersist', key)
  }
  reply.array(answers.length)
  for (const answer of answers) reply.integer(answer)
}

const HTTL: Handler = (context) => tellTimes(context, secondsFromNow)
const HPTTL: Handler = (context) => tellTimes(context, millisecondsFromNow)
const HEXPIRETIME: Handler = (context) => tellTimes(context, secondsSinceEpoch)
const HPEXPIRETIME: Handler = (context) => tellTimes(context, millisecondsSinceEpoch)

/** Seconds are rounded up, unlike those of TTL. */
function tellTimes(context: CommandContext, { unitMs, relative }: TimeForm): void {
  const { args, db, reply, nowMs } = context
  const key = args.text(1)
  const hash = db.hash(key)
  const fields = parseFields(context, 2, errors.fieldCountNotInteger)
  const times = timesOf(hash, fields)
  reply.array(fields.length)
  for (const field of fields) {
    const atMs = times.get(field)
    if (atMs === undefined) reply.integer(noField)
    else if (atMs === never) reply.integer(noTtl)
    else reply.integer(Math.ceil((relative ? atMs - nowMs : atMs) / unitMs))
  }
}

export const hashExpiryHandlers = {
  HEXPIRE,
  HEXPIREAT,
  HEXPIRETIME,
  HPERSIST,
  HPEXPIRE,
  HPEXPIREAT,
  HPEXPIRETIME,
  HPTTL,
  HTTL,
} satisfies Handlers<typeof hashExpiryCommands>
