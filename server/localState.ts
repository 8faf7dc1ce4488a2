/**
 * Keyspace and log as one: whatever is applied is logged, in the same order, so that a replay of the log repeats it. This is
 * the shard as its sync channels see it.
 */

import { slotOf } from '#protocol/slots/crc16.ts'
import type { Portioning } from '#protocol/sync/digestMessage.ts'
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
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Random } from '#runtime/ports.ts'
import { checkEffects } from '#server/crdt/effectReading.ts'
import type { Log } from '#server/log/log.ts'
import { Absences } from '#server/store/absences.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import type {
  FrozenState,
  LocalLog,
  LocalShard,
  SlotDifferences,
  StagedSlot,
} from '#server/sync/localShard.ts'
import { FrozenSlotState } from './frozenSlotState.ts'
import { portioningOf } from './portioning.ts'
import { SlotStaging, type StagingHost } from './slotStaging.ts'

const noStamps = emptyVector()

/** What the simulation varies. */
export interface StateSizes {
  comparedKeysMin?: number
  keysPerPortion?: number
  /** Of what the log takes of a slot state in one step. */
  stagedSliceBytes?: number
  /** Of a step of comparing a slot. */
  comparedStepBytes?: number
}

/** A smaller slot takes more CPU time to compare than to send and join. */
const comparedKeysMinUsual = 512
/** About a millisecond. */
const comparedStepBytesUsual = 64 * 1024
/** A buffer that grew beyond it is given back. */
const recordBytesKept = 1024 * 1024

export class LocalState implements LocalShard {
  /** Slot states of peers joined in since the start. */
  mergedSlotStates = 0
  /** Of these, those of which only what differed came. */
  comparedSlotStates = 0
  readonly db: Keyspace
  readonly clock: StampClock
  readonly log: LocalLog
  readonly #log: Log
  readonly #reader = new RecordReader()
  /** Something was applied or logged: the turn needs an end. */
  readonly #onChange: () => void
  /** There is no memory for more. */
  readonly #isFull: () => boolean
  /** A keyspace for one slot. */
  readonly #newStaged: (slot: number) => Keyspace
  /** Of the log that is being replayed: slot states of which the last part is still to come. */
  readonly #replayed = new Map<number, Keyspace>()
  /** What was said to be absent there. */
  readonly #absences = new Map<number, Absences>()
  readonly #random: Random
  readonly #sizes: StateSizes
  /** Slot states of which the log has parts, and not the last. */
  readonly #logging = new Set<StagedSlot>()
  #record = new ByteWriter()

  constructor(
    db: Keyspace,
    clock: StampClock,
    log: Log,
    newStaged: (slot: number) => Keyspace,
    onChange: () => void,
    isFull: () => boolean,
    random: Random,
    sizes: StateSizes = {},
  ) {
    this.#random = random
    this.#sizes = sizes
    this.db = db
    this.#newStaged = newStaged
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

  get ownRecords(): number {
    return this.#log.ownRecords
  }

  get refusing(): boolean {
    return this.#log.failure !== null || this.#isFull()
  }

  check(part: RecordPart, bytes: Uint8Array): boolean {
    const { slot, effectsStart, effectsEnd, first, last } = part
    return checkEffects(bytes, effectsStart, effectsEnd, first, last, (keyBytes, start, end) => {
      if (slotOf(keyBytes, start, end) !== slot) throw new FormatError(`a key of another slot than ${slot}`)
    })
  }

  lacksBase(part: RecordPart, bytes: Uint8Array): boolean {
    return this.db.lacksBase(part, bytes)
  }

  apply(record: RecordReader, bytes: Uint8Array, start: number, end: number): void {
    const origin = (record.parts[0] as RecordPart).origin
    const last = this.#applyParts(record, bytes)
    this.#log.appendOf(bytes, start, end, origin, last)
    this.#onChange()
  }

  slotCount(slot: number): number {
    return this.db.slotCount(slot)
  }

  encodeSlotPart(
    slot: number,
    position: SlotPosition,
    bytesWanted: number,
    writer: ByteWriter,
  ): SlotPosition {
    return this.db.encodeSlotPartForPeer(slot, position, bytesWanted, writer)
  }

  isJoining(slot: number): boolean {
    return this.db.isJoining(slot)
  }

  get isMerging(): boolean {
    return this.db.isMerging
  }

  joinMore(): boolean {
    const more = this.db.joinMore()
    // Keys that clients wait for, or watch.
    if (more) this.#onChange()
    return more
  }

  stage(slot: number, label: VersionVector): StagedSlot {
    return new SlotStaging(slot, label, this.#newStaged(slot), this.#stagingHost)
  }

  get #comparedStepBytes(): number {
    return this.#sizes.comparedStepBytes ?? comparedStepBytesUsual
  }

  get #stagingHost(): StagingHost {
    return {
      db: this.db,
      log: this.#log,
      sliceBytes: this.#sizes.stagedSliceBytes,
      logging: this.#logging,
      check: (part, bytes) => this.check(part, bytes),
      join: (...of) => this.#join(...of),
      onChange: this.#onChange,
    }
  }

