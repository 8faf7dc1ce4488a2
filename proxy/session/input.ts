/**
 * What was received from a client and not yet understood: the tail of a request whose rest is to come, or whole requests
 * that have to wait. A chunk is kept as it came; only when another one follows are the two joined. Bytes once here never
 * change, so a request may be sent on without a copy even though the rest of the buffer is in use.
 */
import { allocate, copyBytes } from '#runtime/bytes/bytes.ts'

const empty = new Uint8Array(0)
const joinedBytesMin = 16 * 1024

export class ClientInput {
  bytes: Uint8Array = empty
  start = 0
  end = 0
  /** Behind `end` there is room that is ours. */
  #isJoined = false

  get length(): number {
    return this.end - this.start
  }

  append(chunk: Uint8Array, from = 0): void {
    const count = chunk.length - from
    if (count === 0) return
    if (this.start === this.end) {
      this.bytes = chunk
      this.start = from
      this.end = chunk.length
      this.#isJoined = false
      return
    }
    if (!this.#isJoined || this.end + count > this.bytes.length) this.#move(this.length + count)
    copyBytes(this.bytes, this.end, chunk, from, chunk.length)
    this.end += count
  }

  /** Everything before `offset` is done with. */
  consumeTo(offset: number): void {
    this.start = offset
    if (offset === this.end) this.clear()
  }

  clear(): void {
    this.bytes = empty
    this.start = 0
    this.end = 0
  }

  #move(neededBytes: number): void {
    // Twice what has arrived, never what was announced.
    const moved = allocate(Math.max(joinedBytesMin, neededBytes * 2))
    copyBytes(moved, 0, this.bytes, this.start, this.end)
    this.end -= this.start
    this.start = 0
    this.bytes = moved
    this.#isJoined = true
  }
}
