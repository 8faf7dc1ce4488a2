/**
 * One client: cuts what it sends into commands, sends each on or answers it, and stops reading from it whenever something
 * is full. It stands at one gate at a time; what opens the gate wakes it, and it looks at everything anew.
 *
 * The fast path is a command with one key of a client that is in no special state: its bytes, together with those of
 * its neighbours for the same shard, go straight into the shard's outgoing block, and nothing is allocated. Everything else takes `#dispatch`, which checks in the order of
 * Redis's `processCommand`, because that decides which error a client sees.
 */
import { type CommandSpec, lookup } from '#protocol/commands/index.ts'
import { FrameFlag } from '#protocol/frames/frame.ts'
import { errors } from '#protocol/resp/errors.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { RequestScanner } from '#protocol/resp/requestScanner.ts'
import { slotOf } from '#protocol/slots/crc16.ts'
import { type Client, type ClientAddresses, shardSessionOf } from '#proxy/clients.ts'
import { runLocally } from '#proxy/local/run.ts'
import { crossSlot, requestSlot } from '#proxy/routing/requestSlot.ts'
import type { ReplyPlace, RoutedRequest, Routing } from '#proxy/routing/router.ts'
import type { RoomWaiter, ShardLink } from '#proxy/shardLink.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import type { Connection, ConnectionHandler } from '#runtime/ports.ts'
import { commandOf } from './commandOf.ts'
import type { SessionHost } from './host.ts'
import { ClientInput } from './input.ts'
import { ClientOutput, type OutputOwner } from './output.ts'
import { RequestRun } from './requestRun.ts'
import { SessionTransactions } from './transactions.ts'

/** What a client waits at. */
const Gate = {
  open: 0,
  /** Too many of its requests are not answered yet. */
  pipeline: 1,
  /** A shard has no room. */
  shard: 2,
  /** It does not read its replies. */
  output: 3,
  /** CLIENT PAUSE. */
  pause: 4,
  /** What comes next depends on a reply that is on its way. */
  barrier: 5,
  /** A command of its own waits at a shard. What it sends meanwhile is kept, and its end is seen. */
  blocked: 7,
  /** Nothing more is read; it ends when everything is answered. */
  closing: 6,
} as const

type ReplyMode = 'on' | 'off'

/** How long a client that is to end may take to get its last replies. */
export const closeLingerMs = 10_000

/** What a client that waits is told when its connection is to end. */
const endingText = 'UNBLOCKED the connection is going to be closed; try again'

const reencoded = new ReplyWriter()

export class Session implements ConnectionHandler, Client, OutputOwner, RoomWaiter {
  readonly id: number
  /** Names this client to the shards. */
  readonly shardSession: number
  readonly remoteAddress: string
  readonly localAddress: string
  readonly openedMs: number
  readonly output: ClientOutput
  readonly transactions: SessionTransactions
  name = ''
  libName = ''
  libVersion = ''
  noEvict = false
  lastRequestMs: number
  lastCommand: CommandSpec | null = null
  isClosing = false

  readonly #host: SessionHost
  readonly #connection: Connection
  readonly #scanner: RequestScanner
  readonly #input = new ClientInput()
  readonly #place: ReplyPlace
  readonly #run: RequestRun
  #gate: number = Gate.open
  /** Where a command of its own waits. */
  #waitsAt: ShardLink | null = null
  #isPaused = false
  #isClosed = false
  /** The client will send nothing more. */
  #hasEnded = false
  /** Input below this holds no whole request. */
  #neededBytes = 0
  #isAuthenticated = false
  #isPlain = false
  /** Of the frames that carry this client's commands. */
  #flags = 0
  #replyMode: ReplyMode = 'on'
  /** So many replies are not sent. */
  #skippedReplies = 0
  #cancelLinger: () => void = () => {}

  constructor(host: SessionHost, connection: Connection, { remoteAddress, localAddress }: ClientAddresses) {
    this.#host = host
    this.#connection = connection
    this.id = host.clients.nextId()
    this.shardSession = shardSessionOf(this.id)
    this.remoteAddress = remoteAddress
    this.localAddress = localAddress
    this.openedMs = host.clock.monotonicMs()
    this.lastRequestMs = this.openedMs
    this.output = new ClientOutput(connection, host.turn, host.memory, host.limits, this)
    this.#run = new RequestRun(this.output)
    this.#place = { output: this.output, expect: () => this.expect() }
    this.transactions = new SessionTransactions(host, this)
    this.#scanner = new RequestScanner(host.requestLimits.other)
    this.setAuthenticated(host.config.database.password === null)
    host.clients.add(this)
  }

