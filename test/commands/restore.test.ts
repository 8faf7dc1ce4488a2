/** RESTORE is right when it takes what a real redis-server has dumped, and what that takes, with the same result. */
import { describe, expect, it } from 'vitest'
import { redisForTests } from '#test/compat/redisSide.ts'
import { decodeReply, type Reply, show } from '#test/compat/reply.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { TestDatabase } from './handlerDatabase.ts'
import { intset, rdb, rdbLength, rdbText, sealed, ziplist, zipmap } from './payloads.ts'

/** Unless it looks at payloads a damaged one may end it. */
const { ask: ofRedis } = redisForTests('--sanitize-dump-payload', 'yes')
const db = new TestDatabase()

const ofOwn = (...request: string[]): Reply => decodeReply(db.raw(...request))

const readers: Readonly<Record<string, (key: string) => string[]>> = {
  string: (key) => ['GET', key],
  hash: (key) => ['HGETALL', key],
  set: (key) => ['SMEMBERS', key],
  zset: (key) => ['ZRANGE', key, '0', '-1', 'WITHSCORES'],
  list: (key) => ['LRANGE', key, '0', '-1'],
}

/** What `ask` says of the key, elements in order. */
async function content(ask: (...request: string[]) => Reply | Promise<Reply>, key: string): Promise<string> {
  const type = (await ask('TYPE', key)).text
  const read = readers[type]
  if (read === undefined) return type
  const reply = await ask(...read(key))
  const texts = reply.items.map(show)
  const elements =
    type === 'hash' ? texts.flatMap((text, i) => (i % 2 === 0 ? [`${text} ${texts[i + 1]}`] : [])) : texts
  if (type !== 'list') elements.sort()
  return `${type} ${reply.items.length === 0 ? show(reply) : elements.join(' ')}`
}

/** Both restore the payload, or refuse it alike. */
async function restoredAlike(payload: string): Promise<string> {
  const own = ofOwn('RESTORE', 'r', '0', payload, 'REPLACE')
  expect(show(own)).toBe(show(await ofRedis('RESTORE', 'r', '0', payload, 'REPLACE')))
  if (own.mark === '-') return own.text
  const restored = await content(ofOwn, 'r')
  expect(restored).toBe(await content(ofRedis, 'r'))
  return restored
}

async function dumpOfRedis(key: string): Promise<string> {
  return (await ofRedis('DUMP', key)).text
}

describe('what redis-server has dumped', () => {
  const texts = ['', 'a', '12', '-129', '40000', '3000000000', '9223372036854775807', 'x'.repeat(300)]
  const mixed = Array.from({ length: 3000 }, (_, i) => `${'ab'.repeat(i % 50)}${i}`).join('')

  it.each(
    [...texts, 'abc'.repeat(10_000), mixed, '\0\xff'.repeat(20)].map((text) => [text.slice(0, 20), text]),
  )('as the string %j', async (_, text) => {
    await ofRedis('SET', 'd', text)
    expect(await restoredAlike(await dumpOfRedis('d'))).toBe(`string $${JSON.stringify(text)}`)
  })

  const numbers = [0, 1, 127, 128, -1, -4096, 4095, -4097, 70_000, -70_000, 2 ** 31, -(2 ** 40), 2 ** 62]

  const scores = ['0', '-1', '1.5', 'inf', '-inf', '0.125', '-0.25', '100000', '3']

  it.each([1, 20, 128, 129, 5000])('as a hash of %i fields, a set, a sorted set, a list', async (count) => {
    await ofRedis('DEL', 'h', 's', 'z', 'l')
    for (let i = 0; i < count; i++) {
      const element = String(numbers[i] ?? `element-${i}${i % 7 === 0 ? 'y'.repeat(i % 70) : ''}`)
      await ofRedis('HSET', 'h', element, i % 5 === 0 ? 'z'.repeat(i % 64) : String(i * 37))
      await ofRedis('SADD', 's', element)
      await ofRedis('RPUSH', 'l', element, i % 90 === 0 ? 'w'.repeat(i * 9) : '')
      await ofRedis('ZADD', 'z', scores[i % scores.length] ?? '0', element)
    }
    for (const key of ['h', 's', 'z', 'l']) {
      await restoredAlike(await dumpOfRedis(key))
      expect(await content(ofOwn, 'r')).toBe(await content(ofRedis, key))
    }
  })

  it.each([[[1, 2, 3]], [[-32_768, 32_767]], [[5, 70_000, -70_000]], [[2 ** 40, -(2 ** 52), 7]]])(
    'as the set of integers %j',
    async (members) => {
      await ofRedis('DEL', 's')
      await ofRedis('SADD', 's', ...members.map(String), '9223372036854775807')
      await restoredAlike(await dumpOfRedis('s'))
      await ofRedis('SREM', 's', '9223372036854775807')
      await ofRedis('DEL', 't')
      await ofRedis('SADD', 't', ...members.map(String))
      await restoredAlike(await dumpOfRedis('t'))
    },
  )
})

