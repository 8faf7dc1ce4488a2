/**
 * Slot states are taken from one channel at a time: several at once would only need more memory. Of those that have some the nearest comes
 * first, by the time that it took to answer.
 *
 * A shard that gets all its data from others (it lost it, or its cluster joins) is owed everything by everyone. So it waits a moment until all
 * have answered, takes the states of the nearest, and then asks the next what is still missing: mostly that is nothing, or a little of
 * the log. When a channel ends, the next goes on with what it has not brought.
 */

/** A channel that brings states. */
export interface StateSource {
  /** Between the latest subscribe and its answer. */
  readonly roundTripMs: number
  /** How many states had been joined here, of whatever channel, when it was asked last. */
  readonly joinedBefore: number
  sendStates(): void
  subscribe(): void
}

export interface StateTurnsHost {
  readonly nowMs: number
  /** Everything comes from others. */
  readonly stale: boolean
  /** All members have said what they have. */
  readonly allAnswered: boolean
  /** So many slot states have been joined here since the start. */
  readonly joinedStates: number
}

/** Who has not answered by then, after the first, is not waited for. */
export const answersAwaitedMs = 1_000

export class StateTurns {
  readonly #host: StateTurnsHost
  readonly #waiting = new Set<StateSource>()
  #sending: StateSource | null = null
  /** When the first of those that wait came. */
  #sinceMs = 0

  constructor(host: StateTurnsHost) {
    this.#host = host
  }

  due(source: StateSource): void {
    if (this.#waiting.size === 0) this.#sinceMs = this.#host.nowMs
    this.#waiting.add(source)
    this.next()
  }

  end(source: StateSource): void {
    this.#waiting.delete(source)
    if (this.#sending === source) this.#sending = null
    this.next()
  }

  /** To be called when time has passed, or one more has answered. */
  next(): void {
    while (this.#sending === null && this.#mayBegin) {
      const nearest = [...this.#waiting].reduce((one, other) =>
        other.roundTripMs < one.roundTripMs ? other : one,
      )
      this.#waiting.delete(nearest)
      if (this.#host.stale && nearest.joinedBefore < this.#host.joinedStates) nearest.subscribe()
      else {
        this.#sending = nearest
        nearest.sendStates()
      }
    }
  }

  get #mayBegin(): boolean {
    if (this.#waiting.size === 0) return false
    const host = this.#host
    return !host.stale || host.allAnswered || host.nowMs - this.#sinceMs >= answersAwaitedMs
  }
}
