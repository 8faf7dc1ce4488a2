/**
 * Values as payloads of DUMP, which a Redis 7.0 or later takes with RESTORE: in the plain encodings (string, hash as pairs, list and
 * set as members, sorted set as members with scores; streams as Redis 7.0), which every later RDB version reads, and without LZF
 * compression. So the bytes of a large value are not those of Redis, only what they say is.
 */
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { crc64 } from './crc64.ts'
import { writeStream } from './rdbStreamWriter.ts'
import { writeLength, writeMilliseconds, writeText, writeWide } from './rdbStringWriter.ts'
import { RdbType, type RdbValue } from './rdbValue.ts'

/** Of Redis 7.0: older servers refuse it, newer ones take it. Fields that expire came with 7.4. */
export const rdbVersion = 10
const expiringRdbVersion = 12

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
      return
    case 'stream':
      writeStream(writer, value)
  }
}

/** `expiringHash` of `rdbValue.ts` says what is what. */
function writeExpiringHash(writer: ByteWriter, { entries, expiring }: RdbValue & { type: 'hash' }): void {
  const earliestMs = Math.min(...expiring.keys())
  const offsets = new Map<string, number>()
  for (const [atMs, fields] of expiring) for (const field of fields) offsets.set(field, atMs - earliestMs + 1)
  writeMilliseconds(writer, earliestMs)
  writeLength(writer, entries.length)
  for (const [field, text] of entries) {
    writeWide(writer, BigInt(offsets.get(field) ?? 0))
    writeText(writer, field)
    writeText(writer, text)
  }
}

function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  writeLength(writer, texts.length)
  for (const text of texts) writeText(writer, text)
}

/** With version and checksum at the end. */
export function sealed(writer: ByteWriter, version: number): Uint8Array {
  writer.u16(version)
  const { high, low } = crc64(writer.bytes, 0, writer.length)
  writer.u32(low)
  writer.u32(high)
  return writer.view()
}
