/**
 * How two clusters compare their clocks, as in NTP (RFC 5905, section 8): the asker sends its time t1; the other answers with
 * its times of arrival t2 and of departure t3; the answer arrives at t4. If both ways take as long, the other's clock is
 * `((t2 - t1) + (t3 - t4)) / 2` ahead; the error is at most half of the round trip.
 *
 *     ping := t1 f64            pong := t1 f64 | t2 f64 | t3 f64          (wall clocks, milliseconds since 1970)
 */
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type Frame, FrameKind, frameHeaderBytes, writeFrameHeader } from './frame.ts'

export interface Pong {
  t1: number
  t2: number
  t3: number
}

/** The pong carries `tag` back. */
export function pingFrame(tag: number, t1: number): Uint8Array {
  return probe(FrameKind.ping, tag, [t1])
}

/** The answer to `ping`, or null when that is none. `receivedMs` and `sentMs` are the answerer's wall clock. */
export function pongFrame(ping: Frame, receivedMs: number, sentMs: number): Uint8Array | null {
  const times = readTimes(ping, FrameKind.ping, 1)
  return times === null ? null : probe(FrameKind.pong, ping.tag, [times[0] as number, receivedMs, sentMs])
}

export function readPong(frame: Frame): Pong | null {
  const times = readTimes(frame, FrameKind.pong, 3)
  return times === null ? null : { t1: times[0] as number, t2: times[1] as number, t3: times[2] as number }
}

function probe(kind: number, tag: number, times: readonly number[]): Uint8Array {
  const writer = new ByteWriter(frameHeaderBytes + times.length * 8)
  writer.reserve(frameHeaderBytes)
  writer.length = writeFrameHeader(writer.bytes, 0, kind, tag, 0, 0, times.length * 8)
  for (const time of times) writer.f64(time)
  return writer.take()
}

function readTimes(frame: Frame, kind: number, count: number): number[] | null {
  if (frame.kind !== kind || frame.payloadEnd - frame.payloadStart !== count * 8) return null
  const reader = new ByteReader(frame.bytes, frame.payloadStart, frame.payloadEnd)
  const times: number[] = []
  for (let i = 0; i < count; i++) times.push(reader.f64())
  return times.every((time) => Number.isFinite(time)) ? times : null
}
