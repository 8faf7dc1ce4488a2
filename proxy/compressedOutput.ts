/**
 * What leaves for a peer: compressed when it then arrives earlier, as it is otherwise (ADR 20). It does while bytes queue on
 * the link and the link takes longer for a piece than packing it does; so a fast link costs no time here, whatever the
 * level. As the queue is long then, what comes may be gathered for a moment, until it is worth packing.
 */
import { compressedFrame, type LinkTraffic, pieceBytesMax } from '#protocol/frames/compressedFrame.ts'
import { receiptBytes } from '#protocol/frames/receipt.ts'
import { concatenate } from '#runtime/bytes/bytes.ts'
import type { Clock, Connection, Timers } from '#runtime/ports.ts'
import { LinkQueue } from './linkQueue.ts'

/** The levels of zstd behind 1 to 6 of `sync_compression`; 0 is off. */
const zstdLevels = [0, 1, 2, 3, 6, 7, 9] as const
/** A link on which bytes wait for so long is slow, */
export const queueMsMin = 50
/** if more are on their way than it may just not have told of. */
const underWayBytesMin = 2 * receiptBytes
/** Larger pieces are hardly packed better; */
export const pieceBytesWanted = 64 * 1024
/** smaller ones go after this time, */
export const gatherMs = 20
/** and as they are when they are smaller than this. */
const pieceBytesMin = 1024
/** A piece that does not shrink by this part of it, or takes longer to pack than to send, was in vain; */
const gainMin = 1 / 16
/** for so long all that follows is sent as it is. */
export const vainPauseMs = 250

export interface CompressionPorts {
  clock: Clock
  timers: Timers
  /** Of the present configuration. */
  level: () => number
  pack?: typeof compressedFrame
}

export class CompressedOutput {
  /** The peer reads compressed frames, and tells what has come. */
  isUnderstood = false
  /** What is counted in. */
  traffic: LinkTraffic = { bytes: 0, rawBytes: 0 }
  readonly #connection: Connection
  readonly #ports: CompressionPorts
  readonly #queue = new LinkQueue()
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #cancelFlush: () => void = () => {}
  #rawUntilMs = Number.NEGATIVE_INFINITY

  constructor(connection: Connection, ports: CompressionPorts) {
    this.#connection = connection
    this.#ports = ports
  }

  get bufferedBytes(): number {
    return this.#gatheredBytes + this.#connection.bufferedBytes
  }

  /** Whole frames; they are this object's from now on. */
  write(bytes: Uint8Array): void {
    this.traffic.rawBytes += bytes.length
    if (!this.#isWorthIt()) {
      this.flush()
      this.#send(bytes)
      return
    }
    if (this.#gatheredBytes === 0) this.#cancelFlush = this.#ports.timers.after(gatherMs, () => this.flush())
    this.#gathered.push(bytes)
    this.#gatheredBytes += bytes.length
    if (this.#gatheredBytes >= pieceBytesWanted) this.flush()
  }

  /** The peer has received so many bytes of this connection. False: it can't have. */
  received(bytes: number): boolean {
    return this.#queue.received(this.#ports.clock.monotonicMs(), bytes)
  }

  /** Writes what was gathered. */
  flush(): void {
    if (this.#gatheredBytes === 0) return
    this.#cancelFlush()
    const bytes = concatenate(this.#gathered)
    this.#gathered = []
    this.#gatheredBytes = 0
    if (bytes.length < pieceBytesMin) {
      this.#send(bytes)
      return
    }
    for (let at = 0; at < bytes.length; at += pieceBytesMax)
      this.#sendPiece(bytes, at, Math.min(bytes.length, at + pieceBytesMax))
  }

  #isWorthIt(): boolean {
    const { queueMs, bytesPerMs, unreceivedBytes } = this.#queue
    return (
      this.isUnderstood &&
      queueMs >= queueMsMin &&
      unreceivedBytes >= underWayBytesMin &&
      bytesPerMs < Number.POSITIVE_INFINITY &&
      this.#ports.level() > 0 &&
      this.#ports.clock.monotonicMs() >= this.#rawUntilMs
    )
  }

  #sendPiece(bytes: Uint8Array, start: number, end: number): void {
    const { clock, level, pack = compressedFrame } = this.#ports
    const startedMs = clock.monotonicMs()
    // It may have been turned off since; what is gathered goes all the same.
    const frame = pack(bytes, start, end, zstdLevels[level()] || 1)
    const endedMs = clock.monotonicMs()
    const isSmaller = frame.length <= (end - start) * (1 - gainMin)
    const isFaster = (endedMs - startedMs) * this.#queue.bytesPerMs < end - start
    if (!isSmaller || !isFaster) this.#rawUntilMs = endedMs + vainPauseMs
    this.#send(frame)
  }

  #send(bytes: Uint8Array): void {
    this.traffic.bytes += bytes.length
    this.#queue.sent(this.#ports.clock.monotonicMs(), bytes.length)
    this.#connection.write(bytes)
  }
}
