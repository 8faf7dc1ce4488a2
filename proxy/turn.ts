/** What gathers bytes during a turn of the event loop and writes them at its end, so that many requests cost one write. */
import type { Timers } from '#runtime/ports.ts'

export interface Flushable {
  flush(): void
}

export class Turn {
  readonly #timers: Timers
  #waiting: Flushable[] = []
  #running: Flushable[] = []
  readonly #run = () => this.#flushAll()

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** Each remembers by itself that it is added already. */
  add(flushable: Flushable): void {
    if (this.#waiting.push(flushable) === 1) this.#timers.atTurnEnd(this.#run)
  }

  #flushAll(): void {
    // What a flush sets free (a client that may be read again) comes into the next turn.
    const running = this.#waiting
    this.#waiting = this.#running
    this.#running = running
    for (let i = 0; i < running.length; i++) (running[i] as Flushable).flush()
    running.length = 0
  }
}
