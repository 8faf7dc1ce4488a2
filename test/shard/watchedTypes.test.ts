/** WATCH and blocking commands in transactions, for every type. */
import { describe, expect, test } from 'vitest'
import { TestShard } from './testShard.ts'
import { carry, pair } from './twoClusters.ts'

/** By what a key of the type comes about, and what changes it then. */
const types: Readonly<Record<string, { creates: string[]; changes: string[][] }>> = {
  string: {
    creates: ['SET', 'k', '1'],
    changes: [
      ['APPEND', 'k', '2'],
      ['INCR', 'k'],
      ['SETBIT', 'k', '1', '1'],
    ],
  },
  hash: {
    creates: ['HSET', 'k', 'f', '1'],
    changes: [
      ['HSET', 'k', 'g', 'v'],
      ['HINCRBY', 'k', 'f', '1'],
      ['HDEL', 'k', 'f'],
      ['HPEXPIRE', 'k', '100000', 'FIELDS', '1', 'f'],
    ],
  },
  set: {
    creates: ['SADD', 'k', 'm'],
    changes: [
      ['SADD', 'k', 'n'],
      ['SREM', 'k', 'm'],
      ['SPOP', 'k'],
    ],
  },
  'sorted set': {
    creates: ['ZADD', 'k', '1', 'm'],
    changes: [
      ['ZADD', 'k', '2', 'm'],
      ['ZINCRBY', 'k', '1', 'm'],
      ['ZREM', 'k', 'm'],
      ['ZPOPMIN', 'k'],
      ['GEOADD', 'k', '1', '1', 'p'],
    ],
  },
  list: {
    creates: ['RPUSH', 'k', 'v'],
    changes: [
      ['LPUSH', 'k', 'w'],
      ['LSET', 'k', '0', 'w'],
      ['LINSERT', 'k', 'BEFORE', 'v', 'w'],
      ['LPOP', 'k'],
      ['LTRIM', 'k', '1', '0'],
    ],
  },
  stream: {
    creates: ['XADD', 'k', '5', 'f', 'v'],
    changes: [
      ['XADD', 'k', '*', 'f', 'v'],
      ['XTRIM', 'k', 'MAXLEN', '0'],
      ['XSETID', 'k', '100-0'],
      ['XGROUP', 'CREATE', 'k', 'g', '0'],
    ],
  },
  HyperLogLog: {
    creates: ['PFADD', 'k', 'a'],
    changes: [
      ['PFADD', 'k', 'b'],
      ['SET', 'k', 'v'],
    ],
  },
}

const whatever = [
  ['DEL', 'k'],
  ['PEXPIRE', 'k', '100000'],
  ['RENAME', 'k', '{k}'],
  ['COPY', '{k}', 'k', 'REPLACE'],
  ['FLUSHALL'],
]

const cases = Object.entries(types).flatMap(([type, { creates, changes }]) =>
  [...changes, ...whatever].map((change) => ({ type, creates, change, line: change.join(' ') })),
)

describe('a watch on a key', () => {
  test.each(cases)('of a $type is touched by the other cluster: $line', ({ creates, change }) => {
    const { a, b, connect } = pair()
    connect()
    a.run(...creates)
    a.run('SET', '{k}', 'other')
    carry(a, b, 500)
    b.proxy.watch(7, 'k')
    b.world.settle()
    expect(a.run(...change).startsWith('-')).toBe(false)
    carry(a, b, 500)
    const touched = b.proxy.transaction(7, ['SET', 'done', '1'])
    b.world.settle()
    expect(b.proxy.reply(touched)).toBe('*-1\r\n')
  })

  test.each(Object.entries(types))(
    'of a %s is touched when it comes from the other cluster',
    (_, { creates }) => {
      const { a, b, connect } = pair()
      connect()
      b.proxy.watch(7, 'k')
      b.proxy.watch(8, 'other')
      b.world.settle()
      a.run(...creates)
      carry(a, b, 500)
      const touched = b.proxy.transaction(7, ['EXISTS', 'k'])
      const untouched = b.proxy.transaction(8, ['EXISTS', 'k'])
      b.world.settle()
      expect(b.proxy.reply(touched)).toBe('*-1\r\n')
      expect(b.proxy.reply(untouched)).toBe('*1\r\n:1\r\n')
    },
  )
})

describe('a command that blocks, in a transaction', () => {
  const run = (shard: TestShard, ...requests: string[][]): string | undefined => {
    const tag = shard.proxy.transaction(0, ...requests)
    shard.world.settle()
    return shard.proxy.reply(tag)
  }

  const commands: readonly (readonly [nothing: string, ...request: string[]])[] = [
    ['*-1', 'BLPOP', 'k', '0'],
    ['*-1', 'BRPOP', 'k', '{k}2', '0'],
    ['$-1', 'BLMOVE', 'k', '{k}2', 'LEFT', 'RIGHT', '0'],
    ['$-1', 'BRPOPLPUSH', 'k', '{k}2', '0'],
    ['*-1', 'BLMPOP', '0', '1', 'k', 'LEFT'],
    ['*-1', 'BZPOPMIN', 'k', '0'],
    ['*-1', 'BZPOPMAX', 'k', '0'],
    ['*-1', 'BZMPOP', '0', '1', 'k', 'MIN'],
  ]

  test.each(commands)('answers %s at once when there is nothing: %s', (nothing, ...request) => {
    expect(run(new TestShard(), request)).toBe(`*1\r\n${nothing}\r\n`)
  })

  test.each(commands)('takes what an earlier command brought (%s: %s)', (nothing, ...request) => {
    const isSorted = request[0]?.startsWith('BZ') === true
    const brings = isSorted ? ['ZADD', 'k', '1', 'v'] : ['RPUSH', 'k', 'v']
    const shard = new TestShard()
    const reply = run(shard, brings, request, ['EXISTS', 'k'])
    expect(reply).not.toContain(nothing)
    expect(reply).toMatch(/^\*3\r\n:1\r\n.*\$1\r\nv\r\n.*:0\r\n$/s)
  })
})
