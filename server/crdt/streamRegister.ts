/**
 * What a stream knows besides its entries, as one origin wrote it last: the greatest id it has given, how many entries it has
 * added, and the greatest id it had seen deleted. What shows is the greatest id and the sum of entries over the origins.
 * A stream exists while such a register is alive (or a group is): that is why one without entries stays.
 */
import { readStamp } from '#protocol/sync/record.ts'
import type { Stamp } from '#protocol/sync/stamp.ts'
import type { StreamId } from '#protocol/sync/streamId.ts'
import type { ByteReader } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readStreamId, writeStreamId } from './streamIdCodec.ts'

export interface StreamMarks {
  readonly lastId: StreamId
  /** Entries. */
  readonly added: number
  readonly maxDeletedId: StreamId
}

export interface StreamRegister extends StreamMarks {
  readonly stamp: Stamp
}

export function writeMarks(writer: ByteWriter, { lastId, added, maxDeletedId }: StreamMarks): void {
  writeStreamId(writer, lastId)
  writer.varint(added)
  writeStreamId(writer, maxDeletedId)
}

export function readMarks(reader: ByteReader): StreamMarks {
  const lastId = readStreamId(reader)
  const added = reader.varint()
  return { lastId, added, maxDeletedId: readStreamId(reader) }
}

export function writeRegister(writer: ByteWriter, register: StreamRegister): void {
  writer.f64(register.stamp)
  writeMarks(writer, register)
}

export function readRegister(reader: ByteReader): StreamRegister {
  const stamp = readStamp(reader)
  return { stamp, ...readMarks(reader) }
}
