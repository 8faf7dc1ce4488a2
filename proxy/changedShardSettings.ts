/**
 * What CONFIG SET has changed of what the shards go by. A shard knows it until it ends: the workers remember it for the next one, and
 * each that hears of a change says it again, so that what was said last is the latest.
 */
import type { ProxyConfig } from '#config/process.ts'
import { type ShardSettings, shardSettingsOf } from '#protocol/frames/shardSettings.ts'
import type { SharedSetting } from '#protocol/frames/worker.ts'
import { ChangedSettings } from './changedSettings.ts'
import type { ShardLink } from './shardLink.ts'
import type { VersionClock } from './siblings/versionClock.ts'

export class ChangedShardSettings {
  readonly #settings: ChangedSettings<ShardSettings>
  readonly #links: () => readonly ShardLink[]

  constructor(config: ProxyConfig, versions: VersionClock, links: () => readonly ShardLink[]) {
    this.#settings = new ChangedSettings(shardSettingsOf(config), versions)
    this.#links = links
  }

  get shared(): Record<string, SharedSetting> {
    return this.#settings.shared
  }

  configure(config: ProxyConfig): void {
    // Shards hear the same from the agent, earlier or later, and one that has just started may have heard of the change.
    this.#tell(this.#links(), this.#settings.configure(shardSettingsOf(config)))
  }

  onShardUp(link: ShardLink): void {
    this.#tell([link], this.#settings.changed)
  }

  take(heard: Readonly<Record<string, SharedSetting>>): void {
    if (this.#settings.take(heard)) this.#tell(this.#links(), this.#settings.changed)
  }

  /** All shards have taken it. */
  change(values: Partial<ShardSettings>): void {
    this.#settings.change(values)
  }

  /** Not all shards have taken these: they are told again what is in force. */
  restore(tried: Partial<ShardSettings>): void {
    const inForce = Object.entries(this.#settings.current).filter(([name]) => name in tried)
    this.#tell(this.#links(), Object.fromEntries(inForce))
  }

  #tell(links: readonly ShardLink[], settings: Partial<ShardSettings>): void {
    if (Object.keys(settings).length === 0) return
    for (const link of links) if (link.isUp) link.tell({ what: 'configure', settings })
  }
}
