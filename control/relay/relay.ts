/**
 * A link that can be cut: a TCP port whose connections go on to another port. "Forward" is from the one who dials here to
 * the one behind. A connection is made on behind as soon as the link is whole in both directions; until then it hangs,
 * as a dial over a dead link does.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { listening } from '#control/agent/listening.ts'
import { DelayLine } from './delayLine.ts'

/** Connections over one link at the same time; one more is closed at once. */
export const relayConnectionsMax = 1_000
/** Bytes on their way in one direction of one connection; beyond, the sender is not read from. */
export const relayHeldBytesMax = 4 * 1024 * 1024

export interface LinkState {
  cutForward: boolean
  cutBackward: boolean
  /** In each direction: a round trip takes twice as long. */
  delayMs: number
  /** Of each connection, in each direction; 0: as fast as it goes. */
  megabitsPerSecond: number
}

export const wholeLink: LinkState = {
  cutForward: false,
  cutBackward: false,
  delayMs: 0,
  megabitsPerSecond: 0,
}
const bytesPerMegabit = 125_000

export class Relay {
  readonly #host: string
  readonly #targetPort: number
  readonly #server: Server
  readonly #pairs = new Set<RelayedConnection>()
  readonly #onError: (error: Error) => void
  #state = wholeLink

  /** `onError` hears of connections that could not be accepted. */
  constructor(host: string, targetPort: number, onError: (error: Error) => void) {
    this.#host = host
    this.#onError = onError
    this.#targetPort = targetPort
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#accept(near))
    this.#server.maxConnections = relayConnectionsMax
  }

  /** Port 0: any free one. Resolves to the port. */
  async listen(port: number): Promise<number> {
    await listening(this.#server, { port, host: this.#host }, this.#onError)
    const address = this.#server.address()
    return address !== null && typeof address === 'object' ? address.port : port
  }

  get state(): LinkState {
    return this.#state
  }

  get connections(): number {
    return this.#pairs.size
  }

  change(change: Partial<LinkState>): void {
    this.#state = { ...this.#state, ...change }
    for (const pair of this.#pairs) pair.setState(this.#state)
  }

  close(): void {
    this.#server.close()
    for (const pair of this.#pairs) pair.destroy()
  }

  #accept(near: Socket): void {
    const dial = () =>
      createConnection({ host: this.#host, port: this.#targetPort, allowHalfOpen: true, noDelay: true })
    const pair = new RelayedConnection(near, dial, this.#state, () => this.#pairs.delete(pair))
    this.#pairs.add(pair)
  }
}

/** Null is the end of the stream. */
type Chunk = Buffer | null

class RelayedConnection {
  readonly #near: Socket
  #far: Socket | null = null
  #connected = false
  readonly #dial: () => Socket
  readonly #forward: DelayLine<Chunk>
  readonly #backward: DelayLine<Chunk>
  readonly #onGone: () => void
  #state: LinkState
  /** An end broke off; the other learns it when the link is whole. */
  #broken = false
  #gone = false

  constructor(near: Socket, dial: () => Socket, state: LinkState, onGone: () => void) {
    this.#near = near
    this.#dial = dial
    this.#onGone = onGone
    this.#state = state
    this.#forward = new DelayLine(this.#ends(() => this.#far))
    this.#backward = new DelayLine(this.#ends(() => near))
    this.#watch(near)
    this.#pump(near, this.#forward, () => this.#far)
    this.setState(state)
  }

  setState(state: LinkState): void {
    this.#state = state
    for (const line of [this.#forward, this.#backward]) {
      line.setDelay(state.delayMs)
      line.setRate(
        state.megabitsPerSecond === 0
          ? Number.POSITIVE_INFINITY
          : (state.megabitsPerSecond * bytesPerMegabit) / 1000,
      )
    }
    this.#forward.setCut(state.cutForward || !this.#connected)
    this.#backward.setCut(state.cutBackward)
    if (this.#isCut) return
    if (this.#broken) this.destroy()
    else if (this.#far === null) this.#connect()
  }

  /** Ends both sides with a reset, unless they have ended. */
  destroy(): void {
    if (this.#gone) return
    this.#gone = true
    this.#forward.close()
    this.#backward.close()
    for (const socket of [this.#near, this.#far]) {
      if (socket === null || socket.destroyed) continue
      // A reset is refused while an end is on its way out (libuv), and the handle would stay open for ever.
      if (socket.writableEnded) socket.destroy()
      else socket.resetAndDestroy()
    }
    this.#onGone()
  }

  get #isCut(): boolean {
    return this.#state.cutForward || this.#state.cutBackward
  }

  #connect(): void {
    const far = this.#dial()
    this.#far = far
    this.#watch(far)
    far.once('connect', () => {
      this.#connected = true
      this.#pump(far, this.#backward, () => this.#near)
      this.setState(this.#state)
    })
  }

  #watch(socket: Socket): void {
    socket.on('error', () => this.#breakOff())
    socket.on('drain', () => this.#resume(socket))
    socket.on('close', () => {
      // Both have ended in order, and everything has been delivered.
      if (this.#near.destroyed && this.#far?.destroyed === true) this.destroy()
    })
  }

  #breakOff(): void {
    this.#broken = true
    // Who gave up dialling has nobody behind the link who could learn it.
    if (!this.#isCut || this.#far === null) this.destroy()
  }

  #pump(from: Socket, line: DelayLine<Chunk>, to: () => Socket | null): void {
    const take = (chunk: Chunk) => {
      line.put(chunk, chunk?.length ?? 0)
      if (line.heldBytes > relayHeldBytesMax || to()?.writableNeedDrain === true) from.pause()
    }
    from.on('data', take)
    from.once('end', () => {
      if (this.#far === null) this.destroy()
      else take(null)
    })
  }

  #ends(to: () => Socket | null) {
    return {
      deliver: (chunk: Chunk) => {
        const socket = to()
        if (socket === null || socket.destroyed) return
        if (chunk === null) socket.end()
        else if (socket.write(chunk)) this.#resume(socket)
      },
      after: (delayMs: number, run: () => void) => {
        const timer = setTimeout(run, delayMs)
        return () => clearTimeout(timer)
      },
      nowMs: () => performance.now(),
    }
  }

  /** What `to` gets comes from the other socket, which may have been stopped because too much was on its way. */
  #resume(to: Socket): void {
    const isForward = to === this.#far
    const from = isForward ? this.#near : this.#far
    const line = isForward ? this.#forward : this.#backward
    if (from?.isPaused() && line.heldBytes <= relayHeldBytesMax && !to.writableNeedDrain) from.resume()
  }
}
