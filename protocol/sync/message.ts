/**
 * Messages of a sync channel: the frame `channelData` carries one each. A channel joins one source shard (its feed) with
 * one destination shard of another cluster (its intake) for the hash slots that both own.
 *
 *     intake -> feed    subscribe    version u8 | round varint | flags u8 | runId text | staleRuns | origins u8 | count varint | (slot step varint, vector)*
 *     feed -> intake    plan         version u8 | round varint | flags u8 | runId text | slotStates varint
 *     feed -> intake    operations   records of kind 1, back to back
 *     feed -> intake    slotState    slot u16 | part varint | flags u8 | [label vector, when part = 0] | bytes
 *     feed -> intake    cutBegin     slot u16 | label vector
 *     feed -> intake    cutKeys      slot u16 | flags u8 | bytes
 *     feed -> intake    cutTail      slot u16 | records of kind 1, back to back
 *     feed -> intake    cutEnd       slot u16 | reached vector
 *     feed -> intake    statesDue    number varint
 *     intake -> feed    sendStates   number varint
 *     feed -> intake    statesSent   -
 *     feed -> intake    offer        count varint | (slot u16, stamp f64)*
 *     feed -> intake    caughtUp     round varint
 *     feed -> intake    heartbeat    flags u8 | count varint | (first u16, last u16, applied vector)*
 *     intake -> feed    acknowledge  received varint
 *     intake -> feed    need         slot u16 | answer u8 | have vector | wanted vector
 *     feed -> intake    behind       -
 *     feed -> intake    askApplied   stamp f64
 *     intake -> feed    applied      stamp f64
 *     feed -> intake    published    kind u8 | channel text | message
 *     staleRuns := count u8 | (clusterId u8, runId text)*
 *
 * Order is what gives them their meaning. A plan answers the subscribe of the same round, and what follows it follows from
 * the vectors in that subscribe. A heartbeat that names slots proves that everything its sender issued in them before it took
 * the vector has been sent on this channel before. `received` counts the bytes of operations and slotState messages since
 * the channel was opened, and those of cuts: it is flow control and proves nothing. Exactly-once comes from the chains in the records.
 *
 * A slot state comes in one of two ways. What fits in a step of its source is cut in that step: `slotState`, a state as bytes in
 * parts. What doesn't is cut while it changes: `cutBegin` has the vector from before the first key, `cutKeys` the keys, `cutTail` the
 * operations applied since, and `cutEnd` the vector that keys and tail add up to. No state leaves before the intake has
 * answered the latest `statesDue` by its number; that holds until `statesSent`. To who says in its subscribe that it compares, a large
 * slot may go in a third way, without what both have (`digestMessage.ts`).
 *
 * `askApplied` says that all operations of its sender's own up to the stamp that the intake lacked have been sent on this channel
 * before; `applied` answers, as soon as it is true, that they are applied and durable. Feeds ask only who says in its subscribe
 * that it answers.
 *
 * `published` is a message of a client of its sender's to subscribers. It comes behind the operations that were in the log before
 * it, is sent once, to who says in its subscribe that it takes such, and is lost when the channel breaks.
 */
import { type Published, readPublished } from '#protocol/pubsub/messages.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type DigestMessage, readDigestMessage } from './digestMessage.ts'
import { readSlot, readStamp, readVector, slotsMax, writeVector } from './record.ts'
import { type RelayMessage, readCluster, readRange, readRelayMessage } from './relayMessage.ts'
import type { ClusterId, Stamp } from './stamp.ts'
import { readStateMessage, type StateMessage, vectorOf } from './stateMessage.ts'
import { emptyVector, type VersionVector } from './versionVector.ts'

export const syncVersion = 3
const runIdBytesMax = 64
/** Of one offer. */
export const offeredMax = 4096

const MessageKind = {
  subscribe: 1,
  plan: 2,
  operations: 3,
  caughtUp: 5,
  heartbeat: 6,
  acknowledge: 7,
  need: 8,
  behind: 9,
  offer: 17,
  askApplied: 18,
  applied: 19,
  published: 30,
} as const

