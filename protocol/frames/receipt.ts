/**
 * Who unpacks what a peer sends tells now and then how many bytes of the connection have come, so that the peer knows how
 * long its bytes wait on the way, which decides whether it compresses (ADR 20).
 *
 *     received := bytes f64
 */
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type Frame, FrameKind, frameHeaderBytes, writeFrameHeader } from './frame.ts'

/** It is told when so many more have come. */
export const receiptBytes = 64 * 1024
const payloadBytes = 8

export function receivedFrame(receivedBytes: number): Uint8Array {
  const writer = new ByteWriter(frameHeaderBytes + payloadBytes)
  writer.length = writeFrameHeader(writer.bytes, 0, FrameKind.received, 0, 0, 0, payloadBytes)
  writer.f64(receivedBytes)
  return writer.take()
}

/** Null: not one. */
export function readReceived({ bytes, payloadStart, payloadEnd }: Frame): number | null {
  if (payloadEnd - payloadStart !== payloadBytes) return null
  const receivedBytes = new ByteReader(bytes, payloadStart, payloadEnd).f64()
  return Number.isSafeInteger(receivedBytes) && receivedBytes >= 0 ? receivedBytes : null
}
