/**
 * A whole slot as bytes, and its join into the local slot. The state is labelled with the vector it was cut at: that a key
 * or element is absent from it means something only together with the label (what the label covers and the state lacks has
 * been removed).
 *
 *     slot state := count varint | [floor] | key*            the floor counts as a key
 *     part       := [floor] | key*                            of a slot, on this shard's own disk
 *     key        := name text | kind u8 | content
 *     content    := stamp f64 | text | [expireAt varint]     one write, kinds 0 and 1 (with a TTL)
 *                 | state                                     kind 2, `server/crdt/keyStateCodec.ts`
 *                 | groups                                    kind 4, in parts only: `groupRecord.ts`, behind the key's state
 *     floor      := 0 u8 | kind 3 u8 | mask u8 | stamp f64*   of deletes that were forgotten (`deleteFloors.ts`)
 */

import { slotOf } from '#protocol/slots/crc16.ts'
import { readStamp, readVector, writeVector } from '#protocol/sync/record.ts'
import { originOf, type Stamp } from '#protocol/sync/stamp.ts'
import { emptyVector, includes, raiseTo, type VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { KeyState } from '#server/crdt/keyState.ts'
import { readKeyState, writeKeyState } from '#server/crdt/keyStateCodec.ts'
import type { Ref } from './arena.ts'
import { loadGroups, usedGroups, writeGroups } from './groupRecord.ts'
import type { SlotTables } from './slotTables.ts'

/** A floor stands in the place of a key, with an empty name. */
const ContentKind = { text: 0, expiringText: 1, state: 2, floor: 3, groups: 4 } as const
const never = Number.POSITIVE_INFINITY

export function encodeSlot(tables: SlotTables, slot: number, writer: ByteWriter): void {
  const floor = tables.deleteFloors.of(slot)
  writer.varint(tables.index.sizeOf(slot) + (floor === undefined ? 0 : 1))
  if (floor !== undefined) writeFloor(writer, floor)
  tables.index.forEach(slot, (ref) => writeKey(writer, tables, ref))
}

/**
 * The keys from `position` (0 at the start) on, until about `bytesWanted` have been written; returns where to go on, 0 at the
 * end. A key that is there during the whole scan is met at least once. At least one bucket of the index is taken.
 */
export function encodePart(
  tables: SlotTables,
  slot: number,
  position: number,
  bytesWanted: number,
  writer: ByteWriter,
): number {
  const end = writer.length + bytesWanted
  const floor = position === 0 ? tables.deleteFloors.of(slot) : undefined
  if (floor !== undefined) writeFloor(writer, floor)
  let at = position
  do at = tables.index.scan(slot, at, 1, (ref) => writeKeyOfPart(writer, tables, ref))
  while (at !== 0 && writer.length < end)
  return at
}

function writeFloor(writer: ByteWriter, floor: VersionVector): void {
  writer.text('')
  writer.u8(ContentKind.floor)
  writeVector(writer, floor)
}

/** A key as it lies in a slot state. */
export function writeKey(writer: ByteWriter, tables: SlotTables, ref: Ref): void {
  tables.readName(ref)
  writeRange(writer, tables)
  if (!tables.isText(ref)) {
    writer.u8(ContentKind.state)
    writeKeyState(writer, tables.stateOf(ref))
    return
  }
  const expireAtMs = tables.expireAt(ref)
  writer.u8(expireAtMs === never ? ContentKind.text : ContentKind.expiringText)
  writer.f64(tables.stamp(ref))
  tables.readText(ref)
  writeRange(writer, tables)
  if (expireAtMs !== never) writer.varint(expireAtMs)
}

/** The same of a part, with what the key's groups are in this cluster. */
export function writeKeyOfPart(writer: ByteWriter, tables: SlotTables, ref: Ref): void {
  writeKey(writer, tables, ref)
  const groups = usedGroups(tables.state(ref))
  if (groups.length === 0) return
  tables.readName(ref)
  writeRange(writer, tables)
  writer.u8(ContentKind.groups)
  writeGroups(writer, groups)
}

function writeRange(writer: ByteWriter, { textBytes, textStart, textEnd }: SlotTables): void {
  writer.varint(textEnd - textStart)
  writer.raw(textBytes, textStart, textEnd)
}

/** A key of a slot state: one write, or a full state. */
class ForeignKey {
  readonly stamp: Stamp
  readonly text: string
  readonly expireAtMs: number
  readonly full: KeyState | undefined

  constructor(stamp: Stamp, text: string, expireAtMs: number, full?: KeyState) {
    this.stamp = stamp
    this.text = text
    this.expireAtMs = expireAtMs
    this.full = full
  }

  /** To be used once. */
  get state(): KeyState {
    return this.full ?? KeyState.ofText(this.text, this.stamp, this.expireAtMs)
  }
}

export interface SlotContent {
  readonly keys: Map<string, ForeignKey>
  readonly floor: VersionVector
}

/** Reads all of it before anything is changed. Throws `FormatError`. */
export function decodeSlot(reader: ByteReader, slot: number): SlotContent {
  const keys = new Map<string, ForeignKey>()
  const floor = emptyVector()
  for (let count = reader.varint(); count > 0; count--) {
    const { bytes } = reader
    const start = reader.skipText()
    const name = latin1(bytes, start, reader.at)
    const kind = readKind(reader, ContentKind.floor)
    if (kind === ContentKind.floor) {
      readFloor(reader, name, floor)
      continue
    }
    requireSlot(bytes, start, start + name.length, slot)
    if (keys.has(name)) throw new FormatError('a key twice')
    keys.set(name, decodeKey(reader, kind))
  }
  if (!reader.atEnd) throw new FormatError(`${reader.end - reader.at} bytes behind a slot state`)
  return { keys, floor }
}

function readFloor(reader: ByteReader, name: string, into: VersionVector): void {
  if (name !== '') throw new FormatError('a floor with a name')
  readVector(reader, into)
}

function requireSlot(bytes: Uint8Array, start: number, end: number, slot: number): void {
  if (slotOf(bytes, start, end) !== slot) throw new FormatError(`a key of another slot than ${slot}`)
}

function decodeKey(reader: ByteReader, kind: number): ForeignKey {
  if (kind === ContentKind.state) return new ForeignKey(0, '', never, readKeyState(reader))
  const stamp = readStamp(reader)
  const text = reader.text()
  return new ForeignKey(stamp, text, kind === ContentKind.text ? never : reader.varint())
}

function readKind(reader: ByteReader, kindMax: number): number {
  const kind = reader.u8()
  if (kind > kindMax) throw new FormatError(`content kind ${kind}`)
  return kind
}

/**
 * Puts the keys of a part where nothing but earlier parts of the slot is, and raises its vector to `label`. A key that is
 * there already was cut earlier, and is replaced. Throws `FormatError`, and may have put some keys then.
 */
export function loadPart(tables: SlotTables, slot: number, label: VersionVector, reader: ByteReader): void {
  raiseTo(tables.vectors.of(slot), label)
  while (!reader.atEnd) loadKey(tables, slot, reader)
}

function loadKey(tables: SlotTables, slot: number, reader: ByteReader): void {
  const { bytes } = reader
  const start = reader.skipText()
  const end = reader.at
  const kind = readKind(reader, ContentKind.groups)
  if (kind === ContentKind.groups) {
    tables.aimAt(bytes, start, end)
    loadGroups(tables, reader)
    return
  }
  if (kind === ContentKind.floor) {
    const floor = emptyVector()
    readFloor(reader, latin1(bytes, start, end), floor)
    tables.deleteFloors.raiseTo(slot, floor)
    return
  }
  if (kind === ContentKind.state) {
    const state = readKeyState(reader)
    aimAtVacant(tables, slot, bytes, start, end)
    tables.settle(state, false, never, 0)
    return
  }
  const stamp = readStamp(reader)
  const textStart = reader.skipText()
  const textEnd = reader.at
  const expireAtMs = kind === ContentKind.text ? never : reader.varint()
  aimAtVacant(tables, slot, bytes, start, end)
  tables.putBytes(stamp, bytes, textStart, textEnd, expireAtMs)
  tables.size++
  if (expireAtMs !== never) tables.noteTimed(originOf(stamp), expireAtMs)
}

function aimAtVacant(tables: SlotTables, slot: number, bytes: Uint8Array, start: number, end: number): void {
  tables.aimAt(bytes, start, end)
  if (tables.name.slot !== slot) throw new FormatError(`a key of another slot than ${slot}`)
  tables.drop()
}

export function mergeTables(
  tables: SlotTables,
  slot: number,
  { keys, floor }: SlotContent,
  label: VersionVector,
): void {
  const own = tables.vectors.of(slot).slice()
  // Before the keys: what is remembered of a ghost is all that the slot has seen now.
  raiseTo(tables.vectors.of(slot), label)
  if (floor.some((stamp) => stamp > 0)) tables.deleteFloors.raiseTo(slot, floor)
  // What is here has seen less than what the other side has forgotten: it has all of it, less what was deleted.
  const isVoid = !includes(own, floor)
  tables.index.forEach(slot, (ref) => {
    // Kept as it is: what the other side has not seen yet.
    if (tables.isText(ref) && !tables.coveredBy(ref, label)) return
    const name = tables.nameOf(ref)
    if (!keys.has(name)) mergeKey(tables, name, ref, own, new KeyState(), label, isVoid)
  })
  for (const [name, theirs] of keys) {
    const ref = tables.findText(name)
    if (ref === 0) adopt(tables, name, own, theirs, label)
    else if (!isSameWrite(tables, ref, theirs)) mergeKey(tables, name, ref, own, theirs.state, label, isVoid)
  }
}

const isSameWrite = (tables: SlotTables, ref: Ref, { full, stamp }: ForeignKey): boolean =>
  full === undefined && tables.isText(ref) && tables.stamp(ref) === stamp

function mergeKey(
  tables: SlotTables,
  name: string,
  ref: Ref,
  own: VersionVector,
  theirs: KeyState,
  label: VersionVector,
  isVoid: boolean,
): void {
  const wasLive = tables.isLive(ref)
  const wasDueMs = tables.dueMs(ref)
  const state = tables.stateOf(ref)
  if (isVoid) state.clearDeleteWins()
  state.merge(own, theirs, label)
  tables.aim(name)
  tables.settle(state, wasLive, wasDueMs, 0)
}

/** A key that is not here: new, or removed here. */
function adopt(
  tables: SlotTables,
  name: string,
  own: VersionVector,
  theirs: ForeignKey,
  label: VersionVector,
): void {
  const { full, stamp } = theirs
  if (full === undefined && stamp <= (own[originOf(stamp)] as number)) return
  const state = new KeyState()
  state.merge(own, theirs.state, label)
  if (state.nothing) return
  tables.aim(name)
  tables.settle(state, false, never, 0)
}
