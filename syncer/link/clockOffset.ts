/**
 * A peer's clock against ours, from the four timestamps of a ping and its pong. Of the latest samples the one with the
 * shortest round trip counts: its error, at most half of the round trip, is the smallest (the clock filter of RFC 5905,
 * section 10). A sample during which our wall clock stepped is dropped, and so are those from before the step.
 */
export const samplesKept = 8
/** Our wall clock and our monotonic clock may disagree so much over one ping. */
const stepMs = 20

export interface ClockOffset {
  /** The peer's clock minus ours. */
  offsetMs: number
  /** The round trip, without the time in the peer. */
  delayMs: number
}

export interface Probe {
  /** Our wall clock at departure, and what our monotonic clock then said. */
  t1: number
  sentMs: number
}

export class ClockOffsets {
  readonly #samples: ClockOffset[] = []
  #next = 0
  /** Our wall clock minus our monotonic clock, at the last sample. */
  #baseMs = 0

  /** The answer to `probe` has come. Returns whether it was of use. */
  add(probe: Probe, t2: number, t3: number, t4: number, receivedMs: number): boolean {
    const elapsedMs = receivedMs - probe.sentMs
    const baseMs = t4 - receivedMs
    if (Math.abs(baseMs - this.#baseMs) > stepMs) this.clear()
    this.#baseMs = baseMs
    if (Math.abs(t4 - probe.t1 - elapsedMs) > stepMs) return false
    const delayMs = elapsedMs - (t3 - t2)
    // A negative time inside the peer, or one longer than the whole trip, is a step of its clock or a lie.
    if (t3 < t2 || delayMs < -stepMs) return false
    this.#samples[this.#next] = {
      offsetMs: (t2 - probe.t1 + (t3 - t4)) / 2,
      delayMs: Math.max(0, delayMs),
    }
    this.#next = (this.#next + 1) % samplesKept
    return true
  }

  /** The best of the latest samples. */
  get best(): ClockOffset | null {
    let best: ClockOffset | null = null
    for (const sample of this.#samples) if (best === null || sample.delayMs < best.delayMs) best = sample
    return best
  }

  clear(): void {
    this.#samples.length = 0
    this.#next = 0
  }
}
