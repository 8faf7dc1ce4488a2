/**
 * Writes the log's files: one append a block, a new file when the current one is full. An append that fails may have left
 * a part of the block; the next attempt cuts it off first, so a file never holds anything behind a broken block.
 *
 * Syncing follows the order of the files: the log is durable up to a position only when every file before it is.
 * A sync that fails is final ("fsyncgate", PostgreSQL 2018): the kernel may have dropped the dirty pages and report success
 * the next time, so nothing written since the last good sync can be trusted to be on the disk, ever.
 */
import { type Disk, DiskError } from '#runtime/ports.ts'
import { blockHeader, blockHeaderBytes, segmentKind, segmentName } from './blockFormat.ts'
import { fileHeader, fileHeaderBytes } from './fileHeader.ts'
import type { SegmentFile } from './recovery.ts'

export class Segments {
  readonly #disk: Disk
  readonly #clusterId: number
  readonly #segmentBytesMax: number
  #current: SegmentFile | null = null
  /** The last append failed: bytes behind the current size may be there. */
  #torn = false
  /** Files with bytes that no sync has covered, oldest first. */
  #dirty: string[] = []

  constructor(disk: Disk, clusterId: number, segmentBytesMax: number) {
    this.#disk = disk
    this.#clusterId = clusterId
    this.#segmentBytesMax = segmentBytesMax
  }

  /** Goes on behind what was recovered. A process that died may have left any of it unsynced: it may have changed files. */
  adopt(segments: readonly SegmentFile[]): void {
    const last = segments.at(-1)
    if (last === undefined) return
    this.#current = { ...last }
    this.#dirty = segments.map(({ name }) => name)
  }

  /** Whether the file that is appended to begins at `position`. */
  startsAt(position: number): boolean {
    const file = this.#current
    return file !== null && file.sizeBytes > 0 && file.name === segmentName(position)
  }

  /** Writes one block, `newFile`: at the beginning of a file; throws a `DiskError` and can be called again with the same. */
  append(
    parts: readonly Uint8Array[],
    lengthBytes: number,
    position: number,
    synced: number,
    newFile = false,
  ): void {
    this.#repair()
    let file = this.#current
    const written = [blockHeader(parts, lengthBytes, position, synced), ...parts]
    let writtenBytes = blockHeaderBytes + lengthBytes
    // A file with no records yet can't be followed by one of the same name.
    const isFull = file === null || newFile || file.sizeBytes >= this.#segmentBytesMax
    if (file === null || (isFull && !this.startsAt(position))) {
      file = { name: segmentName(position), sizeBytes: 0 }
      this.#current = file
    }
    if (file.sizeBytes === 0) {
      written.unshift(fileHeader(segmentKind, this.#clusterId, position))
      writtenBytes += fileHeaderBytes
    }
    this.#torn = true
    this.#disk.append(file.name, written)
    this.#torn = false
    file.sizeBytes += writtenBytes
    if (this.#dirty.at(-1) !== file.name) this.#dirty.push(file.name)
  }

  /** Makes everything appended so far durable. One at a time. */
  sync(done: (error: DiskError | null) => void): void {
    const names = this.#dirty
    this.#dirty = []
    const next = (index: number): void => {
      const name = names[index]
      if (name === undefined) {
        done(null)
        return
      }
      this.#syncFile(name, (error) => {
        if (error === null) next(index + 1)
        else done(error)
      })
    }
    next(0)
  }

  #syncFile(name: string, done: (error: DiskError | null) => void): void {
    try {
      this.#disk.sync(name, done)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      done(error)
    }
  }

  #repair(): void {
    const file = this.#current
    if (!this.#torn || file === null) return
    if (file.sizeBytes > 0) this.#disk.truncate(file.name, file.sizeBytes)
    else if (this.#disk.list().includes(file.name)) this.#disk.remove(file.name)
    this.#torn = false
  }
}
