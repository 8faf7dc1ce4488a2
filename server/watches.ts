/**
 * Keys that clients watch for their next EXEC. A watch is touched by whatever changes its key, a command here or an
 * operation from another cluster, or when the key expires; then the session's EXEC does nothing. What is not remembered
 * (the link broke, the shard was restarted) counts as touched.
 *
 * As in Redis a key that had expired already when it was watched may be deleted without touching the watch: nothing that
 * the client could see has changed.
 */
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Touches } from './touches.ts'

interface Watch {
  readonly session: WatchingSession
  readonly wasVisible: boolean
}

export class WatchingSession {
  touched = false
  readonly keys = new Map<string, Watch>()
}

export class Watches {
  readonly #db: Keyspace
  readonly #touches: Touches
  readonly #watchers = new Map<string, Set<Watch>>()
  #count = 0
  /** Changed since `settle`, watched by someone. */
  readonly #changed = new Set<string>()
  readonly #onTouched = (key: string): void => {
    if (this.#watchers.has(key)) this.#changed.add(key)
  }

  constructor(db: Keyspace, touches: Touches) {
    this.#db = db
    this.#touches = touches
  }

  get count(): number {
    return this.#count
  }

  add(session: WatchingSession, key: string): void {
    if (session.keys.has(key)) return
    const watch = { session, wasVisible: this.#db.type(key) !== 'none' }
    session.keys.set(key, watch)
    const watchers = this.#watchers.get(key)
    if (watchers === undefined) this.#watchers.set(key, new Set([watch]))
    else watchers.add(watch)
    this.#count++
    this.#touches.listen(this.#onTouched)
  }

  /** Ends the session's watches. */
  drop(session: WatchingSession): void {
    for (const [key, watch] of session.keys) {
      const watchers = this.#watchers.get(key)
      watchers?.delete(watch)
      if (watchers?.size === 0) this.#watchers.delete(key)
    }
    this.#count -= session.keys.size
    session.keys.clear()
    if (this.#count === 0) this.#touches.mute(this.#onTouched)
  }

  /** To be called when a change is complete: judges what it means to those who watch. */
  settle(): void {
    if (this.#changed.size === 0) return
    for (const key of this.#changed) {
      const visible = this.#db.type(key) !== 'none'
      for (const { session, wasVisible } of this.#watchers.get(key) ?? []) {
        if (wasVisible || visible) session.touched = true
      }
    }
    this.#changed.clear()
  }

  /** Whether something has happened to a key of the session. */
  isTouched(session: WatchingSession): boolean {
    this.settle()
    if (session.touched) return true
    // Expired since, and not deleted yet.
    for (const [key, { wasVisible }] of session.keys) {
      if (wasVisible && this.#db.type(key) === 'none') return true
    }
    return false
  }
}
