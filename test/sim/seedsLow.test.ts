/** Half of the thousand seeds; the other half runs beside it. */
import { describe } from 'vitest'
import { checkSeeds } from './seedRange.ts'

describe('whole clusters under one seed', () => checkSeeds(0, 500))
