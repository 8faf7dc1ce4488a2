/**
 * The memory limit of a shard. What counts is what keys and values take, with what finds them; not the log's window in
 * memory, nor what links have not sent yet, which have limits of their own (as in Redis).
 *
 *     above 80 %   keys are evicted in the background, if the policy says so
 *     above 90 %   and between all turns, not only at each tick
 *     from 95 %    commands that need memory evict first, and are refused when there is nothing to evict; what is left
 *                  is a reserve for the operations of peers, which nobody can refuse
 *     from 100 %   they are refused when eviction is late, too; and peers are given no more credit until there is room.
 *                  What they have sent already is still applied
 *
 * A shard can't hold more than its arena addresses (16 GiB of keys up to 8 KiB), limit or not: near there it is as from 100 %.
 *
 * Eviction is cut into slices. A slice that a command has to wait for ends as soon as there is room again; when one does
 * not get there in time it is the last of its turn, so that many commands can't hold the turn up one after another.
 */
import type { MemorySettings } from '#protocol/frames/memory.ts'
import { errors } from '#protocol/resp/errors.ts'
import type { Logger } from '#runtime/ports.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Eviction } from './eviction.ts'

/** Parts of the limit; see above. */
const evictFrom = 0.8
const urgentFrom = 0.9
const refuseFrom = 0.95
const pauseFrom = 1
/** The intake goes on from here down, so that it doesn't stop and go with each operation. */
const resumeFrom = 0.98
const evictionSliceMs = 5

export class Memory {
  settings: MemorySettings
  /** The greatest `totalBytes` that was seen. */
  peakBytes = 0
  /** Peers are slowed down. */
  intakePaused = false
  readonly #db: Keyspace
  readonly #eviction: Eviction
  readonly #otherBytes: () => number
  readonly #shardCount: number
  readonly #logger: Logger
  /** Of this shard. */
  #limitBytes = Number.POSITIVE_INFINITY
  #refuseFromBytes = Number.POSITIVE_INFINITY
  /** As far as refs go. */
  #isFull = false
  /** In this turn. */
  #sliceWasShort = false

  constructor(
    db: Keyspace,
    eviction: Eviction,
    /** What the process takes besides: before it had data, and for the log's window. */
    otherBytes: () => number,
    shardCount: number,
    settings: MemorySettings,
    logger: Logger,
  ) {
    this.#db = db
    this.#eviction = eviction
    this.#otherBytes = otherBytes
    this.#shardCount = shardCount
    this.#logger = logger
    this.settings = settings
    this.configure(settings)
  }

  /** What the process should take: Redis's `used_memory`. */
  get totalBytes(): number {
    return this.#db.usedBytes + this.#otherBytes()
  }

  /** What this shard may hold; without a limit what it holds. */
  get sizeBytes(): number {
    return Number.isFinite(this.#limitBytes) ? this.#limitBytes : this.#db.usedBytes
  }

  get evictedKeys(): number {
    return this.#eviction.evictedKeys
  }

  resetStats(): void {
    this.#eviction.evictedKeys = 0
  }

  configure(settings: MemorySettings): void {
    this.settings = settings
    const { memorySizeBytes, evictionPolicy, evictionSamples } = settings
    this.#limitBytes = memorySizeBytes === 0 ? Number.POSITIVE_INFINITY : memorySizeBytes / this.#shardCount
    this.#refuseFromBytes = this.#limitBytes * refuseFrom
    this.#eviction.policy = evictionPolicy
    this.#eviction.samples = evictionSamples
    this.#sliceWasShort = false
  }

  /** Before a command that may need memory: makes room, or says why the command is refused. Only while writes are taken. */
  makeRoom(): string | null {
    if (this.#isFull) return errors.outOfMemory
    const targetBytes = this.#refuseFromBytes
    if (this.#db.usedBytes < targetBytes) return null
    if (!this.#eviction.canEvict) return errors.outOfMemory
    // One byte less: at the line there is no room.
    if (!this.#sliceWasShort) this.#sliceWasShort = !this.#eviction.run(targetBytes - 1, evictionSliceMs)
    return this.#db.usedBytes < (this.#eviction.canEvict ? this.#limitBytes : targetBytes)
      ? null
      : errors.outOfMemory
  }

  /** One slice in the background, while writes are taken. */
  evict(): void {
    this.#eviction.run(this.#limitBytes * evictFrom, evictionSliceMs)
  }

  /** Whether another slice should follow soon. */
  get isUrgent(): boolean {
    return this.#db.usedBytes > this.#limitBytes * urgentFrom && this.#eviction.canEvict
  }

  /** At the end of each turn. */
  judge(): void {
    this.#sliceWasShort = false
    const { usedBytes } = this.#db
    this.peakBytes = Math.max(this.peakBytes, this.totalBytes)
    const line = this.intakePaused ? resumeFrom : pauseFrom
    this.#noteFull(this.#db.isNearlyFull)
    const pauses = this.#isFull || usedBytes >= this.#limitBytes * line
    if (pauses === this.intakePaused) return
    this.intakePaused = pauses
    const facts = { usedBytes, memorySizeBytes: this.settings.memorySizeBytes }
    if (pauses) this.#logger.warn(facts, 'the memory limit is reached: operations of peers wait')
    else this.#logger.info(facts, 'there is memory again: operations of peers are taken')
  }

  #noteFull(isFull: boolean): void {
    if (isFull && !this.#isFull)
      this.#logger.error(
        { usedBytes: this.#db.usedBytes },
        'this shard holds as much as one shard can: writes that need memory are refused; delete keys, or use more shards',
      )
    this.#isFull = isFull
  }
}
