/** Little-endian integers of one to eight bytes with a sign, as text: what compact encodings hold in place of strings. */
import type { ByteReader } from '#runtime/bytes/byteReader.ts'

export type IntegerBytes = 1 | 2 | 3 | 4 | 8

export function readIntegerText(reader: ByteReader, count: IntegerBytes): string {
  if (count === 8) {
    const low = reader.u32()
    const high = reader.u32() | 0
    const value = high * 2 ** 32 + low
    return Number.isSafeInteger(value) ? String(value) : String((BigInt(high) << 32n) + BigInt(low))
  }
  let value = 0
  for (let at = 0; at < count; at++) value += reader.u8() * 2 ** (8 * at)
  const limit = 2 ** (8 * count - 1)
  return String(value >= limit ? value - 2 * limit : value)
}
