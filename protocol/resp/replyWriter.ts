/**
 * Writes replies in RESP2 or RESP3. A handler says what it means (a map, a double); what a RESP2 client gets instead is
 * decided here, as Redis decides it.
 */
import { allocate, copyBytes, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'
import { doubleText } from './double.ts'

/** A writer that had to grow over it gives the memory back when it is cleared. */
export const replyBytesKept = 1024 * 1024

const carriageReturn = 0x0d
const lineFeed = 0x0a

export class ReplyWriter {
  /** The written bytes are [0, length); replaced when it grows. */
  bytes: Uint8Array
  length = 0
  /** Which protocol the client has chosen. */
  resp3 = false
  readonly #capacityBytes: number

  constructor(capacityBytes = 1024) {
    this.#capacityBytes = capacityBytes
    this.bytes = allocate(capacityBytes)
  }

  clear(): void {
    this.length = 0
    if (this.bytes.length > replyBytesKept && this.bytes.length > this.#capacityBytes)
      this.bytes = allocate(this.#capacityBytes)
  }

  /** Takes back what was written behind `length`. */
  truncate(length: number): void {
    this.length = length
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    let capacity = Math.max(64, this.bytes.length)
    while (capacity < needed) capacity *= 2
    const grown = allocate(capacity)
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    const copy = allocate(this.length)
    copy.set(this.bytes.subarray(0, this.length))
    return copy
  }

  /** A view of what was written, valid until the next write. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  ok(): void {
    this.reserve(5)
    const { bytes, length } = this
    bytes[length] = 0x2b
    bytes[length + 1] = 0x4f
    bytes[length + 2] = 0x4b
    bytes[length + 3] = carriageReturn
    bytes[length + 4] = lineFeed
    this.length = length + 5
  }

  /** `text` has no line ends. */
  simple(text: string): void {
    this.#line(0x2b, text)
  }

  /** `text` starts with its code, as `ERR syntax error`; line ends in it become spaces. */
  error(text: string): void {
    this.#line(0x2d, /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, ' ') : text)
  }

  integer(value: number | bigint): void {
    if (typeof value === 'number') this.#header(0x3a, value)
    else this.#line(0x3a, value.toString())
  }

  bulk(text: string): void {
    const { length } = text
    this.#header(0x24, length)
    this.reserve(length + 2)
    this.#end(writeLatin1(this.bytes, this.length, text))
  }

  bulkBytes(source: Uint8Array, start = 0, end = source.length): void {
    this.#header(0x24, end - start)
    this.reserve(end - start + 2)
    copyBytes(this.bytes, this.length, source, start, end)
    this.#end(this.length + end - start)
  }

  null(): void {
    this.#literal(this.resp3 ? '_\r\n' : '$-1\r\n')
  }

  /** What a command that else gives an array says when there is none. */
  nullArray(): void {
    this.#literal(this.resp3 ? '_\r\n' : '*-1\r\n')
  }

  array(count: number): void {
    this.#header(0x2a, count)
  }

  /** An array of bulk strings. */
  bulks(texts: readonly string[]): void {
    this.array(texts.length)
    for (const text of texts) this.bulk(text)
  }

  /** `count` pairs follow: key, value. RESP2: a flat array. */
  map(count: number): void {
    if (this.resp3) this.#header(0x25, count)
    else this.#header(0x2a, count * 2)
  }

  set(count: number): void {
    this.#header(this.resp3 ? 0x7e : 0x2a, count)
  }

  push(count: number): void {
    this.#header(this.resp3 ? 0x3e : 0x2a, count)
  }

  double(value: number): void {
    this.doubleText(doubleText(value))
  }

  /** A double in other words than the shortest. */
  doubleText(text: string): void {
    if (this.resp3) this.#line(0x2c, text)
    else this.bulk(text)
  }

  boolean(value: boolean): void {
    if (this.resp3) this.#literal(value ? '#t\r\n' : '#f\r\n')
    else this.#header(0x3a, value ? 1 : 0)
  }

  /** Digits of any length. */
  bigNumber(value: bigint | string): void {
    if (this.resp3) this.#line(0x28, value.toString())
    else this.bulk(value.toString())
  }

  /** `format` has three characters: `txt` or `mkd`. */
  verbatim(format: string, text: string): void {
    if (!this.resp3) {
      this.bulk(text)
      return
    }
    this.#header(0x3d, text.length + 4)
    this.#literal(`${format}:`)
    this.reserve(text.length + 2)
    this.#end(writeLatin1(this.bytes, this.length, text))
  }

  /** Bytes that are RESP already. */
  raw(source: Uint8Array, start = 0, end = source.length): void {
    this.reserve(end - start)
    copyBytes(this.bytes, this.length, source, start, end)
    this.length += end - start
  }

  /** For messages in logs and tests. */
  toString(): string {
    return latin1(this.bytes, 0, this.length)
  }

  #end(at: number): void {
    this.bytes[at] = carriageReturn
    this.bytes[at + 1] = lineFeed
    this.length = at + 2
  }

  #line(type: number, text: string): void {
    this.reserve(text.length + 3)
    this.bytes[this.length] = type
    this.#end(writeLatin1(this.bytes, this.length + 1, text))
  }

  #literal(text: string): void {
    this.reserve(text.length)
    this.length = writeLatin1(this.bytes, this.length, text)
  }

  /** Type byte, a safe integer, line end. */
  #header(type: number, value: number): void {
    if (value < 0 || value > 999_999) {
      this.#line(type, Object.is(value, -0) ? '0' : value.toString())
      return
    }
    this.reserve(16)
    const { bytes } = this
    let at = this.length
    bytes[at++] = type
    if (value < 10) bytes[at++] = 48 + value
    else {
      let digits = value < 100 ? 2 : value < 1000 ? 3 : value < 10_000 ? 4 : value < 100_000 ? 5 : 6
      const end = at + digits
      let rest = value
      while (digits-- > 0) {
        const quotient = (rest / 10) | 0
        bytes[at + digits] = 48 + rest - quotient * 10
        rest = quotient
      }
      at = end
    }
    this.#end(at)
  }
}
