/**
 * A whole slot as bytes, and its join into the local slot. The state is labelled with the vector it was cut at: that a key
 * or element is absent from it means something only together with the label (what the label covers and the state lacks has
 * been removed).
 *
 *     slot state := count varint | (key text | kind u8 | content)*
 *     content    := stamp f64 | text | [expireAt varint]     one write, kinds 0 and 1 (with a TTL)
 *                 | state                                     kind 2, `server/crdt/keyState.ts`
 */

import { slotOfKey } from '#protocol/slots/crc16.ts'
import { readStamp } from '#protocol/sync/record.ts'
import { raiseTo, type VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Dictionary } from '#server/crdt/dictionary.ts'
import { KeyState } from '#server/crdt/keyState.ts'
import { Stamped } from '#server/crdt/stamped.ts'
import { ExpiringText, isLive, Key, type SlotTables, stateOf } from './slotTables.ts'

const ContentKind = { text: 0, expiringText: 1, state: 2 } as const

type ForeignKey = Stamped<ExpiringText | KeyState>
type SlotContent = Map<string, ForeignKey>

export function encodeSlot(table: Dictionary<Key> | undefined, writer: ByteWriter): void {
  writer.varint(table?.size ?? 0)
  table?.forEach((key, name) => {
    writer.text(name)
    encodeKey(key, writer)
  })
}

function encodeKey(key: Key, writer: ByteWriter): void {
  const { content } = key
  if (content instanceof KeyState) {
    writer.u8(ContentKind.state)
    content.encode(writer)
    return
  }
  const timed = content instanceof ExpiringText
  writer.u8(timed ? ContentKind.expiringText : ContentKind.text)
  writer.f64(key.stamp)
  writer.text(timed ? content.text : content)
  if (timed) writer.varint(content.expireAtMs)
}

export function decodeSlot(reader: ByteReader, slot: number): SlotContent {
  const content: SlotContent = new Map()
  for (let count = reader.varint(); count > 0; count--) {
    const name = reader.text()
    if (slotOfKey(name) !== slot) throw new FormatError(`a key of another slot than ${slot}`)
    if (content.has(name)) throw new FormatError('a key twice')
    content.set(name, decodeKey(reader))
  }
  if (!reader.atEnd) throw new FormatError(`${reader.end - reader.at} bytes behind a slot state`)
  return content
}

function decodeKey(reader: ByteReader): ForeignKey {
  const kind = reader.u8()
  if (kind === ContentKind.state) return new Stamped<ExpiringText | KeyState>(KeyState.decode(reader), 0)
  if (kind > ContentKind.state) throw new FormatError(`content kind ${kind}`)
  const stamp = readStamp(reader)
  const text = reader.text()
  if (kind === ContentKind.text) return new Stamped<ExpiringText | KeyState>(text, stamp)
  return new Stamped<ExpiringText | KeyState>(new ExpiringText(text, reader.varint()), stamp)
}

export function mergeTables(
  tables: SlotTables,
  slot: number,
  content: SlotContent,
  label: VersionVector,
): void {
  const own = tables.vectors.of(slot).slice()
  // Before the keys: what is remembered of a ghost is all that the slot has seen now.
  raiseTo(tables.vectors.of(slot), label)
  tables.table(slot)?.forEach((key, name) => {
    if (content.has(name)) return
    // Kept as it is: what the other side has not seen yet.
    if (!(key.content instanceof KeyState) && !key.coveredBy(label)) return
    mergeKey(tables, slot, name, key, own, new KeyState(), label)
  })
  for (const [name, theirs] of content) {
    const key = tables.find(slot, name)
    if (key === undefined) adopt(tables, slot, name, own, theirs, label)
    else if (!isSameWrite(key, theirs)) mergeKey(tables, slot, name, key, own, stateOf(theirs), label)
  }
}

const isSameWrite = (a: ForeignKey, b: ForeignKey): boolean =>
  !(a.content instanceof KeyState) && !(b.content instanceof KeyState) && a.stamp === b.stamp

function mergeKey(
  tables: SlotTables,
  slot: number,
  name: string,
  key: Key,
  own: VersionVector,
  theirs: KeyState,
  label: VersionVector,
): void {
  const wasLive = isLive(key)
  const wasTimed = tables.isTimed(key)
  const state = stateOf(key)
  state.merge(own, theirs, label)
  tables.settle(slot, name, key, state, wasLive, wasTimed, 0)
}

/** A key that is not here: new, or removed here. */
function adopt(
  tables: SlotTables,
  slot: number,
  name: string,
  own: VersionVector,
  theirs: ForeignKey,
  label: VersionVector,
): void {
  if (!(theirs.content instanceof KeyState) && theirs.coveredBy(own)) return
  const state = new KeyState()
  state.merge(own, stateOf(theirs), label)
  if (state.nothing) return
  const key = new Key(state, 0, tables.nowSeconds)
  tables.insert(slot, name, key)
  tables.settle(slot, name, key, state, false, false, 0)
}
