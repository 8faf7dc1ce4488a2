/**
 * A register with a counter on top (`DESIGN.md`): what texts (`strnum.ts`) and scores (`score.ts`) have in common. A write
 * resets the increments it saw; increments concurrent with it stay.
 */
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import type { Amount } from './amount.ts'
import {
  type CounterEntries,
  type CounterEntry,
  type CounterReset,
  isCounting,
  mergeEntries,
  noEntries,
  resetsOf,
  withIncrement,
  withoutOwn,
  withReset,
} from './counter.ts'
import {
  mergeSiblings,
  noSiblings,
  type Siblings,
  type Write,
  withoutCovered,
  withSibling,
} from './register.ts'

export class CountedRegister<W extends Write, Sum extends Amount> {
  siblings: Siblings<W> = noSiblings
  entries: CounterEntries<Sum> = noEntries

  get live(): boolean {
    return this.siblings.length > 0 || isCounting(this.entries)
  }

  /** Neither value nor residue. */
  get nothing(): boolean {
    return this.siblings.length === 0 && this.entries.length === 0
  }

  get hasResidue(): boolean {
    const { entries } = this
    for (let i = 0; i < entries.length; i++) if (entries[i]?.live === false) return true
    return false
  }

  /** The greatest stamp that is live here, 0 for none; decides the visible type. */
  greatest(): Stamp {
    let greatest = this.siblings.at(-1)?.stamp ?? 0
    for (const entry of this.entries) if (entry.live && entry.last > greatest) greatest = entry.last
    return greatest
  }

  /** What a removal by `remover` ships. */
  resets(remover: Origin): readonly CounterReset<Sum>[] {
    return resetsOf(this.entries, remover)
  }

  write(context: VersionVector, sibling: W, resets: readonly CounterReset<Sum>[]): void {
    this.remove(context, resets, sibling.stamp)
    this.siblings = withSibling(this.siblings, sibling)
  }

  remove(context: VersionVector, resets: readonly CounterReset<Sum>[], stamp: Stamp): void {
    this.siblings = withoutCovered(this.siblings, context)
    this.entries = withoutOwn(this.entries, stamp)
    for (const reset of resets) this.entries = withReset(this.entries, reset, stamp)
  }

  increment(stamp: Stamp, from: Stamp, sum: Sum, rest = 0): void {
    this.entries = withIncrement(this.entries, stamp, from, sum, rest)
  }

  merge(own: VersionVector, other: CountedRegister<W, Sum>, label: VersionVector): void {
    const join = (a: W, b: W): W => this.joined(a, b)
    this.siblings = mergeSiblings(this.siblings, own, other.siblings, label, join)
    this.entries = mergeEntries(this.entries, own, other.entries, label)
  }

  /** The same write, as two replicas have it. */
  protected joined(a: W, _b: W): W {
    return a
  }

  /** Forgets the reset entries that `mayForget` names. */
  forget(mayForget: (entry: CounterEntry<Sum>) => boolean): void {
    const left = this.entries.filter((entry) => entry.live || !mayForget(entry))
    this.entries = left.length === 0 ? noEntries : left
  }
}
