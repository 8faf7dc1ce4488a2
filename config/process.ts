/**
 * What a process of a node needs to know, and the messages between an agent and its processes: one JSON object a line on
 * the agent's Unix socket. Processes dial the agent, not the other way round: when the agent dies they go on with the
 * last configuration they have, and find the next agent at the same address.
 */
import type { TlsIdentity } from '#runtime/ports.ts'
import type { LibraryChange, LibraryList } from './libraries.ts'
import type { DatabaseSettings, NodeSettings } from './schema.ts'
import type { UserList, UsersAnswer, UsersQuestion } from './users.ts'

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
  /** Absent: active. */
  state?: 'joining' | 'active' | 'removing' | 'removed'
  /** It is being removed without its help: nothing is taken from it. */
  forced?: boolean
  /** Another one at every join; absent: not known. */
  instance?: string
  /** It never gives stamps up to here: another cluster of its id did. */
  stampFloor?: number
}

export interface DatabaseConfig {
  /** Of the list of members: the higher one is right. Absent: the first. */
  epoch?: number
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
  notifyKeyspaceEvents: string
  causalConsistency: boolean
  /** Of what peers get; 0: none. */
  syncCompression: number
  clusterId: number
  clusterName: string
  /** All members, this cluster included, and those that have been removed. */
  members: MemberConfig[]
}

export interface ShardLimits {
  /** In-memory window of the log that peers are served from; older operations are sent as slot state. `auto`: by the database's size. */
  backlogBytesMax: number | 'auto'
  /** Sent to a peer's shard and not acknowledged yet, per channel. */
  linkInflightBytesMax: number
  /** Operations that wait for an operation they depend on, per shard. */
  holdQueueBytesMax: number
  /** Keys watched by all clients of one shard. */
  watchedKeysMax: number
  /** Keys that all shards of a database remember for clients with copies of them; 0: no limit. */
  trackingTableKeysMax: number
  /** Clients that one shard lets wait in a blocking command. */
  blockedClientsMax: number
  keyEventsBytesMax: number
  /** Commands queued in one MULTI. */
  transactionCommandsMax: number
  /** Of the Lua of one shard, with all that its scripts hold. */
  scriptMemoryBytesMax: number
  /** Of the texts of scripts that one shard remembers. */
  scriptCacheBytesMax: number
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
  libraries: LibraryList
}

export interface ClientLimits {
  /** Of all workers of a node together; all others are of one worker. */
  clientsMax: number
  /** Connections that have sent nothing yet or are in a TLS handshake. */
  pendingConnectionsMax: number
  /** TLS handshakes at the same time; others wait. */
  handshakesMax: number
  handshakeMs: number
  /** One request, all arguments together. */
  requestBytesMax: number
  /** Requests of one client that are not answered yet. */
  pipelineMax: number
  /** Replies that a client does not read: reading from it stops at the first, it is disconnected at the second. */
  outputPauseBytes: number
  outputBytesMax: number
  /** The second for one that has subscribed. */
  subscriberOutputBytesMax: number
  /** The same for one that monitors. */
  monitorOutputBytesMax: number
  /** Requests that take longer are logged; -1: none. */
  slowlogSlowerThanUs: number
  /** Entries of SLOWLOG. */
  slowlogMax: number
  /** What takes so long is a sample of LATENCY; 0: none is kept. */
  latencyThresholdMs: number
  /** More than this for longer than that, and it is disconnected; 0: as long as it likes. */
  outputSoftBytes: number
  outputSoftMs: number
  subscriberOutputSoftBytes: number
  subscriberOutputSoftMs: number
  /** Requests and replies of all clients of a worker: beyond, those with most are disconnected; 0: no limit. */
  clientsBytesMax: number
  /** A silent client is asked whether it is still there; 0: never. */
  keepAliveMs: number
  /** Requests on their way to one shard. */
  shardPendingMax: number
  transactionCommandsMax: number
  /** Rules of all users together. */
  usersBytesMax: number
  /** Libraries of functions together. */
  functionsBytesMax: number
  /** Entries of ACL LOG. */
  aclLogMax: number
  /** Longest pause before a password is looked at when others were wrong. */
  loginDelayMaxMs: number
  /** So long a script may run before other clients of its shard are told that it is busy. */
  busyReplyMs: number
}

/** How clients come to a database; peers always come over TLS, with the identity of their cluster. */
export interface ClientTlsConfig {
  mode: DatabaseSettings['tlsMode']
  /** Whether clients are asked for certificates. */
  clientCertificates: DatabaseSettings['tlsClientCertificates']
  /** Rules of `config/subjectRule.ts`, of which one must hold for a client's certificate; none: all certificates are good. */
  authorizedSubjects: readonly string[]
  minVersion: NodeSettings['tls']['clientMinVersion']
  /** Of TLS 1.2, and of 1.3; null: Node's. */
  ciphers: string | null
  cipherSuites: string | null
  /** What clients are shown; null: this node has no certificate at all. */
  server: { certificatePath: string; keyPath: string } | null
  /** Of who vouches for clients. */
  authorityPath: string | null
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
  /** Of this cluster, for its peers. */
  tls: TlsIdentity | null
  clientTls: ClientTlsConfig
  limits: ClientLimits & Pick<ShardLimits, 'trackingTableKeysMax'>
  users: UserList
  libraries: LibraryList
  /** Of ACL SAVE and ACL LOAD; the agent writes and reads it. */
  aclFilePath: string
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

/** What a syncer has received of a peer since its start: on the link, and unpacked. */
export interface PulledBytes {
  clusterId: number
  bytes: number
  rawBytes: number
}

/** About the lists that the agent keeps for the proxies. */
export type KeeperQuestion = UsersQuestion | { what: 'changeLibraries'; change: LibraryChange }

export type ToAgent =
  | { type: 'hello'; role: ProcessConfig['role']; name: string; pid: number }
  /** It serves. */
  | { type: 'ready' }
  | { type: 'status'; status: Readonly<Record<string, unknown>> }
  /** Of a syncer: a peer's clock minus ours by four timestamps, and the round trip. */
  | { type: 'peerOffset'; peer: number; offsetMs: number; delayMs: number }
  /** Of a shard or a syncer, to what it was asked; null: there is no answer. */
  | { type: 'answer'; id: number; answer: unknown }
  /** Of a proxy: the agent of a peer asks. */
  | { type: 'asked'; id: number; peer: number; question: unknown }
  /** Of a proxy. */
  | { type: 'keep'; id: number; question: KeeperQuestion }
  /** Of a syncer: a peer has another list of members, or no place for this cluster in it. */
  | { type: 'refused'; peer: number; list: unknown }

export type FromAgent =
  /** To a shard: a question of `protocol/frames/admin.ts`; to a syncer: one for the agent of a peer. */
  | { type: 'ask'; id: number; peer: number; question: unknown }
  /** To a proxy: the answer for the agent of a peer. */
  | { type: 'answer'; id: number; answer: unknown }
  /** To a proxy that asked for something to be kept. */
  | { type: 'kept'; id: number; answer: UsersAnswer }
  /** Also after each change. */
  | { type: 'config'; config: ProcessConfig }
  | { type: 'clock'; clock: ClockState }
  /** To a proxy: as the syncer of its database has told last. */
  | { type: 'pulled'; peers: readonly PulledBytes[] }
  | { type: 'drain' }
