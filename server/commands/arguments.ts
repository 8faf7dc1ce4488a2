/** The arguments of the request being run: a view over the received bytes, decoded only when asked for. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { bulkBytesMax, type RequestScanner } from '#protocol/resp/requestScanner.ts'
import { invariant } from '#runtime/invariant.ts'
import { parseInteger } from '#server/crdt/amount.ts'

export interface Arguments {
  /** With the command's name. */
  readonly count: number
  text(i: number): string
  bytesLength(i: number): number
  /** Argument i is [start(i), end(i)) of it. */
  readonly bytes: Uint8Array
  start(i: number): number
  end(i: number): number
  /** A 64-bit integer, a bigint only beyond 2^53; `ReplyError(refusal)` when it is none. */
  integer(i: number, refusal?: string): number | bigint
  /** The same, not below `least`: rounded, if it is beyond 2^53. */
  integerFrom(i: number, least: number, refusal: string): number
  /** The same, whose negation is a 64-bit integer, too. */
  symmetric(i: number): number | bigint
  /** The arguments [from, to), all from `from` on without `to`. */
  texts(from: number, to?: number): string[]
  /** Whether the argument is the word, in whatever case; `word` in upper case. */
  is(i: number, word: string): boolean
}

const int64Max = 2n ** 63n - 1n

export class CommandArguments implements Arguments {
  readonly #scanner: RequestScanner

  /** Always shows the request that the scanner found last. */
  constructor(scanner: RequestScanner) {
    invariant(scanner.limits.bulkBytesMax <= bulkBytesMax, 'every argument fits into a string')
    this.#scanner = scanner
  }

  get count(): number {
    return this.#scanner.argumentCount
  }

  text(i: number): string {
    return this.#scanner.text(i)
  }

  get bytes(): Uint8Array {
    return this.#scanner.bytes
  }

  start(i: number): number {
    return this.#scanner.start(i)
  }

  end(i: number): number {
    return this.#scanner.endOf(i)
  }

  bytesLength(i: number): number {
    return this.#scanner.endOf(i) - this.#scanner.start(i)
  }

  integer(i: number, refusal: string = errors.notInteger): number | bigint {
    const value = parseInteger(this.text(i))
    if (value === undefined) throw new ReplyError(refusal)
    return typeof value === 'number' ? value : value.coefficient
  }

  integerFrom(i: number, least: number, refusal: string): number {
    const value = this.integer(i, refusal)
    if (value < least) throw new ReplyError(refusal)
    return Number(value)
  }

  symmetric(i: number): number | bigint {
    const value = this.integer(i)
    if (value < -int64Max) throw new ReplyError(errors.outsideRange(-int64Max, int64Max))
    return value
  }

  texts(from: number, to: number = this.count): string[] {
    const texts: string[] = []
    for (let i = from; i < to; i++) texts.push(this.text(i))
    return texts
  }

  is(i: number, word: string): boolean {
    const scanner = this.#scanner
    const start = scanner.start(i)
    if (scanner.endOf(i) - start !== word.length) return false
    for (let at = 0; at < word.length; at++) {
      const byte = scanner.bytes[start + at] as number
      const upper = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte
      if (upper !== word.charCodeAt(at)) return false
    }
    return true
  }
}
