/**
 * Writes one snapshot while the shard goes on working: slot by slot, a slice of a millisecond or two at a time. The slots are
 * not cut at one instant, and needn't be: each is labelled with its vector, and what the log holds beyond a label is replayed.
 *
 *     log.sync ─▶ log.startSegment = position ─▶ slices… ─▶ file synced, log synced up to its end now ─▶ end mark ─▶ file synced
 *
 * - Every slot is cut behind `position`, so the log before it is not needed any more.
 * - A slot that doesn't fit into a slice is cut in parts while it changes, a large key of it in pieces. All are labelled with the vector that the slot had
 *   before the first. What later parts know beyond it is behind `position` in the log, and is replayed over them before
 *   anybody sees the slot: effects are idempotent, and the last to be applied are the last that were. No residue of the slot
 *   may be dropped meanwhile (`isCutting`), or an effect that is replayed would find what it counts on gone.
 * - The parts hold operations that the log may yet lose in a power cut; their stamps would be given again. So the end mark,
 *   without which the file is no snapshot, is written when the log is durable up to the last of them.
 *
 * A snapshot that fails leaves nothing behind, and the log goes before: when it can't be written, no snapshot is.
 */
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type Clock, type Disk, DiskError, type Timers } from '#runtime/ports.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import { fileHeader } from './fileHeader.ts'
import type { Log } from './log.ts'
import { SnapshotBlock, snapshotEnd, snapshotKind, snapshotName } from './snapshotFormat.ts'
import type { SnapshotFile } from './snapshotReading.ts'

/** What snapshots are taken of. */
export interface SnapshotSource {
  /** The first slot from `from` on in which anything was ever applied; -1: there is none. */
  nextSlot(from: number): number
  label(slot: number): VersionVector
  /** The log is given a slot state in parts: its beginning must not be cut off from its end. */
  readonly isLoggingState: boolean
  /** The slot's vector is ahead of its keys: it can't be cut now. */
  isJoining(slot: number): boolean
  /** As `Keyspace.encodeSlotPart`. */
  encodeSlotPart(slot: number, position: SlotPosition, bytesWanted: number, writer: ByteWriter): SlotPosition
}

export interface SnapshotPorts {
  disk: Disk
  clock: Clock
  timers: Timers
}

export interface SnapshotSizes {
  /** A slice ends when it has worked for so long, or has gathered so much. */
  sliceMs: number
  sliceBytes: number
}

export const snapshotSizes: SnapshotSizes = { sliceMs: 1.5, sliceBytes: 256 * 1024 }

/** Between two slices, for each millisecond of the one before: the shard's commands come first. */
const pauseRatio = 2
const pauseMsMin = 1
/** Handed to the disk so much at a time, so that the sync at the end is no flood. */
const unsyncedBytesWanted = 2 * 1024 * 1024
/** More than this is not written before the sync under way has ended. */
const unsyncedBytesMax = 64 * 1024 * 1024
/** Until the log has taken what the slots hold, or can be cut, or a slot can. */
const waitMs = 10
/** A block that grew beyond it, for a huge element, is given back. */
const blockBytesKept = 4 * 1024 * 1024

export class SnapshotWriter {
  /** Where the log behind it begins; 0 until it is known. */
  position = 0
  sizeBytes = 0
  readonly #log: Log
  readonly #clusterId: number
  readonly #source: SnapshotSource
  readonly #ports: SnapshotPorts
  readonly #sizes: SnapshotSizes
  readonly #onEnd: (result: SnapshotFile | Error) => void
  #name = ''
  #block = new SnapshotBlock()
  /** The slot to be cut next, -1: all are. */
  #slot = -1
  /** Where in the slot its next part begins, 0 when it has not been begun. */
  #slotPosition: SlotPosition = 0
  #label: VersionVector = emptyVector()
  #unsyncedBytes = 0
  #syncing = false
  /** What waits for the sync under way. */
  #afterSync: (() => void) | null = null
  #ended = false

  constructor(
    log: Log,
    clusterId: number,
    source: SnapshotSource,
    ports: SnapshotPorts,
    sizes: SnapshotSizes,
    onEnd: (result: SnapshotFile | Error) => void,
  ) {
    this.#log = log
    this.#clusterId = clusterId
    this.#source = source
    this.#ports = ports
    this.#sizes = sizes
    this.#onEnd = onEnd
  }

  /** Whether a part of the slot has been cut and another is to come: no residue of it may be dropped. */
  isCutting(slot: number): boolean {
    return !this.#ended && slot === this.#slot && this.#slotPosition !== 0
  }

