import { describe, expect, test } from 'vitest'
import { seedFromEnv } from '#test/seed.ts'
import type { Fault } from './fault.ts'
import { faults, madeWith } from './faults.ts'

/** Far more than the rarest of them takes. */
const runsMax = 10_000
const seed = seedFromEnv()

/** How many runs it takes to find the fault, undefined: it isn't found. */
function runsToFind(fault: Fault): number | undefined {
  const restore = fault.plant?.()
  try {
    for (let at = 0; at < runsMax; at++) {
      try {
        fault.run(seed + at, madeWith(fault))
      } catch {
        return at + 1
      }
    }
    return undefined
  } finally {
    restore?.()
  }
}

describe('a planted fault is found', () => {
  test.each(faults.map((fault) => [fault.name, fault.what, fault] as const))(
    '%s: %s',
    { timeout: 600_000 },
    (_name, _what, fault) => {
      expect(runsToFind(fault)).toBeDefined()
    },
  )
})
