/**
 * RENAME and COPY. Replication knows no renaming: the new key is written with the value as seen here, and what another
 * cluster writes to the old name at the same time stays there.
 */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { CommandContext, Handler } from './context.ts'
import { takeValue, writeValue } from './keyValue.ts'

const never = Number.POSITIVE_INFINITY

export const RENAME: Handler = (context) => {
  const { args, db, reply } = context
  const source = args.text(1)
  const target = args.text(2)
  if (db.use(source) === 'none') throw new ReplyError(errors.noSuchKey)
  if (source !== target) {
    move(context, source, target)
  }
  reply.ok()
}

export const RENAMENX: Handler = (context) => {
  const { args, db, reply } = context
  const source = args.text(1)
  const target = args.text(2)
  if (db.use(source) === 'none') throw new ReplyError(errors.noSuchKey)
  if (db.use(target) !== 'none') return reply.integer(0)
  move(context, source, target)
  reply.integer(1)
}

export const COPY: Handler = (context) => {
  const { args, db, write, events, reply } = context
  const replace = parseCopyOptions(context)
  const source = args.text(1)
  const target = args.text(2)
  if (source === target) throw new ReplyError(errors.sameObject)
  if (db.use(source) === 'none') {
    events.note(EventClass.missed, 'keymiss', source)
    return reply.integer(0)
  }
  if (!replace && db.use(target) !== 'none') return reply.integer(0)
  writeValue(db, write, target, takeValue(db, source), db.expireAtMs(source) ?? never)
  events.note(EventClass.generic, 'copy_to', target)
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

function move({ db, write, events }: CommandContext, source: string, target: string): void {
  const value = takeValue(db, source)
  const atMs = db.expireAtMs(source) ?? never
  write.delete(source)
  writeValue(db, write, target, value, atMs)
  events.note(EventClass.generic, 'rename_from', source)
  events.note(EventClass.generic, 'rename_to', target)
}
