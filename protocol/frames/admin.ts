/**
 * What may be asked of a shard beside commands, and its answers: the JSON of `admin` and `adminReply` frames. Both ends are
 * of one cluster and one release.
 */

import type { MemorySettings } from './memory.ts'
import type { StreamIdMode } from './streams.ts'

export type AdminQuestion =
  /** Everything INFO and a status page want to know of a shard. */
  | { what: 'info' }
  /** A digest of every slot that holds anything. */
  | { what: 'digest' }
  /** The version vectors of all slots in which anything ever happened. */
  | { what: 'vectors' }
  /** Ends the waiting of a client: `error` is what its command gets, empty: as if its time were over. */
  | { what: 'unblock'; session: number; error: string }
  /** Counts of INFO begin anew. */
  | { what: 'resetStats' }
  /** Changes settings until the next start, or the next change of the configuration. */
  | {
      what: 'configure'
      limits?: Readonly<Partial<ShardLimitValues>>
      memory?: Readonly<Partial<MemorySettings>>
      streamIdMode?: StreamIdMode
    }
  /** Takes a snapshot. `schedule`: another one if one is running; `wait`: the answer comes when it has ended. */
  | { what: 'snapshot'; schedule?: boolean; wait?: boolean }

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
  /** The clock of the last operation of each origin that the member is known to have, milliseconds since 1970, by cluster id; 0: none. */
  acknowledgedMs: Readonly<Record<number, number>>
}

export interface ClockFigures {
  state: 'ok' | 'degraded' | 'gated'
  offsetMs: number
  source: string
  degradedMs: number
  gateMs: number
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
  settings: MemorySettings
  evictedKeys: number
  /** The limit is reached: peers are slowed down. */
  intakePaused: boolean
}

export interface ShardInfo {
  index: number
  runId: string
  uptimeMs: number
  /** In force. */
  streamIdMode: StreamIdMode
  /** Null, or the error that every write gets. */
  writesRefused: string | null
  stale: boolean
  keys: number
  expiringKeys: number
  /** Of those that expire; 0 when none does. */
  averageTtlMs: number
  expiredKeys: number
  residues: number
  watchedKeys: number
  /** Clients that wait in a blocking command, those of them that wait for ever, and the keys that they wait for. */
  blockedClients: number
  blockedForEver: number
  blockingKeys: number
  commandsProcessed: number
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
    heldRecords: number
    heldBytes: number
    holdOverflows: number
    members: MemberFigures[]
    feeds: FeedFigures[]
    intakes: IntakeFigures[]
  }
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
  snapshot: SnapshotAnswer
  configure: Readonly<Record<string, never>>
}[Question]
