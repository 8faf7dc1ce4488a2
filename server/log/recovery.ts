/**
 * Reads the log back at start. What may be wrong with a log, and what is done about it:
 *
 * - **A torn tail.** A process or machine that stops leaves a last block that is cut short, and after a power cut anything
 *   that was not synced may be missing or zero, a whole file too. Nobody was promised these bytes and no peer has seen them (only durable
 *   operations are shipped), so the log ends before them: the file is truncated, later files are removed, and it is told.
 * - **Damage.** A bad block behind which an intact one says that the log had been durable beyond the bad one. Operations
 *   that clients and peers rely on are gone; going on would give their stamps' chain to other operations, and the clusters
 *   would never agree again. The start is refused, naming file and offset. Nothing is changed.
 * - **A foreign log**: another format version, another cluster's, a renamed or missing file. Refused.
 *
 * Which snapshot to begin with, and so which files are read, is `chain.ts`.
 */

import { recordLength } from '#protocol/sync/record.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { Disk } from '#runtime/ports.ts'
import {
  type BlockHeader,
  blockHeaderBytes,
  blockIsIntact,
  possibleBlock,
  segmentKind,
} from './blockFormat.ts'
import type { LogChain } from './chain.ts'
import { fileHeaderBytes, fileHeaderProblem, positionOf } from './fileHeader.ts'
import { LogRefusal, restoreAdvice, versionAdvice, WindowedFile } from './windowedFile.ts'

/** Where an unsynced tail was cut off. */
export interface Tear {
  file: string
  offsetBytes: number
  lostBytes: number
  problem: string
}

export interface SegmentFile {
  name: string
  sizeBytes: number
}

export interface RecoveredLog {
  /** There was a log at all, even if nothing in it. */
  found: boolean
  /** It ends with the mark of a clean stop: nothing is missing. */
  closed: boolean
  /** Behind the last record. */
  end: number
  /** The files that remain, oldest first. */
  segments: SegmentFile[]
  tear: Tear | null
}

/** Called for each record; `bytesLeft` is at least what follows it. */
export type TakeRecord = (bytes: Uint8Array, start: number, end: number, bytesLeft: number) => void

/** Reads the segments of `chain`; yields the bytes read so far, the snapshot's included, after each block. */
export function* recoverLog(
  disk: Disk,
  clusterId: number,
  chain: LogChain,
  take: TakeRecord,
): Generator<number, RecoveredLog, void> {
  const { segments: names, start } = chain
  const segments: SegmentFile[] = []
  let bytesLeft = 0
  for (const name of names) bytesLeft += disk.sizeBytes(name)
  let bytesRead = chain.snapshot?.sizeBytes ?? 0
  let position = start
  let closed = false
  for (let i = 0; i < names.length; i++) {
    const file = new WindowedFile(disk, names[i] as string)
    let offset = 0
    for (;;) {
      const step = offset === 0 ? readHeader(file, clusterId, position) : readBlock(file, offset, position)
      if (step === null) break
      if (typeof step === 'string') {
        refuseDamage(disk, chain, i, offset, position, step)
        const tear = cutTail(disk, names, i, offset, step, segments)
        return { found: true, closed: false, end: position, segments, tear }
      }
      takeRecords(file, offset, step, bytesLeft - step.fileBytes, take)
      // The block that begins a log is empty, too.
      closed = step.recordBytes === 0 && step.synced === position && position > 0
      offset += step.fileBytes
      position += step.recordBytes
      bytesLeft -= step.fileBytes
      bytesRead += step.fileBytes
      yield bytesRead
    }
    segments.push({ name: file.name, sizeBytes: file.sizeBytes })
  }
  const last = segments.at(-1)
  if (last !== undefined) refuseShortLog(chain, last.name, last.sizeBytes, position, 'the log ends')
  return { found: names.length > 0, closed, end: position, segments, tear: null }
}

interface Step {
  fileBytes: number
  recordBytes: number
  synced: number
}

function readHeader(file: WindowedFile, clusterId: number, position: number): Step | string {
  const start = positionOf(file.name)
  if (start > position) return `it continues at position ${start}, but the log before it ends at ${position}`
  if (start < position) {
    const text = `it starts at position ${start}, before the end ${position} of the file before it`
    throw new LogRefusal(file.name, 0, text, restoreAdvice)
  }
  const problem = fileHeaderProblem(segmentKind, file.head(fileHeaderBytes), clusterId, start)
  if (problem === null) return { fileBytes: fileHeaderBytes, recordBytes: 0, synced: 0 }
  if (problem.kind === 'foreign') throw new LogRefusal(file.name, 0, problem.text, versionAdvice)
  return problem.text
}

