/**
 * A whole slot as bytes, and its join into the local slot. The state is labelled with the vector it was cut at: that a key
 * or element is absent from it means something only together with the label (what the label covers and the state lacks has
 * been removed).
 *
 *     slot state := count varint | [floor] | key*            the floor counts as a key
 *     part       := [floor] | key*                            of a slot: on disk, and where it is cut while it changes
 *     key        := name text | kind u8 | content
 *     content    := stamp f64 | text | [expireAt varint]     one write, kinds 0 and 1 (with a TTL)
 *                 | state                                     kind 2, `server/crdt/keyStateCodec.ts`
 *                 | groups                                    kind 4, in parts of snapshots only: `groupRecord.ts`, behind the key's state
 *                 | piece                                     kind 5, of a large key, in parts for peers and of the log: `server/crdt/keyPiece.ts`
 *     floor      := 0 u8 | kind 3 u8 | mask u8 | stamp f64*   of deletes that were forgotten (`deleteFloors.ts`)
 */

import { slotOf } from '#protocol/slots/crc16.ts'
import { readStamp, readVector, writeVector } from '#protocol/sync/record.ts'
import { originOf, type Stamp } from '#protocol/sync/stamp.ts'
import { emptyVector, includes, type VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readPiece, takePiece } from '#server/crdt/keyPiece.ts'
import { KeyState } from '#server/crdt/keyState.ts'
import { readKeyState, writeKeyState } from '#server/crdt/keyStateCodec.ts'
import type { Ref } from './arena.ts'
import { loadGroups, usedGroups, writeGroups } from './groupRecord.ts'
import { watchJoin } from './joinEvents.ts'
import type { SlotTables } from './slotTables.ts'

/** A floor stands in the place of a key, with an empty name. */
const ContentKind = { text: 0, expiringText: 1, state: 2, floor: 3, groups: 4, piece: 5 } as const
const kindsOfState: ReadonlySet<number> = new Set([
  ContentKind.text,
  ContentKind.expiringText,
  ContentKind.state,
  ContentKind.floor,
])
/** Of a part that a peer has cut, and of one that this shard has written. */
const kindsOfPeer: ReadonlySet<number> = new Set([...kindsOfState, ContentKind.piece])
const kindsOfPart: ReadonlySet<number> = new Set([...kindsOfPeer, ContentKind.groups])
const never = Number.POSITIVE_INFINITY

/** What a slot state begins with; all parts of the slot, cut in one step and without groups, make the rest. */
export function countOf(tables: SlotTables, slot: number): number {
  return tables.index.sizeOf(slot) + (tables.deleteFloors.of(slot) === undefined ? 0 : 1)
}

export function encodeSlot(tables: SlotTables, slot: number, writer: ByteWriter): void {
  const floor = tables.deleteFloors.of(slot)
  writer.varint(countOf(tables, slot))
  if (floor !== undefined) writeFloor(writer, floor)
  tables.index.forEach(slot, (ref) => writeKey(writer, tables, ref))
}

