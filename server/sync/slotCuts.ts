/**
 * The slot states that a feed owes its peer: cut, and kept until they may leave and have left.
 *
 * A slot is cut in one step if it fits into one: a *whole* cut, as of the end of the log. One that doesn't fit is cut while it
 * changes (rule 3.3.4): its keys part by part, turn by turn, and with them the *tail*, which is all that the log gets of the slot
 * from before the first part to behind the last, of whatever origin. The label is the vector from before the first part: later
 * parts hold more than it says, in no order that any vector could name. Tail and label together make up for it: effects are
 * idempotent, and the last to be applied are the last that were. So the receiver may use nothing of it before the end.
 * The tail is the log itself as the feed reads it on its way, so it needs no place and no search. What a state of a third
 * cluster brings into the slot meanwhile is no record of the log: the cut begins anew then.
 *
 * A peer that has nearly all of a large slot is asked for digests of it first (`digestQuestions.ts`). Its answer is compared with the slot, and
 * only the keys of portions that differ are cut: from then on it is a cut like any other that takes several turns. Its label is
 * from before the first key was compared. The tail is held until the comparison is done, as the peer can't use it before.
 *
 * Whatever is cut waits until the log is durable up to there: nothing in it may be forgotten by a crash once a peer has it.
 */
import { type Digests, writeCutDiffering } from '#protocol/sync/digestMessage.ts'
import { writeCutBegin, writeCutEnd, writeCutKeys, writeSlotStatePart } from '#protocol/sync/stateMessage.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import { type Answered, DigestQuestions } from './digestQuestions.ts'
import type { LocalShard, SlotDifferences } from './localShard.ts'

/** Cut and not sent yet; beyond, cutting waits. */
const unsentBytesMax = 512 * 1024
/** A buffer that grew beyond it is given back. */
const writerBytesKept = 1024 * 1024

export interface CutSizes {
  /** A state is sent in messages of at most this size. */
  slotStatePartBytes: number
  /** What is cut in one turn, and of a slot in one step. */
  cutBytes: number
}

interface WholeCut {
  slot: number
  label: VersionVector
  /** The log must be shippable up to here before the state may leave. */
  position: number
  bytes: Uint8Array
  sentBytes: number
  part: number
}

interface RunningCut {
  slot: number
  label: VersionVector
  /** The tail begins here in the log. */
  from: number
  isBegun: boolean
  /** Where in the slot the next part begins; null: there is none. */
  next: SlotPosition | null
  /** The part that is being sent, cut at `position` of the log. */
  bytes: Uint8Array
  position: number
  sentBytes: number
  /** What keys and tail add up to: the slot's vector when the last part was cut. */
  reached: VersionVector | null
  /** Of a slot of which only what differs is sent. */
  compared: Compared | null
}

interface Compared {
  number: number
  differences: SlotDifferences
  /** Messages of the tail that have to wait until the peer knows what differs. */
  heldTail: Uint8Array[]
  heldBytes: number
}

/** A slot has been sent as of a position of the log. */
type Sent = (slot: number, vector: VersionVector, position: number) => void

export class SlotCuts {
  readonly #shard: LocalShard
  readonly #sizes: CutSizes
  /** A whole cut covers the slot from the moment it is made, another one when its end is sent. */
  readonly #covered: Sent
  /** Parts are written here, and copied: one that grows for each would leave several times its length to the collector. */
  #writer = new ByteWriter()
  /** Not cut yet, in order. */
  readonly #owed = new Set<number>()
  /** The same, of which the peer has something: it may be asked for digests before. */
  readonly #shared = new Set<number>()
  readonly #questions = new DigestQuestions()
  #whole: WholeCut[] = []
  #wholeBytes = 0
  #running: RunningCut | null = null

  constructor(shard: LocalShard, sizes: CutSizes, covered: Sent) {
    this.#shard = shard
    this.#sizes = sizes
    this.#covered = covered
  }

