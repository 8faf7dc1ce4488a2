/**
 * Messages of a sync channel: the frame `channelData` carries one each. A channel joins one source shard (its feed) with
 * one destination shard of another cluster (its intake) for the hash slots that both own.
 *
 *     intake -> feed    subscribe    version u8 | round varint | flags u8 | runId text | staleRuns | origins u8 | count varint | (slot step varint, vector)*
 *     feed -> intake    plan         version u8 | round varint | flags u8 | runId text | slotStates varint
 *     feed -> intake    operations   records of kind 1, back to back
 *     feed -> intake    slotState    slot u16 | part varint | flags u8 | [label vector, when part = 0] | bytes
 *     feed -> intake    caughtUp     round varint
 *     feed -> intake    heartbeat    flags u8 | count varint | (first u16, last u16, applied vector)*
 *     intake -> feed    acknowledge  received varint
 *     intake -> feed    need         slot u16
 *     feed -> intake    behind       -
 *     staleRuns := count u8 | (clusterId u8, runId text)*
 *
 * Order is what gives them their meaning. A plan answers the subscribe of the same round, and what follows it follows from
 * the vectors in that subscribe. A heartbeat that names slots proves that everything its sender issued in them before it took
 * the vector has been sent on this channel before. `received` counts the bytes of operations and slotState messages since
 * the channel was opened: it is flow control and proves nothing. Exactly-once comes from the chains in the records.
 */
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readSlot, readVector, slotsMax, writeVector } from './record.ts'
import { type ClusterId, originsMax } from './stamp.ts'
import { emptyVector, type VersionVector } from './versionVector.ts'

export const syncVersion = 2
/** A slot state travels in parts of at most so many bytes. */
export const slotStatePartBytesMax = 64 * 1024
const runIdBytesMax = 64

const MessageKind = {
  subscribe: 1,
  plan: 2,
  operations: 3,
  slotState: 4,
  caughtUp: 5,
  heartbeat: 6,
  acknowledge: 7,
  need: 8,
  behind: 9,
} as const

const MessageFlag = {
  /** The sender lost its data and is getting it back: it acknowledges nothing. */
  stale: 1,
  /** The last part of a slot state. */
  last: 2,
} as const

/** A process whose shard lost its data, and what follows it has not recovered yet. */
export interface StaleRun {
  clusterId: ClusterId
  runId: string
}

export interface Subscribe {
  kind: 'subscribe'
  /** Counts the subscribes of a channel; a plan and a caughtUp carry it back. */
  round: number
  stale: boolean
  /** Of the sender's process: another one means another life. */
  runId: string
  /** Of a stale subscriber: other stale ones that it knows of. */
  staleRuns: readonly StaleRun[]
  /** Bit o: records of origin o are wanted. */
  origins: number
  /** What the sender has; a slot that is missing is empty. Ascending slots. */
  vectors: Map<number, VersionVector>
}

export interface Plan {
  kind: 'plan'
  round: number
  stale: boolean
  runId: string
  /** How many slots will be sent as a whole. */
  slotStates: number
}

export interface Operations {
  kind: 'operations'
  bytes: Uint8Array
  start: number
  end: number
}

export interface SlotStatePart {
  kind: 'slotState'
  slot: number
  part: number
  last: boolean
  /** Of part 0: what the state contains. */
  label: VersionVector | null
  bytes: Uint8Array
  start: number
  end: number
}

/** What a shard has applied in a run of slots: per origin, everything up to a stamp. */
export interface AppliedRange {
  /** First and last hash slot, both included. */
  first: number
  last: number
  applied: VersionVector
}

export interface Heartbeat {
  kind: 'heartbeat'
  stale: boolean
  /** Ascending, without overlap; none: it shows that the link lives and proves nothing. */
  ranges: AppliedRange[]
}

export type Message =
  | Subscribe
  | Plan
  | Operations
  | SlotStatePart
  | Heartbeat
  | { kind: 'caughtUp'; round: number }
  | { kind: 'acknowledge'; received: number }
  | { kind: 'need'; slot: number }
  | { kind: 'behind' }

export function writeSubscribe(writer: ByteWriter, message: Omit<Subscribe, 'kind'>): void {
  writer.u8(MessageKind.subscribe)
  writer.u8(syncVersion)
  writer.varint(message.round)
  writer.u8(message.stale ? MessageFlag.stale : 0)
  writer.text(message.runId)
  writer.u8(message.staleRuns.length)
  for (const { clusterId, runId } of message.staleRuns) {
    writer.u8(clusterId)
    writer.text(runId)
  }
  writer.u8(message.origins)
  writer.varint(message.vectors.size)
  let previous = -1
  for (const [slot, vector] of message.vectors) {
    writer.varint(slot - previous)
    writeVector(writer, vector)
    previous = slot
  }
}

export function writePlan(writer: ByteWriter, message: Omit<Plan, 'kind'>): void {
  writer.u8(MessageKind.plan)
  writer.u8(syncVersion)
  writer.varint(message.round)
  writer.u8(message.stale ? MessageFlag.stale : 0)
  writer.text(message.runId)
  writer.varint(message.slotStates)
}

/** Starts an operations message; the caller appends whole records. */
export function beginOperations(writer: ByteWriter): void {
  writer.u8(MessageKind.operations)
}

export function writeSlotStatePart(
  writer: ByteWriter,
  slot: number,
  part: number,
  last: boolean,
  label: VersionVector,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  writer.u8(MessageKind.slotState)
  writer.u16(slot)
  writer.varint(part)
  writer.u8(last ? MessageFlag.last : 0)
  if (part === 0) writeVector(writer, label)
  writer.raw(bytes, start, end)
}

