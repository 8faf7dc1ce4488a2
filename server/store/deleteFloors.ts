/**
 * The delete stamps that have been forgotten, per slot and origin the greatest: its floor (rule D6, A5; `server/crdt/deleteWins.ts`).
 *
 * Who has forgotten a delete can't tell any more which adds it took. It need not where an add comes as an operation: all that
 * lack the delete have come. A state that was cut before the delete may hold them still. So states and floors meet by two
 * rules, and both sides of them follow from what an acknowledgement proves: whatever had not seen a delete that
 * is forgotten somewhere had been applied there before.
 *
 * - A state that doesn't cover the receiver's floor is older than all that: it is refused, and brings nothing new.
 * - A receiver that doesn't cover the state's floor (it has lost its data, or joins, and takes from several) has nothing that
 *   the state lacks: what it holds of delete-wins payloads is void.
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { originOf } from '#protocol/sync/stamp.ts'
import { emptyVector, raiseTo, type VersionVector } from '#protocol/sync/versionVector.ts'

export class DeleteFloors {
  readonly #slots: Map<number, VersionVector> = new Map()

  /** undefined: nothing has been forgotten in the slot. */
  of(slot: number): VersionVector | undefined {
    return this.#slots.get(slot)
  }

  /** A delete is forgotten. */
  raise(slot: number, stamp: Stamp): void {
    const floor = this.#made(slot)
    const origin = originOf(stamp)
    if (stamp > (floor[origin] as number)) floor[origin] = stamp
  }

  raiseTo(slot: number, floor: VersionVector): void {
    raiseTo(this.#made(slot), floor)
  }

  #made(slot: number): VersionVector {
    let floor = this.#slots.get(slot)
    if (floor === undefined) {
      floor = emptyVector()
      this.#slots.set(slot, floor)
    }
    return floor
  }
}
