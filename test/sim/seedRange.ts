/** Seeds in a row, as a test: all must pass. Another base: `SEED=n`. */
import { expect } from 'vitest'
import { type RunResult, runSeed } from './simulation.ts'

/** What led to a failure. */
const traceLinesShown = 60

const base = Number(process.env['SEED'] ?? 1)

export function checkSeeds(from: number, count: number): void {
  const failures: RunResult[] = []
  let operations = 0
  for (let i = 0; i < count; i++) {
    const result = runSeed(base + from + i)
    operations += result.operations
    if (result.failure !== null) failures.push(result)
  }
  console.log(`SEED=${base + from}: ${count} runs from there, ${operations} operations`)
  for (const { seed, failure, trace } of failures) {
    const end = trace.split('\n').slice(-traceLinesShown).join('\n')
    console.log(`${end}\nSEED=${seed} ${failure}\nagain: node test/sim/main.ts --seed ${seed} --verbose\n`)
  }
  expect(failures.map(({ seed, failure }) => `${seed}: ${failure}`)).toEqual([])
  // A world in which nothing is done proves nothing.
  expect(operations / count).toBeGreaterThan(100)
}
