/**
 * `npm run sim -- [--seed N] [--runs N] [--minutes N] [--long] [--verbose]`: runs seeds from `--seed` on and prints those that
 * fail, with the end of what happened; how far it is every minute; and what it has done at the end, or when it is interrupted.
 * Without a seed a random one is taken, and told. `--long`: worlds in which more happens than in those of the test suite.
 * `--verbose` with one run prints everything, log lines included.
 *
 * The script in `package.json` lets V8 collect more rarely: every life of a shard leaves megabytes of buffers behind, and a
 * third of a run would go into looking for them.
 */
import { execFileSync } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { seedFromEnv } from '#test/seed.ts'
import { runSeed } from './simulation.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string' },
    minutes: { type: 'string' },
    long: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
})

/** Of the safety phase. */
const longMs = 10_000
const progressEveryMs = 60_000

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown (no repository)'
  }
}

const first = values.seed === undefined ? seedFromEnv() : Number(values.seed)
const runs =
  values.runs !== undefined
    ? Number(values.runs)
    : values.minutes !== undefined
      ? Number.POSITIVE_INFINITY
      : 1
const deadlineMs = performance.now() + Number(values.minutes ?? Number.POSITIVE_INFINITY) * 60_000
const startMs = performance.now()

let interrupted = false
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => (interrupted = true))

let failed = 0
let done = 0
let events = 0
let operations = 0
let progressDueMs = startMs + progressEveryMs

function summary(): string {
  const seconds = (performance.now() - startMs) / 1000
  return `seeds ${first}..${first + done - 1}: ${done} runs, ${failed} failed; ${operations} operations, ${events} events, ${seconds.toFixed(1)} s`
}

while (done < runs && performance.now() < deadlineMs && !interrupted) {
  const result = runSeed(first + done, {
    verbose: values.verbose,
    ...(values.long ? { durationMs: longMs } : {}),
  })
  done++
  events += result.events
  operations += result.operations
  if (values.verbose && runs === 1) console.log(result.trace)
  if (result.failure !== null) {
    failed++
    if (!(values.verbose && runs === 1)) console.log(result.trace)
    console.log(`SEED=${result.seed} FAILED ${result.failure}\n`)
  }
  if (performance.now() >= progressDueMs) {
    progressDueMs = performance.now() + progressEveryMs
    console.error(summary())
  }
  // Signals are delivered between runs.
  await setImmediate()
}
console.log(`commit ${commit()}, ${summary()}`)
process.exitCode = failed > 0 ? 1 : 0
