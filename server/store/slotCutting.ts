/**
 * Cuts a slot into parts while it changes: a bucket of the index at a time, and a large key in pieces (`server/crdt/keyPiece.ts`). A key
 * that is there all the time is met, and so is each of its elements.
 */
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { hasElements, type PiecePosition, writeFirstPiece, writePiece } from '#server/crdt/keyPiece.ts'
import type { Ref } from './arena.ts'
import { writeFloor, writeGroupsOf, writeKey, writePieceHead } from './slotState.ts'
import type { SlotTables } from './slotTables.ts'

/** A larger state is cut. */
const wholeBytesMax = 32 * 1024
const pieceBytesWanted = 32 * 1024

/** Where the next part begins; 0: at the start, or there is none. */
export type SlotPosition = number | WithinBucket

/** Keys of a bucket that are still to be cut; a part ended within the first, or before it. */
export interface WithinBucket {
  readonly names: readonly string[]
  readonly piece: PiecePosition | undefined
  /** The bucket behind. */
  readonly next: number
}

/**
 * The keys from `position` on, until about `bytesWanted` have been written; or one piece of a large one. What belongs to this cluster
 * alone is among them if `isOwn`: for a snapshot, and for nobody else.
 */
export function encodePart(
  tables: SlotTables,
  slot: number,
  position: SlotPosition,
  bytesWanted: number,
  writer: ByteWriter,
  isOwn: boolean,
): SlotPosition {
  if (typeof position !== 'number') return encodeWithin(tables, position, writer, isOwn)
  const end = writer.length + bytesWanted
  if (position === 0) encodeFloor(tables, slot, writer)
  let at: SlotPosition = position
  // Pieces are parts of their own: a slot that fits one part is a state, which has none.
  do at = encodeBucket(tables, slot, at, writer, isOwn)
  while (typeof at === 'number' && at !== 0 && writer.length < end)
  return at
}

/** All keys of a bucket but the large ones. */
function encodeBucket(
  tables: SlotTables,
  slot: number,
  at: number,
  writer: ByteWriter,
  isOwn: boolean,
): SlotPosition {
  const names: string[] = []
  const next = tables.index.scan(slot, at, 1, (ref) => {
    if (isLarge(tables, ref)) {
      names.push(tables.nameOf(ref))
      return
    }
    writeKey(writer, tables, ref)
    if (isOwn) writeGroupsOf(writer, tables, ref)
  })
  return names.length === 0 ? next : { names, piece: undefined, next }
}

export function isLarge(tables: SlotTables, ref: Ref): boolean {
  const state = tables.state(ref)
  return state !== undefined && hasElements(state) && state.usedBytes > wholeBytesMax
}

/** A piece of the first key; behind its first, which names its groups, what they are in this cluster alone. */
export function encodeWithin(
  tables: SlotTables,
  at: WithinBucket,
  writer: ByteWriter,
  isOwn: boolean,
): SlotPosition {
  const { names, next } = at
  const name = names[0] as string
  const piece = encodePiece(tables, name, at.piece, pieceBytesWanted, writer)
  const ref = isOwn && at.piece === undefined ? tables.findText(name) : 0
  if (ref !== 0) writeGroupsOf(writer, tables, ref)
  if (piece !== undefined) return { names, piece, next }
  return names.length === 1 ? next : { names: names.slice(1), piece: undefined, next }
}

/** Returns where the next piece of the key begins; undefined: it has been cut. */
export function encodePiece(
  tables: SlotTables,
  name: string,
  at: PiecePosition | undefined,
  bytesWanted: number,
  writer: ByteWriter,
): PiecePosition | undefined {
  const ref = tables.findText(name)
  // It has been deleted, or become a text, by an operation behind what has been cut.
  if (ref === 0 || (at !== undefined && tables.isText(ref))) return undefined
  if (tables.isText(ref)) {
    writeKey(writer, tables, ref)
    return undefined
  }
  writePieceHead(writer, tables, ref)
  const state = tables.stateOf(ref)
  return at === undefined ? writeFirstPiece(writer, state) : writePiece(writer, state, at, bytesWanted)
}

function encodeFloor(tables: SlotTables, slot: number, writer: ByteWriter): void {
  const floor = tables.deleteFloors.of(slot)
  if (floor !== undefined) writeFloor(writer, floor)
}
