/** All suites, in the order in which they run and stand on the page. */
import { budgetsSuite } from './budgets.ts'
import { churnSuite } from './churn.ts'
import { fullSyncSuite } from './fullSync.ts'
import { largeSuite } from './large.ts'
import { latencySuite } from './latency.ts'
import { memorySuite } from './memory.ts'
import { mixedSuite } from './mixed.ts'
import { clientsSuite, ratesSuite, sizesSuite } from './rates.ts'
import { replicationSuite } from './replication.ts'
import { restartSuite } from './restart.ts'
import type { Suite } from './suite.ts'

export const suites: readonly Suite[] = [
  budgetsSuite,
  ratesSuite,
  clientsSuite,
  sizesSuite,
  mixedSuite,
  latencySuite,
  memorySuite,
  largeSuite,
  replicationSuite,
  fullSyncSuite,
  restartSuite,
  churnSuite,
]
