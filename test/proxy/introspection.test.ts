/** INFO, MEMORY and CRDT DIGEST. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { antipodeVersion } from '#proxy/local/version.ts'
import { informed, shardInfo } from './informedWorld.ts'
import { ProxyWorld } from './proxyWorld.ts'

const fieldsOf = (reply: string): Record<string, string> =>
  Object.fromEntries([...reply.matchAll(/^([a-z0-9_|-]+):(.*)\r$/gm)].map(([, name, value]) => [name, value]))

describe('INFO', () => {
  it('adds up what the shards say, under the names of Redis', () => {
    const client = informed().client()
    const fields = fieldsOf(client.call('INFO'))
    expect(fields).toMatchObject({
      redis_version: expect.stringMatching(/^7\.2\.\d+$/),
      redis_mode: 'standalone',
      process_id: '42',
      tcp_port: '12000',
      connected_clients: '1',
      used_memory: String(4 * 1024 * 1024),
      used_memory_human: '4.00M',
      used_memory_rss: String(8 * 1024 * 1024),
      used_memory_peak: String(6 * 1024 * 1024),
      used_memory_peak_perc: '66.67%',
      used_memory_startup: String(2 * 1024 * 1024 - 100),
      used_memory_overhead: String(2 * 1024 * 1024),
      used_memory_dataset: String(2 * 1024 * 1024),
      maxmemory: String(8 * 1024 * 1024),
      maxmemory_human: '8.00M',
      maxmemory_policy: 'allkeys-lru',
      mem_fragmentation_ratio: '2.00',
      mem_replication_backlog: '100',
      evicted_keys: '6',
      crdt_intake_paused: '1',
      loading: '0',
      aof_enabled: '1',
      rdb_changes_since_last_save: '14',
      rdb_bgsave_in_progress: '1',
      rdb_last_save_time: '1700000000',
      rdb_last_bgsave_status: 'ok',
      rdb_last_bgsave_time_sec: '2',
      rdb_current_bgsave_time_sec: '2',
      rdb_saves: '3',
      aof_rewrite_in_progress: '1',
      aof_rewrite_scheduled: '0',
      aof_current_size: '2120',
      aof_base_size: '2000',
      expired_keys: '2',
      role: 'master',
      connected_slaves: '0',
      cluster_enabled: '0',
      db0: 'keys=30,expires=1,avg_ttl=500',
      crdt_cluster_id: '1',
      crdt_stale: '0',
      crdt_gc_pending: '4',
      crdt_config_version: '0',
      crdt_replid: 'run-0,run-1',
      crdt_clock: '801',
      crdt_ovc: '1:801 2:70',
      crdt_peers: '1',
      crdt_peers_in_sync: '0',
      crdt_stale_released_with_merge: '1',
      crdt_sync_full: '2',
      crdt_sync_partial_ok: '4',
      'crdt_sync_partial-err': '1',
      crdt_effect_reqs: '14',
      crdt_merge_reqs: '6',
      crdt_merge_compared: '4',
      crdt_ovc_filtered_effect_reqs: '2',
      crdt_held_ms: '7',
      crdt_gc_attempted: '16',
      crdt_gc_collected: '12',
      crdt_gc_gvc_min: '1:400 2:0',
      crdt_replica_2: [
        'name=c2,state=syncing,shards=1,slot_coverage=1,lag_ms=40,lag_ops=7,max_ops_lag=4,min_ops_lag=3,behind_ms=6',
        'heard_ms_ago=12,held_records=2,held_ms=7,sync_full=2,sync_partial_ok=4,sync_partial-err=1',
        'slot_states_left=4,intake_paused=1,slot_states_owed=0,backlog_bytes=10,inflight_bytes=12',
        'received_bytes=4000,ingress_bytes=0,ingress_bytes_decompressed=0,egress_bytes=0,egress_bytes_decompressed=0',
      ].join(),
      clock_state: 'degraded',
      clock_offset_ms: '150',
    })
    expect(fields).not.toHaveProperty('cmdstat_get')
  })

  it('shows the sections that are asked for', () => {
    const client = informed().client()
    const titles = (...names: string[]): string[] =>
      [...client.call('INFO', ...names).matchAll(/^# (\w+)/gm)].map(([, title]) => title ?? '')
    expect(titles('keyspace')).toEqual(['Keyspace'])
    expect(titles('CLOCK', 'server')).toEqual(['Server', 'Clock'])
    expect(titles('nothing')).toEqual([])
    expect(titles('all')).toContain('Commandstats')
    expect(titles('default')).not.toContain('Commandstats')
    client.call('GET')
    expect(fieldsOf(client.call('INFO', 'commandstats'))).toMatchObject({
      cmdstat_get: 'calls=6,usec=18,usec_per_call=3.00,rejected_calls=1,failed_calls=2',
    })
    client.call('HELLO', '3')
    expect(client.call('INFO', 'cluster')).toBe('=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n')
  })

  it('tells of shards that are not there', () => {
    const world = informed()
    const client = world.client()
    world.shards[1]?.kill()
    world.world.settle()
    expect(fieldsOf(client.call('INFO'))).toMatchObject({
      loading: '1',
      crdt_shards_missing: '1',
      db0: 'keys=10,expires=0,avg_ttl=0',
    })
    world.shards[0]?.kill()
    world.world.settle()
    expect(fieldsOf(client.call('INFO', 'persistence'))).toMatchObject({
      rdb_last_save_time: '0',
      rdb_last_bgsave_time_sec: '-1',
      rdb_saves: '0',
    })
  })
})

describe('MEMORY', () => {
  it('STATS has the fields of Redis that mean something here', () => {
    const client = informed().client()
    const words = client.call('MEMORY', 'STATS').split('\r\n')
    const field = (name: string): string | undefined => {
      const at = words.indexOf(name)
      return words[at + 1]?.startsWith(':') ? words[at + 1]?.slice(1) : words[at + 2]
    }
    expect(words[0]).toBe('*24')
    expect(field('total.allocated')).toBe(String(4 * 1024 * 1024))
    expect(field('peak.allocated')).toBe(String(6 * 1024 * 1024))
    expect(field('replication.backlog')).toBe('100')
    expect(field('keys.count')).toBe('30')
    expect(field('keys.bytes-per-key')).toBe(String(Math.round((2 * 1024 * 1024) / 30)))
    expect(field('dataset.bytes')).toBe(String(2 * 1024 * 1024))
    expect(field('fragmentation')).toBe('2')
    client.call('HELLO', '3')
    expect(client.call('MEMORY', 'STATS')).toMatch(/^%12\r\n\$14\r\npeak\.allocated\r\n:/)
  })

  it('STATS is refused when a shard is missing', () => {
    const world = informed()
    const client = world.client()
    world.shards[1]?.kill()
    world.world.settle()
    expect(client.call('MEMORY', 'STATS')).toBe('-UNAVAILABLE shard 1 did not answer; try again\r\n')
    expect(client.call('MEMORY', 'DOCTOR')).toContain('Shards 1 did not answer')
  })

  it('DOCTOR says what is unusual', () => {
    const world = informed()
    const client = world.client()
    expect(client.call('MEMORY', 'DOCTOR')).toContain('Shard 1 is at its memory limit')
    const figures = (memory: Partial<ShardInfo['memory']>, more: Partial<ShardInfo> = {}) => {
      for (const shard of world.shards) {
        const info = shardInfo(shard.index)
        shard.info = () => ({ ...info, ...more, memory: { ...info.memory, intakePaused: false, ...memory } })
      }
      return client.call('MEMORY', 'DOCTOR')
    }
    expect(figures({})).toBe('$26\r\nNothing unusual was found.\r\n')
    expect(figures({ usedBytes: 3.5 * 1024 * 1024 })).toContain('7.00M of the 8.00M that maxmemory allows')
    const much = 50 * 1024 * 1024
    expect(figures({ totalBytes: much, peakBytes: 3 * much })).toContain(
      'The peak was 300.00M, now it is 100.00M',
    )
    expect(figures({ totalBytes: much, peakBytes: much }, { memoryRssBytes: 2 * much })).toContain(
      'take 200.00M, 2.00 times what is in use',
    )
    const log = { ...shardInfo(0).log, backlogBytes: 2 * 1024 * 1024 }
    expect(figures({ totalBytes: much, peakBytes: much }, { memoryRssBytes: much, log })).toContain(
      'window of the log in memory, 4.00M, is larger than the data',
    )
  })

  it('has nothing to say of an allocator', () => {
    const client = informed().client()
    expect(client.call('MEMORY', 'MALLOC-STATS')).toContain('Stats not supported for the current allocator')
    expect(client.call('MEMORY', 'PURGE')).toBe('+OK\r\n')
    expect(client.call('MEMORY', 'HELP')).toContain('USAGE <key> [SAMPLES <count>]')
  })
})

describe('the version', () => {
  it('is that of the package', () => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
    expect((JSON.parse(text) as { version: string }).version).toBe(antipodeVersion)
  })
})

describe('CRDT DIGEST', () => {
  it('does not depend on the number of shards, nor on empty slots', () => {
    const digest = (slots: Record<number, string>[]): string => {
      const world = new ProxyWorld({ shardCount: slots.length })
      world.shards.forEach((shard, i) => {
        shard.info = () => ({ slots: slots[i] })
      })
      return world.client().call('CRDT', 'DIGEST')
    }
    const two = digest([{ 1: 'aa' }, { 9000: 'bb', 9001: '0000000000000000' }])
    expect(two).toMatch(/^\$16\r\n[0-9a-f]{16}\r\n$/)
    expect(digest([{ 1: 'aa', 9000: 'bb' }])).toBe(two)
    expect(digest([{ 1: 'aa', 9000: 'bc' }])).not.toBe(two)
    expect(digest([{ 2: 'aa', 9000: 'bb' }])).not.toBe(two)
  })

  it('is refused when a shard is missing', () => {
    const world = informed()
    const client = world.client()
    world.shards[0]?.kill()
    world.world.settle()
    expect(client.call('CRDT', 'DIGEST')).toBe('-UNAVAILABLE shard 0 did not answer; try again\r\n')
  })
})
