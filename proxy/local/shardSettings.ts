/** What all shards go by, as CONFIG tells and changes it. */
import type { ShardInfo } from '#protocol/frames/admin.ts'
import type { MemorySettings } from '#protocol/frames/memory.ts'
import type { StreamIdMode } from '#protocol/frames/streams.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import { memorySettings } from './memoryTotals.ts'

export interface ShardSettings extends MemorySettings {
  streamIdMode: StreamIdMode
  notifyKeyspaceEvents: string
  trackingTableKeysMax: number
}

export const shardSettings = (host: SessionHost, shards: readonly ShardInfo[]): ShardSettings => ({
  ...memorySettings(host, shards),
  streamIdMode: (shards[0] ?? host.config.database).streamIdMode,
  notifyKeyspaceEvents: (shards[0] ?? host.config.database).notifyKeyspaceEvents,
  trackingTableKeysMax: (shards[0] ?? host.config.limits).trackingTableKeysMax,
})
