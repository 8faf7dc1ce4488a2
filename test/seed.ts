/**
 * Seeded randomness of the tests: the seed is printed, and `SEED=n npm test` repeats a run. `RUN_SEED` is what `test/run.ts`
 * picked for all files of its run.
 */
import { randomInt } from 'node:crypto'
import type { Random } from '#runtime/ports.ts'

export function seedFromEnv(): number {
  const given = process.env['SEED'] ?? process.env['RUN_SEED']
  const seed = given === undefined ? randomInt(2 ** 31) : Number(given)
  console.log(`SEED=${seed}`)
  return seed
}

/** mulberry32: small, fast, the same on every machine. */
export class SeededRandom implements Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** [0, 1) */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }
}