const MessageFlag = {
  /** The sender lost its data and is getting it back: it acknowledges nothing. */
  stale: 1,
  /** Of a subscribe: the sender answers `askApplied`. */
  answers: 4,
  /** The sender takes no operations: its memory is full or its log can't be written. Older readers don't look at it. */
  refusing: 8,
  /** Of a subscribe: the sender answers `askDigests`. Older readers don't look at it. */
  compares: 16,
  /** Of a subscribe: the sender answers `askRelayed`; of a plan: it takes `appliedAt`. Older readers don't look at it. */
  relays: 32,
  /** Of a subscribe: the sender takes `published`. Older readers don't look at it. */
  takesPublished: 64,
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
  /** The sender says what it has applied when it is asked. */
  answers: boolean
  /** The sender makes digests of slots that it has when it is asked. */
  compares: boolean
  /** Also of other clusters' operations. */
  relays: boolean
  /** Messages to subscribers may be sent. */
  takesPublished: boolean
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
  /** The sender wants to hear what third members have applied. */
  relays: boolean
  /** How many slots will be sent as a whole. */
  slotStates: number
}

export interface Operations {
  kind: 'operations'
  bytes: Uint8Array
  start: number
  end: number
}

/** How a need is to be answered: with operations of the log, with the slot's state, or as the log allows. */
export type Answer = 'log' | 'logOrState' | 'state'

const answers: readonly Answer[] = ['log', 'logOrState', 'state']

/** Of a slot in which something is missing: what is there, and what should be. */
export interface Need {
  kind: 'need'
  slot: number
  answer: Answer
  have: VersionVector
  wanted: VersionVector
}

/** Latest operations of other origins, by their stamps: for who may lack them. */
export interface Offer {
  kind: 'offer'
  offered: { slot: number; stamp: Stamp }[]
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
  /** The sender gives no credit for operations until its memory or its log has room again. */
  refusing: boolean
  /** Ascending, without overlap; none: it shows that the link lives and proves nothing. */
  ranges: AppliedRange[]
}

export type Message =
  | Subscribe
  | Plan
  | Operations
  | StateMessage
  | DigestMessage
  | Heartbeat
  | { kind: 'caughtUp'; round: number }
  | { kind: 'acknowledge'; received: number }
  | Need
  | Offer
  | { kind: 'behind' }
  | { kind: 'askApplied'; stamp: Stamp }
  | { kind: 'applied'; stamp: Stamp }
  | RelayMessage
  | { kind: 'published'; published: Published }

export function writeSubscribe(writer: ByteWriter, message: Omit<Subscribe, 'kind'>): void {
  writer.u8(MessageKind.subscribe)
  writer.u8(syncVersion)
  writer.varint(message.round)
  const { stale, answers, compares, relays, takesPublished } = message
  writer.u8(
    flag(stale, 'stale') |
      flag(answers, 'answers') |
      flag(compares, 'compares') |
      flag(relays, 'relays') |
      flag(takesPublished, 'takesPublished'),
  )
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
  writer.u8(flag(message.stale, 'stale') | flag(message.relays, 'relays'))
  writer.text(message.runId)
  writer.varint(message.slotStates)
}

/** Starts an operations message; the caller appends whole records. */
export function beginOperations(writer: ByteWriter): void {
  writer.u8(MessageKind.operations)
}

export function writeCaughtUp(writer: ByteWriter, round: number): void {
  writer.u8(MessageKind.caughtUp)
  writer.varint(round)
}

