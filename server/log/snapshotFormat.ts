/**
 * How a snapshot lies on disk: one file, named after the log position from which the log must be replayed behind it.
 *
 *     snapshot := header (`fileHeader.ts`) | block* | end
 *     block    := length u32 | crc u32 | offset f64 | part*
 *     part     := slot u16 | label (mask u8, stamp f64*) | size u32 | key*     keys as in a slot state, without the count, large ones in pieces
 *     end      := 0xffffffff u32 | crc u32 | offset f64 | logEnd f64 | takenAtMs f64
 *
 * `length` counts the bytes of the parts; `crc` covers everything behind itself. `offset` is where block or end lies in the
 * file. A slot is one part, or several with one label, in order: a key that comes again replaces what came before, and
 * so does an element of a piece.
 *
 * A file without its end is no snapshot. The end is written when everything before it is durable, and so is the log up to
 * `logEnd`, which is behind every operation that any part holds.
 */
import { readSlot, readVector, writeVector } from '#protocol/sync/record.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { crc32 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type FileKind, fileHeaderBytes, positionedName } from './fileHeader.ts'

export const snapshotKind: FileKind = { title: 'snapshot', magic: 'antisnap', version: 3, versionMin: 1 }
export const snapshotBlockHeaderBytes = 16
export const snapshotEndBytes = 32
const endMark = 0xffffffff

const namePattern = /^[0-9]{16}\.snapshot$/

export const snapshotName = (position: number): string => positionedName(position, 'snapshot')
export const isSnapshotName = (name: string): boolean => namePattern.test(name)

/** What the end of a snapshot tells. */
export interface SnapshotEnd {
  /** The log was durable up to here before the snapshot became one. */
  logEnd: number
  /** Wall clock when it was complete. */
  takenAtMs: number
}

/** Gathers the parts of one block. */
export class SnapshotBlock {
  readonly #writer = new ByteWriter()
  #sizeAt = 0

  constructor() {
    this.clear()
  }

  /** The parts' keys are written to it, between `beginPart` and `endPart`. */
  get writer(): ByteWriter {
    return this.#writer
  }

  get partsBytes(): number {
    return this.#writer.length - snapshotBlockHeaderBytes
  }

  clear(): void {
    this.#writer.clear()
    for (let at = 0; at < snapshotBlockHeaderBytes; at += 4) this.#writer.u32(0)
  }

  beginPart(slot: number, label: VersionVector): void {
    this.#writer.u16(slot)
    writeVector(this.#writer, label)
    this.#sizeAt = this.#writer.length
    this.#writer.u32(0)
  }

  endPart(): void {
    this.#writer.setU32(this.#sizeAt, this.#writer.length - this.#sizeAt - 4)
  }

  /** The block as it lies at `offset` of the file; valid until the next part. */
  bytes(offset: number): Uint8Array {
    const writer = this.#writer
    const { length } = writer
    writer.length = 8
    writer.f64(offset)
    writer.length = length
    writer.setU32(0, this.partsBytes)
    writer.setU32(4, crc32(writer.bytes, 8, length))
    return writer.view()
  }
}

export function snapshotEnd(offset: number, { logEnd, takenAtMs }: SnapshotEnd): Uint8Array {
  const writer = new ByteWriter(snapshotEndBytes)
  writer.u32(endMark)
  writer.u32(0)
  writer.f64(offset)
  writer.f64(logEnd)
  writer.f64(takenAtMs)
  writer.setU32(4, crc32(writer.bytes, 8, snapshotEndBytes))
  return writer.take()
}

/** Null when `bytes`, at `offset` of the file, are no end, or a damaged one. */
export function readSnapshotEnd(bytes: Uint8Array, offset: number): SnapshotEnd | null {
  if (offset < fileHeaderBytes || bytes.length !== snapshotEndBytes) return null
  const reader = new ByteReader(bytes)
  if (reader.u32() !== endMark || reader.u32() !== crc32(bytes, 8, snapshotEndBytes)) return null
  if (reader.f64() !== offset) return null
  const logEnd = reader.f64()
  const takenAtMs = reader.f64()
  return Number.isSafeInteger(logEnd) && logEnd >= 0 ? { logEnd, takenAtMs } : null
}

const headerReader = new ByteReader(new Uint8Array(0))

/** Length of the parts of the block whose header is at `at`; null when there can't be one, with `roomBytes` left for it. */
export function snapshotBlockBytes(bytes: Uint8Array, at: number, roomBytes: number): number | null {
  headerReader.reset(bytes, at, bytes.length)
  const lengthBytes = headerReader.u32()
  return lengthBytes + snapshotBlockHeaderBytes <= roomBytes ? lengthBytes : null
}

/** Whether the block at `at`, which lies whole in `bytes` and at `offset` of the file, is what was written there. */
export function snapshotBlockIsIntact(
  bytes: Uint8Array,
  at: number,
  lengthBytes: number,
  offset: number,
): boolean {
  headerReader.reset(bytes, at + 4, bytes.length)
  const crc = headerReader.u32()
  if (headerReader.f64() !== offset) return false
  return crc === crc32(bytes, at + 8, at + snapshotBlockHeaderBytes + lengthBytes)
}

/** A part of a slot: its keys are the bytes [start, end). `label` is valid during the call only. */
export type TakePart = (
  slot: number,
  label: VersionVector,
  bytes: Uint8Array,
  start: number,
  end: number,
) => void

const partLabel = emptyVector()

/** Shows the parts of a block, which are the bytes [start, end). Throws `FormatError`. */
export function readParts(bytes: Uint8Array, start: number, end: number, take: TakePart): void {
  const reader = new ByteReader(bytes, start, end)
  while (!reader.atEnd) {
    const slot = readSlot(reader)
    readVector(reader, partLabel)
    const size = reader.u32()
    if (size > reader.end - reader.at) throw new FormatError(`part of ${size} bytes at offset ${reader.at}`)
    const keysStart = reader.at
    reader.at += size
    take(slot, partLabel, bytes, keysStart, reader.at)
  }
}
