/**
 * What CONFIG SET has changed, in all workers of the node. The latest change of a setting counts, whichever worker it was
 * made at, until the configuration itself says something else than it said then, or until no worker is left that knows.
 */
import type { SettingValue, SharedSetting } from '#protocol/frames/worker.ts'
import { isNewer, type VersionClock } from './siblings/versionClock.ts'

export class ChangedSettings<Settings extends { [Name in keyof Settings]: SettingValue }> {
  readonly #versions: VersionClock
  readonly #changes = new Map<keyof Settings, SharedSetting>()
  #configured: Settings

  constructor(configured: Settings, versions: VersionClock) {
    this.#configured = configured
    this.#versions = versions
  }

  get current(): Settings {
    return { ...this.#configured, ...this.changed }
  }

  get changed(): Partial<Settings> {
    return Object.fromEntries(
      [...this.#changes].map(([name, { value }]) => [name, value]),
    ) as Partial<Settings>
  }

  /** For the other workers. */
  get shared(): Record<string, SharedSetting> {
    return Object.fromEntries(this.#changes)
  }

  /** Returns what was changed and is no more: as it is configured now. */
  configure(configured: Settings): Partial<Settings> {
    this.#configured = configured
    const ended: Partial<Settings> = {}
    for (const [name, { over }] of this.#changes) {
      if (over === configured[name]) continue
      this.#changes.delete(name)
      ended[name] = configured[name]
    }
    return ended
  }

  change(values: Partial<Settings>): void {
    for (const name of namesIn(values)) {
      const value = values[name]
      if (value === undefined) continue
      this.#changes.set(name, { ...this.#versions.next(), value, over: this.#configured[name] })
    }
  }

  /** Takes over what is newer; returns whether anything was. */
  take(heard: Readonly<Record<string, SharedSetting>>): boolean {
    let isChanged = false
    for (const name of namesIn(this.#configured)) {
      const change = heard[String(name)]
      if (change === undefined || typeof change.value !== typeof this.#configured[name]) continue
      this.#versions.saw(change)
      const own = this.#changes.get(name)
      if (change.over !== this.#configured[name] || (own !== undefined && !isNewer(change, own))) continue
      this.#changes.set(name, change)
      isChanged = true
    }
    return isChanged
  }
}

const namesIn = <Values extends object>(values: Values): (keyof Values)[] =>
  Object.keys(values) as (keyof Values)[]