describe('what old versions have dumped', () => {
  const items = [
    'f',
    5,
    'g',
    -7,
    'h',
    300,
    'i',
    8_000_000,
    'j',
    2_000_000_000,
    'k',
    2 ** 40,
    'l',
    'v'.repeat(500),
    'm',
    12,
  ]

  it('as a ziplist, an intset, a zipmap', async () => {
    expect(await restoredAlike(rdb(13, rdbText(ziplist(items))))).toMatch(/^hash /)
    expect(await restoredAlike(rdb(11, rdbText(intset(2, [-5, 3, 900]))))).toMatch(/^set /)
    expect(await restoredAlike(rdb(11, rdbText(intset(4, [-70_000, 3]))))).toMatch(/^set /)
    const map = zipmap([
      ['f', 'v'],
      ['long', 'w'.repeat(400)],
    ])
    expect(await restoredAlike(rdb(9, rdbText(map)))).toMatch(/^hash /)
    expect(await restoredAlike(rdb(10, rdbText(ziplist(['a', 5, 'a']))))).toBe('list $"a" $"5" $"a"')
    const [left, right] = [rdbText(ziplist(['a', 5])), rdbText(ziplist(['b']))]
    expect(await restoredAlike(rdb(14, '\x02', left, right))).toBe('list $"a" $"5" $"b"')
    expect(await restoredAlike(rdb(1, '\x02', rdbText('a'), '\xc0\x07'))).toBe('list $"a" $"7"')
    expect(await restoredAlike(rdb(18, '\x02\x01', rdbText('plain'), '\x01', rdbText('more')))).toMatch(
      /^list /,
    )
    expect(await restoredAlike(rdb(12, rdbText(ziplist(['b', '0.5', 'a', 5, 'c', 'inf']))))).toMatch(/^zset /)
    expect(await restoredAlike(rdb(3, '\x02', rdbText('a'), '\x041e10', rdbText('b'), '\xff'))).toMatch(
      /^zset /,
    )
  })

  it('with the score -0, which is 0 here', () => {
    ofOwn('RESTORE', 'r', '0', rdb(3, '\x01', rdbText('a'), '\x02-0'), 'REPLACE')
    expect(show(ofOwn('ZSCORE', 'r', 'a'))).toBe('$"0"')
  })
})

describe('refused as Redis refuses it', () => {
  it.each([
    ['a wrong checksum', `${sealed('\x00\x01a').slice(0, -1)}x`],
    ['too short', '\x00\x01a'],
    ['empty', ''],
    ['a later version', sealed('\x00\x01a', 99)],
    ['an unknown type', rdb(200, '\x01a')],
    ['an empty hash', rdb(4, '\x00')],
    ['an empty set', rdb(2, '\x00')],
    ['an empty list', rdb(1, '\x00')],
    ['a list node of an unknown form', rdb(18, '\x01\x03', rdbText('a'))],
    ['an empty ziplist', rdb(13, rdbText(ziplist([])))],
    ['a field without value', rdb(13, rdbText(ziplist(['f'])))],
    ['a field twice', rdb(13, rdbText(ziplist(['f', 1, 'f', 2])))],
    ['a ziplist of another length', rdb(13, rdbText(`\x01${ziplist(['f', 1]).slice(1)}`))],
    ['the score NaN', rdb(3, '\x01', rdbText('a'), '\xfd')],
    ['integers out of step', rdb(11, rdbText(intset(2, [1, 2]).slice(0, -1)))],
    ['compressed nonsense', rdb(0, '\xc3\x03\x10\xff\xff\xff')],
    ['a long string that is not there', rdb(0, '\x80\xff\xff\xff\xff')],
    ['more members than bytes', rdb(2, `${rdbLength(10_000)}\x01a`)],
  ])('%s', async (_, payload) => {
    expect(await restoredAlike(payload)).toMatch(/^ERR (DUMP payload|Bad data)/)
  })

  it('a string that reaches into the checksum, which Redis takes', async () => {
    const payload = rdb(0, '\x05ab')
    expect(db.run('RESTORE', 'r', '0', payload, 'REPLACE')).toBe('-ERR Bad data format')
    expect((await ofRedis('RESTORE', 'r', '0', payload, 'REPLACE')).text).toBe('OK')
  })

  it('a payload that is bitten anywhere, or as an error of its own', async () => {
    const random = new SeededRandom(seedFromEnv())
    const bodies = [
      `\x0d${rdbText(ziplist(['f', 5, 'g', 'some text', 'h', 70_000]))}`,
      `\x0b${rdbText(intset(4, [1, 70_000]))}`,
      `\x04\x02${rdbText('a')}${rdbText('1')}${rdbText('b')}\xc1\x10\x27`,
      `\x00\xc3\x05\x0a\x01ab\xe0\x01`,
    ]
    await ofRedis('DEL', 'h')
    await ofRedis(
      'HSET',
      'h',
      'f',
      '1',
      'g',
      '-5000',
      'h',
      '100000',
      'i',
      'text of some length',
      'j',
      '-9000000000',
    )
    bodies.push((await dumpOfRedis('h')).slice(0, -10))
    for (let run = 0; run < 4000; run++) {
      const body = bodies[random.below(bodies.length)] as string
      const at = 1 + random.below(body.length - 1)
      const bitten = body.slice(0, at) + String.fromCharCode(random.below(256)) + body.slice(at + 1)
      const own = ofOwn('RESTORE', 'b', '0', sealed(bitten), 'REPLACE')
      expect(own.text).toMatch(/^(OK|ERR Bad data format)$/)
    }
  })
})

