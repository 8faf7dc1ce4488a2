/**
 * Tells whoever wants to know which keys change, by a command here or by an operation from another cluster. While nobody
 * listens the keyspace says nothing, and names need not be made into text for it.
 */
import type { Keyspace } from '#server/store/keyspace.ts'
import type { TouchListener } from '#server/store/slotTables.ts'

export class Touches {
  readonly #db: Keyspace
  readonly #listeners = new Set<TouchListener>()
  readonly #tell: TouchListener = (key, isLive) => {
    for (const listener of this.#listeners) listener(key, isLive)
  }

  constructor(db: Keyspace) {
    this.#db = db
  }

  listen(listener: TouchListener): void {
    this.#listeners.add(listener)
    this.#db.onTouched = this.#tell
  }

  mute(listener: TouchListener): void {
    this.#listeners.delete(listener)
    if (this.#listeners.size === 0) this.#db.onTouched = undefined
  }
}
