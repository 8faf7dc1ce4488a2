/** CRDT.INFO: what two clusters hold of keys that both have written, and that looking changes nothing. */
import { describe, expect, test } from 'vitest'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { EntryReader } from '#server/store/entryReader.ts'
import { parse } from '#test/commands/ask.ts'
import type { ParsedReply } from '#test/realRedis.ts'
import type { TestShard } from './testShard.ts'
import { carry, pair } from './twoClusters.ts'

type Facts = { [name: string]: ParsedReply | Facts | Facts[] }

/** RESP2's flat arrays of names and values as objects; arrays of such as arrays. */
function factsOf(reply: ParsedReply): Facts | null {
  if (!Array.isArray(reply)) return null
  const facts: Facts = {}
  for (let i = 0; i < reply.length; i += 2) {
    const value = reply[i + 1] as ParsedReply
    facts[String(reply[i])] = Array.isArray(value) ? value.map((part) => factsOf(part) ?? {}) : value
  }
  return facts
}

const info = (shard: TestShard, ...words: string[]): Facts | null =>
  factsOf(parse(bytesOf(shard.run('CRDT.INFO', ...words))))

const statesOf = (facts: Facts | null) => (facts?.['states'] ?? []) as Facts[]

/** Both do theirs without knowing of the other's, then they meet. */
function concurrently(onA: string[][], onB: string[][], before: string[][] = []) {
  const { world, a, b, connect } = pair()
  for (const words of before) a.run(...words)
  connect()
  for (const words of onA) a.run(...words)
  world.advance(5)
  for (const words of onB) b.run(...words)
  carry(a, b, 500)
  return { world, a, b }
}

const stampOf = (cluster: number) => expect.stringMatching(new RegExp(`^20\\d\\d-.*Z/\\d+/${cluster}$`))

