/**
 * Strings as counters. The result is judged here, by what this cluster shows; the effect carries the difference only, and
 * concurrent ones add up. Integer results stay within ±2^59 (Redis: 64 bits), so that increments of several clusters at
 * once can't leave 64 bits.
 */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import {
  type Amount,
  addAmounts,
  amountFromInteger,
  amountTextMax,
  isWithinCounterBounds,
  parseAmount,
  parseInteger,
} from '#server/crdt/amount.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { CommandContext, Handler } from './context.ts'

export const INCR: Handler = (context) => increase(context, 1)
export const DECR: Handler = (context) => increase(context, -1)
export const INCRBY: Handler = (context) => increase(context, context.args.integer(2))

export const DECRBY: Handler = (context) => {
  const decrement = context.args.integer(2)
  if (decrement === int64Min) throw new ReplyError(errors.decrementOverflow)
  increase(context, typeof decrement === 'number' ? 0 - decrement : -decrement)
}

const int64Min = -(2n ** 63n)

function increase({ args, db, write, events, reply }: CommandContext, difference: number | bigint): void {
  if (typeof difference === 'number') {
    const shown = write.addInPlace(args.bytes, args.start(1), args.end(1), difference)
    if (!Number.isNaN(shown)) {
      if (events.classes !== 0) events.note(EventClass.string, 'incrby', args.text(1))
      reply.integer(shown)
      return
    }
  }
  const key = args.text(1)
  const amount = amountFromInteger(difference)
  const sum = integerSum(numberAt(db, key), amount, errors.notInteger)
  write.add(key, amount)
  events.note(EventClass.string, 'incrby', key)
  reply.integer(sum)
}

export const INCRBYFLOAT: Handler = ({ args, db, write, events, reply }) => {
  const key = args.text(1)
  const current = numberAt(db, key)
  const base = current === undefined ? 0 : parseFloatAmount(current, errors.notFloat)
  const amount = parseFloatAmount(args.text(2), errors.notFloat)
  if (base === infinite || amount === infinite) throw new ReplyError(errors.notFinite)
  reply.bulk(write.increment(key, amount))
  events.note(EventClass.string, 'incrbyfloat', key)
}

/** What may be a number: of a longer text only as much that it is none. */
function numberAt(db: Keyspace, key: string): string | undefined {
  const bytes = db.stringBytes(key, 0, amountTextMax + 1)
  return bytes === undefined ? undefined : latin1(bytes)
}

/** `current` (undefined: 0) plus the amount; throws when it is no integer, with `notInteger`, or the sum leaves the bounds. */
export function integerSum(current: string | undefined, amount: Amount, notInteger: string): number | bigint {
  const base = current === undefined ? 0 : parseInteger(current)
  if (base === undefined) throw new ReplyError(notInteger)
  const sum = addAmounts(base, amount)
  if (!isWithinCounterBounds(sum)) throw new ReplyError(errors.overflow)
  return typeof sum === 'number' ? sum : sum.coefficient
}

/** Redis takes the word for a number, and refuses the sum. */
export const infinite = Symbol('infinite')
const infinity = /^[+-]?inf(?:inity)?$/i

export function parseFloatAmount(text: string, notFloat: string): Amount | typeof infinite {
  const amount = parseAmount(text)
  if (amount !== undefined) return amount
  if (infinity.test(text)) return infinite
  throw new ReplyError(notFloat)
}
