/**
 * Slot states that have come to an intake, in order, until they are joined with the shard's own. A state is work of a millisecond
 * or of many, and many come at once, so they are taken step by step, between the turns of clients; the source is given credit for
 * what has been taken only.
 *
 * A state that was cut in one step is merged in one. One that was cut while it changed is staged: its keys, then the operations
 * of its tail. It may be joined when it has reached the vector that its end names, neither less nor more, and not before.
 *
 * A source that asks for digests of a slot is answered as of now. The slot is kept as it is now (`LocalShard.freeze`) until its state comes,
 * without what is equal.
 */

import type { CutDiffering, Portioning } from '#protocol/sync/digestMessage.ts'
import { RecordKind, type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import type { CutTail } from '#protocol/sync/stateMessage.ts'
import { includes, type VersionVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { concatenate, copyOf } from '#runtime/bytes/bytes.ts'
import type { DigestsAnswer } from './digestAnswers.ts'
import type { FrozenState, LocalShard, StagedSlot } from './localShard.ts'

/** What has become of a state. */
export type Outcome = 'merged' | 'known' | 'ahead' | 'tooOld'

export interface ArrivalsHost {
  /** Whether what bears this label comes from a clock that is too far ahead. */
  isAhead(label: VersionVector): boolean
  /** A state, or what is left of it, is taken no further. */
  taken(slot: number, outcome: Outcome): void
  /** Tells the source the digests that it has asked for; none: it is to send all of the slot. */
  answer(...of: DigestsAnswer): void
}

type Arrived =
  | { kind: 'state'; slot: number; label: VersionVector; bytes: Uint8Array }
  | { kind: 'ask'; slot: number; number: number; portioning: Portioning; bytes: Uint8Array }
  | { kind: 'differ'; slot: number; number: number; label: VersionVector; bytes: Uint8Array }
  | { kind: 'begin'; slot: number; label: VersionVector; bytes: Uint8Array }
  | { kind: 'keys'; slot: number; bytes: Uint8Array }
  | { kind: 'tail'; slot: number; bytes: Uint8Array }
  | { kind: 'end'; slot: number; reached: VersionVector; bytes: Uint8Array }

interface Frozen {
  slot: number
  /** Of the question. */
  number: number
  state: FrozenState
}

const nothing = new Uint8Array(0)

export class Arrivals {
  readonly #shard: LocalShard
  readonly #host: ArrivalsHost
  readonly #bytesMax: number
  readonly #reader = new RecordReader()
  #queue: Arrived[] = []
  #queuedBytes = 0
  /** Of a state, or of keys of one, that have not all come. */
  #pieces: { slot: number; label: VersionVector | null; bytes: Uint8Array[]; sizeBytes: number } | null = null
  /** The slot of which a `begin` has come, and no `end`. */
  #opened = -1
  #staged: { slot: number; state: StagedSlot; isWhole: boolean } | null = null
  /** Of slots whose states are to come without what is equal. */
  readonly #frozen = new Map<number, Frozen>()
  /** The one of which digests are being made. */
  #digesting: Frozen | null = null

  constructor(shard: LocalShard, host: ArrivalsHost, bytesMax: number) {
    this.#shard = shard
    this.#host = host
    this.#bytesMax = bytesMax
  }

  get isEmpty(): boolean {
    if (this.#frozen.size > 0) return false
    return this.#queue.length === 0 && this.#staged === null && this.#pieces === null && this.#opened < 0
  }

  /** There is something to do now. */
  get hasWork(): boolean {
    return this.#queue.length > 0 || this.#digesting !== null || this.#staged?.isWhole === true
  }

  /** Not taken yet. */
  get sizeBytes(): number {
    return this.#queuedBytes
  }

  holds(slot: number): boolean {
    const isIt = (of: { slot: number } | null) => of?.slot === slot
    if (this.#frozen.has(slot)) return true
    return isIt(this.#staged) || isIt(this.#pieces) || this.#opened === slot || this.#queue.some(isIt)
  }

  /** A part of a state that was cut in one step; `label` with the first. */
  addPart(slot: number, part: number, last: boolean, label: VersionVector | null, bytes: Uint8Array): void {
    if (label !== null) {
      // A cut that was under way has been given up.
      this.#opened = -1
      this.#pieces = { slot, label, bytes: [], sizeBytes: 0 }
    }
    const pieces = this.#pieces
    if (pieces === null || pieces.slot !== slot || pieces.bytes.length !== part || pieces.label === null)
      throw new FormatError(`part ${part} of the state of slot ${slot} is out of order`)
    this.#addPiece(bytes)
    if (!last) return
    this.#pieces = null
    this.#push({ kind: 'state', slot, label: pieces.label, bytes: concatenate(pieces.bytes) })
  }

  ask(slot: number, number: number, portioning: Portioning): void {
    this.#push({ kind: 'ask', slot, number, portioning, bytes: nothing })
  }

  differ({ slot, number, label, bytes, start, end }: CutDiffering): void {
    this.#opened = slot
    this.#pieces = null
    this.#push({ kind: 'differ', slot, number, label, bytes: copyOf(bytes, start, end) })
  }

  begin(slot: number, label: VersionVector): void {
    this.#opened = slot
    this.#pieces = null
    this.#push({ kind: 'begin', slot, label, bytes: nothing })
  }

  addKeys(slot: number, last: boolean, bytes: Uint8Array): void {
    this.#requireOpen(slot)
    this.#pieces ??= { slot, label: null, bytes: [], sizeBytes: 0 }
    const pieces = this.#pieces
    this.#addPiece(bytes)
    if (!last) return
    this.#pieces = null
    this.#push({ kind: 'keys', slot, bytes: concatenate(pieces.bytes) })
  }

  addTail({ slot, bytes, start, end }: CutTail): void {
    this.#requireOpen(slot)
    this.#push({ kind: 'tail', slot, bytes: copyOf(bytes, start, end) })
  }

  end(slot: number, reached: VersionVector): void {
    this.#requireOpen(slot)
    if (this.#pieces !== null) throw new FormatError(`the state of slot ${slot} ends within its keys`)
    this.#opened = -1
    this.#push({ kind: 'end', slot, reached, bytes: nothing })
  }

  /**
   * No more comes of what has not come whole. What is being logged goes, too: it is another channel's turn, and the parts of two
   * states would mix in the log.
   */
  dropUnfinished(): void {
    this.#pieces = null
    this.#opened = -1
    this.#dropStaged()
    for (const slot of [...this.#frozen.keys()]) this.#dropFrozen(slot)
    const states = this.#queue.filter(({ kind }) => kind === 'state')
    this.#queue = []
    this.#queuedBytes = 0
    for (const state of states) this.#push(state)
  }

  drop(): void {
    this.#queue = []
    this.dropUnfinished()
  }

  /** A step; throws `FormatError`. */
  step(): void {
    if (this.#staged?.isWhole === true) {
      this.#advance(this.#staged.slot, this.#staged.state)
      return
    }
    if (this.#digesting !== null) {
      this.#digest(this.#digesting)
      return
    }
    const arrived = this.#queue.shift()
    if (arrived === undefined) return
    this.#queuedBytes -= arrived.bytes.length
    switch (arrived.kind) {
      case 'ask':
        this.#freeze(arrived.slot, arrived.number, arrived.portioning)
        break
      case 'differ':
        this.#stageDiffering(arrived.slot, arrived.number, arrived.label, arrived.bytes)
        break
      case 'state':
        this.#dropStaged()
        this.#merge(arrived.slot, arrived.label, arrived.bytes)
        break
      case 'begin':
        this.#dropStaged()
        this.#staged = {
          slot: arrived.slot,
          state: this.#shard.stage(arrived.slot, arrived.label),
          isWhole: false,
        }
        break
      case 'keys':
        this.#staged?.state.load(arrived.bytes, 0, arrived.bytes.length)
        break
      case 'tail':
        this.#replay(arrived.bytes)
        break
      case 'end':
        this.#finish(arrived.reached)
    }
  }

  #freeze(slot: number, number: number, portioning: Portioning): void {
    this.#dropFrozen(slot)
    const state = this.#shard.freeze(slot, portioning)
    if (state === null) {
      this.#host.answer(slot, number, nothing)
      return
    }
    this.#digesting = { slot, number, state }
    this.#frozen.set(slot, this.#digesting)
  }

  #digest({ slot, number, state }: Frozen): void {
    state.step()
    if (state.digests === null && !state.isVoid) return
    this.#digesting = null
    if (state.isVoid) this.#dropFrozen(slot)
    this.#host.answer(slot, number, state.isVoid ? nothing : (state.digests ?? nothing))
  }

  #stageDiffering(slot: number, number: number, label: VersionVector, differing: Uint8Array): void {
    this.#dropStaged()
    const frozen = this.#frozen.get(slot)
    if (frozen?.number !== number || frozen === this.#digesting)
      throw new FormatError(`what differs of slot ${slot}, which was not told what is here`)
    this.#frozen.delete(slot)
    this.#staged = { slot, state: frozen.state.stage(label, differing), isWhole: false }
  }

  #dropFrozen(slot: number): void {
    if (this.#digesting?.slot === slot) this.#digesting = null
    this.#frozen.get(slot)?.state.drop()
    this.#frozen.delete(slot)
  }

  #requireOpen(slot: number): void {
    if (this.#opened !== slot) throw new FormatError(`the state of slot ${slot} has not begun`)
  }

  #addPiece(bytes: Uint8Array): void {
    const pieces = this.#pieces
    if (pieces === null) return
    pieces.bytes.push(bytes)
    pieces.sizeBytes += bytes.length
    if (pieces.sizeBytes > this.#bytesMax)
      throw new FormatError(`state of slot ${pieces.slot} is larger than ${this.#bytesMax} bytes`)
  }

  #push(arrived: Arrived): void {
    this.#queue.push(arrived)
    this.#queuedBytes += arrived.bytes.length
  }

  #merge(slot: number, label: VersionVector, bytes: Uint8Array): void {
    const outcome = this.#judge(slot, label)
    if (outcome !== 'merged') this.#host.taken(slot, outcome)
    else if (this.#shard.merge(slot, label, bytes, 0, bytes.length)) this.#host.taken(slot, 'merged')
    else this.#host.taken(slot, 'tooOld')
  }

  #judge(slot: number, label: VersionVector): Outcome {
    if (this.#host.isAhead(label)) return 'ahead'
    return includes(this.#shard.vectors.of(slot), label) ? 'known' : 'merged'
  }

  #replay(bytes: Uint8Array): void {
    const reader = this.#reader
    for (let at = 0; at < bytes.length; ) {
      at = reader.read(bytes, at, bytes.length)
      if (reader.kind !== RecordKind.operations || reader.partCount !== 1)
        throw new FormatError('what follows a slot state is not an operation in one slot')
      this.#staged?.state.apply(reader.parts[0] as RecordPart, bytes)
    }
  }

  #finish(reached: VersionVector): void {
    const staged = this.#staged
    if (staged === null) return
    const { slot } = staged
    if (!includes(staged.state.reached, reached) || !includes(reached, staged.state.reached))
      throw new FormatError(`the state of slot ${slot} is not what its end says`)
    const outcome = this.#judge(slot, reached)
    if (outcome === 'merged') staged.isWhole = true
    else this.#end(slot, outcome)
  }

  #advance(slot: number, state: StagedSlot): void {
    const progress = state.advance()
    if (progress === 'joined') this.#end(slot, 'merged')
    else if (progress === 'tooOld') this.#end(slot, 'tooOld')
  }

  #end(slot: number, outcome: Outcome): void {
    this.#dropStaged()
    this.#host.taken(slot, outcome)
  }

  #dropStaged(): void {
    this.#staged?.state.drop()
    this.#staged = null
  }
}
