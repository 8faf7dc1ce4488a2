/**
 * A whole slot as bytes, and its join into the local slot. The state is labelled with the vector it was cut at: that a key
 * or element is absent from it means something only together with the label (what the label covers and the state lacks has
 * been removed).
 *
 *     slot state := count varint | (key text | content)*        (content: `stateCodec.ts`)
 */

import { slotOfKey } from '#protocol/slots/crc16.ts'
import { raiseTo, type VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Dictionary } from '#server/crdt/dictionary.ts'
import { KeyState } from '#server/crdt/keyState.ts'
import type { Stamped } from '#server/crdt/stamped.ts'
import { readStamped, writeStamped } from '#server/crdt/stateCodec.ts'
import { Key, type SlotTables } from './slotTables.ts'

type SlotContent = Map<string, Stamped<KeyState>>

export function encodeSlot(table: Dictionary<Key> | undefined, writer: ByteWriter): void {
  writer.varint(table?.size ?? 0)
  table?.forEach((key, name) => {
    writer.text(name)
    writeStamped(writer, key, (into, state: KeyState) => state.encode(into))
  })
}

export function decodeSlot(reader: ByteReader, slot: number): SlotContent {
  const content: SlotContent = new Map()
  for (let count = reader.varint(); count > 0; count--) {
    const name = reader.text()
    if (slotOfKey(name) !== slot) throw new FormatError(`a key of another slot than ${slot}`)
    if (content.has(name)) throw new FormatError('a key twice')
    content.set(name, readStamped(reader, KeyState.decode))
  }
  if (!reader.atEnd) throw new FormatError(`${reader.end - reader.at} bytes behind a slot state`)
  return content
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
    if (!content.has(name)) mergeKey(tables, slot, name, key, own, new KeyState(), label)
  })
  for (const [name, theirs] of content) {
    const key = tables.find(slot, name)
    if (key === undefined) adopt(tables, slot, name, own, theirs, label)
    else if (typeof theirs.content !== 'string') mergeKey(tables, slot, name, key, own, theirs.content, label)
    else if (typeof key.content !== 'string' || key.stamp !== theirs.stamp) {
      mergeKey(tables, slot, name, key, own, KeyState.ofText(theirs.content, theirs.stamp), label)
    }
  }
}

function mergeKey(
  tables: SlotTables,
  slot: number,
  name: string,
  key: Key,
  own: VersionVector,
  theirs: KeyState,
  label: VersionVector,
): void {
  const wasText = typeof key.content === 'string'
  if (wasText && theirs.nothing && !key.coveredBy(label)) return
  const wasLive = wasText || (key.content as KeyState).live
  const wasTimed = tables.isTimed(key)
  const state = typeof key.content === 'string' ? KeyState.ofText(key.content, key.stamp) : key.content
  state.merge(own, theirs, label)
  tables.settle(slot, name, key, state, wasLive, wasTimed, 0)
}

function adopt(
  tables: SlotTables,
  slot: number,
  name: string,
  own: VersionVector,
  theirs: Stamped<KeyState>,
  label: VersionVector,
): void {
  if (typeof theirs.content === 'string' && theirs.coveredBy(own)) return
  const state = new KeyState()
  const full =
    typeof theirs.content === 'string' ? KeyState.ofText(theirs.content, theirs.stamp) : theirs.content
  state.merge(own, full, label)
  if (state.nothing) return
  const key = new Key(state, 0, tables.nowSeconds)
  tables.insert(slot, name, key)
  tables.settle(slot, name, key, state, false, false, 0)
}
