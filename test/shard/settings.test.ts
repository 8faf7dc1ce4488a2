/** What clients change of a shard's settings, and what the configuration says of them later. */
import { expect, test } from 'vitest'
import type { ShardSettings } from '#protocol/frames/shardSettings.ts'
import { TestShard } from './testShard.ts'

const changed: ShardSettings = {
  memorySizeBytes: 10_000_000,
  evictionPolicy: 'allkeys-lru',
  evictionSamples: 9,
  streamIdMode: 'liberal',
  notifyKeyspaceEvents: 'AKE',
  trackingTableKeysMax: 77,
}

test('a change counts until the configuration says something else than it said then', () => {
  const shard = new TestShard({})
  const { options } = shard
  shard.proxy.ask({ what: 'configure', settings: changed })
  shard.world.settle()
  expect(shard.shard.status().settings).toEqual(changed)
  shard.shard.configure({ ...options, libraries: { version: 1, libraries: [] } })
  expect(shard.shard.status().settings).toEqual(changed)
  const database = { ...options.database, memorySizeBytes: 5_000_000 }
  const limits = { ...options.limits, trackingTableKeysMax: 5 }
  shard.shard.configure({ ...options, database, limits })
  const after = { ...changed, memorySizeBytes: 5_000_000, trackingTableKeysMax: 5 }
  expect(shard.shard.status().settings).toEqual(after)
  shard.shard.configure({ ...options, database, limits })
  expect(shard.shard.status().settings).toEqual(after)
})
