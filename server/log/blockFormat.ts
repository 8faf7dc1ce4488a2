/**
 * How the log lies on disk. A segment is a file named after the position of its first record:
 *
 *     segment := magic 'antiplog' | version u32 | cluster u32 | position f64 | crc u32 | block*
 *     block   := length u32 | crc u32 | position f64 | synced f64 | record*
 *
 * The segment header keeps this shape in every version. `length` counts the records' bytes; `crc` covers everything behind itself, of a segment header everything before.
 * `position` is that of the block's first record and continues the previous block. `synced` is the position up to which the
 * log was known to be durable when the block was written: what recovery needs to tell an unsynced tail, which a power cut
 * may leave in any state, from damage to data that was promised to be safe.
 */

import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { allocate, bytesOf, crc32 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

export const logVersion = 1
export const segmentHeaderBytes = 28
export const blockHeaderBytes = 24
/** A block is one turn's records; above it a length can only be damage. */
export const blockBytesMax = 2 ** 31

const magic = bytesOf('antiplog')
const positionDigits = 16
const namePattern = /^[0-9]{16}\.log$/

export const segmentName = (position: number): string =>
  `${String(position).padStart(positionDigits, '0')}.log`
export const isSegmentName = (name: string): boolean => namePattern.test(name)
export const segmentPosition = (name: string): number => Number(name.slice(0, positionDigits))

export function segmentHeader(clusterId: number, position: number): Uint8Array {
  const writer = new ByteWriter(segmentHeaderBytes)
  writer.raw(magic)
  writer.u32(logVersion)
  writer.u32(clusterId)
  writer.f64(position)
  writer.u32(crc32(writer.view()))
  return writer.take()
}

/** Null when the header is as it should be, else what is wrong with it; `foreign` is never the work of a torn write. */
export function segmentHeaderProblem(
  bytes: Uint8Array,
  clusterId: number,
  position: number,
): { kind: 'damaged' | 'foreign'; text: string } | null {
  if (bytes.length < segmentHeaderBytes) return { kind: 'damaged', text: 'the header is incomplete' }
  for (let i = 0; i < magic.length; i++) {
    if (bytes[i] !== magic[i]) return { kind: 'damaged', text: 'the file does not start like a log segment' }
  }
  const reader = new ByteReader(bytes, magic.length, segmentHeaderBytes)
  const version = reader.u32()
  const cluster = reader.u32()
  const headerPosition = reader.f64()
  // First of all: a version that a torn write made up is not a version.
  if (reader.u32() !== crc32(bytes, 0, segmentHeaderBytes - 4)) {
    return { kind: 'damaged', text: 'the header has a wrong checksum' }
  }
  if (version !== logVersion) {
    return { kind: 'foreign', text: `log format ${version} found, this program reads format ${logVersion}` }
  }
  if (cluster !== clusterId) {
    return {
      kind: 'foreign',
      text: `the log was written by cluster ${cluster}, this is cluster ${clusterId}`,
    }
  }
  if (headerPosition !== position) {
    return { kind: 'foreign', text: `the file was renamed: it starts at position ${headerPosition}` }
  }
  return null
}

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
