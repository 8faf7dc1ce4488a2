/** A shard whose memory is limited: what it refuses, what it evicts, and what it does with the operations of peers. */
import { describe, expect, test } from 'vitest'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import type { EvictionPolicy } from '#protocol/frames/memory.ts'
import { Keyspace, type KeyspaceOptions } from '#server/store/keyspace.ts'
import { type ShardChanges, TestShard } from './testShard.ts'
import { carry, open, pair } from './twoClusters.ts'

const outOfMemory = "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
const memorySizeBytes = 100_000
const value = 'v'.repeat(100)

const limited = (evictionPolicy: EvictionPolicy, changes: ShardChanges = {}) =>
  new TestShard({ ...changes, database: { memorySizeBytes, evictionPolicy, ...changes.database } })

/** SETs new keys until one is refused; returns how many were taken. */
function fill({ run }: { run: TestShard['run'] }, max = 1000): number {
  for (let i = 0; i < max; i++) if (run('SET', `k${i}`, value) === outOfMemory) return i
  return max
}

const bound = (shard: TestShard) => ({ shard, run: shard.run.bind(shard) })

function ask(shard: TestShard, question: unknown): unknown {
  const tag = shard.proxy.ask(question)
  shard.world.settle()
  return shard.proxy.adminAnswers.get(tag)
}

const info = (shard: TestShard): ShardInfo => ask(shard, { what: 'info' }) as ShardInfo

describe('noeviction', () => {
  test('refuses what needs memory from 95 % on, and nothing else', () => {
    const { shard, run } = bound(limited('noeviction'))
    const count = fill({ run })
    const { usedBytes } = shard.shard.db
    expect(usedBytes).toBeGreaterThanOrEqual(memorySizeBytes * 0.95)
    expect(usedBytes).toBeLessThan(memorySizeBytes * 0.96)
    expect(run('HSET', 'h', 'f', 'v')).toBe(outOfMemory)
    expect(run('APPEND', 'k0', 'v')).toBe(outOfMemory)
    expect(run('GET', 'k0')).toContain(value)
    expect(run('EXPIRE', 'k0', '100')).toBe(':1\r\n')
    expect(run('DEL', ...Array.from({ length: 10 }, (_, i) => `k${i}`))).toBe(':10\r\n')
    expect(run('HSET', 'h', 'f', 'v')).toBe(':1\r\n')
    expect(shard.shard.db.size).toBe(count - 9)
    expect(info(shard).memory.evictedKeys).toBe(0)
  })

  test('counts refusals as Redis does', () => {
    const { shard, run } = bound(limited('noeviction'))
    fill({ run })
    run('SET', 'more', value)
    expect(info(shard).commands['set']).toMatchObject({ rejectedCalls: 2, failedCalls: 0 })
  })

  test('refuses a transaction that needs memory, whole', () => {
    const { shard, run } = bound(limited('noeviction'))
    fill({ run })
    const send = (...requests: string[][]): string => {
      const tag = shard.proxy.transaction(0, ...requests)
      shard.world.settle()
      return shard.proxy.reply(tag) ?? ''
    }
    expect(send(['DEL', 'k0'], ['SET', 'k0', 'v'])).toBe(
      "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n",
    )
    expect(run('EXISTS', 'k0')).toBe(':1\r\n')
    expect(send(['DEL', 'k0'], ['GET', 'k0'])).toBe('*2\r\n:1\r\n$-1\r\n')
  })

  test('a limit that is changed while the shard runs counts at once', () => {
    const { shard, run } = bound(limited('noeviction'))
    fill({ run })
    expect(ask(shard, { what: 'configure', settings: { memorySizeBytes: 0 } })).toEqual({})
    expect(run('SET', 'more', value)).toBe('+OK\r\n')
    expect(
      ask(shard, { what: 'configure', settings: { memorySizeBytes: 10_000, evictionSamples: 9 } }),
    ).toEqual({})
    expect(run('SET', 'more', value)).toBe(outOfMemory)
    expect(info(shard).settings).toMatchObject({
      memorySizeBytes: 10_000,
      evictionPolicy: 'noeviction',
      evictionSamples: 9,
    })
  })

  test('what is no setting is refused, and changes nothing', () => {
    const { shard } = bound(limited('noeviction'))
    const wrong: unknown[] = [
      { memorySizeBytes: -1 },
      { memorySizeBytes: 1.5 },
      { evictionPolicy: 'lru' },
      { evictionSamples: 0 },
      { evictionSamples: 65 },
      { nonsense: 1 },
    ]
    for (const memory of wrong) {
      const answer = ask(shard, {
        what: 'configure',
        settings: { memorySizeBytes: 5, ...(memory as object) },
      })
      expect(answer).toMatchObject({
        error: expect.stringMatching(/can not be|there is no setting nonsense/),
      })
    }
    expect(ask(shard, { what: 'configure', settings: 1 })).toMatchObject({ error: expect.any(String) })
    expect(info(shard).settings.memorySizeBytes).toBe(memorySizeBytes)
  })
})

