/**
 * Taking the elements with the least or greatest scores, at once or when there are some. Two clusters that pop at the same time
 * may pop the same ones.
 */

import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { tellTaken } from './keyEvents.ts'
import { replyWithScored, type ScoredMember } from './score.ts'
import { parseTaking, type Take, takeFromFirst, takeOrWait } from './takeFromFirst.ts'
import { timeoutMsAt } from './timeout.ts'

type End = 'least' | 'greatest'

/** The key exists. */
function take(context: CommandContext, key: string, end: End, count: number): ScoredMember[] {
  const { db, write } = context
  const set = db.sortedSet(key)
  if (set === undefined || count === 0) return []
  const taken = Math.min(count, set.size)
  const elements = [
    ...(end === 'least' ? set.range(0, taken) : set.rangeReversed(set.size - taken, set.size)),
  ]
  write.zsetRemove(
    key,
    elements.map(([member]) => member),
  )
  tellTaken(context, EventClass.sortedSet, end === 'least' ? 'zpopmin' : 'zpopmax', key)
  return elements
}

const popFrom =
  (end: End): Handler =>
  (context) => {
    const { args, reply } = context
    if (args.count > 3) throw new ReplyError(errors.syntax)
    const isCounted = args.count === 3
    const count = isCounted ? args.integerFrom(2, 0, errors.notPositive) : 1
    const elements = take(context, args.text(1), end, count)
    if (isCounted) return replyWithScored(reply, elements.length, elements, true)
    // One that was not counted is no pair of its own in RESP3.
    reply.array(2 * elements.length)
    for (const [member, score] of elements) {
      reply.bulk(member)
      reply.double(score)
    }
  }

export const ZPOPMIN = popFrom('least')
export const ZPOPMAX = popFrom('greatest')

/** ZMPOP, BZMPOP: the sorted set and the elements. */
const takeSeveral =
  (end: End, count: number): Take =>
  (context, key) => {
    const { reply } = context
    const elements = take(context, key, end, count)
    reply.array(2)
    reply.bulk(key)
    reply.array(elements.length)
    for (const [member, score] of elements) {
      reply.array(2)
      reply.bulk(member)
      reply.double(score)
    }
  }

/** BZPOPMIN, BZPOPMAX: the sorted set, the member and its score. */
const takeOne =
  (end: End): Take =>
  (context, key) => {
    const { reply } = context
    for (const [member, score] of take(context, key, end, 1)) {
      reply.array(3)
      reply.bulk(key)
      reply.bulk(member)
      reply.double(score)
    }
  }

export const ZMPOP: Handler = (context) => {
  const { keys, where, count } = parseTaking(context.args, 1, endAt)
  if (!takeFromFirst(context, 'zset', keys, takeSeveral(where, count))) context.reply.nullArray()
}

export const BZMPOP: Handler = (context) => {
  const { args, nowMs } = context
  const { keys, where, count } = parseTaking(args, 2, endAt)
  takeOrWait(context, 'zset', keys, timeoutMsAt(args, 1, nowMs), takeSeveral(where, count))
}

const blockingPop =
  (end: End): Handler =>
  (context) => {
    const { args, nowMs } = context
    const last = args.count - 1
    takeOrWait(context, 'zset', args.texts(1, last), timeoutMsAt(args, last, nowMs), takeOne(end))
  }

export const BZPOPMIN = blockingPop('least')
export const BZPOPMAX = blockingPop('greatest')

function endAt(args: Arguments, i: number): End {
  if (args.is(i, 'MIN')) return 'least'
  if (args.is(i, 'MAX')) return 'greatest'
  throw new ReplyError(errors.syntax)
}