describe('CRDT.INFO of a key', () => {
  test('that is not there', () => {
    const { a } = pair()
    expect(info(a, 'k')).toBeNull()
    expect(info(a, 'k', 'FIELD', 'f')).toBeNull()
    expect(info(a, 'k', 'MEMBER', 'm')).toBeNull()
  })

  test('with one write: however long the text is it is not looked at', () => {
    const { a } = pair()
    a.run('SET', 'k', 'v'.repeat(100_000), 'PX', '5000')
    expect(info(a, 'k')).toMatchObject({
      type: 'string',
      expired: 0,
      'expire-at-ms': a.world.wallMs() + 5000,
      'expire-owner': 1,
      'implicit-no-ttl': 0,
      'ttl-writes': [{ stamp: stampOf(1), 'expire-at-ms': a.world.wallMs() + 5000, shown: 1 }],
      states: [
        { type: 'string', shown: 1, live: 1, writes: [{ stamp: stampOf(1), bytes: 100_000, shown: 1 }] },
      ],
    })
    a.run('SET', 'k', 'v')
    expect(info(a, 'k')).toMatchObject({
      'expire-at-ms': -1,
      'expire-owner': null,
      'implicit-no-ttl': 1,
      'ttl-writes': [],
    })
  })

  test('that is a long text with a TTL write of its own: no more than that is looked at either', () => {
    const { a } = pair()
    a.run('SET', 'k', 'v'.repeat(100_000))
    a.world.advance(5)
    const { stateOf } = EntryReader.prototype
    EntryReader.prototype.stateOf = () => {
      throw new Error('the text is read')
    }
    const states = [
      { type: 'string', shown: 1, live: 1, writes: [{ stamp: stampOf(1), bytes: 100_000, shown: 1 }] },
    ]
    try {
      a.run('PEXPIRE', 'k', '5000')
      const expireAtMs = a.world.wallMs() + 5000
      const timed = info(a, 'k')
      expect(timed).toMatchObject({
        type: 'string',
        'expire-at-ms': expireAtMs,
        'expire-owner': 1,
        'implicit-no-ttl': 0,
        'ttl-writes': [{ stamp: stampOf(1), 'expire-at-ms': expireAtMs, shown: 1 }],
        states,
      })
      const [write] = (timed?.['ttl-writes'] ?? []) as Facts[]
      const [text] = (statesOf(timed)[0]?.['writes'] ?? []) as Facts[]
      expect(write?.['stamp']).not.toBe(text?.['stamp'])
      a.run('PERSIST', 'k')
      expect(info(a, 'k')).toMatchObject({
        'expire-at-ms': -1,
        'expire-owner': null,
        'implicit-no-ttl': 0,
        'ttl-writes': [{ stamp: stampOf(1), 'expire-at-ms': -1, shown: 1 }],
        states,
      })
    } finally {
      EntryReader.prototype.stateOf = stateOf
    }
  })

  test('that two clusters have set: both writes, and which shows', () => {
    const { a, b } = concurrently([['SET', 'k', 'first']], [['SET', 'k', 'later one']])
    for (const shard of [a, b]) {
      expect(info(shard, 'k')).toMatchObject({
        states: [
          {
            writes: [
              { stamp: stampOf(1), bytes: 5, shown: 0 },
              { stamp: stampOf(2), bytes: 9, shown: 1 },
            ],
          },
        ],
      })
    }
  })

  test('that both add to: what each has added, and what a reset has taken', () => {
    const { a, b } = concurrently([['INCRBY', 'k', '5']], [['INCRBY', 'k', '-7']], [['SET', 'k', '100']])
    const counters = (shard: TestShard) =>
      statesOf(info(shard, 'k')).flatMap((state) => state['counters'] as Facts[])
    expect(
      counters(a)
        .map(({ cluster, sum, live }) => [cluster, sum, live])
        .sort(),
    ).toEqual([
      [1, '5', 1],
      [2, '-7', 1],
    ])
    a.run('DEL', 'k')
    expect(info(a, 'k')).toMatchObject({
      type: 'none',
      'residue-baselines': 1,
      states: [
        { type: 'string', shown: 0, live: 0, counters: [{ cluster: 2, live: 0, 'reset-by': stampOf(1) }] },
      ],
    })
    carry(a, b, 5000)
    expect(info(a, 'k')).toBeNull()
  })

  test('of two types: both, the hidden one too', () => {
    const { a } = concurrently([['SADD', 'k', 'x', 'y']], [['RPUSH', 'k', 'z']])
    expect(info(a, 'k')).toMatchObject({
      type: 'list',
      states: [
        { type: 'set', shown: 0, live: 1, elements: 2 },
        { type: 'list', shown: 1, live: 1, elements: 1 },
      ],
    })
  })

  test('whose TTL both have written: the longest shows, and whose it is', () => {
    const { world, a, b } = concurrently(
      [['PEXPIRE', 'k', '90000']],
      [['PEXPIRE', 'k', '50000']],
      [['SADD', 'k', 'm']],
    )
    for (const shard of [a, b]) {
      expect(info(shard, 'k')).toMatchObject({
        'expire-owner': 1,
        'ttl-writes': [
          { stamp: stampOf(1), shown: 1 },
          { stamp: stampOf(2), shown: 0 },
        ],
      })
    }
    world.advance(90_000)
    expect(a.run('EXISTS', 'k')).toBe(':0\r\n')
    expect(info(b, 'k')).toMatchObject({ type: 'set', expired: 1 })
  })

  test('deleted while another cluster gave it a TTL: a ghost', () => {
    const { a } = concurrently([['DEL', 'k']], [['PEXPIRE', 'k', '90000']], [['SADD', 'k', 'm']])
    expect(info(a, 'k')).toMatchObject({
      type: 'none',
      'residue-ghost': 1,
      'ttl-writes': [{ stamp: stampOf(2) }],
      states: [],
    })
  })

  test.each([
    [['HSET', 'k', 'f', '1'], 'hash'],
    [['ZADD', 'k', '1', 'm'], 'zset'],
    [['XADD', 'k', '*', 'f', 'v'], 'stream'],
    [['RPUSH', 'k', 'a'], 'list'],
    [['SADD', 'k', 'a'], 'set'],
  ])('%s', (words, type) => {
    const { a } = pair()
    a.run(...words)
    expect(info(a, 'k')).toMatchObject({ type, states: [{ type, shown: 1, live: 1, elements: 1 }] })
  })

  test('a HyperLogLog is told apart from a text', () => {
    const { a } = pair()
    a.run('PFADD', 'k', 'a')
    expect(info(a, 'k')).toMatchObject({ type: 'hyperloglog', states: [{ stamp: stampOf(1), deletes: [] }] })
  })

  test('large ones are told by counts', () => {
    const { a } = pair()
    const fields = Array.from({ length: 5000 }, (_, i) => [`f${i}`, 'v']).flat()
    a.run('HSET', 'k', ...fields)
    const reply = a.run('CRDT.INFO', 'k')
    expect(reply.length).toBeLessThan(700)
    expect(info(a, 'k')).toMatchObject({ states: [{ elements: 5000, 'elements-with-ttl': 0 }] })
  })
})