describe('eviction', () => {
  test('a client that only writes is never refused, and memory stays below the line', () => {
    const { shard, run } = bound(limited('allkeys-lru'))
    expect(fill({ run }, 2000)).toBe(2000)
    expect(shard.shard.db.usedBytes).toBeLessThan(memorySizeBytes * 0.96)
    expect(info(shard).memory.evictedKeys).toBe(2000 - shard.shard.db.size)
    // No tick has come so far; the next ones go down to 80 %.
    shard.world.advance(200)
    expect(shard.shard.db.usedBytes).toBeLessThanOrEqual(memorySizeBytes * 0.8)
    expect(shard.shard.db.usedBytes).toBeGreaterThan(memorySizeBytes * 0.75)
  })

  test('a batch in one turn is served like that, too', () => {
    const { shard } = bound(limited('allkeys-random'))
    const tags = Array.from({ length: 1000 }, (_, i) => shard.proxy.send('SET', `k${i}`, value))
    shard.world.settle()
    expect(new Set(tags.map((tag) => shard.proxy.reply(tag)))).toEqual(new Set(['+OK\r\n']))
    expect(shard.shard.db.usedBytes).toBeLessThan(memorySizeBytes * 0.96)
  })

  test('volatile policies refuse when no key has a TTL, and spare those without one', () => {
    const { shard, run } = bound(limited('volatile-lru'))
    const count = fill({ run })
    expect(run('SET', 'more', value)).toBe(outOfMemory)
    for (let i = 0; i < count / 2; i++) run('EXPIRE', `k${i}`, '1000')
    expect(run('SET', 'more', value)).toBe('+OK\r\n')
    shard.world.advance(500)
    expect(shard.shard.db.usedBytes).toBeLessThanOrEqual(memorySizeBytes * 0.8)
    for (let i = Math.ceil(count / 2); i < count; i++) expect(run('EXISTS', `k${i}`)).toBe(':1\r\n')
  })

  test('is told to watchers, as any delete', () => {
    const { shard, run } = bound(limited('noeviction'))
    fill({ run })
    shard.proxy.watch(7, 'k0')
    ask(shard, { what: 'configure', settings: { evictionPolicy: 'allkeys-lru', memorySizeBytes: 1 } })
    shard.world.advance(500)
    expect(run('EXISTS', 'k0')).toBe(':0\r\n')
    const tag = shard.proxy.transaction(7, ['GET', 'k0'])
    shard.world.settle()
    expect(shard.proxy.reply(tag)).toBe('*-1\r\n')
  })

  test('is in the log: a restart does not bring evicted keys back', () => {
    const shard = limited('allkeys-lru')
    fill({ run: shard.run.bind(shard) }, 800)
    shard.world.advance(2000)
    const { size } = shard.shard.db
    expect(size).toBeLessThan(800)
    expect(shard.restart().shard.db.size).toBe(size)
  })

  test('waits while writes are refused', () => {
    const { shard, run } = bound(limited('noeviction'))
    const count = fill({ run })
    shard.shard.setClock({ state: 'gated', offsetMs: 5000, source: 'ntp', degradedMs: 100, gateMs: 1000 })
    ask(shard, { what: 'configure', settings: { evictionPolicy: 'allkeys-lru', memorySizeBytes: 1000 } })
    shard.world.advance(500)
    expect(run('SET', 'more', value)).toMatch(/^-CLOCKSKEW/)
    expect(shard.shard.db.size).toBe(count)
    shard.shard.setClock({ state: 'ok', offsetMs: 0, source: 'ntp', degradedMs: 100, gateMs: 1000 })
    shard.world.advance(500)
    expect(shard.shard.db.size).toBeLessThan(count)
  })
})

