/** Strings as sequences of bytes: parts, changes of parts, comparison. By its meaning a changed part is a write of the whole value. */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { bulkBytesMax } from '#protocol/resp/requestScanner.ts'
import type { CommandContext, Handler } from './context.ts'
import { LongestCommonSubsequence, lcsTableBytes, lcsTableBytesMax } from './longestCommonSubsequence.ts'

const empty = new Uint8Array(0)

const lengthOf = ({ args, db }: CommandContext): number => db.stringBytes(args.text(1))?.length ?? 0

export const STRLEN: Handler = (context) => {
  context.reply.integer(lengthOf(context))
}

export const APPEND: Handler = (context) => {
  const length = lengthOf(context)
  patch(context, 'append', length, length, 2)
}

export const GETRANGE: Handler = ({ args, db, reply }) => {
  const first = args.integer(2)
  const last = args.integer(3)
  const value = db.stringBytes(args.text(1)) ?? empty
  if (first < 0 && last < 0 && first > last) return reply.bulk('')
  // Negative offsets count from the end; those outside are moved to the ends.
  const offset = (given: number | bigint): number =>
    Math.min(value.length, Math.max(0, given < 0 ? value.length + Number(given) : Number(given)))
  const from = offset(first)
  reply.bulkBytes(value, from, Math.max(from, Math.min(value.length, offset(last) + 1)))
}

export const SETRANGE: Handler = (context) => {
  const { args, reply } = context
  const offset = Number(args.integer(2))
  if (offset < 0) throw new ReplyError(errors.offsetOutOfRange)
  const length = lengthOf(context)
  if (args.bytesLength(3) === 0) reply.integer(length)
  else patch(context, 'setrange', length, offset, 3)
}

/** Puts argument `i` into the value at `offset`. */
function patch(
  { args, write, events, reply }: CommandContext,
  event: 'append' | 'setrange',
  length: number,
  offset: number,
  i: number,
): void {
  const end = offset + args.bytesLength(i)
  if (end > bulkBytesMax) throw new ReplyError(errors.stringTooLong)
  write.patchString(args.text(1), offset, args.bytes, args.start(i), args.end(i))
  events.note(EventClass.string, event, args.text(1))
  reply.integer(Math.max(length, end))
}

interface LcsOptions {
  length: boolean
  ranges: boolean
  rangeLengths: boolean
  /** Shorter ranges aren't told. */
  rangeLengthMin: number
}

export const LCS: Handler = (context) => {
  const { reply } = context
  const a = textAt(context, 1)
  const b = textAt(context, 2)
  if (a === undefined || b === undefined) throw new ReplyError(errors.lcsNotString)
  const options = parseLcsOptions(context)
  if (options.ranges && options.length) throw new ReplyError(errors.lcsLengthAndIndex)
  if (lcsTableBytes(a, b) > lcsTableBytesMax) throw new ReplyError(errors.lcsTooLarge)
  const lcs = new LongestCommonSubsequence(a, b)
  if (options.ranges) replyWithRanges(reply, lcs, options)
  else if (options.length) reply.integer(lcs.length)
  else reply.bulk(lcs.text())
}

/** undefined: another type. No key is an empty string. */
function textAt({ args, db }: CommandContext, i: number): string | undefined {
  const key = args.text(i)
  const type = db.use(key)
  if (type === 'none') return ''
  return type === 'string' ? db.string(key) : undefined
}

function parseLcsOptions({ args }: CommandContext): LcsOptions {
  const options: LcsOptions = { length: false, ranges: false, rangeLengths: false, rangeLengthMin: 0 }
  for (let i = 3; i < args.count; i++) {
    if (args.is(i, 'IDX')) options.ranges = true
    else if (args.is(i, 'LEN')) options.length = true
    else if (args.is(i, 'WITHMATCHLEN')) options.rangeLengths = true
    else if (args.is(i, 'MINMATCHLEN') && i + 1 < args.count)
      options.rangeLengthMin = Number(args.integer(++i))
    else throw new ReplyError(errors.syntax)
  }
  return options
}

function replyWithRanges(
  reply: CommandContext['reply'],
  lcs: LongestCommonSubsequence,
  { rangeLengthMin, rangeLengths }: LcsOptions,
): void {
  const ranges = lcs.ranges().filter(({ aFirst, aLast }) => aLast - aFirst + 1 >= rangeLengthMin)
  reply.map(2)
  reply.bulk('matches')
  reply.array(ranges.length)
  for (const { aFirst, aLast, bFirst, bLast } of ranges) {
    reply.array(rangeLengths ? 3 : 2)
    reply.array(2)
    reply.integer(aFirst)
    reply.integer(aLast)
    reply.array(2)
    reply.integer(bFirst)
    reply.integer(bLast)
    if (rangeLengths) reply.integer(aLast - aFirst + 1)
  }
  reply.bulk('len')
  reply.integer(lcs.length)
}
