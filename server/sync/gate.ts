/**
 * The causal gate: a remote record is applied exactly once, whole, and only when everything it depends on has been.
 *
 * Every part of a record names its origin's previous stamp in the slot and what the origin had applied there (its context).
 * With the slot's version vector VV a part is
 *
 *     covered     last <= VV[origin]       it has been applied, as a record or within a slot state
 *     met         context <= VV            (the own entry of the context is `previous`)
 *     ahead       its stamp lies further in the future than a sane clock could be
 *
 * and a record is applied when each part is covered or met, none ahead; covered parts are left out (rule A17: a slot state may
 * have brought some slots of a transaction before the others). Nothing else decides: not the channel, not the order of
 * arrival, not the sender. That is why duplicates, reconnects, several paths and relays are harmless, and why deletes
 * need no tombstones: an operation that saw a delete can't come before it.
 *
 * One kind of part can't be applied even then: one that patches a text which has been overwritten or deleted here by what its origin had
 * not seen. Nothing that is still to come changes that, so the sender is asked for the state of the slot at once. It has applied the
 * record, so its state covers it: what is held is a duplicate then.
 *
 * What can't be applied is held at the first part in its way. A hold that lasts means that the dependency doesn't come by
 * itself (its own cluster is cut off from us): the sender has it, so it is asked for it. When holds need too much memory they
 * are dropped, and the states of the slots of what was dropped are asked for.
 */