describe('OBJECT', () => {
  const noIdleTime = /^-ERR An LFU maxmemory policy is selected, idle time not tracked\./
  const noFrequency = /^-ERR An LFU maxmemory policy is not selected, access frequency not tracked\./

  test('tells what the policy has recorded', () => {
    const { shard, run } = bound(limited('noeviction'))
    run('SET', 'k', 'v')
    expect(run('OBJECT', 'FREQ', 'k')).toMatch(noFrequency)
    expect(run('OBJECT', 'IDLETIME', 'k')).toBe(':0\r\n')
    ask(shard, { what: 'configure', settings: { evictionPolicy: 'volatile-lfu' } })
    run('SET', 'new', 'v')
    expect(run('OBJECT', 'FREQ', 'new')).toBe(':5\r\n')
    expect(run('OBJECT', 'IDLETIME', 'new')).toMatch(noIdleTime)
    shard.world.advance(3 * 60_000)
    expect(run('OBJECT', 'FREQ', 'new')).toBe(':2\r\n')
    run('GET', 'new')
    expect(run('OBJECT', 'FREQ', 'new')).toBe(':3\r\n')
    expect([run('OBJECT', 'FREQ', 'none'), run('OBJECT', 'IDLETIME', 'none')]).toEqual(['$-1\r\n', '$-1\r\n'])
  })
})

