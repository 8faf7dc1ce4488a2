/**
 * The source's end of a sync channel: it serves one shard of a peer from this shard's log, and with whole slot states where
 * the log no longer reaches back.
 *
 * A subscribe tells what the peer has, slot by slot. For each slot the answer is nothing, log, or state; then the log is
 * followed for ever. The log is read at one position for all slots:
 *
 * - A record's part is sent when its slot and origin are wanted, the peer doesn't have it, and no state of the slot is
 *   still to come. Parts that aren't are left out, so a transaction may reach two shards of the peer as two records.
 * - A state is cut in one step, as of the end of the log, and waits until the log is durable up to there: like an
 *   operation, nothing in it may be forgotten by a crash once a peer has it. (Several are cut at a time, so that a whole
 *   transfer doesn't wait once a slot.) Then its parts go out in one run, without operations between them: what the peer
 *   got of the slot before the last part is contained in the state.
 * - A heartbeat that acknowledges (a mark) takes its vector at the end of the log and leaves when the log has been sent up
 *   to there and no state is owed. Others only show that the link lives.
 *
 * At most `linkInflightBytesMax` (and one message) is on its way unacknowledged: a slow peer costs a position in the log and
 * nothing else. When the window of the log has moved past that position the peer is told ("behind") and subscribes again.
 */

import type { SlotRange } from '#protocol/slots/slotMap.ts'
import {
  type AppliedRange,
  beginOperations,
  readMessage,
  type Subscribe,
  writeBehind,
  writeCaughtUp,
  writeHeartbeat,
  writePlan,
  writeSlotStatePart,
} from '#protocol/sync/message.ts'
import {
  beginRecord,
  endRecord,
  RecordKind,
  type RecordPart,
  RecordReader,
  recordHeaderBytes,
} from '#protocol/sync/record.ts'
import { type Origin, originsMax } from '#protocol/sync/stamp.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { LocalShard, SyncChannel } from './localShard.ts'
import { SlotSet } from './slotSet.ts'

/** An operations message is closed when it has reached this size. */
const operationsBytesWanted = 64 * 1024
/** So much of the log is looked at in one turn; the rest in the next ones. */
export const scanBytesMax = 4 * 1024 * 1024
/** Slots are cut until their states have reached this size together. */
const cutBytesWanted = 256 * 1024

/** What a feed asks of the replication it belongs to. */
export interface FeedOwner {
  readonly runId: string
  readonly stale: boolean
  /** What this shard may acknowledge now in these slots. */
  applied(ranges: readonly SlotRange[]): AppliedRange[]
  /** A peer that lost its data asks: nothing of its former life may be taken from now on. */
  fence(feed: Feed, subscribe: Subscribe): void
  /** The window of the log has moved past what the peer wants next. */
  fellBehind(feed: Feed): void
  refused(feed: Feed, reason: string): void
}

export interface FeedLimits {
  /** Sent and not acknowledged yet; at most one message more. */
  linkInflightBytesMax: number
  /** A slot state is sent in parts of this size. */
  slotStatePartBytes: number
}

interface Cut {
  slot: number
  label: VersionVector
  /** The log must be shippable up to here before the state may leave. */
  position: number
  bytes: Uint8Array
  sentBytes: number
  part: number
}

interface Mark {
  position: number
  applied: AppliedRange[]
}

