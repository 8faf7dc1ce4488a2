/** A shard in memory: speaks frames, holds strings only, and answers when and how a test wants. */
import {
  type Frame,
  FrameFlag,
  FrameKind,
  FrameReader,
  frameHeaderBytes,
  readU32,
  sessionFlags,
  writeFrameHeader,
} from '#protocol/frames/frame.ts'
import {
  channelClosedFrame,
  helloFrame,
  jsonFrame,
  readChannelOpening,
  readHello,
} from '#protocol/frames/hello.ts'
import { appliedPayload, nothingKnown, readWaitQuestion } from '#protocol/frames/wait.ts'
import { defaultRequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import { allocate, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'
import type { Connection } from '#runtime/ports.ts'

/** One of those in a frame of requests, or the one of another frame. */
export interface ShardRequest {
  kind: number
  /** In its frame. */
  place: number
  slot: number
  resp3: boolean
  noTouch: boolean
  /** Of a request only when it is tracked, or is with NOLOOP. */
  session: number
  isTracked: boolean
  noLoop: boolean
  /** Of a transaction. */
  isWatching: boolean
  commands: string[][]
  frame: RequestFrame
}

/** A frame that was received. Its commands may be answered in any order; the replies leave in theirs. */
class RequestFrame {
  readonly tag: number
  readonly connection: Connection
  readonly #replies: (string | undefined)[]
  #sent = 0

  constructor(tag: number, connection: Connection, count: number) {
    this.tag = tag
    this.connection = connection
    this.#replies = new Array<string | undefined>(count)
  }

  /** The reply frame that may leave now; undefined: others have to come first. */
  answer(place: number, text: string, flags: number): Uint8Array | undefined {
    this.#replies[place] = text
    const from = this.#sent
    while (this.#replies[this.#sent] !== undefined) this.#sent++
    const due = this.#replies.slice(from, this.#sent)
    return due.length === 0 ? undefined : frame(FrameKind.reply, this.tag, due.join(''), due.length, flags)
  }
}

export class FakeShard {
  readonly index: number
  readonly ranges: SlotRange[]
  runId: string
  /** Refuses connections, as a process that isn't there does. */
  isDown = false
  /** Takes connections and says nothing. */
  isSilent = false
  /** While set, requests are kept in `held`. */
  isHolding = false
  /** Replies are written in pieces of so many bytes. */
  pieceBytesMax = Number.MAX_SAFE_INTEGER
  readonly held: ShardRequest[] = []
  readonly seen: ShardRequest[] = []
  /** How many requests each frame held. */
  readonly frameSizes: number[] = []
  readonly unwatched: number[] = []
  readonly channels = new Map<number, { connection: Connection; received: string[]; closed: string | null }>()
  connections: Connection[] = []
  /** Overrides the answer to a request; undefined: the usual one. */
  answer: (request: ShardRequest) => string | undefined = () => undefined
  /** Whether a request is answered as one that has held the shard for long. */
  holds: (commands: string[][]) => boolean = () => false
  info: (what: string, question: unknown) => unknown = () => ({})
  readonly #values = new Map<string, string>()
  readonly #watches = new Map<number, Map<string, string | undefined>>()

  constructor(index: number, ranges: SlotRange[]) {
    this.index = index
    this.ranges = ranges
    this.runId = `run-${index}`
  }

  accept(connection: Connection): void {
    this.connections.push(connection)
    const reader = new FrameReader()
    connection.handler = {
      onData: (chunk) => {
        const error = reader.feed(chunk, (frame) => this.#take(frame, connection))
        if (error !== null) throw new Error(error)
      },
      onDrain() {},
      onClose: () => {
        this.connections = this.connections.filter((other) => other !== connection)
      },
    }
  }

  /** The process dies; its sessions and what it was asked are forgotten. */
  kill(): void {
    this.isDown = true
    this.held.length = 0
    this.#watches.clear()
    for (const connection of this.connections) connection.destroy()
  }

  /** Answers what was held, in the given order (default: first come, first served). */
  release(order: (requests: ShardRequest[]) => ShardRequest[] = (requests) => requests): void {
    this.isHolding = false
    for (const request of order(this.held.splice(0))) this.#reply(request)
  }

  sendOnChannel(tag: number, text: string): void {
    const channel = this.channels.get(tag)
    channel?.connection.write(frame(FrameKind.channelData, tag, text))
  }

  closeChannel(tag: number, reason: string): void {
    this.channels.get(tag)?.connection.write(channelClosedFrame(tag, reason))
    this.channels.delete(tag)
  }

  #take(received: Frame, connection: Connection): void {
    switch (received.kind) {
      case FrameKind.hello: {
        const hello = readHello(received)
        if (typeof hello === 'string') throw new Error(hello)
        const { index, ranges, runId } = this
        if (!this.isSilent) connection.write(helloFrame({ role: 'shard', index, ranges, runId }))
        return
      }
      case FrameKind.unwatch:
        this.unwatched.push(received.tag)
        this.#watches.delete(received.tag)
        return
      case FrameKind.wait: {
        const question = readWaitQuestion(received.bytes, received.payloadStart, received.payloadEnd)
        if (question === null) throw new Error('a wait that is none')
        // Nobody has anything; who knows that hears no more.
        if (question.known === nothingKnown)
          connection.write(frame(FrameKind.reply, received.tag, latin1(appliedPayload(0, 0)), 1))
        return
      }
      case FrameKind.admin: {
        const question = JSON.parse(latin1(received.bytes, received.payloadStart, received.payloadEnd)) as {
          what: string
        }
        connection.write(jsonFrame(FrameKind.adminReply, received.tag, this.info(question.what, question)))
        return
      }
      case FrameKind.channelOpen: {
        const opening = readChannelOpening(received)
        if (typeof opening === 'string') throw new Error(opening)
        this.channels.set(received.tag, { connection, received: [], closed: null })
        connection.write(jsonFrame(FrameKind.channelOpened, received.tag, {}))
        return
      }
      case FrameKind.channelData:
        this.channels
          .get(received.tag)
          ?.received.push(latin1(received.bytes, received.payloadStart, received.payloadEnd))
        return
      case FrameKind.channelClosed: {
        const channel = this.channels.get(received.tag)
        if (channel) channel.closed = latin1(received.bytes, received.payloadStart, received.payloadEnd)
        return
      }
      default:
        this.#takeRequest(received, connection)
    }
  }

  #takeRequest(received: Frame, connection: Connection): void {
    const { kind, tag, slot, flags, bytes, payloadEnd } = received
    const hasSession = kind !== FrameKind.request || (flags & sessionFlags) !== 0
    const commands = commandsIn(bytes, received.payloadStart + (hasSession ? 4 : 0), payloadEnd)
    const parts = kind === FrameKind.request ? commands.map((command) => [command]) : [commands]
    const whole = new RequestFrame(tag, connection, parts.length)
    this.frameSizes.push(parts.length)
    for (const [place, part] of parts.entries()) {
      const request: ShardRequest = {
        kind,
        place,
        slot,
        resp3: (flags & FrameFlag.resp3) !== 0,
        noTouch: (flags & FrameFlag.noTouch) !== 0,
        session: hasSession ? readU32(bytes, received.payloadStart) : 0,
        isTracked: (flags & FrameFlag.tracked) !== 0,
        noLoop: (flags & FrameFlag.noLoop) !== 0,
        isWatching: (flags & FrameFlag.watching) !== 0,
        commands: part,
        frame: whole,
      }
      this.seen.push(request)
      if (this.isHolding) this.held.push(request)
      else this.#reply(request)
    }
  }

  #reply(request: ShardRequest): void {
    const { frame: whole, place } = request
    const flags = this.holds(request.commands) ? FrameFlag.held : 0
    const reply = whole.answer(place, this.answer(request) ?? this.#usual(request), flags)
    if (reply === undefined) return
    for (let at = 0; at < reply.length; at += this.pieceBytesMax) {
      whole.connection.write(reply.subarray(at, Math.min(reply.length, at + this.pieceBytesMax)))
    }
  }

  #usual({ kind, session, isWatching, commands }: ShardRequest): string {
    if (kind === FrameKind.watch) {
      const watched = this.#watches.get(session) ?? new Map<string, string | undefined>()
      for (const key of (commands[0] ?? []).slice(1)) watched.set(key, this.#values.get(key))
      this.#watches.set(session, watched)
      return '+OK\r\n'
    }
    if (kind !== FrameKind.transaction) return this.#run(commands[0] ?? [])
    if (isWatching) {
      const watched = this.#watches.get(session)
      this.#watches.delete(session)
      if (watched === undefined) return '*-1\r\n'
      for (const [key, value] of watched) if (this.#values.get(key) !== value) return '*-1\r\n'
    }
    return `*${commands.length}\r\n${commands.map((command) => this.#run(command)).join('')}`
  }

  #run([name = '', ...args]: string[]): string {
    const values = this.#values
    const [key = '', value = ''] = args
    switch (name.toUpperCase()) {
      case 'GET':
        return bulk(values.get(key))
      case 'SET':
        values.set(key, value)
        return '+OK\r\n'
      case 'MSET':
        for (let i = 0; i < args.length; i += 2) values.set(args[i] as string, args[i + 1] as string)
        return '+OK\r\n'
      case 'MGET':
        return `*${args.length}\r\n${args.map((each) => bulk(values.get(each))).join('')}`
      case 'INCR': {
        const next = Number(values.get(key) ?? 0) + 1
        values.set(key, String(next))
        return `:${next}\r\n`
      }
      case 'DEL':
      case 'UNLINK':
        return `:${args.filter((each) => values.delete(each)).length}\r\n`
      case 'EXISTS':
      case 'TOUCH':
        return `:${args.filter((each) => values.has(each)).length}\r\n`
      case 'DBSIZE':
        return `:${values.size}\r\n`
      case 'KEYS':
        return `*${values.size}\r\n${[...values.keys()].map(bulk).join('')}`
      case 'RANDOMKEY':
        return bulk([...values.keys()][0])
      case 'FLUSHALL':
        values.clear()
        return '+OK\r\n'
      case 'SCAN':
        return this.#scan(Number(key))
      default:
        return `-ERR fake shard: ${name}\r\n`
    }
  }

  /** One slot a call. */
  #scan(cursor: number): string {
    const slot = cursor % 16384
    const keys = [...this.#values.keys()].filter((key) => slotOfKey(key) === slot)
    const used = [...this.#values.keys()].map(slotOfKey).filter((other) => other > slot)
    const last = this.ranges.at(-1)?.last ?? 0
    const next = Math.min(last + 1, ...used) % 16384
    return `*2\r\n${bulk(String(next))}*${keys.length}\r\n${keys.map(bulk).join('')}`
  }
}

const bulk = (text: string | undefined): string =>
  text === undefined ? '$-1\r\n' : `$${text.length}\r\n${text}\r\n`

export function frame(kind: number, tag: number, payload: string, slot = 0, flags = 0): Uint8Array {
  const bytes = allocate(frameHeaderBytes + payload.length)
  writeLatin1(bytes, writeFrameHeader(bytes, 0, kind, tag, slot, flags, payload.length), payload)
  return bytes
}

function commandsIn(bytes: Uint8Array, start: number, end: number): string[][] {
  const scanner = new RequestScanner(defaultRequestLimits)
  const commands: string[][] = []
  for (let at = start; at < end; ) {
    const next = scanner.scan(bytes, at, end)
    if (next <= 0) throw new Error(`a payload that is no request: ${latin1(bytes, at, end)}`)
    if (scanner.inline) throw new Error('an inline request must not reach a shard')
    commands.push(Array.from({ length: scanner.argumentCount }, (_, i) => scanner.text(i)))
    at = next
  }
  return commands
}