  isWorthComparing(slot: number): boolean {
    return this.db.slotCount(slot) >= (this.#sizes.comparedKeysMin ?? comparedKeysMinUsual)
  }

  portioning(slot: number): Portioning {
    return portioningOf(this.db.slotCount(slot), this.#random, this.#sizes.keysPerPortion)
  }

  freeze(slot: number, portioning: Portioning): FrozenState | null {
    if (this.db.slotCount(slot) < 2 ** portioning.bits) return null
    const newStaged = () => this.#newStaged(slot)
    return new FrozenSlotState(slot, portioning, newStaged, this.#stagingHost, this.#comparedStepBytes)
  }

  compare(slot: number, portioning: Portioning, digests: Uint8Array): SlotDifferences {
    const comparison = this.db.compareSlot(slot, portioning, digests)
    const stepBytes = this.#comparedStepBytes
    return {
      get differing() {
        return comparison.differing
      },
      step: () => comparison.step(stepBytes),
      encodePart: (position, writer) => comparison.encodePart(position, stepBytes, writer),
    }
  }

  get isLoggingState(): boolean {
    return this.#logging.size > 0
  }

  #join(staged: Keyspace, slot: number, label: VersionVector, absences: Absences | undefined): boolean {
    const before = Float64Array.from(this.db.vectors.of(slot))
    if (!this.db.joinStaged(staged, slot, label, absences)) return false
    this.mergedSlotStates++
    if (absences !== undefined) this.comparedSlotStates++
    this.#brought(slot, label, before)
    return true
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
    else if (kind === RecordKind.slotPart) this.#replayPart(reader, bytes)
    else if (kind === RecordKind.absences)
      this.#absences.set(slot, Absences.decode(new ByteReader(bytes, stateStart, stateEnd)))
    else if (!isOperations) this.db.applyGroupChanges(slot, bytes, stateStart, stateEnd)
    if (!this.#log.keeps(bytesLeft)) this.#skip(reader, end - start)
    else if (!isOperations) this.#log.append(bytes, start, end, noStamps)
    else this.#log.appendOf(bytes, start, end, (reader.parts[0] as RecordPart).origin, last)
  }

  /** Parts of a state whose first or last is not in the log never counted. */
  #replayPart({ slot, label, isFirst, isLast, stateStart, stateEnd }: RecordReader, bytes: Uint8Array): void {
    const absences = this.#absences.get(slot)
    this.#absences.delete(slot)
    if (isFirst) this.#replayed.set(slot, this.#newStaged(slot))
    const staged = this.#replayed.get(slot)
    if (staged === undefined) return
    const reached = label.slice()
    staged.loadSlotPart(slot, reached, bytes, stateStart, stateEnd)
    if (!isLast) return
    this.#replayed.delete(slot)
    const before = Float64Array.from(this.db.vectors.of(slot))
    if (!this.db.joinStaged(staged, slot, reached, absences)) return
    while (this.db.joinMore());
    this.#brought(slot, reached, before)
  }

  /** All of the log has been replayed. */
  replayEnds(): void {
    this.#replayed.clear()
    this.#absences.clear()
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
