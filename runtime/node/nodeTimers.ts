/**
 * Timers of the event loop. All that wants to run at the turn's end shares one `setImmediate`, which Node runs after the
 * sockets that had something to read. What is asked for while it runs runs in the same pass, so a reply that waits for a
 * write that waits for a batch leaves in one turn; after `passesMax` passes the sockets get their chance again.
 */
import type { Timers } from '#runtime/ports.ts'

const passesMax = 8

export class NodeTimers implements Timers {
  #ending: (() => void)[] = []
  #spare: (() => void)[] = []
  #scheduled = false

  after(delayMs: number, run: () => void): () => void {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  }

  atTurnEnd(run: () => void): void {
    this.#ending.push(run)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#endTurn)
  }

  readonly #endTurn = (): void => {
    for (let pass = 0; pass < passesMax && this.#ending.length > 0; pass++) {
      const ending = this.#ending
      this.#ending = this.#spare
      for (const run of ending) run()
      ending.length = 0
      this.#spare = ending
    }
    this.#scheduled = false
    if (this.#ending.length > 0) this.#schedule()
  }
}
