/** Bytes of strings' and fields' states (`stateCodec.ts` has what they share with others, and the versions). */
import { readStamp } from '#protocol/sync/record.ts'
import type { Stamp } from '#protocol/sync/stamp.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { CounterEntry } from './counter.ts'
import { amountCounters } from './counterCodec.ts'
import { Sibling } from './register.ts'
import { readCount, readFlag, readTtlWrites, requireAscending, writeTtlWrites } from './stateCodec.ts'
import { Strnum } from './strnum.ts'
import { noTtlWrites, type TtlWrites } from './ttl.ts'

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
    amountCounters.writeReset(writer, entry)
    writer.u8(entry.resetLast > 0 ? 1 : 0)
    if (entry.resetLast > 0) amountCounters.writeBaseline(writer, entry)
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
  const { last, from, sum } = amountCounters.readReset(reader)
  const entry = new CounterEntry(from, last, sum)
  if (readFlag(reader)) amountCounters.readBaseline(reader, entry)
  return entry
}
