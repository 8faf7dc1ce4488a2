/** CLIENT TRACKING as a shard has it: what is remembered, what makes it be told, and when. */
import { describe, expect, test } from 'vitest'
import { FrameFlag } from '#protocol/frames/frame.ts'
import type { Invalidated } from '#protocol/frames/tracking.ts'
import type { ProxySide } from './proxySide.ts'
import { TestShard } from './testShard.ts'
import { carry, pair } from './twoClusters.ts'

const read = (key: string, ...sessions: number[]): Invalidated => ({ what: 'read', key, sessions })

/** What has been told since the last call. */
function told(shard: TestShard, proxy: ProxySide = shard.proxy): Invalidated[] {
  shard.world.settle()
  return proxy.invalidated.splice(0)
}

function tracked(shard: TestShard, session: number, ...requests: string[][]): void {
  shard.proxy.sendTracked(session, requests)
  shard.world.settle()
}

describe('a key that a client has read', () => {
  test('is told of once, to all who have read it, whether it was there or not', () => {
    const shard = new TestShard()
    tracked(shard, 7, ['GET', 'k'])
    tracked(shard, 8, ['STRLEN', 'k'])
    shard.run('GET', 'k')
    expect(told(shard)).toEqual([])
    shard.run('SET', 'k', '1')
    expect(told(shard)).toEqual([read('k', 7, 8)])
    shard.run('SET', 'k', '2')
    expect(told(shard)).toEqual([])
  })

  test('is told of behind the reply of its change, and before the next one', () => {
    const shard = new TestShard()
    shard.proxy.sendTracked(7, [
      ['GET', 'k'],
      ['SET', 'k', '1'],
      ['GET', 'k'],
      ['SET', 'k', '2'],
    ])
    shard.world.settle()
    expect(shard.proxy.inOrder).toEqual(['$-1\r\n+OK\r\n', read('k', 7), '$1\r\n1\r\n+OK\r\n', read('k', 7)])
  })

  test('is told of behind a read that saw what was before, also while the log is not durable', () => {
    const shard = new TestShard({ database: { persistence: 'always' } })
    shard.run('SET', 'k', '1')
    shard.proxy.inOrder.length = 0
    shard.proxy.sendTracked(7, [['GET', 'k']])
    const other = shard.connect()
    other.send('SET', 'k', '2')
    shard.world.settle()
    expect(shard.proxy.inOrder).toEqual(['$1\r\n1\r\n', read('k', 7)])
  })

  test.each([
    ['a command', (shard: TestShard) => shard.run('APPEND', 'k', 'x')],
    ['a delete', (shard: TestShard) => shard.run('DEL', 'k')],
    ['a TTL', (shard: TestShard) => shard.run('EXPIRE', 'k', '100')],
    ['RENAME', (shard: TestShard) => shard.run('RENAME', '{k}o', 'k')],
    ['a transaction', (shard: TestShard) => shard.proxy.transaction(0, ['SET', 'k', '1'], ['SET', 'k', '2'])],
    ['a script', (shard: TestShard) => shard.run('EVAL', "return redis.call('set', KEYS[1], '3')", '1', 'k')],
  ])('is told of when %s changes it', (_, change) => {
    const shard = new TestShard()
    shard.run('SET', '{k}o', 'other')
    shard.run('SET', 'k', 'v')
    tracked(shard, 7, ['GET', 'k'])
    change(shard)
    expect(told(shard)).toEqual([read('k', 7)])
  })

  test('was read by whatever the script or the transaction called', () => {
    const shard = new TestShard()
    tracked(shard, 7, [
      'EVAL',
      "redis.call('get', KEYS[2]); return redis.call('set', KEYS[1], '1')",
      '2',
      '{k}a',
      '{k}b',
    ])
    expect(told(shard)).toEqual([])
    shard.run('SET', '{k}a', '2')
    expect(told(shard)).toEqual([])
    shard.run('SET', '{k}b', '2')
    expect(told(shard)).toEqual([read('{k}b', 7)])
    shard.proxy.frame(3, `\x07\0\0\0*2\r\n$3\r\nGET\r\n$4\r\n{k}b\r\n`, FrameFlag.tracked)
    shard.run('SET', '{k}b', '3')
    expect(told(shard)).toEqual([read('{k}b', 7)])
  })

  test('is told of when another cluster changes it', () => {
    const { a, b, connect } = pair()
    connect()
    tracked(a, 7, ['GET', 'k'])
    b.run('SET', 'k', 'theirs')
    carry(a, b, 100)
    expect(told(a)).toEqual([read('k', 7)])
    expect(a.run('GET', 'k')).toBe('$6\r\ntheirs\r\n')
    tracked(a, 7, ['GET', 'k'])
    b.run('FLUSHALL')
    carry(a, b, 100)
    expect(told(a)).toEqual([read('k', 7)])
  })

  test('is told of when the state of its slot comes, with one of those it holds or lacks', () => {
    const { a, b, connect } = pair()
    b.run('SET', '{s}k', 'theirs')
    for (let i = 0; i < 50; i++) b.run('SET', `{s}${i}`, 'theirs')
    tracked(a, 7, ['GET', '{s}k'])
    connect()
    carry(a, b, 2000)
    expect(told(a)).toEqual([read('{s}k', 7)])
    expect(a.run('GET', '{s}k')).toBe('$6\r\ntheirs\r\n')
  })

  test('is told of when its TTL has passed, and not only when it is deleted', () => {
    const { a, b, connect } = pair()
    connect()
    b.run('SET', 'k', 'v', 'PX', '500')
    b.run('HSET', 'h', 'f', 'v')
    b.run('HPEXPIRE', 'h', '500', 'FIELDS', '1', 'f')
    carry(a, b, 100)
    tracked(a, 7, ['GET', 'k'], ['HGETALL', 'h'])
    // The other cluster, whose TTL it is, is cut off.
    a.world.advance(300)
    expect(told(a)).toEqual([])
    a.world.advance(250)
    expect(told(a)).toEqual([read('k', 7), read('h', 7)])
    expect(a.run('EXISTS', 'k')).toBe(':0\r\n')
  })

  test('is told of when it is evicted', () => {
    const shard = new TestShard({ database: { memorySizeBytes: 300_000, evictionPolicy: 'allkeys-random' } })
    shard.run('SET', 'k', 'v')
    tracked(shard, 7, ['GET', 'k'])
    for (let i = 0; i < 3000 && shard.run('EXISTS', 'k') === ':1\r\n'; i++) {
      shard.run('SET', `k${i}`, 'x'.repeat(300))
      shard.world.advance(1)
    }
    expect(shard.run('EXISTS', 'k')).toBe(':0\r\n')
    expect(told(shard)).toEqual([read('k', 7)])
  })

  test('that a client has waited for is told of when it is read again', () => {
    const shard = new TestShard()
    shard.proxy.frame(
      15,
      `\x07\0\0\0*6\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n$1\r\nx\r\n$1\r\n$\r\n`,
      FrameFlag.tracked,
    )
    shard.run('XADD', 'x', '*', 'f', 'v')
    expect(told(shard)).toEqual([read('x', 7)])
    shard.run('XADD', 'x', '*', 'f', 'v')
    expect(told(shard)).toEqual([read('x', 7)])
  })
})

