/**
 * Finds the arguments of one request in received bytes, without copying them and without creating an object: a proxy
 * needs the command, the key and the end, and passes the rest on as it came.
 *
 * A request may arrive in any number of pieces. `scan` keeps what it has found and goes on from there when it is called
 * again, so a value of 512 MiB that comes in 64 KiB pieces costs one step a piece. Offsets are kept relative to the
 * request's start, because the owner may move the bytes to a larger buffer in between.
 *
 * Limits and error texts are those of Redis 7.2 (`processMultibulkBuffer`, `processInlineBuffer`, `sdssplitargs`). Like
 * Redis it does not look at the two bytes behind a bulk; unlike Redis it complains of a wrong type byte before the
 * line's end has come, and takes a NUL in an inline request as an ordinary byte.
 */

import { allocate, latin1 } from '#runtime/bytes/bytes.ts'
import { parseInteger64 } from '#runtime/integer64.ts'
import { errors } from './errors.ts'

export interface RequestLimits {
  bulkBytesMax: number
  argumentsMax: number
  inlineBytesMax: number
  /** One request with all its arguments; below 2^31. */
  requestBytesMax: number
  /** Before it, a client may send no more than `unauthenticatedArgumentsMax` and `unauthenticatedBulkBytesMax`. */
  authenticated: boolean
}

/** The longest string of V8, and so the longest value; Redis's own limit (512 MiB) is 24 bytes more. */
export const bulkBytesMax = 2 ** 29 - 24

export const defaultRequestLimits: Readonly<RequestLimits> = {
  bulkBytesMax,
  argumentsMax: 1024 * 1024,
  inlineBytesMax: 64 * 1024,
  requestBytesMax: 1024 * 1024 * 1024 - 4096,
  authenticated: true,
}

export const unauthenticatedArgumentsMax = 10
export const unauthenticatedBulkBytesMax = 16384

/** A count or length of more digits than this is over every limit. */
const headerDigitsMax = 10
/** Arguments for which room is kept between requests. */
const argumentsKept = 1024

interface Header {
  readonly tooLong: string
  readonly invalid: string
}

const multibulk: Header = { tooLong: 'too big mbulk count string', invalid: 'invalid multibulk length' }
const bulk: Header = { tooLong: 'too big bulk count string', invalid: 'invalid bulk length' }

const carriageReturn = 0x0d
const lineFeed = 0x0a
const noBulk = -1

const incomplete = 0
const failed = -1

export class RequestScanner {
  limits: RequestLimits
  /** Of the request last found whole: 0 for an empty line or `*0`, which is to be skipped. */
  argumentCount = 0
  /** Where the arguments lie: the bytes given to `scan`, or an own buffer when `inline`. */
  bytes: Uint8Array = new Uint8Array(0)
  inline = false
  /** After `scan` returned -1: what to answer before closing. */
  error = ''
  /** After `scan` returned 0: the request's length is at least this, so there is no use in calling before. */
  lengthAtLeast = 0

  #offsets = new Int32Array(64)
  /** Where offsets count from: the request's start, or 0 when `inline`. */
  #base = 0
  /** Progress: offset of the next unread byte (0: nothing is read yet). */
  #next = 0
  #expected = 0
  #found = 0
  #bulkBytes = noBulk
  /** Progress inside a line whose end has not come: so many bytes were searched. */
  #searched = 0
  #number = 0
  #inlineBytes: Uint8Array = new Uint8Array(0)

  constructor(limits: RequestLimits) {
    this.limits = limits
  }

  start(i: number): number {
    return this.#base + (this.#offsets[i * 2] as number)
  }

  endOf(i: number): number {
    return this.#base + (this.#offsets[i * 2 + 1] as number)
  }

  text(i: number): string {
    return latin1(this.bytes, this.start(i), this.endOf(i))
  }

