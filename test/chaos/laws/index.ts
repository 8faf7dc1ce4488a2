import { Anything } from './anything.ts'
import { Causes } from './causes.ts'
import { Counters } from './counters.ts'
import { Expiries, type ExpiryTimes } from './expiries.ts'
import type { Law } from './law.ts'
import { Members } from './members.ts'
import { Queues } from './queues.ts'
import { Registers } from './registers.ts'
import { Streams } from './streams.ts'
import { Transfers } from './transfers.ts'

/** Those of a run: they begin anew with each. */
export const allLaws = (seed: number, times?: ExpiryTimes): Law[] => [
  new Counters(),
  new Members(),
  new Causes(),
  new Queues(),
  new Transfers(),
  new Registers(),
  new Expiries(times),
  new Streams(),
  new Anything(seed),
]