describe('a client', () => {
  test('with NOLOOP is not told of its own changes, others are', () => {
    const shard = new TestShard()
    const flags = FrameFlag.tracked | FrameFlag.noLoop
    shard.proxy.sendTracked(7, [['GET', 'k']], flags)
    shard.proxy.sendTracked(8, [['GET', 'k']])
    shard.proxy.sendTracked(7, [['SET', 'k', '1']], flags)
    expect(told(shard)).toEqual([read('k', 8)])
    shard.run('SET', 'k', '2')
    expect(told(shard)).toEqual([])
  })

  test('is nobody any more when its worker has said that it is gone, or when the link breaks', () => {
    const shard = new TestShard()
    const other = shard.connect()
    tracked(shard, 7, ['GET', 'k'])
    other.sendTracked(7, [['GET', 'k']])
    shard.proxy.ask({ what: 'tracking', prefixes: [], gone: [7] })
    shard.world.settle()
    shard.run('SET', 'k', '1')
    expect(told(shard)).toEqual([])
    expect(told(shard, other)).toEqual([read('k', 7)])
    other.sendTracked(7, [['GET', 'k']])
    shard.world.settle()
    other.connection.close()
    shard.world.settle()
    shard.run('SET', 'k', '2')
    expect(told(shard)).toEqual([])
  })

  test('who is one of many of a key does not stay when it is gone', () => {
    const shard = new TestShard()
    for (let session = 1; session <= 1000; session++) {
      shard.proxy.sendTracked(session, [['GET', 'k']])
      shard.proxy.ask({ what: 'tracking', prefixes: [], gone: [session] })
      shard.world.settle()
    }
    expect(shard.shard.status().trackedReaders).toBeLessThan(20)
  })

  test('is told that everything has changed by FLUSHALL, a large one too, and of no key', () => {
    const shard = new TestShard()
    const flushed: Invalidated = { what: 'flushed' }
    shard.run('SET', 'k', '1')
    tracked(shard, 7, ['GET', 'k'])
    shard.run('FLUSHALL')
    expect(told(shard)).toEqual([flushed])
    shard.proxy.ask({ what: 'tracking', prefixes: [{ prefix: '', isWanted: true }], gone: [] })
    for (let i = 0; i < 10_500; i++) shard.proxy.send('SET', `k${i}`, 'v')
    shard.world.settle()
    told(shard)
    tracked(shard, 7, ['GET', 'k1'])
    shard.proxy.send('FLUSHALL')
    shard.world.advance(1000)
    expect(told(shard)).toEqual([flushed])
    shard.run('SET', 'k1', 'v')
    expect(told(shard)).toEqual([{ what: 'changed', keys: [{ key: 'k1', writer: 0 }] }])
    expect(shard.run('FLUSHALL', 'NOW')).toMatch(/^-ERR syntax/)
    expect(told(shard)).toEqual([])
  })
})

