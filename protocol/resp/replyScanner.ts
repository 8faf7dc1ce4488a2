/**
 * Finds the ends of replies and of their elements without decoding them: what a proxy needs that merges the replies of
 * several shards. Knows RESP2 and RESP3, without streamed aggregates. Nesting costs no stack: elements that are still to
 * come are only counted.
 */
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'

const carriageReturn = 0x0d

/** A line's end and the number at its start; what the last `readLine` and `readLength` found. */
let lineNumber = 0

/** Offset behind the reply that starts at `at`, 0 when it is not all there. Throws `FormatError` when it is none. */
export function replyEnd(bytes: Uint8Array, at: number, end: number): number {
  let position = at
  for (let pending = 1; pending > 0; pending--) {
    if (position >= end) return 0
    const type = bytes[position] as number
    const behind = hasNumber(type) ? readLength(bytes, position, end) : readLine(bytes, position, end, type)
    if (behind === 0) return 0
    position = behind
    pending += elementCount(type)
    if (isBulk(type) && lineNumber >= 0) {
      position += lineNumber + 2
      if (position > end) return 0
    }
  }
  return position
}

/**
 * Calls `take` with the range of each element of the aggregate at `at` (of a map: key, value, key, ...); returns how many
 * there were, -1 for a null or a reply that is no aggregate. The reply must be there whole.
 */
export function replyElements(
  bytes: Uint8Array,
  at: number,
  end: number,
  take: (start: number, end: number) => void,
): number {
  const type = bytes[at] as number
  if (!isAggregate(type)) return -1
  let position = readLength(bytes, at, end)
  if (position === 0) throw new FormatError('reply cut short')
  if (lineNumber < 0) return -1
  const count = elementCount(type)
  for (let i = 0; i < count; i++) {
    const behind = replyEnd(bytes, position, end)
    if (behind === 0) throw new FormatError('reply cut short')
    take(position, behind)
    position = behind
  }
  return count
}

/** The value of the integer reply at `at`. */
export function integerReply(bytes: Uint8Array, at: number): number {
  const behind = bytes[at] === 0x3a ? readLine(bytes, at, bytes.length, 0x3a) : 0
  const value = behind === 0 ? Number.NaN : Number(latin1(bytes, at + 1, behind - 2))
  if (!Number.isSafeInteger(value)) throw new FormatError(`no integer reply at offset ${at}`)
  return value
}

export const isErrorReply = (bytes: Uint8Array, at: number): boolean =>
  bytes[at] === 0x2d || bytes[at] === 0x21

/** `*` `~` `>` `%` `|` */
const isAggregate = (type: number): boolean =>
  type === 0x2a || type === 0x7e || type === 0x3e || type === 0x25 || type === 0x7c

/** `$` `=` `!` */
const isBulk = (type: number): boolean => type === 0x24 || type === 0x3d || type === 0x21

const hasNumber = (type: number): boolean => isBulk(type) || isAggregate(type)

/** Elements that follow the header just read; an attribute's are followed by the reply they belong to. */
function elementCount(type: number): number {
  if (!isAggregate(type) || lineNumber <= 0) return type === 0x7c ? 1 : 0
  if (type === 0x25) return lineNumber * 2
  return type === 0x7c ? lineNumber * 2 + 1 : lineNumber
}

function readLength(bytes: Uint8Array, at: number, end: number): number {
  let position = at + 1
  let value = 0
  for (; position < end; position++) {
    const digit = (bytes[position] as number) - 48
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
    if (value > 0x7fffffff) throw new FormatError(`length over 2^31 at offset ${at}`)
  }
  if (position + 1 >= end) return readNull(bytes, at, end)
  if (bytes[position] !== carriageReturn || position === at + 1) return readNull(bytes, at, end)
  lineNumber = value
  return position + 2
}

/** `-1`, or not yet there. */
function readNull(bytes: Uint8Array, at: number, end: number): number {
  const text = latin1(bytes, at + 1, Math.min(end, at + 5))
  if (text === '-1\r\n') {
    lineNumber = -1
    return at + 5
  }
  if (end - at < 5 && '-1\r\n'.startsWith(text)) return 0
  if (/^[0-9]+\r?$/.test(latin1(bytes, at + 1, Math.min(end, at + 14)))) return 0
  throw new FormatError(`bad length at offset ${at}`)
}

/** `+` `-` `:` `,` `(` `#` `_` */
const isLine = (type: number): boolean =>
  (type >= 0x2b && type <= 0x2d) || type === 0x3a || type === 0x28 || type === 0x23 || type === 0x5f

function readLine(bytes: Uint8Array, at: number, end: number, type: number): number {
  if (!isLine(type)) throw new FormatError(`reply of type ${type} at offset ${at}`)
  lineNumber = 0
  for (let position = at + 1; position < end; position++) {
    if (bytes[position] === carriageReturn) return position + 1 < end ? position + 2 : 0
  }
  return 0
}
