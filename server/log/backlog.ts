/**
 * The end of the log in memory: a window of the records in apply order. The disk is written from it and peers are served
 * from it. The record of a command is written into its chunk, any other is copied there, and none again until a frame takes it.
 *
 * Positions count bytes of records since the log began; block headers on disk don't count. Records never straddle chunks.
 * When the window is full whole chunks are dropped from its beginning. Two small indexes answer what a peer's feed asks:
 *
 * - each chunk keeps the greatest stamp of every origin in it: a reader who has an origin up to stamp s may skip chunks
 *   whose greatest is not above s. (Stamps of one origin needn't rise along the log: a peer's shards have clocks of their own.)
 * - `floor(slot, origin)`: every operation of the origin in the slot that was applied here with a stamp above the floor is
 *   still in the window. It rises when chunks are dropped, and when a slot state is merged: the operations behind the
 *   state never came as records. Who needs anything at or below the floor must be sent the state of the slot.
 */

import { RecordKind, RecordReader, recordLength, slotsMax } from '#protocol/sync/record.ts'
import { type Origin, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { emptyVector, raiseTo, type VersionVector } from '#protocol/sync/versionVector.ts'
import { allocate, copyBytes } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { invariant } from '#runtime/invariant.ts'

const chunkBytesMax = 256 * 1024
const chunkBytesMin = 256
/** Chunks of a full window; dropping one of them should free a small part only. */
const chunksWanted = 16

interface Chunk {
  start: number
  length: number
  bytes: Uint8Array
  /** Per origin, of the records in the chunk. */
  greatest: VersionVector
}

export class Backlog {
  /** Of the window. */
  bytesMax: number
  readonly #chunkBytes: number
  readonly #chunks: Chunk[] = []
  #spare: Uint8Array | null = null
  /** Origin by origin: mostly those of one rise, and they are dense then. None before the first one. */
  #floors: Float64Array | null = null
  readonly #reader = new RecordReader()
  /** Lies over the last chunk while a record is written. */
  readonly #writer = new ByteWriter(0)
  #start = 0
  #end = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
    this.#chunkBytes = Math.min(chunkBytesMax, Math.max(chunkBytesMin, Math.floor(bytesMax / chunksWanted)))
  }

  /** First position of the window. */
  get start(): number {
    return this.#start
  }

  /** Behind the last record. */
  get end(): number {
    return this.#end
  }

  get sizeBytes(): number {
    return this.#end - this.#start
  }

  /** Passes over a record of so many bytes at the beginning of a replay: the window begins behind it. */
  skip(lengthBytes: number): void {
    invariant(this.#chunks.length === 0, 'only what comes before the window is skipped')
    this.#start += lengthBytes
    this.#end = this.#start
  }

  /** Takes a copy of the record [start, end) of `bytes`. `stamps` are the greatest of each origin in it. */
  append(bytes: Uint8Array, start: number, end: number, stamps: VersionVector): void {
    const chunk = this.#chunkWithRoom(end - start)
    chunk.bytes.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), chunk.length)
    chunk.length += end - start
    this.#end += end - start
    raiseTo(chunk.greatest, stamps)
  }

  /** The same for a record whose only stamps are of one origin. */
  appendOf(bytes: Uint8Array, start: number, end: number, origin: Origin, stamp: Stamp): void {
    const chunk = this.#chunkWithRoom(end - start)
    copyBytes(chunk.bytes, chunk.length, bytes, start, end)
    this.#extend(chunk, end - start, origin, stamp)
  }

  /** Where a record of at most so many bytes can be written in place. It is part of the log when `commit` is called. */
  begin(bytesMax: number): ByteWriter {
    const chunk = this.#chunkWithRoom(bytesMax)
    const writer = this.#writer
    writer.bytes = chunk.bytes
    writer.length = chunk.length
    return writer
  }

  /** What was written since `begin` is a record whose only stamps are of one origin. */
  commit(origin: Origin, stamp: Stamp): void {
    const chunk = this.#chunks.at(-1)
    const { bytes, length } = this.#writer
    if (chunk?.bytes !== bytes) invariant(false, 'a record fits the room that was asked for')
    else this.#extend(chunk, length - chunk.length, origin, stamp)
  }

  #extend(chunk: Chunk, lengthBytes: number, origin: Origin, stamp: Stamp): void {
    chunk.length += lengthBytes
    this.#end += lengthBytes
    if (stamp > (chunk.greatest[origin] as number)) chunk.greatest[origin] = stamp
  }

  /** Drops whole chunks while the window is larger than its limit, but nothing at or behind `keepFrom`. */
  trim(keepFrom: number): void {
    for (;;) {
      const first = this.#chunks[0]
      if (first === undefined || this.sizeBytes <= this.bytesMax) return
      if (first.start + first.length > keepFrom) return
      this.#raiseFloors(first)
      this.#chunks.shift()
      this.#start = first.start + first.length
      if (first.bytes.length === this.#chunkBytes) this.#spare = first.bytes
    }
  }

  floor(slot: number, origin: Origin): Stamp {
    return this.#floors?.[origin * slotsMax + slot] ?? 0
  }

  raiseFloor(slot: number, origin: Origin, stamp: Stamp): void {
    this.#floors ??= new Float64Array(slotsMax * originsMax)
    const at = origin * slotsMax + slot
    if (stamp > (this.#floors[at] as number)) this.#floors[at] = stamp
  }

  /** A position at or before the first record of the window that holds an operation of `origin` above `stamp`. */
  firstPositionAbove(origin: Origin, stamp: Stamp): number {
    for (const chunk of this.#chunks) if ((chunk.greatest[origin] as number) > stamp) return chunk.start
    return this.#end
  }

  /**
   * Shows the records from `from` on (the start of a record) up to `to`. `take` says whether to go on behind the record it
   * was shown. Returns the position behind the last one shown.
   */
  walk(from: number, to: number, take: (bytes: Uint8Array, start: number, end: number) => boolean): number {
    invariant(from >= this.#start && to <= this.#end, 'a walk stays in the window', { from, to })
    let position = from
    for (let i = this.#indexOf(from); position < to; i++) {
      const chunk = this.#chunks[i] as Chunk
      let at = position - chunk.start
      while (at < chunk.length && position < to) {
        const length = recordLength(chunk.bytes, at, chunk.length)
        position += length
        if (!take(chunk.bytes, at, at + length)) return position
        at += length
      }
    }
    return position
  }

  /** The bytes [from, to) as views, for the disk; valid until the next `trim`. */
  views(from: number, to: number): Uint8Array[] {
    const views: Uint8Array[] = []
    let position = from
    for (let i = this.#indexOf(from); position < to; i++) {
      const chunk = this.#chunks[i] as Chunk
      const end = Math.min(to, chunk.start + chunk.length)
      views.push(chunk.bytes.subarray(position - chunk.start, end - chunk.start))
      position = end
    }
    return views
  }

  /** Index of the chunk that holds `position`. Most ask for the end, so it is looked for from there. */
  #indexOf(position: number): number {
    let i = this.#chunks.length - 1
    while (i > 0 && (this.#chunks[i] as Chunk).start > position) i--
    return Math.max(i, 0)
  }

  #chunkWithRoom(lengthBytes: number): Chunk {
    const last = this.#chunks.at(-1)
    if (last !== undefined && last.bytes.length - last.length >= lengthBytes) return last
    const chunk: Chunk = {
      start: this.#end,
      length: 0,
      bytes: lengthBytes > this.#chunkBytes ? allocate(lengthBytes) : this.#takeSpare(),
      greatest: emptyVector(),
    }
    this.#chunks.push(chunk)
    return chunk
  }

  #takeSpare(): Uint8Array {
    const bytes = this.#spare ?? allocate(this.#chunkBytes)
    this.#spare = null
    return bytes
  }

  #raiseFloors(chunk: Chunk): void {
    const reader = this.#reader
    for (let at = 0; at < chunk.length; ) {
      at = reader.read(chunk.bytes, at, chunk.length)
      // What a slot state covers was raised to when it was merged.
      if (reader.kind !== RecordKind.operations) continue
      for (let i = 0; i < reader.partCount; i++) {
        const part = reader.parts[i]
        if (part !== undefined) this.raiseFloor(part.slot, part.origin, part.last)
      }
    }
  }
}
