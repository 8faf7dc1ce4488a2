/**
 * The command table: every fact about a command in one row. From it come the arity check, routing and merging in the
 * proxy, COMMAND and its subcommands, the pages in docs/commands, and (through `HandledName`) the proof by the compiler
 * that each row has a handler. One file per group holds the rows; `index.ts` joins them.
 */

export type CommandFlag =
  | 'admin'
  | 'allow_busy'
  | 'blocking'
  | 'denyoom'
  | 'fast'
  | 'loading'
  | 'movablekeys'
  | 'no_async_loading'
  | 'no_auth'
  | 'no_mandatory_keys'
  | 'no_multi'
  | 'noscript'
  | 'pubsub'
  | 'readonly'
  | 'skip_monitor'
  | 'skip_slowlog'
  | 'stale'
  | 'write'

/** ACL categories, without the `@`, in the order in which Redis lists them. */
export const categories = [
  'keyspace',
  'read',
  'write',
  'set',
  'sortedset',
  'list',
  'hash',
  'string',
  'bitmap',
  'hyperloglog',
  'geo',
  'stream',
  'pubsub',
  'admin',
  'fast',
  'slow',
  'blocking',
  'dangerous',
  'connection',
  'transaction',
  'scripting',
] as const

/** Written out in each row: computed ones were a regret of Redis. */
export type Category = (typeof categories)[number]

/**
 * What a command does with a key: `RO` reads, `RW` reads and changes, `OW` overwrites, `RM` removes; the rest is Redis's. What is
 * `not_key` is told to clients and is no key here.
 */
export type KeyFlag =
  | 'RO'
  | 'RW'
  | 'OW'
  | 'RM'
  | 'access'
  | 'update'
  | 'insert'
  | 'delete'
  | 'not_key'
  | 'variable_flags'

export type KeySpec = {
  readonly flags: readonly KeyFlag[]
  readonly notes?: string
  /** Index of the argument where the search starts; the command's name has index 0. */
  readonly begin: number
  readonly find:
    | {
        readonly kind: 'range'
        /** Last key, counted from `begin`; negative: from the end (-1 is the last argument). */
        readonly last: number
        readonly step: number
      }
    /** The argument at `begin` is the number of keys that follow it. */
    | { readonly kind: 'counted' }
    /** The argument behind the option `word`, from `begin` on; without the option there is none. */
    | { readonly kind: 'behind'; readonly word: string }
    /** The first half of all that follows the first `word` from `begin` on. */
    | { readonly kind: 'halfBehind'; readonly word: string }
    /**
     * The argument behind the last option `word` anywhere from `begin` on; `passed` has the other options with values, and how
     * many. Clients are told that they can't find it.
     */
    | { readonly kind: 'anywhere'; readonly word: string; readonly passed: Readonly<Record<string, number>> }
    /** Not in the request. */
    | { readonly kind: 'unknown' }
}

/** Who answers, and how the request gets there. */
export type RequestPolicy =
  /** The proxy, from what it knows. */
  | 'proxy'
  /** The proxy keeps the transaction; its commands reach one shard together. */
  | 'transaction'
  /** The shard that owns the slot of the keys; keys in several slots are an error. */
  | 'slot'
  /** One shard, that of the argument `routedBy` or whichever: it has no keys. */
  | 'anyShard'
  /** Keys may lie in several slots: the proxy splits the request by shard. */
  | 'perKey'
  /** Every shard. */
  | 'allShards'
  /** One shard after the other, along a cursor. */
  | 'cursor'
  /** The proxy, once the shards that the client has written to have told it enough; till then the client waits. */
  | 'waited'
  /** The proxy, which tells every shard first; the client's other requests wait for it, and it for those before. */
  | 'subscription'
  /** The proxy, after asking every shard, or every other proxy of the node, for its part (not as a RESP command). */
  | 'gathered'

/** How the answers of several shards become one. */
export type ReplyPolicy =
  /** There is one answer. */
  | 'single'
  /** Integers are added up. */
  | 'sum'
  /** Arrays are joined, in any order. */
  | 'concatenate'
  /** Elements go where their keys were in the request. */
  | 'byKey'
  /** All say the same. */
  | 'same'
  /** Arrays of integers: the least of each place. */
  | 'everywhere'
  /** `+OK` when all say so, else the first error. */
  | 'allOk'
  /** One that isn't null, picked at random. */
  | 'any'

