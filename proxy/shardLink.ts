/**
 * The connection to one shard. All clients share it: what one of them asks in a row gets a tag, the shard's replies carry
 * the tag back, and the tag leads to whoever waits. Bytes are gathered over a turn and written at once; a busy turn writes earlier, so
 * that shard and proxy work at the same time.
 *
 * When the connection breaks, nobody knows which of the pending requests were executed, and each is told so: sending
 * them again could execute one twice. What comes while the link is down is refused before it is sent. Redialling goes
 * on for ever, with growing pauses.
 */
import type { ShardAddress } from '#config/process.ts'
import type { AdminQuestion } from '#protocol/frames/admin.ts'
import { type Frame, FrameFlag, FrameKind, FrameReader, sessionFlags } from '#protocol/frames/frame.ts'
import { helloFrame, jsonFrame, readHello, readJson } from '#protocol/frames/hello.ts'
import { readScriptDenials } from '#protocol/frames/scriptUser.ts'
import { readSlowRequest } from '#protocol/frames/slowlog.ts'
import { waitPayload } from '#protocol/frames/wait.ts'
import { errors } from '#protocol/resp/errors.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import type { Connection, Logger, Net, Random, Timers } from '#runtime/ports.ts'
import { FrameOutput, noPrefix } from './frameOutput.ts'
import type { ReplyTarget, RoomWaiter, ShardLinkOwner } from './linkTargets.ts'
import { LinkUsers, type ScriptActor } from './linkUsers.ts'
import { ShardChannels } from './shardChannels.ts'
import { Silence } from './silence.ts'
import type { Turn } from './turn.ts'

export interface ShardLinkPorts {
  net: Net
  timers: Timers
  random: Random
  logger: Logger
}

/** Written to a shard and not yet taken by the system: beyond, the link counts as full. */
export const shardOutgoingBytesMax = 64 * 1024 * 1024
/** A shard that accepts a connection and does not say hello within this is dialled again. */
export const helloMs = 5_000
export const redialMinMs = 10
export const redialMaxMs = 500

const empty = new Uint8Array(0)
const nobody: ReplyTarget = { onReply() {} }

type State = 'down' | 'greeting' | 'up'

/** What a shard must know, however long it is in a script, also when somebody awaits the answer: nobody tells it again. */
const news: ReadonlySet<string> = new Set<AdminQuestion['what']>(['subscribed', 'tracking'])

export class ShardLink {
  readonly index: number
  pendingMax: number
  /** Of the shard process at the other end; empty until it has said hello. */
  runId = ''
  readonly #name: string
  readonly #socketPath: string
  readonly #ports: ShardLinkPorts
  readonly #output: FrameOutput
  readonly #owner: ShardLinkOwner
  readonly #takeFrame = (frame: Frame) => this.#take(frame)

  #connection: Connection | null = null
  #reader = new FrameReader()
  #state: State = 'down'
  #closed = false
  #hasBeenUp = false
  #attempts = 0
  #cancelTimer: () => void = () => {}

  // A tag is an index into these.
  #targets: (ReplyTarget | null)[] = []
  #places: number[] = []
  /** How many replies are still to come. */
  #missing: number[] = []
  #freeTags: number[] = []
  /** Not among them: those that wait may be many, and nobody is to wait for them. */
  #pending = 0
  readonly #blocked = new Set<number>()
  readonly #silence: Silence

  #waiters: RoomWaiter[] = []

  readonly channels: ShardChannels
  readonly #users: LinkUsers

