/**
 * Runs commands: finds the row in the table, judges whether a write may be taken, gives arguments and reply to the handler,
 * and logs what it did. Everything that all commands have in common happens here, once.
 *
 * One object of each kind serves all commands: scanner, arguments, context, transaction. A command allocates what
 * its handler allocates.
 */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { ErrorCounts } from '#protocol/frames/errorCounts.ts'
import type { LatencyLog } from '#protocol/frames/latency.ts'
import type { StreamIdMode } from '#protocol/frames/streams.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { defaultRequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import { slotOf } from '#protocol/slots/crc16.ts'
import type { StampClock } from '#protocol/sync/stamp.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Clock, Logger, Random } from '#runtime/ports.ts'
import { CommandArguments } from '#server/commands/arguments.ts'
import type { CommandContext, Handler, PubSub, Waiting } from '#server/commands/context.ts'
import { checkFlush } from '#server/commands/server.ts'
import type { Log } from '#server/log/log.ts'
import { Functions } from '#server/scripts/functions.ts'
import { type ScriptLimits, Scripts } from '#server/scripts/scripts.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import { CommandTiming } from './commandTiming.ts'
import type { WriteGates } from './gates.ts'
import type { Link } from './link.ts'
import { type Runnable, Runnables } from './runnables.ts'
import { ScriptCalls } from './scriptCalls.ts'
import type { ScriptUser } from './scriptUser.ts'
import type { Scripting } from './shardOptions.ts'
import { SlowRequests } from './slowRequests.ts'
import type { Tracking } from './tracking.ts'
import type { Watches, WatchingSession } from './watches.ts'

interface Survey {
  count: number
  writes: boolean
  runsScripts: boolean
  needsMemory: boolean
  /** Of one of the keys; -1: none is known. */
  slot: number
}

export interface ExecutionParts {
  db: Keyspace
  stampClock: StampClock
  log: Log
  gates: WriteGates
  watches: Watches
  tracking: Tracking
  clock: Clock
  random: Random
  logger: Logger
  pubsub: PubSub
  /** There may be other shards. */
  sharded: boolean
  /** There are. */
  hasOtherShards: boolean
  owns(slot: number): boolean
  /** Of the process: how scripts get their Lua, and are watched. */
  scripting: Scripting
  scriptLimits: ScriptLimits
  latency: LatencyLog
  /** There is something in the outbox of a link. */
  hasOutput(link: Link): void
  /** A script is about to call a command, whose request is [0, end). */
  scriptCalled(bytes: Uint8Array, end: number): void
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
  readonly #runnables = new Runnables()
  readonly #scriptCalls: ScriptCalls
  readonly scripts: Scripts
  readonly functions: Functions
  /** Wall clock of the running step. */
  #nowMs = 0
  readonly timing: CommandTiming
  readonly slowRequests: SlowRequests
  readonly errorCounts = new ErrorCounts()

