/**
 * How the log lies on disk. A segment is a file named after the position of its first record:
 *
 *     segment := header (`fileHeader.ts`) | block*
 *     block   := length u32 | crc u32 | position f64 | synced f64 | record*
 *
 * `length` counts the records' bytes; `crc` covers everything behind itself. `position` is that of the block's first record
 * and continues the previous block. `synced` is a position up to which the log was known to be durable when the block was
 * written: what recovery needs to tell an unsynced tail, which a power cut may leave in any state, from damage to data
 * that was promised to be safe. An empty block whose `synced` is its position, other than 0, marks a clean stop.
 */

import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { allocate, crc32 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type FileKind, positionedName } from './fileHeader.ts'

export const segmentKind: FileKind = { title: 'log', magic: 'antiplog', version: 3, versionMin: 1 }
export const blockHeaderBytes = 24
/** A block is one turn's records; above it a length can only be damage. */
export const blockBytesMax = 2 ** 31

const namePattern = /^[0-9]{16}\.log$/

export const segmentName = (position: number): string => positionedName(position, 'log')
export const isSegmentName = (name: string): boolean => namePattern.test(name)

/** The header of a block that holds `parts`, which are `lengthBytes` long together. */
export function blockHeader(
  parts: readonly Uint8Array[],
  lengthBytes: number,
  position: number,
  synced: number,
): Uint8Array {
  const header = new ByteWriter(blockHeaderBytes)
  header.u32(lengthBytes)
  header.u32(0)
  header.f64(position)
  header.f64(synced)
  let crc = crc32(header.bytes, 8, blockHeaderBytes)
  for (const part of parts) crc = crc32(part, 0, part.length, crc)
  header.setU32(4, crc)
  return header.view()
}

export interface BlockHeader {
  lengthBytes: number
  position: number
  synced: number
}

const noBytes = allocate(0)
const headerReader = new ByteReader(noBytes)

/** The header at `at` if its figures are possible at all, with `roomBytes` left in the file behind `at`. */
export function possibleBlock(bytes: Uint8Array, at: number, roomBytes: number): BlockHeader | null {
  headerReader.reset(bytes, at, bytes.length)
  const lengthBytes = headerReader.u32()
  if (lengthBytes > blockBytesMax || lengthBytes + blockHeaderBytes > roomBytes) return null
  headerReader.u32()
  const position = headerReader.f64()
  const synced = headerReader.f64()
  if (!Number.isSafeInteger(position) || !(synced >= 0 && synced <= position)) return null
  return { lengthBytes, position, synced }
}

/** Whether the block at `at`, which lies whole in `bytes`, has the checksum it says. */
export function blockIsIntact(bytes: Uint8Array, at: number, lengthBytes: number): boolean {
  headerReader.reset(bytes, at + 4, bytes.length)
  return headerReader.u32() === crc32(bytes, at + 8, at + blockHeaderBytes + lengthBytes)
}