  constructor(
    address: ShardAddress,
    name: string,
    pendingMax: number,
    turn: Turn,
    ports: ShardLinkPorts,
    owner: ShardLinkOwner,
  ) {
    this.index = address.index
    this.pendingMax = pendingMax
    this.#socketPath = address.socketPath
    this.#name = name
    this.#output = new FrameOutput(turn)
    this.channels = new ShardChannels(address.index, this.#output, () => this.isUp)
    this.#users = new LinkUsers(this.#output)
    this.#ports = ports
    this.#silence = new Silence(ports, address.socketPath, () => this.isUp && this.#pending > 0)
    this.#owner = owner
  }

  get isUp(): boolean {
    return this.#state === 'up'
  }

  set busyReplyMs(ms: number) {
    this.#silence.busyReplyMs = ms
  }

  get pending(): number {
    return this.#pending
  }

  /** How many more requests it takes. */
  get room(): number {
    return this.#isCongested ? 0 : Math.max(0, this.pendingMax - this.#pending)
  }

  /** Whoever has a request for a full link waits with `waitForRoom`. */
  get isFull(): boolean {
    return this.#pending >= this.pendingMax || this.#isCongested
  }

  waitForRoom(waiter: RoomWaiter): void {
    this.#waiters.push(waiter)
  }

  dial(): void {
    this.#state = 'greeting'
    this.#reader = new FrameReader()
    const connection = this.#ports.net.connect(
      { kind: 'unix', path: this.#socketPath },
      {
        onOpen: () => connection.write(helloFrame({ role: 'proxy', name: this.#name })),
        onData: (chunk) => this.#onData(chunk),
        onDrain: () => this.#wakeWaiters(),
        onClose: (error) => this.#onClose(error),
      },
    )
    this.#connection = connection
    this.#output.connection = connection
    this.#cancelTimer = this.#ports.timers.after(helloMs, () => connection.destroy())
  }

  close(): void {
    this.#closed = true
    this.#cancelTimer()
    if (this.#connection === null) return
    this.#output.flush()
    this.#connection.close()
  }

  /** Raw commands, `count` of them, of `session`. `isFixed`: nobody will ever change the bytes, so they need not be copied. */
  request(
    target: ReplyTarget,
    place: number,
    slot: number,
    flags: number,
    session: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    isFixed: boolean,
    count = 1,
  ): void {
    if (this.#state !== 'up' || this.#silence.isBusy) {
      for (let i = 0; i < count; i++) this.#refuse(target, place + i)
      return
    }
    const tag = this.#takeTag(target, place, count)
    const prefix = (flags & sessionFlags) === 0 ? noPrefix : session
    this.#output.add(FrameKind.request, tag, slot, flags, prefix, bytes, start, end, isFixed, count)
  }

  /** Raw commands of `session`, to be run as one. */
  transaction(
    target: ReplyTarget,
    place: number,
    slot: number,
    flags: number,
    session: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.#send(FrameKind.transaction, target, place, slot, flags, session, bytes, start, end)
  }

  watch(
    target: ReplyTarget,
    place: number,
    slot: number,
    session: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.#send(FrameKind.watch, target, place, slot, 0, session, bytes, start, end)
  }

  unwatch(session: number): void {
    if (this.#state !== 'up') return
    this.#output.add(FrameKind.unwatch, session, 0, 0, noPrefix, empty, 0, 0, false)
  }

  /** One raw command that may wait; `session` names it to `unblock`. */
  block(
    target: ReplyTarget,
    place: number,
    slot: number,
    flags: number,
    session: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (this.#state !== 'up' || this.#silence.isBusy) {
      this.#refuse(target, place)
      return
    }
    const tag = this.#takeTag(target, place)
    this.#pending--
    this.#blocked.add(tag)
    this.#output.add(FrameKind.blocking, tag, slot, flags, session, bytes, start, end, false)
  }

  /** The command that `session` waits in is answered with the error, or as if its time were over when that is empty. */
  unblock(session: number, error: string): void {
    if (this.#state !== 'up') return
    const payload = bytesOf(error)
    this.#output.add(FrameKind.unblock, session, 0, 0, noPrefix, payload, 0, payload.length, true)
  }

  /** Which clusters have the shard's operations up to a stamp; the answer comes when they are others than those known. */
  wait(target: ReplyTarget, place: number, session: number, upTo: number, known: number): void {
    if (this.#state !== 'up' || this.#silence.isBusy) {
      this.#refuse(target, place)
      return
    }
    const payload = waitPayload({ session, upTo, known })
    const tag = this.#takeTag(target, place)
    this.#pending--
    this.#blocked.add(tag)
    this.#output.add(FrameKind.wait, tag, 0, 0, session, payload, 0, payload.length, true)
  }

  /** JSON; `target` gets JSON, or an error reply when the link is down or breaks. */
  ask(target: ReplyTarget, place: number, question: AdminQuestion): void {
    if (this.#state !== 'up' || (this.#silence.isBusy && !news.has(question.what))) {
      this.#refuse(target, place)
      return
    }
    this.#sendQuestion(target, place, question)
  }

  /** The scripts of the next request or transaction run for a user who may not do everything. */
  actFor(actor: ScriptActor): void {
    if (this.#state === 'up' && !this.#silence.isBusy) this.#users.actFor(actor)
  }

  /** News of which nobody awaits the answer: a shard that does not get it is told when it is there again. */
  tell(question: AdminQuestion): void {
    if (this.#state === 'up') this.#sendQuestion(nobody, 0, question)
  }

  #sendQuestion(target: ReplyTarget, place: number, question: AdminQuestion): void {
    this.#output.addFrame(jsonFrame(FrameKind.admin, this.#takeTag(target, place), question))
  }

  /** Users have changed. */
  forgetUsers(): void {
    this.#users.forget()
  }

  #send(
    kind: number,
    target: ReplyTarget,
    place: number,
    slot: number,
    flags: number,
    session: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (this.#state !== 'up' || this.#silence.isBusy) {
      this.#refuse(target, place)
      return
    }
    this.#output.add(kind, this.#takeTag(target, place), slot, flags, session, bytes, start, end, false)
  }

  #takeTag(target: ReplyTarget, place: number, count = 1): number {
    this.#silence.expect()
    this.#pending += count
    const free = this.#freeTags.pop()
    const tag = free ?? this.#targets.length
    this.#targets[tag] = target
    this.#places[tag] = place
    this.#missing[tag] = count
    return tag
  }

  #refuse(target: ReplyTarget, place: number): void {
    const { busyWith } = this.#silence
    const text =
      busyWith !== null
        ? `-${errors.busy(busyWith)}\r\n`
        : this.#hasBeenUp
          ? `-UNAVAILABLE shard ${this.index} is restarting; the command was not executed, try again\r\n`
          : `-LOADING shard ${this.index} has not come up yet; the command was not executed, try again\r\n`
    const bytes = bytesOf(text)
    target.onReply(place, bytes, 0, bytes.length)
  }

  #onData(chunk: Uint8Array): void {
    const error = this.#reader.feed(chunk, this.#takeFrame)
    if (error !== null) this.#reject(error)
    this.#wakeWaiters()
  }

  #take(frame: Frame): void {
    if (this.#state !== 'up') this.#takeOther(frame)
    else if (frame.kind === FrameKind.reply) this.#takeReplies(frame, frame.slot)
    else if (frame.kind === FrameKind.adminReply) this.#takeReplies(frame, 1)
    else this.#takeOther(frame)
  }

  #takeReplies({ tag, flags, bytes, payloadStart, payloadEnd }: Frame, count: number): void {
    this.#silence.heard()
    const target = this.#targets[tag]
    const missing = (this.#missing[tag] as number) - count
    if (target === undefined || target === null || count === 0 || missing < 0) {
      this.#reject(`${count} replies to tag ${tag}`)
      return
    }
    const place = this.#places[tag] as number
    if (missing === 0) {
      this.#targets[tag] = null
      this.#freeTags.push(tag)
    } else {
      this.#places[tag] = place + count
      this.#missing[tag] = missing
    }
    if (this.#blocked.size === 0 || !this.#blocked.delete(tag)) this.#pending -= count
    target.onReply(place, bytes, payloadStart, payloadEnd, count)
    if ((flags & FrameFlag.held) !== 0) target.asker?.onHeld()
  }

  #takeOther(frame: Frame): void {
    if (this.#state === 'greeting') {
      this.#takeHello(frame)
      return
    }
    switch (frame.kind) {
      case FrameKind.slow:
        this.#takeSlow(frame)
        return
      case FrameKind.monitored:
        this.#owner.onScriptCall(frame.bytes, frame.payloadStart, frame.payloadEnd)
        return
      case FrameKind.published:
      case FrameKind.invalidated: {
        const error = this.#owner.onNotice(frame)
        if (error !== null) this.#reject(error)
        return
      }
      case FrameKind.denied:
        this.#takeDenials(frame)
        return
      default:
        // After a rejected frame those behind it still come.
        if (this.#state === 'up' && !this.channels.take(frame)) this.#reject(`frame of kind ${frame.kind}`)
    }
  }

  #takeDenials(frame: Frame): void {
    const denials = readScriptDenials(frame)
    if (denials === null) this.#reject('denials that make no sense')
    else this.#owner.onDenied(frame.tag, denials)
  }

  #takeSlow(frame: Frame): void {
    const slow = readSlowRequest(readJson(frame))
    const asker = this.#targets[frame.tag]?.asker
    if (slow !== null && asker !== undefined) this.#owner.onSlow(slow, asker)
  }

  #takeHello(frame: Frame): void {
    const hello = readHello(frame)
    if (typeof hello === 'string') {
      this.#reject(hello)
      return
    }
    if (hello.role !== 'shard' || hello.index !== this.index) {
      this.#reject('not the shard it should be')
      return
    }
    this.#cancelTimer()
    this.#state = 'up'
    this.#hasBeenUp = true
    this.#attempts = 0
    this.runId = hello.runId
    this.#owner.onState(this)
  }

  #reject(reason: string): void {
    this.#ports.logger.error({ shard: this.index, reason }, 'a shard breaks the protocol; dialling again')
    this.#connection?.destroy()
  }

  /** A shard that is slow in taking what is written to it. */
  get #isCongested(): boolean {
    const { connection } = this.#output
    return connection !== null && connection.bufferedBytes > shardOutgoingBytesMax
  }

