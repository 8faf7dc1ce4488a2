/** Strings as sequences of bytes: parts, changes of parts, comparison. A changed part is a write of the whole value. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { bulkBytesMax } from '#protocol/resp/requestScanner.ts'
import type { CommandContext, Handler } from './context.ts'
import { LongestCommonSubsequence, lcsTableBytes, lcsTableBytesMax } from './longestCommonSubsequence.ts'

const keep = { kind: 'keep' } as const

export const STRLEN: Handler = ({ args, db, reply }) => {
  reply.integer(db.string(args.text(1))?.length ?? 0)
}

export const APPEND: Handler = ({ args, db, write, reply }) => {
  const key = args.text(1)
  const old = db.string(key) ?? ''
  checkLength(old.length + args.bytesLength(2))
  const value = old + args.text(2)
  write.setString(key, value, keep)
  reply.integer(value.length)
}

export const GETRANGE: Handler = ({ args, db, reply }) => {
  const first = args.integer(2)
  const last = args.integer(3)
  reply.bulk(rangeOf(db.string(args.text(1)) ?? '', first, last))
}

/** Negative offsets count from the end; those outside are moved to the ends. */
function rangeOf(value: string, first: number | bigint, last: number | bigint): string {
  if (first < 0 && last < 0 && first > last) return ''
  const from = Math.max(0, first < 0 ? value.length + Number(first) : Number(first))
  const to = Math.max(0, last < 0 ? value.length + Number(last) : Number(last))
  return value.slice(from, to + 1)
}

export const SETRANGE: Handler = ({ args, db, write, reply }) => {
  const offset = Number(args.integer(2))
  if (offset < 0) throw new ReplyError(errors.offsetOutOfRange)
  const key = args.text(1)
  const old = db.string(key) ?? ''
  const patch = args.text(3)
  if (patch === '') return reply.integer(old.length)
  checkLength(offset + patch.length)
  const before = old.length >= offset ? old.slice(0, offset) : old + '\0'.repeat(offset - old.length)
  const value = before + patch + old.slice(offset + patch.length)
  write.setString(key, value, keep)
  reply.integer(value.length)
}

function checkLength(bytes: number): void {
  if (bytes > bulkBytesMax) throw new ReplyError(errors.stringTooLong)
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
  const type = db.type(key)
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
