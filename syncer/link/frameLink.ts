/**
 * A connection over which frames are exchanged, kept up for ever: dialled, greeted, watched, and dialled again with growing,
 * jittered pauses. Both kinds of link are made of it: to a shard of our own cluster and to the database port of a peer.
 *
 * What is sent is gathered over a turn of the event loop and written at once. A link on which nothing arrives for `silenceMs`
 * is broken, even if the system says nothing: a cut cable sends no reset. (`silenceMs` null: the other side may be silent.)
 */
import { type LinkTraffic, UnpackingReader } from '#protocol/frames/compressedFrame.ts'
import { type Frame, FrameKind, frameHeaderBytes, writeFrameHeader } from '#protocol/frames/frame.ts'
import {
  type Hello,
  type HelloRefusal,
  helloFrame,
  readHello,
  readReason,
  readRefusal,
} from '#protocol/frames/hello.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Clock, Connection, Logger, Net, Random, Target, Timers } from '#runtime/ports.ts'

export interface LinkPorts {
  clock: Clock
  random: Random
  timers: Timers
  net: Net
  logger: Logger
}

export interface LinkOptions {
  target: Target
  hello: Hello
  /** Names the other side in log lines. */
  facts: Readonly<Record<string, unknown>>
  reconnectMinMs: number
  reconnectMaxMs: number
  /** To reach the other side, and then again until it has said hello. */
  greetingMs: number
  silenceMs: number | null
}

export interface LinkOwner {
  /** The other side is there. Returns an error text when it is not who it should be. */
  onHello(hello: Hello): string | null
  /** Valid during the call only. Returns an error text when it breaks the protocol. */
  onFrame(frame: Frame): string | null
  /** After an accepted hello, once. */
  onDown(reason: string): void
  /** All that was written has left. */
  onDrain(): void
  /** The other side does not want us, and says more than why. */
  onRefused?(refusal: HelloRefusal): void
}

export type LinkState = 'closed' | 'waiting' | 'dialing' | 'greeting' | 'up'

/** What is gathered is written when it reaches this, not only at the turn's end. */
const flushBytes = 64 * 1024
/** A larger buffer is given back. */
const keptBytes = 1024 * 1024

export class FrameLink {
  state: LinkState = 'closed'
  /** Why it is not up, of the last attempt. */
  lastError: string | null = null
  /** Of all its connections. */
  readonly received: LinkTraffic = { bytes: 0, rawBytes: 0 }
  readonly sent: LinkTraffic = { bytes: 0, rawBytes: 0 }
  readonly #options: LinkOptions
  readonly #ports: LinkPorts
  readonly #owner: LinkOwner
  readonly #takeAny = (frame: Frame) => this.#take(frame)
  #connection: Connection | null = null
  /** `received.bytes` when this connection began. */
  #receivedBefore = 0
  #reader = new UnpackingReader(this.received, this.#takeAny)
  #outgoing = new ByteWriter(4096)
  #flushing = false
  #attempts = 0
  #upSinceMs = 0
  #heardMs = 0
  #paused = false
  #failure: string | null = null
  #cancelTimer: () => void = () => {}
  #onClosed: () => void = () => {}

  constructor(options: LinkOptions, ports: LinkPorts, owner: LinkOwner) {
    this.#options = options
    this.#ports = ports
    this.#owner = owner
  }

  get isUp(): boolean {
    return this.state === 'up'
  }

  /** Written, and not taken by the system yet. */
  get bufferedBytes(): number {
    return this.#outgoing.length + (this.#connection?.bufferedBytes ?? 0)
  }

  /** Over this connection. */
  get receivedBytes(): number {
    return this.received.bytes - this.#receivedBefore
  }