  /** `isShared`: the peer has something of the slot, and answers questions for digests. */
  owe(slot: number, isShared = false): void {
    if (this.withholds(slot)) return
    if (isShared && this.#shard.isWorthComparing(slot)) this.#shared.add(slot)
    else this.#owed.add(slot)
  }

  takeDigests(message: Digests): void {
    if (this.#questions.take(message)) this.#owed.add(message.slot)
  }

  /** Slots whose states have not been sent. */
  get left(): number {
    const uncut = this.#owed.size + this.#shared.size + this.#questions.size
    return uncut + this.#whole.length + (this.#running === null ? 0 : 1)
  }

  /** Operations of the slot are not to be sent: they are in a state that is still to come. */
  withholds(slot: number): boolean {
    if (this.#owed.has(slot) || this.#shared.has(slot)) return true
    return this.#running?.slot === slot || this.#questions.has(slot)
  }

  /** Whether a record at this position of the log may belong behind the state of the slot that is being cut. */
  isTail(position: number): boolean {
    return this.#running !== null && position >= this.#running.from
  }

  /** The slot whose tail is wanted; -1: none is. */
  get tailSlot(): number {
    return this.#running?.slot ?? -1
  }

  isCutting(slot: number): boolean {
    return this.#running?.slot === slot || this.#whole.some((cut) => cut.slot === slot)
  }

  /**
   * Operations behind it in the log must wait until a state, or the part of one that is being sent, has left: it holds what is
   * before. Of the tail the more so: a part that came behind an operation it lacks would undo it.
   */
  get logLimit(): number {
    const [first] = this.#whole
    if (first !== undefined) return first.position
    const running = this.#running
    if (running === null) return Number.POSITIVE_INFINITY
    if (running.compared !== null && running.compared.heldBytes >= unsentBytesMax) return 0
    const isSent = running.sentBytes === running.bytes.length && running.next !== null
    return isSent ? Number.POSITIVE_INFINITY : running.position
  }

  /** Operations that will never be records here have come to the slot. */
  restart(slot: number): void {
    if (this.#running?.slot !== slot) return
    const isShared = this.#running.compared !== null
    this.#running = null
    this.owe(slot, isShared)
  }

  clear(): void {
    this.#owed.clear()
    this.#shared.clear()
    this.#questions.clear()
    this.#whole = []
    this.#wholeBytes = 0
    this.#running = null
  }

  /** Cuts about as much as a turn may take. */
  cut(): void {
    let sizeBytes = 0
    if (this.#running !== null || this.#wholeBytes >= unsentBytesMax) return
    const answered = this.#questions.next((slot) => !this.#shard.isJoining(slot))
    if (answered !== undefined) {
      this.#beginCompared(answered)
      return
    }
    for (const slot of this.#owed) {
      if (this.#shard.isJoining(slot)) continue
      this.#owed.delete(slot)
      sizeBytes += this.#begin(slot)
      if (this.#running !== null || sizeBytes >= this.#sizes.cutBytes) return
    }
  }

  /** Returns how many bytes it is. */
  #begin(slot: number): number {
    const { log, vectors } = this.#shard
    const writer = this.#emptyWriter()
    writer.varint(this.#shard.slotCount(slot))
    const keysStart = writer.length
    const next = this.#shard.encodeSlotPart(slot, 0, this.#sizes.cutBytes, writer)
    const label = vectors.of(slot).slice()
    const position = log.end
    const bytes = writer.take()
    if (next === 0) {
      this.#whole.push({ slot, label, position, bytes, sentBytes: 0, part: 0 })
      this.#wholeBytes += bytes.length
      this.#covered(slot, label, position)
    } else {
      this.#running = {
        slot,
        label,
        from: position,
        isBegun: false,
        next,
        bytes: bytes.subarray(keysStart),
        position,
        sentBytes: 0,
        reached: null,
        compared: null,
      }
    }
    return bytes.length
  }

  #beginCompared({ slot, number, portioning, digests }: Answered): void {
    const { log, vectors } = this.#shard
    const differences = this.#shard.compare(slot, portioning, digests)
    this.#running = {
      slot,
      label: vectors.of(slot).slice(),
      from: log.end,
      isBegun: false,
      next: 0,
      bytes: new Uint8Array(0),
      position: log.end,
      sentBytes: 0,
      reached: null,
      compared: { number, differences, heldTail: [], heldBytes: 0 },
    }
  }

  /** A small step of comparing the slot, or of looking for what to send of it; false: there is nothing to do now. */
  compare(): boolean {
    const cut = this.#running
    if (cut === null || cut.compared === null) return false
    const { differences, heldTail } = cut.compared
    if (differences.differing === null) {
      differences.step()
      return true
    }
    if (!cut.isBegun || heldTail.length > 0 || cut.sentBytes < cut.bytes.length || cut.next === null)
      return false
    this.#cutPart(cut)
    return true
  }

  /** True: the message of the tail goes later. */
  holdsTail(message: Uint8Array): boolean {
    const compared = this.#running?.compared
    if (compared === null || compared === undefined) return false
    if (this.#running?.isBegun === true && compared.heldTail.length === 0) return false
    compared.heldTail.push(copyOf(message))
    compared.heldBytes += message.length
    return true
  }

  /** Puts the next message into `writer`; false: nothing may leave now. `next`: the log has been sent up to there. */
  write(writer: ByteWriter, next: number): boolean {
    if (this.#writeQuestion(writer)) return true
    const [whole] = this.#whole
    if (whole !== undefined) return this.#writeWhole(writer, whole)
    return this.#running !== null && this.#writeRunning(writer, this.#running, next)
  }

  #writeQuestion(writer: ByteWriter): boolean {
    const [slot] = this.#shared
    if (slot === undefined || !this.#questions.mayAsk) return false
    this.#shared.delete(slot)
    this.#questions.write(writer, slot, this.#shard.portioning(slot))
    return true
  }

  #writeWhole(writer: ByteWriter, cut: WholeCut): boolean {
    if (this.#shard.log.shippable < cut.position) return false
    const end = Math.min(cut.bytes.length, cut.sentBytes + this.#sizes.slotStatePartBytes)
    const last = end === cut.bytes.length
    writeSlotStatePart(writer, cut.slot, cut.part, last, cut.label, cut.bytes, cut.sentBytes, end)
    cut.sentBytes = end
    cut.part++
    if (!last) return true
    this.#whole.shift()
    this.#wholeBytes -= cut.bytes.length
    return true
  }

  #writeRunning(writer: ByteWriter, cut: RunningCut, next: number): boolean {
    if (cut.compared === null)
      while (cut.sentBytes === cut.bytes.length && cut.next !== null) this.#cutPart(cut)
    if (this.#shard.log.shippable < cut.position) return false
    if (!cut.isBegun) return this.#writeBegin(writer, cut)
    const held = cut.compared?.heldTail.shift()
    if (held !== undefined) {
      writer.raw(held)
      return true
    }
    if (cut.sentBytes < cut.bytes.length) {
      const end = Math.min(cut.bytes.length, cut.sentBytes + this.#sizes.slotStatePartBytes)
      writeCutKeys(writer, cut.slot, end === cut.bytes.length, cut.bytes, cut.sentBytes, end)
      cut.sentBytes = end
      return true
    }
    // The tail ends where the last part was cut.
    if (next < cut.position || cut.reached === null) return false
    writeCutEnd(writer, cut.slot, cut.reached)
    this.#running = null
    this.#covered(cut.slot, cut.reached, cut.position)
    return true
  }

  /** False: what differs is not known yet. */
  #writeBegin(writer: ByteWriter, cut: RunningCut): boolean {
    if (cut.compared === null) writeCutBegin(writer, cut.slot, cut.label)
    else {
      const { number, differences } = cut.compared
      if (differences.differing === null) return false
      writeCutDiffering(writer, cut.slot, number, cut.label, differences.differing)
      cut.compared.heldBytes = 0
    }
    cut.isBegun = true
    return true
  }

  #cutPart(cut: RunningCut): void {
    const { log, vectors } = this.#shard
    const writer = this.#emptyWriter()
    const from = cut.next ?? 0
    const next =
      cut.compared === null
        ? this.#shard.encodeSlotPart(cut.slot, from, this.#sizes.cutBytes, writer)
        : cut.compared.differences.encodePart(from, writer)
    cut.next = next === 0 ? null : next
    cut.bytes = writer.take()
    cut.position = log.end
    cut.sentBytes = 0
    if (cut.next === null) cut.reached = vectors.of(cut.slot).slice()
  }

  #emptyWriter(): ByteWriter {
    if (this.#writer.bytes.length > writerBytesKept) this.#writer = new ByteWriter()
    this.#writer.clear()
    return this.#writer
  }
}
