/**
 * Which keys hold residues: baselines of reset counters, TTL writes of keys that don't exist (ghosts), and stamps of deletes
 * that win over adds. Only these outlive a delete, and each has an exact rule for when it may be forgotten (rules D6, D7,
 * `mayForgetBaseline`, `mayForgetGhost`, `appliedEverywhere`).
 */
import { type Origin, originOf, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import type { SlotVectors, VersionVector } from '#protocol/sync/versionVector.ts'
import type { CounterEntry } from '#server/crdt/counter.ts'

/** What each member is known to have applied in a slot (`server/sync`). */
export interface Acknowledged {
  /** Origins of all members, this cluster included. */
  readonly members: readonly Origin[]
  /** Everything of `origin` in the slot up to this stamp has been applied at `member`. */
  stamp(member: Origin, origin: Origin): Stamp
}

/** The same for all slots: a member's shards don't advance together. */
export interface AcknowledgedSlots {
  /** Rises whenever something is acknowledged, or the members change. */
  readonly changes: number
  inSlot(slot: number): Acknowledged
}

/** Of a ghost: all that had been applied to its slot when the key was last changed. Of other residues: null. */
type Residue = VersionVector | null

export class Residues {
  readonly #slots: Map<number, Map<string, Residue>> = new Map()
  /** Counts additions, so that a sweep that could find nothing new is skipped. */
  additions = 0
  /** Residues that sweeps have judged, and those of them that went, since the start. */
  judged = 0
  forgotten = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  add(slot: number, name: string): void {
    this.additions++
    const slotResidues = this.#of(slot)
    if (slotResidues.has(name)) return
    slotResidues.set(name, null)
    this.#size++
  }

  /** `last` is the stamp of the change, when `vectors` doesn't have it yet. */
  addGhost(slot: number, name: string, vectors: SlotVectors, last: Stamp): void {
    const touched = vectors.of(slot).slice()
    if (last > 0) touched[originOf(last)] = last
    const slotResidues = this.#of(slot)
    if (!slotResidues.has(name)) this.#size++
    slotResidues.set(name, touched)
    this.additions++
  }

  remove(slot: number, name: string): void {
    if (this.#size === 0) return
    const slotResidues = this.#slots.get(slot)
    if (slotResidues === undefined || !slotResidues.delete(name)) return
    this.#size--
    if (slotResidues.size === 0) this.#slots.delete(slot)
  }

  #of(slot: number): Map<string, Residue> {
    let slotResidues = this.#slots.get(slot)
    if (slotResidues === undefined) {
      slotResidues = new Map()
      this.#slots.set(slot, slotResidues)
    }
    return slotResidues
  }

  /** Calls `keep` for every residue; those for which it returns false are taken off the list. */
  sweep(keep: (slot: number, name: string, touched: Residue) => boolean): void {
    for (const [slot, slotResidues] of this.#slots) {
      for (const [name, touched] of slotResidues) {
        this.judged++
        if (keep(slot, name, touched)) continue
        this.forgotten++
        slotResidues.delete(name)
        this.#size--
      }
      if (slotResidues.size === 0) this.#slots.delete(slot)
    }
  }
}

/** The rule of delete stamps: an add that has not seen the delete can't come any more. */
export const appliedEverywhere = (acknowledged: Acknowledged, own: Origin, stamp: Stamp): boolean =>
  acknowledged.members.every(
    (member) => member === own || acknowledged.stamp(member, originOf(stamp)) >= stamp,
  )

/**
 * A baseline hides what its origin had counted before a reset. It is needed until that origin counts from new: when it has
 * applied the reset. Of an origin that is a member no more, an increment could still come from any member.
 */
export function mayForgetBaseline(entry: CounterEntry, own: Origin, acknowledged: Acknowledged): boolean {
  const { origin, resetStamp } = entry
  if (origin === own) return true
  if (!acknowledged.members.includes(origin)) return appliedEverywhere(acknowledged, own, resetStamp)
  return acknowledged.stamp(origin, originOf(resetStamp)) >= resetStamp
}

/**
 * A ghost is needed while somebody may still write to the key without having seen what removed it here: until all that was
 * applied to the key here is applied everywhere. That the TTL write is known everywhere isn't enough (counterexample A3).
 */
export function mayForgetGhost(touched: VersionVector, own: Origin, acknowledged: Acknowledged): boolean {
  for (let origin = 0; origin < originsMax; origin++) {
    const stamp = touched[origin] as number
    if (stamp > 0 && !appliedEverywhere(acknowledged, own, stamp)) return false
  }
  return true
}