  #wakeWaiters(): void {
    // Three quarters: or each reply would wake a client for a single request.
    if (this.#waiters.length === 0 || this.#isCongested || this.#pending * 4 > this.pendingMax * 3) return
    const waiters = this.#waiters
    this.#waiters = []
    for (const [i, waiter] of waiters.entries()) {
      if (this.isFull) {
        this.#waiters = waiters.slice(i).concat(this.#waiters)
        return
      }
      waiter.onRoom()
    }
  }

  #onClose(error: Error | null): void {
    this.#cancelTimer()
    this.#silence.end()
    const wasUp = this.#state === 'up'
    this.#state = 'down'
    this.#connection = null
    this.#output.connection = null
    this.#output.clear()
    this.#users.forget()
    this.#failPending()
    this.channels.closeAll()
    if (wasUp) {
      this.#ports.logger.warn({ shard: this.index, error: error?.message ?? null }, 'a shard went away')
      this.#owner.onState(this)
    }
    if (this.#closed) return
    this.#attempts++
    const pauseMs = Math.min(redialMaxMs, redialMinMs * 2 ** Math.min(this.#attempts - 1, 10))
    this.#cancelTimer = this.#ports.timers.after(pauseMs / 2 + this.#ports.random.below(pauseMs), () =>
      this.dial(),
    )
    this.#wakeWaiters()
  }

  #failPending(): void {
    const bytes = bytesOf(
      `-UNAVAILABLE shard ${this.index} went away; whether the command was executed is unknown\r\n`,
    )
    const targets = this.#targets
    const places = this.#places
    const missing = this.#missing
    this.#targets = []
    this.#places = []
    this.#missing = []
    this.#freeTags = []
    this.#pending = 0
    this.#blocked.clear()
    for (const [tag, target] of targets.entries()) {
      if (target === null) continue
      const place = places[tag] as number
      for (let i = 0; i < (missing[tag] as number); i++) target.onReply(place + i, bytes, 0, bytes.length)
    }
  }
}