  /**
   * Looks at the request that starts at `at`; the bytes end at `end`. Returns the offset behind the request; 0 when more
   * bytes are needed (call again with all of it, wherever it lies then); -1 when it is none (see `error`).
   */
  scan(bytes: Uint8Array, at: number, end: number): number {
    let position = at + this.#next
    if (this.#next === 0) {
      if (at >= end) {
        this.lengthAtLeast = 1
        return incomplete
      }
      if (bytes[at] !== 0x2a) return this.#scanInline(bytes, at, end)
      position = this.#readHeader(bytes, at + 1, end, multibulk)
      if (position <= 0) return position
      if (!this.#startArray()) return failed
    }
    const expected = this.#expected
    let found = this.#found
    let bulkBytes = this.#bulkBytes
    while (found < expected) {
      if (bulkBytes === noBulk) {
        const behind = this.#readBulkHeader(bytes, position, end, position - at)
        if (behind === failed) return failed
        if (behind === incomplete) break
        position = behind
        bulkBytes = this.#number
      }
      const close = position + bulkBytes + 2
      if (close > end) break
      if (found * 2 >= this.#offsets.length) this.#growOffsets(expected)
      this.#offsets[found * 2] = position - at
      this.#offsets[found * 2 + 1] = position - at + bulkBytes
      found++
      position = close
      bulkBytes = noBulk
    }
    if (found < expected) {
      this.#found = found
      this.#bulkBytes = bulkBytes
      this.#next = position - at
      this.lengthAtLeast =
        position - at + (bulkBytes === noBulk ? this.#headerAtLeast(position < end) : bulkBytes + 2)
      return incomplete
    }
    this.bytes = bytes
    this.inline = false
    this.argumentCount = expected
    this.#base = at
    this.#restart()
    return position
  }

  /** Forgets a half-read request. */
  reset(): void {
    this.#restart()
    if (this.#offsets.length > argumentsKept * 2) this.#offsets = new Int32Array(64)
  }

  #restart(): void {
    this.#next = 0
    this.#expected = 0
    this.#found = 0
    this.#bulkBytes = noBulk
    this.#searched = 0
  }

  #fail(what: string): -1 {
    this.error = errors.protocol(what)
    this.#restart()
    return failed
  }

  #startArray(): boolean {
    const count = this.#number
    if (count > this.limits.argumentsMax) this.#fail('invalid multibulk length')
    else if (count > unauthenticatedArgumentsMax && !this.limits.authenticated)
      this.#fail('unauthenticated multibulk length')
    else {
      this.#expected = Math.max(0, count)
      if (this.#offsets.length > argumentsKept * 2 && count <= argumentsKept)
        this.#offsets = new Int32Array(64)
      return true
    }
    return false
  }

  #readBulkHeader(bytes: Uint8Array, at: number, end: number, before: number): number {
    if (at >= end) return incomplete
    const type = bytes[at] as number
    if (type !== 0x24) return this.#fail(`expected '$', got '${String.fromCharCode(type)}'`)
    const behind = this.#readHeader(bytes, at + 1, end, bulk)
    if (behind <= 0) return behind
    const length = this.#number
    if (length < 0 || length > this.limits.bulkBytesMax) return this.#fail('invalid bulk length')
    if (length > unauthenticatedBulkBytesMax && !this.limits.authenticated)
      return this.#fail('unauthenticated bulk length')
    if (before + length > this.limits.requestBytesMax)
      return this.#fail(`request larger than ${this.limits.requestBytesMax} bytes`)
    return behind
  }

  /** A count or length and its line end: leaves it in `#number` and returns the offset behind it, 0 or -1 as `scan`. */
  #readHeader(bytes: Uint8Array, at: number, end: number, header: Header): number {
    let value = 0
    let position = at
    const last = Math.min(end, at + headerDigitsMax)
    for (; position < last; position++) {
      const digit = (bytes[position] as number) - 48
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    if (
      position + 1 < end &&
      bytes[position] === carriageReturn &&
      position > at &&
      (bytes[at] !== 48 || position === at + 1)
    ) {
      this.#number = value
      this.#searched = 0
      return position + 2
    }
    return this.#readUnusualHeader(bytes, at, end, header)
  }

  /** Line ends that have not come, signs, leading zeros, garbage. */
  #readUnusualHeader(bytes: Uint8Array, at: number, end: number, header: Header): number {
    let lineEnd = at + this.#searched
    while (lineEnd < end && bytes[lineEnd] !== carriageReturn) lineEnd++
    if (lineEnd - at > this.limits.inlineBytesMax) return this.#fail(header.tooLong)
    if (lineEnd + 1 >= end) {
      this.#searched = lineEnd - at
      this.lengthAtLeast = this.#headerAtLeast(true)
      return incomplete
    }
    const value = parseInteger64(latin1(bytes, at, Math.min(lineEnd, at + 21)))
    if (value === null) return this.#fail(header.invalid)
    this.#number = Number(value)
    this.#searched = 0
    return lineEnd + 2
  }

