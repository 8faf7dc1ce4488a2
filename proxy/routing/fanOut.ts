/** One request that several shards answer: waits for all parts, then hands them over in order. */

import type { Asker, ReplyTarget } from '#proxy/linkTargets.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'

export class FanOut implements ReplyTarget {
  readonly asker: Asker | undefined
  readonly #parts: Uint8Array[]
  readonly #finish: (parts: readonly Uint8Array[]) => void
  #left: number

  constructor(count: number, finish: (parts: readonly Uint8Array[]) => void, asker?: Asker) {
    this.asker = asker
    this.#parts = new Array<Uint8Array>(count)
    this.#left = count
    this.#finish = finish
  }

  onReply(part: number, bytes: Uint8Array, start: number, end: number): void {
    this.#parts[part] = copyOf(bytes, start, end)
    if (--this.#left === 0) this.#finish(this.#parts)
  }
}
