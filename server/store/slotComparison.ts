/**
 * A slot compared with a peer's by digests of its portions, and the keys of those that differ, cut: both while it changes, as with any cut
 * of several steps (`server/sync/slotCuts.ts`). Keys are digested at different times, and so are keys cut; what came to them since the
 * label of the cut follows as operations, whichever way the key itself gets there.
 */

import type { Portioning } from '#protocol/sync/digestMessage.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { PortionDigests, type PortionSet, Portions } from './portions.ts'
import { encodeWithin, isLarge, type SlotPosition } from './slotCutting.ts'
import { writeFloor, writeKey } from './slotState.ts'
import type { SlotTables } from './slotTables.ts'
import { walkSlot } from './slotWalk.ts'

export class SlotComparison {
  readonly #tables: SlotTables
  readonly #slot: number
  readonly #theirs: Uint8Array
  readonly #digests: PortionDigests
  #position = 0
  #differing: PortionSet | null = null

  constructor(tables: SlotTables, slot: number, portioning: Portioning, theirs: Uint8Array) {
    this.#tables = tables
    this.#slot = slot
    this.#theirs = theirs
    this.#digests = new PortionDigests(new Portions(portioning))
  }

  /** null: it is not known yet. */
  get differing(): Uint8Array | null {
    return this.#differing?.bits ?? null
  }

  /** Compares on, in a step of about so many bytes. */
  step(bytesWanted: number): void {
    if (this.#differing !== null) return
    const visit = (ref: number) => this.#digests.add(this.#tables, ref)
    this.#position = walkSlot(this.#tables, this.#slot, this.#position, bytesWanted, visit)
    if (this.#position === 0) this.#differing = this.#digests.compare(this.#theirs)
  }

  /** As `encodePart` of `slotCutting.ts`, of what differs; a step of about so many bytes, read or written. */
  encodePart(position: SlotPosition, bytesWanted: number, writer: ByteWriter): SlotPosition {
    const tables = this.#tables
    if (typeof position !== 'number') return encodeWithin(tables, position, writer, false)
    const floor = position === 0 ? tables.deleteFloors.of(this.#slot) : undefined
    if (floor !== undefined) writeFloor(writer, floor)
    const { portions } = this.#digests
    const names: string[] = []
    const next = walkSlot(tables, this.#slot, position, bytesWanted, (ref) => {
      const start = writer.length
      tables.readName(ref)
      const { textBytes, textStart, textEnd } = tables
      const isWanted = this.#differing?.has(portions.of(textBytes, textStart, textEnd)) === true
      if (isWanted && isLarge(tables, ref)) names.push(tables.nameOf(ref))
      else if (isWanted) writeKey(writer, tables, ref)
      return textEnd - textStart + writer.length - start
    })
    return names.length === 0 ? next : { names, piece: undefined, next }
  }
}
