/** RESTORE: the way back from DUMP, of this server or of Redis. Checks and their order are those of Redis. */

import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { isSoundPayload, type RdbValue, readPayload } from '#protocol/rdb/rdbValue.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import type { Arguments } from './arguments.ts'
import type { Handler } from './context.ts'
import { millisecondsFromNow, millisecondsSinceEpoch, timeMs } from './expiry.ts'
import { deleteKey } from './keyEvents.ts'
import { type KeyValue, writeValue } from './keyValue.ts'

const never = Number.POSITIVE_INFINITY
const frequencyMax = 255

export const RESTORE: Handler = (context) => {
  const { args, db, write, events, reply, nowMs } = context
  const key = args.text(1)
  const { replace, absolute, idleSeconds, frequency } = parseOptions(args)
  if (!replace && db.use(key) !== 'none') throw new ReplyError(errors.busyKey)
  const ttl = args.integer(2)
  if (ttl < 0) throw new ReplyError(errors.negativeTtl)
  const value = unexpired(decoded(args.bytes.subarray(args.start(3), args.end(3))), nowMs)
  const atMs =
    Number(ttl) === 0 ? never : timeMs(ttl, absolute ? millisecondsSinceEpoch : millisecondsFromNow, nowMs)
  if (atMs === undefined) throw new ReplyError(errors.invalidExpire('RESTORE'))
  if (atMs <= nowMs || value === undefined) deleteKey(context, key)
  else {
    writeValue(db, write, key, restored(value), atMs)
    if (frequency !== undefined) db.setFrequency(key, frequency)
    if (idleSeconds !== undefined) db.setIdleSeconds(key, idleSeconds)
    events.note(EventClass.generic, 'restore', key)
  }
  reply.ok()
}

function decoded(payload: Uint8Array): RdbValue {
  if (!isSoundPayload(payload)) throw new ReplyError(errors.badDump)
  try {
    return readPayload(payload)
  } catch (error) {
    if (error instanceof FormatError) throw new ReplyError(errors.badDumpData)
    throw error
  }
}

/** What DUMP wrote of a HyperLogLog is a string to all servers; one that spells a HyperLogLog becomes one again. */
const restored = (value: RdbValue): KeyValue =>
  value.type === 'string' && HyperLogLog.isSpeltBy(value.text) ? { ...value, isHyperLogLog: true } : value

/** Without the fields whose time is over; undefined: nothing is left. */
function unexpired(value: RdbValue, nowMs: number): RdbValue | undefined {
  if (value.type !== 'hash' || value.expiring.size === 0) return value
  const gone = new Set<string>()
  const expiring = new Map<number, readonly string[]>()
  for (const [atMs, fields] of value.expiring) {
    if (atMs > nowMs) expiring.set(atMs, fields)
    else for (const field of fields) gone.add(field)
  }
  const entries = value.entries.filter(([field]) => !gone.has(field))
  return entries.length === 0 ? undefined : { ...value, entries, expiring }
}

interface RestoreOptions {
  replace: boolean
  /** The TTL is a time, not a distance. */
  absolute: boolean
  idleSeconds: number | undefined
  frequency: number | undefined
}

function parseOptions(args: Arguments): RestoreOptions {
  const found: RestoreOptions = {
    replace: false,
    absolute: false,
    idleSeconds: undefined,
    frequency: undefined,
  }
  for (let i = 4; i < args.count; i++) {
    const hasNext = i + 1 < args.count
    if (args.is(i, 'REPLACE')) found.replace = true
    else if (args.is(i, 'ABSTTL')) found.absolute = true
    else if (args.is(i, 'IDLETIME') && hasNext && found.frequency === undefined) {
      found.idleSeconds = Number(args.integer(++i))
      if (found.idleSeconds < 0) throw new ReplyError(errors.negativeIdleTime)
    } else if (args.is(i, 'FREQ') && hasNext && found.idleSeconds === undefined) {
      found.frequency = Number(args.integer(++i))
      if (found.frequency < 0 || found.frequency > frequencyMax)
        throw new ReplyError(errors.frequencyOutOfRange)
    } else throw new ReplyError(errors.syntax)
  }
  return found
}
