/**
 * One client: cuts what it sends into commands, sends each on or answers it, and stops reading from it whenever something
 * is full. It stands at one gate at a time; what opens the gate wakes it, and it looks at everything anew.
 *
 * The fast path is a command with one key of a client that is in no special state: its bytes, together with those of
 * its neighbours for the same shard, go straight into the shard's outgoing block, and nothing is allocated. Everything else
 * takes `#dispatch`, which checks in the order of Redis's `processCommand`, because that decides which error a client sees.
 */
import type { User } from '#protocol/acl/user.ts'
import { type CommandSpec, lookup } from '#protocol/commands/index.ts'
import type { RequestPolicy } from '#protocol/commands/table.ts'
import { FrameFlag, sessionFlags } from '#protocol/frames/frame.ts'
import type { Invalidation } from '#protocol/frames/worker.ts'
import { errors } from '#protocol/resp/errors.ts'
import { RequestScanner } from '#protocol/resp/requestScanner.ts'
import { slotOf } from '#protocol/slots/crc16.ts'
import { type Client, type ClientOrigin, shardSessionOf } from '#proxy/clients.ts'
import type { RoomWaiter } from '#proxy/linkTargets.ts'
import type { ScriptActor } from '#proxy/linkUsers.ts'
import { runLocally } from '#proxy/local/run.ts'
import { mayNotMonitor } from '#proxy/monitors.ts'
import { crossSlot, requestSlot } from '#proxy/routing/requestSlot.ts'
import type { ReplyPlace, RoutedRequest, Routing } from '#proxy/routing/router.ts'
import type { Subscriber } from '#proxy/subscriptions.ts'
import type { Connection, ConnectionHandler } from '#runtime/ports.ts'
import { SessionAccess } from './access.ts'
import { ClusterWait } from './clusterWait.ts'
import { commandOf } from './commandOf.ts'
import { Gate } from './gate.ts'
import type { SessionHost } from './host.ts'
import { requestOf } from './inlineRequest.ts'
import { ClientInput } from './input.ts'
import { ClientOutput, type OutputOwner, type UnreadLimit } from './output.ts'
import { type ReplyMode, ReplyMuting } from './replyMuting.ts'
import { RequestRun } from './requestRun.ts'
import { SessionSubscriptions } from './subscriptions.ts'
import { invalidationMessage, SessionTracking, type TrackingOwner } from './tracking.ts'
import { SessionTransactions } from './transactions.ts'
import { SessionWaits, type Waited } from './waits.ts'

/** Commands that are run when everything before them is answered. */
const aboutOthers: ReadonlySet<string> = new Set<RequestPolicy>(['waited', 'subscription'])

const isOfClient = (spec: CommandSpec | null): boolean =>
  spec !== null && (spec.name === 'CLIENT' || spec.name.startsWith('CLIENT|'))

/** How long a client that is to end may take to get its last replies. */
export const closeLingerMs = 10_000

/** What a client that waits is told when its connection is to end. */
const endingText = 'UNBLOCKED the connection is going to be closed; try again'

