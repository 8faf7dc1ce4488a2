/** DUMP is right when a real redis-server restores the value from it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { crc64 } from '#protocol/rdb/crc64.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { RealRedis } from '#test/realRedis.ts'
import { TestDatabase } from './handlerDatabase.ts'

const redis: { server?: RealRedis } = {}

beforeAll(async () => {
  redis.server = await RealRedis.start()
})
afterAll(() => redis.server?.stop())

describe('crc64', () => {
  it('is that of Redis', () => {
    const bytes = new TextEncoder().encode('123456789')
    expect(crc64(bytes, 0, bytes.length)).toEqual({ high: 0xe9c6d914, low: 0xc4b8d9ca })
    expect(crc64(bytes, 0, 0)).toEqual({ high: 0, low: 0 })
  })
})

describe('DUMP', () => {
  const db = new TestDatabase()

  /** Without the bulk's header and end. */
  function payload(key: string): string {
    const reply = latin1(db.raw('DUMP', key))
    return reply.slice(reply.indexOf('\r\n') + 2, -2)
  }

  const strings: readonly string[] = [
    '',
    'a',
    'x'.repeat(63),
    'x'.repeat(64),
    'x'.repeat(16383),
    'x'.repeat(16384),
    'x'.repeat(100_000),
    ...['0', '-1', '127', '128', '-128', '-129', '32767', '32768', '-32769'],
    ...['2147483647', '-2147483648', '2147483648', '00', '-0', '9999999999', '1e3'],
  ]

  it.each(strings.map((text) => [text.slice(0, 20), text.length, text]))(
    'of the string %s (%i)',
    async (_, __, text) => {
      db.run('SET', 'k', text)
      expect(await redis.server?.request('RESTORE', 'k', '0', payload('k'), 'REPLACE')).toBe('OK')
      expect(await redis.server?.request('GET', 'k')).toBe(text)
    },
  )

  it('of a short string is byte for byte that of Redis', async () => {
    for (const text of ['', 'a', '12', '-32769', 'not so short']) {
      db.run('SET', 'k', text)
      await redis.server?.request('SET', 'k', text)
      expect(db.run('DUMP', 'k')).toEqual(await redis.server?.request('DUMP', 'k'))
    }
  })

  it('of hashes, sets and lists of all sizes', async () => {
    for (const count of [1, 63, 64, 600, 20_000]) {
      const elements = Array.from({ length: count }, (_, i) => (i % 3 === 0 ? String(i) : `element-${i}`))
      db.run('DEL', 'h', 's', 'l')
      db.run('HSET', 'h', ...elements.flatMap((field, i) => [field, String(i * 1000)]))
      db.run('SADD', 's', ...elements)
      db.run('RPUSH', 'l', ...elements)
      expect(await redis.server?.request('RESTORE', 'h', '0', payload('h'), 'REPLACE')).toBe('OK')
      expect(await redis.server?.request('RESTORE', 's', '0', payload('s'), 'REPLACE')).toBe('OK')
      expect(await redis.server?.request('RESTORE', 'l', '0', payload('l'), 'REPLACE')).toBe('OK')
      expect(await redis.server?.request('LRANGE', 'l', '0', '-1')).toEqual(elements)
      expect(await redis.server?.request('HLEN', 'h')).toBe(count)
      expect(await redis.server?.request('SCARD', 's')).toBe(count)
      expect(await redis.server?.request('HGET', 'h', elements.at(-1) ?? '')).toBe(String((count - 1) * 1000))
    }
  })

  it('of sorted sets of all sizes', async () => {
    const scores = ['0', '-1.5', '0.1', 'inf', '-inf', '1e300', '5e-324']
    for (const count of [1, 7, 600, 20_000]) {
      db.run('DEL', 'z')
      db.run('ZADD', 'z', ...Array.from({ length: count }, (_, i) => [scores[i % 7] ?? '', `m${i}`]).flat())
      expect(await redis.server?.request('RESTORE', 'z', '0', payload('z'), 'REPLACE')).toBe('OK')
      const range = ['ZRANGE', 'z', '0', '-1'] as const
      expect(await redis.server?.request(...range)).toEqual(db.run(...range))
      const theirs = (await redis.server?.request(...range, 'WITHSCORES')) as string[]
      expect(theirs.map(Number)).toEqual((db.run(...range, 'WITHSCORES') as string[]).map(Number))
    }
  })

  it('of no key is null', () => {
    expect(db.run('DUMP', 'none')).toBe(null)
  })
})
