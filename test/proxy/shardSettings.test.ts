/** What CONFIG SET has changed of what the shards go by, when shards start again and when the configuration changes. */
import { describe, expect, it } from 'vitest'
import { BlockingWorld } from './blockingWorld.ts'

const names = ['maxmemory', 'maxmemory-policy', 'crdt_xadd_id_uniqueness_mode', 'notify-keyspace-events']
const values = ['104857600', 'allkeys-lfu', 'liberal', 'xKE']
const pairs = names.flatMap((name, i) => [name, values[i] as string])

const settings = (world: BlockingWorld) => world.shards.map(({ shard }) => shard.status().settings)

const wanted = {
  memorySizeBytes: 104_857_600,
  evictionPolicy: 'allkeys-lfu',
  streamIdMode: 'liberal',
  notifyKeyspaceEvents: 'xKE',
}

describe('what CONFIG SET has changed of the shards', () => {
  it('is told to a shard that starts again, whichever worker took it', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    expect(world.client(1).call('CONFIG', 'SET', ...pairs)).toBe('+OK\r\n')
    world.restart(0)
    expect(settings(world)).toMatchObject([wanted, wanted])
    // Each of the workers knows it by itself.
    for (const worker of [0, 1]) {
      const value = world.client(worker).call('CONFIG', 'GET', 'maxmemory')
      expect(value).toContain('104857600')
    }
  })

  it('holds when functions are loaded, of which all shards are told', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    const client = world.client()
    client.call('CONFIG', 'SET', ...pairs)
    const code = "#!lua name=one\nredis.register_function('f', function() return 1 end)"
    expect(client.call('FUNCTION', 'LOAD', code)).toBe('$3\r\none\r\n')
    expect(settings(world)).toMatchObject([wanted, wanted])
  })

  it('is ended by a file that says something else, also for a shard that has just been told of it', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    world.client().call('CONFIG', 'SET', ...pairs)
    for (const proxy of world.proxies) {
      const { config } = proxy
      proxy.reconfigure({ ...config, database: { ...config.database, memorySizeBytes: 50_000_000 } })
    }
    world.world.settle()
    const after = { ...wanted, memorySizeBytes: 50_000_000 }
    expect(settings(world)).toMatchObject([after, after])
    world.restart(1)
    expect(settings(world)[1]).toMatchObject({ ...wanted, memorySizeBytes: 0 })
  })
})
