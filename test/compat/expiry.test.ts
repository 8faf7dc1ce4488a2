/** The random stream keeps clear of times that pass while it runs; here they do. */
import { describe, expect, it } from 'vitest'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { DatabaseSide } from './databaseSide.ts'
import { redisForTests } from './redisSide.ts'
import type { Request } from './side.ts'

const redis = redisForTests()

const keys = Array.from({ length: 50 }, (_, i) => ({ name: `k${i}`, ttlMs: 1 + i * 5 }))
const lastTtlMs = Math.max(...keys.map(({ ttlMs }) => ttlMs))

/** Ways to give a TTL of so many milliseconds. */
const writes: readonly ((name: string, ttlMs: number) => Request[])[] = [
  (name, ttlMs) => [['SET', name, 'v', 'PX', String(ttlMs)]],
  (name, ttlMs) => [['PSETEX', name, String(ttlMs), 'v']],
  (name, ttlMs) => [
    ['SADD', name, 'v'],
    ['PEXPIRE', name, String(ttlMs)],
  ],
  (name, ttlMs) => [
    ['HSET', name, 'f', 'v'],
    ['PEXPIRE', name, String(ttlMs)],
  ],
]

describe('keys expire', () => {
  it('at their time, on both sides', async () => {
    const own = new DatabaseSide(3, 1)
    const sides = [own, redis.side()]
    const requests = keys.flatMap(({ name, ttlMs }, i) => writes[i % writes.length]?.(name, ttlMs) ?? [])
    const startMs = Date.now()
    await Promise.all(sides.map((side) => side.send(requests)))
    const writtenMs = Date.now()
    const asked = keys.map(({ name }) => ['EXISTS', name])
    for (let nowMs = writtenMs; nowMs <= writtenMs + lastTtlMs + 1; ) {
      const beforeMs = Date.now()
      const replies = await Promise.all(sides.map((side) => side.send(asked)))
      nowMs = Date.now()
      for (const [i, { name, ttlMs }] of keys.entries()) {
        for (const [side, found] of replies.map((of) => latin1(of[i] as Uint8Array)).entries()) {
          if (beforeMs > writtenMs + ttlMs) expect([name, side, found]).toEqual([name, side, ':0\r\n'])
          if (nowMs < startMs + ttlMs) expect([name, side, found]).toEqual([name, side, ':1\r\n'])
        }
      }
    }
    const [left] = await own.send([['KEYS', '*']])
    expect(latin1(left as Uint8Array)).toBe('*0\r\n')
  })
})
