/**
 * Frames carry requests between proxy and shard and channels between clusters:
 * `length u32 | tag u32 | slot u16 | kind u8 | flags u8 | payload`, little-endian; `length` counts everything behind itself.
 * The tag names requests (their replies carry it back), a session or a channel, by kind. Its length lets a proxy pass
 * replies on without parsing them. The first frame each way is HELLO, whose payload starts with `frameVersion`.
 */
import { allocate } from '#runtime/bytes/bytes.ts'

export const frameVersion = 2
export const frameHeaderBytes = 12
/** Larger than any request or reply (512 MiB) with its envelope. */
export const frameBytesMax = 1 << 30

export const FrameKind = {
  /** Both ways, first: version u8, then JSON (see `hello.ts`). */
  hello: 1,
  /**
   * Proxy to shard: session u32 if the flags say that it matters, then raw RESP commands that one client sent in a row, or a
   * single one; `slot` is that of the first. Answered by `reply` frames with the same tag, which hold one reply to each.
   */
  request: 2,
  /** Proxy to shard: session u32, then raw RESP commands to run as one transaction; with `watching` if nothing it watches has changed. */
  transaction: 3,
  /** Shard to proxy: the next replies to what `tag` names, raw RESP one behind the other; `slot` says how many. */
  reply: 4,
  /** Proxy to shard: session u32, then a raw WATCH command. Answered by `reply`. */
  watch: 5,
  /** Proxy to shard: tag is the session, whose watches end. Not answered. */
  unwatch: 6,
  /** Whoever wants something of the other's inside: JSON; answered by `adminReply` (JSON) with the same tag. */
  admin: 7,
  adminReply: 8,
  /** Opens sync channel `tag`: JSON (see `hello.ts`). Answered by `channelOpened` or `channelClosed`. */
  channelOpen: 9,
  channelOpened: 10,
  /** One message of `protocol/sync` on channel `tag`. */
  channelData: 11,
  /** JSON {reason}; ends channel `tag`, both ways. */
  channelClosed: 12,
  /** Clock probe between clusters: payload t1 f64. */
  ping: 13,
  /** Answer: t1, t2, t3 f64 (milliseconds of wall clock; received, sent). */
  pong: 14,
  /**
   * Proxy to shard: session u32, then one raw command that may wait. Answered by `reply`, at once or much later, while others
   * are answered.
   */
  blocking: 15,
  /**
   * Proxy to shard: tag is the session, which is to wait no longer; the payload is the error that its command gets, empty: as if its time
   * were over. Not answered itself; nothing happens when it does not wait.
   */
  unblock: 16,
  /** Proxy to shard: a client waits until other clusters have what it has written (see `wait.ts`). Answered by `reply`. */
  wait: 17,
  /** Shard to proxy: a message for subscribers of the proxy's (see `#protocol/pubsub/messages.ts`). Not answered. */
  published: 18,
  /** Shard to proxy: what its clients have copies of has changed (see `tracking.ts`). In order with replies, and not answered. */
  invalidated: 19,
  /** Between clusters: the agent of one asks that of the other, in JSON; answered by `memberAnswer` (JSON) with the same tag. */
  memberQuestion: 20,
  memberAnswer: 21,
  /** Between clusters: a piece of the stream of frames, compressed (see `compressedFrame.ts`). Sent to those only who say that they read it. */
  compressed: 24,
  /** The other way: how many bytes of the connection have come (see `receipt.ts`). */
  received: 25,
  /** Proxy to shard: a user who may not do everything, as JSON (see `scriptUser.ts`); the tag is its number on this link, whoever had it before. */
  user: 26,
  /** Proxy to shard: the scripts of the next frame run for the user of number `tag`; session u32 names the client. Not answered. */
  actFor: 27,
  /** Shard to proxy: what a script was denied (see `scriptUser.ts`); the tag is the session of the client. Not answered. */
  denied: 28,
  /** Shard to proxy: a request of the frame `tag` was slow, JSON (see `slowlog.ts`); ahead of its reply. Not answered. */
  slow: 29,
  /** Shard to proxy: a command that a script calls, raw RESP; to those that monitor. Not answered. */
  monitored: 30,
} as const

export const FrameFlag = {
  /** The client speaks RESP3. */
  resp3: 1,
  /** CLIENT NO-TOUCH: what is read does not count as used. */
  noTouch: 2,
  /** CLIENT TRACKING: the session is told once when a key that is read changes. */
  tracked: 4,
  /** The same with NOLOOP: it is not told of what it changes itself. */
  noLoop: 8,
  /** Of a transaction: it depends on what its session watches. */
  watching: 16,
  /** Of a reply: what it answers has held the shard for long. */
  held: 32,
} as const

/** With one of these a request says whose it is. */
export const sessionFlags = FrameFlag.tracked | FrameFlag.noLoop

/** One frame inside `bytes`: the payload is [payloadStart, payloadEnd). Valid until the next `feed`. */
export interface Frame {
  kind: number
  flags: number
  tag: number
  slot: number
  bytes: Uint8Array
  payloadStart: number
  payloadEnd: number
}

/** The session that many frames begin with: a number. */
export const sessionBytes = 4

/** Where the commands of a frame from a proxy begin: behind the session, if it has one. */
export function commandsStart({ kind, flags, payloadStart, payloadEnd }: Frame): number {
  const hasSession = kind !== FrameKind.request || (flags & sessionFlags) !== 0
  return hasSession ? Math.min(payloadStart + sessionBytes, payloadEnd) : payloadStart
}