  get isAuthenticated(): boolean {
    return this.#isAuthenticated
  }

  get isBlocked(): boolean {
    return this.#gate === Gate.blocked
  }

  get resp3(): boolean {
    return (this.#flags & FrameFlag.resp3) !== 0
  }

  get noTouch(): boolean {
    return (this.#flags & FrameFlag.noTouch) !== 0
  }

  get flags(): number {
    return this.#flags
  }

  get queuedCommands(): number {
    return this.transactions.queue?.count ?? -1
  }

  get queuedBytes(): number {
    return this.transactions.queue?.sizeBytes ?? 0
  }

  get inputBytes(): number {
    return this.#input.length
  }

  get unreadBytes(): number {
    return this.output.unreadBytes
  }

  get pendingRequests(): number {
    return this.output.pending
  }

  setAuthenticated(value: boolean): void {
    const { authenticated, other } = this.#host.requestLimits
    this.#isAuthenticated = value
    this.#scanner.limits = value ? authenticated : other
    this.refreshPath()
  }

  setResp3(value: boolean): void {
    this.#flags = value ? this.#flags | FrameFlag.resp3 : this.#flags & ~FrameFlag.resp3
  }

  setNoTouch(value: boolean): void {
    this.#flags = value ? this.#flags | FrameFlag.noTouch : this.#flags & ~FrameFlag.noTouch
  }

  setReplies(mode: ReplyMode | 'skip'): void {
    // SKIP is not answered either.
    if (mode !== 'skip') this.#replyMode = mode
    else if (this.#replyMode === 'on') this.#skippedReplies = 2
    if (mode === 'on') this.#skippedReplies = 0
    this.refreshPath()
  }

  /** RESET: as if it had just connected. */
  reset(): void {
    this.transactions.discard()
    this.name = ''
    this.noEvict = false
    this.#flags = 0
    this.setReplies('on')
    this.setAuthenticated(this.#host.config.database.password === null)
  }

  /** To be called when something changes that the fast path doesn't look at. */
  refreshPath(): void {
    this.#isPlain =
      this.#isAuthenticated &&
      this.transactions.queue === null &&
      this.#replyMode === 'on' &&
      this.#skippedReplies === 0
  }

  /** Takes the place of the next reply, or of one that the client does not want. */
  expect(): number {
    if (this.#replyMode === 'on' && this.#skippedReplies === 0) return this.output.expect()
    if (this.#replyMode === 'on') {
      this.#skippedReplies--
      this.refreshPath()
    }
    return this.output.expectMuted()
  }

  /** Nothing more is read until everything so far has been answered. */
  waitForReplies(): void {
    this.#hold(Gate.barrier)
  }

  kill(): void {
    this.isClosing = true
    this.#gate = Gate.closing
    this.#input.clear()
    this.output.close()
    this.#connection.destroy()
  }

  closeAfterReplies(): void {
    if (this.isClosing) return
    this.isClosing = true
    this.#gate = Gate.closing
    this.#waitsAt?.unblock(this.shardSession, endingText)
    this.#input.clear()
    this.#cancelLinger = this.#host.timers.after(closeLingerMs, () => this.kill())
    this.output.flushLater()
  }

  onData(chunk: Uint8Array): void {
    const { counters, clock } = this.#host
    counters.inputBytes += chunk.length
    this.lastRequestMs = clock.monotonicMs()
    if (this.#gate === Gate.open && this.#input.length === 0) {
      const at = this.#consume(chunk, 0, chunk.length)
      if (at < chunk.length && !this.isClosing) this.#input.append(chunk, at)
      return
    }
    if (this.#gate === Gate.closing) return
    this.#input.append(chunk)
    if (this.#gate === Gate.blocked && this.#input.length > this.#host.limits.requestBytesMax) this.#pause()
    if (this.#gate === Gate.open && this.#input.length >= this.#neededBytes) this.#wake()
  }

  onDrain(): void {
    if (this.#gate === Gate.output && !this.output.isCongested) this.#wake()
  }

  onEnd(): void {
    this.#hasEnded = true
    if (this.#gate === Gate.open) this.closeAfterReplies()
    // A client that went without a word would still be given what others wait for.
    this.#waitsAt?.unblock(this.shardSession, '')
  }

  onClose(): void {
    this.#isClosed = true
    this.isClosing = true
    this.#gate = Gate.closing
    this.#cancelLinger()
    this.output.close()
    this.#input.clear()
    this.transactions.discard()
    this.#waitsAt?.unblock(this.shardSession, '')
    this.#host.clients.remove(this)
    this.#host.onClientClosed()
  }

  onFlushed(): void {
    switch (this.#gate) {
      case Gate.open:
        return
      case Gate.pipeline:
        // Half: or each reply would wake it for a single request.
        if (this.output.pending * 2 <= this.#host.limits.pipelineMax) this.#wake()
        return
      case Gate.output:
        this.onDrain()
        return
      case Gate.barrier:
      case Gate.blocked:
        if (this.output.pending === 0) this.#wake()
        return
      case Gate.closing:
        if (this.output.pending === 0 && !this.#isClosed) this.#connection.close()
    }
  }

  onOverflow(): void {
    const { logger, limits } = this.#host
    logger.warn(
      { client: this.id, outputBytesMax: limits.outputBytesMax },
      'a client does not read; disconnected',
    )
    this.kill()
  }

  onRoom(): void {
    if (this.#gate === Gate.shard) this.#wake()
  }

  onPauseEnd(): void {
    if (this.#gate === Gate.pause) this.#wake()
  }

  #hold(gate: number): false {
    if (this.#gate !== Gate.closing) this.#gate = gate
    this.#pause()
    return false
  }

  #pause(): void {
    if (!this.#isPaused) this.#connection.pause()
    this.#isPaused = true
  }

  #wake(): void {
    this.#gate = Gate.open
    this.#waitsAt = null
    const input = this.#input
    if (input.length > 0) input.consumeTo(this.#consume(input.bytes, input.start, input.end))
    if (this.#gate !== Gate.open) return
    if (this.#hasEnded) {
      this.closeAfterReplies()
      return
    }
    if (this.#isPaused) this.#connection.resume()
    this.#isPaused = false
  }

  /** Handles whole requests in [from, end) until one has to wait; returns the offset behind the last one handled. */
  #consume(bytes: Uint8Array, from: number, end: number): number {
    this.#neededBytes = 0
    if (this.output.isCongested) {
      this.#hold(Gate.output)
      return from
    }
    const at = this.#handle(bytes, from, end)
    this.#run.send()
    return at
  }

  #handle(bytes: Uint8Array, from: number, end: number): number {
    const host = this.#host
    const scanner = this.#scanner
    let at = from
    while (at < end) {
      const next = scanner.scan(bytes, at, end)
      if (next <= 0) {
        if (next < 0) return this.#failProtocol(end)
        this.#neededBytes = scanner.lengthAtLeast
        return at
      }
      const count = scanner.argumentCount
      const spec = count === 0 ? undefined : lookup(scanner.bytes, scanner.start(0), scanner.endOf(0))
      if (
        spec !== undefined &&
        spec.onlyKey > 0 &&
        spec.request === 'slot' &&
        this.#isPlain &&
        spec.accepts(count) &&
        spec.onlyKey < count &&
        host.pause.mode === 'none' &&
        !spec.isContainer &&
        !scanner.inline
      ) {
        if (!this.#forward(spec, bytes, at, next)) return at
      } else {
        this.#run.send()
        if (count > 0 && !this.#dispatch(spec, bytes, at, next)) return at
      }
      at = next
      if (this.#gate !== Gate.open) return this.#gate === Gate.closing ? end : at
    }
    return at
  }

  /** The fast path. False: it has to wait and will be given again. */
  #forward(spec: CommandSpec, bytes: Uint8Array, start: number, end: number): boolean {
    const host = this.#host
    const scanner = this.#scanner
    const output = this.output
    const run = this.#run
    if (output.pending >= host.limits.pipelineMax) return this.#hold(Gate.pipeline)
    const slot = slotOf(bytes, scanner.start(spec.onlyKey), scanner.endOf(spec.onlyKey))
    const link = host.links.of(slot)
    const continues = run.continues(link)
    if (!continues) {
      run.send()
      if (link.isFull) {
        link.waitForRoom(this)
        return this.#hold(Gate.shard)
      }
    }
    host.counters.commands++
    this.lastCommand = spec
    const place = output.expect()
    if (!continues) run.begin(link, slot, this.#flags, place, bytes, start)
    run.add(end)
    return true
  }

  #failProtocol(end: number): number {
    const bytes = bytesOf(`-${this.#scanner.error}\r\n`)
    this.output.onReply(this.output.expect(), bytes, 0, bytes.length)
    this.closeAfterReplies()
    return end
  }

  /** False: it has to wait and will be given again. */
  #dispatch(found: CommandSpec | undefined, bytes: Uint8Array, start: number, end: number): boolean {
    const { limits, pause, counters } = this.#host
    if (this.output.pending >= limits.pipelineMax) return this.#hold(Gate.pipeline)
    if (this.output.isCongested) return this.#hold(Gate.output)
    const spec = commandOf(found, this.#scanner)
    if (typeof spec === 'string') return this.#refuse(spec, found ?? null)
    const refusal = this.#refusal(spec)
    if (refusal !== null) return this.#refuse(refusal, spec)
    if (pause.mode !== 'none' && pause.blocks(spec.isWrite || this.transactions.wouldWrite(spec)))
      return this.#hold(Gate.pause)
    this.lastCommand = spec
    const routing = this.#execute(this.#requestOf(spec, bytes, start, end))
    if (typeof routing === 'string') return this.#refuse(routing, spec)
    if (routing !== null) {
      routing.waitForRoom(this)
      return this.#hold(Gate.shard)
    }
    counters.commands++
    return true
  }

  #execute(request: RoutedRequest): Routing {
    const { spec } = request
    if (this.transactions.queues(spec)) return this.transactions.enqueue(request, this.#place)
    switch (spec.request) {
      case 'transaction':
        return this.transactions.run(request, this.#place)
      case 'proxy':
      case 'gathered':
        return this.#answerLocally(request)
    }
    if (spec.mayBlock(request.arguments)) return this.#block(request)
    return this.#host.router.route(request, this.#host.links, this.#place)
  }

  /** It travels alone, and what the client sends next waits for its reply: requests of one frame are answered in order. */
  #block({ spec, arguments: args, bytes, start, end, flags }: RoutedRequest): Routing {
    const slot = requestSlot(spec, args, this.#host.links.sharding)
    if (slot === crossSlot) return errors.crossSlot
    const link = this.#host.links.of(Math.max(0, slot))
    if (link.isFull) return link
    link.block(this.output, this.expect(), Math.max(0, slot), flags, this.shardSession, bytes, start, end)
    this.#gate = Gate.blocked
    this.#waitsAt = link
    if (this.#hasEnded) link.unblock(this.shardSession, '')
    return null
  }

  #answerLocally({ spec, arguments: args }: RoutedRequest): null {
    runLocally(this.#host, this, spec, args, {
      now: (reply) => this.output.onReply(this.expect(), reply.bytes, 0, reply.length),
      later: () => {
        const place = this.expect()
        return (reply) => this.output.onReply(place, reply.bytes, 0, reply.length)
      },
    })
    return null
  }

  #requestOf(spec: CommandSpec, bytes: Uint8Array, start: number, end: number): RoutedRequest {
    const scanner = this.#scanner
    const common = { spec, arguments: scanner, flags: this.#flags, resp3: this.resp3 }
    if (!scanner.inline) return { ...common, bytes, start, end, isFixed: true }
    reencoded.clear()
    reencoded.array(scanner.argumentCount)
    for (let i = 0; i < scanner.argumentCount; i++) {
      reencoded.bulkBytes(scanner.bytes, scanner.start(i), scanner.endOf(i))
    }
    return { ...common, bytes: reencoded.bytes, start: 0, end: reencoded.length, isFixed: false }
  }

  #refusal({ row }: CommandSpec): string | null {
    if (!this.#isAuthenticated && !row.flags.includes('no_auth')) return errors.noAuth
    if (this.transactions.queue !== null && row.flags.includes('no_multi')) return errors.notInMulti
    return null
  }

  /** Answers with an error; a transaction in the making fails with it. */
  #refuse(text: string, spec: CommandSpec | null): true {
    const { reply, counters } = this.#host
    counters.errorReplies++
    if (spec !== null) counters.countRejected(spec)
    reply.clear()
    reply.error(this.transactions.onRefused(text, spec))
    this.output.onReply(this.expect(), reply.bytes, 0, reply.length)
    return true
  }
}
