/**
 * What is on its way on one channel: sent, and not yet acknowledged to be taken.
 *
 * Of slot states there is to be as much on the way as keeps a long link busy and no more, as clients' replies leave by the same link.
 * How long it is shows in the acknowledgements of what was sent while nothing else was on its way; behind a queue each takes as long as the
 * queue is, and a longer queue would follow from it. The shortest counts.
 */
import { FormatError } from '#runtime/bytes/byteReader.ts'

/** Whatever the link: what a peer next door takes while it works. */
export const statesBytesMin = 512 * 1024
const statesBytesMax = 4 * 1024 * 1024
/** 25 MB a second: more than a shard sends while it serves clients. */
const statesBytesPerMs = 25 * 1024

export class LinkFlow {
  #sentBytes = 0
  #acknowledgedBytes = 0
  /** What was sent up to here, then, is being timed; 0: nothing is. */
  #timedBytes = 0
  #timedMs = 0
  #shortestMs = Number.POSITIVE_INFINITY

  get sentBytes(): number {
    return this.#sentBytes
  }

  get inflightBytes(): number {
    return this.#sentBytes - this.#acknowledgedBytes
  }

  /** So much of states may be on the way, with all else that is. */
  get statesBytes(): number {
    if (this.#shortestMs === Number.POSITIVE_INFINITY) return statesBytesMin
    return Math.max(statesBytesMin, Math.min(statesBytesMax, this.#shortestMs * statesBytesPerMs))
  }

  sent(sizeBytes: number, nowMs: number): void {
    const isAlone = this.inflightBytes === 0
    this.#sentBytes += sizeBytes
    if (!isAlone) return
    this.#timedBytes = this.#sentBytes
    this.#timedMs = nowMs
  }

  /** The peer has taken everything up to there. Throws `FormatError`. */
  acknowledged(receivedBytes: number, nowMs: number): void {
    if (receivedBytes < this.#acknowledgedBytes || receivedBytes > this.#sentBytes)
      throw new FormatError(`acknowledges ${receivedBytes} bytes of ${this.#sentBytes}`)
    this.#acknowledgedBytes = receivedBytes
    if (this.#timedBytes === 0 || receivedBytes < this.#timedBytes) return
    this.#shortestMs = Math.min(this.#shortestMs, nowMs - this.#timedMs)
    this.#timedBytes = 0
  }
}
