/**
 * A slot as a whole, or in parts: cut for a snapshot or a peer while it changes, and put together again.
 *
 * What a peer sent in parts is staged apart, where the operations that came to the slot while it was cut are replayed on it
 * (rule 3.3.4): until then it holds more than its label says, and a write that saw that would have a context that is too
 * narrow. Then the slot is joined with the staged one (`slotJoin.ts`).
 */
import { includesSlot, type SlotRange } from '#protocol/slots/slotMap.ts'
import type { Portioning } from '#protocol/sync/digestMessage.ts'
import { includes, type VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Absences } from './absences.ts'
import { Forgetting } from './forgetting.ts'
import { FrozenSlot } from './frozenSlot.ts'
import { SlotComparison } from './slotComparison.ts'
import { encodePart, type SlotPosition } from './slotCutting.ts'
import { slotDigest } from './slotDigest.ts'
import { countOf, decodeSlot, encodeSlot, loadPart, mergeTables } from './slotState.ts'

export abstract class SlotParts extends Forgetting {
  abstract readonly ranges: readonly SlotRange[]
  /** They count as memory of this one until they are joined or dropped. */
  readonly #staged = new Set<SlotParts>()
  /** What is being joined, and nobody's business but that of the join. */
  #joined: SlotParts | null = null

  get stagedBytes(): number {
    let sizeBytes = 0
    for (const { tables } of this.#staged) sizeBytes += tables.usedBytes
    return sizeBytes
  }

  addStaged(staged: SlotParts): void {
    this.#staged.add(staged)
  }

  /** Unless it is being joined. */
  dropStaged(staged: SlotParts): void {
    if (staged !== this.#joined) this.#staged.delete(staged)
  }

  /**
   * Joins the staged slot, which has reached `label`: from now on every key looks joined, and the slot's vector includes the label.
   * False, and nothing changes: the state is too old (`deleteFloors.ts`). To be followed by `joinMore`. With `absences` only what differed
   * came, and only that is joined.
   */
  joinStaged(staged: SlotParts, slot: number, label: VersionVector, absences?: Absences): boolean {
    if (this.isTooOld(slot, label)) return false
    this.tables.beginJoin(staged.tables, slot, label, absences)
    if (this.#joined !== null) this.#staged.delete(this.#joined)
    this.#joined = staged
    return true
  }

  /** A bucket of keys; false: there is nothing to join. */
  joinMore(): boolean {
    if (this.tables.joinMore()) return true
    if (this.#joined !== null) this.#staged.delete(this.#joined)
    this.#joined = null
    return false
  }

  /** A slot is joined in part. */
  get isMerging(): boolean {
    return this.tables.slotOfJoin >= 0
  }

  isJoining(slot: number): boolean {
    return this.tables.slotOfJoin === slot
  }

  /** Rule A5. */
  protected isTooOld(slot: number, label: VersionVector): boolean {
    const floor = this.tables.deleteFloors.of(slot)
    return floor !== undefined && !includes(label, floor)
  }

  /** The whole state of a slot, what is hidden and residues included; its label is the slot's vector. */
  encodeSlot(slot: number, writer: ByteWriter): void {
    this.tables.finishJoin(slot)
    encodeSlot(this.tables, slot, writer)
  }

  /**
   * Joins the slot state [start, end), labelled `label`, and raises the slot's vector. `FormatError` comes before any change.
   * False, and nothing changes: the state is too old to be joined (`deleteFloors.ts`).
   */
  mergeSlot(slot: number, label: VersionVector, bytes: Uint8Array, start: number, end: number): boolean {
    if (!includesSlot(this.ranges, slot)) throw new FormatError(`slot ${slot} is not of this shard`)
    const content = decodeSlot(new ByteReader(bytes, start, end), slot)
    if (this.isTooOld(slot, label)) return false
    this.tables.finishJoin(slot)
    mergeTables(this.tables, slot, content, label)
    return true
  }

  /** Equal iff what shows and what is hidden are; see `slotDigest.ts`. */
  slotDigest(slot: number): string {
    this.tables.finishJoin(slot)
    return slotDigest(this.tables, slot)
  }

  /**
   * A part of the slot, for a snapshot: the keys from `position` (0 at the start) on, until about `bytesWanted` are written; a
   * bucket of the index may make it more. A large key comes in pieces, each a part. Returns where the next part begins, 0: the slot
   * is done. The slot may change between parts: they are labelled with the vector that it had before the first.
   */
  encodeSlotPart(
    slot: number,
    position: SlotPosition,
    bytesWanted: number,
    writer: ByteWriter,
  ): SlotPosition {
    this.tables.finishJoin(slot)
    return encodePart(this.tables, slot, position, bytesWanted, writer, true)
  }

  /**
   * Takes back the part [start, end), at the start of the shard and in the order in which the parts were cut. After all of them
   * the operations beyond `label` are applied again, before anybody sees the slot; so are those of a peer (`isForeign`), where a
   * slot is staged. `FormatError` may come after half of it.
   */
  loadSlotPart(
    slot: number,
    label: VersionVector,
    bytes: Uint8Array,
    start: number,
    end: number,
    isForeign = false,
  ): void {
    if (!includesSlot(this.ranges, slot)) throw new FormatError(`slot ${slot} is not of this shard`)
    loadPart(this.tables, slot, label, new ByteReader(bytes, start, end), isForeign)
  }

  /**
   * A part of the slot for a peer, and for the log of what one sent: as `encodeSlotPart` but without what belongs to this cluster alone.
   * If it is all of the slot it makes a slot state together with `slotCount`.
   */
  encodeSlotPartForPeer(
    slot: number,
    position: SlotPosition,
    bytesWanted: number,
    writer: ByteWriter,
  ): SlotPosition {
    this.tables.finishJoin(slot)
    return encodePart(this.tables, slot, position, bytesWanted, writer, false)
  }

  /** The slot as it is now, to be compared with a peer's; what differs there is to be loaded into what `newCopies` gives, which it does once. */
  freezeSlot(slot: number, portioning: Portioning, newCopies: () => SlotParts): FrozenSlot {
    this.tables.finishJoin(slot)
    return new FrozenSlot(this.tables, slot, portioning, () => newCopies().tables)
  }

  /** The slot, to be compared with that of a peer whose digests these are. */
  compareSlot(slot: number, portioning: Portioning, digests: Uint8Array): SlotComparison {
    this.tables.finishJoin(slot)
    return new SlotComparison(this.tables, slot, portioning, digests)
  }

  /** What a slot state begins with. */
  slotCount(slot: number): number {
    return countOf(this.tables, slot)
  }
}
