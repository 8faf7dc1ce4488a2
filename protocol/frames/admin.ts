/**
 * What may be asked of a shard beside commands, and its answers: the JSON of `admin` and `adminReply` frames. Both ends are
 * of one cluster and one release.
 */

import type { Subscribed } from '#protocol/pubsub/messages.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'
import type { LatencyAnswer } from './latency.ts'
import type { ExaminedLibrary } from './library.ts'
import type { ShardSettings } from './shardSettings.ts'
import type { TrackingChange } from './tracking.ts'

export type AdminQuestion =
  /** Everything INFO and a status page want to know of a shard. */
  | { what: 'info'; histograms?: boolean }
  /** A digest of every slot that holds anything. */
  | { what: 'digest' }
  /** The version vectors of all slots in which anything ever happened. */
  | { what: 'vectors' }
  /** Ends the waiting of a client: `error` is what its command gets, empty: as if its time were over. */
  | { what: 'unblock'; session: number; error: string }
  /** Changes of who has subscribed, of the proxy that asks; the answer says that they are known. */
  | { what: 'subscribed'; changes: readonly Subscribed[] }
  /** What the proxies want to be told of; all of a node say the same, but who monitors. */
  | ({ what: 'watch' } & Watch)
  | { what: 'latency' }
  /** Forgets samples: of these events, or of all. */
  | { what: 'resetLatency'; events: readonly string[] }
  /** Changes of who keeps copies (see `tracking.ts`), of the proxy that asks; the answer says that they are known. */
  | ({ what: 'tracking' } & TrackingChange)
  /** Counts of INFO begin anew. */
  | { what: 'resetStats' }
  /** Changes settings until the shard ends (proxies tell the next one), or the configuration says something else of them. */
  | {
      what: 'configure'
      limits?: Readonly<Partial<ShardLimitValues>>
      settings?: Readonly<Partial<ShardSettings>>
    }
  /** The last stamp of a cluster that is on its way out, by slot. */
  | { what: 'memberReport'; clusterId: number }
  /** Whether all of that cluster up to these stamps is here, and nothing beyond. */
  | { what: 'memberReached'; clusterId: number; slots: Readonly<Record<number, number>> }
  /** Takes a snapshot. `schedule`: another one if one is running; `wait`: the answer comes when it has ended. */
  | { what: 'snapshot'; schedule?: boolean; wait?: boolean }
  /** What the code of each library would register. */
  | { what: 'examineLibraries'; codes: readonly string[] }
  /** Whether the libraries of this version are known, at once or a little later. */
  | { what: 'librariesInForce'; version: number }

export interface Watch {
  /** Requests that take longer are told of; -1: none. */
  slowerThanUs: number
  /** What takes so long is kept as a sample; 0: nothing. */
  latencyThresholdMs: number
  /** How long commands take is counted. */
  isTracking: boolean
  /** The proxy has clients that monitor: it is shown what scripts call. */
  monitors: boolean
}

/** Null: the question is another, or makes no sense. */
export function readWatch(question: unknown): Watch | null {
  if (!isJsonObject(question) || question['what'] !== 'watch') return null
  const { slowerThanUs, latencyThresholdMs, isTracking, monitors } = question
  if (typeof slowerThanUs !== 'number' || typeof latencyThresholdMs !== 'number') return null
  return { slowerThanUs, latencyThresholdMs, isTracking: isTracking === true, monitors: monitors === true }
}

export interface ShardLimitValues {
  watchedKeysMax: number
  blockedClientsMax: number
  transactionCommandsMax: number
}

/** Why a question has no answer. */
export interface AdminRefusal {
  error: string
}

export interface CommandFigures {
  calls: number
  microseconds: number
  /** Not executed: writes were refused. */
  rejectedCalls: number
  /** Executed, and answered with an error. */
  failedCalls: number
}

export interface FeedFigures {
  /** Cluster id of who reads. */
  peer: number
  caughtUp: boolean
  /** Log that was not looked at for this peer yet. */
  behindBytes: number
  /** Sent, and not acknowledged yet. */
  inflightBytes: number
  slotStatesOwed: number
}

export interface IntakeFigures {
  /** Cluster id and shard of who is read. */
  peer: number
  sourceShard: number
  caughtUp: boolean
  /** The peer's shard lost its data and is getting it back. */
  stale: boolean
  /** The peer's shard takes no operations: its memory is full or its log can't be written. */
  refusing: boolean
  heardAgoMs: number
  slotStatesPlanned: number
  slotStatesTaken: number
  /** Records that wait for others. */
  heldCount: number
}

export interface MemberFigures {
  clusterId: number
  name: string
  /** The member's shards that are read cover all slots of this one. */
  connected: boolean
  /** And all that they had when they were asked is applied. */
  caughtUp: boolean
  /** A shard of the member that is read has lost its data and is getting it back. */
  stale: boolean
  /** Own operations that the member is not known to have applied, and the age of the oldest. */
  lagOperations: number
  lagMs: number
  /** How long it may be since this shard last had all that the member had issued. */
  behindMs: number
  /** Of its channels: records that wait for others, and for how long the oldest has. */
  heldRecords: number
  heldMs: number
  /** Of sync messages, decompressed. */
  receivedBytes: number
  fullSyncs: number
  partialSyncs: number
  failedPartialSyncs: number
  /** The clock of the last operation of each origin that the member is known to have, milliseconds since 1970, by cluster id; 0: none. */
  acknowledgedMs: Readonly<Record<number, number>>
}

