/**
 * Bytes of scores, for slot states and effects. Versioned as `stateCodec.ts` is; every count, stamp and double is checked when
 * read: no score and no sum is NaN.
 *
 *     score  := kind u8 | content
 *     content:= stamp f64 | score f64                                     kinds 0 to 2, which are the tags: one write
 *             | count u8 | (stamp f64 | tag u8 | score f64)*              kind 3: all of it
 *             | count u8 | (reset | flags u8 | [rest f64] | [baseline])*
 *     reset and baseline as in `counterCodec.ts`, their sums doubles
 */

import { readStamp } from '#protocol/sync/record.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { CounterEntry } from './counter.ts'
import { scoreCounters } from './counterCodec.ts'
import { Score, ScoreWrite, Tag } from './score.ts'
import { readCount, readDouble, requireAscending } from './stateCodec.ts'

const fullKind = 3
const EntryFlag = { baseline: 1, rest: 2 } as const

export function writeScoreWrite(writer: ByteWriter, { stamp, score, tag }: ScoreWrite): void {
  writer.u8(tag)
  writer.f64(stamp)
  writer.f64(score)
}

export function writeScore(writer: ByteWriter, { siblings, entries }: Score): void {
  writer.u8(fullKind)
  writer.u8(siblings.length)
  for (const { stamp, tag, score } of siblings) {
    writer.f64(stamp)
    writer.u8(tag)
    writer.f64(score)
  }
  writer.u8(entries.length)
  for (const entry of entries) {
    scoreCounters.writeReset(writer, entry)
    writer.u8((entry.resetLast > 0 ? EntryFlag.baseline : 0) | (entry.rest !== 0 ? EntryFlag.rest : 0))
    if (entry.rest !== 0) writer.f64(entry.rest)
    if (entry.resetLast > 0) scoreCounters.writeBaseline(writer, entry)
  }
}

/** Calls one of the two. */
export function readScore(
  reader: ByteReader,
  takeWrite: (write: ScoreWrite) => void,
  takeFull: (state: Score) => void,
): void {
  const kind = reader.u8()
  if (kind === fullKind) {
    takeFull(readFull(reader))
    return
  }
  const tag = tagOf(kind)
  const stamp = readStamp(reader)
  takeWrite(new ScoreWrite(stamp, readDouble(reader), tag))
}

function readFull(reader: ByteReader): Score {
  const state = new Score()
  const writes: ScoreWrite[] = []
  for (let count = readCount(reader); count > 0; count--) {
    const stamp = readStamp(reader)
    const tag = tagOf(reader.u8())
    writes.push(new ScoreWrite(stamp, readDouble(reader), tag))
  }
  requireAscending(writes.map((write) => write.stamp))
  const entries: CounterEntry<number>[] = []
  for (let count = readCount(reader); count > 0; count--) entries.push(readEntry(reader))
  requireAscending(entries.map((entry) => entry.origin))
  if (writes.length > 0) state.siblings = writes
  if (entries.length > 0) state.entries = entries
  return state
}

function readEntry(reader: ByteReader): CounterEntry<number> {
  const { last, from, sum } = scoreCounters.readReset(reader)
  const entry = new CounterEntry<number>(from, last, sum)
  const flags = reader.u8()
  if (flags > (EntryFlag.baseline | EntryFlag.rest)) throw new FormatError(`flags ${flags} of a counter`)
  if (flags & EntryFlag.rest) entry.rest = readDouble(reader)
  if (flags & EntryFlag.baseline) scoreCounters.readBaseline(reader, entry)
  return entry
}

function tagOf(value: number): Tag {
  if (value === Tag.none || value === Tag.greater || value === Tag.less) return value
  throw new FormatError(`tag ${value} of a score`)
}
