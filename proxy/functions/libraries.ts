/** The libraries of functions of the database, as this worker knows them. */
import type { StoredLibrary } from '#config/libraries.ts'
import type { ProxyConfig } from '#config/process.ts'
import { VersionWaits } from '#proxy/versionWaits.ts'

export class Libraries {
  readonly waits = new VersionWaits()
  #list: readonly StoredLibrary[] = []

  constructor(config: ProxyConfig) {
    this.configure(config)
  }

  get version(): number {
    return this.waits.version
  }

  get list(): readonly StoredLibrary[] {
    return this.#list
  }

  get functionCount(): number {
    return this.#list.reduce((count, { functions }) => count + functions.length, 0)
  }

  configure({ libraries: { version, libraries } }: ProxyConfig): void {
    if (version < this.version) return
    this.#list = libraries
    this.waits.version = version
    this.waits.tell()
  }
}
