/**
 * Memory for replies. Only the clients that are being answered in this turn hold a buffer: they borrow it from a pool
 * and give it back when they have written, so ten thousand idle clients cost nothing. What is written must belong to
 * the connection, so short replies of many clients are cut from one block, which is never written to again.
 */
import { allocate, copyBytes } from '#runtime/bytes/bytes.ts'

export const outputBufferBytes = 16 * 1024
const pooledMax = 256
const blockBytes = 64 * 1024

export class ReplyMemory {
  readonly #pool: Uint8Array[] = []
  #block: Uint8Array = new Uint8Array(0)
  #used = 0

  /** A buffer of `outputBufferBytes`, to be given back. */
  borrow(): Uint8Array {
    return this.#pool.pop() ?? allocate(outputBufferBytes)
  }

  giveBack(buffer: Uint8Array): void {
    if (this.#pool.length < pooledMax) this.#pool.push(buffer)
  }

  /** A copy of the first `length` bytes that nobody changes any more. `alone`: it may be kept for long, so it pins nothing else. */
  copy(source: Uint8Array, length: number, alone: boolean): Uint8Array {
    if (alone || length > blockBytes / 4) {
      const own = allocate(length)
      copyBytes(own, 0, source, 0, length)
      return own
    }
    if (this.#used + length > this.#block.length) {
      this.#block = allocate(blockBytes)
      this.#used = 0
    }
    const start = this.#used
    copyBytes(this.#block, start, source, 0, length)
    this.#used = start + length
    return this.#block.subarray(start, start + length)
  }
}
