/**
 * The source's end of a sync channel: it serves one shard of a peer from this shard's log, and with whole slot states where
 * the log no longer reaches back.
 *
 * A subscribe tells what the peer has, slot by slot. For each slot the answer is nothing, log, or state; then the log is
 * followed for ever. The log is read at one position for all slots:
 *
 * - A record's part is sent when its slot and origin are wanted, the peer doesn't have it, and no state of the slot is
 *   still to come. Parts that aren't are left out, so a transaction may reach two shards of the peer as two records.
 * - States are cut and sent between reading (`slotCuts.ts`), when the peer has said that it takes some now: it takes those of one
 *   source at a time. The log is not read past the position that the next of them stands for, so an operation follows
 *   the state that it needs.
 * - A heartbeat that acknowledges (a mark) takes its vector at the end of the log and leaves when the log has been sent up
 *   to there and no state is owed. Others only show that the link lives.
 *
 * Beside that, operations of other origins: those that the peer asks for because they are missing (`missing.ts`), and, where the
 * database wants causal consistency, an offer of the latest, from which the peer asks for what it lacks.
 *
 * At most `linkInflightBytesMax` (and one message) is unacknowledged, less while the peer catches up: a slow peer costs a position in the
 * log and nothing else. When the window of the log has moved past that position the peer is told ("behind") and subscribes again.
 */

