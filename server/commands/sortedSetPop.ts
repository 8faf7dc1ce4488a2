/** Taking the elements with the least or greatest scores. Two clusters that pop at the same time may pop the same ones. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { replyWithScored, type ScoredMember } from './score.ts'

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

export const ZMPOP: Handler = (context) => {
  const { args, db, reply } = context
  const keyCount = countAt(args, 1, 1, errors.keyCountNotPositive)
  const behindKeys = 2 + keyCount
  if (behindKeys >= args.count) throw new ReplyError(errors.syntax)
  const end = endAt(args, behindKeys)
  const count = parseCount(args, behindKeys + 1)
  for (let i = 2; i < behindKeys; i++) {
    const key = args.text(i)
    if (db.sortedSet(key) === undefined) continue
    const elements = take(context, key, end, count)
    reply.array(2)
    reply.bulk(key)
    reply.array(elements.length)
    for (const [member, score] of elements) {
      reply.array(2)
      reply.bulk(member)
      reply.double(score)
    }
    return
  }
  reply.nullArray()
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
