/** What all shards go by, as CONFIG and INFO tell it. */
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { type ShardSettings, shardSettingsOf } from '#protocol/frames/shardSettings.ts'
import type { SessionHost } from '#proxy/session/host.ts'

/** Without a shard that answers it is what the file says. */
export const shardSettings = (host: SessionHost, shards: readonly ShardInfo[]): ShardSettings =>
  shards[0]?.settings ?? shardSettingsOf(host.config)
