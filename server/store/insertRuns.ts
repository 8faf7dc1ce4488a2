/**
 * Where this shard's latest LINSERT into a list was, for the lists that were inserted into last: the next one goes on from there
 * (`idBetween`). Only ever in memory: after a restart, or when a list falls out, a new run begins, which costs nothing but
 * a longer id. That no offset is used twice holds for as long as one of these lives.
 */
import { type InsertRun, type ListId, runAfter } from '#server/crdt/listId.ts'

const listsMax = 1_000

export class InsertRuns {
  /** The one written last is last. */
  readonly #runs: Map<string, InsertRun> = new Map()

  of(name: string): InsertRun | undefined {
    return this.#runs.get(name)
  }

  /** An element has been inserted. */
  note(name: string, id: ListId): void {
    const run = runAfter(this.#runs.get(name), id)
    this.#runs.delete(name)
    this.#runs.set(name, run)
    if (this.#runs.size <= listsMax) return
    for (const oldest of this.#runs.keys()) {
      this.#runs.delete(oldest)
      return
    }
  }
}
