/**
 * The destination's end of a sync channel: it tells what this shard has, takes records and slot states, and asks for what
 * is missing. One for each shard of a peer whose slots overlap with ours.
 *
 * Slot states are taken step by step (`arrivals.ts`), and from one channel of the shard at a time: the feed says when it owes some, and
 * is told when it may send them. Raising a vector before a state has come whole would make a broken transfer look like a
 * complete one (rules 3.3.4-3.3.6).
 *
 * Subscribing again, on the same channel, is how everything unusual is mended: when the source's log no longer reaches back
 * ("behind"), when the set of wanted origins changes, when data was lost. What is still on its way from the plan before
 * does no harm: records prove themselves, and what they don't bring the new plan brings.
 */

import type { SlotRange } from '#protocol/slots/slotMap.ts'
import {
  type Answer,
  type Message,
  type Offer,
  type Operations,
  type Plan,
  readMessage,
  writeAcknowledge,
  writeApplied,
  writeNeed,
  writeSubscribe,
} from '#protocol/sync/message.ts'
import { RecordKind, type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { type AppliedAt, writeAppliedAt } from '#protocol/sync/relayMessage.ts'
import { clusterOfOrigin, type Origin, originOf, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { writeSendStates } from '#protocol/sync/stateMessage.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Arrivals, type Outcome } from './arrivals.ts'
import { Answers } from './confirmations.ts'
import { answerDigests, type DigestsAnswer } from './digestAnswers.ts'
import type { Gate, HoldSource } from './gate.ts'
import { HoldQueues } from './holdQueues.ts'
import type { IntakeOptions, IntakeOwner } from './intakeOwner.ts'
import type { LocalShard, SyncChannel } from './localShard.ts'
import { Needs } from './needs.ts'
import { PassedOn } from './relays.ts'
import { SlotSet } from './slotSet.ts'

/** A slot whose state is larger can't be transferred: the channel is closed. */
export const slotStateBytesMax = 1 << 30
type StateMessage = Extract<
  Message,
  { kind: 'slotState' | 'askDigests' | 'cutDiffering' | 'cutBegin' | 'cutKeys' | 'cutTail' | 'cutEnd' }
>

/** Their bytes count against the credit of the feed. */
const creditKinds: ReadonlySet<Message['kind']> = new Set<Message['kind']>([
  'operations',
  'slotState',
  'askDigests',
  'cutDiffering',
  'cutBegin',
  'cutKeys',
  'cutTail',
  'cutEnd',
  'offer',
  'published',
])

export class Intake implements HoldSource {
  readonly held = new HoldQueues()
  readonly peer: Origin
  readonly sourceShard: number
  readonly ranges: readonly SlotRange[]
  /** Run id and state of the source, from its latest plan. */
  sourceRunId: string | null = null
  sourceStale = false
  /** The source takes no operations, as it said last. */
  sourceRefusing = false
  /** When the last heartbeat came, or the channel was opened. */
  heardMs: number
  /** At the latest subscribe this shard had operations in these slots. */
  hadSomething = false
  /** Between the latest subscribe and its answer. */
  roundTripMs = 0
  /** Slot states that had been joined here at the latest subscribe, of whatever channel. */
  joinedBefore = 0
  /** Slot states that the running plan has announced, and those that have come. */
  slotStatesPlanned = 0
  slotStatesTaken = 0
  #origins = 0
  /** All origins that were ever asked for: their records may still be on the way. */
  #everAsked = 0
  #round = 0
  #subscribedMs = 0
  #planned = false
  #caughtUp = false
  #closed = false
  readonly #arrivals: Arrivals
  /** States are due, and it may be their turn; `sent`: no more of them will come. */
  #states: 'none' | 'due' | 'coming' | 'sent' = 'none'
  /** More are due when those that have been sent are taken. */
  #isDueAgain = false
  /** Which of the feed's questions is to be answered. */
  #dueNumber = 0
  readonly #needs: Needs
  #receivedBytes = 0
  #acknowledgedBytes = 0
  readonly #answers = new Answers()
  readonly #passedOn: PassedOn
  readonly #slots: SlotSet
  readonly #channel: SyncChannel
  readonly #shard: LocalShard
  readonly #gate: Gate
  readonly #owner: IntakeOwner
  readonly #reader = new RecordReader()
  readonly #writer = new ByteWriter()

  constructor(
    channel: SyncChannel,
    options: IntakeOptions,
    shard: LocalShard,
    gate: Gate,
    owner: IntakeOwner,
  ) {
    this.peer = options.peer
    this.sourceShard = options.sourceShard
    this.ranges = options.ranges
    this.#slots = new SlotSet(options.ranges)
    this.#passedOn = new PassedOn(options.ranges)
    this.#channel = channel
    this.#shard = shard
    this.#gate = gate
    this.#owner = owner
    const isAhead = (label: VersionVector) => gate.isAhead(label)
    const taken = (slot: number, outcome: Outcome) => this.#taken(slot, outcome)
    this.#needs = new Needs({
      get nowMs() {
        return owner.nowMs
      },
      vectorOf: (slot) => shard.vectors.of(slot),
      isTaking: (slot) => this.#arrivals.holds(slot),
      ask: (slot, answer, wanted) => this.#ask(slot, answer, wanted),
    })
    const answer = (...of: DigestsAnswer) => answerDigests(channel, this.#writer, ...of)
    this.#arrivals = new Arrivals(shard, { isAhead, taken, answer }, options.slotStateBytesMax)
    this.heardMs = owner.nowMs
    gate.open(this)
    this.subscribe(options.origins)
  }

  /** It has answered the latest subscribe. */
  get hasAnswered(): boolean {
    return this.#planned
  }

  get origins(): number {
    return this.#origins
  }

  /** Everything that the source had when it answered the latest subscribe is applied here. */
  get caughtUp(): boolean {
    return this.#caughtUp && this.#nothingPending
  }

  /** Age of the oldest record that is held. */
  get heldMs(): number {
    return this.held.count === 0 ? 0 : this.#owner.nowMs - this.held.oldestMs
  }

  /** Nothing that the source has sent waits here, or was dropped and has not come again. */
  get #nothingPending(): boolean {
    return this.held.count === 0 && this.#nothingMissing
  }

  /** No slot state of the source is on its way, or has to be asked for again. */
  get #nothingMissing(): boolean {
    return this.#planned && this.#arrivals.isEmpty && !this.#needs.awaitsState
  }

  isStaging(slot: number): boolean {
    return this.#arrivals.holds(slot)
  }

  get hasWork(): boolean {
    return this.#arrivals.hasWork
  }

  /** A step of taking the slot states that have come. */
  work(): void {
    try {
      this.#arrivals.step()
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.refuse(`the feed sent a slot state that is not understood: ${error.message}`)
      return
    }
    this.#endStates()
  }

  /** It is the turn of this channel. */
  sendStates(): void {
    this.#states = 'coming'
    this.#writer.clear()
    writeSendStates(this.#writer, this.#dueNumber)
    this.#channel.send(this.#writer.view())
  }

  #endStates(): void {
    if (this.#states !== 'sent' || !this.#arrivals.isEmpty) return
    this.#states = 'none'
    this.#owner.statesEnd(this)
    if (this.#isDueAgain) this.#takeStatesDue()
  }

  #takeStatesDue(): void {
    this.#isDueAgain = this.#states === 'sent'
    if (this.#states !== 'none') return
    this.#states = 'due'
    this.#owner.statesDue(this)
  }

  /** Tells the source anew what this shard has and what it wants. */
  subscribe(origins = this.#origins): void {
    this.#origins = origins
    this.#everAsked |= origins
    this.#round++
    this.joinedBefore = this.#owner.joinedStates
    this.#subscribedMs = this.#owner.nowMs
    this.#planned = false
    this.#caughtUp = false
    this.#answers.clear()
    const vectors = new Map<number, VersionVector>()
    const applied = this.#shard.vectors
    for (const slot of applied.occupied(this.ranges)) vectors.set(slot, applied.of(slot))
    this.hadSomething = vectors.size > 0
    this.#writer.clear()
    const { runId, stale, staleRuns } = this.#owner
    const able = { answers: true, compares: true, relays: true, takesPublished: true }
    writeSubscribe(this.#writer, { round: this.#round, stale, runId, staleRuns, ...able, origins, vectors })
    this.#channel.send(this.#writer.view())
  }

  need(slot: number, wanted: VersionVector | null): void {
    this.#needs.need(slot, wanted)
  }

  #ask(slot: number, answer: Answer, wanted: VersionVector | null): void {
    this.#owner.asked(this, slot, answer)
    const have = this.#shard.vectors.of(slot)
    if (wanted !== null) {
      // They may come from now on.
      for (let o = 0; o < originsMax; o++)
        if ((wanted[o] as number) > (have[o] as number)) this.#everAsked |= 1 << o
    }
    this.#writer.clear()
    writeNeed(this.#writer, { slot, answer, have, wanted: wanted ?? emptyVector() })
    this.#channel.send(this.#writer.view())
  }

  receive(bytes: Uint8Array, start: number, end: number): void {
    if (this.#closed) return
    try {
      this.#take(bytes, start, end)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.refuse(`the feed sent something that is not understood: ${error.message}`)
    }
  }

  /** Ends the channel from this side. */
  refuse(reason: string): void {
    this.closed()
    this.#channel.close(reason)
    this.#owner.refused(this, reason)
  }

  closed(): void {
    this.#closed = true
    this.#dropStates()
    this.#answers.clear()
    this.#gate.close(this)
  }

  #dropStates(): void {
    if (this.#closed) this.#arrivals.drop()
    else this.#arrivals.dropUnfinished()
    this.#isDueAgain = false
    if (this.#states === 'none') return
    this.#states = 'none'
    this.#owner.statesEnd(this)
  }

  tick(): void {
    this.#needs.tick(this.#planned)
  }

  /** Grants the feed new credit for what has been taken. */
  acknowledge(): void {
    const receivedBytes = this.#receivedBytes - this.#arrivals.sizeBytes
    if (receivedBytes <= this.#acknowledgedBytes || this.#shard.refusing || this.#closed) return
    this.#acknowledgedBytes = receivedBytes
    this.#writer.clear()
    writeAcknowledge(this.#writer, receivedBytes)
    this.#channel.send(this.#writer.view())
  }

  /** An answer to the source waits until the log is durable. */
  get awaitsLog(): boolean {
    return this.#answers.awaitsLog
  }

  /** Tells the source what of its operations, and of those that it relays, is applied and durable here, if it has asked. */
  confirm(): void {
    for (const applied of this.#answers.take(this.#shard.log, (asked) => this.#isApplied(asked))) {
      this.#writer.clear()
      if (originOf(applied.stamp) === this.peer) writeApplied(this.#writer, applied.stamp)
      else writeAppliedAt(this.#writer, { member: clusterOfOrigin(this.#owner.own), ...applied })
      this.#channel.send(this.#writer.view())
      this.#owner.relays.appliedHere(this, applied)
    }
  }

  /** Nothing that the stamp's origin issued up to it, and the source has sent, waits here or was dropped. */
  #isApplied(stamp: Stamp): boolean {
    // What it got back may be lost again: a shard that is stale vouches for nothing (rule A14).
    return !this.#owner.stale && this.#nothingMissing && !this.held.has(originOf(stamp), stamp)
  }

  /** Tells the source what a third member has applied of operations that come from it, if that is news. */
  relay(applied: AppliedAt): void {
    if (!this.#planned || (this.#origins & (1 << originOf(applied.stamp))) === 0) return
    const news = this.#passedOn.news(applied)
    if (news === null) return
    this.#writer.clear()
    writeAppliedAt(this.#writer, news)
    this.#channel.send(this.#writer.view())
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    const message = readMessage(bytes, start, end)
    if (creditKinds.has(message.kind)) {
      if (this.sourceRunId === null) throw new FormatError(`${message.kind} before a plan`)
      this.#receivedBytes += end - start
    }
    switch (message.kind) {
      case 'plan':
        this.#takePlan(message)
        break
      case 'operations':
        this.#takeOperations(message)
        break
      case 'slotState':
      case 'askDigests':
      case 'cutDiffering':
      case 'cutBegin':
      case 'cutKeys':
      case 'cutTail':
      case 'cutEnd':
        this.#takeState(message)
        break
      case 'statesDue':
        // Of a plan that is not the latest: it is said again.
        this.#dueNumber = message.number
        if (this.#planned) this.#takeStatesDue()
        break
      case 'statesSent':
        if (this.#states === 'coming') this.#states = 'sent'
        this.#endStates()
        break
      case 'offer':
        this.#takeOffer(message)
        break
      case 'published':
        this.#owner.published(message.published)
        break
      case 'caughtUp':
        if (message.round === this.#round && this.#planned) this.#caughtUp = true
        break
      case 'heartbeat':
        for (const { first, last } of message.ranges) {
          if (!this.#slots.has(first) || !this.#slots.has(last))
            throw new FormatError(`slots ${first} to ${last} are not of this channel`)
        }
        this.heardMs = this.#owner.nowMs
        // What came back to the source since its plan came as slot states, which its log doesn't pass on.
        if (this.sourceStale && !message.stale) {
          this.sourceStale = false
          this.subscribe()
        }
        if (this.sourceRefusing !== message.refusing) {
          this.sourceRefusing = message.refusing
          this.#owner.sourceTurned(this)
        }
        this.#owner.heard(this, message, this.#nothingPending && message.ranges.length > 0)
        break
      case 'behind':
        this.subscribe()
        break
      case 'askApplied':
      case 'askRelayed':
        // One that was sent before the running plan is no longer waited for.
        if (this.#planned && (this.#origins & (1 << originOf(message.stamp))) !== 0)
          this.#answers.ask(message.stamp, message.kind === 'askRelayed' ? message.ranges : this.ranges)
        break
      default:
        throw new FormatError(`a ${message.kind} message, which an intake doesn't take`)
    }
  }

  #takePlan(plan: Plan): void {
    if (this.sourceRunId !== null && this.sourceRunId !== plan.runId)
      throw new FormatError('the run of the source changed within a channel')
    // Whatever was under way of an older plan has ended; the new one brings it if it is still missing.
    this.#dropStates()
    this.sourceRunId = plan.runId
    this.sourceStale = plan.stale
    if (plan.round !== this.#round) return
    this.#planned = true
    this.roundTripMs = this.#owner.nowMs - this.#subscribedMs
    this.#passedOn.isWanted = plan.relays
    this.#needs.clear()
    this.slotStatesPlanned = plan.slotStates
    this.slotStatesTaken = 0
    this.#owner.planned(this, plan)
  }

  #takeOperations({ bytes, start, end }: Operations): void {
    const reader = this.#reader
    for (let at = start; at < end && !this.#closed; ) {
      const next = reader.read(bytes, at, end)
      if (reader.kind !== RecordKind.operations) throw new FormatError(`record of kind ${reader.kind}`)
      for (let i = 0; i < reader.partCount; i++) this.#checkPart(reader.parts[i] as RecordPart)
      this.#gate.offer(this, reader, bytes, at, next, this.#owner.nowMs)
      at = next
    }
  }

  /** A peer speaks for its own operations, and for those it was asked to relay. */
  #checkPart({ slot, origin }: RecordPart): void {
    if (!this.#slots.has(slot)) throw new FormatError(`slot ${slot} is not of this channel`)
    if ((this.#everAsked & (1 << origin)) === 0)
      throw new FormatError(`operations of cluster ${originsMax - origin} were not asked for`)
  }

  #takeState(message: StateMessage): void {
    const { slot } = message
    if (!this.#slots.has(slot)) throw new FormatError(`slot ${slot} is not of this channel`)
    const arrivals = this.#arrivals
    switch (message.kind) {
      case 'slotState': {
        const { part, last, label, bytes, start, end } = message
        // The message is gone when its last part comes.
        arrivals.addPart(slot, part, last, label, copyOf(bytes, start, end))
        break
      }
      case 'askDigests':
        arrivals.ask(slot, message.number, message.portioning)
        break
      case 'cutDiffering':
        arrivals.differ(message)
        break
      case 'cutBegin':
        arrivals.begin(slot, message.label)
        break
      case 'cutKeys':
        arrivals.addKeys(slot, message.last, copyOf(message.bytes, message.start, message.end))
        break
      case 'cutTail':
        arrivals.addTail(message)
        break
      case 'cutEnd':
        arrivals.end(slot, message.reached)
    }
  }

  #takeOffer({ offered }: Offer): void {
    for (const { slot, stamp } of offered) {
      if (!this.#slots.has(slot)) throw new FormatError(`slot ${slot} is not of this channel`)
      if (this.#shard.vectors.covers(slot, stamp)) continue
      this.#needs.offered(slot, stamp)
    }
  }

  #taken(slot: number, outcome: Outcome): void {
    if (outcome === 'ahead' || outcome === 'tooOld') {
      // Ahead: held like such an operation, except that it is cheaper to ask for it again. Too old: cut before a delete that has
      // been forgotten here since: a newer one is asked for.
      this.#needs.notTaken(slot)
      return
    }
    this.slotStatesTaken++
    this.#needs.taken(slot)
    if (outcome === 'known') return
    this.#owner.merged(slot, this.peer)
    this.#gate.risen(slot)
  }
}
