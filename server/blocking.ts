/**
 * Clients that wait for a key: what BLPOP and its like do when there is nothing for them yet.
 *
 * A command that may block comes in a frame of its own and runs like any other. Either it answers, or it says what it
 * waits for (`Waiting`). From then on its client is here, and leaves in one of four ways:
 *
 *     waiting ──a key of its own has something──▶ served: the command does what it came for
 *        ├─────its time is over──────────────────▶ ended: null
 *        ├─────CLIENT UNBLOCK, or it has gone────▶ ended: null or an error
 *        └─────its link breaks───────────────────▶ forgotten: nobody is left to answer
 *
 * Who takes a client out of here answers it, so each is answered once. A client that was served and blocks again stands
 * last.
 *
 * What changes is only noted when it changes, in the order of each key's first change that has left a value: that is in the middle
 * of a command, a transaction, or an operation of another cluster. `serve` looks at what was noted. It is called before anything else runs
 * and at the end of each turn, so a change is complete when those who wait for it are served, and nobody comes before them.
 * Key after key, they are served in the order in which they began to wait, as long as the key is of their type. Serving is
 * a write like any other: it is logged and replicated, and what it changes is noted too, behind the rest, so that
 * one BLMOVE may feed the next. Each step takes a client out or a key off the list, so it ends.
 *
 * The rules are those of Redis's `handleClientsBlockedOnKeys` (blocked.c), and of "What key is served first?" in the page
 * about BLPOP. What waits is told here only when it can be had: a key of another type wakes nobody, but who waits for the entries
 * of a consumer group, which may be gone.
 */
import type { Clock, Timers } from '#runtime/ports.ts'
import type { Waiting } from '#server/commands/context.ts'
import type { TouchListener } from '#server/store/slotTables.ts'
import type { VisibleType } from '#server/store/views.ts'
import type { Touches } from './touches.ts'

/** Longer ones are beyond what timers of the system take, so they are set again. */
const timerMsMax = 2 ** 31 - 1

export interface BlockedClient {
  readonly waiting: Waiting
  /** `key` is of the type it waits for. False: there is nothing for it after all; true: it has been answered. */
  serve(key: string): boolean
  /** Answers that its time is over. */
  timeOut(): void
}

interface Place {
  /** Monotonic; Infinity: never. */
  readonly untilMs: number
  cancelTimer: () => void
}

export class Blocking {
  clientsMax: number
  readonly #typeOf: (key: string) => VisibleType
  readonly #touches: Touches
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #places = new Map<BlockedClient, Place>()
  /** By key, in the order in which they came. */
  readonly #queues = new Map<string, Set<BlockedClient>>()
  /** Waited for by someone, and changed since they were looked at. */
  readonly #changed = new Set<string>()
  readonly #onTouched: TouchListener = (key, isLive) => {
    const queue = this.#queues.get(key)
    if (queue !== undefined && (isLive || waitsForAny(queue))) this.#changed.add(key)
  }

  constructor(
    typeOf: (key: string) => VisibleType,
    touches: Touches,
    { clock, timers }: { clock: Clock; timers: Timers },
    clientsMax: number,
  ) {
    this.#typeOf = typeOf
    this.#touches = touches
    this.#clock = clock
    this.#timers = timers
    this.clientsMax = clientsMax
  }

  get count(): number {
    return this.#places.size
  }

  /** Of those, how many wait for ever. */
  get countForEver(): number {
    let count = 0
    for (const { untilMs } of this.#places.values()) if (untilMs === Number.POSITIVE_INFINITY) count++
    return count
  }

  /** Keys that somebody waits for. */
  get keyCount(): number {
    return this.#queues.size
  }

  /** Why one more can't wait, `others` being those that wait for something else than keys; null: it can. */
  refusal(others: number): string | null {
    const count = this.count + others
    if (count < this.clientsMax) return null
    return `ERR ${count} clients are blocked at this shard already, at most ${this.clientsMax} may be (blocked_clients_max)`
  }

  add(client: BlockedClient): void {
    const { keys, timeoutMs } = client.waiting
    if (this.count === 0) this.#touches.listen(this.#onTouched)
    for (const key of keys) {
      const queue = this.#queues.get(key)
      if (queue === undefined) this.#queues.set(key, new Set([client]))
      else queue.add(client)
    }
    const untilMs = timeoutMs === 0 ? Number.POSITIVE_INFINITY : this.#clock.monotonicMs() + timeoutMs
    const place = { untilMs, cancelTimer: () => {} }
    this.#places.set(client, place)
    if (timeoutMs > 0) this.#setTimer(client, place, timeoutMs)
  }

  /** False: it does not wait any more. */
  remove(client: BlockedClient): boolean {
    const place = this.#places.get(client)
    if (place === undefined) return false
    place.cancelTimer()
    this.#places.delete(client)
    for (const key of client.waiting.keys) {
      const queue = this.#queues.get(key)
      queue?.delete(client)
      if (queue?.size === 0) this.#queues.delete(key)
    }
    if (this.count === 0) {
      this.#touches.mute(this.#onTouched)
      this.#changed.clear()
    }
    return true
  }

  /** Whether `serve` has something to look at. */
  get isDue(): boolean {
    return this.#changed.size > 0
  }

  serve(): void {
    // What serving changes is visited, too.
    for (const key of this.#changed) {
      this.#changed.delete(key)
      this.#serveKey(key)
    }
  }

  /** Nothing is called back any more. */
  stop(): void {
    for (const { cancelTimer } of this.#places.values()) cancelTimer()
  }

  #serveKey(key: string): void {
    for (const client of this.#queues.get(key) ?? []) {
      const type = this.#typeOf(key)
      const wanted = client.waiting.type
      if ((wanted === 'any' || (type !== 'none' && type === wanted)) && client.serve(key)) this.remove(client)
    }
  }

  #setTimer(client: BlockedClient, place: Place, leftMs: number): void {
    place.cancelTimer = this.#timers.after(Math.min(leftMs, timerMsMax), () => {
      const nowLeftMs = place.untilMs - this.#clock.monotonicMs()
      if (nowLeftMs > 0) this.#setTimer(client, place, nowLeftMs)
      else if (this.remove(client)) client.timeOut()
    })
  }
}

/** Whether somebody is to be told that the key is gone. */
function waitsForAny(queue: ReadonlySet<BlockedClient>): boolean {
  for (const { waiting } of queue) if (waiting.type === 'any') return true
  return false
}
