/**
 * STRNUM, the value of a string or of a hash field: a register with a counter on top (`DESIGN.md`). A numeric text, or none,
 * is the base that the counter adds to; any other text shows alone and the counter is silent until the next reset. SET
 * resets the increments it saw, so that `SET 5 || SET 7 || INCR` is 8.
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import type { Amount } from './amount.ts'
import { addAmounts, formatAmount, parseAmount } from './amount.ts'
import {
  applyReset,
  type CounterEntries,
  type CounterEntry,
  type CounterReset,
  isCounting,
  mergeEntries,
  noEntries,
  resetsOf,
  total,
  withIncrement,
} from './counter.ts'
import {
  mergeSiblings,
  noSiblings,
  type Sibling,
  type Siblings,
  withoutCovered,
  withSibling,
} from './register.ts'

const strnumBytes = 80
/** Without its characters. */
const siblingBytes = 80
const entryBytes = 150

export class Strnum {
  siblings: Siblings = noSiblings
  entries: CounterEntries = noEntries

  /** On the heap, about. */
  get usedBytes(): number {
    let texts = 0
    for (const { text } of this.siblings) texts += siblingBytes + text.length
    return strnumBytes + texts + this.entries.length * entryBytes
  }

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

  /** undefined: absent. */
  shown(): string | undefined {
    const text = this.siblings.at(-1)?.text
    if (this.entries.length === 0 || !isCounting(this.entries)) return text
    const base = text === undefined ? 0 : parseAmount(text)
    return base === undefined ? text : formatAmount(addAmounts(base, total(this.entries)))
  }

  /** The greatest stamp that is live here, 0 for none; decides the visible type. */
  greatest(): Stamp {
    let greatest = this.siblings.at(-1)?.stamp ?? 0
    for (const entry of this.entries) if (entry.live && entry.last > greatest) greatest = entry.last
    return greatest
  }

  resets(): readonly CounterReset[] {
    return resetsOf(this.entries)
  }

  write(context: VersionVector, sibling: Sibling, resets: readonly CounterReset[]): void {
    this.remove(context, resets, sibling.stamp)
    this.siblings = withSibling(this.siblings, sibling)
  }

  remove(context: VersionVector, resets: readonly CounterReset[], stamp: Stamp): void {
    this.siblings = withoutCovered(this.siblings, context)
    this.reset(resets, stamp)
  }

  reset(resets: readonly CounterReset[], stamp: Stamp): void {
    for (const reset of resets) applyReset(this.entries, reset, stamp)
  }

  increment(stamp: Stamp, from: Stamp, sum: Amount): void {
    this.entries = withIncrement(this.entries, stamp, from, sum)
  }

  /** A TTL write has covered what `context` covers: those siblings no longer stand for "no TTL". */
  setTtlApart(context: VersionVector): void {
    for (const sibling of this.siblings) if (covers(context, sibling.stamp)) sibling.ttlApart = true
  }

  merge(own: VersionVector, other: Strnum, label: VersionVector): void {
    this.siblings = mergeSiblings(this.siblings, own, other.siblings, label)
    this.entries = mergeEntries(this.entries, own, other.entries, label)
  }

  /** Forgets the reset entries that `mayForget` names. */
  forget(mayForget: (entry: CounterEntry) => boolean): void {
    const left = this.entries.filter((entry) => entry.live || !mayForget(entry))
    this.entries = left.length === 0 ? noEntries : left
  }
}

/** What is merged with a value that one side doesn't have. */
export const noStrnum = new Strnum()