export function writeHeartbeat(
  writer: ByteWriter,
  stale: boolean,
  ranges: readonly AppliedRange[],
  refusing = false,
): void {
  writer.u8(MessageKind.heartbeat)
  writer.u8(flag(stale, 'stale') | flag(refusing, 'refusing'))
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

export function writeNeed(writer: ByteWriter, { slot, answer, have, wanted }: Omit<Need, 'kind'>): void {
  writer.u8(MessageKind.need)
  writer.u16(slot)
  writer.u8(answers.indexOf(answer))
  writeVector(writer, have)
  writeVector(writer, wanted)
}

export function writeOffer(writer: ByteWriter, offered: Offer['offered']): void {
  writer.u8(MessageKind.offer)
  writer.varint(offered.length)
  for (const { slot, stamp } of offered) {
    writer.u16(slot)
    writer.f64(stamp)
  }
}

export function writeBehind(writer: ByteWriter): void {
  writer.u8(MessageKind.behind)
}

export function writeAskApplied(writer: ByteWriter, stamp: Stamp): void {
  writer.u8(MessageKind.askApplied)
  writer.f64(stamp)
}

export function writeApplied(writer: ByteWriter, stamp: Stamp): void {
  writer.u8(MessageKind.applied)
  writer.f64(stamp)
}

const flag = (set: boolean, name: keyof typeof MessageFlag): number => (set ? MessageFlag[name] : 0)

export function beginPublished(writer: ByteWriter): void {
  writer.u8(MessageKind.published)
}

/** Their bytes reach to the end of the message. */
const openEnded: ReadonlySet<string> = new Set([
  'operations',
  'slotState',
  'cutKeys',
  'cutTail',
  'digests',
  'cutDiffering',
  'published',
])

/** Reads the one message [at, end); throws `FormatError` when the bytes are none. What it returns points into `bytes`. */
export function readMessage(bytes: Uint8Array, at: number, end: number): Message {
  const reader = new ByteReader(bytes, at, end)
  const message = readBody(reader, bytes, end)
  if (!openEnded.has(message.kind) && !reader.atEnd)
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
    case MessageKind.caughtUp:
      return { kind: 'caughtUp', round: reader.varint() }
    case MessageKind.heartbeat:
      return readHeartbeat(reader)
    case MessageKind.acknowledge:
      return { kind: 'acknowledge', received: reader.varint() }
    case MessageKind.need:
      return readNeed(reader)
    case MessageKind.offer:
      return readOffer(reader)
    case MessageKind.behind:
      return { kind: 'behind' }
    case MessageKind.askApplied:
      return { kind: 'askApplied', stamp: readStamp(reader) }
    case MessageKind.applied:
      return { kind: 'applied', stamp: readStamp(reader) }
    case MessageKind.published:
      return { kind: 'published', published: readPublished(bytes, reader.at, end) }
    default:
      return (
        readRelayMessage(kind, reader) ??
        readDigestMessage(kind, reader, bytes, end) ??
        readStateMessage(kind, reader, bytes, end)
      )
  }
}

function readSubscribe(reader: ByteReader): Subscribe {
  readVersion(reader)
  const round = reader.varint()
  const flags = reader.u8()
  const stale = (flags & MessageFlag.stale) !== 0
  const answers = (flags & MessageFlag.answers) !== 0
  const compares = (flags & MessageFlag.compares) !== 0
  const relays = (flags & MessageFlag.relays) !== 0
  const takesPublished = (flags & MessageFlag.takesPublished) !== 0
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
  const able = { answers, compares, relays, takesPublished }
  return { kind: 'subscribe', round, stale, runId, staleRuns, ...able, origins, vectors }
}

function readStaleRuns(reader: ByteReader): StaleRun[] {
  const runs: StaleRun[] = []
  for (let count = reader.u8(); count > 0; count--) {
    const clusterId = readCluster(reader)
    runs.push({ clusterId, runId: readRunId(reader) })
  }
  return runs
}

function readPlan(reader: ByteReader): Plan {
  readVersion(reader)
  const round = reader.varint()
  const flags = reader.u8()
  const stale = (flags & MessageFlag.stale) !== 0
  const relays = (flags & MessageFlag.relays) !== 0
  return { kind: 'plan', round, stale, runId: readRunId(reader), relays, slotStates: reader.varint() }
}

function readNeed(reader: ByteReader): Need {
  const slot = readSlot(reader)
  const code = reader.u8()
  const answer = answers[code]
  if (answer === undefined) throw new FormatError(`a need to be answered by ${code}`)
  return { kind: 'need', slot, answer, have: vectorOf(reader), wanted: vectorOf(reader) }
}

function readOffer(reader: ByteReader): Offer {
  const count = reader.varint()
  if (count > offeredMax) throw new FormatError(`an offer of ${count} operations`)
  const offered: Offer['offered'] = []
  for (let i = 0; i < count; i++) offered.push({ slot: readSlot(reader), stamp: readStamp(reader) })
  return { kind: 'offer', offered }
}

function readHeartbeat(reader: ByteReader): Heartbeat {
  const flags = reader.u8()
  const ranges: AppliedRange[] = []
  let behind = 0
  for (let count = reader.varint(); count > 0; count--) {
    const { first, last } = readRange(reader, behind)
    const applied = emptyVector()
    readVector(reader, applied)
    ranges.push({ first, last, applied })
    behind = last + 1
  }
  const stale = (flags & MessageFlag.stale) !== 0
  const refusing = (flags & MessageFlag.refusing) !== 0
  return { kind: 'heartbeat', stale, refusing, ranges }
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
