/**
 * A stamp is one 53-bit integer that is at once an operation's unique name (dot), its hybrid logical time, and its
 * tie-break: `((ms since 2025-01-01) * 512 + counter) * 8 + (8 - clusterId)`. Stamps compare with `<`; on an equal time
 * the smaller cluster id is the greater stamp and wins. 0 means "none".
 *
 * Hybrid logical clocks: Kulkarni et al., "Logical Physical Clocks" (2014). More than 512 operations in a millisecond run
 * ahead into the next ones, which is harmless: the clock only has to be close to, and never behind, what was seen.
 * All arithmetic is on doubles: bit operators would truncate to 32 bits.
 */
export type Stamp = number

/** 1..8, unique among the members of a database. */
export type ClusterId = number

/** A cluster's place in vectors: `8 - clusterId`, 0..7. */
export type Origin = number

export const originsMax = 8
export const stampEpochMs = Date.UTC(2025, 0, 1)
/** The difference between two consecutive stamps of one cluster. */
export const stampStep = originsMax
const countersPerMs = 512

/** The remainder by subtraction, which is exact here: `%` on doubles beyond 32 bits is a call of the C library. */
export const originOf = (stamp: Stamp): Origin => stamp - Math.floor(stamp / originsMax) * originsMax
export const originOfCluster = (id: ClusterId): Origin => originsMax - id
export const clusterOfOrigin = (origin: Origin): ClusterId => originsMax - origin
export const stampWallMs = (stamp: Stamp): number =>
  Math.floor(stamp / (countersPerMs * originsMax)) + stampEpochMs

/** The smallest stamp of `origin` whose time is `wallMs`. */
export const stampAt = (wallMs: number, origin: Origin): Stamp =>
  Math.max(0, Math.floor(wallMs) - stampEpochMs) * countersPerMs * originsMax + origin

/** Time without the tie-break, for clocks. */
const ticksOf = (stamp: Stamp): number => Math.floor(stamp / originsMax)

/** The clock of one shard of one cluster. Every stamp it gives is greater than all it gave or was shown before. */
export class StampClock {
  readonly origin: Origin
  #ticks = 0

  constructor(origin: Origin) {
    this.origin = origin
  }

  /** Greater than every stamp given so far, than `seen`, and not behind the wall clock. Takes `count` consecutive stamps and returns the first. */
  next(wallMs: number, seen: Stamp, count = 1): Stamp {
    const first = Math.max(
      this.#ticks + 1,
      ticksOf(seen) + 1,
      Math.max(0, Math.floor(wallMs) - stampEpochMs) * countersPerMs,
    )
    this.#ticks = first + count - 1
    return first * originsMax + this.origin
  }

  /** Never gives a stamp at or below this one again. */
  raise(stamp: Stamp): void {
    this.#ticks = Math.max(this.#ticks, ticksOf(stamp))
  }

  /** The last stamp given (or raised to). */
  get last(): Stamp {
    return this.#ticks * originsMax + this.origin
  }
}
