import type { MemorySettings } from '#protocol/frames/memory.ts'

/** The defaults, for configurations of tests that are about something else. */
export const unlimitedMemory: MemorySettings = {
  memorySizeBytes: 0,
  evictionPolicy: 'noeviction',
  evictionSamples: 5,
}
