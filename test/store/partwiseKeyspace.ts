/**
 * Cuts slots in as many parts as it is asked for, however few keys they have: the index gives hundreds at a time. It cuts every other key
 * in pieces of an element, however small.
 */
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Ref } from '#server/store/arena.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { encodePiece, type SlotPosition } from '#server/store/slotCutting.ts'
import { writeFloor, writeGroupsOf, writeKey } from '#server/store/slotState.ts'

export class PartwiseKeyspace extends Keyspace {
  #keysMet = 0

  override encodeSlotPart(
    slot: number,
    position: SlotPosition,
    bytesWanted: number,
    writer: ByteWriter,
  ): SlotPosition {
    return this.#encode(slot, position, bytesWanted, writer, true)
  }

  override encodeSlotPartForPeer(
    slot: number,
    position: SlotPosition,
    bytesWanted: number,
    writer: ByteWriter,
  ): SlotPosition {
    return this.#encode(slot, position, bytesWanted, writer, false)
  }

  #encode(
    slot: number,
    position: SlotPosition,
    bytesWanted: number,
    writer: ByteWriter,
    isOwn: boolean,
  ): SlotPosition {
    if (typeof position !== 'number') return this.#encodeWithin(slot, position, writer, isOwn)
    const { tables } = this
    const end = writer.length + bytesWanted
    if (position === 0) this.#encodeFloor(slot, writer)
    const keys = this.#keysFrom(slot, position)
    for (const [i, { at, ref }] of keys.entries()) {
      if (i > 0 && writer.length >= end) return at
      if (!tables.isText(ref) && this.#keysMet++ % 2 === 0)
        return { names: [tables.nameOf(ref)], piece: undefined, next: keys[i + 1]?.at ?? 0 }
      writeKey(writer, tables, ref)
      if (isOwn) writeGroupsOf(writer, tables, ref)
    }
    return 0
  }

  #encodeWithin(
    slot: number,
    position: Exclude<SlotPosition, number>,
    writer: ByteWriter,
    isOwn: boolean,
  ): SlotPosition {
    const { tables } = this
    tables.finishJoin(slot)
    const { names, next } = position
    const name = names[0] as string
    const piece = encodePiece(tables, name, position.piece, 1, writer)
    const ref = isOwn && position.piece === undefined ? tables.findText(name) : 0
    if (ref !== 0) writeGroupsOf(writer, tables, ref)
    return piece === undefined ? next : { names, piece, next }
  }

  /** By their hashes. */
  #keysFrom(slot: number, position: number): { at: number; ref: Ref }[] {
    const { tables } = this
    tables.finishJoin(slot)
    const keys: { at: number; ref: Ref }[] = []
    tables.index.forEach(slot, (ref) => {
      tables.aim(tables.nameOf(ref))
      const at = tables.name.hash >>> 0
      if (at >= position) keys.push({ at, ref })
    })
    return keys.sort((a, b) => a.at - b.at)
  }

  #encodeFloor(slot: number, writer: ByteWriter): void {
    const floor = this.tables.deleteFloors.of(slot)
    if (floor !== undefined) writeFloor(writer, floor)
  }
}
