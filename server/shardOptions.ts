/** What a shard is given when it starts. */
import type { MemorySettings } from '#protocol/frames/memory.ts'
import type { StreamIdMode } from '#protocol/frames/streams.ts'
import type { MemberState } from '#protocol/sync/member.ts'
import type { Clock, Disk, Logger, Random, Timers } from '#runtime/ports.ts'
import type { BacklogSetting } from '#server/log/backlogSize.ts'
import type { Persistence } from '#server/log/log.ts'
import type { SnapshotVariations } from '#server/log/snapshots.ts'
import type { LibraryList } from '#server/scripts/functions.ts'
import type { ScriptWatch } from '#server/scripts/host.ts'
import type { LuaModule } from '#server/scripts/luaMachine.ts'
import type { Keyspace, KeyspaceOptions } from '#server/store/keyspace.ts'
import type { ReplicationVariations, SyncTimings } from '#server/sync/syncOptions.ts'

import type { StateSizes } from './localState.ts'

export interface ShardMember {
  clusterId: number
  name: string
  /** Absent: active. */
  state?: MemberState
  forced?: boolean
  /** Of this cluster: another one of its id, long gone, gave stamps up to here. */
  stampFloor?: number
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
    /** Letters of the events that subscribers are told of (`protocol/pubsub/keyspaceEvents.ts`). */
    notifyKeyspaceEvents: string
    /** Peers are told of operations of other clusters, too. */
    causalConsistency: boolean
    /** This cluster included. */
    members: readonly ShardMember[]
  }
  limits: {
    backlogBytesMax: BacklogSetting
    linkInflightBytesMax: number
    holdQueueBytesMax: number
    watchedKeysMax: number
    trackingTableKeysMax: number
    blockedClientsMax: number
    keyEventsBytesMax: number
    transactionCommandsMax: number
    scriptMemoryBytesMax: number
    scriptCacheBytesMax: number
    snapshotLogBytesMin: number
    snapshotLogPercent: number
  }
  timings: SyncTimings
  /** Of functions; kept by the node. */
  libraries: LibraryList
}

/** What only the process can know of itself. */
export interface ShardProcessFacts {
  memoryRssBytes: number
  cpuUserMs: number
  cpuSystemMs: number
}

/** Of the process: how scripts get their Lua, and are watched. */
export interface Scripting {
  lua: LuaModule
  watch: ScriptWatch
}

export interface ShardPorts {
  clock: Clock
  random: Random
  timers: Timers
  disk: Disk
  logger: Logger
  processFacts(): ShardProcessFacts
  scripting: Scripting
  /** Another one each time the machine starts; absent or empty when it is not known. */
  bootId?: string
  /** Going on would break a promise: the process must end. Nothing is sent any more. */
  fatal(error: Error): void
}

export interface ShardVariations extends StateSizes {
  segmentBytesMax?: number
  snapshots?: SnapshotVariations
  /** For the simulation: wrong parts, which it must notice. */
  newKeyspace?: (options: KeyspaceOptions) => Keyspace
  newClock?: (clock: Clock, isGated: () => boolean) => Clock
  replication?: ReplicationVariations
}
