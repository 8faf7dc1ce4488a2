/**
 * Values as payloads of DUMP, which a Redis 7.0 or later takes with RESTORE: in the plain encodings (string, hash as pairs, list and
 * set as members, sorted set as members with scores; streams as Redis 7.0), which every later RDB version reads, and without LZF compression. So the bytes
 * of a large value are not those of Redis, only what they say is.
 */
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { crc64 } from './crc64.ts'
import { writeStream } from './rdbStreamWriter.ts'
import { writeLength, writeText } from './rdbStringWriter.ts'
import { RdbType, type RdbValue } from './rdbValue.ts'

/** Of Redis 7.0: older servers refuse it, newer ones take it. */
const rdbVersion = 10

/** As `readPayload` reads it. */
export function writePayload(value: RdbValue): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(RdbType[value.type])
  writeValue(writer, value)
  return sealed(writer)
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

function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  writeLength(writer, texts.length)
  for (const text of texts) writeText(writer, text)
}

function sealed(writer: ByteWriter): Uint8Array {
  writer.u16(rdbVersion)
  const { high, low } = crc64(writer.bytes, 0, writer.length)
  writer.u32(low)
  writer.u32(high)
  return writer.view()
}
