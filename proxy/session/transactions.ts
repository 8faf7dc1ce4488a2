/**
 * MULTI, EXEC, DISCARD, WATCH and UNWATCH. The queue lives here; a shard sees a transaction only whole. All its keys, and
 * the watched ones, must lie in one slot: the slot is what a transaction can be atomic in, whatever the number of shards.
 * Without sharding there is one shard at every member, and they may lie anywhere.
 */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { requestOfWords } from '#protocol/commands/request.ts'
import { FrameFlag } from '#protocol/frames/frame.ts'
import { errors } from '#protocol/resp/errors.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { RequestScanner } from '#protocol/resp/requestScanner.ts'
import { runLocally } from '#proxy/local/run.ts'
import { crossSlot, requestSlot } from '#proxy/routing/requestSlot.ts'
import type { ReplyPlace, RoutedRequest, Routing } from '#proxy/routing/router.ts'
import { ExecReply } from './exec.ts'
import type { SessionHost } from './host.ts'
import type { Session } from './session.ts'
import { type QueuedLocal, rechecked, requestsOf, TransactionQueue } from './transactionQueue.ts'

/** What is not queued. */
const immediate: ReadonlySet<string> = new Set(['MULTI', 'EXEC', 'DISCARD', 'WATCH', 'QUIT', 'RESET'])

export class SessionTransactions {
  queue: TransactionQueue | null = null
  /** A command of the queue is being run here. */
  isRunning = false
  readonly #host: SessionHost
  readonly #session: Session
  /** Of the watched keys; -1: none. */
  #watchSlot = -1

  constructor(host: SessionHost, session: Session) {
    this.#host = host
    this.#session = session
  }

  /** Whether the command is one that waits for EXEC. */
  queues(spec: CommandSpec): boolean {
    return this.queue !== null && !immediate.has(spec.name)
  }

  /** Whether those who monitor are shown the command by what runs it. */
  shows(spec: CommandSpec): boolean {
    return spec.name === 'EXEC' && this.queue !== null && !this.queue.isFailed
  }

  wouldWrite(spec: CommandSpec): boolean {
    return spec.name === 'EXEC' && this.queue !== null && this.queue.hasWrites
  }

  /** A command was answered with an error before it ran; returns what to say. */
  onRefused(text: string, spec: CommandSpec | null): string {
    if (spec?.name === 'EXEC') {
      this.discard()
      return `EXECABORT Transaction discarded because of: ${text.replace(/^ERR /, '')}`
    }
    if (this.queue !== null) this.queue.isFailed = true
    return text
  }

  enqueue(request: RoutedRequest, to: ReplyPlace): Routing {
    const queue = this.queue as TransactionQueue
    const { spec, bytes, start, end } = request
    const { limits, links } = this.#host
    if (queue.isFailed) return this.#say('QUEUED', to)
    if (queue.count >= limits.transactionCommandsMax)
      return `ERR a transaction has at most ${limits.transactionCommandsMax} commands`
    if (queue.sizeBytes + end - start > limits.requestBytesMax)
      return `ERR a transaction has at most ${limits.requestBytesMax} bytes`
    switch (spec.request) {
      case 'proxy':
      case 'gathered':
      case 'transaction':
      case 'waited':
      case 'subscription':
        queue.addLocal(spec, bytes, start, end)
        return this.#say('QUEUED', to)
      case 'allShards':
      case 'cursor':
        if (links.all.length > 1)
          return `ERR ${spec.name} concerns all shards and can't be part of a transaction`
        break
      case 'slot':
      case 'perKey': {
        const slot = requestSlot(spec, request.arguments, links.sharding)
        const expected = queue.slot >= 0 ? queue.slot : this.#watchSlot
        if (slot === crossSlot || (links.sharding && slot >= 0 && expected >= 0 && slot !== expected))
          return errors.crossSlot
        if (slot >= 0) queue.slot = slot
      }
    }
    queue.addForShard(spec, bytes, start, end)
    return this.#say('QUEUED', to)
  }

