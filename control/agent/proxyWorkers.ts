/** How many proxy processes a database gets. Pure. */
import type { NodeSettings } from '#config/schema.ts'
import type { StoredDatabase } from '#control/store/storeState.ts'

/** What of the machine matters to it. */
export interface Machine {
  /** That this program may use. */
  cores: number
  /** Several processes may listen on one port, and the system spreads connections over them. */
  sharesPorts: boolean
}

/**
 * A proxy takes twice the processor time of a shard for a request that comes alone, and a third of it for one of many in
 * flight: a third worker for a shard would wait for it.
 */
const workersPerShardMax = 2

export function proxyWorkers(
  { workers }: NodeSettings['proxy'],
  databases: readonly StoredDatabase[],
  { shards }: StoredDatabase,
  { cores, sharesPorts }: Machine,
): number {
  if (!sharesPorts) return 1
  if (workers !== 'auto') return workers
  const coresLeft = cores - databases.reduce((sum, database) => sum + database.shards, 0)
  return Math.max(1, Math.min(workersPerShardMax * shards, Math.floor(coresLeft / databases.length)))
}
