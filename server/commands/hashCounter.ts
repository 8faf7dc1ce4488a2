/** Fields of hashes as counters; as in `counter.ts` the effect carries the difference. */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { amountFromInteger } from '#server/crdt/amount.ts'
import type { Handler } from './context.ts'
import { infinite, integerSum, parseFloatAmount } from './counter.ts'

export const HINCRBY: Handler = ({ args, db, write, events, reply }) => {
  const amount = amountFromInteger(args.integer(3))
  const key = args.text(1)
  const field = args.text(2)
  const sum = integerSum(db.hash(key)?.get(field), amount, errors.hashNotInteger)
  write.hashIncrement(key, field, amount)
  events.note(EventClass.hash, 'hincrby', key)
  reply.integer(sum)
}

export const HINCRBYFLOAT: Handler = ({ args, db, write, events, reply }) => {
  const amount = parseFloatAmount(args.text(3), errors.notFloat)
  if (amount === infinite) throw new ReplyError(errors.incrementNotFinite)
  const key = args.text(1)
  const field = args.text(2)
  const current = db.hash(key)?.get(field)
  if (current !== undefined && parseFloatAmount(current, errors.hashNotFloat) === infinite)
    throw new ReplyError(errors.notFinite)
  reply.bulk(write.hashIncrement(key, field, amount))
  events.note(EventClass.hash, 'hincrbyfloat', key)
}
