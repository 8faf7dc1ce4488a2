/**
 * The best candidates for eviction that any sample has found so far. One sample of five keys is a poor judge; what it found
 * and didn't use is kept for the next time, as Redis does.
 */

export const poolSize = 16

interface Candidate {
  readonly name: string
  readonly score: number
}

export class EvictionPool {
  /** Ascending by score: the best is the last. */
  readonly #candidates: Candidate[] = []

  /** The greater the score the sooner the key goes. A full pool drops its worst. */
  add(name: string, score: number): void {
    const known = this.#candidates.findIndex((candidate) => candidate.name === name)
    if (known >= 0) this.#candidates.splice(known, 1)
    let at = this.#candidates.length
    while (at > 0 && (this.#candidates[at - 1] as Candidate).score > score) at--
    if (at === 0 && this.#candidates.length === poolSize) return
    this.#candidates.splice(at, 0, { name, score })
    if (this.#candidates.length > poolSize) this.#candidates.shift()
  }

  takeBest(): string | undefined {
    return this.#candidates.pop()?.name
  }

  clear(): void {
    this.#candidates.length = 0
  }
}
