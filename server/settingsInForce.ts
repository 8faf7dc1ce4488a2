/** What the shard goes by of what clients may change: a change counts until the configuration says something else than it said then. */
import { type ShardSettings, shardSettingNames } from '#protocol/frames/shardSettings.ts'

export class SettingsInForce {
  #configured: ShardSettings
  #current: ShardSettings
  readonly #apply: (settings: ShardSettings) => void

  /** `apply` is called with every change. */
  constructor(configured: ShardSettings, apply: (settings: ShardSettings) => void) {
    this.#configured = configured
    this.#current = configured
    this.#apply = apply
  }

  get current(): ShardSettings {
    return this.#current
  }

  configure(configured: ShardSettings): void {
    const former = this.#configured
    this.#configured = configured
    const changed = shardSettingNames.filter((name) => configured[name] !== former[name])
    this.change(Object.fromEntries(changed.map((name) => [name, configured[name]])))
  }

  change(settings: Partial<ShardSettings>): void {
    this.#current = { ...this.#current, ...settings }
    this.#apply(this.#current)
  }
}
