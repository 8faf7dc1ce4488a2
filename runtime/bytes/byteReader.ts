/** Reads the binary formats with every length checked: bytes from disks and peers are not to be trusted. */
import { latin1 } from './bytes.ts'

/** The bytes are not what the format says; the message tells what and where. */
export class FormatError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'FormatError'
  }
}

const doubles = new Float64Array(1)
const doubleBytes = new Uint8Array(doubles.buffer)

export class ByteReader {
  bytes: Uint8Array
  at: number
  end: number

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  reset(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get atEnd(): boolean {
    return this.at >= this.end
  }

  #need(count: number): void {
    if (count > this.end - this.at) {
      throw new FormatError(`${count} bytes wanted at offset ${this.at}, ${this.end - this.at} are left`)
    }
  }

  u8(): number {
    this.#need(1)
    return this.bytes[this.at++] as number
  }

  u16(): number {
    this.#need(2)
    const value = (this.bytes[this.at] as number) | ((this.bytes[this.at + 1] as number) << 8)
    this.at += 2
    return value
  }

  u32(): number {
    this.#need(4)
    const { bytes, at } = this
    this.at += 4
    return (
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24)) >>>
      0
    )
  }

  f64(): number {
    this.#need(8)
    for (let i = 0; i < 8; i++) doubleBytes[i] = this.bytes[this.at + i] as number
    this.at += 8
    return doubles[0] as number
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 0x80
      if (scale > 2 ** 49) throw new FormatError(`varint too long at offset ${this.at}`)
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new FormatError(`varint above 2^53 at offset ${this.at}`)
    return value
  }

  text(): string {
    const length = this.varint()
    this.#need(length)
    const text = latin1(this.bytes, this.at, this.at + length)
    this.at += length
    return text
  }

  skip(length: number): void {
    this.#need(length)
    this.at += length
  }

  /** Passes over a text; returns where its characters begin. They end where the reader is then. */
  skipText(): number {
    const length = this.varint()
    const start = this.at
    this.skip(length)
    return start
  }

  /** A view, not a copy. */
  raw(length: number): Uint8Array {
    const start = this.at
    this.skip(length)
    return this.bytes.subarray(start, this.at)
  }
}
