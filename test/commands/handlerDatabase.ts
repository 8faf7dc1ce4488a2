/** One keyspace with the handlers, and nothing around them: no shard, log or proxy. The wall clock is given. */
import { commandNamed, commands, lookup } from '#protocol/commands/index.ts'
import type { StreamIdMode } from '#protocol/frames/streams.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { defaultRequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import { evenRanges } from '#protocol/slots/slotMap.ts'
import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Random } from '#runtime/ports.ts'
import { CommandArguments } from '#server/commands/arguments.ts'
import type { CommandContext, Handler, ScriptCommands } from '#server/commands/context.ts'
import { handlers } from '#server/commands/index.ts'
import { tellsMisses } from '#server/commands/keyEvents.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import { encodeRequest, type ParsedReply } from '#test/realRedis.ts'
import { SeededRandom } from '#test/seed.ts'
import { parse } from './ask.ts'

export interface HandlerDatabaseOptions {
  shards?: number
  shard?: number
  random?: Random
  keyspace?: Keyspace
  /** Strings are patched that are far shorter than it takes otherwise. */
  patchedBytesMin?: number
  clusterId?: number
  /** Redis's ids, unless told otherwise. */
  streamIdMode?: StreamIdMode
  /** As in a database of several shards. */
  sharded?: boolean
  /** Handlers in place of the real ones: faults that a test is to find. */
  replaced?: Readonly<Record<string, Handler>>
}

export class HandlerDatabase {
  readonly keyspace: Keyspace
  readonly #transaction: Transaction
  readonly #scanner = new RequestScanner(defaultRequestLimits)
  readonly #reply = new ReplyWriter()
  readonly #record = new ByteWriter()
  readonly #context: CommandContext
  readonly #replaced: Readonly<Record<string, Handler>>

  constructor(options: HandlerDatabaseOptions = {}) {
    const origin = originOfCluster(options.clusterId ?? 1)
    const range = evenRanges(options.shards ?? 1)[options.shard ?? 0]
    if (range === undefined) throw new Error('no such shard')
    const { patchedBytesMin } = options
    this.keyspace =
      options.keyspace ??
      new Keyspace({ origin, ranges: [range], ...(patchedBytesMin === undefined ? {} : { patchedBytesMin }) })
    this.#replaced = options.replaced ?? {}
    this.#transaction = new Transaction(this.keyspace, new StampClock(origin))
    this.#context = {
      args: new CommandArguments(this.#scanner),
      reply: this.#reply,
      db: this.keyspace,
      write: this.#transaction,
      events: this.keyspace.events,
      nowMs: 0,
      random: options.random ?? new SeededRandom(1),
      pubsub: { publish: () => 0, names: () => [], count: () => 0, clientsOf: () => 0 },
      streamIdMode: options.streamIdMode ?? 'liberal',
      sharded: options.sharded ?? false,
      wait: null,
      scripts: noScripts,
      functions: { call: () => {} },
      flushed() {},
    }
  }

  /** Whether commands may wait; their time is over at once. */
  set mayWait(may: boolean) {
    this.#context.wait = may ? () => this.#reply.nullArray() : null
  }

  set resp3(chosen: boolean) {
    this.#reply.resp3 = chosen
  }

  get resp3(): boolean {
    return this.#reply.resp3
  }

  /** What the last transaction has logged: records, or nothing. */
  get logged(): Uint8Array {
    return this.#record.take()
  }

  /** Runs requests as one transaction; returns the raw reply of each. */
  execute(requests: readonly (readonly string[])[], nowMs: number): Uint8Array[] {
    this.#context.nowMs = nowMs
    this.#transaction.begin(nowMs)
    const replies = requests.map((request) => this.#answer(request))
    this.#record.clear()
    this.#transaction.finish(this.#record)
    return replies
  }

  #answer(request: readonly string[]): Uint8Array {
    this.#reply.clear()
    try {
      const refusal = refusalOf(request)
      if (refusal !== null) throw new ReplyError(refusal)
      const bytes = encodeRequest(request)
      this.#scanner.scan(bytes, 0, bytes.length)
      const name = handledName(request)
      const handler = this.#replaced[name] ?? handlers[name]
      if (handler === undefined) throw new Error(`no handler for ${name}`)
      const spec = commandNamed(name)
      this.keyspace.events.tellsMisses = spec !== undefined && tellsMisses(spec)
      handler(this.#context)
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error
      this.#reply.clear()
      this.#reply.error(error.text)
    }
    return this.#reply.take()
  }
}

function handledName(request: readonly string[]): string {
  const [name = '', subcommand = ''] = request.map((argument) => argument.toUpperCase())
  return commands.get(name)?.isContainer ? `${name}|${subcommand}` : name
}

/** What the proxy says of a request that doesn't get as far as a handler; null: it does. */
export function refusalOf(request: readonly string[]): string | null {
  const bytes = encodeRequest(request)
  const scanner = new RequestScanner(defaultRequestLimits)
  scanner.scan(bytes, 0, bytes.length)
  const [name = '', ...args] = request
  const spec = lookup(bytes, scanner.start(0), scanner.endOf(0))
  if (spec === undefined) return errors.unknownCommand(name, args)
  if (!spec.accepts(request.length)) return errors.wrongArity(name)
  if (!spec.isContainer) return null
  const sub = spec.subcommand(bytes, scanner.start(1), scanner.endOf(1))
  if (sub === undefined) return errors.unknownSubcommand(name, args[0] ?? '')
  return sub.accepts(request.length) ? null : errors.wrongArity(sub.lowerName)
}

/** A reply as tests write it down; errors are texts with the leading `-`. */
export type Answer = string | number | null | Answer[]

function answerOf(reply: ParsedReply): Answer {
  if (reply instanceof Error) return `-${reply.message}`
  return Array.isArray(reply) ? reply.map(answerOf) : reply
}

/** For tests that ask one thing at a time, at a time of their own. */
export class TestDatabase {
  readonly database: HandlerDatabase
  nowMs = Date.UTC(2026, 0, 1)

  constructor(options: HandlerDatabaseOptions = {}) {
    this.database = new HandlerDatabase(options)
  }

  /** The reply as a RESP2 client reads it. */
  run(...request: string[]): Answer {
    return answerOf(parse(this.raw(...request)))
  }

  /** Words separated by blanks. */
  ask(line: string): Answer {
    return this.run(...line.split(' '))
  }

  raw(...request: string[]): Uint8Array {
    const [reply] = this.database.execute([request], this.nowMs)
    if (reply === undefined) throw new Error('no reply')
    return reply
  }

  /** The raw reply as text, in RESP3. */
  raw3(...request: string[]): string {
    this.database.resp3 = true
    const reply = latin1(this.raw(...request))
    this.database.resp3 = false
    return reply
  }
}

const unavailable = (): never => {
  throw new Error('scripts need a shard')
}

const noScripts: ScriptCommands = {
  evaluate: unavailable,
  load: unavailable,
  has: unavailable,
  flush: unavailable,
}
