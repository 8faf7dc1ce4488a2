/**
 * Keyspace and log as one: whatever is applied is logged, in the same order, so that a replay of the log repeats it. This is
 * the shard as its sync channels see it.
 */

import { slotOf } from '#protocol/slots/crc16.ts'
import {
  beginRecord,
  endRecord,
  RecordKind,
  type RecordPart,
  RecordReader,
  writeVector,
} from '#protocol/sync/record.ts'
import { originsMax, type Stamp, type StampClock } from '#protocol/sync/stamp.ts'
import { emptyVector, type SlotVectors, type VersionVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { checkEffects } from '#server/crdt/effectReading.ts'
import type { Log } from '#server/log/log.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { LocalLog, LocalShard } from '#server/sync/localShard.ts'

const noStamps = emptyVector()
/** A buffer that grew beyond it is given back. */
const recordBytesKept = 1024 * 1024

export class LocalState implements LocalShard {
  /** Slot states of peers joined in since the start. */
  mergedSlotStates = 0
  readonly db: Keyspace
  readonly clock: StampClock
  readonly log: LocalLog
  readonly #log: Log
  readonly #reader = new RecordReader()
  /** Something was applied or logged: the turn needs an end. */
  readonly #onChange: () => void
  /** There is no memory for more. */
  readonly #isFull: () => boolean
  #record = new ByteWriter()

  constructor(db: Keyspace, clock: StampClock, log: Log, onChange: () => void, isFull: () => boolean) {
    this.db = db
    this.clock = clock
    this.#log = log
    this.#onChange = onChange
    this.#isFull = isFull
    this.log = localLog(log)
  }

  get vectors(): SlotVectors {
    return this.db.vectors
  }

  get lastStamp(): Stamp {
    return this.clock.last
  }

  get refusing(): boolean {
    return this.#log.failure !== null || this.#isFull()
  }

  check(part: RecordPart, bytes: Uint8Array): void {
    const { slot, effectsStart, effectsEnd, first, last } = part
    checkEffects(bytes, effectsStart, effectsEnd, first, last, (keyBytes, start, end) => {
      if (slotOf(keyBytes, start, end) !== slot) throw new FormatError(`a key of another slot than ${slot}`)
    })
  }

  apply(record: RecordReader, bytes: Uint8Array, start: number, end: number): void {
    const origin = (record.parts[0] as RecordPart).origin
    const last = this.#applyParts(record, bytes)
    this.#log.appendOf(bytes, start, end, origin, last)
    this.#onChange()
  }

  encodeSlot(slot: number, writer: ByteWriter): void {
    this.db.encodeSlot(slot, writer)
  }

  merge(slot: number, label: VersionVector, bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#merge(slot, label, bytes, start, end)) return false
    this.mergedSlotStates++
    const record = this.#record
    record.clear()
    const begun = beginRecord(record, RecordKind.slotState)
    record.u16(slot)
    writeVector(record, label)
    record.raw(bytes, start, end)
    endRecord(record, begun)
    this.#log.append(record.bytes, 0, record.length, noStamps)
    if (record.bytes.length > recordBytesKept) this.#record = new ByteWriter()
    this.#onChange()
    return true
  }

  /** The record [start, end) of the log on disk; at least `bytesLeft` follow it. */
  replay(bytes: Uint8Array, start: number, end: number, bytesLeft: number): void {
    const reader = this.#reader
    reader.read(bytes, start, end)
    const { kind, slot, stateStart, stateEnd } = reader
    const isOperations = kind === RecordKind.operations
    const last = isOperations ? this.#applyParts(reader, bytes) : 0
    if (kind === RecordKind.slotState) this.#merge(slot, reader.label, bytes, stateStart, stateEnd)
    else if (!isOperations) this.db.applyGroupChanges(slot, bytes, stateStart, stateEnd)
    if (!this.#log.keeps(bytesLeft)) this.#skip(reader, end - start)
    else if (!isOperations) this.#log.append(bytes, start, end, noStamps)
    else this.#log.appendOf(bytes, start, end, (reader.parts[0] as RecordPart).origin, last)
  }

  /** A part of a slot of the snapshot that the log on disk follows; all come before the first record. */
  load(slot: number, label: VersionVector, bytes: Uint8Array, start: number, end: number): void {
    this.db.loadSlotPart(slot, label, bytes, start, end)
    this.#brought(slot, label)
  }

  /** Applies the parts that are new; returns the greatest stamp. */
  #applyParts(record: RecordReader, bytes: Uint8Array): Stamp {
    let greatest = 0
    for (let i = 0; i < record.partCount; i++) {
      const part = record.parts[i] as RecordPart
      if (part.last > greatest) greatest = part.last
      if (!this.db.vectors.covers(part.slot, part.last)) this.db.apply(part, bytes)
    }
    // From an earlier life.
    if ((record.parts[0] as RecordPart).origin === this.clock.origin) this.clock.raise(greatest)
    return greatest
  }

  /** A state of the log that is too old was joined before the snapshot that the floor is of, and is covered. */
  #merge(slot: number, label: VersionVector, bytes: Uint8Array, start: number, end: number): boolean {
    const before = Float64Array.from(this.db.vectors.of(slot))
    if (!this.db.mergeSlot(slot, label, bytes, start, end)) return false
    this.#brought(slot, label, before)
    return true
  }

  /** What a state brought is no record here: whoever lacks it can't be served from the log. */
  #brought(slot: number, label: VersionVector, before: VersionVector = noStamps): void {
    for (let origin = 0; origin < originsMax; origin++) {
      const stamp = label[origin] as number
      if (stamp > (before[origin] as number)) this.#log.backlog.raiseFloor(slot, origin, stamp)
    }
    const own = label[this.clock.origin] as number
    if (own > 0) this.clock.raise(own)
  }

  #skip(record: RecordReader, lengthBytes: number): void {
    const { backlog } = this.#log
    backlog.skip(lengthBytes)
    if (record.kind !== RecordKind.operations) return
    for (let i = 0; i < record.partCount; i++) {
      const { slot, origin, last } = record.parts[i] as RecordPart
      backlog.raiseFloor(slot, origin, last)
    }
  }
}

function localLog(log: Log): LocalLog {
  const { backlog } = log
  return {
    get start() {
      return backlog.start
    },
    get end() {
      return backlog.end
    },
    get shippable() {
      return log.synced
    },
    get shipping() {
      return log.shipping
    },
    set shipping(shipping: boolean) {
      log.shipping = shipping
    },
    floor: (slot, origin) => backlog.floor(slot, origin),
    firstPositionAbove: (origin, stamp) => backlog.firstPositionAbove(origin, stamp),
    walk: (from, to, take) => backlog.walk(from, to, take),
  }
}
