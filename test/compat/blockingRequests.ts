/** What random requests that block have in common, and their names. */
import type { Make } from './generator.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Never long, in whatever way it is written. */
const shortTimes = ['0.001', '.001', '0.0015', '1e-3', '+0.001', '0.002', '1E-4', '0.001e0', '1e-30']
/** Those beyond 64 bits are missing: they are "negative" to 7.0, to 7.2 "out of range". */
const refusedTimes = [
  'abc',
  '',
  '-1',
  '-0.01',
  '-inf',
  'nan',
  '-1e30',
  ' 1',
  '1 ',
  '1e',
  '.',
  '0.001x',
  '1\x00',
  '--1',
]

export const timeout = (v: Vocabulary): string => v.pick(v.chance(0.85) ? shortTimes : refusedTimes)

export const either =
  (one: Make, other: Make): Make =>
  (v) =>
    v.chance(0.4) ? one(v) : other(v)

export const blockingNames: ReadonlySet<string> = new Set([
  'BLMOVE',
  'BLMPOP',
  'BLPOP',
  'BRPOP',
  'BRPOPLPUSH',
  'BZMPOP',
  'BZPOPMAX',
  'BZPOPMIN',
])
