/** How one client is told what another one is to know (CLIENT TRACKING with REDIRECT), wherever at this node it is. */
import type { Invalidation } from '#protocol/frames/worker.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'
import type { Clients } from './clients.ts'
import type { Siblings } from './siblings/siblings.ts'
import type { Redirection } from './tracking.ts'

/** To a client of this worker. */
export function redirectionHere(clients: Clients, id: number): Redirection {
  return {
    id,
    tell(invalidation, broken) {
      const client = clients.get(id)
      if (client === undefined) broken()
      else client.takeInvalidation(invalidation, true)
    },
  }
}

/** That wait for an answer of the other worker. Instead of more, everything counts as changed. */
export const redirectedMax = 1_000

/** To a client of another worker: what comes while it is asked is kept, and sent together. */
export class DistantRedirection implements Redirection {
  readonly id: number
  readonly #worker: number
  readonly #siblings: Siblings
  #waiting: Invalidation[] = []
  #isAsking = false

  constructor(siblings: Siblings, worker: number, id: number) {
    this.#siblings = siblings
    this.#worker = worker
    this.id = id
  }

  tell(invalidation: Invalidation, broken: () => void): void {
    if (this.#waiting.length < redirectedMax) this.#waiting.push(invalidation)
    else this.#waiting = [null]
    if (!this.#isAsking) this.#ask(broken)
  }

  #ask(broken: () => void): void {
    const invalidations = this.#waiting
    this.#waiting = []
    this.#isAsking = true
    this.#siblings.askWorker(
      this.#worker,
      { what: 'invalidate', client: this.id, invalidations },
      (answer) => {
        this.#isAsking = false
        // Each of them could not be told.
        if (!isJsonObject(answer) || answer['found'] !== true) for (const _ of invalidations) broken()
        if (this.#waiting.length > 0) this.#ask(broken)
      },
    )
  }
}
