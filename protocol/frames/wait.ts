/**
 * What a proxy asks of a shard for a client that waits until other clusters have its writes, and the answers:
 *
 *     wait     session u32 | upTo f64 | known u16          frame `wait`
 *     answer   '+' | upTo f64 | clusters u8                frame `reply` with the same tag
 *              '='                                         it is to wait no longer, as if its time were over
 *              an error as clients get it, from its '-' on
 *
 * Both ends are of one release.
 */

import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

/** Instead of a stamp: everything that the shard has written so far. */
export const everything = Number.POSITIVE_INFINITY
/** Instead of a set of clusters: the answer is to come at once. */
export const nothingKnown = 0x100

export interface WaitQuestion {
  session: number
  /** The shard's own operations up to this stamp are waited for. 0: none. */
  upTo: number
  /** Bit o: the cluster of origin o has them. The answer comes when others do. */
  known: number
}

export type WaitAnswer =
  | { kind: 'applied'; upTo: number; clusters: number }
  | { kind: 'ended' }
  | { kind: 'error'; text: string }

export function waitPayload({ upTo, known }: WaitQuestion): Uint8Array {
  const writer = new ByteWriter(10)
  writer.f64(upTo)
  writer.u16(known)
  return writer.take()
}

/** Null: not what a proxy asks. */
export function readWaitQuestion(bytes: Uint8Array, start: number, end: number): WaitQuestion | null {
  if (end - start !== 14) return null
  const reader = new ByteReader(bytes, start, end)
  const question = { session: reader.u32(), upTo: reader.f64(), known: reader.u16() }
  return question.upTo >= 0 && question.known <= nothingKnown ? question : null
}

export function appliedPayload(upTo: number, clusters: number): Uint8Array {
  const writer = new ByteWriter(10)
  writer.u8(0x2b)
  writer.f64(upTo)
  writer.u8(clusters)
  return writer.take()
}

export const endedPayload: Uint8Array = Uint8Array.of(0x3d)

/** Throws `FormatError` when it is none. */
export function readWaitAnswer(bytes: Uint8Array, start: number, end: number): WaitAnswer {
  const reader = new ByteReader(bytes, start, end)
  switch (reader.u8()) {
    case 0x2b:
      return { kind: 'applied', upTo: reader.f64(), clusters: reader.u8() }
    case 0x3d:
      return { kind: 'ended' }
    case 0x2d:
      return { kind: 'error', text: latin1(bytes, start + 1, end - 2) }
    default:
      throw new FormatError('no answer to a wait')
  }
}