export function writeCaughtUp(writer: ByteWriter, round: number): void {
  writer.u8(MessageKind.caughtUp)
  writer.varint(round)
}

export function writeHeartbeat(writer: ByteWriter, stale: boolean, ranges: readonly AppliedRange[]): void {
  writer.u8(MessageKind.heartbeat)
  writer.u8(stale ? MessageFlag.stale : 0)
  writer.varint(ranges.length)
  for (const { first, last, applied } of ranges) {
    writer.u16(first)
    writer.u16(last)
    writeVector(writer, applied)
  }
}

export function writeAcknowledge(writer: ByteWriter, received: number): void {
  writer.u8(MessageKind.acknowledge)
  writer.varint(received)
}

export function writeNeed(writer: ByteWriter, slot: number): void {
  writer.u8(MessageKind.need)
  writer.u16(slot)
}

export function writeBehind(writer: ByteWriter): void {
  writer.u8(MessageKind.behind)
}

/** Reads the one message [at, end); throws `FormatError` when the bytes are none. What it returns points into `bytes`. */
export function readMessage(bytes: Uint8Array, at: number, end: number): Message {
  const reader = new ByteReader(bytes, at, end)
  const message = readBody(reader, bytes, end)
  if (message.kind !== 'operations' && message.kind !== 'slotState' && !reader.atEnd)
    throw new FormatError(`${end - reader.at} bytes behind a ${message.kind} message`)
  return message
}

function readBody(reader: ByteReader, bytes: Uint8Array, end: number): Message {
  const kind = reader.u8()
  switch (kind) {
    case MessageKind.subscribe:
      return readSubscribe(reader)
    case MessageKind.plan:
      return readPlan(reader)
    case MessageKind.operations:
      return { kind: 'operations', bytes, start: reader.at, end }
    case MessageKind.slotState:
      return readSlotStatePart(reader, bytes, end)
    case MessageKind.caughtUp:
      return { kind: 'caughtUp', round: reader.varint() }
    case MessageKind.heartbeat:
      return readHeartbeat(reader)
    case MessageKind.acknowledge:
      return { kind: 'acknowledge', received: reader.varint() }
    case MessageKind.need:
      return { kind: 'need', slot: readSlot(reader) }
    case MessageKind.behind:
      return { kind: 'behind' }
    default:
      throw new FormatError(`sync message of kind ${kind}`)
  }
}

function readSubscribe(reader: ByteReader): Subscribe {
  readVersion(reader)
  const round = reader.varint()
  const stale = (reader.u8() & MessageFlag.stale) !== 0
  const runId = readRunId(reader)
  const staleRuns = readStaleRuns(reader)
  const origins = reader.u8()
  const count = reader.varint()
  if (count > slotsMax) throw new FormatError(`subscribe to ${count} hash slots`)
  const vectors = new Map<number, VersionVector>()
  let slot = -1
  for (let i = 0; i < count; i++) {
    const step = reader.varint()
    slot += step
    if (step === 0 || slot >= slotsMax) throw new FormatError(`hash slot ${slot} in a subscribe`)
    const vector = emptyVector()
    readVector(reader, vector)
    vectors.set(slot, vector)
  }
  return { kind: 'subscribe', round, stale, runId, staleRuns, origins, vectors }
}

function readStaleRuns(reader: ByteReader): StaleRun[] {
  const runs: StaleRun[] = []
  for (let count = reader.u8(); count > 0; count--) {
    const clusterId = reader.u8()
    if (clusterId < 1 || clusterId > originsMax) throw new FormatError(`cluster ${clusterId}`)
    runs.push({ clusterId, runId: readRunId(reader) })
  }
  return runs
}

function readPlan(reader: ByteReader): Plan {
  readVersion(reader)
  const round = reader.varint()
  const stale = (reader.u8() & MessageFlag.stale) !== 0
  return { kind: 'plan', round, stale, runId: readRunId(reader), slotStates: reader.varint() }
}

function readSlotStatePart(reader: ByteReader, bytes: Uint8Array, end: number): SlotStatePart {
  const slot = readSlot(reader)
  const part = reader.varint()
  const last = (reader.u8() & MessageFlag.last) !== 0
  const label = part === 0 ? emptyVector() : null
  if (label !== null) readVector(reader, label)
  if (end - reader.at > slotStatePartBytesMax)
    throw new FormatError(`part of a slot state with ${end - reader.at} bytes`)
  return { kind: 'slotState', slot, part, last, label, bytes, start: reader.at, end }
}

function readHeartbeat(reader: ByteReader): Heartbeat {
  const stale = (reader.u8() & MessageFlag.stale) !== 0
  const ranges: AppliedRange[] = []
  let behind = 0
  for (let count = reader.varint(); count > 0; count--) {
    const first = readSlot(reader)
    const last = readSlot(reader)
    if (first < behind || last < first) throw new FormatError(`hash slots ${first} to ${last} in a heartbeat`)
    const applied = emptyVector()
    readVector(reader, applied)
    ranges.push({ first, last, applied })
    behind = last + 1
  }
  return { kind: 'heartbeat', stale, ranges }
}

function readVersion(reader: ByteReader): void {
  const version = reader.u8()
  if (version !== syncVersion) throw new FormatError(`sync version ${version}, this is ${syncVersion}`)
}

function readRunId(reader: ByteReader): string {
  const runId = reader.text()
  if (runId.length > runIdBytesMax) throw new FormatError(`run id of ${runId.length} bytes`)
  return runId
}