  dial(): void {
    this.state = 'dialing'
    this.#reader = new UnpackingReader(this.received, this.#takeAny)
    this.#receivedBefore = this.received.bytes
    this.#outgoing.clear()
    this.#failure = null
    this.#paused = false
    const connection = this.#ports.net.connect(this.#options.target, {
      onOpen: () => this.#greet(),
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => this.#owner.onDrain(),
      onClose: (error) => this.#onClose(error),
    })
    this.#connection = connection
    this.#expectWithin(this.#options.greetingMs, 'no connection')
  }

  /** Ends for good, after what was sent has left; `done` is called when it has. */
  close(done: () => void = () => {}): void {
    const connection = this.#connection
    this.#cancelTimer()
    this.#flush()
    const wasUp = this.state === 'up'
    this.state = 'closed'
    if (wasUp) this.#owner.onDown('this link is closed')
    if (connection === null) {
      done()
      return
    }
    this.#onClosed = done
    // An end that the other side doesn't confirm must not keep anybody waiting.
    this.#expectWithin(this.#options.greetingMs, 'no end')
    connection.close()
  }

  send(
    kind: number,
    tag: number,
    slot: number,
    flags: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (this.state !== 'up') return
    const writer = this.#outgoing
    writer.reserve(frameHeaderBytes + end - start)
    writer.length = writeFrameHeader(writer.bytes, writer.length, kind, tag, slot, flags, end - start)
    writer.raw(bytes, start, end)
    this.#gathered()
  }

  sendFrame(frame: Uint8Array): void {
    if (this.state !== 'up') return
    this.#outgoing.raw(frame)
    this.#gathered()
  }

  /** Stops frames from coming until `resume`; silence is then our own doing. */
  pause(): void {
    this.#paused = true
    this.#reader.isHeld = true
    this.#connection?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#heardMs = this.#ports.clock.monotonicMs()
    const error = this.#reader.release()
    if (error !== null) this.break(error)
    if (!this.#paused) this.#connection?.resume()
  }

  /** Breaks the connection, to be dialled again. */
  break(reason: string): void {
    this.#failure ??= reason
    this.#connection?.destroy()
  }

  #gathered(): void {
    if (this.#outgoing.length >= flushBytes) this.#flush()
    else if (!this.#flushing) {
      this.#flushing = true
      this.#ports.timers.atTurnEnd(() => {
        this.#flushing = false
        this.#flush()
      })
    }
  }

  #flush(): void {
    const writer = this.#outgoing
    if (writer.length === 0) return
    this.sent.bytes += writer.length
    this.sent.rawBytes += writer.length
    this.#connection?.write(writer.take())
    if (writer.bytes.length > keptBytes) this.#outgoing = new ByteWriter(4096)
    else writer.clear()
  }

  #greet(): void {
    if (this.state !== 'dialing') return
    this.state = 'greeting'
    this.#connection?.write(helloFrame(this.#options.hello))
    this.#expectWithin(this.#options.greetingMs, 'no hello')
  }

  #expectWithin(delayMs: number, what: string): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#ports.timers.after(delayMs, () => this.break(`${what} within ${delayMs} ms`))
  }

  #onData(chunk: Uint8Array): void {
    this.#heardMs = this.#ports.clock.monotonicMs()
    if (this.#failure !== null) return
    const error = this.#reader.feed(chunk)
    if (error !== null) this.break(error)
  }

  #take(frame: Frame): void {
    if (this.#failure !== null) return
    const error = this.state === 'up' ? this.#takeFrame(frame) : this.#takeHello(frame)
    if (error !== null) this.break(error)
  }

  #takeFrame(frame: Frame): string | null {
    if (frame.kind === FrameKind.channelClosed && frame.tag === 0) return `ended: ${readReason(frame)}`
    return this.#owner.onFrame(frame)
  }

  #takeHello(frame: Frame): string | null {
    if (this.state !== 'greeting') return null
    // Who doesn't want us says why on channel 0 instead of a hello.
    if (frame.kind === FrameKind.channelClosed) {
      const refusal = readRefusal(frame)
      if (refusal !== null) this.#owner.onRefused?.(refusal)
      return `refused: ${readReason(frame)}`
    }
    const hello = readHello(frame)
    if (typeof hello === 'string') return hello
    this.#cancelTimer()
    this.state = 'up'
    this.#upSinceMs = this.#heardMs
    const error = this.#owner.onHello(hello)
    if (error !== null) {
      this.state = 'greeting'
      return error
    }
    this.#ports.logger.info(this.#options.facts, 'link is up')
    this.lastError = null
    this.#watchSilence()
    return null
  }

  #watchSilence(): void {
    const { silenceMs } = this.#options
    if (silenceMs === null || this.state !== 'up') return
    const quietMs = this.#paused ? 0 : this.#ports.clock.monotonicMs() - this.#heardMs
    if (quietMs >= silenceMs) {
      this.break(`nothing heard for ${silenceMs} ms`)
      return
    }
    this.#cancelTimer = this.#ports.timers.after(silenceMs - quietMs, () => this.#watchSilence())
  }

  #onClose(error: Error | null): void {
    this.#cancelTimer()
    this.#connection = null
    const wasUp = this.state === 'up'
    if (this.state === 'closed') {
      this.#onClosed()
      return
    }
    const reason = this.#failure ?? error?.message ?? 'closed by the other side'
    this.state = 'waiting'
    this.#log(reason, wasUp)
    const pauseMs = this.#pauseMs(wasUp)
    this.#cancelTimer = this.#ports.timers.after(pauseMs, () => this.dial())
    if (wasUp) this.#owner.onDown(reason)
  }

  /** The same failure is told once, not at every attempt. */
  #log(reason: string, wasUp: boolean): void {
    const facts = { ...this.#options.facts, reason }
    if (wasUp || reason !== this.lastError)
      this.#ports.logger.warn(facts, 'link is down; dialling until it is up')
    else this.#ports.logger.debug(facts, 'link is still down')
    this.lastError = reason
  }

  /** Half of it is random, so that those who lost the same peer don't come back at the same instant. */
  #pauseMs(wasUp: boolean): number {
    const { reconnectMinMs, reconnectMaxMs } = this.#options
    const upMs = this.#ports.clock.monotonicMs() - this.#upSinceMs
    // One that is accepted and dropped at once is not a success.
    if (wasUp && upMs >= reconnectMaxMs) this.#attempts = 0
    return backOffMs(this.#attempts++, reconnectMinMs, reconnectMaxMs, this.#ports.random)
  }
}

/** Doubles with each attempt up to `maxMs`; the upper half of it is random. */
export function backOffMs(attempts: number, minMs: number, maxMs: number, random: Random): number {
  const pauseMs = Math.min(maxMs, minMs * 2 ** Math.min(attempts, 30))
  return pauseMs / 2 + random.below(Math.ceil(pauseMs / 2) + 1)
}
