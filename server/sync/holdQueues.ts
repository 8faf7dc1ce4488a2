/**
 * Records of one channel that can't be delivered yet, by the (slot, origin) that holds them up. Within such a queue they lie
 * in the order of their chain, so only the heads need to be looked at: what is behind a head depends on it.
 *
 * Queues belong to a channel, not to the shard: the channel's feed believes that what it has sent has arrived, and sends it
 * again only when the channel is opened anew. So when a channel ends its queues end with it, and a copy of the same record
 * that another channel has brought is not affected.
 */
import { type Origin, originsMax, type Stamp } from '#protocol/sync/stamp.ts'

export interface HeldRecord {
  readonly bytes: Uint8Array
  readonly origin: Origin
  /** Its first stamp in the slot whose queue it lies in. */
  first: Stamp
  /** Monotonic time of its arrival. */
  readonly sinceMs: number
  /** Waits for the wall clock, not for an operation. */
  ahead: boolean
  /** It patches something, which must be there. */
  readonly patches: boolean
}

/** What a held record costs beside its bytes, measured: two objects and a buffer. */
const overheadBytes = 340
/** Taken heads are cut off the array when they are that many and the greater part of it. */
const takenMax = 64

interface Queue {
  records: HeldRecord[]
  /** Records before it have been taken. */
  at: number
}

export class HoldQueues {
  readonly #queues = new Map<number, Queue>()
  #sizeBytes = 0
  #count = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get count(): number {
    return this.#count
  }

  head(slot: number, origin: Origin): HeldRecord | undefined {
    const queue = this.#queues.get(slot * originsMax + origin)
    return queue?.records[queue.at]
  }

  /** Holds the record in the queue of `slot`, unless it lies there already. */
  add(slot: number, record: HeldRecord): void {
    const key = slot * originsMax + record.origin
    let queue = this.#queues.get(key)
    if (queue === undefined) {
      queue = { records: [], at: 0 }
      this.#queues.set(key, queue)
    }
    // Nearly always it is the last.
    const { records } = queue
    let at = records.length
    while (at > queue.at && (records[at - 1] as HeldRecord).first > record.first) at--
    if (at > queue.at && (records[at - 1] as HeldRecord).first === record.first) return
    records.splice(at, 0, record)
    this.#sizeBytes += record.bytes.length + overheadBytes
    this.#count++
  }

  takeHead(slot: number, origin: Origin): void {
    const key = slot * originsMax + origin
    const queue = this.#queues.get(key)
    const record = queue?.records[queue.at]
    if (queue === undefined || record === undefined) return
    this.#forget(record)
    queue.at++
    if (queue.at === queue.records.length) this.#queues.delete(key)
    else if (queue.at >= takenMax && queue.at * 2 >= queue.records.length) {
      queue.records.splice(0, queue.at)
      queue.at = 0
    }
  }

  /** When the oldest of them came; Infinity: there is none. */
  get oldestMs(): number {
    let oldestMs = Number.POSITIVE_INFINITY
    for (const { sinceMs } of this.records()) oldestMs = Math.min(oldestMs, sinceMs)
    return oldestMs
  }

  /** Whether a record of the origin waits that begins at or before the stamp. */
  has(origin: Origin, stamp: Stamp): boolean {
    if (this.#count === 0) return false
    for (const { records, at } of this.#queues.values()) {
      const head = records[at] as HeldRecord
      if (head.origin === origin && head.first <= stamp) return true
    }
    return false
  }

  /** The heads, with the slot each waits in. */
  *heads(): Generator<[number, HeldRecord]> {
    for (const [key, { records, at }] of this.#queues) {
      yield [Math.floor(key / originsMax), records[at] as HeldRecord]
    }
  }

  *records(): Generator<HeldRecord> {
    for (const { records, at } of this.#queues.values()) yield* records.slice(at)
  }

  /** Drops those of one origin; true when there were any. */
  dropOrigin(origin: Origin): boolean {
    let dropped = false
    for (const [key, { records, at }] of this.#queues) {
      if (key % originsMax !== origin) continue
      for (const record of records.slice(at)) this.#forget(record)
      this.#queues.delete(key)
      dropped = true
    }
    return dropped
  }

  clear(): void {
    this.#queues.clear()
    this.#sizeBytes = 0
    this.#count = 0
  }

  #forget(record: HeldRecord): void {
    this.#sizeBytes -= record.bytes.length + overheadBytes
    this.#count--
  }
}
