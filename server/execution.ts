/**
 * Runs commands: finds the row in the table, judges whether a write may be taken, gives arguments and reply to the handler,
 * and logs what it did. Everything that all commands have in common happens here, once.
 *
 * One object of each kind serves all commands: scanner, arguments, context, transaction. A command allocates what
 * its handler allocates.
 */
import { type CommandSpec, commands, lookup } from '#protocol/commands/index.ts'
import { NameTable } from '#protocol/commands/nameTable.ts'
import type { StreamIdMode } from '#protocol/frames/streams.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { defaultRequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import { slotOf } from '#protocol/slots/crc16.ts'
import type { StampClock } from '#protocol/sync/stamp.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Clock, Random } from '#runtime/ports.ts'
import { CommandArguments } from '#server/commands/arguments.ts'
import type { CommandContext, Handler, Waiting } from '#server/commands/context.ts'
import { handlers } from '#server/commands/index.ts'
import { checkFlush } from '#server/commands/server.ts'
import type { Log } from '#server/log/log.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import type { WriteGates } from './gates.ts'
import type { Watches, WatchingSession } from './watches.ts'

/** A command that this shard can run, and how it fared. */
export class Runnable {
  readonly spec: CommandSpec
  readonly handler: Handler
  readonly isWrite: boolean
  /** It is refused when memory is short. */
  readonly needsMemory: boolean
  /** Its work is done in slices. */
  readonly flushes: boolean
  calls = 0
  microseconds = 0
  rejectedCalls = 0
  failedCalls = 0

  constructor(spec: CommandSpec, handler: Handler) {
    this.spec = spec
    this.handler = handler
    this.isWrite = spec.isWrite
    this.needsMemory = spec.row.flags.includes('denyoom')
    this.flushes = spec.name === 'FLUSHALL' || spec.name === 'FLUSHDB'
  }

  reset(): void {
    this.calls = 0
    this.microseconds = 0
    this.rejectedCalls = 0
    this.failedCalls = 0
  }
}

interface Survey {
  count: number
  writes: boolean
  needsMemory: boolean
}

export interface ExecutionParts {
  db: Keyspace
  stampClock: StampClock
  log: Log
  gates: WriteGates
  watches: Watches
  clock: Clock
  random: Random
  /** There may be other shards. */
  sharded: boolean
  /** Called before a command that writes is run, so that the clock lease covers its stamps. */
  beforeWrite(nowMs: number): void
  /** Called while writes are taken, before a command that may need memory; what it returns is why it must not run. */
  makeRoom(): string | null
}

export class Execution {
  transactionCommandsMax: number
  commandsProcessed = 0
  foundEnd = 0
  readonly #parts: ExecutionParts
  readonly #scanner = new RequestScanner(defaultRequestLimits)
  readonly #transaction: Transaction
  readonly #context: CommandContext
  readonly #runnables = new Map<CommandSpec, Runnable>()
  /** Those that are no subcommands, by name. */
  readonly #named: NameTable<Runnable>
  /** Wall clock of the running step. */
  #nowMs = 0
  /** Calls of one command in a row are timed together. */
  #timed: Runnable | null = null
  /** When the first of them began. */
  #markMs = 0