export class Feed {
  readonly peer: Origin
  readonly ranges: readonly SlotRange[]
  readonly #slots: SlotSet
  readonly #limits: FeedLimits
  readonly #channel: SyncChannel
  readonly #shard: LocalShard
  readonly #owner: FeedOwner
  readonly #reader = new RecordReader()
  readonly #writer = new ByteWriter()
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
  /** Slots whose state is owed, in order. */
  readonly #owed = new Set<number>()
  /** States that are cut and not sent yet, in order. */
  #cuts: Cut[] = []
  #mark: Mark | null = null
  /** When the log has been sent up to here and no state is owed the peer has caught up; Infinity: it has been told. */
  #caughtUpAt = Number.POSITIVE_INFINITY
  #sentBytes = 0
  #acknowledgedBytes = 0

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
    this.#slots = new SlotSet(ranges)
    this.#limits = limits
    this.#shard = shard
    this.#owner = owner
  }

  get caughtUp(): boolean {
    return this.#following && this.#caughtUpAt === Number.POSITIVE_INFINITY
  }

  get inflightBytes(): number {
    return this.#sentBytes - this.#acknowledgedBytes
  }

  /** Log not yet looked at for this peer. */
  get behindBytes(): number {
    return this.#following ? this.#shard.log.end - this.#next : 0
  }

  get slotStatesOwed(): number {
    return this.#owed.size + this.#cuts.length
  }

  isCutting(slot: number): boolean {
    return this.#cuts.some((cut) => cut.slot === slot)
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
    this.#cuts = []
    this.#owed.clear()
    this.#have.clear()
  }

  /** Takes a new mark if the last one has left, and shows that the link lives. */
  heartbeat(): void {
    if (this.#closed) return
    if (this.#mark === null && this.#following && !this.#owner.stale) {
      this.#mark = { position: this.#shard.log.end, applied: this.#owner.applied(this.ranges) }
    }
    if (!this.#sendMark()) this.#sendHeartbeat([])
  }

  /** Sends what may be sent; true: there is more to do for another turn. */
  pump(): boolean {
    const scanUntil = this.#next + scanBytesMax
    while (this.#following) {
      if (this.inflightBytes >= this.#limits.linkInflightBytesMax) return false
      if (this.#next < this.#shard.log.start) {
        this.#fallBehind()
        return false
      }
      if (this.#sendStatePart()) continue
      if (this.#next >= this.#shard.log.shippable) break
      if (this.#next >= scanUntil) return true
      this.#sendOperations(scanUntil)
    }
    this.#sendCaughtUp()
    this.#sendMark()
    return false
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    const message = readMessage(bytes, start, end)
    switch (message.kind) {
      case 'subscribe':
        this.#takeSubscribe(message)
        break
      case 'acknowledge':
        if (message.received < this.#acknowledgedBytes || message.received > this.#sentBytes)
          throw new FormatError(`acknowledges ${message.received} bytes of ${this.#sentBytes}`)
        this.#acknowledgedBytes = message.received
        break
      case 'need':
        if (!this.#slots.has(message.slot))
          throw new FormatError(`slot ${message.slot} is not of this channel`)
        // An empty slot has no state: what holds the peer up is not here.
        if (this.#shard.vectors.greatest(message.slot) > 0) this.#owed.add(message.slot)
        break
      default:
        throw new FormatError(`a ${message.kind} message, which a feed doesn't take`)
    }
  }

  #takeSubscribe(subscribe: Subscribe): void {
    if (subscribe.stale) this.#owner.fence(this, subscribe)
    if (this.#closed) return
    this.#round = subscribe.round
    this.#origins = subscribe.origins
    this.#have = subscribe.vectors
    this.#owed.clear()
    this.#cuts = []
    this.#mark = null
    this.#plan()
    this.#following = true
    this.#writer.clear()
    const { runId, stale } = this.#owner
    writePlan(this.#writer, { round: this.#round, stale, runId, slotStates: this.#owed.size })
    this.#channel.send(this.#writer.view())
  }

  /** Decides for every slot between nothing, log and state, and where in the log to begin. */
  #plan(): void {
    const { log, vectors } = this.#shard
    /** Per origin, what the peer has at least in each slot that will be served from the log. */
    const least = emptyVector().fill(Number.POSITIVE_INFINITY)
    for (const { first, last } of this.ranges) {
      let slot = vectors.firstOccupied(first, last)
      for (; slot >= 0; slot = vectors.firstOccupied(slot + 1, last)) this.#planSlot(slot, least)
    }
    this.#next = log.end
    for (let origin = 0; origin < originsMax; origin++) {
      const stamp = least[origin] as number
      if (stamp === Number.POSITIVE_INFINITY) continue
      this.#next = Math.min(this.#next, log.firstPositionAbove(origin, stamp))
    }
    this.#compareUntil = log.end
    this.#caughtUpAt = log.end
  }

  #planSlot(slot: number, least: VersionVector): void {
    const { log, vectors } = this.#shard
    const have = this.#have.get(slot)
    for (let origin = 0; origin < originsMax; origin++) {
      const stamp = have?.[origin] ?? 0
      if ((this.#origins & (1 << origin)) === 0 || vectors.get(slot, origin) <= stamp) continue
      if (log.floor(slot, origin) > stamp) {
        this.#owed.add(slot)
        return
      }
    }
    for (let origin = 0; origin < originsMax; origin++) {
      const stamp = have?.[origin] ?? 0
      if ((this.#origins & (1 << origin)) === 0 || vectors.get(slot, origin) <= stamp) continue
      if (stamp < (least[origin] as number)) least[origin] = stamp
    }
  }

  #fallBehind(): void {
    this.#following = false
    this.#cuts = []
    this.#mark = null
    this.#owner.fellBehind(this)
    this.#writer.clear()
    writeBehind(this.#writer)
    this.#channel.send(this.#writer.view())
  }

  /** Sends a part of the next state that is owed; false: none can be sent now. */
  #sendStatePart(): boolean {
    if (this.#cuts.length === 0) this.#cutSlots()
    const cut = this.#cuts[0]
    if (cut === undefined || this.#shard.log.shippable < cut.position) return false
    const end = Math.min(cut.bytes.length, cut.sentBytes + this.#limits.slotStatePartBytes)
    const last = end === cut.bytes.length
    this.#writer.clear()
    writeSlotStatePart(this.#writer, cut.slot, cut.part, last, cut.label, cut.bytes, cut.sentBytes, end)
    this.#send()
    cut.sentBytes = end
    cut.part++
    if (last) this.#cuts.shift()
    return true
  }

  #cutSlots(): void {
    let sizeBytes = 0
    for (const slot of this.#owed) {
      this.#owed.delete(slot)
      const cut = this.#cutSlot(slot)
      this.#cuts.push(cut)
      sizeBytes += cut.bytes.length
      if (sizeBytes >= cutBytesWanted) return
    }
  }

  #cutSlot(slot: number): Cut {
    const { log, vectors } = this.#shard
    const writer = new ByteWriter()
    this.#shard.encodeSlot(slot, writer)
    const label = vectors.of(slot).slice()
    this.#have.set(slot, label)
    this.#compareUntil = log.end
    return { slot, label, position: log.end, bytes: writer.view(), sentBytes: 0, part: 0 }
  }

  /** Reads on in the log until a message is full. */
  #sendOperations(scanUntil: number): void {
    const writer = this.#writer
    writer.clear()
    beginOperations(writer)
    const empty = writer.length
    const { log } = this.#shard
    let position = this.#next
    this.#next = log.walk(this.#next, log.shippable, (bytes, start, end) => {
      this.#copyWanted(bytes, start, end, position)
      position += end - start
      return writer.length < operationsBytesWanted && position < scanUntil
    })
    if (this.#next >= this.#compareUntil) this.#have.clear()
    if (writer.length > empty) this.#send()
  }

  /** Copies the record at `position` of the log into the message, without the parts that the peer doesn't want or has. */
  #copyWanted(bytes: Uint8Array, start: number, end: number, position: number): void {
    const reader = this.#reader
    reader.read(bytes, start, end)
    if (reader.kind !== RecordKind.operations) return
    let wanted = 0
    for (let i = 0; i < reader.partCount; i++) {
      if (this.#wants(reader.parts[i] as RecordPart, position)) wanted++
    }
    if (wanted === 0) return
    if (wanted === reader.partCount) {
      this.#writer.raw(bytes, start, end)
      return
    }
    const record = beginRecord(this.#writer, RecordKind.operations)
    let partStart = start + recordHeaderBytes
    for (let i = 0; i < reader.partCount; i++) {
      const part = reader.parts[i] as RecordPart
      if (this.#wants(part, position)) this.#writer.raw(bytes, partStart, part.effectsEnd)
      partStart = part.effectsEnd
    }
    endRecord(this.#writer, record)
  }

  #wants({ slot, origin, last }: RecordPart, position: number): boolean {
    if ((this.#origins & (1 << origin)) === 0 || !this.#slots.has(slot) || this.#owed.has(slot)) return false
    if (position >= this.#compareUntil) return true
    return last > (this.#have.get(slot)?.[origin] ?? 0)
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

  #sendHeartbeat(applied: readonly AppliedRange[]): void {
    this.#writer.clear()
    writeHeartbeat(this.#writer, this.#owner.stale, applied)
    this.#channel.send(this.#writer.view())
  }

  /** Sends what counts against the credit. */
  #send(): void {
    this.#sentBytes += this.#writer.length
    this.#channel.send(this.#writer.view())
  }
}
