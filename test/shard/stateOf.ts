import { originOfCluster, StampClock } from '#protocol/sync/stamp.ts'
import { LocalState } from '#server/localState.ts'
import { SeededRandom } from '#test/seed.ts'
import { PartwiseKeyspace } from '#test/store/partwiseKeyspace.ts'
import type { TestShard } from './testShard.ts'

/** What the shard's channels would do, on a state of the same keyspace and log, of which each step is a small one. */
export function stateOf({ shard }: TestShard, cluster = 1): LocalState {
  const clock = new StampClock(originOfCluster(cluster))
  return new LocalState(
    shard.db,
    clock,
    shard.log,
    (slot) =>
      new PartwiseKeyspace({ origin: clock.origin, ranges: [{ first: slot, last: slot }], hashSeed: 7 }),
    () => {},
    () => false,
    new SeededRandom(cluster),
    { stagedSliceBytes: 1 },
  )
}