export interface ClockFigures {
  state: 'ok' | 'degraded' | 'gated'
  offsetMs: number
  source: string
  degradedMs: number
  gateMs: number
  /** The last stamp that this shard gave, or was shown of its own. */
  lastStamp: number
  /** How far the stamps of this shard are ahead of its wall clock. */
  aheadMs: number
  leaseLeftMs: number
}

/** What has become of a request for a snapshot. */
export interface SnapshotAnswer {
  /** `unchanged`: the last one holds everything; `completed` only for those who wait. */
  snapshot: 'started' | 'running' | 'scheduled' | 'unchanged' | 'completed'
}

export interface SnapshotFigures {
  running: boolean
  /** Another one is to begin when this one has ended. */
  scheduled: boolean
  /** Of the running one, so far; else 0. */
  writtenBytes: number
  runningMs: number
  /** Since the shard's start. */
  completed: number
  failed: number
  /** How the last one ended. */
  lastFailed: boolean
  /** -1: none has ended since the shard's start. */
  lastTookMs: number
  /** When the last one was complete, milliseconds since 1970; before the first the shard's start. */
  lastSavedMs: number
  /** Of the last one; 0: there is none. */
  sizeBytes: number
  /** Log behind it. */
  logBytes: number
  /** Records in that log. */
  changes: number
}

export interface LogFigures {
  persistence: string
  startPosition: number
  endPosition: number
  writtenPosition: number
  syncedPosition: number
  backlogBytes: number
  backlogBytesMax: number
  /** Why it can't be written now; null: it can. */
  failure: string | null
  snapshot: SnapshotFigures
}

export interface MemoryFigures {
  /** Keys, values, and what finds them: what is compared with the limit. */
  usedBytes: number
  /** And what the process takes besides: before it had data, and for the log's window. */
  totalBytes: number
  peakBytes: number
  /** Of the process before it had data. */
  baseBytes: number
  evictedKeys: number
  /** The limit is reached: peers are slowed down. */
  intakePaused: boolean
}

export interface ShardInfo {
  index: number
  runId: string
  uptimeMs: number
  /** In force. */
  settings: ShardSettings
  /** Null, or the error that every write gets. */
  writesRefused: string | null
  stale: boolean
  keys: number
  expiringKeys: number
  /** Of those that expire; 0 when none does. */
  averageTtlMs: number
  expiredKeys: number
  residues: number
  /** Residues that were looked at, and those that could be forgotten. */
  residuesJudged: number
  residuesForgotten: number
  watchedKeys: number
  /** That clients have read and are to be told of, the clients of each together, and prefixes that clients have asked for. */
  trackedKeys: number
  trackedReaders: number
  trackedPrefixes: number
  /** Clients that wait in a blocking command, those of them that wait for ever, and the keys that they wait for. */
  blockedClients: number
  blockedForEver: number
  blockingKeys: number
  /** That somebody has subscribed to, at any proxy; the same at every shard. */
  channels: number
  patterns: number
  shardChannels: number
  commandsProcessed: number
  /** Error replies, by their code. */
  errors: Readonly<Record<string, number>>
  commandsPerSecond: number
  links: number
  memoryRssBytes: number
  memory: MemoryFigures
  cpuUserMs: number
  cpuSystemMs: number
  /** The latest turn of the event loop in the last seconds was so much too late. */
  loopLateMs: number
  log: LogFigures
  clock: ClockFigures
  sync: {
    appliedRecords: number
    duplicateRecords: number
    mergedSlotStates: number
    comparedSlotStates: number
    heldRecords: number
    heldBytes: number
    holdOverflows: number
    /** The greatest stamp of each cluster that was applied here, and the greatest that all members have in all slots, by cluster id. */
    observed: Readonly<Record<number, number>>
    leastApplied: Readonly<Record<number, number>>
    recoveredWithStates: boolean
    members: MemberFigures[]
    feeds: FeedFigures[]
    intakes: IntakeFigures[]
  }
  /** How long commands took, by the same names, when it was asked for. */
  histograms: Readonly<Record<string, readonly number[]>>
  /** By lower-case name, subcommands as `object|encoding`; those that were called. */
  commands: Readonly<Record<string, CommandFigures>>
}

export interface ShardDigest {
  /** By slot. */
  slots: Readonly<Record<number, string>>
}

export interface ShardVectors {
  /** By slot: the stamp of each cluster, by cluster id. */
  slots: Readonly<Record<number, Readonly<Record<number, number>>>>
}

export type AdminAnswer<Question extends AdminQuestion['what']> = {
  info: ShardInfo
  digest: ShardDigest
  vectors: ShardVectors
  unblock: { unblocked: boolean }
  resetStats: Readonly<Record<string, never>>
  watch: Readonly<Record<string, never>>
  latency: LatencyAnswer
  resetLatency: { reset: readonly string[] }
  subscribed: Readonly<Record<string, never>>
  tracking: Readonly<Record<string, never>>
  snapshot: SnapshotAnswer
  /** Null: it can't say yet. */
  memberReport: { runId: string; slots: Readonly<Record<number, number>> | null }
  memberReached: { runId: string; reached: boolean }
  configure: Readonly<Record<string, never>>
  examineLibraries: { libraries: readonly ExaminedLibrary[] }
  librariesInForce: { isInForce: boolean }
}[Question]
