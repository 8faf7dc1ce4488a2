/** Changes of the lists that the config store keeps for proxies, users and libraries: one behind the other, as each is of one version. */
import type { KeptAnswer } from '#config/users.ts'
import type { ConfigStore } from '#control/store/configStore.ts'
import type { Change, StoredDatabase } from '#control/store/storeState.ts'
import type { DiskError } from '#runtime/ports.ts'

export interface DecidedChange {
  /** Of the list now. */
  version: number
  /** Null: it was of another version. */
  change: Change | null
}

export class KeptLists {
  readonly #store: ConfigStore
  /** Changes that wait for the disk, each decided on what the one before has left. */
  #last: Promise<void> = Promise.resolve()

  constructor(store: ConfigStore) {
    this.#store = store
  }

  /** `tell` is called before `answered`: who needs the list is to have it when whoever asked goes on. */
  change(
    database: string,
    decide: (database: StoredDatabase) => DecidedChange,
    tell: () => void,
    answered: (answer: KeptAnswer) => void,
  ): void {
    this.#last = this.#last.then(async () => {
      const stored = this.#store.state.databases.find(({ name }) => name === database)
      if (stored === undefined) {
        answered({ error: 'there is no such database' })
        return
      }
      const { version, change } = decide(stored)
      if (change === null) {
        answered({ done: false, version })
        return
      }
      const error = await new Promise<DiskError | null>((made) => this.#store.commit(change, made))
      // What was appended counts even if it may not be durable.
      tell()
      if (error === null) answered({ done: true, version: version + 1 })
      else answered({ error: `the change was not written: ${error.message}` })
    })
  }
}
