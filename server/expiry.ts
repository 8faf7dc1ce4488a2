/**
 * Sends the deletes of keys whose time has passed: each is an ordinary, replicated DEL. The keyspace says which are due (its
 * own after a second, those of other clusters when these have been silent for long); hidden they are from the first moment.
 * Like all long work it is done in slices.
 */
import { slotCount } from '#protocol/slots/crc16.ts'
import type { Clock } from '#runtime/ports.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Execution } from './execution.ts'

/** Of each tick; the rest waits for the next one. */
const sliceMs = 5
const batchKeys = 32
/** Looked at for the average of the times to live, once a second: a few slots further each time. */
const sampleSlots = 256
const sampleKeys = 64
/** Like Redis: one sample changes the average by a fiftieth. */
const averageWeight = 50

export class Expiry {
  readonly #execution: Execution
  readonly #db: Keyspace
  readonly #clock: Clock
  expiredKeys = 0
  /** Of the keys that expire, estimated. */
  averageTtlMs = 0
  #sampledSlot = 0

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

  /** Moves the average a little. */
  sample(): void {
    const db = this.#db
    if (db.expiring === 0) {
      this.averageTtlMs = 0
      return
    }
    let count = 0
    let totalMs = 0
    const visit = (key: string): void => {
      const atMs = db.expireAtMs(key) ?? Number.POSITIVE_INFINITY
      if (atMs === Number.POSITIVE_INFINITY) return
      count++
      totalMs += atMs - db.nowMs
    }
    for (let slots = 0; slots < sampleSlots && count < sampleKeys; slots++) {
      this.#sampledSlot = (this.#sampledSlot + 1) % slotCount
      if (db.slotSize(this.#sampledSlot) > 0) db.scan(this.#sampledSlot, 0, sampleKeys, visit)
    }
    if (count === 0) return
    const sampleMs = totalMs / count
    const isFirst = this.averageTtlMs === 0
    this.averageTtlMs = isFirst
      ? sampleMs
      : this.averageTtlMs + (sampleMs - this.averageTtlMs) / averageWeight
  }
}
