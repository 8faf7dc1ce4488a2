/** Counts the changes to what all workers of a node agree on: a change made here is newer than all that were seen here. */
import type { Version } from '#protocol/frames/worker.ts'

export class VersionClock {
  readonly #worker: number
  #count = 0

  constructor(worker: number) {
    this.#worker = worker
  }

  next(): Version {
    this.#count++
    return { count: this.#count, worker: this.#worker }
  }

  saw({ count }: Version): void {
    this.#count = Math.max(this.#count, count)
  }
}

export const isNewer = (one: Version, other: Version): boolean =>
  one.count > other.count || (one.count === other.count && one.worker > other.worker)
