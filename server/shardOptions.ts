/** What a shard is given when it starts. */
import type { MemorySettings } from '#protocol/frames/memory.ts'
import type { StreamIdMode } from '#protocol/frames/streams.ts'
import type { Clock, Disk, Logger, Random, Timers } from '#runtime/ports.ts'
import type { Persistence } from '#server/log/log.ts'
import type { SnapshotVariations } from '#server/log/snapshots.ts'
import type { Keyspace, KeyspaceOptions } from '#server/store/keyspace.ts'
import type { ReplicationVariations, SyncTimings } from '#server/sync/replication.ts'

export interface ShardMember {
  clusterId: number
  name: string
}

/** What a shard needs to know; `ShardConfig` of `config/process.ts` is one. */
export interface ShardOptions {
  index: number
  ranges: readonly { first: number; last: number }[]
  /** It has held data before: when there is none now, it was lost. */
  initialised: boolean
  database: MemorySettings & {
    guid: string
    clusterId: number
    /** In this cluster. */
    shardCount: number
    /** Whether the keys of a command must lie in one slot; without there is one shard. */
    sharding: boolean
    persistence: Persistence
    /** Which ids XADD takes and gives. */
    streamIdMode: StreamIdMode
    /** This cluster included. */
    members: readonly ShardMember[]
  }
  limits: {
    backlogBytesMax: number
    linkInflightBytesMax: number
    holdQueueBytesMax: number
    watchedKeysMax: number
    blockedClientsMax: number
    transactionCommandsMax: number
    snapshotLogBytesMin: number
    snapshotLogPercent: number
  }
  timings: SyncTimings
}

/** What only the process can know of itself. */
export interface ShardProcessFacts {
  memoryRssBytes: number
  cpuUserMs: number
  cpuSystemMs: number
}

export interface ShardPorts {
  clock: Clock
  random: Random
  timers: Timers
  disk: Disk
  logger: Logger
  processFacts(): ShardProcessFacts
  /** Another one each time the machine starts; absent or empty when it is not known. */
  bootId?: string
  /** Going on would break a promise: the process must end. Nothing is sent any more. */
  fatal(error: Error): void
}

export interface ShardVariations {
  segmentBytesMax?: number
  snapshots?: SnapshotVariations
  /** For the simulation: wrong parts, which it must notice. */
  newKeyspace?: (options: KeyspaceOptions) => Keyspace
  replication?: ReplicationVariations
}