  /** The log must hold something, or be about to. */
  start(): void {
    if (this.#ended) return
    this.#log.sync(() => this.#step(() => this.#open()))
  }

  /** Nothing is done or told any more; what was written stays for the next start to remove. */
  stop(): void {
    this.#ended = true
  }

  /** Whatever the disk refuses ends the snapshot. */
  #step(run: () => void): void {
    if (this.#ended) return
    try {
      if (this.#log.failure !== null) this.#fail(this.#log.failure)
      else run()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#fail(error)
    }
  }

  #open(): void {
    const { disk, timers } = this.#ports
    if (this.#log.synced === 0 || this.#source.isLoggingState) {
      timers.after(waitMs, () => this.start())
      return
    }
    const position = this.#log.startSegment()
    if (position === null) {
      this.#fail(this.#log.failure as DiskError)
      return
    }
    const name = snapshotName(position)
    // Of an attempt that failed and could not be removed.
    if (disk.list().includes(name)) disk.remove(name)
    this.position = position
    this.#name = name
    // Not before the position is known: a slot that is written to for the first time until then is in the log before it.
    this.#slot = this.#source.nextSlot(0)
    this.#append(fileHeader(snapshotKind, this.#clusterId, position))
    this.#slice()
  }

  #slice(): void {
    const { clock, timers } = this.#ports
    const goOn = (): void => this.#step(() => this.#slice())
    if (this.#isHeldUp) {
      timers.after(waitMs, goOn)
      return
    }
    const startMs = clock.monotonicMs()
    const block = this.#block
    block.clear()
    while (this.#slot >= 0 && !this.#isHeldUp && block.partsBytes < this.#sizes.sliceBytes) {
      this.#cutPart(this.#sizes.sliceBytes - block.partsBytes)
      if (clock.monotonicMs() - startMs >= this.#sizes.sliceMs) break
    }
    if (block.partsBytes > 0) this.#append(block.bytes(this.sizeBytes))
    if (block.writer.bytes.length > blockBytesKept) this.#block = new SnapshotBlock()
    if (this.#slot < 0) {
      const { end } = this.#log
      this.syncFile(() => this.whenLogged(end, () => this.#finish(end)))
      return
    }
    if (this.#unsyncedBytes >= unsyncedBytesWanted && !this.#syncing) this.syncFile(null)
    if (this.#unsyncedBytes >= unsyncedBytesMax) this.#afterSync = goOn
    else timers.after(Math.max(pauseMsMin, (clock.monotonicMs() - startMs) * pauseRatio), goOn)
  }

  get #isHeldUp(): boolean {
    return this.#slot >= 0 && this.#source.isJoining(this.#slot)
  }

  #cutPart(bytesWanted: number): void {
    const source = this.#source
    const slot = this.#slot
    if (this.#slotPosition === 0) this.#label = source.label(slot).slice()
    this.#block.beginPart(slot, this.#label)
    this.#slotPosition = source.encodeSlotPart(slot, this.#slotPosition, bytesWanted, this.#block.writer)
    this.#block.endPart()
    if (this.#slotPosition === 0) this.#slot = source.nextSlot(slot + 1)
  }

  /** `then`: when the log is durable up to `logEnd`, and so is the file that it goes on in, even if nothing has come to it. */
  protected whenLogged(logEnd: number, then: () => void): void {
    const again = (): void => this.#step(() => this.whenLogged(logEnd, then))
    if (this.#log.written < logEnd) this.#ports.timers.after(waitMs, again)
    else this.#log.sync(() => this.#step(then))
  }

  #finish(logEnd: number): void {
    const takenAtMs = this.#ports.clock.wallMs()
    this.#append(snapshotEnd(this.sizeBytes, { logEnd, takenAtMs }))
    this.syncFile(() => {
      this.#ended = true
      const { position, sizeBytes } = this
      this.#onEnd({ name: this.#name, position, sizeBytes, logEnd, takenAtMs })
    })
  }

  #append(bytes: Uint8Array): void {
    this.#ports.disk.append(this.#name, [bytes])
    this.sizeBytes += bytes.length
    this.#unsyncedBytes += bytes.length
  }

  /** `then`: when everything appended so far is durable. */
  protected syncFile(then: (() => void) | null): void {
    if (this.#syncing) {
      this.#afterSync = () => this.syncFile(then)
      return
    }
    this.#syncing = true
    this.#unsyncedBytes = 0
    this.#ports.disk.sync(this.#name, (error) => {
      this.#syncing = false
      const after = this.#afterSync
      this.#afterSync = null
      this.#step(() => {
        // Nothing written to the file so far can be trusted; it is given up.
        if (error !== null) throw error
        then?.()
        after?.()
      })
    })
  }

  #fail(error: Error): void {
    this.#ended = true
    try {
      if (this.#name !== '' && this.#ports.disk.list().includes(this.#name))
        this.#ports.disk.remove(this.#name)
    } catch (left) {
      // The next snapshot, or the next start, removes it.
      if (!(left instanceof DiskError)) throw left
    }
    this.#onEnd(error)
  }
}
