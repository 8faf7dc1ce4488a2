/** Half of the thousand seeds; the other half runs beside it. */
import { test } from 'vitest'
import { checkSeeds } from './seedRange.ts'

test('seeds 501 to 1000', () => {
  checkSeeds(500, 500)
})
