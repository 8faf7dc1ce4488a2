/**
 * Scores as bytes behind the name of an element (`elementTable.ts`), for those that are in no conflict: one write, or what one
 * cluster has added, over one write or nothing. What there is, the length says. The element's stamp is that of the
 * write, or of the last increment.
 *
 *     write     tag u8 | score f64
 *     counted   from u56 | sum f64 | [rest f64]
 *     based     from u56 | sum f64 | [rest f64] | stamp of the write u56 | tag u8 | score f64
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { allocate } from '#runtime/bytes/bytes.ts'
import { putF64 } from '#runtime/bytes/byteWriter.ts'
import { readF64, readU56, u56Bytes, writeU56 } from '#runtime/bytes/packedNumbers.ts'
import { CounterEntry } from './counter.ts'
import { neutral, Score, ScoreWrite, type Tag } from './score.ts'

export const writeBytes = 9
const countedBytes = u56Bytes + 8
const restBytes = 8
const baseBytes = u56Bytes + writeBytes

/** What `encodeWrite` and `encodeScore` have made. */
export const encoded: Uint8Array = allocate(countedBytes + restBytes + baseBytes)

/** Returns the length. */
export function encodeWrite(score: number, tag: Tag): number {
  return putWrite(encoded, 0, score, tag)
}

/** `ScoreWrite` without its stamp; returns the offset behind it. */
export function putWrite(bytes: Uint8Array, at: number, score: number, tag: Tag): number {
  bytes[at] = tag
  return putF64(bytes, at + 1, score)
}

/** Returns the length, 0 for a state that needs more than that. */
export function encodeScore({ siblings, entries }: Score): number {
  const [write] = siblings
  const [entry] = entries
  if (siblings.length > 1 || entries.length > 1) return 0
  if (entry === undefined) return write === undefined ? 0 : encodeWrite(write.score, write.tag)
  if (!entry.live || entry.resetLast !== 0) return 0
  writeU56(encoded, 0, entry.from)
  let at = putF64(encoded, u56Bytes, entry.sum)
  if (entry.rest !== 0) at = putF64(encoded, at, entry.rest)
  if (write === undefined) return at
  writeU56(encoded, at, write.stamp)
  return putWrite(encoded, at + u56Bytes, write.score, write.tag)
}

/** Of what `encodeScore` takes: the stamp of its element. */
export const stampOfScore = ({ siblings, entries }: Score): Stamp =>
  entries[0]?.last ?? siblings[0]?.stamp ?? 0

export const readWrite = (bytes: Uint8Array, at: number, stamp: Stamp): ScoreWrite =>
  new ScoreWrite(stamp, readF64(bytes, at + 1), bytes[at] as Tag)

/** Of those with an increment. */
const hasBase = (length: number): boolean => length >= countedBytes + baseBytes
const hasRest = (length: number): boolean =>
  length === countedBytes + restBytes || length === countedBytes + restBytes + baseBytes

/** The state that `length` bytes at `at` stand for, with the stamp of their element. */
export function decodeScore(bytes: Uint8Array, at: number, length: number, stamp: Stamp): Score {
  const state = new Score()
  if (length === writeBytes) {
    state.siblings = [readWrite(bytes, at, stamp)]
    return state
  }
  const rest = hasRest(length) ? readF64(bytes, at + countedBytes) : 0
  const sum = readF64(bytes, at + u56Bytes)
  state.entries = [new CounterEntry<number>(readU56(bytes, at), stamp, sum, rest)]
  if (hasBase(length)) {
    const write = at + length - baseBytes
    state.siblings = [readWrite(bytes, write + u56Bytes, readU56(bytes, write))]
  }
  return state
}

/** What they show. */
export function shownScore(bytes: Uint8Array, at: number, length: number, stamp: Stamp): number {
  if (length === writeBytes) return readF64(bytes, at + 1)
  const sum = readF64(bytes, at + u56Bytes)
  const base = hasBase(length) ? readF64(bytes, at + length - 8) : neutral
  const rest = hasRest(length) ? readF64(bytes, at + countedBytes) : neutral
  const score = base + sum + rest
  return Number.isNaN(score) ? (decodeScore(bytes, at, length, stamp).shown() as number) : score
}

/** The greatest stamp in them. */
export function greatestStamp(bytes: Uint8Array, at: number, length: number, stamp: Stamp): Stamp {
  return length > writeBytes && hasBase(length)
    ? Math.max(stamp, readU56(bytes, at + length - baseBytes))
    : stamp
}