  constructor(parts: ExecutionParts, transactionCommandsMax: number, streamIdMode: StreamIdMode) {
    this.#parts = parts
    this.transactionCommandsMax = transactionCommandsMax
    this.#transaction = new Transaction(parts.db, parts.stampClock)
    this.#context = {
      args: new CommandArguments(this.#scanner),
      reply: new ReplyWriter(0),
      db: parts.db,
      write: this.#transaction,
      nowMs: 0,
      random: parts.random,
      streamIdMode,
      sharded: parts.sharded,
      wait: null,
    }
    for (const spec of commands.values()) this.#register(spec)
    this.#named = new NameTable(
      [...commands].flatMap(([name, spec]) => {
        const runnable = spec.isContainer ? undefined : this.#runnables.get(spec)
        return runnable === undefined ? [] : [[name, runnable] as const]
      }),
    )
  }

  /** Which ids XADD takes and gives. */
  get streamIdMode(): StreamIdMode {
    return this.#context.streamIdMode
  }

  set streamIdMode(mode: StreamIdMode) {
    this.#context.streamIdMode = mode
  }

  get runnables(): Iterable<Runnable> {
    return this.#runnables.values()
  }

  resetStats(): void {
    this.endStep()
    this.commandsProcessed = 0
    for (const runnable of this.#runnables.values()) runnable.reset()
  }

  /** Commands until the next call run at the time of now. */
  beginStep(): void {
    this.endStep()
    this.#nowMs = Math.floor(this.#parts.clock.wallMs())
    this.#context.nowMs = this.#nowMs
    this.#parts.db.nowMs = this.#nowMs
  }

  /** What comes next is not the last command's doing. */
  endStep(): void {
    if (this.#timed !== null) this.#time(null)
  }

  /** The command of the request at `start`, or null; `foundEnd` is the offset behind it, or `end` when there is none. */
  find(bytes: Uint8Array, start: number, end: number): Runnable | null {
    const scanner = this.#scanner
    const next = scanner.scan(bytes, start, end)
    this.foundEnd = next > 0 ? next : end
    return next > 0 && scanner.argumentCount > 0 ? this.#found() : null
  }

  /** Of the only key of the command that was found last. */
  foundSlot({ onlyKey }: CommandSpec): number {
    const scanner = this.#scanner
    if (onlyKey === 0 || onlyKey >= scanner.argumentCount) return 0
    return slotOf(scanner.bytes, scanner.start(onlyKey), scanner.endOf(onlyKey))
  }

  /** Why the command may not be run now; null: it may. */
  refusal(runnable: Runnable): string | null {
    if (!runnable.isWrite) return null
    const refusal = this.#refusalOfWrite(runnable.needsMemory)
    if (refusal !== null) runnable.rejectedCalls++
    return refusal
  }

  #refusalOfWrite(needsMemory: boolean): string | null {
    const { gates, beforeWrite, makeRoom } = this.#parts
    if (gates.refusal === null) beforeWrite(this.#nowMs)
    return gates.refusal ?? (needsMemory ? makeRoom() : null)
  }

  /** Runs what was found last and writes its reply. True: it changed something, which is appended to the log but not written. */
  run(runnable: Runnable | null, reply: ReplyWriter, touching: boolean): boolean {
    const refusal = runnable === null ? this.#unknown() : this.refusal(runnable)
    if (runnable === null || refusal !== null) {
      reply.error(refusal ?? '')
      return false
    }
    if (!runnable.isWrite) {
      this.#call(runnable, reply, touching)
      return false
    }
    this.#transaction.begin(this.#nowMs)
    this.#call(runnable, reply, touching)
    return this.#finish()
  }

  /** The same for a command that may wait: `waiting` is what for, null when it has answered. */
  runBlocking(
    runnable: Runnable | null,
    reply: ReplyWriter,
    touching: boolean,
  ): { changed: boolean; waiting: Waiting | null } {
    const asked: { waiting: Waiting | null } = { waiting: null }
    const context = this.#context
    context.wait = (waiting) => {
      asked.waiting = waiting
    }
    const changed = this.run(runnable, reply, touching)
    context.wait = null
    return { changed, ...asked }
  }

  /** Tries for a command that waits whether `key` has something for it; null: it has not. True: that changed something. */
  serve(
    runnable: Runnable,
    waiting: Waiting,
    key: string,
    reply: ReplyWriter,
    touching: boolean,
  ): boolean | null {
    const refusal = this.refusal(runnable)
    if (refusal !== null) {
      reply.error(refusal)
      return false
    }
    let isServed = true
    if (runnable.isWrite) this.#transaction.begin(this.#nowMs)
    this.#attempt(runnable, reply, touching, (context) => {
      isServed = waiting.serve(context, key)
    })
    const changed = runnable.isWrite && this.#finish()
    return isServed ? changed : null
  }

  /** What is wrong with the FLUSHALL that was found last; null: nothing. */
  objection(runnable: Runnable): string | null {
    try {
      checkFlush(this.#context.args)
      runnable.calls++
      this.commandsProcessed++
      return null
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error
      runnable.failedCalls++
      return error.text
    }
  }

  /** Runs the requests in [start, end) as one; `session` holds the watches that it depends on, undefined: none are known. */
  runTransaction(
    bytes: Uint8Array,
    start: number,
    end: number,
    session: WatchingSession | undefined | null,
    reply: ReplyWriter,
    touching: boolean,
  ): boolean {
    const found = this.#survey(bytes, start, end)
    if (typeof found === 'string') {
      reply.error(found)
      return false
    }
    const { watches } = this.#parts
    const refusal = found.writes ? this.#refusalOfWrite(found.needsMemory) : null
    if (refusal !== null) {
      reply.error(`EXECABORT Transaction discarded because of: ${refusal}`)
      return false
    }
    if (session !== null && (session === undefined || watches.isTouched(session))) {
      reply.nullArray()
      return false
    }
    this.#transaction.begin(this.#nowMs)
    reply.array(found.count)
    for (let at = start; at < end; ) {
      at = this.#scanner.scan(bytes, at, end)
      const runnable = this.#found()
      invariant(runnable !== null, 'a transaction has been surveyed')
      this.#call(runnable, reply, touching)
    }
    return this.#finish()
  }

  /** Makes a change that no request asked for, or only a part of one did. */
  change(write: (transaction: Transaction) => void): boolean {
    this.#transaction.begin(this.#nowMs)
    write(this.#transaction)
    return this.#finish()
  }

  /** The keys of a WATCH; an error text when it is none. */
  watchedKeys(bytes: Uint8Array, start: number, end: number): string[] | string {
    const scanner = this.#scanner
    if (scanner.scan(bytes, start, end) !== end || scanner.argumentCount < 2) {
      scanner.reset()
      return errors.wrongArity('watch')
    }
    const keys: string[] = []
    for (let i = 1; i < scanner.argumentCount; i++) keys.push(this.#context.args.text(i))
    return keys
  }

  #register(spec: CommandSpec): void {
    const handler = handlers[spec.name]
    if (handler !== undefined) this.#runnables.set(spec, new Runnable(spec, handler))
    for (const subcommand of spec.subcommands) this.#register(subcommand)
  }

  /** The command that the scanner has found, when it is known and has the right number of arguments. */
  #found(): Runnable | null {
    const scanner = this.#scanner
    const named = this.#named.find(scanner.bytes, scanner.start(0), scanner.endOf(0))
    if (named !== undefined) return named.spec.accepts(scanner.argumentCount) ? named : null
    let spec = lookup(scanner.bytes, scanner.start(0), scanner.endOf(0))
    if (spec?.isContainer && scanner.argumentCount > 1) {
      spec = spec.subcommand(scanner.bytes, scanner.start(1), scanner.endOf(1))
    }
    if (spec === undefined || !spec.accepts(scanner.argumentCount)) return null
    return this.#runnables.get(spec) ?? null
  }

  /** Proxies have checked all this: they and the shard must be of different releases. */
  #unknown(): string {
    const scanner = this.#scanner
    // A request may have ended before its end: the next one is another.
    scanner.reset()
    return `ERR shard doesn't know the command '${scanner.argumentCount > 0 ? scanner.text(0).slice(0, 64) : ''}' in this form; are all processes of one release?`
  }

  #call(runnable: Runnable, reply: ReplyWriter, touching: boolean): void {
    this.#attempt(runnable, reply, touching, runnable.handler)
    runnable.calls++
    this.commandsProcessed++
  }

  #attempt(runnable: Runnable, reply: ReplyWriter, touching: boolean, handler: Handler): void {
    const { db } = this.#parts
    const context = this.#context
    if (runnable !== this.#timed) this.#time(runnable)
    const before = reply.length
    context.reply = reply
    db.touching = touching
    try {
      handler(context)
    } catch (error) {
      this.#fail(runnable, error, reply, before)
    }
  }

  /** Time up to now goes to the command that was running, from now on to `next`. */
  #time(next: Runnable | null): void {
    const nowMs = this.#parts.clock.monotonicMs()
    if (this.#timed !== null) this.#timed.microseconds += (nowMs - this.#markMs) * 1000
    this.#timed = next
    this.#markMs = nowMs
  }

  #fail(runnable: Runnable, error: unknown, reply: ReplyWriter, before: number): void {
    runnable.failedCalls++
    reply.truncate(before)
    if (error instanceof ReplyError) reply.error(error.text)
    // What a client asked for can be too much for memory or for a string. Anything else is a bug, and so is a half-made change.
    else if (error instanceof RangeError && !(runnable.isWrite && this.#transaction.written)) {
      reply.error(`ERR the reply of '${runnable.spec.lowerName}' is too large`)
    } else throw error
  }

  #finish(): boolean {
    const transaction = this.#transaction
    if (!transaction.written) return false
    const { log, stampClock, watches } = this.#parts
    transaction.finish(log.begin(transaction.recordBytesMax))
    log.commit(stampClock.origin, stampClock.last)
    watches.settle()
    return true
  }

  #survey(bytes: Uint8Array, start: number, end: number): Survey | string {
    let count = 0
    let writes = false
    let needsMemory = false
    for (let at = start; at < end; count++) {
      at = this.#scanner.scan(bytes, at, end)
      const runnable = at > 0 && this.#scanner.argumentCount > 0 ? this.#found() : null
      if (runnable === null) return this.#unknown()
      if (runnable.isWrite) writes = true
      if (runnable.needsMemory) needsMemory = true
    }
    if (count <= this.transactionCommandsMax) return { count, writes, needsMemory }
    return `ERR transaction of ${count} commands, at most ${this.transactionCommandsMax} are allowed (transaction_commands_max)`
  }
}
