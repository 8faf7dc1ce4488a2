/**
 * What is on its way on one channel: sent, and not yet acknowledged to be taken.
 *
 * While the peer catches up, by slot states or by the log, there is to be as much on the way as keeps a long link busy and no more, as
 * clients' replies leave by the same link.
 * How long it is shows in the acknowledgements of what was sent while nothing else was on its way; behind a queue each takes as long as the
 * queue is, and a longer queue would follow from it. The shortest counts.
 */
import { FormatError } from '#runtime/bytes/byteReader.ts'

/** Whatever the link: what a peer next door takes while it works. */
export const catchUpBytesMin = 512 * 1024
const catchUpBytesMax = 4 * 1024 * 1024
/** 25 MB a second: more than a shard sends while it serves clients. */
const catchUpBytesPerMs = 25 * 1024

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

  /** So much may be on the way until the peer has caught up. */
  get catchUpBytes(): number {
    if (this.#shortestMs === Number.POSITIVE_INFINITY) return catchUpBytesMin
    return Math.max(catchUpBytesMin, Math.min(catchUpBytesMax, this.#shortestMs * catchUpBytesPerMs))
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