/** What a command means to the other clusters. */
export type GeoPolicy =
  /** What it changed is sent to every member. */
  | 'effect'
  /** It reads, or it changes nothing but this cluster's own state. */
  | 'local'
  /** It is refused in a database with several members. */
  | 'refused'

export type ArgumentType =
  | 'string'
  | 'integer'
  | 'double'
  | 'key'
  | 'pattern'
  | 'unix-time'
  | 'pure-token'
  | 'oneof'
  | 'block'

export type ArgumentFlag = 'optional' | 'multiple' | 'multiple_token'

/** One argument in the grammar of `COMMAND DOCS`; see `grammar.ts` for how rows write it. */
export interface ArgumentSpec {
  readonly name: string
  readonly type: ArgumentType
  readonly token?: string
  readonly keySpecIndex?: number
  readonly since?: string
  readonly deprecatedSince?: string
  readonly flags?: readonly ArgumentFlag[]
  readonly arguments?: readonly ArgumentSpec[]
}

export interface CommandRow {
  /** Number of arguments with the name; negative: at least so many. */
  readonly arity: number
  readonly flags: readonly CommandFlag[]
  readonly categories: readonly Category[]
  readonly keys: readonly KeySpec[]
  /** Arguments that are channels: the first one, all of them, or all of them as patterns. */
  readonly channels?: 'first' | 'all' | 'patterns'
  readonly tips?: readonly string[]
  /** Of a command that any shard may run: index of the argument whose slot names the shard. */
  readonly routedBy?: number
  /** Of a command that may block: it does so only with this option. */
  readonly blocksWith?: string
  readonly request: RequestPolicy
  readonly reply: ReplyPolicy
  readonly geo: GeoPolicy
  /** What happens when another cluster writes the same at the same time; one line for the docs. */
  readonly geoNote: string
  /** Where the behaviour is not that of Redis, and why. */
  readonly difference?: string
  readonly since: string
  /** Not meant for clients' everyday use. */
  readonly isSystem?: true
  readonly deprecated?: { readonly since: string; readonly replacedBy: string }
  readonly history?: readonly (readonly [version: string, change: string])[]
  readonly complexity: string
  readonly summary: string
  readonly args: readonly ArgumentSpec[]
  /** By the name behind the container's, in upper case. */
  readonly subcommands?: { readonly [name: string]: CommandRow }
  /** Of a container: what its HELP prints, behind the heading and before the lines about HELP itself. */
  readonly help?: readonly string[]
}

/** Rows by command name, in upper case. */
export type CommandTable = { readonly [name: string]: CommandRow }

export type CommandGroup =
  | 'string'
  | 'bitmap'
  | 'generic'
  | 'hash'
  | 'set'
  | 'sorted-set'
  | 'geo'
  | 'list'
  | 'stream'
  | 'hyperloglog'
  | 'transactions'
  | 'pubsub'
  | 'scripting'
  | 'connection'
  | 'server'
  | 'crdt'

type RunByShard = 'slot' | 'anyShard' | 'perKey' | 'allShards' | 'cursor'

type NamesInRow<Name extends string, Row> = Row extends { readonly subcommands: infer Subcommands }
  ? {
      [Sub in keyof Subcommands & string]: Subcommands[Sub] extends { readonly request: RunByShard }
        ? `${Name}|${Sub}`
        : never
    }[keyof Subcommands & string]
  : Row extends { readonly request: RunByShard }
    ? Name
    : never

/** Names of the commands of a table that a shard runs (`GET`, `OBJECT|ENCODING`): each needs a handler. */
export type HandledName<Table> = {
  [Name in keyof Table & string]: NamesInRow<Name, Table[Name]>
}[keyof Table & string]

const shardPolicies: ReadonlySet<RequestPolicy> = new Set<RunByShard>([
  'slot',
  'anyShard',
  'perKey',
  'allShards',
  'cursor',
])

/** Whether a shard runs the command, by a handler of `server/commands`. */
export function runByShard(request: RequestPolicy): request is RunByShard {
  return shardPolicies.has(request)
}
