/**
 * The score of a sorted set's member: a register of doubles with a counter on top. ZADD writes the register and resets the
 * increments it saw; ZINCRBY adds to the counter, so that `ZADD 10 || ZINCRBY 2` is 12.
 *
 * **Which write shows.** A ZADD with GT or LT has judged by what its cluster saw, and its write carries the tag. If all
 * concurrent writes carry GT the greatest score shows, if all carry LT the least; else the last writer wins.
 *
 * **Sums of doubles** depend on the order they are added in. Only its own cluster adds to a part, and everybody adds the
 * base and then the parts in the order of origins: all replicas have the same bits. A part carries what is to be added at
 * last, its `rest`, so that its cluster shows what sums made one by one, as in Redis, would be. A score is never NaN: where infinities
 * of both signs meet, the one with the greatest stamp shows (of a part: that of its last increment), and nothing is left of
 * an infinite part of which the same infinity has been reset.
 */
import { originOf, type Stamp } from '#protocol/sync/stamp.ts'
import { CountedRegister } from './countedRegister.ts'
import { type CounterEntry, entryOf, isCounting, withIncrement } from './counter.ts'
import type { Siblings } from './register.ts'

/** Adding it to anything, -0 included, changes nothing. */
export const neutral = -0

/** Of a write: under which condition its origin made it. */
export const Tag = { none: 0, greater: 1, less: 2 } as const
export type Tag = (typeof Tag)[keyof typeof Tag]

export class ScoreWrite {
  readonly stamp: Stamp
  readonly score: number
  readonly tag: Tag

  constructor(stamp: Stamp, score: number, tag: Tag) {
    this.stamp = stamp
    this.score = score
    this.tag = tag
  }
}

export class Score extends CountedRegister<ScoreWrite, number> {
  /** undefined: absent. */
  shown(): number | undefined {
    const write = shownWrite(this.siblings)
    if (!isCounting(this.entries)) return write?.score
    let sum = write?.score ?? neutral
    for (const entry of this.entries) sum += partOf(entry)
    for (const entry of this.entries) sum += restOf(entry)
    return Number.isNaN(sum) ? this.#lastInfinity(write) : sum
  }

  #lastInfinity(write: ScoreWrite | undefined): number {
    let last = 0
    let shown = 0
    const consider = (stamp: Stamp, part: number): void => {
      if (Number.isFinite(part) || stamp <= last) return
      last = stamp
      shown = part
    }
    if (write !== undefined) consider(write.stamp, write.score)
    for (const entry of this.entries) consider(entry.last, partOf(entry))
    return shown
  }

  /**
   * What the cluster of `stamp` ships to add `increment`: its running sum, and the rest by which that, rounded in the order
   * above, falls short of what a client computes, `score + increment`.
   */
  nextIncrement(stamp: Stamp, increment: number): { from: Stamp; sum: number; rest: number } {
    const entry = entryOf(this.entries, originOf(stamp))
    // Of an infinite part that has been reset nothing is left to go on from.
    const goesOn = entry?.live === true && !(entry.partlyReset && !Number.isFinite(entry.sum))
    const from = goesOn ? entry.from : stamp
    const sum = goesOn ? sumOf(entry.sum, increment) : increment
    if (this.entries.length === 0) return { from, sum, rest: 0 }
    const wanted = (this.shown() ?? neutral) + increment
    const shown = this.#shownWith(stamp, from, sum, 0)
    if (shown === wanted || Number.isNaN(wanted)) return { from, sum, rest: 0 }
    // An infinity stays what it is, whatever this cluster has added to it.
    if (!Number.isFinite(wanted)) return { from, sum: wanted, rest: 0 }
    const rest = wanted - shown
    return { from, sum, rest: this.#shownWith(stamp, from, sum, rest) === wanted ? rest : 0 }
  }

  #shownWith(stamp: Stamp, from: Stamp, sum: number, rest: number): number {
    const preview = new Score()
    preview.siblings = this.siblings
    const entries = this.entries.map((entry) => entry.copy())
    preview.entries = withIncrement(entries, stamp, from, sum, rest)
    return preview.shown() ?? 0
  }
}

/** The later of opposite infinities stays. */
function sumOf(sum: number, increment: number): number {
  const next = sum + increment
  return Number.isNaN(next) ? increment : next
}

/** What the entry adds to the score. */
export function partOf({ live, partlyReset, sum, resetSum }: CounterEntry<number>): number {
  if (!live) return neutral
  if (!partlyReset) return sum
  const part = sum - resetSum
  return Number.isNaN(part) ? 0 : part
}

/** What rounding takes or gives besides. */
export const restOf = ({ live, partlyReset, rest }: CounterEntry<number>): number =>
  live && !partlyReset && rest !== 0 ? rest : neutral

function shownWrite(writes: Siblings<ScoreWrite>): ScoreWrite | undefined {
  const last = writes.at(-1)
  if (last === undefined || writes.length === 1) return last
  const { tag } = last
  if (tag === Tag.none || writes.some((write) => write.tag !== tag)) return last
  return writes.reduce((shown, write) => {
    const beats = tag === Tag.greater ? write.score >= shown.score : write.score <= shown.score
    return beats ? write : shown
  })
}

/** What is merged with a score that one side doesn't have. */
export const noScore = new Score()
