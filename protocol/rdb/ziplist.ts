/**
 * The compact list of Redis up to 6.2 (`ziplist.c`):
 *
 *     ziplist := bytes u32 | offset of the last entry u32 | count u16 (65535: more) | entry* | 0xff
 *     entry   := length of the entry before (u8, or 254 and u32) | encoding | text or integer
 */
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { type IntegerBytes, readIntegerText } from './packedIntegers.ts'

const headerBytes = 10
const manyEntries = 0xffff
const ending = 0xff
const longBefore = 254

/** By first byte. */
const integers: ReadonlyMap<number, IntegerBytes> = new Map([
  [0xc0, 2],
  [0xd0, 4],
  [0xe0, 8],
  [0xf0, 3],
  [0xfe, 1],
])

/** Throws `FormatError`. */
export function readZiplist(bytes: Uint8Array): string[] {
  const reader = new ByteReader(bytes)
  if (reader.u32() !== bytes.length) throw new FormatError('ziplist of another length')
  const lastAt = reader.u32()
  const count = reader.u16()
  const entries: string[] = []
  let before = 0
  let at = headerBytes
  reader.end = bytes.length - 1
  while (!reader.atEnd) {
    const start = reader.at
    if (readBefore(reader) !== before) throw new FormatError('ziplist entry of another length')
    entries.push(readEntry(reader))
    before = reader.at - start
    at = start
  }
  if (bytes[bytes.length - 1] !== ending) throw new FormatError('ziplist without an end')
  if (entries.length > 0 && at !== lastAt) throw new FormatError('ziplist with another last entry')
  if (count !== manyEntries && count !== entries.length) throw new FormatError('ziplist of another count')
  return entries
}

function readBefore(reader: ByteReader): number {
  const length = reader.u8()
  return length === longBefore ? reader.u32() : length
}

function readEntry(reader: ByteReader): string {
  const first = reader.u8()
  if (first < 0x40) return latin1(reader.raw(first))
  if (first < 0x80) return latin1(reader.raw(((first & 0x3f) << 8) | reader.u8()))
  if (first === 0x80) return latin1(reader.raw(readBigEndian(reader)))
  const integer = integers.get(first)
  if (integer !== undefined) return readIntegerText(reader, integer)
  if (first >= 0xf1 && first <= 0xfd) return String(first - 0xf1)
  throw new FormatError(`ziplist encoding ${first}`)
}

function readBigEndian(reader: ByteReader): number {
  let value = 0
  for (let i = 0; i < 4; i++) value = value * 256 + reader.u8()
  return value
}
