/**
 * What a command handler gets and must keep to.
 *
 * The caller has found the command in the table and checked its arity and its keys' slot. A handler reads its arguments,
 * judges every condition (types, NX, GT, bounds, ...) by reading `db`, then says what is to change to `write`, then
 * answers into `reply`. It may throw `ReplyError` only before the first call of `write`: a command changes everything or
 * nothing. It never sees a socket, a clock, or the log.
 */
import type { HandledName } from '#protocol/commands/table.ts'
import type { StreamIdMode } from '#protocol/frames/streams.ts'
import type { Published, SubscriptionKind } from '#protocol/pubsub/messages.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { Random } from '#runtime/ports.ts'
import type { KeyEvents } from '#server/store/keyEvents.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Transaction } from '#server/store/transaction.ts'
import type { VisibleType } from '#server/store/views.ts'
import type { Arguments } from './arguments.ts'

/** What a blocking command asks for when there is nothing for it yet; see `server/blocking.ts`. */
export interface Waiting {
  /** In the order in which the command names them. */
  readonly keys: readonly string[]
  /** A key of another type has nothing for it. 'any': it is to be served whatever the key has become, also nothing. */
  readonly type: VisibleType | 'any'
  /** 0: for ever. */
  readonly timeoutMs: number
  /**
   * Called when `key` has changed and is of the type: does what the command came for, and answers, by the rules of a
   * handler (the arguments are not those of its command any more). False: there is still nothing for it, and nothing was
   * written. It may be called again then.
   */
  serve(context: CommandContext, key: string): boolean
}

/** Messages to subscribers. Names are those of this cluster's subscribers. */
export interface PubSub {
  /** Sends it to the subscribers of every cluster; returns how many of this one it went to. Keeps nothing of the bytes. */
  publish(published: Published): number
  names(kind: SubscriptionKind): Iterable<string>
  /** Of different names. */
  count(kind: SubscriptionKind): number
  clientsOf(kind: SubscriptionKind, name: string): number
}

/** What the commands about scripts ask for; see `server/scripts`. */
export interface ScriptCommands {
  /** EVAL and its kin: the arguments are those of the context. */
  evaluate(context: CommandContext, how: { bySha: boolean; readOnly: boolean }): void
  /** Makes the script known; returns its SHA-1. */
  load(text: string): string
  has(sha: string): boolean
  /** Forgets all. */
  flush(): void
}

/** What the commands about functions ask for. */
export interface FunctionCommands {
  /** FCALL and FCALL_RO: the arguments are those of the context. */
  call(context: CommandContext, readOnly: boolean): void
}

export interface CommandContext {
  /** Index 0 is the command's name; of a subcommand the container's, its own is at 1. */
  args: Arguments
  reply: ReplyWriter
  db: Keyspace
  write: Transaction
  /** Whoever changes a key says so, by Redis's name for it, in Redis's order. */
  events: KeyEvents
  /** Wall clock of this step, whole milliseconds since 1970. */
  nowMs: number
  random: Random
  pubsub: PubSub
  /** Which ids XADD takes and gives. */
  streamIdMode: StreamIdMode
  /** The keys of a command lie in one slot; others may be at other shards. */
  sharded: boolean
  /** Lets the client wait; the reply comes later. Null when it can't, as in a transaction: the command answers at once. */
  wait: ((waiting: Waiting) => void) | null
  scripts: ScriptCommands
  functions: FunctionCommands
  /** FLUSHALL: says so to those who are not to hear it of every key. */
  flushed(): void
}

export type Handler = (context: CommandContext) => void

/** A handler for each command of a table that a shard runs: one that is missing or too many is a compile error. */
export type Handlers<Table> = Readonly<Record<HandledName<Table>, Handler>>
