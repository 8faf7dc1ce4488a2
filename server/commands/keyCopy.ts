/**
 * RENAME and COPY. Replication knows no renaming: the new key is written with the value as seen here, and what another
 * cluster writes to the old name at the same time stays there.
 */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Transaction } from '#server/store/transaction.ts'
import type { HashView } from '#server/store/views.ts'
import type { CommandContext, Handler } from './context.ts'

const never = Number.POSITIVE_INFINITY

export const RENAME: Handler = (context) => {
  const { args, db, write, reply } = context
  const source = args.text(1)
  const target = args.text(2)
  if (db.type(source) === 'none') throw new ReplyError(errors.noSuchKey)
  if (source !== target) {
    const writeTo = readValue(context, source)
    write.delete(source)
    writeTo(write, target)
  }
  reply.ok()
}

export const RENAMENX: Handler = (context) => {
  const { args, db, write, reply } = context
  const source = args.text(1)
  const target = args.text(2)
  if (db.type(source) === 'none') throw new ReplyError(errors.noSuchKey)
  if (db.type(target) !== 'none') return reply.integer(0)
  const writeTo = readValue(context, source)
  write.delete(source)
  writeTo(write, target)
  reply.integer(1)
}

export const COPY: Handler = (context) => {
  const { args, db, write, reply } = context
  const replace = parseCopyOptions(context)
  const source = args.text(1)
  const target = args.text(2)
  if (source === target) throw new ReplyError(errors.sameObject)
  if (db.type(source) === 'none') return reply.integer(0)
  if (!replace && db.type(target) !== 'none') return reply.integer(0)
  readValue(context, source)(write, target)
  reply.integer(1)
}

const int32Max = 2 ** 31 - 1
const int32Min = -(2 ** 31)

/** Whether the target may be replaced. There is one database, 0. */
function parseCopyOptions({ args }: CommandContext): boolean {
  let replace = false
  for (let i = 3; i < args.count; i++) {
    if (args.is(i, 'REPLACE')) replace = true
    else if (args.is(i, 'DB') && i + 1 < args.count) {
      const database = args.integer(++i)
      if (database > int32Max || database < int32Min)
        throw new ReplyError(errors.outsideRange(int32Min, int32Max))
      if (database !== 0) throw new ReplyError(errors.databaseOutOfRange)
    } else throw new ReplyError(errors.syntax)
  }
  return replace
}

function fieldsByExpiry(hash: HashView | undefined): Map<number, string[]> {
  const timed = new Map<number, string[]>()
  for (const field of hash?.fields() ?? []) {
    const atMs = hash?.expireAtMs(field) ?? never
    const together = timed.get(atMs)
    if (together !== undefined) together.push(field)
    else if (atMs !== never) timed.set(atMs, [field])
  }
  return timed
}

type WriteTo = (write: Transaction, key: string) => void

/** Takes the value of an existing key, with its TTL; the result writes it to a key in place of what is there. */
function readValue({ db }: CommandContext, source: string): WriteTo {
  const atMs = db.expireAtMs(source) ?? never
  const type = db.type(source)
  if (type === 'string') {
    const value = db.string(source) ?? ''
    const expiry = atMs === never ? ({ kind: 'clear' } as const) : ({ kind: 'at', atMs } as const)
    return (write, key) => write.setString(key, value, expiry)
  }
  // Views are live, and the source may be deleted before the target is written.
  const members = type === 'set' ? [...(db.set(source)?.members() ?? [])] : []
  const hash = type === 'hash' ? db.hash(source) : undefined
  const entries = [...(hash?.entries() ?? [])]
  const timed = fieldsByExpiry(hash)
  return (write, key) => {
    write.delete(key)
    if (members.length > 0) write.setAdd(key, members)
    for (const [field, value] of entries) write.hashSet(key, field, value)
    for (const [fieldAtMs, fields] of timed) write.hashExpire(key, fields, fieldAtMs)
    if (atMs !== never) write.expire(key, atMs)
  }
}