import { type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { originsMax, type Stamp, stampAt } from '#protocol/sync/stamp.ts'
import { includes, raiseTo, type VersionVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'
import type { HeldRecord, HoldQueues } from './holdQueues.ts'
import type { LocalShard } from './localShard.ts'

/** A channel as the gate sees it. */
export interface HoldSource {
  readonly held: HoldQueues
  /** Asks the sender for what is missing in the slot, null: for its state, unless it has been asked just now. */
  need(slot: number, wanted: VersionVector | null): void
}

/** Whether a part may be applied to a slot with this vector. */
export type DeliveryRule = (part: RecordPart, vector: VersionVector) => boolean

export const causalDelivery: DeliveryRule = (part, vector) => includes(vector, part.context)

export interface GateLimits {
  holdQueueBytesMax: number
  holdMs: number
  futureHoldMs: number
}

/** The first part in the way of a record. */
interface Obstacle {
  /** -1: none. */
  readonly index: number
  /** Only the state of its slot helps. */
  readonly lacksBase: boolean
}

const nothingInTheWay: Obstacle = { index: -1, lacksBase: false }

export class Gate {
  readonly #shard: LocalShard
  limits: GateLimits
  readonly #met: DeliveryRule
  readonly #sources = new Set<HoldSource>()
  /** Of held records; the one of an intake is busy with what it has just read. */
  readonly #reader = new RecordReader()
  /** Slots whose vector has risen and whose queues haven't been looked at since. */
  readonly #risen: number[] = []
  /** Stamps above it are ahead of time. */
  #horizon: Stamp = 0
  /** Counters for INFO. */
  applied = 0
  duplicates = 0
  /** Records that had to wait. */
  holds = 0
  overflows = 0

  constructor(shard: LocalShard, limits: GateLimits, met: DeliveryRule = causalDelivery) {
    this.#shard = shard
    this.limits = limits
    this.#met = met
  }

  get heldBytes(): number {
    let sizeBytes = 0
    for (const source of this.#sources) sizeBytes += source.held.sizeBytes
    return sizeBytes
  }

  get heldCount(): number {
    let count = 0
    for (const source of this.#sources) count += source.held.count
    return count
  }

  open(source: HoldSource): void {
    this.#sources.add(source)
  }

  close(source: HoldSource): void {
    source.held.clear()
    this.#sources.delete(source)
  }

  /** To be called when time has passed: `nowMs` monotonic, `wallMs` the wall clock. */
  tick(nowMs: number, wallMs: number): void {
    this.#horizon = stampAt(wallMs + this.limits.futureHoldMs, originsMax - 1)
    for (const source of this.#sources) {
      if (source.held.count === 0) continue
      const needed = new Map<number, VersionVector>()
      for (const [slot, record] of source.held.heads()) {
        if (record.ahead) this.#risen.push(slot)
        else if (nowMs - record.sinceMs >= this.limits.holdMs) this.#addContext(needed, slot, record)
      }
      for (const [slot, wanted] of needed) {
        // What has all that it waits for lacks what it patches.
        const hasAll = includes(this.#shard.vectors.of(slot), wanted)
        source.need(slot, hasAll ? null : wanted)
      }
    }
    this.#settle()
  }

  /** What the held record waits for in the slot: all that its origin had applied there. */
  #addContext(needed: Map<number, VersionVector>, slot: number, { bytes }: HeldRecord): void {
    const reader = this.#reader
    reader.read(bytes, 0, bytes.length)
    const part = reader.parts.slice(0, reader.partCount).find((one) => one.slot === slot)
    if (part === undefined) return
    const wanted = needed.get(slot)
    if (wanted === undefined) needed.set(slot, part.context.slice())
    else raiseTo(wanted, part.context)
  }

  /** Whether what bears this label comes from a clock that is too far ahead. */
  isAhead(label: VersionVector): boolean {
    return label.some((stamp) => stamp > this.#horizon)
  }

  /**
   * Takes the record that `reader` has just read from [start, end) of `bytes`: applies it, holds a copy of it, or drops it as
   * a duplicate. Throws `FormatError` when its parts contradict what is applied or can't be decoded.
   */
  offer(
    source: HoldSource,
    reader: RecordReader,
    bytes: Uint8Array,
    start: number,
    end: number,
    nowMs: number,
  ): void {
    if (this.#isCovered(reader)) {
      this.duplicates++
      return
    }
    const patches = this.#check(reader, bytes)
    const obstacle = this.#obstacle(reader, patches, bytes)
    if (obstacle !== nothingInTheWay) {
      this.holds++
      this.#hold(source, reader, obstacle, copyOf(bytes, start, end), nowMs, patches)
      this.#enforceLimit()
      return
    }
    this.#apply(reader, bytes, start, end)
    this.#settle()
  }

  /** The vector of the slot was raised by a merge: what waited for that may go on. */
  risen(slot: number): void {
    this.#risen.push(slot)
    this.#settle()
  }

  #isCovered(reader: RecordReader): boolean {
    for (let i = 0; i < reader.partCount; i++) {
      const { slot, last } = reader.parts[i] as RecordPart
      if (!this.#shard.vectors.covers(slot, last)) return false
    }
    return true
  }

  /** Before anything of a record is applied or held all of it must be sound. True: it patches something. */
  #check(reader: RecordReader, bytes: Uint8Array): boolean {
    const { vectors } = this.#shard
    let patches = false
    if (reader.partCount > 1) checkTogether(reader)
    for (let i = 0; i < reader.partCount; i++) {
      const part = reader.parts[i] as RecordPart
      if (vectors.covers(part.slot, part.last)) continue
      if (vectors.covers(part.slot, part.first))
        throw new FormatError(`half of an operation in slot ${part.slot} has been applied`)
      patches = this.#shard.check(part, bytes) || patches
    }
    return patches
  }

  #obstacle(reader: RecordReader, patches: boolean, bytes: Uint8Array): Obstacle {
    const { vectors } = this.#shard
    for (let i = 0; i < reader.partCount; i++) {
      const part = reader.parts[i] as RecordPart
      if (vectors.covers(part.slot, part.last)) continue
      if (part.last > this.#horizon || !this.#met(part, vectors.of(part.slot)))
        return { index: i, lacksBase: false }
      if (patches && this.#shard.lacksBase(part, bytes)) return { index: i, lacksBase: true }
    }
    return nothingInTheWay
  }

  #hold(
    source: HoldSource,
    reader: RecordReader,
    { index, lacksBase }: Obstacle,
    bytes: Uint8Array,
    sinceMs: number,
    patches: boolean,
  ): void {
    const { slot, origin, first, last } = reader.parts[index] as RecordPart
    source.held.add(slot, { bytes, origin, first, sinceMs, ahead: last > this.#horizon, patches })
    if (lacksBase) source.need(slot, null)
  }

  #apply(reader: RecordReader, bytes: Uint8Array, start: number, end: number): void {
    // Noted before: the reader may serve others once the record is applied.
    for (let i = 0; i < reader.partCount; i++) this.#risen.push((reader.parts[i] as RecordPart).slot)
    this.#shard.apply(reader, bytes, start, end)
    this.applied++
  }

  /** Applies what has become deliverable, and what becomes so by that. */
  #settle(): void {
    for (;;) {
      const slot = this.#risen.pop()
      if (slot === undefined) return
      for (const source of this.#sources) {
        if (source.held.count === 0) continue
        for (let origin = 0; origin < originsMax; origin++) {
          for (
            let head = source.held.head(slot, origin);
            head !== undefined && this.#advance(source, slot, head);
            head = source.held.head(slot, origin)
          );
        }
      }
    }
  }

  /** Looks at the head of a queue again; false: it stays. */
  #advance(source: HoldSource, slot: number, record: HeldRecord): boolean {
    const { bytes, origin, sinceMs, patches } = record
    const reader = this.#reader
    reader.read(bytes, 0, bytes.length)
    if (this.#isCovered(reader)) {
      source.held.takeHead(slot, origin)
      this.duplicates++
      return true
    }
    const obstacle = this.#obstacle(reader, patches, bytes)
    if (obstacle === nothingInTheWay) {
      source.held.takeHead(slot, origin)
      this.#apply(reader, bytes, 0, bytes.length)
      return true
    }
    const part = reader.parts[obstacle.index] as RecordPart
    if (part.slot === slot) {
      record.ahead = part.last > this.#horizon
      if (obstacle.lacksBase) source.need(slot, null)
      return false
    }
    source.held.takeHead(slot, origin)
    this.#hold(source, reader, obstacle, bytes, sinceMs, patches)
    return true
  }

  /** Drops the queues of the channel that holds most, as often as it takes, and asks for what was dropped. */
  #enforceLimit(): void {
    while (this.heldBytes > this.limits.holdQueueBytesMax) {
      let largest: HoldSource | null = null
      for (const source of this.#sources) {
        if (largest === null || source.held.sizeBytes > largest.held.sizeBytes) largest = source
      }
      if (largest === null) return
      this.overflows++
      const slots = new Set<number>()
      for (const { bytes } of largest.held.records()) {
        this.#reader.read(bytes, 0, bytes.length)
        for (let i = 0; i < this.#reader.partCount; i++) {
          const { slot, last } = this.#reader.parts[i] as RecordPart
          if (!this.#shard.vectors.covers(slot, last)) slots.add(slot)
        }
      }
      largest.held.clear()
      for (const slot of slots) largest.need(slot, null)
    }
  }
}

/** Each part is judged by the vector before the record, so no two may speak of one slot. */
function checkTogether(reader: RecordReader): void {
  const slots = new Set<number>()
  for (let i = 0; i < reader.partCount; i++) {
    const { slot, origin } = reader.parts[i] as RecordPart
    if (origin !== (reader.parts[0] as RecordPart).origin) throw new FormatError('a record of two origins')
    if (slots.has(slot)) throw new FormatError(`two parts of a record in slot ${slot}`)
    slots.add(slot)
  }
}
