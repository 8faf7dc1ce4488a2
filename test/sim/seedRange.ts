/** Seeds in a row, as a test: all must pass. Another base: `SEED=n`. */
import { expect } from 'vitest'
import { type RunResult, runSeed } from './simulation.ts'

/** What led to a failure. */
const traceLinesShown = 60

const base = Number(process.env['SEED'] ?? 1)

/** Log lines without which the runs were too gentle. */
const wantedMessages = [
  'a peer reads more slowly than the log moves on: it is sent slot states',
  'lost data has come back from all members',
  "log can't be written: no space left on device",
  'log can be written again',
  'log ended in an unsynced tail, which was cut off',
  'snapshot failed, the log is kept',
  'snapshot is complete',
  'snapshot was read',
  'sync channel closed',
  'a shard went away',
  'the memory limit is reached: operations of peers wait',
  'there is memory again: operations of peers are taken',
]

export function checkSeeds(from: number, count: number): void {
  const failures: RunResult[] = []
  const happened = new Map<string, number>()
  const tally = (name: string, times: number) => happened.set(name, (happened.get(name) ?? 0) + times)
  for (let i = 0; i < count; i++) {
    const result = runSeed(base + from + i)
    if (result.failure !== null) failures.push(result)
    const { operations, refused, unknown } = result
    for (const [name, times] of Object.entries({ operations, refused, unknown })) tally(name, times)
    for (const [name, times] of Object.entries(result.counts)) tally(name, times)
    for (const name of wantedMessages) tally(name, result.messages.get(name) ?? 0)
  }
  console.log(`SEED=${base + from}: ${count} runs from there`, Object.fromEntries(happened))
  for (const { seed, failure, trace } of failures) {
    const end = trace.split('\n').slice(-traceLinesShown).join('\n')
    console.log(`${end}\nSEED=${seed} ${failure}\nagain: node test/sim/main.ts --seed ${seed} --verbose\n`)
  }
  expect(failures.map(({ seed, failure }) => `${seed}: ${failure}`)).toEqual([])
  // What never happened was not tested.
  expect([...happened].filter(([, times]) => times === 0)).toEqual([])
}
