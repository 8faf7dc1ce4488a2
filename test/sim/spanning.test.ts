/**
 * Databases without sharding, whose transactions span slots: at a peer each is there whole or not at all, and also where slot
 * states bring some of its slots before the others it is whole in the end.
 */
import { describe, expect, it } from 'vitest'
import { type RunOptions, runSeed } from './simulation.ts'

const base = Number(process.env['SEED'] ?? 1)
const seeds = 80
const spanning: Partial<RunOptions> = { world: { sharding: false, shards: [1, 1, 1] } }

describe('transactions over several slots', () => {
  it(`are whole or not there, in ${seeds} worlds`, () => {
    let wholeReads = 0
    let mergedSlotStates = 0
    let holds = 0
    const failures: string[] = []
    for (let seed = base; seed < base + seeds; seed++) {
      const result = runSeed(seed, spanning)
      if (result.failure !== null) failures.push(`${seed}: ${result.failure}`)
      wholeReads += result.wholeReads
      mergedSlotStates += result.counts.mergedSlotStates
      holds += result.counts.holds
    }
    console.log(`SEED=${base}`, { wholeReads, mergedSlotStates, holds })
    expect(failures).toEqual([])
    // What never happened was not tested.
    expect(Math.min(wholeReads, mergedSlotStates, holds)).toBeGreaterThan(100)
  })
})
