/** A cluster leaves, in order or not, and another one takes its id, while everything else goes wrong, too. Another base: `SEED=n`. */
import { describe, expect, test } from 'vitest'
import { Departure } from '#control/plan/departure.ts'
import { Acknowledgements } from '#server/sync/acknowledgements.ts'
import { type PartingOptions, partingOf } from './parting.ts'
import { defaultRun } from './simulation.ts'
import { SimulationError } from './world.ts'

const base = Number(process.env['SEED'] ?? 1)
const runs = 20
/** Keys of who is gone expire at the others by and by. */
const restMs = 60_000

interface Failure {
  seed: number
  message: string
  trace: string
}

function failureOf(seed: number, options: PartingOptions): Failure | null {
  const simulation = partingOf(seed, options, { ...defaultRun, durationMs: 3000, restMs })
  try {
    simulation.run()
    return null
  } catch (error) {
    if (!(error instanceof SimulationError)) throw error
    const trace = simulation.world.traceText.split('\n').slice(-60).join('\n')
    return { seed, message: error.message, trace }
  }
}

test.each<PartingOptions>([
  { how: 'ordered', rejoins: false },
  { how: 'dead', rejoins: false },
  { how: 'alive', rejoins: false },
  { how: 'ordered', rejoins: true },
  { how: 'dead', rejoins: true },
  { how: 'alive', rejoins: true },
])('$how, rejoins: $rejoins', (options) => {
  const failures: string[] = []
  for (let seed = base; seed < base + runs; seed++) {
    const failure = failureOf(seed, options)
    if (failure === null) continue
    console.log(`${failure.trace}\nSEED=${seed} ${failure.message}`)
    failures.push(`${seed}: ${failure.message}`)
  }
  expect(failures).toEqual([])
})

interface Fault {
  name: string
  options: PartingOptions
  /** Returns what undoes it. */
  plant: () => () => void
}

const faults: Fault[] = [
  {
    name: 'nobody acknowledges what removed members deleted',
    options: { how: 'ordered', rejoins: false },
    plant: () => {
      const { applied } = Acknowledgements.prototype
      Acknowledgements.prototype.applied = function (ranges, ownStamp) {
        return applied.call(this, ranges, ownStamp)
      }
      return () => {
        Acknowledgements.prototype.applied = applied
      }
    },
  },
  {
    name: 'a member is out before all have what it wrote',
    options: { how: 'ordered', rejoins: true },
    plant: () => {
      const { takeReached } = Departure.prototype
      Departure.prototype.takeReached = function (clusterId, { runs }) {
        takeReached.call(this, clusterId, { runs, reached: true })
      }
      return () => {
        Departure.prototype.takeReached = takeReached
      }
    },
  },
]

/** Each is found by one of the first few. */
const seedsMax = 50

describe('the checks find', () => {
  test.each(faults)('$name', ({ name, options, plant }) => {
    const undo = plant()
    try {
      for (let seed = 1; seed <= seedsMax; seed++) {
        const failure = failureOf(seed, options)
        if (failure === null) continue
        console.log(`${name}: found with seed ${seed}: ${failure.message.slice(0, 160)}`)
        return
      }
    } finally {
      undo()
    }
    expect.fail(`not found within ${seedsMax} seeds`)
  })
})
