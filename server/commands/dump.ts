/**
 * The payload of DUMP: one value as in Redis's RDB files, then the RDB version and a CRC-64 over everything before it,
 * both little-endian. A Redis 7.0 or later takes it with RESTORE.
 *
 * Written in the plain encodings (string, hash as pairs, list and set as members, sorted set as members with scores), which every RDB
 * version reads, and without LZF
 * compression; so the bytes of a large value are not those of Redis, only what they say is.
 */

import { crc64 } from '#protocol/rdb/crc64.ts'
import { writeLatin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

/** Of Redis 7.0: older servers refuse it, newer ones take it. */
export const rdbVersion = 10

const RdbType = { string: 0, list: 1, set: 2, hash: 4, sortedSet: 5 } as const

/** First byte of a string that is a small integer: 8, 16 or 32 bits follow. */
const RdbInteger = { bits8: 0xc0, bits16: 0xc1, bits32: 0xc2 } as const

export function dumpString(value: string): Uint8Array {
  const writer = new ByteWriter(value.length + 32)
  writer.u8(RdbType.string)
  writeText(writer, value)
  return sealed(writer)
}

export function dumpHash(size: number, entries: Iterable<readonly [string, string]>): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(RdbType.hash)
  writeLength(writer, size)
  for (const [field, value] of entries) {
    writeText(writer, field)
    writeText(writer, value)
  }
  return sealed(writer)
}

export function dumpSet(size: number, members: Iterable<string>): Uint8Array {
  return dumpTexts(RdbType.set, size, members)
}

export function dumpList(size: number, values: Iterable<string>): Uint8Array {
  return dumpTexts(RdbType.list, size, values)
}

function dumpTexts(type: number, size: number, texts: Iterable<string>): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(type)
  writeLength(writer, size)
  for (const text of texts) writeText(writer, text)
  return sealed(writer)
}

export function dumpSortedSet(size: number, elements: Iterable<readonly [string, number]>): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(RdbType.sortedSet)
  writeLength(writer, size)
  for (const [member, score] of elements) {
    writeText(writer, member)
    writer.f64(score)
  }
  return sealed(writer)
}

function sealed(writer: ByteWriter): Uint8Array {
  writer.u16(rdbVersion)
  const { high, low } = crc64(writer.bytes, 0, writer.length)
  writer.u32(low)
  writer.u32(high)
  return writer.view()
}

/** Big-endian, unlike everything else in an RDB file. */
function writeLength(writer: ByteWriter, length: number): void {
  if (length < 0x40) writer.u8(length)
  else if (length < 0x4000) {
    writer.u8(0x40 | (length >>> 8))
    writer.u8(length)
  } else {
    writer.u8(0x80)
    for (const shift of [24, 16, 8, 0]) writer.u8(length >>> shift)
  }
}

function writeText(writer: ByteWriter, text: string): void {
  if (/^(?:0|-?[1-9][0-9]{0,9})$/.test(text) && writeInteger(writer, Number(text))) return
  writeLength(writer, text.length)
  writer.reserve(text.length)
  writer.length = writeLatin1(writer.bytes, writer.length, text)
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
