/** The far end of a frame link, by hand: a shard, or a peer's database port. */
import { pongFrame } from '#protocol/frames/clockProbe.ts'
import { compressedFrame } from '#protocol/frames/compressedFrame.ts'
import {
  type Frame,
  FrameKind,
  FrameReader,
  frameHeaderBytes,
  writeFrameHeader,
} from '#protocol/frames/frame.ts'
import {
  type ChannelOpening,
  channelClosedFrame,
  type Hello,
  type HelloRefusal,
  helloFrame,
  helloRefusalFrame,
  jsonFrame,
  readChannelOpening,
  readHello,
  readJson,
  readReason,
} from '#protocol/frames/hello.ts'
import { readReceived } from '#protocol/frames/receipt.ts'
import { allocate, bytesOf, concatenate, latin1 } from '#runtime/bytes/bytes.ts'
import type { Clock, Connection, ConnectionHandler } from '#runtime/ports.ts'
import type { MemoryConnection } from '#test/memoryConnection.ts'

/** Of links, in tests. */
export const timings = {
  heartbeatMs: 250,
  linkDownMs: 2000,
  holdMs: 200,
  futureHoldMs: 60_000,
  reconnectMinMs: 50,
  reconnectMaxMs: 1000,
}

export interface EndpointChannel {
  tag: number
  opening: ChannelOpening
  received: string[]
  closed: string | null
}

export class Endpoint<C extends Connection = MemoryConnection> implements ConnectionHandler {
  readonly connection: C
  hello: Hello | string | null = null
  channels: EndpointChannel[] = []
  pings = 0
  receipts: (number | null)[] = []
  closed = false
  /** What it does with a channelOpen: accept it, refuse it, or say nothing. */
  onOpen: (channel: EndpointChannel) => void = (channel) => this.accept(channel)
  /** Its clock minus the given one. */
  clockOffsetMs = 0
  answersPings = true
  /** Instead of the hello. */
  refusal: HelloRefusal | null = null
  /** Of agents, with their tags. */
  questions: { tag: number; question: unknown }[] = []
  readonly #clock: Clock
  readonly #answer: Hello | null
  readonly #reader = new FrameReader()

  /** `answer` null: it never says hello. */
  constructor(clock: Clock, connection: C, answer: Hello | null) {
    this.#clock = clock
    this.#answer = answer
    this.connection = connection
    connection.handler = this
  }

  onData(chunk: Uint8Array): void {
    const error = this.#reader.feed(chunk, (frame) => this.#take(frame))
    if (error !== null) throw new Error(error)
  }

  onDrain(): void {}

  onClose(): void {
    this.closed = true
  }

  get openChannels(): EndpointChannel[] {
    return this.channels.filter((channel) => channel.closed === null)
  }

  accept(channel: EndpointChannel): void {
    this.connection.write(jsonFrame(FrameKind.channelOpened, channel.tag, {}))
  }

  close(channel: EndpointChannel, reason: string): void {
    channel.closed = reason
    this.connection.write(channelClosedFrame(channel.tag, reason))
  }

  send(channel: EndpointChannel, text: string): void {
    this.connection.write(dataFrame(channel, text))
  }

  /** Each compressed by itself, all in one write. */
  sendPacked(
    channel: EndpointChannel,
    texts: readonly string[],
    spoil: (frame: Uint8Array) => void = () => {},
  ): void {
    const frames = texts.map((text) => {
      const bytes = dataFrame(channel, text)
      const frame = compressedFrame(bytes, 0, bytes.length, 3)
      spoil(frame)
      return frame
    })
    this.connection.write(concatenate(frames))
  }

  #take(frame: Frame): void {
    if (this.hello === null) {
      this.hello = readHello(frame)
      if (this.refusal !== null) this.connection.write(helloRefusalFrame(this.refusal))
      else if (this.#answer !== null) this.connection.write(helloFrame(this.#answer))
      return
    }
    const channel = this.openChannels.find(({ tag }) => tag === frame.tag)
    if (frame.kind === FrameKind.channelOpen) this.#opened(frame)
    else if (frame.kind === FrameKind.ping) this.#ping(frame)
    else if (frame.kind === FrameKind.received) this.receipts.push(readReceived(frame))
    else if (frame.kind === FrameKind.memberQuestion)
      this.questions.push({ tag: frame.tag, question: readJson(frame) })
    else if (channel === undefined) throw new Error(`frame ${frame.kind} on channel ${frame.tag}`)
    else if (frame.kind === FrameKind.channelClosed) channel.closed = readReason(frame)
    else {
      if (frame.slot !== 7 || frame.flags !== 3) throw new Error('the header was changed')
      channel.received.push(latin1(frame.bytes, frame.payloadStart, frame.payloadEnd))
    }
  }

  #opened(frame: Frame): void {
    const opening = readChannelOpening(frame)
    if (typeof opening === 'string') throw new Error(opening)
    const channel = { tag: frame.tag, opening, received: [], closed: null }
    this.channels.push(channel)
    this.onOpen(channel)
  }

  #ping(frame: Frame): void {
    this.pings++
    const nowMs = this.#clock.wallMs() + this.clockOffsetMs
    const pong = pongFrame(frame, nowMs, nowMs)
    if (pong === null) throw new Error('a ping without its time')
    if (this.answersPings) this.connection.write(pong)
  }
}

function dataFrame(channel: EndpointChannel, text: string): Uint8Array {
  const bytes = allocate(frameHeaderBytes + text.length)
  const at = writeFrameHeader(bytes, 0, FrameKind.channelData, channel.tag, 7, 3, text.length)
  bytes.set(bytesOf(text), at)
  return bytes
}
