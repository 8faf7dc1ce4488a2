/**
 * What CONFIG SET has changed, in all workers of the node. The latest change of a setting counts, whichever worker it was
 * made at, until the configuration itself says something else than it said then, or until no worker is left that knows.
 */
import type { ClientLimits } from '#config/process.ts'
import type { SharedSetting } from '#protocol/frames/worker.ts'
import { isNewer, type VersionClock } from './siblings/versionClock.ts'

export interface Settings extends ClientLimits {
  /** Clients that say nothing for so long are disconnected; 0: never. */
  idleMs: number
}

export class ChangedSettings {
  readonly #versions: VersionClock
  readonly #changes = new Map<keyof Settings, SharedSetting>()
  #configured: Settings

  constructor(limits: ClientLimits, versions: VersionClock) {
    this.#configured = { ...limits, idleMs: 0 }
    this.#versions = versions
  }

  /** What is in force. */
  get current(): Settings {
    const current = { ...this.#configured }
    for (const [name, { value }] of this.#changes) current[name] = value
    return current
  }

  /** For the other workers. */
  get shared(): Record<string, SharedSetting> {
    return Object.fromEntries(this.#changes)
  }

  configure(limits: ClientLimits): void {
    this.#configured = { ...limits, idleMs: 0 }
    for (const [name, { over }] of this.#changes)
      if (over !== this.#configured[name]) this.#changes.delete(name)
  }

  change(values: Partial<Settings>): void {
    for (const name of namesIn(values)) {
      const value = values[name] as number
      this.#changes.set(name, { ...this.#versions.next(), value, over: this.#configured[name] })
    }
  }

  /** Takes over what is newer; returns whether anything was. */
  take(heard: Readonly<Record<string, SharedSetting>>): boolean {
    let isChanged = false
    for (const name of namesIn(this.#configured)) {
      const change = heard[name]
      if (change === undefined) continue
      this.#versions.saw(change)
      const own = this.#changes.get(name)
      if (change.over !== this.#configured[name] || (own !== undefined && !isNewer(change, own))) continue
      this.#changes.set(name, change)
      isChanged = true
    }
    return isChanged
  }
}

const namesIn = (values: Partial<Settings>): (keyof Settings)[] => Object.keys(values) as (keyof Settings)[]
