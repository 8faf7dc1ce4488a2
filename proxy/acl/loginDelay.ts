/**
 * Slows down guessing of passwords: after a few wrong ones for a user from an address, each further attempt is looked at only
 * after a pause, which doubles up to a limit and is forgotten when nothing wrong has come for a while. Right passwords wait,
 * too: else silence would tell that one was wrong.
 */

/** Wrong passwords that cost nothing: somebody has mistyped. */
export const freeFailures = 4
const firstDelayMs = 50
export const forgottenMs = 60_000
/** Users at addresses that are remembered; beyond, the oldest is forgotten. */
export const rememberedMax = 10_000

interface Failures {
  count: number
  lastMs: number
}

export class LoginDelay {
  readonly #failures = new Map<string, Failures>()

  /** Of the next attempt. */
  delayMs(user: string, address: string, nowMs: number, delayMsMax: number): number {
    const failures = this.#failures.get(keyOf(user, address))
    if (failures === undefined || nowMs - failures.lastMs > forgottenMs) return 0
    const { count } = failures
    return count < freeFailures ? 0 : Math.min(delayMsMax, firstDelayMs * 2 ** (count - freeFailures))
  }

  failed(user: string, address: string, nowMs: number): void {
    const key = keyOf(user, address)
    const before = this.#failures.get(key)
    const isRecent = before !== undefined && nowMs - before.lastMs <= forgottenMs
    this.#failures.delete(key)
    if (this.#failures.size >= rememberedMax) this.#failures.delete(this.#failures.keys().next().value ?? '')
    this.#failures.set(key, { count: isRecent ? before.count + 1 : 1, lastMs: nowMs })
  }

  succeeded(user: string, address: string): void {
    this.#failures.delete(keyOf(user, address))
  }
}

/** Ports differ with each connection. */
const keyOf = (user: string, address: string): string =>
  `${address.slice(0, address.lastIndexOf(':'))} ${user.slice(0, 128)}`