export class Session
  implements ConnectionHandler, Client, OutputOwner, RoomWaiter, Subscriber, TrackingOwner
{
  readonly id: number
  /** Names this client to the shards. */
  readonly shardSession: number
  readonly remoteAddress: string
  readonly localAddress: string
  readonly isTls: boolean
  readonly openedMs: number
  readonly output: ClientOutput
  readonly transactions: SessionTransactions
  readonly access: SessionAccess
  readonly waits: SessionWaits
  readonly subscriptions: SessionSubscriptions
  readonly tracking: SessionTracking
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
  #waitsAt: Waited | null = null
  #isPaused = false
  #isClosed = false
  /** The client will send nothing more. */
  #hasEnded = false
  /** Input below this holds no whole request. */
  #neededBytes = 0
  #isPlain = false
  /** Looks at each command; null: the user may do everything. */
  #checked: SessionAccess | null = null
  /** Of the frames that carry this client's commands. */
  #flags = 0
  readonly #muting = new ReplyMuting()
  #cancelLinger: () => void = () => {}

  constructor(host: SessionHost, connection: Connection, origin: ClientOrigin) {
    this.#host = host
    this.#connection = connection
    this.id = host.clients.nextId()
    this.shardSession = shardSessionOf(this.id)
    this.remoteAddress = origin.remoteAddress
    this.localAddress = origin.localAddress
    this.isTls = origin.isTls
    this.openedMs = host.clock.monotonicMs()
    this.lastRequestMs = this.openedMs
    this.output = new ClientOutput(connection, host.turn, host.memory, host.limits, this)
    this.#run = new RequestRun(this.output, this.shardSession)
    this.#place = {
      output: this.output,
      expect: () => this.expect(),
      expectParts: () => {
        const place = this.expect()
        this.output.comesInParts(place)
        return place
      },
      onWrite: (link) => this.waits.writes.note(link),
    }
    this.transactions = new SessionTransactions(host, this)
    this.waits = new SessionWaits(host, this.shardSession)
    this.subscriptions = new SessionSubscriptions(host.subscriptions, this)
    this.tracking = new SessionTracking(host.tracking, this)
    this.#scanner = new RequestScanner(host.requestLimits.other)
    this.access = new SessionAccess(host, this)
    this.refreshPath()
    host.clients.add(this)
  }

  get user(): User {
    return this.access.user
  }

  /** Null: what its scripts call needs no look. */
  get scriptActor(): ScriptActor | null {
    return this.#checked === null ? null : this
  }

  get isBlocked(): boolean {
    return this.#gate === Gate.blocked
  }

  get resp3(): boolean {
    return (this.#flags & FrameFlag.resp3) !== 0
  }

  get isSubscriber(): boolean {
    return this.subscriptions.total > 0
  }

  /** It has asked to be shown what all clients ask for. */
  get isMonitor(): boolean {
    return this.#host.observation.monitors.has(this)
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

  logIn(user: User): void {
    this.access.logIn(user)
    this.refreshPath()
  }

  /** Users have changed: this one may be gone, or allowed less than before. */
  onUsers(): void {
    const error = this.access.onUsers((user) => this.subscriptions.areAllowed(user))
    this.refreshPath()
    if (error !== null) this.#waitsAt?.unblock(this.shardSession, error)
  }

  setResp3(value: boolean): void {
    this.#flags = value ? this.#flags | FrameFlag.resp3 : this.#flags & ~FrameFlag.resp3
    this.refreshPath()
  }

  setNoTouch(value: boolean): void {
    this.#flags = value ? this.#flags | FrameFlag.noTouch : this.#flags & ~FrameFlag.noTouch
  }

  setReplies(mode: ReplyMode): void {
    this.#muting.set(mode)
    this.refreshPath()
  }

  /** RESET: as if it had just connected. */
  reset(): void {
    this.transactions.discard()
    this.subscriptions.clear()
    this.#host.observation.monitors.remove(this)
    this.tracking.stop()
    this.name = ''
    this.noEvict = false
    this.#flags = 0
    this.setReplies('on')
    this.access.reset()
    this.refreshPath()
  }

  /** To be called when something changes that the fast path doesn't look at. */
  refreshPath(): void {
    this.output.unreadLimit = this.#unreadLimit
    this.#scanner.limits = this.access.isAuthenticated
      ? this.#host.requestLimits.authenticated
      : this.#host.requestLimits.other
    this.#checked = this.user.isUnchecked ? null : this.access
    this.#flags = (this.#flags & ~sessionFlags) | this.tracking.frameFlags
    this.#isPlain =
      this.access.isAuthenticated &&
      !this.subscriptions.takesMessagesOnly &&
      this.transactions.queue === null &&
      !this.#host.observation.monitors.isOn &&
      !this.tracking.isExceptional &&
      !this.#muting.isOn
  }

  get #unreadLimit(): UnreadLimit {
    if (this.isMonitor) return 'monitorOutputBytesMax'
    return this.isSubscriber ? 'subscriberOutputBytesMax' : 'outputBytesMax'
  }

  /** Takes the place of the next reply, or of one that the client does not want. */
  expect(): number {
    return this.#passMuted() ? this.output.expectMuted() : this.output.expect()
  }

  /** The same for what is sent even to a client that wants no replies. */
  #expectUnmuted(): number {
    this.#passMuted()
    return this.output.expect()
  }

  /** Counts a reply; true: the client does not want it. */
  #passMuted(): boolean {
    if (!this.#muting.isOn) return false
    this.#muting.pass()
    this.refreshPath()
    return true
  }

  push(bytes: Uint8Array, length: number): void {
    this.output.push(bytes, length)
  }

  takeInvalidation(invalidation: Invalidation, isRedirected: boolean): void {
    const message = invalidationMessage(invalidation, this, isRedirected)
    if (message !== null) this.pushBehind(message.bytes, message.length)
  }

  pushBehind(bytes: Uint8Array, length: number): void {
    this.output.pushBehind(bytes, length)
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
    this.#host.observation.monitors.remove(this)
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
    this.subscriptions.clear()
    this.#host.observation.monitors.remove(this)
    this.tracking.end()
    this.#waitsAt?.unblock(this.shardSession, '')
    this.#host.clients.remove(this)
    this.#host.onClientClosed()
  }

  onFlushed(): void {
    switch (this.#gate) {
      case Gate.open:
        return
      case Gate.pipeline:
        if (this.output.isHalfEmpty) this.#wake()
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

  onHeld(): void {
    this.output.narrow()
  }

  onOverflow(): void {
    const { logger, limits } = this.#host
    const { unreadLimit } = this.output
    logger.warn(
      { client: this.id, [unreadLimit]: limits[unreadLimit] },
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
    this.access.unblocked()
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
        !scanner.inline &&
        (this.#checked === null || this.#checked.mayForward(spec, scanner))
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
    if (output.isFull) return this.#hold(Gate.pipeline)
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
    if (spec.isWrite) this.waits.writes.note(link)
    const place = output.expect()
    if (!continues) run.begin(link, slot, this.#flags, place, bytes, start)
    run.add(end)
    return true
  }

  #failProtocol(end: number): number {
    const { reply } = this.#host
    reply.clear()
    reply.error(this.#scanner.error)
    this.output.onReply(this.output.expect(), reply.bytes, 0, reply.length)
    this.closeAfterReplies()
    return end
  }

  /** False: it has to wait and will be given again. */
  #dispatch(found: CommandSpec | undefined, bytes: Uint8Array, start: number, end: number): boolean {
    const { pause, counters } = this.#host
    if (this.output.isFull) return this.#hold(Gate.pipeline)
    if (this.output.isCongested) return this.#hold(Gate.output)
    const spec = commandOf(found, this.#scanner)
    if (typeof spec === 'string') return this.#refuse(spec, found ?? null)
    this.lastCommand = spec
    const refusal = this.#refusal(spec)
    if (refusal !== null) return this.#refuse(refusal, spec)
    if (pause.mode !== 'none' && pause.blocks(spec.mayWrite || this.transactions.wouldWrite(spec)))
      return this.#hold(Gate.pause)
    // It is about everything that was asked before, or what comes behind it is.
    if (aboutOthers.has(spec.request) && this.transactions.queue === null && this.output.pending > 0)
      return this.#hold(Gate.barrier)
    const { monitors } = this.#host.observation
    const isShown = monitors.isOn && !this.transactions.queues(spec) && !this.transactions.shows(spec)
    // Before what its script calls.
    if (isShown && spec.runsScript) monitors.show(spec, this.#scanner, this.remoteAddress)
    const actor = spec.runsScript ? this.scriptActor : null
    const routing = this.#execute(requestOf(spec, this.#scanner, this, actor, bytes, start, end))
    if (typeof routing === 'string') return this.#refuse(routing, spec)
    if (routing !== null) {
      routing.waitForRoom(this)
      return this.#hold(Gate.shard)
    }
    counters.commands++
    if (isShown && !spec.runsScript) monitors.show(spec, this.#scanner, this.remoteAddress)
    this.#endException(spec)
    return true
  }

  /** CLIENT CACHING is about the next command, or the next transaction. */
  #endException(spec: CommandSpec | null): void {
    if (this.tracking.isExceptional && this.transactions.queue === null && !isOfClient(spec))
      this.tracking.endException()
  }

  #execute(request: RoutedRequest): Routing {
    const { spec } = request
    if (this.transactions.queues(spec)) return this.transactions.enqueue(request, this.#place)
    switch (spec.request) {
      case 'transaction':
        return this.transactions.run(request, this.#place)
      case 'proxy':
      case 'gathered':
        return this.#answerLocally(request, () => this.expect())
      case 'subscription':
        this.#answerLocally(request, () => this.#expectUnmuted())
        // Messages come from then on, and RESP3 or not decides what may follow.
        this.waitForReplies()
        return null
      case 'waited':
        return this.#waitForClusters(request)
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
    if (spec.isWrite) this.waits.writes.note(link)
    this.access.blocksIn(spec, bytes, start, end)
    this.#gate = Gate.blocked
    this.#waitsAt = link
    if (this.#hasEnded) link.unblock(this.shardSession, '')
    return null
  }

  #waitForClusters(request: RoutedRequest): Routing {
    const wait = this.waits.begin(request, this.#place)
    if (!(wait instanceof ClusterWait)) return wait
    this.#gate = Gate.blocked
    this.#waitsAt = wait
    if (this.#hasEnded) wait.unblock(this.shardSession, '')
    return null
  }

  #answerLocally({ spec, arguments: args }: RoutedRequest, expect: () => number): null {
    runLocally(this.#host, this, spec, args, {
      now: (reply) => this.output.onOwnReply(expect(), reply.bytes, reply.length),
      later: () => {
        const place = expect()
        return (reply) => this.output.onOwnReply(place, reply.bytes, reply.length)
      },
    })
    return null
  }

  #refusal(spec: CommandSpec): string | null {
    const { row } = spec
    if (!this.access.isAuthenticated && !row.flags.includes('no_auth')) return errors.noAuth
    if (this.transactions.queue !== null && row.flags.includes('no_multi')) return errors.notInMulti
    if (this.isMonitor && mayNotMonitor(spec)) return errors.inMonitorMode
    const denial = this.#checked === null ? null : this.access.refusal(spec, this.#scanner)
    return denial ?? this.subscriptions.refusal(spec)
  }

  /** Answers with an error; a transaction in the making fails with it. */
  #refuse(text: string, spec: CommandSpec | null): true {
    const { reply, counters } = this.#host
    counters.errors.count(text)
    if (spec !== null) counters.countRejected(spec)
    reply.clear()
    reply.error(this.transactions.onRefused(text, spec))
    this.output.onOwnReply(this.expect(), reply.bytes, reply.length)
    this.#endException(spec)
    return true
  }
}
