/**
 * Bytes that states and effects of several types share (`keyState.ts` has the layout of a key). Versioned by
 * `recordVersion` and the sync version, like all of `protocol/sync`. Every count and stamp is checked when read.
 */

import { readStamp } from '#protocol/sync/record.ts'
import { originOf, originsMax, type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readAmount, writeAmount } from './amount.ts'
import { CounterEntry, type CounterReset, noResets } from './counter.ts'
import { Sibling } from './register.ts'
import { Strnum } from './strnum.ts'
import { noTtlWrites, type TtlWrite, type TtlWrites } from './ttl.ts'

/** What is known of a field: one write, everything, everything and TTL writes of its own. */
const ContentKind = { text: 0, full: 1, timed: 2 } as const

/** A field of a hash that is one write. */
export function writeTextField(writer: ByteWriter, stamp: Stamp, text: string): void {
  writer.u8(ContentKind.text)
  writer.f64(stamp)
  writer.text(text)
}

export function writeFullField(writer: ByteWriter, state: Strnum): void {
  writer.u8(ContentKind.full)
  writeStrnum(writer, state)
}

/** Without a value, too: a ghost's. */
export function writeTimedField(writer: ByteWriter, ttl: TtlWrites, state: Strnum): void {
  writer.u8(ContentKind.timed)
  writeTtlWrites(writer, ttl)
  writeStrnum(writer, state)
}

/** Calls one of the two. */
export function readField(
  reader: ByteReader,
  takeText: (stamp: Stamp, text: string) => void,
  takeFull: (state: Strnum, ttl: TtlWrites) => void,
): void {
  const kind = reader.u8()
  if (kind === ContentKind.text) {
    const stamp = readStamp(reader)
    takeText(stamp, reader.text())
  } else if (kind === ContentKind.full) {
    const state = readStrnum(reader)
    // No TTL write has covered them; before fields had TTLs, another flag was written.
    for (const sibling of state.siblings) sibling.ttlApart = false
    takeFull(state, noTtlWrites)
  } else if (kind === ContentKind.timed) {
    const ttl = readTtlWrites(reader)
    takeFull(readStrnum(reader), ttl)
  } else throw new FormatError(`content kind ${kind}`)
}

/** count u8, siblings (stamp, ttlApart u8, text), count u8, entries (last, from, sum, baseline). */
export function writeStrnum(writer: ByteWriter, state: Strnum): void {
  writer.u8(state.siblings.length)
  for (const sibling of state.siblings) {
    writer.f64(sibling.stamp)
    writer.u8(sibling.ttlApart ? 1 : 0)
    writer.text(sibling.text)
  }
  writer.u8(state.entries.length)
  for (const entry of state.entries) {
    writeReset(writer, entry)
    writer.u8(entry.resetLast > 0 ? 1 : 0)
    if (entry.resetLast === 0) continue
    writer.f64(entry.resetLast)
    writeAmount(writer, entry.resetSum)
    writer.f64(entry.resetStamp)
  }
}

export function readStrnum(reader: ByteReader): Strnum {
  const state = new Strnum()
  const siblings: Sibling[] = []
  for (let count = readCount(reader); count > 0; count--) {
    const stamp = readStamp(reader)
    const ttlApart = readFlag(reader)
    siblings.push(new Sibling(stamp, reader.text(), ttlApart))
  }
  requireAscending(siblings.map((sibling) => sibling.stamp))
  const entries: CounterEntry[] = []
  for (let count = readCount(reader); count > 0; count--) entries.push(readEntry(reader))
  requireAscending(entries.map((entry) => entry.origin))
  if (siblings.length > 0) state.siblings = siblings
  if (entries.length > 0) state.entries = entries
  return state
}

function readEntry(reader: ByteReader): CounterEntry {
  const { last, from, sum } = readReset(reader)
  const entry = new CounterEntry(from, last, sum)
  if (!readFlag(reader)) return entry
  entry.resetLast = readStamp(reader)
  entry.resetSum = readAmount(reader)
  entry.resetStamp = readStamp(reader)
  if (originOf(entry.resetLast) !== entry.origin) throw new FormatError('baseline of another origin')
  return entry
}

function writeReset(writer: ByteWriter, reset: CounterReset): void {
  writer.f64(reset.last)
  writer.varint((reset.last - reset.from) / stampStep)
  writeAmount(writer, reset.sum)
}

function readReset(reader: ByteReader): CounterReset {
  const last = readStamp(reader)
  const from = last - reader.varint() * stampStep
  if (from <= 0) throw new FormatError('counter entry from before the epoch')
  return { last, from, sum: readAmount(reader) }
}

export function writeResets(writer: ByteWriter, resets: readonly CounterReset[]): void {
  writer.u8(resets.length)
  for (const reset of resets) writeReset(writer, reset)
}

export function readResets(reader: ByteReader): readonly CounterReset[] {
  const count = readCount(reader)
  if (count === 0) return noResets
  const resets: CounterReset[] = []
  for (let left = count; left > 0; left--) resets.push(readReset(reader))
  requireAscending(resets.map((reset) => originOf(reset.last)))
  return resets
}

export function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  writer.varint(texts.length)
  for (const text of texts) writer.text(text)
}

export function readTexts(reader: ByteReader): string[] {
  const texts: string[] = []
  for (let count = reader.varint(); count > 0; count--) texts.push(reader.text())
  return texts
}

/** At most one of a kind an origin. */
export function readCount(reader: ByteReader): number {
  const count = reader.u8()
  if (count > originsMax) throw new FormatError(`${count} of what an origin has once`)
  return count
}

export function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8()
  if (flag > 1) throw new FormatError(`flag ${flag}`)
  return flag === 1
}

export function requireAscending(values: readonly Stamp[]): void {
  for (let at = 1; at < values.length; at++) {
    if ((values[at] as Stamp) <= (values[at - 1] as Stamp)) throw new FormatError('not in ascending order')
  }
}

export function writeTtlWrites(writer: ByteWriter, writes: TtlWrites): void {
  writer.u8(writes.length)
  for (const { stamp, expireAtMs } of writes) {
    writer.f64(stamp)
    writeExpireAt(writer, expireAtMs)
  }
}

export function readTtlWrites(reader: ByteReader): TtlWrites {
  const writes: TtlWrite[] = []
  for (let count = readCount(reader); count > 0; count--) {
    const stamp = readStamp(reader)
    writes.push({ stamp, expireAtMs: readExpireAt(reader) })
  }
  if (writes.length === 0) throw new FormatError('no TTL writes')
  requireAscending(writes.map((write) => write.stamp))
  return writes
}

/** 0 stands for Infinity: no key expires in 1970. */
export function writeExpireAt(writer: ByteWriter, expireAtMs: number): void {
  writer.varint(expireAtMs === Number.POSITIVE_INFINITY ? 0 : expireAtMs)
}

export function readExpireAt(reader: ByteReader): number {
  const value = reader.varint()
  return value === 0 ? Number.POSITIVE_INFINITY : value
}
