/**
 * Bytes of scores, for slot states and effects. Versioned as `stateCodec.ts` is; every count, stamp and double is checked when
 * read: no score and no sum is NaN.
 *
 *     score  := kind u8 | content
 *     content:= stamp f64 | score f64                                     kinds 0 to 2, which are the tags: one write
 *             | count u8 | (stamp f64 | tag u8 | score f64)*              kind 3: all of it
 *             | count u8 | (reset | flags u8 | [rest f64] | [baseline])*
 *     baseline := last f64 | sum f64 | stamp f64
 *     reset  := last f64 | varint (last - from) | sum f64
 */

import { readStamp } from '#protocol/sync/record.ts'
import { originOf, stampStep } from '#protocol/sync/stamp.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { CounterEntry, type CounterReset, noResets } from './counter.ts'
import { Score, ScoreWrite, Tag } from './score.ts'
import type { MemberReset } from './sortedSet.ts'
import { readCount, requireAscending } from './stateCodec.ts'

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
    writeScoreReset(writer, entry)
    writer.u8((entry.resetLast > 0 ? EntryFlag.baseline : 0) | (entry.rest !== 0 ? EntryFlag.rest : 0))
    if (entry.rest !== 0) writer.f64(entry.rest)
    if (entry.resetLast === 0) continue
    writer.f64(entry.resetLast)
    writer.f64(entry.resetSum)
    writer.f64(entry.resetStamp)
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
  const { last, from, sum } = readReset(reader)
  const entry = new CounterEntry<number>(from, last, sum)
  const flags = reader.u8()
  if (flags > (EntryFlag.baseline | EntryFlag.rest)) throw new FormatError(`flags ${flags} of a counter`)
  if (flags & EntryFlag.rest) entry.rest = readDouble(reader)
  if ((flags & EntryFlag.baseline) === 0) return entry
  entry.resetLast = readStamp(reader)
  entry.resetSum = readDouble(reader)
  entry.resetStamp = readStamp(reader)
  if (originOf(entry.resetLast) !== entry.origin) throw new FormatError('baseline of another origin')
  return entry
}

function tagOf(value: number): Tag {
  if (value === Tag.none || value === Tag.greater || value === Tag.less) return value
  throw new FormatError(`tag ${value} of a score`)
}

export function readDouble(reader: ByteReader): number {
  const value = reader.f64()
  if (Number.isNaN(value)) throw new FormatError('a score that is not a number')
  return value
}

function writeScoreReset(writer: ByteWriter, { last, from, sum }: CounterReset<number>): void {
  writer.f64(last)
  writer.varint((last - from) / stampStep)
  writer.f64(sum)
}

function readReset(reader: ByteReader): CounterReset<number> {
  const last = readStamp(reader)
  const from = last - reader.varint() * stampStep
  if (from <= 0) throw new FormatError('counter entry from before the epoch')
  return { last, from, sum: readDouble(reader) }
}

export function writeScoreResets(writer: ByteWriter, resets: readonly CounterReset<number>[]): void {
  writer.u8(resets.length)
  for (const reset of resets) writeScoreReset(writer, reset)
}

export function readScoreResets(reader: ByteReader): readonly CounterReset<number>[] {
  const count = readCount(reader)
  if (count === 0) return noResets
  const resets: CounterReset<number>[] = []
  for (let left = count; left > 0; left--) resets.push(readReset(reader))
  requireAscending(resets.map((reset) => originOf(reset.last)))
  return resets
}

export function writeMemberResets(writer: ByteWriter, resets: readonly MemberReset[]): void {
  writer.varint(resets.length)
  for (const reset of resets) {
    writer.text(reset.member)
    writeScoreResets(writer, reset.resets)
  }
}

export function readMemberResets(reader: ByteReader): MemberReset[] {
  const resets: MemberReset[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const member = reader.text()
    resets.push({ member, resets: readScoreResets(reader) })
  }
  return resets
}
