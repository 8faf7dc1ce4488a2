/**
 * The destination's end of a sync channel: it tells what this shard has, takes records and slot states, and asks for what
 * is missing. One for each shard of a peer whose slots overlap with ours.
 *
 * A slot state is staged until its last part has come; only then are state and vector joined, in one step. Raising the
 * vector earlier would make a broken transfer look like a complete one (rules 3.3.4-3.3.6).
 *
 * Subscribing again, on the same channel, is how everything unusual is mended: when the source's log no longer reaches back
 * ("behind"), when the set of wanted origins changes, when data was lost. What is still on its way from the plan before
 * does no harm: records prove themselves, and what they don't bring the new plan brings.
 */

import type { SlotRange } from '#protocol/slots/slotMap.ts'
import {
  type Heartbeat,
  type Operations,
  type Plan,
  readMessage,
  type SlotStatePart,
  type StaleRun,
  writeAcknowledge,
  writeNeed,
  writeSubscribe,
} from '#protocol/sync/message.ts'
import { RecordKind, type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { type Origin, originsMax } from '#protocol/sync/stamp.ts'
import { includes, type VersionVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { concatenate, copyOf } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Gate, HoldSource } from './gate.ts'
import { HoldQueues } from './holdQueues.ts'
import type { LocalShard, SyncChannel } from './localShard.ts'
import { SlotSet } from './slotSet.ts'

/** A slot whose state is larger can't be transferred: the channel is closed. */
export const slotStateBytesMax = 1 << 30
/** The state of one slot is asked for at most so often. */
export const needAgainMs = 1000

/** What an intake tells the replication it belongs to. */
export interface IntakeOwner {
  readonly nowMs: number
  readonly runId: string
  readonly stale: boolean
  readonly staleRuns: readonly StaleRun[]
  /** The state of a slot is asked for, as an operation waits for what it contains. */
  asked(intake: Intake, slot: number): void
  /** The source has answered a subscribe. */
  planned(intake: Intake, plan: Plan): void
  heard(intake: Intake, heartbeat: Heartbeat, proves: boolean): void
  refused(intake: Intake, reason: string): void
}

export interface IntakeOptions {
  peer: Origin
  /** Which shard of the peer it is, for logs and acknowledgements. */
  sourceShard: number
  ranges: readonly SlotRange[]
  /** Bit o: operations of origin o are wanted. */
  origins: number
  /** Of one slot. */
  slotStateBytesMax: number
}

interface Staging {
  slot: number
  label: VersionVector
  parts: Uint8Array[]
  sizeBytes: number
}

interface Question {
  askedMs: number
  /** The state came, so the slot needs nothing; kept for a while lest it be asked for again at once. */
  answered: boolean
}

export class Intake implements HoldSource {
  readonly held = new HoldQueues()
  readonly peer: Origin
  readonly sourceShard: number
  readonly ranges: readonly SlotRange[]
  /** Run id and state of the source, from its latest plan. */
  sourceRunId: string | null = null
  sourceStale = false
  /** When the last heartbeat came, or the channel was opened. */
  heardMs: number
  /** Slot states that the running plan has announced, and those that have come. */
  slotStatesPlanned = 0
  slotStatesTaken = 0
  #origins = 0
  /** All origins that were ever asked for: their records may still be on the way. */
  #everAsked = 0
  #round = 0
  #planned = false
  #caughtUp = false
  #closed = false
  #staging: Staging | null = null
  readonly #questions = new Map<number, Question>()
  #receivedBytes = 0
  #acknowledgedBytes = 0
  readonly #slots: SlotSet
  readonly #slotStateBytesMax: number
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
    this.#slotStateBytesMax = options.slotStateBytesMax
    this.#channel = channel
    this.#shard = shard
    this.#gate = gate
    this.#owner = owner
    this.heardMs = owner.nowMs
    gate.open(this)
    this.subscribe(options.origins)
  }

  get origins(): number {
    return this.#origins
  }

  /** Everything that the source had when it answered the latest subscribe is applied here. */
  get caughtUp(): boolean {
    return this.#caughtUp && this.#nothingPending
  }

  /** Nothing that the source has sent waits here, or was dropped and has not come again. */
  get #nothingPending(): boolean {
    if (!this.#planned || this.#staging !== null || this.held.count > 0) return false
    for (const question of this.#questions.values()) if (!question.answered) return false
    return true
  }

  isStaging(slot: number): boolean {
    return this.#staging?.slot === slot
  }

  /** Tells the source anew what this shard has and what it wants. */
  subscribe(origins = this.#origins): void {
    this.#origins = origins
    this.#everAsked |= origins
    this.#round++
    this.#planned = false
    this.#caughtUp = false
    const vectors = new Map<number, VersionVector>()
    for (const { first, last } of this.ranges) {
      const applied = this.#shard.vectors
      let slot = applied.firstOccupied(first, last)
      for (; slot >= 0; slot = applied.firstOccupied(slot + 1, last)) vectors.set(slot, applied.of(slot))
    }
    this.#writer.clear()
    const { runId, stale, staleRuns } = this.#owner
    writeSubscribe(this.#writer, { round: this.#round, stale, runId, staleRuns, origins, vectors })
    this.#channel.send(this.#writer.view())
  }

  need(slot: number): void {
    const question = this.#questions.get(slot)
    if (question !== undefined && this.#owner.nowMs - question.askedMs < needAgainMs) {
      // An answer that has just come didn't help; what is missing now must be counted as missing.
      question.answered = false
      return
    }
    this.#ask(slot)
  }

  #ask(slot: number): void {
    this.#questions.set(slot, { askedMs: this.#owner.nowMs, answered: false })
    this.#owner.asked(this, slot)
    this.#writer.clear()
    writeNeed(this.#writer, slot)
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
    this.#staging = null
    this.#gate.close(this)
  }

  /** Asks again for what was not answered, and forgets old answers. */
  tick(): void {
    for (const [slot, { askedMs, answered }] of this.#questions) {
      if (this.#owner.nowMs - askedMs < needAgainMs) continue
      if (answered) this.#questions.delete(slot)
      else if (this.#planned && this.#staging?.slot !== slot) this.#ask(slot)
    }
  }

  /** Grants the feed new credit for what has been taken. */
  acknowledge(): void {
    if (this.#receivedBytes === this.#acknowledgedBytes || this.#shard.refusing || this.#closed) return
    this.#acknowledgedBytes = this.#receivedBytes
    this.#writer.clear()
    writeAcknowledge(this.#writer, this.#receivedBytes)
    this.#channel.send(this.#writer.view())
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    const message = readMessage(bytes, start, end)
    if (message.kind === 'operations' || message.kind === 'slotState') {
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
        this.#takeSlotState(message)
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
        this.#owner.heard(this, message, this.#nothingPending && message.ranges.length > 0)
        break
      case 'behind':
        this.subscribe()
        break
      default:
        throw new FormatError(`a ${message.kind} message, which an intake doesn't take`)
    }
  }

  #takePlan(plan: Plan): void {
    if (this.sourceRunId !== null && this.sourceRunId !== plan.runId)
      throw new FormatError('the run of the source changed within a channel')
    // Whatever was under way of an older plan has ended; the new one brings it if it is still missing.
    this.#staging = null
    this.sourceRunId = plan.runId
    this.sourceStale = plan.stale
    if (plan.round !== this.#round) return
    this.#planned = true
    this.#questions.clear()
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

  #takeSlotState(message: SlotStatePart): void {
    const { slot, part, last, label, bytes, start, end } = message
    if (!this.#slots.has(slot)) throw new FormatError(`slot ${slot} is not of this channel`)
    if (label !== null) this.#staging = { slot, label, parts: [], sizeBytes: 0 }
    const staging = this.#staging
    if (staging === null || staging.slot !== slot || staging.parts.length !== part)
      throw new FormatError(`part ${part} of the state of slot ${slot} is out of order`)
    // The message is gone when its last part comes.
    staging.parts.push(copyOf(bytes, start, end))
    staging.sizeBytes += end - start
    if (staging.sizeBytes > this.#slotStateBytesMax)
      throw new FormatError(`state of slot ${slot} is larger than ${this.#slotStateBytesMax} bytes`)
    if (!last) return
    this.#staging = null
    this.#merge(staging)
  }

  #merge({ slot, label, parts }: Staging): void {
    if (this.#gate.isAhead(label)) {
      // Held like an operation that is ahead of time, except that it is cheaper to ask for it again.
      this.#questions.set(slot, { askedMs: this.#owner.nowMs, answered: false })
      return
    }
    this.slotStatesTaken++
    const question = this.#questions.get(slot)
    if (question !== undefined) question.answered = true
    if (includes(this.#shard.vectors.of(slot), label)) return
    const bytes = concatenate(parts)
    if (!this.#shard.merge(slot, label, bytes, 0, bytes.length)) {
      // Cut before a delete that has been forgotten here since: a newer one is asked for.
      this.#questions.set(slot, { askedMs: this.#owner.nowMs, answered: false })
      return
    }
    this.#gate.risen(slot)
  }
}