  run(request: RoutedRequest, to: ReplyPlace): Routing {
    switch (request.spec.name) {
      case 'MULTI':
        if (this.queue !== null) return this.#say(errors.nestedMulti, to)
        this.queue = new TransactionQueue(this.#session.user)
        this.#session.refreshPath()
        return this.#say('OK', to)
      case 'DISCARD':
        if (this.queue === null) return this.#say(errors.discardWithoutMulti, to)
        this.discard()
        return this.#say('OK', to)
      case 'WATCH':
        return this.#watch(request, to)
      case 'UNWATCH':
        this.#unwatch()
        return this.#say('OK', to)
      default:
        return this.#exec(request, to)
    }
  }

  /** Forgets the queue and the watches. */
  discard(): void {
    this.queue = null
    this.#unwatch()
    this.#session.refreshPath()
  }

  #unwatch(): void {
    if (this.#watchSlot >= 0) this.#host.links.of(this.#watchSlot).unwatch(this.#session.shardSession)
    this.#watchSlot = -1
  }

  #watch(request: RoutedRequest, to: ReplyPlace): Routing {
    if (this.queue !== null) return this.#say(errors.watchInsideMulti, to)
    const { bytes, start, end, spec } = request
    const { links } = this.#host
    const slot = requestSlot(spec, request.arguments, links.sharding)
    if (slot < 0 || (links.sharding && this.#watchSlot >= 0 && slot !== this.#watchSlot))
      return errors.crossSlot
    const link = links.of(slot)
    if (link.isFull) return link
    this.#watchSlot = slot
    link.watch(to.output, to.expect(), slot, this.#session.shardSession, bytes, start, end)
    return null
  }

  #exec({ flags, spec, arguments: args }: RoutedRequest, to: ReplyPlace): Routing {
    if (this.queue === null) return this.#say(errors.execWithoutMulti, to)
    const { user } = this.#session
    if (this.queue.user !== user && !this.queue.isFailed)
      this.queue = rechecked(this.queue, user, this.#host.requestLimits.authenticated, (spec, request) =>
        this.#session.access.denialSinceQueued(spec, request),
      )
    const queue = this.queue
    if (queue.isFailed) {
      this.discard()
      return this.#say(errors.execAborted, to)
    }
    const slot = Math.max(0, queue.slot, this.#watchSlot)
    const link = this.#host.links.of(slot)
    const needsShard = queue.shardCount > 0 || this.#watchSlot >= 0
    if (needsShard && link.isFull) return link
    const { shardSession, tracking } = this.#session
    const watching = this.#watchSlot >= 0 ? FrameFlag.watching : 0
    const frameFlags = flags | watching | (queue.changesTracking ? tracking.frameFlagsOfChange : 0)
    // The shard forgets the watches with the transaction.
    this.queue = null
    this.#watchSlot = -1
    this.#session.refreshPath()
    if (queue.hasWrites) to.onWrite(link)
    const { scriptActor } = this.#session
    if (needsShard && queue.runsScripts && scriptActor !== null) link.actFor(scriptActor)
    const { monitors } = this.#host.observation
    const isWhole = queue.locals.length === 0 && needsShard && !monitors.isOn
    const place = isWhole ? to.expect() : to.expectParts()
    if (isWhole) {
      const bytes = queue.shardBytes
      link.transaction(to.output, place, slot, frameFlags, shardSession, bytes, 0, bytes.length)
      return null
    }
    const name = args.text(0)
    const exec = new ExecReply(
      queue,
      place,
      to.output,
      (index, done) => this.#runQueued(queue, index, done),
      (hasRun) => {
        if (!monitors.isOn) return
        const { remoteAddress } = this.#session
        const limits = this.#host.requestLimits.authenticated
        if (hasRun)
          for (const { spec: run, request } of requestsOf(queue, limits))
            monitors.show(run, request, remoteAddress)
        monitors.show(spec, requestOfWords([name]), remoteAddress)
      },
    )
    // What the proxy's own commands change, such as the protocol, concerns what comes behind.
    this.#session.waitForReplies()
    if (!needsShard) exec.runLocals()
    else
      link.transaction(exec, 0, slot, frameFlags, shardSession, queue.shardBytes, 0, queue.shardBytes.length)
    return null
  }

  #runQueued(queue: TransactionQueue, index: number, done: (reply: Uint8Array) => void): void {
    const { spec, bytes, refusal } = queue.locals[index] as QueuedLocal
    if (refusal !== null) {
      const reply = new ReplyWriter(refusal.length + 3)
      reply.error(refusal)
      done(reply.take())
      return
    }
    const args = new RequestScanner(this.#host.requestLimits.authenticated)
    args.scan(bytes, 0, bytes.length)
    const now = (reply: ReplyWriter): void => {
      // A queued CLIENT CACHING was about commands of the transaction, which have been run.
      this.#session.tracking.endException()
      done(reply.take())
    }
    if (spec.request === 'waited') {
      this.#session.waits.tell(spec, args, this.#session.resp3, now)
      return
    }
    this.isRunning = true
    runLocally(this.#host, this.#session, spec, args, { now, later: () => now })
    this.isRunning = false
  }

  /** A status, or an error that does not make the transaction fail. */
  #say(text: string, { output, expect }: ReplyPlace): null {
    const { reply } = this.#host
    reply.clear()
    if (text === 'OK' || text === 'QUEUED') reply.simple(text)
    else reply.error(text)
    output.onReply(expect(), reply.bytes, 0, reply.length)
    return null
  }
}
