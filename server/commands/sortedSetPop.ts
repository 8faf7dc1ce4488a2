/**
 * Taking the elements with the least or greatest scores, at once or when there are some. Two clusters that pop at the same time
 * may pop the same ones.
 */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { replyWithScored, type ScoredMember } from './score.ts'
import { type Take, takeFromFirst, takeOrWait, textsOf } from './takeFromFirst.ts'
import { timeoutMsAt } from './timeout.ts'

type End = 'least' | 'greatest'

/** The key exists. */
function take({ db, write }: CommandContext, key: string, end: End, count: number): ScoredMember[] {
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
  return elements
}

const popFrom =
  (end: End): Handler =>
  (context) => {
    const { args, reply } = context
    if (args.count > 3) throw new ReplyError(errors.syntax)
    const isCounted = args.count === 3
    const count = isCounted ? countAt(args, 2, 0, errors.notPositive) : 1
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
  const { keys, taken } = parseMultiple(context.args, 1)
  if (!takeFromFirst(context, 'zset', keys, taken)) context.reply.nullArray()
}

export const BZMPOP: Handler = (context) => {
  const { args, nowMs } = context
  const { keys, taken } = parseMultiple(args, 2)
  takeOrWait(context, 'zset', keys, timeoutMsAt(args, 1, nowMs), taken)
}

const blockingPop =
  (end: End): Handler =>
  (context) => {
    const { args, nowMs } = context
    const last = args.count - 1
    takeOrWait(context, 'zset', textsOf(args, 1, last), timeoutMsAt(args, last, nowMs), takeOne(end))
  }

export const BZPOPMIN = blockingPop('least')
export const BZPOPMAX = blockingPop('greatest')

/** `numkeys key [key ...] MIN|MAX [COUNT count]` from the argument at `from` on. */
function parseMultiple(args: Arguments, from: number): { keys: string[]; taken: Take } {
  const behindKeys = from + 1 + countAt(args, from, 1, errors.keyCountNotPositive)
  if (behindKeys >= args.count) throw new ReplyError(errors.syntax)
  const end = endAt(args, behindKeys)
  return {
    keys: textsOf(args, from + 1, behindKeys),
    taken: takeSeveral(end, parseCount(args, behindKeys + 1)),
  }
}

function countAt(args: Arguments, i: number, least: number, refusal: string): number {
  const count = args.integer(i, refusal)
  if (count < least) throw new ReplyError(refusal)
  return Number(count)
}

function endAt(args: Arguments, i: number): End {
  if (args.is(i, 'MIN')) return 'least'
  if (args.is(i, 'MAX')) return 'greatest'
  throw new ReplyError(errors.syntax)
}

function parseCount(args: Arguments, from: number): number {
  if (args.count === from) return 1
  if (!args.is(from, 'COUNT') || args.count === from + 1) throw new ReplyError(errors.syntax)
  const count = countAt(args, from + 1, 1, errors.countNotPositive)
  if (args.count > from + 2) throw new ReplyError(errors.syntax)
  return count
}
