/**
 * Sends the deletes of keys whose time has passed: each is an ordinary, replicated DEL, and those of a slot share a record.
 * The keyspace says which are due (its own after a second, those of other clusters when these have been silent for long);
 * hidden they are from the first moment. Like all long work it is done in slices. While more is to be done than one slice
 * holds, it takes about a quarter of the time, as Redis's active expire cycle does.
 */
import { slotOfKey } from '#protocol/slots/crc16.ts'
import type { Clock, Random } from '#runtime/ports.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Transaction } from '#server/store/transaction.ts'
import type { Execution } from './execution.ts'

/** Short against what a client notices: its command may have to wait for a slice. */
const sliceMs = 4
/** From the end of a slice to the next, when there is more to do. */
export const expiryRestMs = 3 * sliceMs
const batchKeys = 64
/** A record takes no further key when it is as large: resets of a large hash's counters can make it so. */
const recordBytesMax = 64 * 1024
/** Looked at for the average of the times to live, once a second. */
const sampleKeys = 64
/** Like Redis: one sample changes the average by a fiftieth. */
const averageWeight = 50

export class Expiry {
  readonly #execution: Execution
  readonly #db: Keyspace
  readonly #clock: Clock
  readonly #random: Random
  expiredKeys = 0
  /** Of the keys that expire, estimated. */
  averageTtlMs = 0
  /** A hash has more fields to delete than one step takes. */
  #isUnderWay = false

  constructor(execution: Execution, db: Keyspace, clock: Clock, random: Random) {
    this.#execution = execution
    this.#db = db
    this.#clock = clock
    this.#random = random
  }

  /** Works for one slice; true: there is more to do. `mayWrite`: false while writes are refused. */
  run(mayWrite: boolean): boolean {
    const endMs = this.#clock.monotonicMs() + sliceMs
    for (;;) {
      if (mayWrite) this.#deleteDue()
      const more = this.#db.tidyExpiries() || (mayWrite && (this.#db.hasDueExpiries || this.#isUnderWay))
      if (!more || this.#clock.monotonicMs() >= endMs) return more
    }
  }

  #deleteDue(): void {
    const keys = this.#db.dueExpiries(batchKeys)
    this.#isUnderWay = false
    for (let at = 0; at < keys.length; ) at = this.#deleteInSlot(keys, at)
  }

  /** Deletes the keys from `start` on that are of one slot; returns where the next begin. */
  #deleteInSlot(keys: readonly string[], start: number): number {
    const slot = slotOfKey(keys[start] as string)
    let at = start
    this.#execution.change((transaction) => {
      do this.#deleteKey(transaction, keys[at++] as string)
      while (
        at < keys.length &&
        slotOfKey(keys[at] as string) === slot &&
        transaction.effectsBytes < recordBytesMax
      )
    })
    return at
  }

  #deleteKey(transaction: Transaction, key: string): void {
    const keysBefore = this.#db.size
    if (transaction.deleteDue(key) > 0) this.#isUnderWay = true
    this.expiredKeys += keysBefore - this.#db.size
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
    db.sampleKeys(this.#random, sampleKeys, true, (_name, _access, atMs) => {
      count++
      totalMs += atMs - db.nowMs
    })
    if (count === 0) return
    const sampleMs = totalMs / count
    const isFirst = this.averageTtlMs === 0
    this.averageTtlMs = isFirst
      ? sampleMs
      : this.averageTtlMs + (sampleMs - this.averageTtlMs) / averageWeight
  }
}
