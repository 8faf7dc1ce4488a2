/**
 * CNT, a counter that any origin may add to and reset (`DESIGN.md`). Each origin that adds has one entry: what it added
 * since `from`, as a running sum up to `last`. Shipping the sum and not the increment makes effects idempotent.
 *
 * A reset can't be computed from the resetter's context: a receiver whose entry has moved on doesn't know what the sum
 * was. So every effect that removes state carries the entries of other origins that it saw (`CounterReset`), and a reset
 * entry keeps that sum as its baseline. What was added concurrently with the reset stays, exactly.
 *
 * Its own entry an origin resets by the stamp alone: all that began before is gone, since its next increment starts a new
 * `from`. Nobody can have an increment of it that the reset had not seen: an origin's operations come in their order.
 *
 * A baseline may be forgotten when it hides its whole entry and the entry's origin is known to have applied the reset:
 * from then on that origin starts a new `from`.
 */
import { type Origin, originOf, type Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { type Amount, addAmounts, subtractAmounts } from './amount.ts'

/** What it adds up: exact amounts, or doubles as scores of sorted sets are (`score.ts`). */
export class CounterEntry<Sum extends Amount = Amount> {
  readonly origin: Origin
  from: Stamp
  last: Stamp
  sum: Sum
  /** Of a score: what its origin shows beyond the sum, by the order in which it has rounded. */
  rest: number
  /** The baseline: what the entry was when it was reset, 0 when it was not. Without effect unless at or above `from`. */
  resetLast: Stamp = 0
  resetSum: Sum | 0 = 0
  /** The operation that reset it. */
  resetStamp: Stamp = 0

  constructor(from: Stamp, last: Stamp, sum: Sum, rest = 0) {
    this.origin = originOf(last)
    this.from = from
    this.last = last
    this.sum = sum
    this.rest = rest
  }

  get live(): boolean {
    return this.last > this.resetLast
  }

  /** Whether a baseline takes some of the sum away. */
  get partlyReset(): boolean {
    return this.resetLast >= this.from
  }

  clearBaseline(): void {
    this.resetLast = 0
    this.resetSum = 0
    this.resetStamp = 0
  }

  copy(): CounterEntry<Sum> {
    const copy = new CounterEntry<Sum>(this.from, this.last, this.sum, this.rest)
    copy.takeBaseline(this)
    return copy
  }

  takeBaseline(other: CounterEntry<Sum>): void {
    this.resetLast = other.resetLast
    this.resetSum = other.resetSum
    this.resetStamp = other.resetStamp
  }
}

/** An entry as the resetting operation saw it. Its origin is that of `last`. */
export interface CounterReset<Sum extends Amount = Amount> {
  readonly last: Stamp
  readonly from: Stamp
  readonly sum: Sum
}

/** Of one field of a hash, or one member of a sorted set. */
export interface ElementReset<Sum extends Amount = Amount> {
  readonly element: string
  readonly resets: readonly CounterReset<Sum>[]
}

/** Ascending by origin; shared when empty, so never changed in place (entries are). */
export type CounterEntries<Sum extends Amount = Amount> = readonly CounterEntry<Sum>[]

export const noEntries: CounterEntries<never> = []
export const noResets: readonly CounterReset<never>[] = []

export function entryOf<Sum extends Amount>(
  entries: CounterEntries<Sum>,
  origin: Origin,
): CounterEntry<Sum> | undefined {
  for (let i = 0; i < entries.length; i++) if (entries[i]?.origin === origin) return entries[i]
  return undefined
}

const byOrigin = (a: CounterEntry, b: CounterEntry): number => a.origin - b.origin

export function isCounting(entries: CounterEntries): boolean {
  for (let i = 0; i < entries.length; i++) if (entries[i]?.live) return true
  return false
}

export const amountOf = ({ live, partlyReset, sum, resetSum }: CounterEntry): Amount =>
  !live ? 0 : partlyReset ? subtractAmounts(sum, resetSum) : sum

/** Exact, so the order doesn't matter. */
export function total(entries: CounterEntries): Amount {
  let sum: Amount = 0
  for (const entry of entries) sum = addAmounts(sum, amountOf(entry))
  return sum
}

/** What an operation of `remover` that removes this counter ships. */
export function resetsOf<Sum extends Amount>(
  entries: CounterEntries<Sum>,
  remover: Origin,
): readonly CounterReset<Sum>[] {
  const reset = entries.filter((entry) => entry.live && entry.origin !== remover)
  return reset.length === 0 ? noResets : reset.map(({ last, from, sum }) => ({ last, from, sum }))
}

/** What a removal at `stamp` leaves, but for its resets: not what its own origin began before. */
export function withoutOwn<Sum extends Amount>(
  entries: CounterEntries<Sum>,
  stamp: Stamp,
): CounterEntries<Sum> {
  const own = entryOf(entries, originOf(stamp))
  if (own === undefined || own.from >= stamp) return entries
  return entries.length === 1 ? noEntries : entries.filter((entry) => entry !== own)
}

/** Of those elements that have any. */
export function elementResets<Sum extends Amount>(
  elements: Iterable<string>,
  resetsOfElement: (element: string) => readonly CounterReset<Sum>[],
): ElementReset<Sum>[] {
  const all: ElementReset<Sum>[] = []
  for (const element of elements) {
    const resets = resetsOfElement(element)
    if (resets.length > 0) all.push({ element, resets })
  }
  return all
}

/** Of an absent entry: nothing (it has been reset and forgotten). */
export function withReset<Sum extends Amount>(
  entries: CounterEntries<Sum>,
  reset: CounterReset<Sum>,
  stamp: Stamp,
): CounterEntries<Sum> {
  const entry = entryOf(entries, originOf(reset.last))
  if (entry === undefined || reset.last <= entry.resetLast || reset.last < entry.from) return entries
  entry.resetLast = reset.last
  entry.resetSum = reset.sum
  entry.resetStamp = stamp
  return entries
}

/** What `origin` ships to add `amount`: its entry goes on, or a new one starts at `stamp`. */
export function nextIncrement(
  entries: CounterEntries,
  stamp: Stamp,
  amount: Amount,
): { from: Stamp; sum: Amount } {
  const entry = entryOf(entries, originOf(stamp))
  if (entry === undefined || !entry.live) return { from: stamp, sum: amount }
  return { from: entry.from, sum: addAmounts(entry.sum, amount) }
}

export function withIncrement<Sum extends Amount>(
  entries: CounterEntries<Sum>,
  stamp: Stamp,
  from: Stamp,
  sum: Sum,
  rest = 0,
): CounterEntries<Sum> {
  const entry = entryOf(entries, originOf(stamp))
  if (entry === undefined) return [...entries, new CounterEntry<Sum>(from, stamp, sum, rest)].sort(byOrigin)
  if (stamp <= entry.last) return entries
  if (entry.resetLast < from) entry.clearBaseline()
  entry.from = from
  entry.last = stamp
  entry.sum = sum
  entry.rest = rest
  return entries
}

/** An entry that one side lacks and its context covers has been reset there and forgotten. Entries are copied. */
export function mergeEntries<Sum extends Amount>(
  a: CounterEntries<Sum>,
  aContext: VersionVector,
  b: CounterEntries<Sum>,
  bContext: VersionVector,
): CounterEntries<Sum> {
  if (a.length === 0 && b.length === 0) return noEntries
  const merged: CounterEntry<Sum>[] = []
  for (const entry of a) {
    const twin = entryOf(b, entry.origin)
    if (twin !== undefined) merged.push(joined(entry, twin))
    else if (entry.last > (bContext[entry.origin] as number)) merged.push(entry.copy())
  }
  for (const entry of b) {
    const inBoth = entryOf(a, entry.origin) !== undefined
    if (!inBoth && entry.last > (aContext[entry.origin] as number)) merged.push(entry.copy())
  }
  return merged.sort(byOrigin)
}

function joined<Sum extends Amount>(x: CounterEntry<Sum>, y: CounterEntry<Sum>): CounterEntry<Sum> {
  const newer = x.last >= y.last ? x : y
  const merged = new CounterEntry<Sum>(newer.from, newer.last, newer.sum, newer.rest)
  const xWins = x.resetLast !== y.resetLast ? x.resetLast > y.resetLast : x.resetStamp >= y.resetStamp
  const base = xWins ? x : y
  if (base.resetLast >= merged.from) merged.takeBaseline(base)
  return merged
}
