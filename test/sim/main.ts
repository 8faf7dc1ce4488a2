/**
 * `node test/sim/main.ts [--seed N] [--runs N] [--minutes N] [--verbose]`: runs seeds from `--seed` on and prints those
 * that fail, with the end of what happened. Without a seed a random one is taken, and told.
 */
import { parseArgs } from 'node:util'
import { seedFromEnv } from '#test/seed.ts'
import { runSeed } from './simulation.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string' },
    minutes: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
})

const first = values.seed === undefined ? seedFromEnv() : Number(values.seed)
const runs =
  values.runs !== undefined
    ? Number(values.runs)
    : values.minutes !== undefined
      ? Number.POSITIVE_INFINITY
      : 1
const deadlineMs = performance.now() + Number(values.minutes ?? Number.POSITIVE_INFINITY) * 60_000
const startMs = performance.now()

let failed = 0
let done = 0
let events = 0
let operations = 0
for (; done < runs && performance.now() < deadlineMs; done++) {
  const result = runSeed(first + done, { verbose: values.verbose })
  events += result.events
  operations += result.operations
  if (values.verbose && runs === 1) console.log(result.trace)
  if (result.failure === null) continue
  failed++
  if (!(values.verbose && runs === 1)) console.log(`${result.trace}`)
  console.log(`SEED=${result.seed} FAILED ${result.failure}\n`)
}
const seconds = (performance.now() - startMs) / 1000
console.log(
  `seeds ${first}..${first + done - 1}: ${done} runs, ${failed} failed; ${operations} operations, ${events} events, ${seconds.toFixed(1)} s`,
)
process.exitCode = failed > 0 ? 1 : 0
