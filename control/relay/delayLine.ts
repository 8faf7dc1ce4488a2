/**
 * One direction of a link: chunks go in, and come out after the delay and as fast as the link is, in order. A cut holds them up. Nothing is dropped
 * and nobody is told, just as a network that swallows packets looks to two ends that speak TCP: what was under way is sent
 * again when the link heals, unless an end has given up by then. Pure.
 */

export interface DelayLineEnds<Chunk> {
  /** The next chunk has arrived at the far end. */
  deliver(chunk: Chunk): void
  /** Calls `run` after `delayMs`; the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void
  nowMs(): number
}

interface Held<Chunk> {
  chunk: Chunk
  sizeBytes: number
  dueMs: number
}

export class DelayLine<Chunk> {
  readonly #ends: DelayLineEnds<Chunk>
  readonly #held: Held<Chunk>[] = []
  #heldBytes = 0
  #delayMs = 0
  #bytesPerMs = Number.POSITIVE_INFINITY
  /** When the last byte that was put in will have gone in at this rate. */
  #busyUntilMs = 0
  #cut = false
  #cancelTimer: (() => void) | null = null

  constructor(ends: DelayLineEnds<Chunk>) {
    this.#ends = ends
  }

  /** What is on its way. Who puts more in looks here. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  put(chunk: Chunk, sizeBytes: number): void {
    if (
      !this.#cut &&
      this.#delayMs === 0 &&
      this.#bytesPerMs === Number.POSITIVE_INFINITY &&
      this.#held.length === 0
    ) {
      this.#ends.deliver(chunk)
      return
    }
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#ends.nowMs()) + sizeBytes / this.#bytesPerMs
    this.#held.push({ chunk, sizeBytes, dueMs: this.#busyUntilMs + this.#delayMs })
    this.#heldBytes += sizeBytes
    this.#schedule()
  }

  /** For chunks that come from now on; order is kept, so they may arrive later than that behind older ones. */
  setDelay(delayMs: number): void {
    this.#delayMs = delayMs
  }

  /** The same goes for it. */
  setRate(bytesPerMs: number): void {
    this.#bytesPerMs = bytesPerMs
  }

  setCut(cut: boolean): void {
    this.#cut = cut
    this.#schedule()
  }

  /** Forgets what is on its way. */
  close(): void {
    this.#held.length = 0
    this.#heldBytes = 0
    this.#cancelTimer?.()
    this.#cancelTimer = null
  }

  #schedule(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    const [first] = this.#held
    if (this.#cut || first === undefined) return
    this.#cancelTimer = this.#ends.after(Math.max(0, first.dueMs - this.#ends.nowMs()), () => this.#release())
  }

  #release(): void {
    const nowMs = this.#ends.nowMs()
    for (let first = this.#held[0]; first !== undefined && first.dueMs <= nowMs; first = this.#held[0]) {
      this.#held.shift()
      this.#heldBytes -= first.sizeBytes
      this.#ends.deliver(first.chunk)
      if (this.#cut) break
    }
    this.#schedule()
  }
}
