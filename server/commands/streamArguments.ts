/** How ids of stream entries, ranges of them, and trimming are written in arguments: as Redis reads them, letter by letter. */

import { cString } from '#protocol/resp/cString.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import {
  idNumberMax,
  maxId,
  minId,
  nextId,
  previousId,
  type StreamId,
  wideId,
} from '#protocol/sync/streamId.ts'
import type { Arguments } from './arguments.ts'

const idTextMax = 127

/** `seq` is undefined when it is to be made up (`5-*`), or was not said. */
export interface WrittenId {
  ms: bigint
  seq: bigint | undefined
  /** Of `5-*`. */
  isAuto: boolean
}

/** An id of an entry; without a sequence number the first one of the millisecond. `-` and `+` are none. */
export function idAt(args: Arguments, i: number): StreamId {
  return idOfText(args.text(i), 0n)
}

/** undefined: it is none. */
export function tryIdAt(args: Arguments, i: number): StreamId | undefined {
  const written = parseId(args.text(i))
  return written === undefined || written.isAuto ? undefined : wideId(written.ms, written.seq ?? 0n)
}

/** The same with `-` and `+` for the least and the greatest. */
export function edgeIdAt(args: Arguments, i: number): StreamId {
  return edgeOfText(args.text(i), 0n)
}

/** As XADD takes it, but for `*`. */
export function newIdAt(args: Arguments, i: number): WrittenId {
  const written = parseId(args.text(i))
  if (written === undefined) throw new ReplyError(errors.streamId)
  return written
}

/** The first id of an interval: `-`, an id, or `(` and an id, which is not part of it. */
export function intervalStartAt(args: Arguments, i: number): StreamId {
  const { id, excluded } = boundOf(args.text(i), 0n)
  const start = excluded ? nextId(id) : id
  if (start === undefined) throw new ReplyError(errors.streamIntervalStart)
  return start
}

/** The last one. */
export function intervalEndAt(args: Arguments, i: number): StreamId {
  const { id, excluded } = boundOf(args.text(i), idNumberMax)
  const end = excluded ? previousId(id) : id
  if (end === undefined) throw new ReplyError(errors.streamIntervalEnd)
  return end
}

function boundOf(text: string, missingSeq: bigint): { id: StreamId; excluded: boolean } {
  const excluded = text.length > 1 && text.startsWith('(')
  const id = excluded ? idOfText(text.slice(1), missingSeq) : edgeOfText(text, missingSeq)
  return { id, excluded }
}

function edgeOfText(text: string, missingSeq: bigint): StreamId {
  const shown = cString(text)
  if (shown === '-') return minId
  return shown === '+' ? maxId : idOfText(text, missingSeq)
}

function idOfText(text: string, missingSeq: bigint): StreamId {
  const written = parseId(text)
  if (written === undefined || written.isAuto) throw new ReplyError(errors.streamId)
  return wideId(written.ms, written.seq ?? missingSeq)
}

function parseId(text: string): WrittenId | undefined {
  if (text.length > idTextMax) return undefined
  const shown = cString(text)
  const dash = shown.indexOf('-')
  const ms = numberOf(dash < 0 ? shown : shown.slice(0, dash))
  if (ms === undefined) return undefined
  if (dash < 0) return { ms, seq: undefined, isAuto: false }
  const rest = shown.slice(dash + 1)
  if (rest === '*') return { ms, seq: undefined, isAuto: true }
  const seq = numberOf(rest)
  return seq === undefined ? undefined : { ms, seq, isAuto: false }
}

const plainNegative = /^-[1-9][0-9]*$/
const looseNumber = /^[ \t-\r]*([+-]?)([0-9]+)$/

/** What `strtoull` takes: blanks and a sign before the digits, and what is below zero counts from the other end. */
function numberOf(text: string): bigint | undefined {
  const [, sign, digits] = looseNumber.exec(text) ?? []
  if (digits === undefined) return undefined
  const value = BigInt(digits)
  if (value > idNumberMax) return undefined
  if (sign !== '-' || value === 0n) return value
  return plainNegative.test(text) && value <= 2n ** 63n ? undefined : idNumberMax + 1n - value
}

/** What is to go of the older end: until so many entries are left, or none is below an id. */
export interface Trimming {
  readonly maxLength: number | undefined
  readonly minId: StreamId | undefined
  /** Whole blocks of 100 entries only. */
  readonly isApproximate: boolean
  /** Entries that may go at once; Infinity: any. */
  readonly limit: number
}

/** Redis's `stream-node-max-entries`, and how many blocks it removes unless it is told otherwise. */
export const trimBlockEntries = 100
const trimmedBlocksDefault = 100

export interface TrimOptions {
  trimming: Trimming | undefined
  noMkstream: boolean
  /** Behind the options: of XADD the id, else the number of arguments. */
  end: number
}

/** The options of XADD, up to the id, or those of XTRIM, up to the end. */
export function parseTrimOptions(args: Arguments, isAdd: boolean): TrimOptions {
  const found = { maxLength: undefined, minId: undefined } as {
    maxLength: number | undefined
    minId: StreamId | undefined
  }
  let isApproximate = false
  let noMkstream = false
  let limit: number | undefined
  let at = 2
  for (; at < args.count; at++) {
    const more = args.count - 1 - at
    const isLength = args.is(at, 'MAXLEN')
    if ((isLength || args.is(at, 'MINID')) && more > 0) {
      if (found.maxLength !== undefined || found.minId !== undefined)
        throw new ReplyError(errors.trimStrategies)
      isApproximate = more >= 2 && args.text(at + 1) === '~'
      if (isApproximate || (more >= 2 && args.text(at + 1) === '=')) at++
      at++
      if (isLength) found.maxLength = notNegative(args, at, errors.negativeTrimLength)
      else found.minId = idAt(args, at)
    } else if (args.is(at, 'LIMIT') && more > 0) limit = notNegative(args, ++at, errors.negativeTrimLimit)
    else if (isAdd && args.is(at, 'NOMKSTREAM')) noMkstream = true
    else if (isAdd) break
    else throw new ReplyError(errors.syntax)
  }
  const hasStrategy = found.maxLength !== undefined || found.minId !== undefined
  // Redis looks at the id first.
  if (isAdd && at < args.count && args.text(at) !== '*') newIdAt(args, at)
  if (limit !== undefined && limit > 0 && !hasStrategy) throw new ReplyError(errors.limitWithoutTrimming)
  if (!isAdd && !hasStrategy) throw new ReplyError(errors.noTrimStrategy)
  if (limit !== undefined && !isApproximate) throw new ReplyError(errors.limitOfExactTrimming)
  limit ??= isApproximate ? trimmedBlocksDefault * trimBlockEntries : 0
  const trimming = { ...found, isApproximate, limit: limit === 0 ? Number.POSITIVE_INFINITY : limit }
  return { trimming: hasStrategy ? trimming : undefined, noMkstream, end: at }
}

function notNegative(args: Arguments, i: number, refusal: string): number {
  const value = args.integer(i)
  if (value < 0) throw new ReplyError(refusal)
  return Number(value)
}
