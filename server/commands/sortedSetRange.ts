/** Ranges of sorted sets: read, counted, stored and removed. What they share is in `sortedSetBounds.ts`. */

import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { SortedSetView } from '#server/store/views.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { tellTaken } from './keyEvents.ts'
import { replyWithScored, type ScoredMember, storeSortedSet } from './score.ts'
import { type Bounds, lexBounds, rankBounds, type Span, scoreBounds } from './sortedSetBounds.ts'

type BoundsReader = (args: Arguments, min: number, max: number) => Bounds

/** What the command's name says already; options say the rest. */
interface RangeForm {
  readonly by?: BoundsReader
  readonly reverse?: boolean
  readonly stores?: boolean
}

/** What is asked for, before the key is looked at. */
interface Range {
  readonly bounds: Bounds
  readonly by: BoundsReader
  readonly reverse: boolean
  readonly withScores: boolean
  readonly offset: number
  /** Negative: all. */
  readonly limit: number
}

const noLimit = -1

/** The source is argument `source`, its bounds and the options follow. */
function parseRange(args: Arguments, source: number, form: RangeForm): Range {
  let { by, reverse } = form
  let withScores = false
  let offset = 0
  let limit = noLimit
  for (let i = source + 3; i < args.count; i++) {
    if (!form.stores && args.is(i, 'WITHSCORES')) withScores = true
    else if (args.is(i, 'LIMIT') && i + 2 < args.count) {
      offset = Number(args.integer(++i))
      limit = Number(args.integer(++i))
    } else if (reverse === undefined && args.is(i, 'REV')) reverse = true
    else if (by === undefined && args.is(i, 'BYLEX')) by = lexBounds
    else if (by === undefined && args.is(i, 'BYSCORE')) by = scoreBounds
    else throw new ReplyError(errors.syntax)
  }
  by ??= rankBounds
  reverse ??= false
  if (by === rankBounds) {
    if (limit !== noLimit) throw new ReplyError(errors.limitOfRanks)
    offset = 0
  }
  if (withScores && by === lexBounds) throw new ReplyError(errors.scoresOfLexRange)
  const [min, max] = reverse && by !== rankBounds ? [source + 2, source + 1] : [source + 1, source + 2]
  return { bounds: by(args, min, max), by, reverse, withScores, offset, limit }
}

/** Positions of what is asked for, offset and limit applied. */
function spanOf(set: SortedSetView, { bounds, by, reverse, offset, limit }: Range): Span {
  const whole = bounds(set)
  // Reversed ranks count from the other end.
  const span =
    reverse && by === rankBounds ? { start: set.size - whole.end, end: set.size - whole.start } : whole
  const { start, end } = span
  if (offset < 0) return { start, end: start }
  const taken = limit < 0 ? Infinity : limit
  if (reverse) return { start: Math.max(start, end - offset - taken), end: end - offset }
  return { start: start + offset, end: Math.min(end, start + offset + taken) }
}

const isEmpty = ({ start, end }: Span): boolean => end <= start

function elementsOf(set: SortedSetView, { start, end }: Span, reverse: boolean): Iterable<ScoredMember> {
  return reverse ? set.rangeReversed(start, end) : set.range(start, end)
}

const readBy =
  (form: RangeForm): Handler =>
  ({ args, db, reply }) => {
    const range = parseRange(args, 1, form)
    const set = db.sortedSet(args.text(1))
    if (set === undefined) return reply.array(0)
    const span = spanOf(set, range)
    if (isEmpty(span)) return reply.array(0)
    const elements = elementsOf(set, span, range.reverse)
    replyWithScored(reply, span.end - span.start, elements, range.withScores)
  }

export const ZRANGE = readBy({})
export const ZREVRANGE = readBy({ by: rankBounds, reverse: true })
export const ZRANGEBYSCORE = readBy({ by: scoreBounds, reverse: false })
export const ZREVRANGEBYSCORE = readBy({ by: scoreBounds, reverse: true })
export const ZRANGEBYLEX = readBy({ by: lexBounds, reverse: false })
export const ZREVRANGEBYLEX = readBy({ by: lexBounds, reverse: true })

export const ZRANGESTORE: Handler = (context) => {
  const { args, db, reply } = context
  const range = parseRange(args, 2, { stores: true })
  const elements = copyOf(db.sortedSet(args.text(2)), (set) => spanOf(set, range))
  storeSortedSet(context, 'zrangestore', args.text(1), elements)
  reply.integer(elements.length)
}

function copyOf(set: SortedSetView | undefined, spanIn: Bounds): ScoredMember[] {
  if (set === undefined) return []
  const span = spanIn(set)
  return isEmpty(span) ? [] : [...set.range(span.start, span.end)]
}

const countBy =
  (by: BoundsReader): Handler =>
  ({ args, db, reply }) => {
    const bounds = by(args, 2, 3)
    const set = db.sortedSet(args.text(1))
    const span = set === undefined ? { start: 0, end: 0 } : bounds(set)
    reply.integer(isEmpty(span) ? 0 : span.end - span.start)
  }

export const ZCOUNT = countBy(scoreBounds)
export const ZLEXCOUNT = countBy(lexBounds)

const removeBy =
  (event: string, by: BoundsReader): Handler =>
  (context) =>
    removeRange(context, event, by(context.args, 2, 3))

/** What another cluster adds to the range at the same time stays: members are removed by name. */
function removeRange(context: CommandContext, event: string, bounds: Bounds): void {
  const { args, db, write, reply } = context
  const key = args.text(1)
  const members = copyOf(db.sortedSet(key), bounds).map(([member]) => member)
  reply.integer(members.length === 0 ? 0 : write.zsetRemove(key, members))
  if (members.length > 0) tellTaken(context, EventClass.sortedSet, event, key)
}

export const ZREMRANGEBYRANK = removeBy('zremrangebyrank', rankBounds)
export const ZREMRANGEBYSCORE = removeBy('zremrangebyscore', scoreBounds)
export const ZREMRANGEBYLEX = removeBy('zremrangebylex', lexBounds)
