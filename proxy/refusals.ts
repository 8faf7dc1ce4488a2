/**
 * Tells in the log who is turned away and why. Clients that are refused try again and again: of one address and reason the log
 * has a line a minute, which says how many there were since the last.
 */
import type { Clock, Logger } from '#runtime/ports.ts'

const silentMs = 60_000
/** Addresses and reasons that are remembered; the oldest is forgotten first. */
export const refusalsMax = 1024

interface Told {
  atMs: number
  since: number
}

export class Refusals {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #told = new Map<string, Told>()

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
  }

  tell(remoteAddress: string, reason: string, facts: Readonly<Record<string, unknown>> = {}): void {
    const key = `${remoteAddress.replace(/:\d+$/, '')} ${reason}`
    const nowMs = this.#clock.monotonicMs()
    const told = this.#told.get(key)
    if (told !== undefined && nowMs - told.atMs < silentMs) {
      told.since++
      return
    }
    this.#told.delete(key)
    for (const oldest of this.#told.keys()) {
      if (this.#told.size < refusalsMax) break
      this.#told.delete(oldest)
    }
    this.#told.set(key, { atMs: nowMs, since: 0 })
    const more = told === undefined || told.since === 0 ? {} : { notTold: told.since }
    this.#logger.warn({ remoteAddress, reason, ...facts, ...more }, 'a connection was turned away')
  }
}
