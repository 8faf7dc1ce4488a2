/** The database as a whole. */
import type { serverCommands } from '#protocol/commands/server.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { Handler, Handlers } from './context.ts'

const DBSIZE: Handler = ({ db, reply }) => reply.integer(db.size)

/** Throws unless the arguments are those of a FLUSHALL; the shard itself runs a large one, in slices. */
export function checkFlush(args: Arguments): void {
  const known = args.count === 1 || (args.count === 2 && (args.is(1, 'ASYNC') || args.is(1, 'SYNC')))
  if (!known) throw new ReplyError(errors.syntax)
}

/** Of a transaction: all at once. */
const FLUSH: Handler = ({ args, db, write, reply }) => {
  checkFlush(args)
  for (const slot of [...db.occupiedSlots()]) write.flushSlot(slot)
  reply.ok()
}

export const serverHandlers = {
  DBSIZE,
  FLUSHALL: FLUSH,
  FLUSHDB: FLUSH,
} satisfies Handlers<typeof serverCommands>