describe('two clusters', () => {
  /** Cluster 1 has no limit, cluster 2 has. */
  function unequal(evictionPolicy: EvictionPolicy, linkInflightBytesMax = 1 << 20) {
    const { world, a, b } = pair({ limits: { linkInflightBytesMax } })
    open(a, b, 1)
    open(b, a, 2)
    carry(a, b, 500)
    const limit = (bytes: number) =>
      ask(b, { what: 'configure', settings: { memorySizeBytes: bytes, evictionPolicy } })
    limit(memorySizeBytes)
    return { world, a, b, limit }
  }

  const equal = (a: TestShard, b: TestShard): boolean =>
    JSON.stringify(ask(a, { what: 'digest' })) === JSON.stringify(ask(b, { what: 'digest' }))

  test('operations of a peer are applied in the reserve, where clients are refused', () => {
    const { a, b } = unequal('noeviction')
    fill({ run: b.run.bind(b) })
    carry(a, b, 500)
    a.run('SET', 'reserve', value)
    carry(a, b, 500)
    expect(b.run('SET', 'mine', value)).toBe(outOfMemory)
    expect(b.run('GET', 'reserve')).toContain(value)
    expect(info(b).memory.intakePaused).toBe(false)
  })

  test('at the limit the intake pauses, and everything arrives when there is room again', () => {
    const { a, b, limit } = unequal('noeviction', 4096)
    for (let i = 0; i < 400; i++) a.run('SET', `k${i}`, value.repeat(10))
    carry(a, b, 1000)
    expect(info(b).memory.intakePaused).toBe(true)
    expect(b.logger.lines).toContainEqual(
      expect.objectContaining({ message: 'the memory limit is reached: operations of peers wait' }),
    )
    // What was under way at that moment, a message or so, is applied, not dropped; the rest waits at the peer.
    expect(b.shard.db.usedBytes).toBeGreaterThanOrEqual(memorySizeBytes)
    expect(b.shard.db.usedBytes).toBeLessThan(memorySizeBytes + 150_000)
    expect(info(a).sync.feeds[0]?.behindBytes).toBeGreaterThan(100_000)
    // Who writes there knows, too.
    expect(info(a).sync.intakes).toMatchObject([{ refusing: true }])
    expect(info(b).sync.intakes).toMatchObject([{ refusing: false }])
    expect(a.logger.lines).toContainEqual(
      expect.objectContaining({
        message: "a peer takes no operations: its memory is full or its log can't be written",
        facts: { peer: 2, shard: 0 },
      }),
    )
    const stuckAt = b.shard.db.size
    carry(a, b, 2000)
    expect(b.shard.db.size).toBe(stuckAt)
    limit(10 * memorySizeBytes)
    carry(a, b, 2000)
    expect(info(b).memory.intakePaused).toBe(false)
    expect(info(a).sync.intakes).toMatchObject([{ refusing: false }])
    expect(a.logger.lines.filter(({ message }) => message.startsWith('a peer takes'))).toHaveLength(2)
    expect(b.shard.db.size).toBe(400)
    expect(equal(a, b)).toBe(true)
  })

  test('a shard whose disk is full says so to its peers, and goes on by itself', () => {
    const { a, b } = unequal('noeviction')
    b.disk.failAt = b.disk.calls
    b.disk.failsOn = true
    a.run('SET', 'k', 'v')
    carry(a, b, 1000)
    expect(info(a).sync.intakes).toMatchObject([{ refusing: true }])
    b.disk.failAt = Number.POSITIVE_INFINITY
    carry(a, b, 3000)
    expect(info(a).sync.intakes).toMatchObject([{ refusing: false }])
    expect(b.run('GET', 'k')).toContain('v')
    expect(equal(a, b)).toBe(true)
  })

  test('what one evicts is deleted at the other, and both stay equal', () => {
    const { a, b } = unequal('allkeys-lru')
    for (let i = 0; i < 1000; i++) {
      a.run('SET', `k${i}`, value)
      if (i % 50 === 0) carry(a, b, 100)
    }
    carry(a, b, 3000)
    const { evictedKeys } = info(b).memory
    expect(evictedKeys).toBeGreaterThan(0)
    expect(info(a).memory.evictedKeys).toBe(0)
    expect(a.shard.db.size).toBe(1000 - evictedKeys)
    expect(b.shard.db.usedBytes).toBeLessThanOrEqual(memorySizeBytes * 0.8)
    expect(equal(a, b)).toBe(true)
  })
})

/** A keyspace that says when it is full. */
class FillableKeyspace extends Keyspace {
  full = false

  override get isNearlyFull(): boolean {
    return this.full
  }
}

test('a shard that holds all it can address refuses what needs memory, without any limit', () => {
  const dbs: FillableKeyspace[] = []
  const newKeyspace = (options: KeyspaceOptions): Keyspace => {
    const db = new FillableKeyspace(options)
    dbs.push(db)
    return db
  }
  const shard = new TestShard({ variations: { newKeyspace } })
  const [db] = dbs as [FillableKeyspace]
  expect(shard.run('SET', 'a', 'v')).toBe('+OK\r\n')
  db.full = true
  shard.world.advance(100)
  expect(shard.run('SET', 'b', 'v')).toBe(outOfMemory)
  expect(shard.run('GET', 'a')).toBe('$1\r\nv\r\n')
  expect(info(shard).memory.intakePaused).toBe(true)
  expect(shard.run('DEL', 'a')).toBe(':1\r\n')
  db.full = false
  shard.world.advance(100)
  expect(shard.run('SET', 'b', 'v')).toBe('+OK\r\n')
  expect(info(shard).memory.intakePaused).toBe(false)
})
