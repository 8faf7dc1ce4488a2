/** What all shards of a database go by, and clients change by CONFIG SET. */
import { KeyspaceEventSetting } from '#protocol/pubsub/keyspaceEvents.ts'
import { isCount, isJsonObject } from '#runtime/jsonObject.ts'
import { evictionSamplesMax, isEvictionPolicy, type MemorySettings } from './memory.ts'
import { isStreamIdMode, type StreamIdMode } from './streams.ts'

export interface ShardSettings extends MemorySettings {
  streamIdMode: StreamIdMode
  /** Letters of `pubsub/keyspaceEvents.ts`. */
  notifyKeyspaceEvents: string
  /** Keys that all shards together remember for clients with copies of them; 0: no limit. */
  trackingTableKeysMax: number
}

const areEventLetters = (text: unknown): boolean =>
  typeof text === 'string' && KeyspaceEventSetting.parse(text) !== undefined

const checks: Readonly<Record<keyof ShardSettings, (value: unknown) => boolean>> = {
  memorySizeBytes: isCount,
  evictionPolicy: isEvictionPolicy,
  evictionSamples: (value) => isCount(value) && value >= 1 && value <= evictionSamplesMax,
  streamIdMode: isStreamIdMode,
  notifyKeyspaceEvents: areEventLetters,
  trackingTableKeysMax: isCount,
}

export const shardSettingNames = Object.keys(checks) as readonly (keyof ShardSettings)[]

/** As the configuration of a shard and that of a proxy have them. */
export function shardSettingsOf(config: {
  readonly database: Omit<ShardSettings, 'trackingTableKeysMax'>
  readonly limits: Pick<ShardSettings, 'trackingTableKeysMax'>
}): ShardSettings {
  const { memorySizeBytes, evictionPolicy, evictionSamples, streamIdMode, notifyKeyspaceEvents } =
    config.database
  const { trackingTableKeysMax } = config.limits
  return {
    memorySizeBytes,
    evictionPolicy,
    evictionSamples,
    streamIdMode,
    notifyKeyspaceEvents,
    trackingTableKeysMax,
  }
}

/** Changes that another process asks for; a text says what is wrong with them. */
export function readShardSettings(value: unknown): Partial<ShardSettings> | string {
  if (!isJsonObject(value)) return 'the settings are no JSON object'
  for (const [name, one] of Object.entries(value)) {
    const check = shardSettingNames.find((known) => known === name)
    if (check === undefined) return `there is no setting ${name.slice(0, 64)}`
    if (!checks[check](one)) return `${name} can not be ${String(one).slice(0, 64)}`
  }
  return value
}
