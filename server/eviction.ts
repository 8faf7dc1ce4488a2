/**
 * Deletes keys to make room: each is an ordinary, replicated DEL, as if a client had sent it. State that was dropped here
 * only would come back with the next merge, or count as deleted at the peers without a delete that they could order.
 *
 * Which key goes is judged by samples and a pool of what former samples found, as in Redis.
 */
import type { EvictionPolicy } from '#protocol/frames/memory.ts'
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import type { Clock, Random } from '#runtime/ports.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Transaction } from '#server/store/transaction.ts'
import { EvictionPool } from './evictionPool.ts'

/** Samples in a row that find nothing to evict, before a slice gives up. */
const emptySamplesMax = 64
const frequencyMax = 255

/** Makes a change that no client asked for, and logs it; false: there was nothing to change. */
interface Changes {
  change(write: (transaction: Transaction) => void): boolean
}

export class Eviction {
  evictedKeys = 0
  samples = 5
  readonly #changes: Changes
  readonly #db: Keyspace
  readonly #clock: Clock
  readonly #random: Random
  readonly #pool = new EvictionPool()
  #policy: EvictionPolicy = 'noeviction'

  constructor(changes: Changes, db: Keyspace, clock: Clock, random: Random) {
    this.#changes = changes
    this.#db = db
    this.#clock = clock
    this.#random = random
  }

  get policy(): EvictionPolicy {
    return this.#policy
  }

  set policy(policy: EvictionPolicy) {
    if (policy === this.#policy) return
    this.#policy = policy
    this.#db.accessClock.byFrequency = policy.endsWith('-lfu')
    // The scores were those of the other policy.
    this.#pool.clear()
  }

  /** Whether there is a key that may go. */
  get canEvict(): boolean {
    if (this.#policy === 'noeviction') return false
    return this.#volatileOnly ? this.#db.expiring > 0 : this.#db.size > 0
  }

  get #volatileOnly(): boolean {
    return this.#policy.startsWith('volatile-')
  }

  /** Evicts until no more than so much is used, for at most so long. False: it could not, or not in time. */
  run(targetBytes: number, sliceMs: number): boolean {
    const endMs = this.#clock.monotonicMs() + sliceMs
    let empty = 0
    while (this.#db.usedBytes > targetBytes) {
      if (!this.canEvict || empty >= emptySamplesMax || this.#clock.monotonicMs() >= endMs) return false
      empty = this.#evictSampled() ? 0 : empty + 1
    }
    return true
  }

  /** False: the sample had nothing that may go. */
  #evictSampled(): boolean {
    const pool = this.#pool
    this.#db.sampleKeys(this.#random, this.#sampleSize, this.#volatileOnly, (name, access, expireAtMs) =>
      pool.add(name, this.#score(access, expireAtMs)),
    )
    for (let name = pool.takeBest(); name !== undefined; name = pool.takeBest()) {
      if (this.#evict(name)) return true
    }
    return false
  }

  /** False: much has happened since the key was sampled, and it may not go any more. */
  #evict(name: string): boolean {
    if (this.#volatileOnly && this.#db.expireAtMs(name) === Number.POSITIVE_INFINITY) return false
    const evict = (transaction: Transaction): void => {
      if (transaction.delete(name)) this.#db.events.note(EventClass.evicted, 'evicted', name)
    }
    if (!this.#changes.change(evict)) return false
    this.evictedKeys++
    return true
  }

  /** Chance needs no choice. */
  get #sampleSize(): number {
    return this.#policy.endsWith('-random') ? 1 : this.samples
  }

  #score(access: number, expireAtMs: number): number {
    const { accessClock } = this.#db
    if (this.#policy === 'volatile-ttl') return -expireAtMs
    return accessClock.byFrequency
      ? frequencyMax - accessClock.frequency(access)
      : accessClock.idleSeconds(access)
  }
}
