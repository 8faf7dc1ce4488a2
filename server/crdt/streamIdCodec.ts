/** Ids of stream entries as bytes: each of the two numbers a varint; one that is too large for that: 2^53 - 1, then 8 bytes. */
import { idOf, msOf, type StreamId, seqOf, wideId, wideMsOf, wideSeqOf } from '#protocol/sync/streamId.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'

const wideMark = Number.MAX_SAFE_INTEGER

export function writeStreamId(writer: ByteWriter, id: StreamId): void {
  writeNumber(writer, msOf(id), () => wideMsOf(id))
  writeNumber(writer, seqOf(id), () => wideSeqOf(id))
}

function writeNumber(writer: ByteWriter, value: number, wide: () => bigint): void {
  if (value < wideMark) {
    writer.varint(value)
    return
  }
  writer.varint(wideMark)
  const exact = wide()
  writer.u32(Number(BigInt.asUintN(32, exact)))
  writer.u32(Number(exact >> 32n))
}

export function readStreamId(reader: ByteReader): StreamId {
  const ms = readNumber(reader)
  const seq = readNumber(reader)
  if (typeof ms === 'number' && typeof seq === 'number') return idOf(ms, seq)
  return wideId(BigInt(ms), BigInt(seq))
}

function readNumber(reader: ByteReader): number | bigint {
  const value = reader.varint()
  if (value < wideMark) return value
  const low = BigInt(reader.u32())
  const wide = (BigInt(reader.u32()) << 32n) | low
  if (wide < BigInt(wideMark)) throw new FormatError('a small number in the long form')
  return wide
}