export function writeFloor(writer: ByteWriter, floor: VersionVector): void {
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

/** What the key's groups are in this cluster alone, if it has any; behind the key. */
export function writeGroupsOf(writer: ByteWriter, tables: SlotTables, ref: Ref): void {
  const groups = usedGroups(tables.state(ref))
  if (groups.length === 0) return
  tables.readName(ref)
  writeRange(writer, tables)
  writer.u8(ContentKind.groups)
  writeGroups(writer, groups)
}

/** What a piece of a large key begins with. */
export function writePieceHead(writer: ByteWriter, tables: SlotTables, ref: Ref): void {
  tables.readName(ref)
  writeRange(writer, tables)
  writer.u8(ContentKind.piece)
}

function writeRange(writer: ByteWriter, { textBytes, textStart, textEnd }: SlotTables): void {
  writer.varint(textEnd - textStart)
  writer.raw(textBytes, textStart, textEnd)
}

/** A key of a slot state: one write, or a full state. */
export class ForeignKey {
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
    const kind = readKind(reader, kindsOfState)
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

function readKind(reader: ByteReader, kinds: ReadonlySet<number>): number {
  const kind = reader.u8()
  if (!kinds.has(kind)) throw new FormatError(`content kind ${kind}`)
  return kind
}

/**
 * Puts the keys of a part where nothing but earlier parts of the slot is, and raises its vector to `label`. A key that is
 * there already was cut earlier, and is replaced. What belongs to another cluster alone (`isForeign`) is refused. Throws `FormatError`, and may have put some keys then.
 */
export function loadPart(
  tables: SlotTables,
  slot: number,
  label: VersionVector,
  reader: ByteReader,
  isForeign: boolean,
): void {
  tables.vectors.raise(slot, label)
  while (!reader.atEnd) loadKey(tables, slot, reader, isForeign ? kindsOfPeer : kindsOfPart)
}

function loadKey(tables: SlotTables, slot: number, reader: ByteReader, kinds: ReadonlySet<number>): void {
  const { bytes } = reader
  const start = reader.skipText()
  const end = reader.at
  const kind = readKind(reader, kinds)
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
  if (kind === ContentKind.piece) {
    const { isFirst, state } = readPiece(reader)
    if (isFirst) aimAtVacant(tables, slot, bytes, start, end)
    else aimInSlot(tables, slot, bytes, start, end)
    loadPiece(tables, state)
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

/** Adds to what is there of the key: of its pieces, or of operations that were applied in between. */
function loadPiece(tables: SlotTables, piece: KeyState): void {
  const ref = tables.find()
  const wasLive = ref !== 0 && tables.isLive(ref)
  const wasDueMs = ref === 0 ? never : tables.dueMs(ref)
  const state = ref === 0 ? new KeyState() : tables.stateOf(ref)
  if (ref === 0) {
    state.string = piece.string
    state.hll = piece.hll
    state.ttl = piece.ttl
  }
  takePiece(state, piece)
  state.dropEmpty()
  tables.settle(state, wasLive, wasDueMs, 0)
}

function aimAtVacant(tables: SlotTables, slot: number, bytes: Uint8Array, start: number, end: number): void {
  aimInSlot(tables, slot, bytes, start, end)
  tables.drop()
}

function aimInSlot(tables: SlotTables, slot: number, bytes: Uint8Array, start: number, end: number): void {
  tables.aimAt(bytes, start, end)
  if (tables.name.slot !== slot) throw new FormatError(`a key of another slot than ${slot}`)
}

export function mergeTables(
  tables: SlotTables,
  slot: number,
  { keys, floor }: SlotContent,
  label: VersionVector,
): void {
  tables.showLoss(slot)
  const own = tables.vectors.of(slot).slice()
  // Before the keys: what is remembered of a ghost is all that the slot has seen now.
  tables.vectors.raise(slot, label)
  if (floor.some((stamp) => stamp > 0)) tables.deleteFloors.raiseTo(slot, floor)
  // What is here has seen less than what the other side has forgotten: it has all of it, less what was deleted.
  const isVoid = !includes(own, floor)
  tables.index.forEach(slot, (ref) => {
    // Kept as it is: what the other side has not seen yet.
    if (tables.isBeyond(ref, label, true)) return
    const name = tables.nameOf(ref)
    if (!keys.has(name)) atOnce(mergingKey(tables, name, ref, own, new KeyState(), label, isVoid))
  })
  for (const [name, theirs] of keys) {
    const ref = tables.findText(name)
    if (ref === 0) atOnce(adopting(tables, name, own, theirs, label))
    else if (!isSameWrite(tables, ref, theirs))
      atOnce(mergingKey(tables, name, ref, own, theirs.state, label, isVoid))
  }
}

/**
 * Joins one key with that of the other side, undefined: which has none. `own` is what the slot had seen before. In steps, if it is large:
 * nobody may look at the key until the last.
 */
export function* joiningKey(
  tables: SlotTables,
  name: string,
  own: VersionVector,
  theirs: ForeignKey | undefined,
  label: VersionVector,
): Generator<void> {
  const ref = tables.findText(name)
  if (theirs === undefined) {
    const stays = ref === 0 || (tables.isText(ref) && !tables.coveredBy(ref, label))
    if (!stays) yield* mergingKey(tables, name, ref, own, new KeyState(), label)
  } else if (ref === 0) yield* adopting(tables, name, own, theirs, label)
  else if (!isSameWrite(tables, ref, theirs)) yield* mergingKey(tables, name, ref, own, theirs.state, label)
}

const atOnce = (steps: Generator<void>): void => {
  while (steps.next().done !== true);
}

const isSameWrite = (tables: SlotTables, ref: Ref, { full, stamp }: ForeignKey): boolean =>
  full === undefined && tables.isText(ref) && tables.stamp(ref) === stamp

/** `isVoid`: what deletes win over was deleted elsewhere. */
function* mergingKey(
  tables: SlotTables,
  name: string,
  ref: Ref,
  own: VersionVector,
  theirs: KeyState,
  label: VersionVector,
  isVoid = false,
): Generator<void> {
  const watch = watchJoin(tables, name)
  const wasLive = tables.isLive(ref)
  const wasDueMs = tables.dueMs(ref)
  const state = tables.stateOf(ref)
  if (isVoid) state.clearDeleteWins()
  yield* state.merging(own, theirs, label)
  tables.aim(name)
  tables.settle(state, wasLive, wasDueMs, 0)
  watch?.tell()
}

/** A key that is not here: new, or removed here. */
function* adopting(
  tables: SlotTables,
  name: string,
  own: VersionVector,
  theirs: ForeignKey,
  label: VersionVector,
): Generator<void> {
  const { full, stamp } = theirs
  if (full === undefined && stamp <= (own[originOf(stamp)] as number)) return
  const state = new KeyState()
  yield* state.merging(own, theirs.state, label)
  if (state.nothing) return
  const watch = watchJoin(tables, name)
  tables.aim(name)
  tables.settle(state, false, never, 0)
  watch?.tell()
}