describe('CRDT.INFO of an element', () => {
  test('a field: its writes, its counters, its TTL', () => {
    const { a } = concurrently(
      [
        ['HINCRBY', 'k', 'f', '2'],
        ['HPEXPIRE', 'k', '90000', 'FIELDS', '1', 'f'],
      ],
      [['HSET', 'k', 'f', '40']],
      [['HSET', 'k', 'f', '1', 'g', '1']],
    )
    expect(info(a, 'k', 'FIELD', 'f')).toMatchObject({
      type: 'hash',
      live: 1,
      writes: [{ stamp: stampOf(2), bytes: 2, shown: 1 }],
      counters: [{ cluster: 1, sum: '2', live: 1 }],
      'ttl-writes': [{ stamp: stampOf(1) }],
    })
    expect(info(a, 'k', 'FIELD', 'g')).toMatchObject({ writes: [{ stamp: stampOf(1) }], 'ttl-writes': [] })
    expect(info(a, 'k', 'FIELD', 'none')).toBeNull()
    expect(info(a, 'k', 'MEMBER', 'f')).toBeNull()
  })

  test('a member of a set: the adds that hold it', () => {
    const { a } = concurrently([['SADD', 'k', 'm']], [['SADD', 'k', 'm']])
    expect(info(a, 'k', 'member', 'm')).toMatchObject({
      type: 'set',
      writes: [{ stamp: stampOf(1) }, { stamp: stampOf(2) }],
    })
    expect(info(a, 'k', 'MEMBER', 'x')).toBeNull()
  })

  test('a member of a sorted set: its writes with their conditions, and its counters', () => {
    const { a } = concurrently(
      [['ZADD', 'k', 'GT', '5', 'm']],
      [['ZINCRBY', 'k', '2.5', 'm']],
      [['ZADD', 'k', '1', 'm']],
    )
    expect(info(a, 'k', 'MEMBER', 'm')).toMatchObject({
      type: 'zset',
      writes: [{ stamp: stampOf(1), score: '5', condition: 'GT' }],
      counters: [{ cluster: 2, sum: '2.5' }],
    })
  })

  test.each([
    ['k', 'FIELD'],
    ['k', 'ELEMENT', 'f'],
    ['k', 'FIELD', 'f', 'g'],
  ])('%s %s %s %s is no question', (...words) => {
    const { a } = pair()
    expect(a.run('CRDT.INFO', ...words)).toBe('-ERR syntax error\r\n')
  })
})

test('looking is neither a write nor an access', () => {
  const { world, a } = pair({ database: { evictionPolicy: 'allkeys-lru' } })
  a.run('HSET', 'k', 'f', 'v')
  a.run('HINCRBY', 'k', 'n', '1')
  world.advance(100_000)
  const before = [a.run('CRDT', 'SLOT', 'k'), a.run('OBJECT', 'IDLETIME', 'k'), String(a.shard.log.end)]
  expect(before[1]).toBe(':100\r\n')
  for (const words of [['k'], ['k', 'FIELD', 'f'], ['k', 'FIELD', 'n'], ['k', 'MEMBER', 'm']])
    info(a, ...words)
  expect([a.run('CRDT', 'SLOT', 'k'), a.run('OBJECT', 'IDLETIME', 'k'), String(a.shard.log.end)]).toEqual(
    before,
  )
})

test('with RESP3 it is a map', () => {
  const { a } = pair()
  a.run('SET', 'k', 'v')
  const tag = a.proxy.send3('CRDT.INFO', 'k')
  a.world.settle()
  expect(a.proxy.reply(tag)).toMatch(/^%12\r\n\$4\r\nslot\r\n/)
})
