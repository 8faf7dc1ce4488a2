/**
 * What sync needs of the shard it lives in. Declared here, by its consumer; the shard meets it with its keyspace and its
 * log, tests with smaller things.
 */

import type { Portioning } from '#protocol/sync/digestMessage.ts'
import type { RecordPart, RecordReader } from '#protocol/sync/record.ts'
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { SlotVectors, VersionVector } from '#protocol/sync/versionVector.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'

/** The records of the log that are still in memory; positions count their bytes since the log began. */
export interface LocalLog {
  /** First position of the window. */
  readonly start: number
  /** Behind the last record applied. */
  readonly end: number
  /** Everything before it is durable by the rule of the database and may be sent to peers. Never beyond `end`. */
  readonly shippable: number
  /** Set while peers read the log: make it durable soon after each write, then call `Replication.pump`. */
  shipping: boolean
  /** Operations of the origin in the slot above this stamp, as far as they were applied here, are all in the window. */
  floor(slot: number, origin: Origin): Stamp
  /** A position at or before the first record of the window with an operation of `origin` above `stamp`. */
  firstPositionAbove(origin: Origin, stamp: Stamp): number
  /** Shows records from `from` (the start of one) up to `to`; stops behind the one for which `take` says false. Returns where it stopped. */
  walk(from: number, to: number, take: (bytes: Uint8Array, start: number, end: number) => boolean): number
}

export interface LocalShard {
  readonly log: LocalLog
  /** What has been applied here. */
  readonly vectors: SlotVectors
  /** Every operation of this shard up to this stamp is in the log, and none above it. */
  readonly lastStamp: Stamp
  /** Records of its own that this shard has made since its start. */
  readonly ownRecords: number
  /** The log can't be written at the moment, or memory is full: peers are slowed down until that has changed. */
  readonly refusing: boolean
  /**
   * Throws `FormatError` unless the effects of the part can be applied. Changes nothing. True: there are such among them as need what
   * they patch (`lacksBase`).
   */
  check(part: RecordPart, bytes: Uint8Array): boolean
  /** Of a part that may be delivered: it patches what is not there any more, so that its result can only come as state. */
  lacksBase(part: RecordPart, bytes: Uint8Array): boolean
  /**
   * Applies those parts of the record that the vectors don't cover, raises the vectors, and appends the record to the log.
   * The gate has found it deliverable and has checked all its parts; the record is [start, end) of `bytes`.
   */
  apply(record: RecordReader, bytes: Uint8Array, start: number, end: number): void
  /** How many keys the slot has, as a slot state says it at its beginning. */
  slotCount(slot: number): number
  /**
   * A part of a slot as of now: the keys from `position` on, until about `bytesWanted` are written, and at least a few, or some of the
   * elements of a large one. Returns where the next part begins, 0: the slot is done. A slot cut in one part, behind `slotCount`, is a state
   * for `merge`.
   */
  encodeSlotPart(slot: number, position: SlotPosition, bytesWanted: number, writer: ByteWriter): SlotPosition
  /**
   * Joins the state [start, end) with the slot's own, raises the slot's vector to include the label, and logs it as a record
   * of kind slotState. Throws `FormatError`, having changed nothing, when the state can't be read. False, and nothing has
   * changed: the state is too old (`server/store/deleteFloors.ts`).
   */
  merge(slot: number, label: VersionVector, bytes: Uint8Array, start: number, end: number): boolean
  /** A place for the state of a slot that comes in parts; `label` is the vector from before the first. */
  stage(slot: number, label: VersionVector): StagedSlot
  /** Not so small that its state costs less than to compare it with a peer's. */
  isWorthComparing(slot: number): boolean
  /** How to compare it. */
  portioning(slot: number): Portioning
  /** The slot as it is now, to be told to a peer in digests; null: there is too little of it. */
  freeze(slot: number, portioning: Portioning): FrozenState | null
  /** The slot, to be compared with that of a peer whose digests these are: one for each portion. */
  compare(slot: number, portioning: Portioning, digests: Uint8Array): SlotDifferences
  /** The slot has been joined with a staged one, but not all of its keys: it can't be cut now. */
  isJoining(slot: number): boolean
  /** There is such a slot. */
  readonly isMerging: boolean
  /** A small step of that; false: there is nothing to do. */
  joinMore(): boolean
}

/** A slot that a peer cuts while it changes, kept apart until it is whole. */
export interface StagedSlot {
  /** What it has reached: at first the label, then what the operations raise it to. */
  readonly reached: VersionVector
  /** Takes the part [start, end), in the order in which the parts were cut. Throws `FormatError`. */
  load(bytes: Uint8Array, start: number, end: number): void
  /** Applies the one part of the record, unless it is covered. Throws `FormatError`. */
  apply(part: RecordPart, bytes: Uint8Array): void
  /**
   * A step towards joining it with the shard's own: it is written to the log, slice by slice, and with the last of them the
   * slot's vector rises to include what was reached; what is to be done in the keyspace then is done by `LocalShard.joinMore`.
   * `tooOld`: it can't be joined (`server/store/deleteFloors.ts`, or what it was compared with is void), and nothing has changed.
   */
  advance(): 'more' | 'joined' | 'tooOld'
  /** It isn't needed any more. */
  drop(): void
}

/** A slot as it was at a moment, kept while it changes: for a peer that sends only what differs from it. */
export interface FrozenState {
  /** It was changed as a whole, and isn't kept any more. */
  readonly isVoid: boolean
  /** One for each portion; null: they have not all been made. */
  readonly digests: Uint8Array | null
  /** A small step of making them. */
  step(): void
  /**
   * A place for the state of the slot of which only the portions that differ come, with what has been kept of the others; `label` is
   * as with `LocalShard.stage`. Throws `FormatError`. Whether the slot becomes void meanwhile shows in the end (`advance`).
   */
  stage(label: VersionVector, differing: Uint8Array): StagedSlot
  /** It isn't needed any more, and has not been staged. */
  drop(): void
}

/** A slot that is compared with a peer's, and of which what differs is cut, both while it changes. */
export interface SlotDifferences {
  /** A bit for each portion; null: it is not known yet. */
  readonly differing: Uint8Array | null
  /** A small step towards it. */
  step(): void
  /**
   * Keys of these portions from `position` on, as of now, in a small step: there may be none among those it has looked at. Returns where the
   * next part begins, 0: they are done.
   */
  encodePart(position: SlotPosition, writer: ByteWriter): SlotPosition
}

/** One end of a channel, as the shard gives it to its feed or intake. */
export interface SyncChannel {
  /** The bytes are only valid during the call. */
  send(message: Uint8Array): void
  /** Ends the channel; neither side hears of it again. */
  close(reason: string): void
}
