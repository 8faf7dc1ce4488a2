/**
 * How long commands take, for INFO, LATENCY and SLOWLOG. A look at the clock costs a tenth of a GET, so calls of one command in a row
 * are timed together, across requests and clients, and the clock is read when another command comes or the step ends.
 *
 * What may take long is timed alone: a command whose time is not constant, and one that has written a large reply. So when a run of
 * several took too long it was not for what one of them did but for a pause (the collector, the system). It is told
 * of the last of them, as Redis tells it of whichever command a pause falls on, with the time above what the others usually
 * take. When `slowerThanUs` is so small that this would not do, each is timed alone.
 */
import type { LatencyLog } from '#protocol/frames/latency.ts'
import { timesEach } from '#protocol/frames/slowlog.ts'
import type { Clock } from '#runtime/ports.ts'
import type { Runnable } from './runnables.ts'

/** Others wait for the step meanwhile. */
export const longStepMs = 20
/** Copying so much is work of its own. */
const largeReplyBytes = 64 * 1024

/** Who is told of slow commands; `isCurrent`: the last one is what runs now, else the one before. */
export type OnSlow = (durationUs: number, isCurrent: boolean) => void

export class CommandTiming {
  readonly latency: LatencyLog
  readonly #clock: Clock
  readonly #onSlow: OnSlow
  #slowerThanUs = -1
  /** A run that takes less is nothing to tell of. */
  #tellFromMs = Number.POSITIVE_INFINITY
  /** A reply of so many bytes ends the run; 0: any does. */
  #endingReplyBytes = largeReplyBytes
  #isTracking = true
  #running: Runnable | null = null
  /** When the run began, and how many calls of its command there had been. */
  #beganMs = 0
  #callsBefore = 0
  /** Of this step, as far as it was looked at. */
  #stepMs = 0

  constructor(clock: Clock, latency: LatencyLog, onSlow: OnSlow) {
    this.#clock = clock
    this.latency = latency
    this.#onSlow = onSlow
  }

  /** `slowerThanUs` -1: nothing is slow. */
  configure(slowerThanUs: number, latencyThresholdMs: number, isTracking: boolean): void {
    this.end()
    this.#slowerThanUs = slowerThanUs
    this.latency.thresholdMs = latencyThresholdMs
    this.#isTracking = isTracking
    this.#endingReplyBytes = timesEach(slowerThanUs) ? 0 : largeReplyBytes
    this.#tellFromMs = Math.min(
      slowerThanUs < 0 ? Number.POSITIVE_INFINITY : slowerThanUs / 1000,
      latencyThresholdMs === 0 ? Number.POSITIVE_INFINITY : latencyThresholdMs,
    )
  }

  /** A chunk of requests, or what else is run in one go, begins. */
  beginStep(): void {
    this.#stepMs = 0
  }

  /** What may take long has taken so much of this step. */
  get stepMs(): number {
    return this.#stepMs
  }

  /** What may take long has taken long. */
  get isStepLong(): boolean {
    return this.#stepMs >= longStepMs
  }

  /** A command begins. */
  begin(runnable: Runnable): void {
    if (runnable !== this.#running) this.#look(runnable, false)
  }

  /** It has written a reply of so many bytes. */
  done(runnable: Runnable, replyBytes: number): void {
    if (runnable.isTimedAlone || replyBytes >= this.#endingReplyBytes) this.#look(null, true)
  }

  /** What comes next is not the last command's doing. */
  end(): void {
    if (this.#running !== null) this.#look(null, true)
  }

  /** Time up to now goes to what was running, from now on to `next`. */
  #look(next: Runnable | null, isCurrent: boolean): void {
    const nowMs = this.#clock.monotonicMs()
    const running = this.#running
    if (running !== null) {
      this.#stepMs += nowMs - this.#beganMs
      this.#take(running, nowMs - this.#beganMs, isCurrent)
    }
    this.#running = next
    this.#beganMs = nowMs
    if (next !== null) this.#callsBefore = next.calls
  }

  #take(runnable: Runnable, elapsedMs: number, isCurrent: boolean): void {
    // A command that waits is run without being counted as called.
    const calls = Math.max(1, runnable.calls - this.#callsBefore)
    const earlier = runnable.calls - calls
    const usualMs = earlier > 0 ? runnable.microseconds / 1000 / earlier : elapsedMs / calls
    runnable.microseconds += elapsedMs * 1000
    if (this.#isTracking) runnable.durations.add(elapsedMs / calls, calls)
    if (elapsedMs < this.#tellFromMs) return
    const durationMs = Math.max(0, elapsedMs - (calls - 1) * usualMs)
    this.latency.note(
      runnable.spec.row.flags.includes('fast') ? 'fast-command' : 'command',
      durationMs,
      this.#clock.wallMs(),
    )
    const durationUs = Math.round(durationMs * 1000)
    if (this.#slowerThanUs >= 0 && durationUs >= this.#slowerThanUs) this.#onSlow(durationUs, isCurrent)
  }
}