describe('options', () => {
  const payload = sealed('\x00\x01a')

  it('REPLACE, a TTL, and a time that has passed', () => {
    db.run('DEL', 'k')
    expect(db.run('RESTORE', 'k', '0', payload)).toBe('OK')
    expect(db.run('RESTORE', 'k', '0', payload)).toBe('-BUSYKEY Target key name already exists.')
    expect(db.run('PTTL', 'k')).toBe(-1)
    expect(db.run('RESTORE', 'k', '5000', payload, 'replace')).toBe('OK')
    expect(db.run('PTTL', 'k')).toBe(5000)
    expect(db.run('RESTORE', 'k', String(db.nowMs + 700), payload, 'ABSTTL', 'REPLACE')).toBe('OK')
    expect(db.run('PTTL', 'k')).toBe(700)
    expect(db.run('RESTORE', 'k', '1', payload, 'ABSTTL', 'REPLACE')).toBe('OK')
    expect(db.run('EXISTS', 'k')).toBe(0)
    expect(db.run('RESTORE', 'k', '9223372036854775807', payload)).toBe(
      "-ERR invalid expire time in 'restore' command",
    )
  })

  it('IDLETIME and FREQ, each where accesses are recorded so', () => {
    db.run('RESTORE', 'k', '0', payload, 'REPLACE', 'IDLETIME', '1000')
    expect(db.run('OBJECT', 'IDLETIME', 'k')).toBe(1000)
    // More than the clock of accesses can say: 194 days.
    db.run('RESTORE', 'k', '0', payload, 'REPLACE', 'IDLETIME', String(2 ** 31))
    expect(Math.floor(Number(db.run('OBJECT', 'IDLETIME', 'k')) / 86_400)).toBe(194)
    db.run('RESTORE', 'k', '0', payload, 'REPLACE', 'FREQ', '77')
    expect(db.run('OBJECT', 'IDLETIME', 'k')).toBe(0)
    const clock = db.database.keyspace.accessClock
    clock.byFrequency = true
    db.run('RESTORE', 'k', '0', payload, 'REPLACE', 'FREQ', '77')
    expect(db.run('OBJECT', 'FREQ', 'k')).toBe(77)
    clock.byFrequency = false
  })

  it.each([
    ['-1'],
    ['x'],
    ['0', 'NOPE'],
    ['0', 'IDLETIME'],
    ['0', 'IDLETIME', '-1'],
    ['0', 'IDLETIME', 'x'],
    ['0', 'FREQ', '256'],
    ['0', 'FREQ', '-1'],
    ['0', 'FREQ', '1', 'IDLETIME', '1'],
    ['0', 'IDLETIME', '1', 'FREQ', '1'],
  ])('wrong: %s %s', async (ttl, ...options) => {
    const request = ['RESTORE', 'free', ttl, payload, ...options]
    expect(show(ofOwn(...request))).toBe(show(await ofRedis(...request)))
  })
})

describe('a score of minus zero', () => {
  it('is the one zero that there is', async () => {
    await ofRedis('DEL', 'd')
    await ofRedis('ZADD', 'd', '-0', 'm')
    db.run('RESTORE', 'd', '0', await dumpOfRedis('d'), 'REPLACE')
    expect(db.ask('ZSCORE d m')).toBe('0')
  })
})
