/**
 * Random networks whose replicas start again from snapshots, which they take while they work. At each start a replica has what
 * it had, and in the end everything is as the history means it.
 */
import { expect, test } from 'vitest'
import { seedFromEnv } from '#test/seed.ts'
import { focusedRun, randomRun } from './randomRuns.ts'
import type { Production } from './replica.ts'
import { restartingProduction, type SnapshotFaults } from './restartingReplica.ts'

/** RUNS=50000 for a long one. */
const runs = Number(process.env['RUNS'] ?? 400)
const seed = seedFromEnv()

function failureOf(
  run: (seed: number, made: Production) => void,
  of: number,
  faults: SnapshotFaults = {},
): string | null {
  try {
    run(of, restartingProduction(of, faults))
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

test.each([
  ['any commands', randomRun],
  ['much forgetting', focusedRun],
])('replicas that start again from snapshots and log: %s', { timeout: 3_600_000 }, (_, run) => {
  for (let at = seed; at < seed + runs; at++) expect([at, failureOf(run, at)]).toEqual([at, null])
})

const faults: Readonly<Record<string, SnapshotFaults>> = {
  'a slot is labelled with what it has after its last part': { labelAtEnd: true },
  'the log begins where the last slot was cut': { logFromEnd: true },
  'later parts of a slot are left out': { firstPartOnly: true },
  'the log is not replayed': { replays: 'none' },
  'slot states are not logged': { replays: 'operationsOnly' },
  'a patch is done to what shows when its base is gone': { patchesWhatShows: true },
}

/** The rarest is found by about one seed in ten. */
const seedsMax = 300

test.each(Object.entries(faults))('a fault is found: %s', (_, fault) => {
  for (let at = 1; at <= seedsMax; at++) if (failureOf(randomRun, at, fault) !== null) return
  expect.fail(`not found within ${seedsMax} seeds`)
})
