/**
 * The replies of one client, in the order of its requests, whatever the order in which shards answer.
 *
 * Each request takes a place: the next number. A reply for the place that is due goes straight into the outgoing bytes,
 * which is what nearly always happens. One that comes too early waits in `#early`, its offsets in a ring with an entry
 * per place, until those before it are answered. Replies that come together, to requests in a row, are kept together:
 * the entry of the first has the offsets of all. `#marks` counts the ring's entries that are set: while it is zero the
 * ring is not looked at. (Twemproxy keeps a list of message objects for the same purpose; here nothing is allocated.)
 *
 * A client that does not read: at `outputPauseBytes` nothing is read from it, at `outputBytesMax` it is disconnected;
 * one that has subscribed at `subscriberOutputBytesMax`, and one that monitors at `monitorOutputBytesMax`, as
 * messages come whether it reads or not.
 */
import type { ClientLimits } from '#config/process.ts'
import type { Asker, ReplyTarget } from '#proxy/linkTargets.ts'
import type { Flushable, Turn } from '#proxy/turn.ts'
import { copyBytes } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Connection } from '#runtime/ports.ts'
import { outputBufferBytes, type ReplyMemory } from './replyMemory.ts'

export interface OutputOwner extends Asker {
  /** Replies have been written. */
  onFlushed(): void
  /** The client reads too slowly: it must be disconnected. */
  onOverflow(): void
}

export type UnreadLimit = 'outputBytesMax' | 'subscriberOutputBytesMax' | 'monitorOutputBytesMax'

// Entries of the ring: offset of an early reply, or one of these.
const waiting = -1
const muted = -2
const mutedAnswered = -3
const withPrevious = -4

const placeMask = 0x3fffffff
const noPlace = -1
/**
 * Requests of a client that are on their way before any reply tells how long they take: each may take a second, and
 * others wait behind them.
 */
const windowStart = 8
const compactBytes = 256 * 1024
/** A client whose replies came early keeps so much room for the next ones. */
const earlyBytesKept = 8 * 1024

export class ClientOutput implements ReplyTarget, Flushable {
  readonly #connection: Connection
  readonly #turn: Turn
  readonly #memory: ReplyMemory
  readonly asker: OutputOwner
  limits: ClientLimits
  /** Requests that are not answered yet. */
  pending = 0
  /** How many there may be, like the window of TCP's slow start (RFC 5681). */
  #window = windowStart
  /** The limit of what it does not read. */
  unreadLimit: UnreadLimit = 'outputBytesMax'
  #next = 0
  #due = 0
  #buffer: Uint8Array | null = null
  #length = 0
  #inTurn = false
  #closed = false

  #marks = 0
  /** Two numbers a place: start and end in `#early`. */
  #ring: Int32Array = new Int32Array(0)
  #ringMask = -1
  #early: ByteWriter | null = null
  #earlyLive = 0
  /** The last place that has been answered early, and the last one that is answered in parts. */
  #lastEarly = noPlace
  #lastInParts = noPlace
  /** Messages behind replies that are not due yet; each is a mark. */
  #held: { behind: number; bytes: Uint8Array }[] = []
  #heldBytes = 0

  constructor(
    connection: Connection,
    turn: Turn,
    memory: ReplyMemory,
    limits: ClientLimits,
    owner: OutputOwner,
  ) {
    this.#connection = connection
    this.#turn = turn
    this.#memory = memory
    this.limits = limits
    this.asker = owner
  }

  /** Takes the place of the next request. */
  expect(): number {
    this.pending++
    const place = this.#next
    this.#next = (place + 1) & placeMask
    return place
  }

  /** The same for a request whose reply the client doesn't want. */
  expectMuted(): number {
    const place = this.expect()
    this.#growRing()
    this.#ring[(place & this.#ringMask) * 2] = muted
    this.#marks++
    return place
  }

  /** The reply for the place comes in parts, one after the other. */
  comesInParts(place: number): void {
    this.#lastInParts = place
  }

  /** No more requests may be sent until replies have come. */
  get isFull(): boolean {
    return this.pending >= this.#pendingMax
  }

  /** Half: or each reply would let a single request go. */
  get isHalfEmpty(): boolean {
    return this.pending * 2 <= this.#pendingMax
  }

