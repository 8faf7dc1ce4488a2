/**
 * Values as payloads of DUMP, which a Redis 7.0 or later takes with RESTORE: in the plain encodings (string, hash as pairs, list and
 * set as members, sorted set as members with scores), which every RDB version reads, and without LZF compression. So the bytes
 * of a large value are not those of Redis, only what they say is.
 */
import { writeLatin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { crc64 } from './crc64.ts'
import { RdbType, type RdbValue } from './rdbValue.ts'

/** Of Redis 7.0: older servers refuse it, newer ones take it. Fields that expire came with 7.4. */
const rdbVersion = 10
const expiringRdbVersion = 12

/** First byte of a string that is a small integer: 8, 16 or 32 bits follow. */
const RdbInteger = { bits8: 0xc0, bits16: 0xc1, bits32: 0xc2 } as const

/** As `readPayload` reads it. */
export function writePayload(value: RdbValue): Uint8Array {
  const writer = new ByteWriter()
  if (value.type === 'hash' && value.expiring.size > 0) {
    writer.u8(RdbType.expiringHash)
    writeExpiringHash(writer, value)
    return sealed(writer, expiringRdbVersion)
  }
  writer.u8(RdbType[value.type])
  writeValue(writer, value)
  return sealed(writer, rdbVersion)
}

function writeValue(writer: ByteWriter, value: RdbValue): void {
  switch (value.type) {
    case 'string':
      writeText(writer, value.text)
      return
    case 'list':
      writeTexts(writer, value.values)
      return
    case 'set':
      writeTexts(writer, value.members)
      return
    case 'hash':
      writeLength(writer, value.entries.length)
      for (const [field, text] of value.entries) {
        writeText(writer, field)
        writeText(writer, text)
      }
      return
    case 'zset':
      writeLength(writer, value.scores.length)
      for (const [member, score] of value.scores) {
        writeText(writer, member)
        writer.f64(score)
      }
  }
}

/** `expiringHash` of `rdbValue.ts` says what is what. */
function writeExpiringHash(writer: ByteWriter, { entries, expiring }: RdbValue & { type: 'hash' }): void {
  const earliestMs = Math.min(...expiring.keys())
  const offsets = new Map<string, number>()
  for (const [atMs, fields] of expiring) for (const field of fields) offsets.set(field, atMs - earliestMs + 1)
  writer.u32(earliestMs % 2 ** 32)
  writer.u32(Math.floor(earliestMs / 2 ** 32))
  writeLength(writer, entries.length)
  for (const [field, text] of entries) {
    writeLength(writer, offsets.get(field) ?? 0)
    writeText(writer, field)
    writeText(writer, text)
  }
}

function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  writeLength(writer, texts.length)
  for (const text of texts) writeText(writer, text)
}

function sealed(writer: ByteWriter, version: number): Uint8Array {
  writer.u16(version)
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
    const isShort = length < 2 ** 32
    writer.u8(isShort ? 0x80 : 0x81)
    for (let byte = isShort ? 3 : 7; byte >= 0; byte--) writer.u8(Math.floor(length / 256 ** byte) & 0xff)
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
