/**
 * The messages by which two shards find out where their states of a slot differ before one of them is sent (`server/sync/DESIGN.md`).
 *
 *     feed -> intake    askDigests    slot u16 | number varint | bits u8 | key 16 bytes
 *     intake -> feed    digests       slot u16 | number varint | digests
 *     feed -> intake    cutDiffering  slot u16 | number varint | label vector | a bit for each portion
 *
 * The keys of the slot are dealt to 2^bits portions by a hash of their names that `key` seeds. A portion's digest is 16 bytes. They come
 * in as many messages as it takes, in order; one without any says that there is nothing to compare. `number` is that of the question.
 * `cutDiffering` is sent in the place of `cutBegin` (`message.ts`), and what follows it has the keys of those portions alone whose bits
 * are set: what the cut would hold of the others is what the intake had when it began to make its digests.
 */
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readSlot, writeVector } from './record.ts'
import { vectorOf } from './stateMessage.ts'
import type { VersionVector } from './versionVector.ts'

export const digestBytes = 16
export const portionKeyBytes = 16
/** 2^14 portions: their digests are 256 KiB. */
export const portionBitsMax = 14
/** Of one message. */
export const digestsBytesMax = 64 * 1024
/** Among the kinds of `message.ts`. */
const DigestKind = { askDigests: 20, digests: 21, cutDiffering: 22 } as const

/** How the keys of a slot are dealt to portions. */
export interface Portioning {
  /** Of the number of portions, which is a power of two. */
  bits: number
  /** Of the hashes; known to the two shards alone. */
  key: Uint8Array
}

export interface AskDigests {
  kind: 'askDigests'
  slot: number
  number: number
  portioning: Portioning
}

export interface Digests {
  kind: 'digests'
  slot: number
  number: number
  bytes: Uint8Array
  start: number
  end: number
}

export interface CutDiffering {
  kind: 'cutDiffering'
  slot: number
  number: number
  label: VersionVector
  /** Bit p % 8 of byte p / 8: portion p differs. */
  bytes: Uint8Array
  start: number
  end: number
}

export type DigestMessage = AskDigests | Digests | CutDiffering

export function writePortioning(writer: ByteWriter, { bits, key }: Portioning): void {
  writer.u8(bits)
  writer.raw(key)
}

export function readPortioning(reader: ByteReader): Portioning {
  const bits = reader.u8()
  if (bits > portionBitsMax) throw new FormatError(`2^${bits} portions of a slot`)
  return { bits, key: copyOf(reader.raw(portionKeyBytes)) }
}

export function writeAskDigests(
  writer: ByteWriter,
  { slot, number, portioning }: Omit<AskDigests, 'kind'>,
): void {
  writer.u8(DigestKind.askDigests)
  writer.u16(slot)
  writer.varint(number)
  writePortioning(writer, portioning)
}

export function writeDigests(
  writer: ByteWriter,
  slot: number,
  number: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  writer.u8(DigestKind.digests)
  writer.u16(slot)
  writer.varint(number)
  writer.raw(bytes, start, end)
}

export function writeCutDiffering(
  writer: ByteWriter,
  slot: number,
  number: number,
  label: VersionVector,
  differing: Uint8Array,
): void {
  writer.u8(DigestKind.cutDiffering)
  writer.u16(slot)
  writer.varint(number)
  writeVector(writer, label)
  writer.raw(differing)
}

/** Of a message of this kind, what follows it; null: it is none of these. */
export function readDigestMessage(
  kind: number,
  reader: ByteReader,
  bytes: Uint8Array,
  end: number,
): DigestMessage | null {
  switch (kind) {
    case DigestKind.askDigests:
      return {
        kind: 'askDigests',
        slot: readSlot(reader),
        number: reader.varint(),
        portioning: readPortioning(reader),
      }
    case DigestKind.digests: {
      const [slot, number] = [readSlot(reader), reader.varint()]
      if ((end - reader.at) % digestBytes !== 0 || end - reader.at > digestsBytesMax)
        throw new FormatError(`digests in ${end - reader.at} bytes`)
      return { kind: 'digests', slot, number, bytes, start: reader.at, end }
    }
    case DigestKind.cutDiffering: {
      const [slot, number, label] = [readSlot(reader), reader.varint(), vectorOf(reader)]
      return { kind: 'cutDiffering', slot, number, label, bytes, start: reader.at, end }
    }
    default:
      return null
  }
}
