/**
 * Sends the deletes of keys whose time has passed: each is an ordinary, replicated DEL. The keyspace says which are due (its
 * own after a second, those of other clusters when these have been silent for long); hidden they are from the first moment.
 * Like all long work it is done in slices.
 */
import type { Clock } from '#runtime/ports.ts'
import type { Execution } from './execution.ts'
import type { Keyspace } from './store/keyspace.ts'

/** Of each tick; the rest waits for the next one. */
const sliceMs = 5
const batchKeys = 32

export class Expiry {
  readonly #execution: Execution
  readonly #db: Keyspace
  readonly #clock: Clock
  expiredKeys = 0

  constructor(execution: Execution, db: Keyspace, clock: Clock) {
    this.#execution = execution
    this.#db = db
    this.#clock = clock
  }

  run(): void {
    const endMs = this.#clock.monotonicMs() + sliceMs
    for (;;) {
      const keys = this.#db.dueExpiries(batchKeys)
      for (const key of keys) {
        this.#execution.change((transaction) => transaction.delete(key))
        this.expiredKeys++
      }
      if (keys.length < batchKeys || this.#clock.monotonicMs() >= endMs) return
    }
  }
}
