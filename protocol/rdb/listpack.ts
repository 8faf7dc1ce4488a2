/**
 * The compact list of Redis from 7.0 on (`listpack.c`, and the specification of the format by S. Sanfilippo):
 *
 *     listpack := bytes u32 | count u16 (65535: more) | entry* | 0xff
 *     entry    := encoding and text or integer | length of the entry so far, seven bits a byte, most significant first
 */
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { type IntegerBytes, readIntegerText } from './packedIntegers.ts'

const manyEntries = 0xffff
const ending = 0xff

/** By first byte. */
const integers: ReadonlyMap<number, IntegerBytes> = new Map([
  [0xf1, 2],
  [0xf2, 3],
  [0xf3, 4],
  [0xf4, 8],
])
const longText = 0xf0

/** Throws `FormatError`. */
export function readListpack(bytes: Uint8Array): string[] {
  const reader = new ByteReader(bytes)
  if (reader.u32() !== bytes.length) throw new FormatError('listpack of another length')
  const count = reader.u16()
  const entries: string[] = []
  reader.end = bytes.length - 1
  while (!reader.atEnd) {
    const start = reader.at
    entries.push(readEntry(reader))
    skipBackLength(reader, reader.at - start)
  }
  if (bytes[bytes.length - 1] !== ending) throw new FormatError('listpack without an end')
  if (count !== manyEntries && count !== entries.length) throw new FormatError('listpack of another count')
  return entries
}

function readEntry(reader: ByteReader): string {
  const first = reader.u8()
  if (first < 0x80) return String(first)
  if (first < 0xc0) return latin1(reader.raw(first & 0x3f))
  if (first < 0xe0) {
    const value = ((first & 0x1f) << 8) | reader.u8()
    return String(value >= 2 ** 12 ? value - 2 ** 13 : value)
  }
  if (first < 0xf0) return latin1(reader.raw(((first & 0x0f) << 8) | reader.u8()))
  if (first === longText) return latin1(reader.raw(reader.u32()))
  const integer = integers.get(first)
  if (integer === undefined) throw new FormatError(`listpack encoding ${first}`)
  return readIntegerText(reader, integer)
}

/** Lengths at which the way back takes a byte more. */
const backLimits = [127, 16_383, 2_097_151, 268_435_455]

/** How many bytes the length of an entry takes behind it. */
export function backLengthBytes(length: number): number {
  let count = 1
  for (const [at, limit] of backLimits.entries())
    if (at === 0 ? length > limit : length >= limit) count = at + 2
  return count
}

function skipBackLength(reader: ByteReader, length: number): void {
  const count = backLengthBytes(length)
  let value = 0
  for (let at = 0; at < count; at++) {
    const byte = reader.u8()
    if (byte >= 0x80 !== at > 0) throw new FormatError('length behind a listpack entry')
    value = value * 128 + (byte & 0x7f)
  }
  if (value !== length) throw new FormatError('listpack entry of another length')
}
