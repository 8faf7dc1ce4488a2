/**
 * The wall clock as a shard goes by it: what leaps is not followed before it has been judged.
 *
 * Stamps and expiry go by the wall clock. When it leaps an hour ahead, the clock monitor sees that within a quarter of a second and the gate
 * closes (`control/clock`); but one write before that would push the stamps of the cluster an hour ahead, and keys would expire that have an hour to live.
 * So each reading is compared with the monotonic clock. While both move alike the wall clock is believed. When it leaps, time
 * goes on from what was believed, by the monotonic clock, until the monitor has had its time and the gate is open: it had no objection.
 *
 * A clock that is known to be wrong isn't worth keeping: what it leaps to while the gate is closed is taken at once, unless what is
 * believed is older than the closing.
 */
import type { Clock } from '#runtime/ports.ts'

/** It may leave the monotonic clock by so much between two readings; a time server's slewing is far slower. */
export const leapMs = 50
/** By then the monitor has looked (every 250 ms) and told. */
export const judgedAfterMs = 2_000

export class SteadyClock implements Clock {
  readonly #clock: Clock
  readonly #isGated: () => boolean
  /** Wall clock minus monotonic clock: what is believed, and as it was read last. */
  #believedMs: number
  #readMs: number
  /** Monotonic time of the last leap that is not believed yet; null: there is none. */
  #leaptMs: number | null = null

  /** `isGated`: the clock is known to be wrong, and nothing is written. */
  constructor(clock: Clock, isGated: () => boolean) {
    this.#clock = clock
    this.#isGated = isGated
    this.#readMs = clock.wallMs() - clock.monotonicMs()
    this.#believedMs = this.#readMs
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  wallMs(): number {
    const wallMs = this.#clock.wallMs()
    const nowMs = this.#clock.monotonicMs()
    const offsetMs = wallMs - nowMs
    const leaps = Math.abs(offsetMs - this.#readMs) > leapMs
    this.#readMs = offsetMs
    if (this.#isBelieved(leaps, nowMs)) {
      this.#believedMs = offsetMs
      this.#leaptMs = null
      return wallMs
    }
    if (leaps) this.#leaptMs = nowMs
    return nowMs + this.#believedMs
  }

  #isBelieved(leaps: boolean, nowMs: number): boolean {
    if (this.#leaptMs === null) return !leaps || this.#isGated()
    // It has leapt back.
    if (Math.abs(this.#readMs - this.#believedMs) <= leapMs) return true
    return !leaps && !this.#isGated() && nowMs - this.#leaptMs >= judgedAfterMs
  }
}

export const newSteadyClock = (...of: ConstructorParameters<typeof SteadyClock>): Clock =>
  new SteadyClock(...of)
