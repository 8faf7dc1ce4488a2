/** A proxy's side of a link to a shard, for tests: sends frames, keeps what comes back by tag. */
import {
  type Frame,
  FrameFlag,
  FrameKind,
  FrameReader,
  frameHeaderBytes,
  writeFrameHeader,
  writeU32,
} from '#protocol/frames/frame.ts'
import {
  type ChannelOpening,
  channelClosedFrame,
  type Hello,
  helloFrame,
  jsonFrame,
  readHello,
  readJson,
  readReason,
} from '#protocol/frames/hello.ts'
import { readScriptDenials, type ScriptDenials } from '#protocol/frames/scriptUser.ts'
import { type Invalidated, readInvalidated } from '#protocol/frames/tracking.ts'
import { readPublished } from '#protocol/pubsub/messages.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import type { ConnectionHandler } from '#runtime/ports.ts'
import type { MemoryConnection } from '#test/memoryConnection.ts'

export const requestText = (words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`

export function frameBytes(
  kind: number,
  tag: number,
  slot: number,
  flags: number,
  payload: string,
): Uint8Array {
  const frame = new Uint8Array(frameHeaderBytes + payload.length)
  writeFrameHeader(frame, 0, kind, tag, slot, flags, payload.length)
  frame.set(bytesOf(payload), frameHeaderBytes)
  return frame
}

export function sessionText(session: number): string {
  const bytes = new Uint8Array(4)
  writeU32(bytes, 0, session)
  return latin1(bytes)
}

export class ProxySide implements ConnectionHandler {
  readonly connection: MemoryConnection
  /** Frames of replies in the order of their arrival. */
  readonly arrived: { tag: number; text: string; count: number; isHeld: boolean }[] = []
  /** Messages to subscribers, and how many replies had come before. */
  readonly published: { channel: string; message: string; replies: number }[] = []
  readonly invalidated: Invalidated[] = []
  /** Replies and what was invalidated between them. */
  readonly inOrder: (string | Invalidated)[] = []
  readonly adminAnswers = new Map<number, unknown>()
  readonly channelMessages: { tag: number; bytes: Uint8Array }[] = []
  readonly channelsOpened: number[] = []
  readonly channelsClosed: { tag: number; reason: string }[] = []
  readonly denied: (ScriptDenials & { session: number })[] = []
  runId = ''
  closed = false
  readonly #reader = new FrameReader()
  #tag = 0

  constructor(connection: MemoryConnection, hello: Hello = { role: 'proxy', name: 'test' }) {
    this.connection = connection
    connection.handler = this
    connection.write(helloFrame(hello))
  }

  onData(chunk: Uint8Array): void {
    const error = this.#reader.feed(chunk, (frame) => this.#take(frame))
    if (error !== null) throw new Error(error)
  }

  onDrain(): void {}

  onClose(): void {
    this.closed = true
  }

  /** Returns the tag. */
  send(...words: string[]): number {
    return this.frame(FrameKind.request, requestText(words), 0, slotOfKey(words[1] ?? ''))
  }

  /** Several in one frame. */
  sendRun(...requests: (readonly string[])[]): number {
    const slot = slotOfKey(requests[0]?.[1] ?? '')
    return this.frame(FrameKind.request, requests.map(requestText).join(''), 0, slot)
  }

  send3(...words: string[]): number {
    return this.frame(FrameKind.request, requestText(words), FrameFlag.resp3)
  }

  /** Of a session whose reads are remembered; `flags` are others. */
  sendTracked(
    session: number,
    requests: readonly (readonly string[])[],
    flags: number = FrameFlag.tracked,
  ): number {
    const slot = slotOfKey(requests[0]?.[1] ?? '')
    return this.frame(
      FrameKind.request,
      sessionText(session) + requests.map(requestText).join(''),
      flags,
      slot,
    )
  }

  /** `session` with what it watches, 0: without. */
  transaction(session: number, ...requests: (readonly string[])[]): number {
    const payload = sessionText(session) + requests.map(requestText).join('')
    return this.frame(FrameKind.transaction, payload, session === 0 ? 0 : FrameFlag.watching)
  }

  watch(session: number, ...keys: string[]): number {
    return this.frame(FrameKind.watch, sessionText(session) + requestText(['WATCH', ...keys]))
  }

  block(session: number, ...words: string[]): number {
    const slot = slotOfKey(words[1] ?? '')
    return this.frame(FrameKind.blocking, sessionText(session) + requestText(words), 0, slot)
  }

  block3(session: number, ...words: string[]): number {
    return this.frame(FrameKind.blocking, sessionText(session) + requestText(words), FrameFlag.resp3)
  }

  unblock(session: number, error = ''): void {
    this.connection.write(frameBytes(FrameKind.unblock, session, 0, 0, error))
  }

  unwatch(session: number): void {
    this.connection.write(frameBytes(FrameKind.unwatch, session, 0, 0, ''))
  }

  ask(question: unknown): number {
    this.#tag++
    this.connection.write(jsonFrame(FrameKind.admin, this.#tag, question))
    return this.#tag
  }

  openChannel(tag: number, opening: ChannelOpening): void {
    this.connection.write(jsonFrame(FrameKind.channelOpen, tag, opening))
  }

  closeChannel(tag: number, reason: string): void {
    this.connection.write(channelClosedFrame(tag, reason))
  }

  frame(kind: number, payload: string, flags = 0, slot = 0): number {
    this.#tag++
    this.connection.write(frameBytes(kind, this.#tag, slot, flags, payload))
    return this.#tag
  }

  reply(tag: number): string | undefined {
    return this.arrived.find((reply) => reply.tag === tag)?.text
  }

  #take(frame: Frame): void {
    switch (frame.kind) {
      case FrameKind.hello: {
        const hello = readHello(frame)
        if (typeof hello === 'string' || hello.role !== 'shard') throw new Error('not the hello of a shard')
        this.runId = hello.runId
        break
      }
      case FrameKind.reply:
        this.inOrder.push(latin1(frame.bytes, frame.payloadStart, frame.payloadEnd))
        this.arrived.push({
          tag: frame.tag,
          text: latin1(frame.bytes, frame.payloadStart, frame.payloadEnd),
          count: frame.slot,
          isHeld: (frame.flags & FrameFlag.held) !== 0,
        })
        break
      case FrameKind.denied: {
        const denials = readScriptDenials(frame)
        if (denials === null) throw new Error('denials that make no sense')
        this.denied.push({ ...denials, session: frame.tag })
        break
      }
      case FrameKind.adminReply:
        this.adminAnswers.set(frame.tag, readJson(frame))
        break
      case FrameKind.published: {
        const { channel, bytes, start, end } = readPublished(
          frame.bytes,
          frame.payloadStart,
          frame.payloadEnd,
        )
        this.published.push({ channel, message: latin1(bytes, start, end), replies: this.arrived.length })
        break
      }
      case FrameKind.invalidated: {
        const invalidated = readInvalidated(frame.bytes, frame.payloadStart, frame.payloadEnd)
        this.invalidated.push(invalidated)
        this.inOrder.push(invalidated)
        break
      }
      case FrameKind.channelOpened:
        this.channelsOpened.push(frame.tag)
        break
      case FrameKind.channelClosed:
        this.channelsClosed.push({ tag: frame.tag, reason: readReason(frame) })
        break
      case FrameKind.channelData: {
        const bytes = new Uint8Array(frame.bytes.subarray(frame.payloadStart, frame.payloadEnd))
        this.channelMessages.push({ tag: frame.tag, bytes })
        break
      }
      default:
        throw new Error(`a shard sent a frame of kind ${frame.kind}`)
    }
  }
}
