/**
 * What sync needs of the shard it lives in. Declared here, by its consumer; the shard meets it with its keyspace and its
 * log, tests with smaller things.
 */

import type { RecordPart, RecordReader } from '#protocol/sync/record.ts'
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { SlotVectors, VersionVector } from '#protocol/sync/versionVector.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'

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
  /** The log can't be written at the moment, or memory is full: peers are slowed down until that has changed. */
  readonly refusing: boolean
  /** Throws `FormatError` unless the effects of the part can be applied. Changes nothing. */
  check(part: RecordPart, bytes: Uint8Array): void
  /**
   * Applies those parts of the record that the vectors don't cover, raises the vectors, and appends the record to the log.
   * The gate has found it deliverable and has checked all its parts; the record is [start, end) of `bytes`.
   */
  apply(record: RecordReader, bytes: Uint8Array, start: number, end: number): void
  /** The whole state of a slot as of now, for `merge`; its label is the slot's vector. */
  encodeSlot(slot: number, writer: ByteWriter): void
  /**
   * Joins the state [start, end) with the slot's own, raises the slot's vector to include the label, and logs it as a record
   * of kind slotState. Throws `FormatError`, having changed nothing, when the state can't be read. False, and nothing has
   * changed: the state is too old (`server/store/deleteFloors.ts`).
   */
  merge(slot: number, label: VersionVector, bytes: Uint8Array, start: number, end: number): boolean
}

/** One end of a channel, as the shard gives it to its feed or intake. */
export interface SyncChannel {
  /** The bytes are only valid during the call. */
  send(message: Uint8Array): void
  /** Ends the channel; neither side hears of it again. */
  close(reason: string): void
}
