/**
 * MULTI, EXEC, DISCARD, WATCH and UNWATCH. The queue lives here; a shard sees a transaction only whole. All its keys, and
 * the watched ones, must lie in one slot: the slot is what a transaction can be atomic in, whatever the number of shards.
 * Without sharding there is one shard at every member, and they may lie anywhere.
 */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { errors } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { RequestScanner } from '#protocol/resp/requestScanner.ts'
import { runLocally } from '#proxy/local/run.ts'
import { crossSlot, requestSlot } from '#proxy/routing/requestSlot.ts'
import type { ReplyPlace, RoutedRequest, Routing } from '#proxy/routing/router.ts'
import { ExecReply } from './exec.ts'
import type { SessionHost } from './host.ts'
import type { Session } from './session.ts'
import { type QueuedLocal, TransactionQueue } from './transactionQueue.ts'

/** What is not queued. */
const immediate: ReadonlySet<string> = new Set(['MULTI', 'EXEC', 'DISCARD', 'WATCH', 'QUIT', 'RESET'])

export class SessionTransactions {
  queue: TransactionQueue | null = null
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
        this.queue = new TransactionQueue()
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

  #exec({ flags }: RoutedRequest, to: ReplyPlace): Routing {
    const queue = this.queue
    if (queue === null) return this.#say(errors.execWithoutMulti, to)
    if (queue.isFailed) {
      this.discard()
      return this.#say(errors.execAborted, to)
    }
    const slot = Math.max(0, queue.slot, this.#watchSlot)
    const link = this.#host.links.of(slot)
    const needsShard = queue.shardCount > 0 || this.#watchSlot >= 0
    if (needsShard && link.isFull) return link
    const watches = this.#watchSlot >= 0 ? this.#session.shardSession : 0
    // The shard forgets the watches with the transaction.
    this.queue = null
    this.#watchSlot = -1
    this.#session.refreshPath()
    const place = to.expect()
    if (queue.locals.length === 0 && needsShard) {
      const bytes = queue.shardBytes
      link.transaction(to.output, place, slot, flags, watches, bytes, 0, bytes.length)
      return null
    }
    const exec = new ExecReply(queue, place, to.output, (index, done) => this.#runQueued(queue, index, done))
    // What the proxy's own commands change, such as the protocol, concerns what comes behind.
    this.#session.waitForReplies()
    if (!needsShard) exec.runLocals()
    else link.transaction(exec, 0, slot, flags, watches, queue.shardBytes, 0, queue.shardBytes.length)
    return null
  }

  #runQueued(queue: TransactionQueue, index: number, done: (reply: Uint8Array) => void): void {
    const { spec, bytes } = queue.locals[index] as QueuedLocal
    const args = new RequestScanner(this.#host.requestLimits.authenticated)
    args.scan(bytes, 0, bytes.length)
    const now = (reply: ReplyWriter): void => done(reply.take())
    runLocally(this.#host, this.#session, spec, args, { now, later: () => now })
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
