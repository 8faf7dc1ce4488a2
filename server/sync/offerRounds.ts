/** With causal consistency, peers are told now and then of what has come from others (`offers.ts`). */
import type { Timers } from '#runtime/ports.ts'
import type { Feed } from './feed.ts'
import type { LocalLog } from './localShard.ts'

/** An operation is offered to peers when it has been here for so long: most have come there by then. */
const offerMs = 20

export class OfferRounds {
  readonly #log: LocalLog
  readonly #timers: Timers
  readonly #feeds: ReadonlySet<Feed>
  #wanted = false
  #running = false

  constructor(log: LocalLog, timers: Timers, feeds: ReadonlySet<Feed>) {
    this.#log = log
    this.#timers = timers
    this.#feeds = feeds
  }

  set wanted(wanted: boolean) {
    this.#wanted = wanted
    if (wanted && !this.#running) this.#run()
  }

  /** What has come until now is offered the next time. */
  #run(): void {
    this.#running = true
    const { end } = this.#log
    this.#timers.after(offerMs, () => {
      this.#running = false
      if (!this.#wanted) return
      for (const feed of this.#feeds) feed.offer(end)
      this.#run()
    })
  }
}
