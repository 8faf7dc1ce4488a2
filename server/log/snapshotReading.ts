/** Reads snapshots: whether a file is one, whether it is intact, and what is in it. */
import { FormatError } from '#runtime/bytes/byteReader.ts'
import type { Disk } from '#runtime/ports.ts'
import { fileHeaderBytes, fileHeaderProblem, positionOf } from './fileHeader.ts'
import {
  readParts,
  readSnapshotEnd,
  type SnapshotEnd,
  snapshotBlockBytes,
  snapshotBlockHeaderBytes,
  snapshotBlockIsIntact,
  snapshotEndBytes,
  snapshotKind,
  type TakePart,
} from './snapshotFormat.ts'
import { LogRefusal, restoreAdvice, versionAdvice, WindowedFile } from './windowedFile.ts'

/** A file with the end of a snapshot. */
export interface SnapshotFile extends SnapshotEnd {
  name: string
  /** Where the log behind it begins. */
  position: number
  sizeBytes: number
}

/** Null: it has no end. */
export function snapshotFile(disk: Disk, name: string): SnapshotFile | null {
  const sizeBytes = disk.sizeBytes(name)
  const offset = sizeBytes - snapshotEndBytes
  if (offset < fileHeaderBytes) return null
  const end = readSnapshotEnd(disk.read(name, offset, snapshotEndBytes), offset)
  return end === null ? null : { ...end, name, position: positionOf(name), sizeBytes }
}

/** Where and how the file is not what was written; null: it is. Throws `LogRefusal` when it is another program's. */
export function* verifySnapshot(
  disk: Disk,
  clusterId: number,
  snapshot: SnapshotFile,
): Generator<number, { offsetBytes: number; text: string } | null, void> {
  try {
    yield* readBlocks(disk, clusterId, snapshot, () => {})
    return null
  } catch (error) {
    if (!(error instanceof SnapshotDamage)) throw error
    return { offsetBytes: error.offsetBytes, text: error.message }
  }
}

/** Shows every part, in order; yields the bytes read so far. Throws `LogRefusal`. */
export function* loadSnapshot(
  disk: Disk,
  clusterId: number,
  snapshot: SnapshotFile,
  take: TakePart,
): Generator<number, void, void> {
  try {
    yield* readBlocks(disk, clusterId, snapshot, (bytes, start, end, offset) => {
      try {
        readParts(bytes, start, end, take)
      } catch (error) {
        // The checksum held, so these are the bytes that were written: by a program that we don't understand.
        if (!(error instanceof FormatError)) throw error
        throw new LogRefusal(snapshot.name, offset, `unreadable slot: ${error.message}`, versionAdvice)
      }
    })
  } catch (error) {
    if (!(error instanceof SnapshotDamage)) throw error
    throw new LogRefusal(
      snapshot.name,
      error.offsetBytes,
      `${error.message}, and the log before it is gone`,
      restoreAdvice,
    )
  }
}

class SnapshotDamage extends Error {
  readonly offsetBytes: number

  constructor(offsetBytes: number, message: string) {
    super(message)
    this.offsetBytes = offsetBytes
  }
}

function* readBlocks(
  disk: Disk,
  clusterId: number,
  { name, position, sizeBytes }: SnapshotFile,
  take: (bytes: Uint8Array, start: number, end: number, offset: number) => void,
): Generator<number, void, void> {
  const file = new WindowedFile(disk, name)
  const problem = fileHeaderProblem(snapshotKind, file.head(fileHeaderBytes), clusterId, position)
  if (problem?.kind === 'foreign') throw new LogRefusal(name, 0, problem.text, versionAdvice)
  if (problem !== null) throw new SnapshotDamage(0, problem.text)
  const endOffset = sizeBytes - snapshotEndBytes
  for (let offset = fileHeaderBytes; offset < endOffset; ) {
    const room = endOffset - offset
    if (room < snapshotBlockHeaderBytes) throw new SnapshotDamage(offset, 'a block header is cut short')
    const lengthBytes = file.look(offset, snapshotBlockHeaderBytes, (bytes, at) =>
      snapshotBlockBytes(bytes, at, room),
    )
    if (lengthBytes === null)
      throw new SnapshotDamage(offset, 'a block is cut short or its header is damaged')
    file.look(offset, snapshotBlockHeaderBytes + lengthBytes, (bytes, at) => {
      if (!snapshotBlockIsIntact(bytes, at, lengthBytes, offset)) {
        throw new SnapshotDamage(offset, 'a block has a wrong checksum')
      }
      const start = at + snapshotBlockHeaderBytes
      take(bytes, start, start + lengthBytes, offset)
    })
    offset += snapshotBlockHeaderBytes + lengthBytes
    yield offset
  }
}
