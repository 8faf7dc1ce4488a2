/**
 * The lengths and strings of RDB values (`rdb.c`). A length's first two bits say its form; a string may be an integer, or
 * compressed.
 */
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { decompress } from './lzf.ts'
import { readIntegerText } from './packedIntegers.ts'

const Form = { bits6: 0, bits14: 1, long: 2, encoded: 3 } as const
const longBits32 = 0x80
const longBits64 = 0x81
const Encoded = { bits8: 0, bits16: 1, bits32: 2, compressed: 3 } as const

/** A score of the oldest encoding that is no decimal number, by the byte in place of its length. */
const namedScores: ReadonlyMap<number, number> = new Map([
  [253, Number.NaN],
  [254, Number.POSITIVE_INFINITY],
  [255, Number.NEGATIVE_INFINITY],
])

export class RdbReader extends ByteReader {
  /** A count of what takes at least a byte each. */
  count(): number {
    const first = this.u8()
    const count = this.#length(first)
    if (count > this.end - this.at) throw new FormatError(`${count} elements in ${this.end - this.at} bytes`)
    return count
  }

  /** A length that is a number of its own, of up to 64 bits. */
  wide(): bigint {
    const first = this.u8()
    if (first !== longBits64) return BigInt(this.#length(first))
    let value = 0n
    for (let left = 8; left > 0; left--) value = value * 256n + BigInt(this.u8())
    return value
  }

  /** A time, which may be -1. */
  milliseconds(): number {
    const low = this.u32()
    const value = (this.u32() | 0) * 2 ** 32 + low
    if (!Number.isSafeInteger(value)) throw new FormatError('a time beyond 2^53')
    return value
  }

  length(): number {
    return this.#length(this.u8())
  }

  string(): string {
    const first = this.u8()
    if (first >>> 6 !== Form.encoded) return latin1(this.raw(this.#length(first)))
    switch (first & 0x3f) {
      case Encoded.bits8:
        return readIntegerText(this, 1)
      case Encoded.bits16:
        return readIntegerText(this, 2)
      case Encoded.bits32:
        return readIntegerText(this, 4)
      case Encoded.compressed:
        return latin1(this.#compressed())
      default:
        throw new FormatError(`string encoding ${first & 0x3f}`)
    }
  }

  /** A string that is a compact encoding. */
  blob(): Uint8Array {
    const first = this.u8()
    if (first >>> 6 !== Form.encoded) return this.raw(this.#length(first))
    if ((first & 0x3f) !== Encoded.compressed) throw new FormatError('an integer in place of elements')
    return this.#compressed()
  }

  /** As text, of before Redis 4.0. */
  textScore(): number {
    const length = this.u8()
    return namedScores.get(length) ?? parseScore(latin1(this.raw(length)))
  }

  #compressed(): Uint8Array {
    const compressedLength = this.length()
    const length = this.length()
    const start = this.at
    this.skip(compressedLength)
    return decompress(this.bytes, start, this.at, length)
  }

  #length(first: number): number {
    switch (first >>> 6) {
      case Form.bits6:
        return first & 0x3f
      case Form.bits14:
        return ((first & 0x3f) << 8) | this.u8()
      case Form.long: {
        if (first !== longBits32 && first !== longBits64) throw new FormatError(`length of form ${first}`)
        let length = 0
        for (let left = first === longBits32 ? 4 : 8; left > 0; left--) length = length * 256 + this.u8()
        return length
      }
      default:
        throw new FormatError('an encoded string in place of a length')
    }
  }
}

/** Throws `FormatError`. */
export function parseScore(text: string): number {
  const named = /^([+-]?)inf(?:inity)?$/i.exec(text)
  if (named !== null) return named[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  const score = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(score)) throw new FormatError('a score that is no number')
  return score
}
