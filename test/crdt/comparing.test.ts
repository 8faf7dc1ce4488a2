/**
 * Random networks whose slots are compared before they are cut, and of which only what differs is joined, while all of them change: every
 * replica shows at any time what the operations mean that its vector names, and in the end all are equal. And what is wrong
 * with such a comparison is found.
 */
import { describe, expect, test } from 'vitest'
import { PortionDigests } from '#server/store/portions.ts'
import { SlotTables } from '#server/store/slotTables.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { type ComparingFaults, comparingProduction } from './comparingReplica.ts'
import { replace } from './fault.ts'
import { Network } from './network.ts'
import type { Command } from './networkOptions.ts'
import { focusedRun, keys, randomRun } from './randomRuns.ts'
import type { Production } from './replica.ts'

/** RUNS=50000 for a long one. */
const runs = Number(process.env['RUNS'] ?? 12)
const seed = seedFromEnv()

type Run = (seed: number, made: Production) => void

function failureOf(run: Run, of: number, faults: ComparingFaults = {}): string | null {
  try {
    run(of, comparingProduction(of, faults))
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Keys of one slot, and many states. */
const mixOf =
  (...commands: Command[]): Run =>
  (of, production) => {
    const random = new SeededRandom(of)
    const options = { replicas: 3, commands, keys: keys.slice(0, 2), production, statesOften: true }
    const network = new Network(random, options)
    for (let steps = 40 + random.below(80); steps > 0; steps--) network.step()
    network.finish()
  }
const sets = mixOf('setAdd', 'setAdd', 'setRemove', 'delete')
const counting = mixOf('increment', 'hashIncrement', 'hashDelete', 'delete', 'setExpiring')
const flushing = mixOf('setAdd', 'flush')
const resetting = mixOf('increment', 'increment', 'delete')
const registers = mixOf('hllAdd', 'hllAdd', 'delete')

test.each<[string, Run]>([
  ['any commands', randomRun],
  ['much forgetting', focusedRun],
  ['sets', sets],
  ['counters', counting],
  ['flushes', flushing],
  ['registers', registers],
])('slots compared and joined while they change: %s', { timeout: 3_600_000 }, (_, run) => {
  for (let at = seed; at < seed + runs; at++) expect([at, failureOf(run, at)]).toEqual([at, null])
})

/** The rarest is found by about one seed in fifty. */
const seedsMax = 2_000

function expectFound(run: Run, faults: ComparingFaults = {}): void {
  for (let at = 1; at <= seedsMax; at++) if (failureOf(run, at, faults) !== null) return
  expect.fail(`not found within ${seedsMax} seeds`)
}

const planted: Readonly<Record<string, [Run, ComparingFaults]>> = {
  'absent keys are ignored': [sets, { ignoresAbsent: 'all' }],
  'absent keys of portions that differ are ignored': [sets, { ignoresAbsent: 'sent' }],
  'keys made since are ignored': [sets, { ignoresAbsent: 'made' }],
  'the label is later than the comparison': [sets, { lateLabel: true }],
  'the slot is joined although it was flushed': [flushing, { ignoresLoss: true }],
  'keys are not kept as they were': [sets, { keepsNothing: true }],
  'operations that come meanwhile are left out': [sets, { dropsTail: true }],
}

describe('a fault is found', () => {
  test.each(Object.entries(planted))('%s', { timeout: 120_000 }, (_, [run, faults]) =>
    expectFound(run, faults),
  )

  const find = (run: Run, plant: () => () => void) => {
    const undo = plant()
    try {
      expectFound(run)
    } finally {
      undo()
    }
  }

  test('all portions count as equal', { timeout: 120_000 }, () =>
    find(sets, () =>
      replace(
        PortionDigests.prototype,
        'compare',
        (original) =>
          function (this: PortionDigests, theirs) {
            const differing = original.call(this, theirs)
            differing.bits.fill(0)
            return differing
          },
      ),
    ),
  )

  test('digests are of what shows alone', { timeout: 120_000 }, () =>
    find(resetting, () =>
      replace(
        PortionDigests.prototype,
        'add',
        (original) =>
          function (this: PortionDigests, tables, ref) {
            return tables.isLive(ref) ? original.call(this, tables, ref) : 0
          },
      ),
    ),
  )

  test('a key is used before it is kept', { timeout: 120_000 }, () =>
    find(sets, () => {
      const tables = SlotTables.prototype as unknown as { showUse(): void }
      return replace(tables, 'showUse', () => () => {})
    }),
  )
})