  /** Type byte, what was searched, line end. */
  #headerAtLeast(begun: boolean): number {
    return begun ? this.#searched + 3 : 1
  }

  #growOffsets(expected: number): void {
    // Follows what has arrived, not what was announced: `*1048576` alone must not cost 8 MiB.
    const grown = new Int32Array(Math.min(this.#offsets.length * 2, expected * 2))
    grown.set(this.#offsets)
    this.#offsets = grown
  }

  #scanInline(bytes: Uint8Array, at: number, end: number): number {
    let newline = at + this.#searched
    while (newline < end && bytes[newline] !== lineFeed) newline++
    if (newline - at > this.limits.inlineBytesMax) return this.#fail('too big inline request')
    if (newline === end) {
      this.#searched = end - at
      this.lengthAtLeast = this.#searched + 1
      return incomplete
    }
    this.#searched = 0
    const lineEnd = newline > at && bytes[newline - 1] === carriageReturn ? newline - 1 : newline
    const count = this.#split(bytes, at, lineEnd)
    if (count < 0) return this.#fail('unbalanced quotes in request')
    this.bytes = this.#inlineBytes
    this.inline = true
    this.argumentCount = count
    this.#base = 0
    return newline + 1
  }

  /** Cuts a line into words by the rules of Redis's `sdssplitargs`; -1 when a quote is not closed. */
  #split(bytes: Uint8Array, at: number, end: number): number {
    if (this.#inlineBytes.length < end - at) this.#inlineBytes = allocate(Math.max(1024, end - at))
    const words = this.#inlineBytes
    let count = 0
    let length = 0
    let position = at
    for (;;) {
      while (position < end && isSpace(bytes[position] as number)) position++
      if (position === end) return count
      if (count * 2 >= this.#offsets.length) this.#growOffsets(this.#offsets.length)
      this.#offsets[count * 2] = length
      while (position < end && !endsWord(bytes[position] as number)) {
        const byte = bytes[position++] as number
        if (byte !== 0x22 && byte !== 0x27) {
          words[length++] = byte
          continue
        }
        const close =
          byte === 0x22 ? unquoteDouble(bytes, position, end) : unquoteSingle(bytes, position, end)
        if (close < 0 || (close < end && !isSpace(bytes[close] as number))) return -1
        for (let i = 0; i < unquotedLength; i++) words[length++] = unquoted[i] as number
        position = close
        break
      }
      this.#offsets[count * 2 + 1] = length
      count++
    }
  }
}

const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
const endsWord = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d

/** What the last quoted text stands for; its room grows with the longest line seen. */
let unquoted: Uint8Array = new Uint8Array(256)
let unquotedLength = 0

function startUnquoting(bytesMax: number): void {
  if (unquoted.length < bytesMax) unquoted = allocate(bytesMax)
  unquotedLength = 0
}

const escapes: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, b: 0x08, a: 0x07 }

/** Reads behind an opening double quote; returns the offset behind the closing one, -1 when there is none. */
function unquoteDouble(bytes: Uint8Array, at: number, end: number): number {
  startUnquoting(end - at)
  for (let position = at; position < end; position++) {
    const byte = bytes[position] as number
    if (byte === 0x22) return position + 1
    if (byte !== 0x5c || position + 1 >= end) {
      unquoted[unquotedLength++] = byte
      continue
    }
    const escaped = bytes[++position] as number
    const hex = escaped === 0x78 ? hexByte(bytes, position + 1, end) : -1
    if (hex >= 0) {
      unquoted[unquotedLength++] = hex
      position += 2
    } else unquoted[unquotedLength++] = escapes[String.fromCharCode(escaped)] ?? escaped
  }
  return -1
}

/** The same for single quotes, in which only `\'` is an escape. */
function unquoteSingle(bytes: Uint8Array, at: number, end: number): number {
  startUnquoting(end - at)
  for (let position = at; position < end; position++) {
    const byte = bytes[position] as number
    if (byte === 0x27) return position + 1
    if (byte === 0x5c && position + 1 < end && bytes[position + 1] === 0x27) {
      unquoted[unquotedLength++] = 0x27
      position++
    } else unquoted[unquotedLength++] = byte
  }
  return -1
}

function hexByte(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return -1
  const high = hexDigit(bytes[at] as number)
  const low = hexDigit(bytes[at + 1] as number)
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