  constructor(parts: ExecutionParts, transactionCommandsMax: number, streamIdMode: StreamIdMode) {
    this.#parts = parts
    this.transactionCommandsMax = transactionCommandsMax
    this.#transaction = new Transaction(parts.db, parts.stampClock)
    this.slowRequests = new SlowRequests(parts.clock, parts.hasOutput)
    this.timing = new CommandTiming(parts.clock, parts.latency, (durationUs, isCurrent) =>
      this.slowRequests.tell(durationUs, this.foundEnd, isCurrent),
    )
    const { gates, tracking, random, logger, sharded, hasOtherShards, owns, scripting, scriptLimits } = parts
    this.#scriptCalls = new ScriptCalls({
      runnables: this.#runnables,
      gates,
      tracking,
      logger,
      hasOtherShards,
      owns,
      called: parts.scriptCalled,
    })
    const monotonicMs = () => parts.clock.monotonicMs()
    const scriptParts = { ...scripting, host: this.#scriptCalls, monotonicMs }
    this.scripts = new Scripts(scriptParts, scriptLimits)
    this.functions = new Functions(scriptParts, scriptLimits.scriptMemoryBytesMax)
    this.#context = {
      args: new CommandArguments(this.#scanner),
      reply: new ReplyWriter(0),
      db: parts.db,
      write: this.#transaction,
      events: parts.db.events,
      nowMs: 0,
      random,
      pubsub: parts.pubsub,
      streamIdMode,
      sharded,
      wait: null,
      scripts: this.scripts,
      functions: this.functions,
      flushed: () => tracking.flushed(),
    }
  }

  /** Which ids XADD takes and gives. */
  set streamIdMode(mode: StreamIdMode) {
    this.#context.streamIdMode = mode
  }

  get runnables(): Iterable<Runnable> {
    return this.#runnables.all
  }

  resetStats(): void {
    this.endStep()
    this.commandsProcessed = 0
    this.errorCounts.clear()
    for (const runnable of this.#runnables.all) runnable.reset()
  }

  /** For whom scripts run until the next call; null: for who may do everything. */
  set scriptUser(user: ScriptUser | null) {
    this.#scriptCalls.user = user
  }

  /** Commands until the next call run at the time of now. */
  beginStep(): void {
    this.endStep()
    this.timing.beginStep()
    this.#nowMs = Math.floor(this.#parts.clock.wallMs())
    this.#context.nowMs = this.#nowMs
    this.#parts.db.nowMs = this.#nowMs
  }

  /** What comes next is not the last command's doing. */
  endStep(): void {
    this.timing.end()
    this.slowRequests.leave()
  }

  /** The command of the request at `start`, or null; `foundEnd` is the offset behind it, or `end` when there is none. */
  find(bytes: Uint8Array, start: number, end: number): Runnable | null {
    const scanner = this.#scanner
    const next = scanner.scan(bytes, start, end)
    this.foundEnd = next > 0 ? next : end
    return next > 0 && scanner.argumentCount > 0 ? this.#runnables.found(this.#scanner) : null
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
    if (refusal !== null) {
      runnable.rejectedCalls++
      this.errorCounts.count(refusal)
    }
    return refusal
  }

  #refusalOfWrite(needsMemory: boolean): string | null {
    const { gates, beforeWrite, makeRoom } = this.#parts
    if (gates.refusal === null) beforeWrite(this.#nowMs)
    return gates.refusal ?? (needsMemory ? makeRoom() : null)
  }

  /** Memory is made before the transaction begins: making it is one of its own. `slot` is that of keys used beside the scripts. */
  #prepareScripts(slot: number): void {
    const { gates, beforeWrite, makeRoom } = this.#parts
    const calls = this.#scriptCalls
    calls.slot = slot
    calls.memoryRefusal = null
    if (gates.refusal !== null) return
    beforeWrite(this.#nowMs)
    calls.memoryRefusal = makeRoom()
  }

  /** Runs what was found last and writes its reply. True: it changed something, which is appended to the log but not written. */
  run(runnable: Runnable | null, reply: ReplyWriter, touching: boolean): boolean {
    const refusal = runnable === null ? this.#unknown() : this.refusal(runnable)
    if (runnable === null || refusal !== null) {
      reply.error(refusal ?? '')
      return false
    }
    if (runnable.isScript) this.#prepareScripts(noSlot)
    else if (!runnable.isWrite) {
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
    // The request lies in no frame that is at hand: its time counts, and nobody is told of it.
    this.timing.end()
    this.slowRequests.isSilent = true
    this.timing.begin(runnable)
    this.#attempt(runnable, reply, touching, (context) => {
      isServed = waiting.serve(context, key)
    })
    this.timing.end()
    this.slowRequests.isSilent = false
    const changed = runnable.isWrite && this.#finish()
    const { tracking } = this.#parts
    if (isServed && tracking.isReading && runnable.isRead)
      for (const name of waiting.keys) tracking.read(name)
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
      this.errorCounts.count(error.text)
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
      const text = `EXECABORT Transaction discarded because of: ${refusal}`
      this.errorCounts.count(text)
      reply.error(text)
      return false
    }
    if (session !== null && (session === undefined || watches.isTouched(session))) {
      reply.nullArray()
      return false
    }
    if (found.runsScripts) this.#prepareScripts(found.slot)
    this.#transaction.begin(this.#nowMs)
    reply.array(found.count)
    for (let at = start; at < end; ) {
      at = this.#scanner.scan(bytes, at, end)
      this.foundEnd = at
      const runnable = this.#runnables.found(this.#scanner)
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

  /** Proxies have checked all this: they and the shard must be of different releases. */
  #unknown(): string {
    const scanner = this.#scanner
    // A request may have ended before its end: the next one is another.
    scanner.reset()
    return `ERR shard doesn't know the command '${scanner.argumentCount > 0 ? scanner.text(0).slice(0, 64) : ''}' in this form; are all processes of one release?`
  }

  #call(runnable: Runnable, reply: ReplyWriter, touching: boolean): void {
    this.timing.begin(runnable)
    runnable.calls++
    this.commandsProcessed++
    const before = reply.length
    this.#attempt(runnable, reply, touching, runnable.handler)
    const { tracking } = this.#parts
    if (tracking.isReading && runnable.isRead) tracking.readKeysOf(runnable.spec, this.#scanner)
    this.timing.done(runnable, reply.length - before)
    if (runnable.isScript) this.#countScriptError(reply, before)
  }

  /** What a script has replied. */
  #countScriptError({ bytes, length }: ReplyWriter, from: number): void {
    if (bytes[from] === errorMark)
      this.errorCounts.count(latin1(bytes, from + 1, Math.min(length, from + errorTextBytes)))
  }

  #attempt(runnable: Runnable, reply: ReplyWriter, touching: boolean, handler: Handler): void {
    const { db } = this.#parts
    const context = this.#context
    const before = reply.length
    context.reply = reply
    db.touching = touching
    db.events.tellsMisses = runnable.tellsMisses
    try {
      handler(context)
    } catch (error) {
      this.#fail(runnable, error, reply, before)
    }
    db.events.tellsMisses = false
  }

  #fail(runnable: Runnable, error: unknown, reply: ReplyWriter, before: number): void {
    runnable.failedCalls++
    reply.truncate(before)
    if (error instanceof ReplyError) {
      this.errorCounts.count(error.text)
      reply.error(error.text)
    }
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
    const found = { count: 0, writes: false, runsScripts: false, needsMemory: false, slot: noSlot }
    for (let at = start; at < end; found.count++) {
      at = this.#scanner.scan(bytes, at, end)
      const runnable = at > 0 && this.#scanner.argumentCount > 0 ? this.#runnables.found(this.#scanner) : null
      if (runnable === null) return this.#unknown()
      if (runnable.isWrite) found.writes = true
      if (runnable.isScript) found.runsScripts = true
      if (runnable.needsMemory) found.needsMemory = true
      if (found.slot === noSlot && runnable.spec.onlyKey > 0) found.slot = this.foundSlot(runnable.spec)
    }
    if (found.count <= this.transactionCommandsMax) return found
    return `ERR transaction of ${found.count} commands, at most ${this.transactionCommandsMax} are allowed (transaction_commands_max)`
  }
}

const noSlot = -1
/** A reply that is an error begins with it. */
const errorMark = 0x2d
/** Enough to see its code. */
const errorTextBytes = 100