describe('prefixes of a worker', () => {
  const ask = (proxy: ProxySide, prefix: string, isWanted = true) =>
    proxy.ask({ what: 'tracking', prefixes: [{ prefix, isWanted }], gone: [] })

  test('are answered by the keys of a turn that begin so, in their order, with who wrote them', () => {
    const shard = new TestShard()
    const other = shard.connect()
    ask(shard.proxy, 'a')
    ask(shard.proxy, 'b')
    ask(other, 'ab')
    shard.world.settle()
    shard.proxy.send('MSET', 'b', '1', 'c', '1')
    shard.proxy.sendTracked(7, [['SET', 'ab', '1']], FrameFlag.noLoop)
    other.sendTracked(7, [['SET', 'ac', '1']], FrameFlag.noLoop)
    const keys = [
      { key: 'ab', writer: 7 },
      { key: 'ac', writer: 0 },
      { key: 'b', writer: 0 },
    ]
    const [one, ...more] = told(shard)
    expect(
      [one, ...more].flatMap((invalidated) => (invalidated?.what === 'changed' ? invalidated.keys : [])),
    ).toEqual(expect.arrayContaining(keys))
    expect(told(shard, other)).toEqual([{ what: 'changed', keys: [{ key: 'ab', writer: 0 }] }])
    expect(shard.shard.status()).toMatchObject({ trackedPrefixes: 3, trackedKeys: 0 })
    for (const prefix of ['a', 'b']) ask(shard.proxy, prefix, false)
    shard.world.settle()
    shard.run('SET', 'ab', '2')
    expect(told(shard)).toEqual([])
  })
})

describe('the table', () => {
  test('has a limit: beyond it the readers of an old key are told', () => {
    const shard = new TestShard({ limits: { trackingTableKeysMax: 10 } })
    for (let i = 0; i < 30; i++) tracked(shard, 7, ['GET', `k${i}`])
    expect(shard.shard.status()).toMatchObject({
      trackedKeys: 10,
      trackedReaders: 10,
      settings: { trackingTableKeysMax: 10 },
    })
    const forgotten = told(shard).map((invalidated) => (invalidated.what === 'read' ? invalidated.key : ''))
    expect(new Set(forgotten).size).toBe(20)
    for (let i = 0; i < 30; i++) shard.run('SET', `k${i}`, 'v')
    expect(told(shard)).toHaveLength(10)
  })

  test('has the limit for readers, too, and it can be changed', () => {
    const shard = new TestShard({ limits: { trackingTableKeysMax: 2 } })
    for (let session = 1; session <= 100; session++) tracked(shard, session, ['GET', 'k'])
    expect(shard.shard.status().trackedReaders).toBeLessThanOrEqual(32)
    told(shard)
    shard.proxy.ask({ what: 'configure', settings: { trackingTableKeysMax: 0 } })
    shard.world.settle()
    for (let session = 1; session <= 100; session++) tracked(shard, session, ['GET', 'k'])
    expect(shard.shard.status().trackedReaders).toBeGreaterThanOrEqual(100)
    expect(told(shard)).toEqual([])
    const tag = shard.proxy.ask({ what: 'configure', settings: { trackingTableKeysMax: -1 } })
    shard.world.settle()
    expect(shard.proxy.adminAnswers.get(tag)).toEqual({ error: 'trackingTableKeysMax can not be -1' })
  })

  test('is not kept by keys that were read with a TTL, again and again', () => {
    const shard = new TestShard()
    for (let i = 0; i < 50; i++) {
      shard.run('SET', 'k', 'v', 'EX', '1000')
      tracked(shard, 7, ['GET', 'k'])
    }
    told(shard)
    shard.run('SET', 'k', 'v')
    tracked(shard, 7, ['GET', 'k'])
    told(shard)
    shard.world.advance(1_200_000)
    expect(told(shard)).toEqual([])
  })
})
