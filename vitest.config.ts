import { defineConfig } from 'vitest/config'

const systemTests = ['test/e2e/**/*.test.ts', 'test/chaos/**/*.test.ts', 'test/scenarios/**/*.test.ts']

export default defineConfig({
  test: {
    // One per core; of two cores vitest would leave one idle.
    maxWorkers: '100%',
    projects: [
      {
        // Pure parts, simulations, single processes: side by side.
        test: {
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: systemTests,
          testTimeout: 120_000,
          hookTimeout: 30_000,
        },
      },
      {
        // Whole clusters of real processes: one file after the other, or they would measure each other.
        test: {
          name: 'system',
          include: systemTests,
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