const nothing = (): void => {}
const noBytes = new Uint8Array(0)

/** Cuts a byte stream into frames without copying those that lie whole in one chunk. */
export class FrameReader {
  readonly #lengthMax: number
  readonly #frame: Frame = {
    kind: 0,
    flags: 0,
    tag: 0,
    slot: 0,
    bytes: new Uint8Array(0),
    payloadStart: 0,
    payloadEnd: 0,
  }
  #rest: Uint8Array = new Uint8Array(0)
  #restLength = 0
  #isHeld = false
  /** Where the commands of the last frame begin that are to come again; 0: it is done with. */
  #againFrom = 0

  constructor(lengthMax = frameBytesMax) {
    this.#lengthMax = lengthMax
  }

  /** Bytes of a frame are here, and its end is not. */
  get isWithinFrame(): boolean {
    return this.#restLength > 0
  }

  /** Frames may have come that have not been taken yet. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /** Within `take`: those behind this frame are kept until `goOn`. */
  hold(): void {
    this.#isHeld = true
  }

  /** Within `take`: so is this frame, without its commands before `offset`, which lies behind its first one. */
  holdFrom(offset: number): void {
    this.#isHeld = true
    this.#againFrom = offset
  }

  /** As `feed`, of what was held. */
  goOn(take: (frame: Frame) => void, taken: () => void = nothing): string | null {
    this.#isHeld = false
    return this.feed(noBytes, take, taken)
  }

  /**
   * Calls `take` for every whole frame, then `taken`, up to which the bytes of all of them are valid; returns an error text when
   * the stream can't be one of frames (close it then).
   */
  feed(chunk: Uint8Array, take: (frame: Frame) => void, taken: () => void = nothing): string | null {
    if (this.#isHeld) {
      this.#keep(chunk, 0)
      return null
    }
    let bytes = chunk
    let end = chunk.length
    let at = 0
    if (this.#restLength > 0) {
      this.#keep(chunk, 0)
      bytes = this.#rest
      end = this.#restLength
    }
    while (end - at >= 4 && !this.#isHeld) {
      const length = readU32(bytes, at)
      if (length < frameHeaderBytes - 4 || length > this.#lengthMax) {
        taken()
        return `frame of ${length} bytes`
      }
      if (end - at - 4 < length) break
      this.#emit(bytes, at, length, take)
      if (this.#againFrom === 0) at += 4 + length
    }
    taken()
    if (this.#againFrom > 0) this.#keepFrom(bytes, at, end)
    else if (this.#restLength > 0) {
      // The payloads just given away may be kept by nobody, so the buffer is ours to move.
      this.#rest.copyWithin(0, at, end)
      this.#restLength = end - at
    } else if (at < end) this.#keep(chunk, at)
    if (this.#restLength === 0) this.#isHeld = false
    return null
  }

  #emit(bytes: Uint8Array, at: number, length: number, take: (frame: Frame) => void): void {
    const frame = this.#frame
    frame.tag = readU32(bytes, at + 4)
    frame.slot = (bytes[at + 8] as number) | ((bytes[at + 9] as number) << 8)
    frame.kind = bytes[at + 10] as number
    frame.flags = bytes[at + 11] as number
    frame.bytes = bytes
    frame.payloadStart = at + frameHeaderBytes
    frame.payloadEnd = at + 4 + length
    take(frame)
  }

  /** Keeps the frame at `at`, without the commands that are done, and what is behind it. The bytes of a chunk are not ours to change. */
  #keepFrom(bytes: Uint8Array, at: number, end: number): void {
    const from = this.#againFrom
    const envelope = bytes.slice(at, commandsStart(this.#frame))
    writeU32(envelope, 0, readU32(bytes, at) - (from - at - envelope.length))
    this.#againFrom = 0
    if (this.#restLength === 0) {
      this.#keep(envelope, 0)
      this.#keep(bytes, from)
      return
    }
    this.#rest.set(envelope, 0)
    this.#rest.copyWithin(envelope.length, from, end)
    this.#restLength = envelope.length + end - from
  }

  #keep(chunk: Uint8Array, from: number): void {
    const needed = this.#restLength + chunk.length - from
    let room = this.#rest.length
    if (room < needed) {
      // Grow to the announced frame at once, but never on the announcement alone: doubling follows what has arrived.
      room = Math.max(1024, room)
      while (room < needed) room *= 2
      const grown = allocate(room)
      grown.set(this.#rest.subarray(0, this.#restLength))
      this.#rest = grown
    }
    this.#rest.set(from === 0 ? chunk : chunk.subarray(from), this.#restLength)
    this.#restLength = needed
  }
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  )
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

/** Writes a frame header for a payload of `payloadBytes` at `at`; returns the offset of the payload. */
export function writeFrameHeader(
  bytes: Uint8Array,
  at: number,
  kind: number,
  tag: number,
  slot: number,
  flags: number,
  payloadBytes: number,
): number {
  writeU32(bytes, at, frameHeaderBytes - 4 + payloadBytes)
  writeU32(bytes, at + 4, tag)
  bytes[at + 8] = slot
  bytes[at + 9] = slot >>> 8
  bytes[at + 10] = kind
  bytes[at + 11] = flags
  return at + frameHeaderBytes
}
