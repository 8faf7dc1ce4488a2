/**
 * What a process of a node needs to know, and the messages between an agent and its processes: one JSON object a line on
 * the agent's Unix socket. Processes dial the agent, not the other way round: when the agent dies they go on with the
 * last configuration they have, and find the next agent at the same address.
 */
import type { TlsIdentity } from '#runtime/ports.ts'
import type { DatabaseSettings } from './schema.ts'

/** When a write is durable before it is answered; see `docs/configuration.md`. */
export type Persistence = 'none' | 'everysec' | 'always'

export interface SlotRangeConfig {
  /** First and last hash slot, both included. */
  first: number
  last: number
}

/** A member cluster of a database, and where its database endpoint is. */
export interface MemberConfig {
  /** 1..8. */
  clusterId: number
  /** Common name of its certificate. */
  name: string
  host: string
  port: number
}

export interface DatabaseConfig {
  name: string
  /** The same at every member: two databases of one name never mix. */
  guid: string
  port: number
  bind: string
  shardCount: number
  /** Whether the keys of a command must lie in one slot; without there is one shard. */
  sharding: boolean
  persistence: Persistence
  /** Of keys and values in this cluster, shared evenly by its shards; 0: no limit. */
  memorySizeBytes: number
  evictionPolicy: DatabaseSettings['evictionPolicy']
  /** Keys looked at for each that is evicted. */
  evictionSamples: number
  /** Of the default user; null: none is asked for. */
  password: string | null
  /** Which ids XADD takes and gives. */
  streamIdMode: DatabaseSettings['crdtXaddIdUniquenessMode']
  causalConsistency: boolean
  clusterId: number
  clusterName: string
  /** All members, this cluster included. */
  members: MemberConfig[]
}

export interface ShardLimits {
  /** In-memory window of the log that peers are served from; older operations are sent as slot state. */
  backlogBytesMax: number
  /** Sent to a peer's shard and not acknowledged yet, per channel. */
  linkInflightBytesMax: number
  /** Operations that wait for an operation they depend on, per shard. */
  holdQueueBytesMax: number
  /** Keys watched by all clients of one shard. */
  watchedKeysMax: number
  /** Clients that one shard lets wait in a blocking command. */
  blockedClientsMax: number
  /** Commands queued in one MULTI. */
  transactionCommandsMax: number
  /** Log since the last snapshot that makes the next one due: so much, and so much of the snapshot's size. */
  snapshotLogBytesMin: number
  snapshotLogPercent: number
}

export interface SyncTimings {
  heartbeatMs: number
  /** Without a heartbeat for so long a link counts as down and others relay. */
  linkDownMs: number
  /** A held operation older than this asks its sender for what it waits for. */
  holdMs: number
  /** Operations further in the future than this are held, not applied. */
  futureHoldMs: number
  reconnectMinMs: number
  reconnectMaxMs: number
}

export interface ShardAddress {
  index: number
  ranges: SlotRangeConfig[]
  socketPath: string
}

export interface ShardConfig extends ShardAddress {
  role: 'shard'
  database: DatabaseConfig
  /** Where the log lies. */
  directory: string
  /** It has held data before: an empty directory then means that the data was lost, not that it is new. */
  initialised: boolean
  limits: ShardLimits
  timings: SyncTimings
}

export interface ClientLimits {
  /** Of all workers of a node together; all others are of one worker. */
  clientsMax: number
  /** One request, all arguments together. */
  requestBytesMax: number
  /** Requests of one client that are not answered yet. */
  pipelineMax: number
  /** Replies that a client does not read: reading from it stops at the first, it is disconnected at the second. */
  outputPauseBytes: number
  outputBytesMax: number
  /** Requests on their way to one shard. */
  shardPendingMax: number
  transactionCommandsMax: number
}

/** One of the proxy processes of a database at a node. */
export interface WorkerAddress {
  worker: number
  /** Where it answers the others. */
  socketPath: string
}

export interface ProxyConfig {
  role: 'proxy'
  database: DatabaseConfig
  worker: number
  /** All workers, this one included: the worker's number is its place. */
  workers: WorkerAddress[]
  /** The system lets several processes listen on one port. */
  sharesPort: boolean
  shards: ShardAddress[]
  tls: TlsIdentity | null
  limits: ClientLimits
}

export interface SyncerConfig {
  role: 'syncer'
  database: DatabaseConfig
  shards: ShardAddress[]
  tls: TlsIdentity
  timings: SyncTimings
}

export type ProcessConfig = ShardConfig | ProxyConfig | SyncerConfig

/** What the clock monitor says; see `control/clock`. */
export interface ClockState {
  state: 'ok' | 'degraded' | 'gated'
  /** This node's clock minus the reference, milliseconds. */
  offsetMs: number
  /** What it was measured against: a time server or a peer; empty when nothing answers. */
  source: string
  degradedMs: number
  gateMs: number
}

export type ToAgent =
  | { type: 'hello'; role: ProcessConfig['role']; name: string; pid: number }
  /** It serves. */
  | { type: 'ready' }
  | { type: 'status'; status: Readonly<Record<string, unknown>> }
  /** Of a syncer: a peer's clock minus ours by four timestamps, and the round trip. */
  | { type: 'peerOffset'; peer: number; offsetMs: number; delayMs: number }

export type FromAgent =
  /** Also after each change. */
  { type: 'config'; config: ProcessConfig } | { type: 'clock'; clock: ClockState } | { type: 'drain' }
