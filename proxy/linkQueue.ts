/**
 * How long bytes wait on a link, and how fast they get through, from what the peer says it has received. What this process
 * sees of its own socket is not enough: the system takes megabytes before it lets anybody wait, seconds of a slow link.
 *
 * The time from writing a byte until the peer says that it has come is the way there and back and the queue before it. The
 * shortest such time is taken for the way, what is beyond it for the queue.
 */

/** Points in time at which a byte was written are kept so far apart, */
const pointsApartMs = 5
/** and so many of them: of a longer silence only the beginning is known. */
const pointsMax = 1000
/** A shorter time says little of the rate. */
const rateWindowMs = 50

interface Point {
  /** Bytes up to here were written at `ms`, or up to `pointsApartMs` later. */
  bytes: number
  ms: number
}

export class LinkQueue {
  /** Of the last byte that has come. */
  queueMs = 0
  /** At which bytes get through while they queue. */
  bytesPerMs = Number.POSITIVE_INFINITY
  #sentBytes = 0
  #receivedBytes = 0
  #points: Point[] = []
  #wayMs = Number.POSITIVE_INFINITY
  #rateFrom: Point = { bytes: 0, ms: 0 }

  get unreceivedBytes(): number {
    return this.#sentBytes - this.#receivedBytes
  }

  sent(nowMs: number, lengthBytes: number): void {
    this.#sentBytes += lengthBytes
    const last = this.#points.at(-1)
    const joins = last !== undefined && (nowMs - last.ms < pointsApartMs || this.#points.length >= pointsMax)
    if (joins) last.bytes = this.#sentBytes
    else this.#points.push({ bytes: this.#sentBytes, ms: nowMs })
  }

  /** The peer has received so many bytes in all. False: it can't have. */
  received(nowMs: number, receivedBytes: number): boolean {
    if (!(receivedBytes > this.#receivedBytes && receivedBytes <= this.#sentBytes)) return false
    this.#receivedBytes = receivedBytes
    const at = this.#points.findIndex(({ bytes }) => bytes >= receivedBytes)
    const delayMs = nowMs - (this.#points[at] as Point).ms
    this.#points = this.#points.slice(at)
    this.#wayMs = Math.min(this.#wayMs, delayMs)
    this.queueMs = delayMs - this.#wayMs
    this.#measure(nowMs)
    return true
  }

  /** Only a time that begins with a queue says how fast the link is, not how much there was to send. */
  #measure(nowMs: number): void {
    const from = this.#rateFrom
    const elapsedMs = nowMs - from.ms
    if (elapsedMs < rateWindowMs) return
    if (this.queueMs >= elapsedMs) this.bytesPerMs = (this.#receivedBytes - from.bytes) / elapsedMs
    this.#rateFrom = { bytes: this.#receivedBytes, ms: nowMs }
  }
}
