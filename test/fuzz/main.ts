/** `npm run fuzz`: hostile clients at the database port. `--help` says more. */
import { seedFromEnv } from '#test/seed.ts'
import { fuzzSeed } from './fuzzer.ts'
import { fuzzLab } from './labFuzz.ts'
import { options } from './options.ts'
import { watchSteps } from './stuckWatch.ts'

/** A step is some thousand requests at most. */
const stuckMs = 60_000

const seed = options.seed ?? seedFromEnv()

/** Whether all seeds held. */
function fuzzInProcess(): boolean {
  const startMs = performance.now()
  const endMs = startMs + options.minutes * 60_000
  const step = watchSteps(stuckMs)
  let failed = 0
  let done = 0
  let requests = 0
  let replies = 0
  for (; done < options.runs && performance.now() < endMs; done++) {
    const result = fuzzSeed(seed + done, {
      steps: options.steps,
      onStep: () => step(seed + done),
    })
    requests += result.requests
    replies += result.replies
    if (result.failure === null) continue
    failed++
    console.log(`SEED=${result.seed} FAILED ${result.failure}\n`)
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  console.log(
    `seeds ${seed}..${seed + done - 1}: ${done} runs, ${failed} failed; ${requests} requests, ${replies} replies, ${seconds} s`,
  )
  return failed === 0
}

async function fuzzProcesses(): Promise<boolean> {
  const faults = await fuzzLab(seed, options.minutes)
  for (const fault of faults) console.log(`BROKEN ${fault}`)
  console.log(`SEED=${seed}: ${faults.length === 0 ? 'everything held' : `${faults.length} broken`}`)
  return faults.length === 0
}

process.exit((options.lab ? await fuzzProcesses() : fuzzInProcess()) ? 0 : 1)
