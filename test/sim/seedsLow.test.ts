/** Half of the thousand seeds; the other half runs beside it. */
import { test } from 'vitest'
import { checkSeeds } from './seedRange.ts'

test('seeds 1 to 500', () => {
  checkSeeds(0, 500)
})
