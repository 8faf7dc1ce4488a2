/**
 * The messages by which a shard learns what a third cluster has applied of its operations, over who relays them.
 *
 *     feed -> intake    askRelayed   stamp f64 | ranges
 *     intake -> feed    appliedAt    member u8 | stamp f64 | ranges
 *     ranges    := count varint | (first u16, last u16)*
 *
 * `askRelayed` is `askApplied` (`message.ts`) for operations of a third cluster, whose stamp it names: all that it issued up to there in these slots.
 * `appliedAt` answers it, and is passed on towards that cluster as it is: the member that it names has applied them. A flag of the subscribe
 * says that its sender answers, one of the plan that its sender takes what is passed on.
 */
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readSlot, readStamp } from './record.ts'
import { type ClusterId, originsMax, type Stamp } from './stamp.ts'

/** Of one message. */
const rangesMax = 1024
/** Among the kinds of `message.ts`. */
const RelayKind = { askRelayed: 28, appliedAt: 29 } as const

/** First and last hash slot, both included. */
export interface Slots {
  first: number
  last: number
}

/** A third cluster's operations in these slots, up to the stamp, have been sent. */
export interface AskRelayed {
  kind: 'askRelayed'
  stamp: Stamp
  ranges: readonly Slots[]
}

/** The member has applied them, durably. */
export interface AppliedAt {
  kind: 'appliedAt'
  member: ClusterId
  stamp: Stamp
  ranges: readonly Slots[]
}

export type RelayMessage = AskRelayed | AppliedAt

export function writeAskRelayed(writer: ByteWriter, { stamp, ranges }: Omit<AskRelayed, 'kind'>): void {
  writer.u8(RelayKind.askRelayed)
  writer.f64(stamp)
  writeRanges(writer, ranges)
}

export function writeAppliedAt(writer: ByteWriter, { member, stamp, ranges }: Omit<AppliedAt, 'kind'>): void {
  writer.u8(RelayKind.appliedAt)
  writer.u8(member)
  writer.f64(stamp)
  writeRanges(writer, ranges)
}

function writeRanges(writer: ByteWriter, ranges: readonly Slots[]): void {
  writer.varint(ranges.length)
  for (const { first, last } of ranges) {
    writer.u16(first)
    writer.u16(last)
  }
}

/** Null: it is of another kind. */
export function readRelayMessage(kind: number, reader: ByteReader): RelayMessage | null {
  if (kind === RelayKind.askRelayed)
    return { kind: 'askRelayed', stamp: readStamp(reader), ranges: readRanges(reader) }
  if (kind !== RelayKind.appliedAt) return null
  return {
    kind: 'appliedAt',
    member: readCluster(reader),
    stamp: readStamp(reader),
    ranges: readRanges(reader),
  }
}

/** At least one, ascending, without overlap. */
function readRanges(reader: ByteReader): Slots[] {
  const count = reader.varint()
  if (count === 0 || count > rangesMax) throw new FormatError(`${count} ranges of hash slots`)
  const ranges: Slots[] = []
  for (let behind = 0; ranges.length < count; ) {
    const range = readRange(reader, behind)
    ranges.push(range)
    behind = range.last + 1
  }
  return ranges
}

/** Not before slot `behind`. */
export function readRange(reader: ByteReader, behind: number): Slots {
  const first = readSlot(reader)
  const last = readSlot(reader)
  if (first < behind || last < first) throw new FormatError(`hash slots ${first} to ${last}, not in order`)
  return { first, last }
}

export function readCluster(reader: ByteReader): ClusterId {
  const clusterId = reader.u8()
  if (clusterId < 1 || clusterId > originsMax) throw new FormatError(`cluster ${clusterId}`)
  return clusterId
}
