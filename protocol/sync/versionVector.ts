/**
 * A version vector holds, per origin, the greatest stamp applied. Delivery is chained per (origin, slot), so everything at
 * or below the entry has been applied: `covers` answers for every operation that ever was (Parker et al. 1983).
 */
import { type Origin, originOf, originsMax, type Stamp } from './stamp.ts'

/** Length `originsMax`, indexed by origin. */
export type VersionVector = Float64Array

export const emptyVector = (): VersionVector => new Float64Array(originsMax)

export const covers = (vector: VersionVector, stamp: Stamp): boolean =>
  stamp <= (vector[originOf(stamp)] as number)

/** Whether `a` has everything that `b` has. */
export function includes(a: VersionVector, b: VersionVector): boolean {
  for (let o = 0; o < originsMax; o++) if ((a[o] as number) < (b[o] as number)) return false
  return true
}

export function raiseTo(target: VersionVector, source: VersionVector): void {
  for (let o = 0; o < originsMax; o++) {
    if ((source[o] as number) > (target[o] as number)) target[o] = source[o] as number
  }
}

/** The version vectors of all hash slots of one shard, in one block of memory. */
export class SlotVectors {
  readonly #stamps: Float64Array
  /** 1: something was applied in the slot. Most slots of a small database are empty, and who looks for others passes them over at once. */
  readonly #isOccupied: Uint8Array
  /** Of each origin the greatest stamp applied in any slot. */
  readonly greatestStamps: VersionVector = emptyVector()

  constructor(slotCount: number) {
    this.#stamps = new Float64Array(slotCount * originsMax)
    this.#isOccupied = new Uint8Array(slotCount)
  }

  get(slot: number, origin: Origin): Stamp {
    return this.#stamps[slot * originsMax + origin] as number
  }

  set(slot: number, origin: Origin, stamp: Stamp): void {
    this.#stamps[slot * originsMax + origin] = stamp
    this.#isOccupied[slot] = 1
    if (stamp > (this.greatestStamps[origin] as number)) this.greatestStamps[origin] = stamp
  }

  raise(slot: number, label: VersionVector): void {
    raiseTo(this.of(slot), label)
    this.#isOccupied[slot] = 1
    raiseTo(this.greatestStamps, label)
  }

  covers(slot: number, stamp: Stamp): boolean {
    return stamp <= (this.#stamps[slot * originsMax + originOf(stamp)] as number)
  }

  /** A live view, to read: it changes with the slot. */
  of(slot: number): VersionVector {
    return this.#stamps.subarray(slot * originsMax, (slot + 1) * originsMax)
  }

  /** The first slot in [first, last] in which anything was applied; -1: there is none. */
  firstOccupied(first: number, last: number): number {
    const slot = this.#isOccupied.indexOf(1, first)
    return slot <= last ? slot : -1
  }

  /** Slots of these ranges in which anything was applied. */
  *occupied(ranges: Iterable<{ first: number; last: number }>): Generator<number, void> {
    for (const { first, last } of ranges) {
      let slot = this.firstOccupied(first, last)
      for (; slot >= 0; slot = this.firstOccupied(slot + 1, last)) yield slot
    }
  }

  /** The greatest stamp applied in the slot, of any origin. */
  greatest(slot: number): Stamp {
    let greatest = 0
    for (let at = slot * originsMax, end = at + originsMax; at < end; at++) {
      const stamp = this.#stamps[at] as number
      if (stamp > greatest) greatest = stamp
    }
    return greatest
  }

  /** Copies the slot's vector into `target`; returns the greatest of its stamps. */
  copyTo(slot: number, target: VersionVector): Stamp {
    const stamps = this.#stamps
    const start = slot * originsMax
    let greatest = 0
    for (let origin = 0; origin < originsMax; origin++) {
      const stamp = stamps[start + origin] as number
      target[origin] = stamp
      if (stamp > greatest) greatest = stamp
    }
    return greatest
  }
}
