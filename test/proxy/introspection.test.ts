/** INFO, CONFIG and CRDT DIGEST. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { antipodeVersion } from '#proxy/local/version.ts'
import { ProxyWorld } from './proxyWorld.ts'

const shardInfo = (index: number): ShardInfo => ({
  index,
  runId: `run-${index}`,
  uptimeMs: 1000,
  streamIdMode: 'strict',
  notifyKeyspaceEvents: '',
  writesRefused: null,
  stale: false,
  keys: 10 * (index + 1),
  expiringKeys: index,
  averageTtlMs: 500,
  expiredKeys: 1,
  residues: 2,
  residuesJudged: 8,
  residuesForgotten: 6,
  watchedKeys: 3,
  trackedKeys: 4,
  trackedReaders: 6,
  trackedPrefixes: 2,
  trackingTableKeysMax: 1_000_000,
  blockedClients: 5,
  blockedForEver: 2,
  blockingKeys: 4,
  channels: 6,
  patterns: 7,
  shardChannels: 8,
  errors: {},
  histograms: {},
  commandsProcessed: 4,
  commandsPerSecond: 5,
  links: 1,
  memoryRssBytes: 4 * 1024 * 1024,
  memory: {
    usedBytes: 1024 * 1024,
    totalBytes: 2 * 1024 * 1024,
    peakBytes: 3 * 1024 * 1024,
    baseBytes: 1024 * 1024 - 50,
    settings: { memorySizeBytes: 8 * 1024 * 1024, evictionPolicy: 'allkeys-lru', evictionSamples: 7 },
    evictedKeys: 3,
    intakePaused: index === 1,
  },
  cpuUserMs: 1000,
  cpuSystemMs: 500,
  loopLateMs: index,
  log: {
    persistence: 'everysec',
    startPosition: 0,
    endPosition: 100,
    writtenPosition: 100,
    syncedPosition: 90,
    backlogBytes: 50,
    backlogBytesMax: 1000,
    failure: null,
    snapshot: {
      running: index === 1,
      scheduled: false,
      writtenBytes: 100,
      runningMs: 2000,
      completed: 3 + index,
      failed: 0,
      lastFailed: false,
      lastTookMs: 1500,
      lastSavedMs: 1_700_000_000_000 + index * 10_000,
      sizeBytes: 1000,
      logBytes: 60,
      changes: 7,
    },
  },
  clock: {
    state: index === 1 ? 'degraded' : 'ok',
    offsetMs: 150,
    source: 'ntp',
    degradedMs: 100,
    gateMs: 1000,
    lastStamp: 800 + index,
    aheadMs: 0,
    leaseLeftMs: 5000,
  },
  sync: {
    appliedRecords: 7,
    duplicateRecords: 1,
    mergedSlotStates: 3,
    comparedSlotStates: 2,
    heldRecords: 0,
    heldBytes: 0,
    holdOverflows: 0,
    observed: { 1: 800 + index, 2: 70 - index },
    leastApplied: index === 0 ? { 1: 500 } : { 1: 400, 2: 60 },
    recoveredWithStates: index === 1,
    members: [
      {
        clusterId: 2,
        name: 'c2',
        connected: true,
        caughtUp: index === 0,
        stale: false,
        lagOperations: 3 + index,
        lagMs: 40 - index,
        behindMs: 5 + index,
        heldRecords: 1,
        heldMs: 7 - index,
        receivedBytes: 2000,
        fullSyncs: 1,
        partialSyncs: 2,
        failedPartialSyncs: index,
        acknowledgedMs: {},
      },
    ],
    feeds: [{ peer: 2, caughtUp: true, behindBytes: 5, inflightBytes: 6, slotStatesOwed: 0 }],
    intakes: [
      {
        peer: 2,
        sourceShard: 0,
        caughtUp: true,
        stale: false,
        refusing: index === 1,
        heardAgoMs: 12,
        slotStatesPlanned: 3,
        slotStatesTaken: 1,
        heldCount: 0,
      },
    ],
  },
  commands: { get: { calls: 3, microseconds: 9, rejectedCalls: 0, failedCalls: 1 } },
})

function informed(shardCount = 2): ProxyWorld {
  const world = new ProxyWorld({ shardCount })
  for (const shard of world.shards) {
    shard.info = (what) =>
      what === 'info' ? shardInfo(shard.index) : { slots: { [shard.index * 9000]: 'aa' } }
  }
  return world
}

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

describe('CONFIG', () => {
  it('GET takes patterns', () => {
    const client = new ProxyWorld().client()
    expect(client.call('CONFIG', 'GET', 'maxclients')).toBe('*2\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n')
    expect(client.call('CONFIG', 'GET', 'MAXCL*', 'databases', 'maxclients')).toBe(
      '*4\r\n$9\r\ndatabases\r\n$1\r\n1\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n',
    )
    expect(client.call('CONFIG', 'GET', 'nothing')).toBe('*0\r\n')
    expect(client.call('CONFIG', 'GET', 'append*')).toBe(
      '*4\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n',
    )
    expect(client.call('CONFIG', 'GET', '*')).not.toContain('secret')
    client.call('HELLO', '3')
    expect(client.call('CONFIG', 'GET', 'save')).toBe('%1\r\n$4\r\nsave\r\n$0\r\n\r\n')
  })

  it('SET changes what can be changed, and what is changed counts at once', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const set = (...pairs: string[]): string => client.call('CONFIG', 'SET', ...pairs)
    expect(set('maxclients', '2', 'timeout', '7')).toBe('+OK\r\n')
    expect(client.call('CONFIG', 'GET', 'timeout')).toBe('*2\r\n$7\r\ntimeout\r\n$1\r\n7\r\n')
    world.client()
    expect(world.client().read()).toBe('-ERR max number of clients reached\r\n')
    expect(set('client-query-buffer-limit', '70kb')).toBe('+OK\r\n')
    expect(client.call('ECHO', 'x'.repeat(71_680))).toContain('-ERR Protocol error')
  })

  it('GET and SET of maxmemory and its kin are a matter of the shards', () => {
    const world = informed()
    const client = world.client()
    expect(client.call('CONFIG', 'GET', 'maxmemory')).toBe('*2\r\n$9\r\nmaxmemory\r\n$7\r\n8388608\r\n')
    expect(client.call('CONFIG', 'GET', 'maxc*', 'maxmemory-[ps]*')).toBe(
      '*6\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n' +
        '$16\r\nmaxmemory-policy\r\n$11\r\nallkeys-lru\r\n$17\r\nmaxmemory-samples\r\n$1\r\n7\r\n',
    )
    const asked: unknown[] = []
    for (const shard of world.shards) {
      shard.info = (what, question) => {
        asked.push(question)
        return what === 'configure' ? {} : shardInfo(shard.index)
      }
    }
    const set = (...pairs: string[]): string => client.call('CONFIG', 'SET', ...pairs)
    expect(set('maxmemory', '100mb', 'maxclients', '7', 'MAXMEMORY-policy', 'volatile-LFU')).toBe('+OK\r\n')
    const question = {
      what: 'configure',
      memory: { memorySizeBytes: 100 * 1024 * 1024, evictionPolicy: 'volatile-lfu' },
    }
    expect(asked).toEqual([question, question])
    expect(client.call('CONFIG', 'GET', 'maxclients')).toContain('$1\r\n7\r\n')
    expect(set('crdt_xadd_id_uniqueness_mode', 'Semi-Strict')).toBe('+OK\r\n')
    expect(asked.slice(2)).toEqual(
      Array(2).fill({ what: 'configure', memory: {}, streamIdMode: 'semi-strict' }),
    )
    expect(client.call('CONFIG', 'GET', 'crdt_*')).toContain('$6\r\nstrict\r\n')
    asked.splice(2)
    expect(set('crdt_xadd_id_uniqueness_mode', 'loose')).toContain(
      '- argument(s) must be one of the following: strict, semi-strict, liberal',
    )
    expect(set('maxmemory-samples', '65')).toContain('- argument must be between 1 and 64 inclusive')
    expect(set('maxmemory', '-1')).toContain('- argument must be a memory value')
    expect(asked).toHaveLength(2)
  })

  it.each(['constructor', '__proto__', 'foo'])('SET says that nobody knows the setting %s', (name) => {
    const client = new ProxyWorld().client()
    const error = `-ERR Unknown option or number of arguments for CONFIG SET - '${name}'\r\n`
    expect(client.call('CONFIG', 'SET', name, '1')).toBe(error)
    expect(client.call('CONFIG', 'SET', 'maxclients', '5', name, '1')).toBe(error)
    expect(client.call('CONFIG', 'GET', name)).toBe('*0\r\n')
  })

  it('SET of client-output-buffer-limit changes the classes that it names', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const name = 'client-output-buffer-limit'
    const shown = (): string => client.call('CONFIG', 'GET', name).split('\r\n')[4] ?? ''
    const set = (text: string): string => client.call('CONFIG', 'SET', name, text)
    expect(shown()).toBe('normal 1048576 0 60 slave 0 0 0 pubsub 262144 0 60')
    expect(set('pubsub 8mb 2mb 60')).toBe('+OK\r\n')
    expect(set('Normal 0 64kb 5 replica 256mb 64mb 60')).toBe('+OK\r\n')
    expect(shown()).toBe('normal 8589934592 65536 5 slave 0 0 0 pubsub 8388608 2097152 60')
    expect(world.proxy.limits).toMatchObject({
      outputBytesMax: 8 * 1024 ** 3,
      subscriberOutputSoftBytes: 2 * 1024 ** 2,
    })
    const failed = (why: string): string =>
      `-ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}\r\n`
    expect(set('normal 1 2')).toBe(failed('Wrong number of arguments in buffer limit configuration.'))
    for (const unknown of ['foo', 'constructor', '__proto__'])
      expect(set(`${unknown} 1 2 3`)).toBe(
        failed('Invalid client class specified in buffer limit configuration.'),
      )
    const error = failed('Error in hard, soft or soft_seconds setting in buffer limit configuration.')
    expect([set('normal 1mb 2mb x'), set('normal -1 2 3'), set('pubsub 1mb two 3')]).toEqual([
      error,
      error,
      error,
    ])
    expect(set('normal 1 0 0')).toContain('a hard limit must be 0 or between 65536 and 8589934592 inclusive')
    expect(set('normal 0 0 4000')).toContain('soft limits must be at most')
    expect(set('')).toBe('+OK\r\n')
    expect(shown()).toBe('normal 8589934592 65536 5 slave 0 0 0 pubsub 8388608 2097152 60')
  })

  it('SET of what a shard does not take changes nothing in the proxy', () => {
    const world = informed()
    const client = world.client()
    for (const shard of world.shards) shard.info = () => (shard.index === 1 ? { error: 'no' } : {})
    expect(client.call('CONFIG', 'SET', 'maxclients', '7', 'maxmemory', '1')).toBe(
      '-UNAVAILABLE shard 1 did not take the settings; try again\r\n',
    )
    expect(client.call('CONFIG', 'GET', 'maxclients')).toContain('$3\r\n100\r\n')
  })

  it('GET of maxmemory without a shard tells what is configured', () => {
    const world = informed()
    const client = world.client()
    for (const shard of world.shards) shard.kill()
    world.world.settle()
    expect(client.call('CONFIG', 'GET', 'maxmemory')).toBe('*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n')
  })

  it('SET refuses what Redis refuses, and then changes nothing', () => {
    const client = new ProxyWorld().client()
    const set = (...pairs: string[]): string => client.call('CONFIG', 'SET', ...pairs)
    expect(set('foo', '1')).toBe("-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n")
    expect(set('port', '1')).toBe(
      "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config\r\n",
    )
    expect(set('timeout', 'x')).toContain("- argument couldn't be parsed into an integer")
    expect(set('timeout', '-1')).toContain('- argument must be between 0 and 2147483647 inclusive')
    expect(set('client-query-buffer-limit', '1tb')).toContain('- argument must be a memory value')
    expect(set('timeout', '1', 'TIMEOUT', '2')).toContain('- duplicate parameter')
    expect(set('timeout', '5', 'maxclients', 'x')).toContain("'maxclients'")
    expect(set('timeout', '5', 'maxclients')).toBe('-ERR syntax error\r\n')
    expect(client.call('CONFIG', 'GET', 'timeout')).toBe('*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n')
  })
})
