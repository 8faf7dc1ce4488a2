/** What the keyspace says it uses, and what it shows of its keys for eviction. */
import { describe, expect, it } from 'vitest'
import { originOfCluster } from '#protocol/sync/stamp.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { TestDatabase } from '#test/commands/handlerDatabase.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const keyspaceOf = ({ database }: TestDatabase): Keyspace => database.keyspace

/** Another keyspace with the same state, which never held anything else. */
function copyOf(db: Keyspace): Keyspace {
  const copy = new Keyspace({ origin: originOfCluster(2), ranges: db.ranges })
  copy.nowMs = db.nowMs
  for (const slot of db.occupiedSlots()) {
    const writer = new ByteWriter()
    db.encodeSlot(slot, writer)
    copy.mergeSlot(slot, db.vectors.of(slot), writer.bytes, 0, writer.length)
  }
  return copy
}

function randomRequest(random: SeededRandom): string[] {
  const key = (type: string): string => `${type}${random.below(6)}`
  const text = (): string => 'x'.repeat(random.below(60))
  const element = (): string => `e${random.below(40)}`
  return random.pick<() => string[]>([
    () => ['SET', key('s'), text()],
    () => ['SET', key('s'), text(), 'PX', String(1 + random.below(5000))],
    () => ['APPEND', key('s'), text()],
    () => ['PERSIST', key('s')],
    () => ['INCR', key('c')],
    () => ['HSET', key('h'), element(), text()],
    () => ['HSET', key('h'), element(), text(), element(), text()],
    () => ['HINCRBY', key('h'), `n${random.below(5)}`, '2'],
    () => ['HDEL', key('h'), element(), `n${random.below(5)}`],
    () => ['SADD', key('t'), element(), element()],
    () => ['SREM', key('t'), element()],
    () => ['SPOP', key('t')],
    () => ['ZADD', key('z'), String(random.below(50)), element(), '3', element()],
    () => ['ZINCRBY', key('z'), '2', `n${random.below(5)}`],
    () => ['ZREM', key('z'), element(), `n${random.below(5)}`],
    () => [random.pick(['LPUSH', 'RPUSH']), key('l'), element(), text()],
    () => [random.pick(['LPOP', 'RPOP']), key('l')],
    () => ['LINSERT', key('l'), 'AFTER', element(), text()],
    () => ['LSET', key('l'), String(random.below(9)), text()],
    () => ['LTRIM', key('l'), '0', String(random.below(100))],
    () => ['XADD', key('x'), '*', 'f', text(), random.pick(['g', 'h']), text()],
    () => ['XADD', key('x'), 'MAXLEN', String(random.below(200)), '*', 'f', text()],
    () => ['XGROUP', 'CREATE', key('x'), element(), '0', 'MKSTREAM'],
    () => ['XGROUP', 'DESTROY', key('x'), element()],
    () => ['PEXPIRE', key(random.pick(['s', 'c', 'h', 't', 'z', 'l', 'x'])), String(1 + random.below(5000))],
    () => ['DEL', key(random.pick(['s', 'c', 'h', 't', 'z', 'l', 'x']))],
    () => ['RENAME', key('s'), key('s')],
    () => ['FLUSHALL'],
  ])()
}

