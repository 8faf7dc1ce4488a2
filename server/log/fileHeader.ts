/**
 * The first bytes of each file of the log and of each snapshot:
 *
 *     header := magic (8 characters) | version u32 | cluster u32 | position f64 | crc u32
 *
 * It keeps this shape in every version. `crc` covers all before it.
 */
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { bytesOf, crc32, latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

export const fileHeaderBytes = 28
const magicBytes = 8
const positionDigits = 16

export interface FileKind {
  /** What messages call it. */
  readonly title: string
  readonly magic: string
  /** Of what is written; a later one can't be read. */
  readonly version: number
  /** The oldest that can be read. */
  readonly versionMin: number
}

/** `NNNNNNNNNNNNNNNN.extension`, so that names sort by position. */
export const positionedName = (position: number, extension: string): string =>
  `${String(position).padStart(positionDigits, '0')}.${extension}`

export const positionOf = (name: string): number => Number(name.slice(0, positionDigits))

export function fileHeader(kind: FileKind, clusterId: number, position: number): Uint8Array {
  const writer = new ByteWriter(fileHeaderBytes)
  writer.raw(bytesOf(kind.magic))
  writer.u32(kind.version)
  writer.u32(clusterId)
  writer.f64(position)
  writer.u32(crc32(writer.view()))
  return writer.take()
}

/** `foreign` is never the work of a torn write. */
export interface HeaderProblem {
  kind: 'damaged' | 'foreign'
  text: string
}

/** Null when the header is as it should be, else what is wrong with it. */
export function fileHeaderProblem(
  kind: FileKind,
  bytes: Uint8Array,
  clusterId: number,
  position: number,
): HeaderProblem | null {
  if (bytes.length < fileHeaderBytes) return { kind: 'damaged', text: 'the header is incomplete' }
  if (latin1(bytes, 0, magicBytes) !== kind.magic) {
    return { kind: 'damaged', text: `the file does not start like a ${kind.title}` }
  }
  const reader = new ByteReader(bytes, magicBytes, fileHeaderBytes)
  const version = reader.u32()
  const cluster = reader.u32()
  const headerPosition = reader.f64()
  // First of all: a version that a torn write made up is not a version.
  if (reader.u32() !== crc32(bytes, 0, fileHeaderBytes - 4)) {
    return { kind: 'damaged', text: 'the header has a wrong checksum' }
  }
  if (version < kind.versionMin || version > kind.version) {
    const text = `${kind.title} format ${version} found, this program reads formats ${kind.versionMin} to ${kind.version}`
    return { kind: 'foreign', text }
  }
  if (cluster !== clusterId) {
    return {
      kind: 'foreign',
      text: `the file was written by cluster ${cluster}, this is cluster ${clusterId}`,
    }
  }
  if (headerPosition !== position) {
    return { kind: 'foreign', text: `the file was renamed: it starts at position ${headerPosition}` }
  }
  return null
}
