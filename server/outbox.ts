/**
 * What is on its way out to one link. Replies are written in place, headers and all, into a block of memory. At the end of the
 * turn what it wrote is sealed with the position that the log must have reached before it may leave: nobody is told of anything
 * that could still be lost by the rule of the database, neither by the reply to a write nor by a read that saw it.
 *
 * Messages of sync channels and answers to other questions don't wait: feeds hold back what is not durable themselves.
 */
import { FrameKind, frameHeaderBytes, readU32, writeFrameHeader, writeU32 } from '#protocol/frames/frame.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { allocate } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Connection } from '#runtime/ports.ts'

const blockBytes = 64 * 1024
/** A block with less left is given up when a turn ends. */
const roomBytesMin = 16 * 1024
/** With more replies than this the turn's end is not waited for. */
const fullBytes = 32 * 1024

interface Batch {
  bytes: Uint8Array
  /** Of the log. */
  position: number
}

export class Outbox {
  readonly #connection: Connection
  /** Handlers write their replies here, between `beginReply` and `endReply`. Those of this turn begin at `#start`. */
  readonly replies = new ReplyWriter(blockBytes)
  #start = 0
  /** Start and end of each reply whose effects are not in the log yet. */
  readonly #unlogged: number[] = []
  readonly #waiting: Batch[] = []
  #waitingBytes = 0
  readonly #messages = new ByteWriter(1024)

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** All that has not left this process. */
  get sizeBytes(): number {
    return this.#repliesBytes + this.#waitingBytes + this.#messages.length + this.#connection.bufferedBytes
  }

  get isEmpty(): boolean {
    return this.#repliesBytes === 0 && this.#messages.length === 0
  }

  /** Enough for a write of its own. */
  get isFull(): boolean {
    return this.#repliesBytes > fullBytes
  }

  get #repliesBytes(): number {
    return this.replies.length - this.#start
  }

  /** Leaves room for the header of a frame of replies; returns where the frame starts. */
  beginReply(): number {
    const start = this.replies.length
    this.replies.reserve(frameHeaderBytes)
    this.replies.length = start + frameHeaderBytes
    return start
  }

  /** The frame holds `count` replies. */
  endReply(start: number, tag: number, count = 1, flags = 0): void {
    const { bytes, length } = this.replies
    writeFrameHeader(bytes, start, FrameKind.reply, tag, count, flags, length - start - frameHeaderBytes)
  }

  /** There is no reply yet after all. */
  dropReply(start: number): void {
    this.replies.truncate(start)
  }

  /** The reply that starts at `start` and was written last speaks of effects that the log doesn't have yet. */
  markUnlogged(start: number): void {
    this.#unlogged.push(start, this.replies.length)
  }

  /** A whole frame that doesn't wait for the log. */
  addFrame(frame: Uint8Array): void {
    this.#messages.raw(frame)
  }

  /** The same, with a payload to be copied. */
  addMessage(kind: number, tag: number, payload: Uint8Array): void {
    writeFrame(this.#messages, kind, tag, payload)
  }

  /** A frame that leaves with the replies before it, and not before the log has reached where they may. */
  addBehindReplies(kind: number, tag: number, payload: Uint8Array): void {
    writeFrame(this.replies, kind, tag, payload)
  }

  /** The log can't be written: replies that say otherwise become errors. */
  refuseUnlogged(text: string): void {
    if (this.#unlogged.length === 0) return
    const told = new ReplyWriter(this.#repliesBytes)
    const { bytes, length } = this.replies
    let next = 0
    for (let frame = this.#start; frame < length; ) {
      const end = frame + 4 + readU32(bytes, frame)
      const start = told.length
      let at = frame
      for (; (this.#unlogged[next] ?? length) < end; next += 2) {
        told.raw(bytes, at, this.#unlogged[next])
        told.error(text)
        at = this.#unlogged[next + 1] as number
      }
      told.raw(bytes, at, end)
      writeU32(told.bytes, start, told.length - start - 4)
      frame = end
    }
    this.replies.bytes = told.bytes
    this.replies.length = told.length
    this.#start = 0
    this.#unlogged.length = 0
  }

  /** Ends the turn's batch. */
  seal(position: number): void {
    this.#unlogged.length = 0
    if (this.#repliesBytes === 0) return
    const bytes = this.#takeReplies()
    this.#waiting.push({ bytes, position })
    this.#waitingBytes += bytes.length
  }

  /** Sends what may leave now that the log has reached `position`. */
  release(position: number): void {
    if (this.#messages.length > 0) {
      this.#connection.write(this.#messages.take())
      this.#messages.clear()
    }
    let count = 0
    for (const batch of this.#waiting) {
      if (batch.position > position) break
      this.#connection.write(batch.bytes)
      this.#waitingBytes -= batch.bytes.length
      count++
    }
    if (count > 0) this.#waiting.splice(0, count)
  }

  #takeReplies(): Uint8Array {
    const { replies } = this
    const { bytes, length } = replies
    const sealed = bytes.subarray(this.#start, length)
    this.#start = length
    // What is sealed is never written to again, so a block that had to grow would drag copies of it along.
    if (bytes.length > blockBytes || length > blockBytes - roomBytesMin) {
      replies.bytes = allocate(blockBytes)
      replies.length = 0
      this.#start = 0
    }
    return sealed
  }
}

function writeFrame(writer: ByteWriter | ReplyWriter, kind: number, tag: number, payload: Uint8Array): void {
  writer.reserve(frameHeaderBytes + payload.length)
  writer.length = writeFrameHeader(writer.bytes, writer.length, kind, tag, 0, 0, payload.length)
  writer.raw(payload)
}
