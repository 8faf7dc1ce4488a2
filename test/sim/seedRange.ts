/** Seeds in a row, as tests: all must pass. Another base: `SEED=n`. */
import { expect, it } from 'vitest'
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

/** One test has so many, and the time of a test. */
const seedsAtOnce = 100

export function checkSeeds(from: number, count: number): void {
  const happened = new Map<string, number>()
  const tally = (name: string, times: number) => happened.set(name, (happened.get(name) ?? 0) + times)
  for (let first = from; first < from + count; first += seedsAtOnce)
    it(`seeds ${base + first} to ${base + first + seedsAtOnce - 1}`, () => runSeeds(base + first, tally))

  // What never happened was not tested.
  it('meet all that is wanted', () => {
    console.log(`SEED=${base + from}: ${count} runs from there`, Object.fromEntries(happened))
    expect(happened.size).toBeGreaterThan(wantedMessages.length)
    expect([...happened].filter(([, times]) => times === 0)).toEqual([])
  })
}

function runSeeds(from: number, tally: (name: string, times: number) => void): void {
  const failures: RunResult[] = []
  for (let seed = from; seed < from + seedsAtOnce; seed++) {
    const result = runSeed(seed)
    if (result.failure !== null) failures.push(result)
    const { operations, refused, unknown, promises, emptyWaits, refusedWaits, counts, messages } = result
    const figures = { operations, refused, unknown, promises, emptyWaits, refusedWaits, ...counts }
    for (const [name, times] of Object.entries(figures)) tally(name, times)
    for (const name of wantedMessages) tally(name, messages.get(name) ?? 0)
  }
  for (const { seed, failure, trace } of failures) {
    const end = trace.split('\n').slice(-traceLinesShown).join('\n')
    console.log(`${end}\nSEED=${seed} ${failure}\nagain: npm run sim -- --seed ${seed} --verbose\n`)
  }
  expect(failures.map(({ seed, failure }) => `${seed}: ${failure}`)).toEqual([])
}
