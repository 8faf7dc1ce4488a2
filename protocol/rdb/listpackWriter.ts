/** Listpacks as `listpack.ts` reads them. */
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { backLengthBytes } from './listpack.ts'

const headerBytes = 6
const ending = 0xff
const manyEntries = 0xffff

export class ListpackWriter {
  readonly #writer = new ByteWriter()
  #count = 0

  constructor() {
    this.clear()
  }

  clear(): void {
    this.#writer.clear()
    this.#writer.u32(0)
    this.#writer.u16(0)
    this.#count = 0
  }

  /** So far. */
  get length(): number {
    return this.#writer.length
  }

  text(text: string): void {
    const writer = this.#writer
    const start = writer.length
    if (text.length < 64) writer.u8(0x80 | text.length)
    else if (text.length < 4096) {
      writer.u8(0xe0 | (text.length >>> 8))
      writer.u8(text.length)
    } else {
      writer.u8(0xf0)
      writer.u32(text.length)
    }
    writer.characters(text)
    this.#endEntry(writer.length - start)
  }

  /** A number from 0 to 127, or any one of 64 bits with a sign. */
  integer(value: number | bigint): void {
    const writer = this.#writer
    const start = writer.length
    if (value >= 0 && value < 128) writer.u8(Number(value))
    else {
      const wide = BigInt(value)
      writer.u8(0xf4)
      writer.u32(Number(BigInt.asUintN(32, wide)))
      writer.u32(Number(BigInt.asUintN(32, wide >> 32n)))
    }
    this.#endEntry(writer.length - start)
  }

  /** The entry's length, to be read from its end: seven bits a byte, the most significant first. */
  #endEntry(length: number): void {
    const first = backLengthBytes(length) - 1
    for (let at = first; at >= 0; at--)
      this.#writer.u8((Math.floor(length / 128 ** at) % 128) | (at === first ? 0 : 0x80))
    this.#count++
  }

  /** Good until the next write. */
  finish(): Uint8Array {
    const writer = this.#writer
    writer.u8(ending)
    writer.setU32(0, writer.length)
    const count = Math.min(this.#count, manyEntries)
    writer.bytes[headerBytes - 2] = count
    writer.bytes[headerBytes - 1] = count >>> 8
    return writer.view()
  }
}
