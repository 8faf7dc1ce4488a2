/** The mutation gate: each planted fault is found, or the simulation is no check. */
import { expect, test } from 'vitest'
import { faults } from './faults.ts'
import { runSeed } from './simulation.ts'

/** The rarest is found by about one seed in fifteen. */
const seedsMax = 200

test.each(faults)('$name: $what', ({ name, options, plant }) => {
  const undo = plant?.()
  try {
    for (let seed = 1; seed <= seedsMax; seed++) {
      const { failure } = runSeed(seed, options)
      if (failure === null) continue
      console.log(`${name} is found with seed ${seed}: ${failure.split('\n')[0]?.slice(0, 160)}`)
      return
    }
  } finally {
    undo?.()
  }
  expect.fail(`${name} is not found within ${seedsMax} seeds`)
})