/** The next block's size; null at the end of the file; a text when there is no good block. */
function readBlock(file: WindowedFile, offset: number, position: number): Step | string | null {
  const room = file.sizeBytes - offset
  if (room === 0) return null
  if (room < blockHeaderBytes) return 'a block header is cut short'
  const block = file.look(offset, blockHeaderBytes, (bytes, at) => possibleBlock(bytes, at, room))
  if (block === null) return 'a block is cut short or its header is damaged'
  if (block.position !== position) return `a block for position ${block.position} where ${position} should be`
  const fileBytes = blockHeaderBytes + block.lengthBytes
  const { lengthBytes } = block
  const isIntact = file.look(offset, fileBytes, (bytes, at) => blockIsIntact(bytes, at, lengthBytes))
  if (!isIntact) return 'a block has a wrong checksum'
  return { fileBytes, recordBytes: lengthBytes, synced: block.synced }
}

function takeRecords(file: WindowedFile, offset: number, step: Step, bytesLeft: number, take: TakeRecord) {
  if (step.recordBytes === 0) return
  file.look(offset, step.fileBytes, (bytes, blockAt) => {
    const end = blockAt + step.fileBytes
    for (let at = blockAt + blockHeaderBytes; at < end; ) {
      try {
        const behind = at + recordLength(bytes, at, end)
        if (behind > end) throw new FormatError('the record is longer than its block')
        take(bytes, at, behind, bytesLeft + end - behind)
        at = behind
      } catch (error) {
        // The checksum held, so these are the bytes that were written: by a program that we don't understand.
        if (!(error instanceof FormatError)) throw error
        const problem = `unreadable record: ${error.message}`
        throw new LogRefusal(file.name, offset + at - blockAt, problem, versionAdvice)
      }
    }
  })
}

/** Throws when the log is known to have been durable beyond `position`, by a block behind the bad one or by a snapshot. */
function refuseDamage(
  disk: Disk,
  chain: LogChain,
  index: number,
  offset: number,
  position: number,
  problem: string,
): void {
  const { segments: names, snapshot } = chain
  const name = names[index] as string
  refuseShortLog(chain, name, offset, position, problem)
  if (snapshot !== null && index === 0 && offset === 0) {
    throw new LogRefusal(name, 0, `${problem}, and snapshot ${snapshot.name} needs the file`, restoreAdvice)
  }
  for (let i = index; i < names.length; i++) {
    const file = new WindowedFile(disk, names[i] as string)
    if (!claimsDurable(file, i === index ? offset + 1 : 0, position)) continue
    const text = `${problem}, and ${file.name} holds intact data behind it: durable operations are damaged`
    throw new LogRefusal(name, offset, text, restoreAdvice)
  }
}

function refuseShortLog(
  { witness }: LogChain,
  name: string,
  offset: number,
  position: number,
  problem: string,
): void {
  if (witness === null || position >= witness.logEnd) return
  const text = `${problem}, and ${witness.name} says that the log was durable up to position ${witness.logEnd}, not ${position}: durable operations are damaged`
  throw new LogRefusal(name, offset, text, restoreAdvice)
}

/** Looks at every offset, as nothing says where the next block starts when a length is damaged. */
function claimsDurable(file: WindowedFile, from: number, position: number): boolean {
  const reader = new ByteReader(new Uint8Array(0))
  let room = 0
  const blockHere = (bytes: Uint8Array, at: number): BlockHeader | null => {
    // Cheap test first: the last field of a header that matters here is above `position`.
    reader.reset(bytes, at + 16, at + blockHeaderBytes)
    if (!(reader.f64() > position)) return null
    const block = possibleBlock(bytes, at, room)
    return block !== null && block.position - position <= 2 ** 50 ? block : null
  }
  for (let offset = from; offset + blockHeaderBytes <= file.sizeBytes; offset++) {
    room = file.sizeBytes - offset
    const block = file.look(offset, blockHeaderBytes, blockHere)
    if (block === null) continue
    const { lengthBytes } = block
    const isIntact = file.look(offset, blockHeaderBytes + lengthBytes, (bytes, at) =>
      blockIsIntact(bytes, at, lengthBytes),
    )
    if (isIntact) return true
  }
  return false
}

function cutTail(
  disk: Disk,
  names: readonly string[],
  index: number,
  offset: number,
  problem: string,
  segments: SegmentFile[],
): Tear {
  const name = names[index] as string
  let lostBytes = disk.sizeBytes(name) - offset
  // Later files first: were this to stop half-way, the tear would be found again.
  for (let i = names.length - 1; i > index; i--) {
    lostBytes += disk.sizeBytes(names[i] as string)
    disk.remove(names[i] as string)
  }
  if (offset === 0) disk.remove(name)
  else {
    disk.truncate(name, offset)
    segments.push({ name, sizeBytes: offset })
  }
  return { file: name, offsetBytes: offset, lostBytes, problem }
}
