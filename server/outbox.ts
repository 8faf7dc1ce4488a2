/**
 * What is on its way out to one link. Replies are written in place, header and all, into one buffer a turn. At the turn's end
 * the buffer is sealed with the position that the log must have reached before it may leave: nobody is told of anything
 * that could still be lost by the rule of the database, neither by the reply to a write nor by a read that saw it.
 *
 * Messages of sync channels and answers to other questions don't wait: feeds hold back what is not durable themselves.
 */
import { FrameKind, frameHeaderBytes, readU32, writeFrameHeader } from '#protocol/frames/frame.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { allocate } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Connection } from '#runtime/ports.ts'

const bufferBytes = 64 * 1024
/** A larger batch is given away with its buffer instead of being copied. */
const copiedBytesMax = 16 * 1024

interface Batch {
  bytes: Uint8Array
  /** Of the log. */
  position: number
}

export class Outbox {
  readonly #connection: Connection
  /** Handlers write their replies here, between `beginReply` and `endReply`. */
  readonly replies = new ReplyWriter(bufferBytes)
  /** Offsets of the replies whose effects are not in the log yet. */
  readonly #unlogged: number[] = []
  readonly #waiting: Batch[] = []
  #waitingBytes = 0
  readonly #messages = new ByteWriter(1024)

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** All that has not left this process. */
  get sizeBytes(): number {
    return this.replies.length + this.#waitingBytes + this.#messages.length + this.#connection.bufferedBytes
  }

  get isEmpty(): boolean {
    return this.replies.length === 0 && this.#messages.length === 0
  }

  /** Leaves room for the header; returns where the frame starts. */
  beginReply(): number {
    const start = this.replies.length
    this.replies.reserve(frameHeaderBytes)
    this.replies.length = start + frameHeaderBytes
    return start
  }

  endReply(start: number, tag: number, kind: number = FrameKind.reply): void {
    const { bytes, length } = this.replies
    writeFrameHeader(bytes, start, kind, tag, 0, 0, length - start - frameHeaderBytes)
  }

  /** The reply that starts at `start` speaks of effects that the log doesn't have yet. */
  markUnlogged(start: number): void {
    this.#unlogged.push(start)
  }

  /** A whole frame that doesn't wait for the log. */
  addFrame(frame: Uint8Array): void {
    this.#messages.raw(frame)
  }

  /** The same, with a payload to be copied. */
  addMessage(kind: number, tag: number, payload: Uint8Array): void {
    const messages = this.#messages
    messages.reserve(frameHeaderBytes + payload.length)
    messages.length = writeFrameHeader(messages.bytes, messages.length, kind, tag, 0, 0, payload.length)
    messages.raw(payload)
  }

  /** The log can't be written: replies that say otherwise become errors. */
  refuseUnlogged(text: string): void {
    if (this.#unlogged.length === 0) return
    const told = new ReplyWriter(this.replies.length)
    const { bytes, length } = this.replies
    let next = 0
    for (let at = 0; at < length; ) {
      const end = at + 4 + readU32(bytes, at)
      if (this.#unlogged[next] === at) {
        next++
        const start = told.length
        told.raw(bytes, at, at + frameHeaderBytes)
        told.error(text)
        const tag = readU32(bytes, at + 4)
        writeFrameHeader(
          told.bytes,
          start,
          FrameKind.reply,
          tag,
          0,
          0,
          told.length - start - frameHeaderBytes,
        )
      } else told.raw(bytes, at, end)
      at = end
    }
    this.replies.bytes = told.bytes
    this.replies.length = told.length
    this.#unlogged.length = 0
  }

  /** Ends the turn's batch. */
  seal(position: number): void {
    this.#unlogged.length = 0
    if (this.replies.length === 0) return
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
    if (replies.length <= copiedBytesMax) {
      const copy = replies.take()
      replies.clear()
      return copy
    }
    const bytes = replies.view()
    replies.bytes = allocate(bufferBytes)
    replies.length = 0
    return bytes
  }
}
