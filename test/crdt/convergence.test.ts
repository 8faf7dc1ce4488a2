import { expect, test } from 'vitest'
import { seedFromEnv } from '#test/seed.ts'
import { focusedRun, randomRun } from './randomRuns.ts'
import { production } from './replica.ts'

/** RUNS=50000 for a long one. */
const runs = Number(process.env['RUNS'] ?? 600)
const seed = seedFromEnv()

function repeat(run: (seed: number, made: typeof production) => void, count: number): void {
  for (let at = 0; at < count; at++) {
    try {
      run(seed + at, production)
    } catch (error) {
      throw new Error(`run with seed ${seed + at}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      })
    }
  }
  expect(count).toBeGreaterThan(0)
}

test('replicas show what the history means, at any time, and converge', { timeout: 3_600_000 }, () => {
  repeat(randomRun, runs)
})

test('what is forgotten is never missed', { timeout: 3_600_000 }, () => {
  repeat(focusedRun, runs)
})
