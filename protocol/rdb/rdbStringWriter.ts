/** The lengths and strings of RDB values, as `rdbReader.ts` reads them. */
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'

const longBits32 = 0x80
const longBits64 = 0x81
/** First byte of a string that is a small integer: 8, 16 or 32 bits follow. */
const RdbInteger = { bits8: 0xc0, bits16: 0xc1, bits32: 0xc2 } as const

/** Big-endian, unlike everything else in an RDB file. */
export function writeLength(writer: ByteWriter, length: number): void {
  if (length < 0x40) writer.u8(length)
  else if (length < 0x4000) {
    writer.u8(0x40 | (length >>> 8))
    writer.u8(length)
  } else {
    writer.u8(longBits32)
    for (const shift of [24, 16, 8, 0]) writer.u8(length >>> shift)
  }
}

/** A number of up to 64 bits, in the place of a length. */
export function writeWide(writer: ByteWriter, value: bigint): void {
  if (value < 2n ** 32n) {
    writeLength(writer, Number(value))
    return
  }
  writer.u8(longBits64)
  for (let shift = 56n; shift >= 0n; shift -= 8n) writer.u8(Number(BigInt.asUintN(8, value >> shift)))
}

/** A time, not negative. */
export function writeMilliseconds(writer: ByteWriter, ms: number): void {
  const high = Math.floor(ms / 2 ** 32)
  writer.u32(ms - high * 2 ** 32)
  writer.u32(high)
}

export function writeText(writer: ByteWriter, text: string): void {
  if (/^(?:0|-?[1-9][0-9]{0,9})$/.test(text) && writeInteger(writer, Number(text))) return
  writeLength(writer, text.length)
  writer.characters(text)
}

function writeInteger(writer: ByteWriter, value: number): boolean {
  if (value !== (value | 0)) return false
  if (value === (value << 24) >> 24) {
    writer.u8(RdbInteger.bits8)
    writer.u8(value)
  } else if (value === (value << 16) >> 16) {
    writer.u8(RdbInteger.bits16)
    writer.u16(value)
  } else {
    writer.u8(RdbInteger.bits32)
    writer.u32(value)
  }
  return true
}