  get #pendingMax(): number {
    return Math.min(this.#window, this.limits.pipelineMax)
  }

  /** What was asked takes long: one after the other, so that others have their turn between. */
  narrow(): void {
    this.#window = 1
  }

  /** Replies gathered, early or written and not read by the client. */
  get unreadBytes(): number {
    return this.#length + this.#earlyLive + this.#heldBytes + this.#connection.bufferedBytes
  }

  /** Nothing should be read from a client that does not read. */
  get isCongested(): boolean {
    return this.#connection.bufferedBytes + this.#earlyLive + this.#heldBytes > this.limits.outputPauseBytes
  }

  onReply(firstPlace: number, bytes: Uint8Array, start: number, end: number, count = 1): void {
    if (this.#closed) return
    const place = firstPlace & placeMask
    if (place !== this.#due || this.#marks > 0) {
      this.#settle(place, bytes, start, end, count)
      return
    }
    this.#append(bytes, start, end)
    this.#answered(count)
  }

  /** The same for a reply of this process, which tells nothing that a shard could say is out of date. */
  onOwnReply(place: number, bytes: Uint8Array, length: number): void {
    const lastEarly = this.#lastEarly
    this.onReply(place, bytes, 0, length)
    this.#lastEarly = lastEarly
  }

  /** A message that nobody asked for, between replies. */
  push(bytes: Uint8Array, length: number): void {
    if (!this.#closed) this.#append(bytes, 0, length)
  }

  /**
   * The same for what says that earlier replies are out of date: it stays behind all that have come, if only in part, although
   * others must leave before them. One that says the same as the one before it is not needed.
   */
  pushBehind(bytes: Uint8Array, length: number): void {
    if (this.#closed) return
    const last = this.#held.at(-1)
    const behind = this.#last(last?.behind ?? noPlace, this.#last(this.#lastEarly, this.#lastInParts))
    if (!this.#isPending(behind)) {
      this.#append(bytes, 0, length)
      return
    }
    const message = bytes.slice(0, length)
    if (last?.behind === behind && areEqual(last.bytes, message)) return
    this.#held.push({ behind, bytes: message })
    this.#heldBytes += length
    this.#marks++
    this.#checkUnread()
  }

  flush(): void {
    this.#inTurn = false
    if (this.#closed) return
    this.#writeOut()
    if (this.#buffer !== null) {
      this.#memory.giveBack(this.#buffer)
      this.#buffer = null
    }
    this.asker.onFlushed()
  }

  /** Calls `onFlushed` at the end of the turn, even if there is nothing to write. */
  flushLater(): void {
    if (!this.#closed) this.#addToTurn()
  }

  /** Takes no more replies. */
  close(): void {
    this.#closed = true
    if (this.#buffer !== null) this.#memory.giveBack(this.#buffer)
    this.#buffer = null
    this.#early = null
    this.#ring = new Int32Array(0)
    this.#held = []
    this.#heldBytes = 0
    this.pending = 0
    this.#earlyLive = 0
    this.#length = 0
  }

  #answered(count: number): void {
    if (this.#window < this.limits.pipelineMax) this.#window += count
    this.#due = (this.#due + count) & placeMask
    this.pending -= count
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start
    if (this.#length + size > outputBufferBytes) {
      this.#writeOut()
      if (size > outputBufferBytes) {
        this.#addToTurn()
        const own = this.#memory.copy(start === 0 ? bytes : bytes.subarray(start, end), size, true)
        this.#write(own)
        return
      }
    }
    this.#buffer ??= this.#memory.borrow()
    copyBytes(this.#buffer, this.#length, bytes, start, end)
    this.#length += size
    if (!this.#inTurn) this.#addToTurn()
  }

  #addToTurn(): void {
    if (this.#inTurn) return
    this.#inTurn = true
    this.#turn.add(this)
  }

  #writeOut(): void {
    if (this.#length === 0 || this.#buffer === null) return
    const alone = this.#connection.bufferedBytes > 0
    const length = this.#length
    this.#length = 0
    this.#write(this.#memory.copy(this.#buffer, length, alone))
  }

  #write(bytes: Uint8Array): void {
    this.#connection.write(bytes)
    this.#checkUnread()
  }

  #checkUnread(): void {
    const bytesMax = this.limits[this.unreadLimit]
    if (this.#connection.bufferedBytes + this.#earlyLive + this.#heldBytes > bytesMax) this.asker.onOverflow()
  }

  /** Replies that are early, that nobody wants, or that others wait for. */
  #settle(place: number, bytes: Uint8Array, start: number, end: number, count: number): void {
    this.#growRing()
    const entry = (place & this.#ringMask) * 2
    if (this.#ring[entry] === muted) this.#ring[entry] = mutedAnswered
    else {
      invariant(this.#ring[entry] === waiting, 'a request is answered once', { place, due: this.#due })
      if (place === this.#due) {
        this.#append(bytes, start, end)
        this.#answered(count)
      } else this.#keep(place, bytes, start, end, count)
    }
    this.#deliver()
  }

  #keep(place: number, bytes: Uint8Array, start: number, end: number, count: number): void {
    const entry = (place & this.#ringMask) * 2
    this.#early ??= new ByteWriter(1024)
    if (this.#early.length > compactBytes && this.#earlyLive * 2 < this.#early.length) this.#compact()
    this.#ring[entry] = this.#early.length
    this.#early.raw(bytes, start, end)
    this.#ring[entry + 1] = this.#early.length
    for (let i = 1; i < count; i++) this.#ring[((place + i) & this.#ringMask) * 2] = withPrevious
    this.#lastEarly = this.#last(this.#lastEarly, (place + count - 1) & placeMask)
    this.#marks += count
    this.#earlyLive += end - start
    this.#checkUnread()
  }

  /** Everything that has become due. */
  #deliver(): void {
    this.#release()
    while (this.#marks > 0 && this.pending > 0 && !this.#closed) {
      const entry = (this.#due & this.#ringMask) * 2
      const start = this.#ring[entry] as number
      if (start === waiting || start === muted) return
      if (start >= 0 && this.#early !== null) {
        const end = this.#ring[entry + 1] as number
        this.#append(this.#early.bytes, start, end)
        this.#earlyLive -= end - start
      }
      this.#ring[entry] = waiting
      this.#marks--
      this.#answered(1)
      this.#release()
      this.#addToTurn()
    }
    if (this.#earlyLive > 0 || this.#early === null) return
    if (this.#early.bytes.length > earlyBytesKept) this.#early = null
    else this.#early.clear()
  }

  /** Messages that nothing has to leave before any more. */
  #release(): void {
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      if (this.#isPending(first.behind)) return
      this.#held.shift()
      this.#heldBytes -= first.bytes.length
      this.#marks--
      this.#append(first.bytes, 0, first.bytes.length)
    }
  }

  #isPending(place: number): boolean {
    return place !== noPlace && ((place - this.#due) & placeMask) < this.pending
  }

  /** The later one of those that are pending. */
  #last(one: number, other: number): number {
    if (!this.#isPending(one)) return other
    if (!this.#isPending(other)) return one
    return ((one - this.#due) & placeMask) > ((other - this.#due) & placeMask) ? one : other
  }

  /** Moves what is still waiting to the front of a new buffer. */
  #compact(): void {
    const old = this.#early as ByteWriter
    const early = new ByteWriter(Math.max(1024, this.#earlyLive * 2))
    for (let i = 0; i < this.pending; i++) {
      const entry = ((this.#due + i) & this.#ringMask) * 2
      const start = this.#ring[entry] as number
      if (start < 0) continue
      const end = this.#ring[entry + 1] as number
      this.#ring[entry] = early.length
      early.raw(old.bytes, start, end)
      this.#ring[entry + 1] = early.length
    }
    this.#early = early
  }

  /** One entry for each pending place. */
  #growRing(): void {
    const capacity = this.#ringMask + 1
    if (this.pending <= capacity) return
    const grown = Math.max(16, 2 ** Math.ceil(Math.log2(this.pending)))
    const ring = new Int32Array(grown * 2).fill(waiting)
    for (let i = 0; i < Math.min(this.pending, capacity); i++) {
      const place = (this.#due + i) & placeMask
      const from = (place & this.#ringMask) * 2
      const to = (place & (grown - 1)) * 2
      ring[to] = this.#ring[from] as number
      ring[to + 1] = this.#ring[from + 1] as number
    }
    this.#ring = ring
    this.#ringMask = grown - 1
  }
}

const areEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])
