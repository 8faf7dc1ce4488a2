/** Slot states that have come are taken in slices. In between they rest four times as long: clients are served then. */
import type { Clock, Timers } from '#runtime/ports.ts'
import type { Intake } from './intake.ts'
import type { LocalShard } from './localShard.ts'
import type { ReplicationVariations } from './syncOptions.ts'

const sliceMs = 2
/** Rests are so many times as long. */
const restFactor = 4

export class StateWork {
  readonly #shard: LocalShard
  readonly #intakes: ReadonlySet<Intake>
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #steps: number
  readonly #pauseMs: number
  readonly #onSlice: () => void
  #isDue = false
  /** The time that the last slice took. */
  #lastMs = 0

  constructor(
    shard: LocalShard,
    intakes: ReadonlySet<Intake>,
    { clock, timers }: { clock: Clock; timers: Timers },
    { workSteps = Number.POSITIVE_INFINITY, workPauseMs = 0 }: ReplicationVariations,
    onSlice: () => void,
  ) {
    this.#shard = shard
    this.#intakes = intakes
    this.#clock = clock
    this.#timers = timers
    this.#steps = workSteps
    this.#pauseMs = workPauseMs
    this.#onSlice = onSlice
  }

  /** To be called when something may have come. */
  soon(): void {
    if (this.#isDue || !this.#isThere) return
    this.#isDue = true
    this.#timers.after(this.#pauseMs + restFactor * this.#lastMs, () => {
      this.#isDue = false
      const startMs = this.#clock.monotonicMs()
      for (let steps = 0; steps < this.#steps && this.#step(); steps++)
        if (this.#clock.monotonicMs() >= startMs + sliceMs) break
      this.#lastMs = this.#clock.monotonicMs() - startMs
      this.#onSlice()
    })
  }

  get #isThere(): boolean {
    if (this.#shard.isMerging) return true
    for (const intake of this.#intakes) if (intake.hasWork) return true
    return false
  }

  /** What has been joined in part comes first: another state would have to wait for it in one go. */
  #step(): boolean {
    if (this.#shard.joinMore()) return true
    for (const intake of this.#intakes) {
      if (!intake.hasWork) continue
      intake.work()
      return true
    }
    return false
  }
}