describe('used bytes', () => {
  it('are about what a copy of the state uses, whatever happened before', () => {
    const random = new SeededRandom(seedFromEnv())
    const test = new TestDatabase()
    const db = keyspaceOf(test)
    let greatest = 0
    for (let step = 0; step < 4000; step++) {
      test.nowMs += random.below(50)
      test.run(...randomRequest(random))
      const { usedBytes } = db
      greatest = Math.max(greatest, usedBytes)
      if (step % 20 > 0) continue
      // Buckets of the index, and elements that were once many, may still have the room that they needed.
      const anewBytes = copyOf(db).usedBytes
      expect(usedBytes).toBeGreaterThanOrEqual(anewBytes * 0.9)
      expect(usedBytes).toBeLessThan(anewBytes * 4 + 200)
    }
    expect(greatest).toBeGreaterThan(1000)
  })

  it('grow with the texts, of one key too', () => {
    const test = new TestDatabase()
    const db = keyspaceOf(test)
    test.run('SET', 'k', 'x')
    const small = db.usedBytes
    expect(db.memoryUsage('k')).toBeLessThan(64)
    test.run('SET', 'k', 'x'.repeat(1001))
    expect(db.usedBytes).toBeGreaterThan(small + 1000)
    expect(db.usedBytes).toBeLessThan(small + 1250)
    expect(db.memoryUsage('k')).toBeGreaterThan(1000)
    expect(db.memoryUsage('k')).toBeLessThan(1250)
    test.run('SADD', 't', 'y'.repeat(500))
    test.run('HSET', 'h', 'f', 'z'.repeat(5000))
    const all = db.usedBytes
    expect(db.memoryUsage('h')).toBeGreaterThan(5000)
    test.run('HSET', 'h', 'f', '')
    expect(db.usedBytes).toBeLessThan(all - 5000)
    expect(db.memoryUsage('none')).toBeUndefined()
  })
})

describe('a sample of keys', () => {
  const sample = (db: Keyspace, count: number, volatileOnly: boolean, random = new SeededRandom(1)) => {
    const found: string[] = []
    db.sampleKeys(random, count, volatileOnly, (name) => found.push(name))
    return found
  }

  it('has as many different keys as were wanted, if there are', () => {
    const test = new TestDatabase()
    expect(sample(keyspaceOf(test), 5, false)).toEqual([])
    for (let i = 0; i < 3; i++) test.run('SET', `k${i}`, 'v')
    expect(sample(keyspaceOf(test), 5, false).sort()).toEqual(['k0', 'k1', 'k2'])
    expect(sample(keyspaceOf(test), 2, false)).toHaveLength(2)
    expect(sample(keyspaceOf(test), 5, true)).toEqual([])
  })

  it('has only keys with a TTL when only those may go', () => {
    const test = new TestDatabase()
    for (let i = 0; i < 100; i++) test.run('SET', `k${i}`, 'v', ...(i % 10 === 0 ? ['PX', '1000'] : []))
    test.run('SADD', 'set', 'm')
    test.run('EXPIRE', 'set', '10')
    const found = new Set<string>()
    for (let seed = 0; seed < 200; seed++)
      for (const name of sample(keyspaceOf(test), 3, true, new SeededRandom(seed))) found.add(name)
    expect([...found].sort()).toEqual(['set', ...Array.from({ length: 10 }, (_, i) => `k${i * 10}`)].sort())
  })

  it('tells the access and when the key expires', () => {
    const test = new TestDatabase()
    test.run('SET', 'k', 'v', 'PXAT', String(test.nowMs + 5000))
    const facts: number[][] = []
    const db = keyspaceOf(test)
    db.sampleKeys(new SeededRandom(1), 1, false, (_, access, expireAtMs) => {
      facts.push([db.accessClock.idleSeconds(access), expireAtMs])
    })
    expect(facts).toEqual([[0, test.nowMs + 5000]])
  })

  it('meets all keys about equally often', () => {
    const test = new TestDatabase()
    const names = Array.from({ length: 50 }, (_, i) => `{t}${i}`)
    for (const name of names) test.run('SET', name, 'v')
    const random = new SeededRandom(seedFromEnv())
    const times = new Map<string, number>()
    for (let i = 0; i < 2000; i++)
      for (const name of sample(keyspaceOf(test), 5, false, random))
        times.set(name, (times.get(name) ?? 0) + 1)
    // 200 times each, give or take.
    for (const name of names) expect(Math.abs((times.get(name) ?? 0) - 200), name).toBeLessThan(90)
  })
})
