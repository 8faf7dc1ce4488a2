/** The database as a whole. */
import type { serverCommands } from '#protocol/commands/server.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { Handler, Handlers } from './context.ts'

const DBSIZE: Handler = ({ db, reply }) => reply.integer(db.size)

/** Sizes are kept as keys change: there is nothing to sample, but a wrong `SAMPLES` is an error. */
const MEMORY_USAGE: Handler = ({ args, db, reply }) => {
  for (let i = 3; i < args.count; i += 2) {
    if (!args.is(i, 'SAMPLES') || i + 1 >= args.count) throw new ReplyError(errors.syntax)
    if (args.integer(i + 1) < 0) throw new ReplyError(errors.syntax)
  }
  const sizeBytes = db.memoryUsage(args.text(2))
  if (sizeBytes === undefined) reply.null()
  else reply.integer(sizeBytes)
}

/** Throws unless the arguments are those of a FLUSHALL; the shard itself runs a large one, in slices. */
export function checkFlush(args: Arguments): void {
  const known = args.count === 1 || (args.count === 2 && (args.is(1, 'ASYNC') || args.is(1, 'SYNC')))
  if (!known) throw new ReplyError(errors.syntax)
}

/** Of a transaction: all at once. */
const FLUSH: Handler = ({ args, db, write, reply, flushed }) => {
  checkFlush(args)
  for (const slot of [...db.occupiedSlots()]) write.flushSlot(slot)
  flushed()
  reply.ok()
}

export const serverHandlers = {
  DBSIZE,
  FLUSHALL: FLUSH,
  FLUSHDB: FLUSH,
  'MEMORY|USAGE': MEMORY_USAGE,
} satisfies Handlers<typeof serverCommands>
