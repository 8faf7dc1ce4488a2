/** Forgets residues of the keys of a shard when their time has come (`residues.ts`). */
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import type { CounterEntry } from '#server/crdt/counter.ts'
import type { KeyState } from '#server/crdt/keyState.ts'
import {
  type Acknowledged,
  type AcknowledgedSlots,
  appliedEverywhere,
  mayForgetBaseline,
  mayForgetGhost,
} from './residues.ts'
import type { SlotTables } from './slotTables.ts'

export abstract class Forgetting {
  abstract readonly origin: Origin
  abstract readonly tables: SlotTables
  /** The acknowledgements that the last sweep went by, to skip one that could find nothing new. */
  #sweptChanges = -1
  #sweptAdditions = -1

  /**
   * Forgets what no member can need any more (rule D7). Not to be called by a shard that is STALE. `mayDrop(slot)`: false
   * while the slot is being cut for a peer or a state of it waits to be merged. Returns how many residues are left.
   */
  dropResidues(acknowledged: AcknowledgedSlots, mayDrop: (slot: number) => boolean = () => true): number {
    const { residues } = this.tables
    if (residues.size === 0 || !this.#hasNews(acknowledged)) return residues.size
    residues.sweep((slot, name, touched) => {
      if (!mayDrop(slot)) {
        this.#sweptAdditions = -1
        return true
      }
      return this.#keepsResidue(slot, name, touched, acknowledged.inSlot(slot))
    })
    return residues.size
  }

  #hasNews({ changes }: AcknowledgedSlots): boolean {
    const { additions } = this.tables.residues
    if (additions === this.#sweptAdditions && changes === this.#sweptChanges) return false
    this.#sweptChanges = changes
    this.#sweptAdditions = additions
    return true
  }

  #keepsResidue(
    slot: number,
    name: string,
    touched: VersionVector | null,
    acknowledged: Acknowledged,
  ): boolean {
    const { tables } = this
    const ref = tables.findText(name)
    const state = ref === 0 ? undefined : tables.state(ref)
    if (state === undefined) return false
    const baselines = state.forgetBaselines((entry) => this.mayForgetBaseline(entry, acknowledged))
    const deletes = state.forgetDeletes((stamp) => {
      const may = this.mayForgetDelete(stamp, acknowledged)
      if (may) tables.deleteFloors.raise(slot, stamp)
      return may
    })
    if (state.hasGhost && touched !== null && this.mayForgetGhost(state, touched, acknowledged)) {
      state.forgetGhost()
    }
    tables.tidy(state)
    return baselines || deletes || state.hasGhost
  }

  protected mayForgetBaseline(entry: CounterEntry, acknowledged: Acknowledged): boolean {
    return mayForgetBaseline(entry, this.origin, acknowledged)
  }

  protected mayForgetDelete(stamp: Stamp, acknowledged: Acknowledged): boolean {
    return appliedEverywhere(acknowledged, this.origin, stamp)
  }

  protected mayForgetGhost(_state: KeyState, touched: VersionVector, acknowledged: Acknowledged): boolean {
    return mayForgetGhost(touched, this.origin, acknowledged)
  }
}
