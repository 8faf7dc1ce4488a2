/** Hashes; counters in fields are in `hashCounter.ts`, TTLs of fields in `hashExpiry.ts`. */

import type { hashCommands } from '#protocol/commands/hash.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { HashView } from '#server/store/views.ts'
import type { CommandContext, Handler, Handlers } from './context.ts'
import { HINCRBY, HINCRBYFLOAT } from './hashCounter.ts'
import { hashExpiryHandlers } from './hashExpiry.ts'
import { tellTaken } from './keyEvents.ts'
import { parsePicks, pick } from './randomPick.ts'
import { scanElements } from './scanOptions.ts'

const HSET: Handler = (context) => context.reply.integer(setFields(context, 'HSET'))

const HMSET: Handler = (context) => {
  setFields(context, 'HMSET')
  context.reply.ok()
}

/** Returns how many fields are new. */
function setFields({ args, db, write, events }: CommandContext, command: string): number {
  if (args.count % 2 === 1) throw new ReplyError(errors.wrongArity(command))
  const key = args.text(1)
  db.requireWritable(key, 'hash')
  let created = 0
  for (let i = 2; i < args.count; i += 2) if (write.hashSet(key, args.text(i), args.text(i + 1))) created++
  events.note(EventClass.hash, 'hset', key)
  return created
}

const HSETNX: Handler = ({ args, db, write, events, reply }) => {
  const key = args.text(1)
  const field = args.text(2)
  if (db.hash(key)?.has(field)) return reply.integer(0)
  write.hashSet(key, field, args.text(3))
  events.note(EventClass.hash, 'hset', key)
  reply.integer(1)
}

const HGET: Handler = ({ args, db, reply }) => {
  const value = db.hash(args.text(1))?.get(args.text(2))
  if (value === undefined) reply.null()
  else reply.bulk(value)
}

const HMGET: Handler = ({ args, db, reply }) => {
  const hash = db.hash(args.text(1))
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) {
    const value = hash?.get(args.text(i))
    if (value === undefined) reply.null()
    else reply.bulk(value)
  }
}

const HGETALL: Handler = ({ args, db, reply }) => {
  const hash = db.hash(args.text(1))
  reply.map(hash?.size ?? 0)
  for (const [field, value] of hash?.entries() ?? []) {
    reply.bulk(field)
    reply.bulk(value)
  }
}

const HKEYS: Handler = ({ args, db, reply }) => {
  const hash = db.hash(args.text(1))
  reply.array(hash?.size ?? 0)
  for (const field of hash?.fields() ?? []) reply.bulk(field)
}

const HVALS: Handler = ({ args, db, reply }) => {
  const hash = db.hash(args.text(1))
  reply.array(hash?.size ?? 0)
  for (const [, value] of hash?.entries() ?? []) reply.bulk(value)
}

const HLEN: Handler = ({ args, db, reply }) => reply.integer(db.hash(args.text(1))?.size ?? 0)

const HSTRLEN: Handler = ({ args, db, reply }) => {
  reply.integer(db.hash(args.text(1))?.get(args.text(2))?.length ?? 0)
}

const HEXISTS: Handler = ({ args, db, reply }) => {
  reply.integer(db.hash(args.text(1))?.has(args.text(2)) ? 1 : 0)
}

const HDEL: Handler = (context) => {
  const { args, write, reply } = context
  const key = args.text(1)
  const removed = write.hashDelete(key, args.texts(2))
  if (removed > 0) tellTaken(context, EventClass.hash, 'hdel', key)
  reply.integer(removed)
}

const HSCAN: Handler = (context) =>
  scanElements(context, () => {
    const hash = context.db.hash(context.args.text(1))
    return hash?.scan.bind(hash)
  })

const HRANDFIELD: Handler = (context) => {
  const { args, db, reply, random } = context
  if (args.count > 2) return replyWithFields(context)
  const hash = db.hash(args.text(1))
  if (hash === undefined) reply.null()
  else reply.bulk(hash.randomField(random))
}

function replyWithFields({ args, db, reply, random }: CommandContext): void {
  const { count, paired } = parsePicks(args, 'WITHVALUES')
  const hash = db.hash(args.text(1))
  if (hash === undefined || count === 0) {
    reply.array(0)
    return
  }
  const picks = { size: hash.size, all: () => hash.fields(), one: () => hash.randomField(random) }
  replyWithPicks(reply, pick(picks, count, random), paired ? hash : undefined)
}

/** RESP3 has an array of pairs, RESP2 a flat one. */
function replyWithPicks(
  reply: CommandContext['reply'],
  fields: readonly string[],
  values: HashView | undefined,
): void {
  reply.array(values === undefined || reply.resp3 ? fields.length : fields.length * 2)
  for (const field of fields) {
    if (values !== undefined && reply.resp3) reply.array(2)
    reply.bulk(field)
    if (values !== undefined) reply.bulk(values.get(field) ?? '')
  }
}

export const hashHandlers = {
  HDEL,
  HEXISTS,
  HGET,
  HGETALL,
  HINCRBY,
  HINCRBYFLOAT,
  HKEYS,
  HLEN,
  HMGET,
  HMSET,
  HRANDFIELD,
  HSCAN,
  HSET,
  HSETNX,
  HSTRLEN,
  HVALS,
  ...hashExpiryHandlers,
} satisfies Handlers<typeof hashCommands>