import type { SlotRange } from '#protocol/slots/slotMap.ts'
import {
  type AppliedRange,
  beginOperations,
  type Need,
  readMessage,
  type Subscribe,
  writeBehind,
  writeCaughtUp,
  writeHeartbeat,
  writeOffer,
  writePlan,
} from '#protocol/sync/message.ts'
import { copyParts, RecordKind, type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import type { AppliedAt } from '#protocol/sync/relayMessage.ts'
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import { beginCutTail, writeStatesDue, writeStatesSent } from '#protocol/sync/stateMessage.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type AppliedQuestion, FeedQuestions, type QuestionsOwner } from './appliedQuestions.ts'
import { LinkFlow } from './linkFlow.ts'
import type { LocalShard, SyncChannel } from './localShard.ts'
import { Missing } from './missing.ts'
import { Offers } from './offers.ts'
import { Outgoing } from './outgoing.ts'
import { ownStampAt, planSlots } from './plan.ts'
import { type CutSizes, SlotCuts } from './slotCuts.ts'
import { SlotSet } from './slotSet.ts'

/** An operations message is closed when it has reached this size. */
const operationsBytesWanted = 64 * 1024
/** So much of the log is looked at in one turn; the rest in the next ones. */
export const scanBytesMax = 512 * 1024
/** So much of states is sent in one turn. */
const stateBytesMax = 64 * 1024

/** What a feed asks of the replication it belongs to. */
export interface FeedOwner extends QuestionsOwner {
  readonly nowMs: number
  readonly runId: string
  readonly stale: boolean
  /** The peer's shard says what it has: it lacks none of this shard's own operations up to the stamp. */
  subscribed(feed: Feed, stamp: Stamp): void
  /** The peer's shard has applied what the question asks for. */
  confirmed(feed: Feed, question: AppliedQuestion): void
  /** A member, the peer or one behind it, has applied operations of the stamp's origin. Throws `FormatError`. */
  appliedElsewhere(applied: AppliedAt): void
  /** What this shard may acknowledge now in these slots. */
  applied(ranges: readonly SlotRange[]): AppliedRange[]
  /** A peer that lost its data asks: nothing of its former life may be taken from now on. */
  fence(feed: Feed, subscribe: Subscribe): void
  /** The window of the log has moved past what the peer wants next. */
  fellBehind(feed: Feed): void
  refused(feed: Feed, reason: string): void
}

export interface FeedLimits extends CutSizes {
  /** Sent and not acknowledged yet; at most one message more. */
  linkInflightBytesMax: number
}

interface Mark {
  position: number
  applied: AppliedRange[]
}

export class Feed {
  readonly peer: Origin
  readonly ranges: readonly SlotRange[]
  readonly slots: SlotSet
  linkInflightBytesMax: number
  readonly #channel: SyncChannel
  readonly #shard: LocalShard
  readonly #owner: FeedOwner
  readonly #reader = new RecordReader()
  readonly #writer = new ByteWriter()
  /** The tail of the slot that is being cut. */
  readonly #tail = new ByteWriter()
  readonly #cuts: SlotCuts
  readonly #missing: Missing
  readonly #offers: Offers
  #closed = false
  #round = 0
  #origins = 0
  /** False before the first subscribe, and while a new one is waited for. */
  #following = false
  /** Everything of the log before it has been sent, or isn't wanted. */
  #next = 0
  /** Up to here records must be compared with what the peer has. */
  #compareUntil = 0
  /** What the peer has of a slot as of its subscribe or the last state sent; a slot that is missing is empty. */
  #have = new Map<number, VersionVector>()
  /** Whether the peer takes states: it has been asked, it has said so. */
  #states: 'none' | 'due' | 'sending' = 'none'
  #dueNumber = 0
  #mark: Mark | null = null
  /** When the log has been sent up to here and no state is owed the peer has caught up; Infinity: it has been told. */
  #caughtUpAt = Number.POSITIVE_INFINITY
  readonly #flow = new LinkFlow()
  readonly #questions: FeedQuestions
  /** The peer makes digests. */
  #compares = false
  #takesPublished = false
  readonly #published = new Outgoing()

  constructor(
    channel: SyncChannel,
    peer: Origin,
    ranges: readonly SlotRange[],
    limits: FeedLimits,
    shard: LocalShard,
    owner: FeedOwner,
  ) {
    this.#channel = channel
    this.peer = peer
    this.ranges = ranges
    this.slots = new SlotSet(ranges)
    this.linkInflightBytesMax = limits.linkInflightBytesMax
    this.#shard = shard
    this.#owner = owner
    this.#cuts = new SlotCuts(shard, limits, (slot, vector, position) => {
      this.#have.set(slot, vector)
      this.#compareUntil = Math.max(this.#compareUntil, position)
    })
    this.#questions = new FeedQuestions({ peer, ranges }, shard, owner, (bytes) => channel.send(bytes))
    this.#missing = new Missing(shard.log)
    this.#offers = new Offers(shard.log)
  }

  get caughtUp(): boolean {
    return this.#following && this.#caughtUpAt === Number.POSITIVE_INFINITY
  }

  get inflightBytes(): number {
    return this.#flow.inflightBytes
  }

  /** Log not yet looked at for this peer. */
  get behindBytes(): number {
    return this.#following ? this.#shard.log.end - this.#next : 0
  }

  get slotStatesOwed(): number {
    return this.#cuts.left
  }

  isCutting(slot: number): boolean {
    return this.#cuts.isCutting(slot)
  }

  /**
   * A state of another cluster was joined with the slot. What it brought is in no record of the log: who takes operations of third
   * clusters from here gets it as a state, too, unless it sent it.
   */
  merged(slot: number, sender: Origin): void {
    this.#cuts.restart(slot)
    const relayed = this.#origins & ~((1 << this.#owner.own) | (1 << this.peer))
    const isDue = this.#following && relayed !== 0 && this.peer !== sender && this.slots.has(slot)
    if (isDue) this.#cuts.owe(slot, this.#compares)
  }

  /** The peer can be sent messages to subscribers. */
  get takesPublished(): boolean {
    return this.#following && this.#takesPublished
  }

  /** Sends it behind what is in the log. One that the peer is too slow for is dropped. `payload`: see `publishedPayload`. */
  publish(payload: Uint8Array): void {
    this.#published.add(payload, this.#shard.log.end, this.linkInflightBytesMax)
  }

  receive(bytes: Uint8Array, start: number, end: number): void {
    if (this.#closed) return
    try {
      this.#take(bytes, start, end)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.refuse(`the intake sent something that is not understood: ${error.message}`)
    }
  }

  refuse(reason: string): void {
    this.closed()
    this.#channel.close(reason)
    this.#owner.refused(this, reason)
  }

  closed(): void {
    this.#closed = true
    this.#following = false
    this.#dropStates()
    this.#missing.clear()
    this.#published.clear()
    this.#have.clear()
  }

  #dropStates(): void {
    this.#cuts.clear()
    this.#states = 'none'
  }

  /** Takes a new mark if the last one has left, and shows that the link lives. */
  heartbeat(): void {
    if (this.#closed) return
    if (this.#mark === null && this.#following && !this.#owner.stale) {
      this.#mark = { position: this.#shard.log.end, applied: this.#owner.applied(this.ranges) }
    }
    if (!this.#sendMark()) this.#sendHeartbeat([])
  }

  /** Slot states are on their way. */
  get isSendingStates(): boolean {
    return this.#following && this.#states === 'sending'
  }

  /** Sends what may be sent, slot states only `withStates`; true: there is more to do for another turn. */
  pump(withStates = true): boolean {
    const scanUntil = this.#next + scanBytesMax
    const stateUntil = this.#flow.sentBytes + stateBytesMax
    this.#askForStates()
    while (this.#following) {
      const bytesMax = this.caughtUp ? this.linkInflightBytesMax : this.#flow.catchUpBytes
      if (this.inflightBytes >= Math.min(this.linkInflightBytesMax, bytesMax)) return false
      if (this.#next < this.#shard.log.start) {
        this.#fallBehind()
        return false
      }
      const didState = withStates && this.#sendState()
      const logEnd = Math.min(this.#shard.log.shippable, this.#cuts.logLimit)
      const didLog = this.#next < logEnd
      if (didLog) this.#sendOperations(Math.min(logEnd, scanUntil))
      if (!didState && !didLog) break
      if (this.#next >= scanUntil || (didState && this.#flow.sentBytes >= stateUntil)) return true
    }
    this.#sendPublished()
    if (withStates && this.isSendingStates && this.#cuts.compare()) return true
    if (this.#seekMissing()) return true
    this.#sendCaughtUp()
    this.#sendMark()
    this.askApplied()
    return false
  }

  /** Tells the peer of the latest operations of other origins that lie before `end` in the log. */
  offer(end: number): void {
    if (!this.#following || this.inflightBytes >= this.linkInflightBytesMax) return
    const offered = this.#offers.take(end, (slot, origin) => {
      const isWanted = (this.#origins & (1 << origin)) !== 0
      return !isWanted && origin !== this.peer && this.slots.has(slot) && !this.#cuts.withholds(slot)
    })
    if (offered.length === 0) return
    this.#writer.clear()
    writeOffer(this.#writer, offered)
    this.#send()
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    const message = readMessage(bytes, start, end)
    switch (message.kind) {
      case 'subscribe':
        this.#takeSubscribe(message)
        break
      case 'acknowledge':
        this.#flow.acknowledged(message.received, this.#owner.nowMs)
        break
      case 'applied':
        this.#owner.confirmed(this, this.#questions.answered(message.stamp))
        break
      case 'appliedAt':
        this.#owner.appliedElsewhere(this.#questions.checked(message))
        break
      case 'need':
        this.#takeNeed(message)
        break
      case 'digests':
        this.#cuts.takeDigests(message)
        break
      case 'sendStates':
        // One that answers an earlier question was given before the peer has heard of the latest.
        if (this.#states === 'due' && message.number === this.#dueNumber) this.#states = 'sending'
        break
      default:
        throw new FormatError(`a ${message.kind} message, which a feed doesn't take`)
    }
  }

  #takeNeed(need: Need): void {
    const { slot, answer, have } = need
    if (!this.slots.has(slot)) throw new FormatError(`slot ${slot} is not of this channel`)
    if (answer !== 'state' && this.#missing.ask(need)) return
    // An empty slot has no state: what holds the peer up is not here.
    if (answer !== 'log' && this.#shard.vectors.greatest(slot) > 0) this.#owe(slot, have)
  }

  #owe(slot: number, have = this.#have.get(slot)): void {
    this.#cuts.owe(slot, this.#compares && have?.some((stamp) => stamp > 0) === true)
  }

  #takeSubscribe(subscribe: Subscribe): void {
    if (subscribe.stale) this.#owner.fence(this, subscribe)
    if (this.#closed) return
    this.#round = subscribe.round
    this.#origins = subscribe.origins
    this.#have = subscribe.vectors
    this.#dropStates()
    this.#missing.clear()
    this.#mark = null
    this.#questions.begin(subscribe)
    this.#compares = subscribe.compares
    this.#takesPublished = subscribe.takesPublished
    this.#plan()
    this.#offers.begin()
    this.#following = true
    this.#writer.clear()
    const { runId, stale } = this.#owner
    writePlan(this.#writer, { round: this.#round, stale, runId, relays: true, slotStates: this.#cuts.left })
    this.#channel.send(this.#writer.view())
  }

  #plan(): void {
    const { log } = this.#shard
    const subscriber = { ranges: this.ranges, origins: this.#origins, have: this.#have }
    this.#next = planSlots(this.#shard, subscriber, (slot) => this.#owe(slot))
    this.#compareUntil = log.end
    this.#caughtUpAt = log.end
    this.#owner.subscribed(this, ownStampAt(this.#shard, subscriber))
  }

  #fallBehind(): void {
    this.#following = false
    this.#dropStates()
    this.#missing.clear()
    this.#mark = null
    this.#owner.fellBehind(this)
    this.#writer.clear()
    writeBehind(this.#writer)
    this.#channel.send(this.#writer.view())
  }

  #askForStates(): void {
    if (!this.#following || this.#states !== 'none' || this.#cuts.left === 0) return
    this.#states = 'due'
    this.#writer.clear()
    writeStatesDue(this.#writer, ++this.#dueNumber)
    this.#channel.send(this.#writer.view())
  }

  /** Sends a part of the next state that is owed; false: none can be sent now. */
  #sendState(): boolean {
    if (this.#states !== 'sending' || this.inflightBytes >= this.#flow.catchUpBytes) return false
    this.#cuts.cut()
    this.#writer.clear()
    if (this.#cuts.write(this.#writer, this.#next)) {
      this.#send()
      return true
    }
    if (this.#cuts.left > 0) return false
    this.#states = 'none'
    this.#writer.clear()
    writeStatesSent(this.#writer)
    this.#channel.send(this.#writer.view())
    return false
  }

  /** Reads on in the log until a message is full. */
  #sendOperations(logEnd: number): void {
    const [writer, tail] = [this.#writer, this.#tail]
    writer.clear()
    beginOperations(writer)
    tail.clear()
    beginCutTail(tail, Math.max(0, this.#cuts.tailSlot))
    const [empty, emptyTail] = [writer.length, tail.length]
    const { log } = this.#shard
    let position = this.#next
    this.#next = log.walk(this.#next, logEnd, (bytes, start, end) => {
      this.#copyWanted(bytes, start, end, position)
      position += end - start
      return writer.length + tail.length < operationsBytesWanted
    })
    if (this.#next >= this.#compareUntil) this.#have.clear()
    if (tail.length > emptyTail && !this.#cuts.holdsTail(tail.view())) this.#sendBytes(tail)
    if (writer.length > empty) this.#send()
  }

  /** Looks on for what is missing at the peer; true: there is more to look through. */
  #seekMissing(): boolean {
    const missing = this.#missing
    if (!this.#following || !missing.seeks()) return false
    const { log } = this.#shard
    if (missing.position < log.start) {
      for (const slot of missing.giveUp()) this.#cuts.owe(slot, this.#compares)
      return true
    }
    const [writer, reader] = [this.#writer, this.#reader]
    writer.clear()
    beginOperations(writer)
    const empty = writer.length
    const scanUntil = missing.position + scanBytesMax
    let { position } = missing
    missing.position = log.walk(position, missing.end, (bytes, start, end) => {
      position += end - start
      reader.read(bytes, start, end)
      const isWanted = reader.kind === RecordKind.operations && missing.wants(reader)
      // All of a transaction: what it did is to show at once there, too.
      if (isWanted) copyParts(reader, bytes, start, end, ({ slot }) => this.slots.has(slot), writer)
      return writer.length < operationsBytesWanted && position < scanUntil
    })
    if (writer.length > empty) this.#send()
    return missing.position < missing.end
  }

  /** Copies the record at `position` of the log into the message, without the parts that the peer doesn't want or has. */
  #copyWanted(bytes: Uint8Array, start: number, end: number, position: number): void {
    const reader = this.#reader
    reader.read(bytes, start, end)
    if (reader.kind !== RecordKind.operations) return
    if (reader.partCount > 1)
      copyParts(reader, bytes, start, end, (part) => this.#wants(part, position), this.#writer)
    else if (this.#wants(reader.parts[0] as RecordPart, position)) this.#writer.raw(bytes, start, end)
    if (!this.#cuts.isTail(position)) return
    copyParts(reader, bytes, start, end, ({ slot }) => slot === this.#cuts.tailSlot, this.#tail)
  }

  #wants({ slot, origin, last }: RecordPart, position: number): boolean {
    if ((this.#origins & (1 << origin)) === 0 || !this.slots.has(slot)) return false
    if (this.#cuts.withholds(slot)) return false
    if (position >= this.#compareUntil) return true
    return last > (this.#have.get(slot)?.[origin] ?? 0)
  }

  #sendPublished(): void {
    const hasRoom = () => this.#following && this.inflightBytes < this.linkInflightBytesMax
    while (hasRoom() && this.#published.writeNext(this.#next, this.#writer)) this.#send()
  }

  #sendCaughtUp(): void {
    if (!this.#following || this.#next < this.#caughtUpAt || this.slotStatesOwed > 0) return
    this.#caughtUpAt = Number.POSITIVE_INFINITY
    this.#writer.clear()
    writeCaughtUp(this.#writer, this.#round)
    this.#channel.send(this.#writer.view())
  }

  /** Sends the mark if everything before it has been sent. */
  #sendMark(): boolean {
    if (this.#mark === null || !this.#following) return false
    const { position } = this.#mark
    // What isn't wanted needn't be sent, but what is acknowledged must be durable.
    if (this.#next < position || this.#shard.log.shippable < position) return false
    if (this.slotStatesOwed > 0 || this.#owner.stale) return false
    this.#sendHeartbeat(this.#mark.applied)
    this.#mark = null
    return true
  }

  /** Asks what somebody wants to know. */
  askApplied(): void {
    if (this.#following && !this.#owner.stale)
      this.#questions.ask(this.#origins, this.slotStatesOwed > 0 ? -1 : this.#next)
  }

  #sendHeartbeat(applied: readonly AppliedRange[]): void {
    this.#writer.clear()
    writeHeartbeat(this.#writer, this.#owner.stale, applied, this.#shard.refusing)
    this.#channel.send(this.#writer.view())
  }

  /** Sends what counts against the credit. */
  #send(): void {
    this.#sendBytes(this.#writer)
  }

  #sendBytes(writer: ByteWriter): void {
    this.#flow.sent(writer.length, this.#owner.nowMs)
    this.#channel.send(writer.view())
  }
}
