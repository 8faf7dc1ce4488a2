/** The walk of Redis Enterprise's "create an Active-Active database" page, and the usual clients, against `lab up`. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pythonPath } from '#test/debianPackages.ts'
import { Lab } from './lab.ts'

/** The page's redis_test.py; it differs in the ports only. */
const redisTest = (one: number, other: number) => `
import redis
rp1 = redis.StrictRedis(host='localhost', port=${one}, db=0)
rp2 = redis.StrictRedis(host='localhost', port=${other}, db=0)
print('set key1 123 in cluster 1')
print(rp1.set('key1', '123'))
print('get key1 cluster 1')
print(rp1.get('key1'))
import time
for _ in range(100):
    if rp2.get('key1') is not None: break
    time.sleep(0.01)
print('get key1 from cluster 2')
print(rp2.get('key1'))
`

describe.each([1, 2])('a first walk with proxies of %i workers', (workers) => {
  let lab: Lab

  beforeAll(async () => {
    lab = await Lab.up({ settings: [`proxy.workers=${workers}`] })
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  const redisCli = (number: number, input: string) =>
    execFileSync('redis-cli', ['-p', String(lab.port(number)), '--no-raw'], { input, encoding: 'utf8' })

  it('names the endpoints before it is ready', () => {
    const text = lab.output.join('\n')
    expect(text).toContain(`127.0.0.1:${lab.port(1)}`)
    expect(text).toContain(`127.0.0.1:${lab.port(2)}`)
  })

  it('redis-cli: set at one cluster, get at both', async () => {
    expect(redisCli(1, 'set key1 123\nget key1\n')).toBe('OK\n"123"\n')
    await lab.settle()
    expect(redisCli(2, 'get key1\n')).toBe('"123"\n')
  })

  it('redis-py: redis_test.py prints True and the value at both', () => {
    const directory = mkdtempSync(join(tmpdir(), 'redis-py-'))
    const script = join(directory, 'redis_test.py')
    writeFileSync(script, redisTest(lab.port(1), lab.port(2)))
    const printed = execFileSync(pythonPath, [script], { encoding: 'utf8' }).trim().split('\n')
    rmSync(directory, { recursive: true })
    expect(printed.filter((_, i) => i % 2 === 1)).toEqual(['True', "b'123'", "b'123'"])
  })

  it.each([2, 3] as const)('ioredis with RESP%i: pipeline, MULTI, binary values', async (protocol) => {
    const client = lab.client(1, { protocol })
    const replies = await client
      .pipeline()
      .set('p1', 'a')
      .incrby('p2', 5)
      .get('p1')
      .hset('p3', { f: 'v' })
      .exec()
    expect(replies?.map(([error, reply]) => error ?? reply)).toEqual([
      'OK',
      expect.any(Number),
      'a',
      expect.any(Number),
    ])
    const transaction = await client.multi().set('{t}a', '1').incr('{t}a').hgetall('{t}none').exec()
    expect(transaction?.map(([, reply]) => reply)).toEqual(['OK', 2, {}])
    const binary = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    await client.set('binary', binary)
    expect(await client.getBuffer('binary')).toEqual(binary)
    expect(await client.sadd('members', 'x', 'y')).toBeGreaterThanOrEqual(0)
    expect((await client.smembers('members')).sort()).toEqual(['x', 'y'])
    await expect(client.lpush('p1', 'x')).rejects.toThrow(/WRONGTYPE|unknown command/)
  })

  it('RESP3: a hash is a map, a set is a set', async () => {
    const client = lab.client(1, { protocol: 3, replyMapping: 'resp3' })
    await client.hset('map', { f: 'v' })
    expect(await client.call('HGETALL', 'map')).toEqual({ f: 'v' })
    expect(await client.call('HELLO')).toMatchObject({ proto: 3 })
  })

  it('fifty connections increment at both clusters, and nothing is lost', async () => {
    const clients = Array.from({ length: 50 }, (_, i) => lab.client(1 + (i % 2)))
    await Promise.all(
      clients.map(async (client) => {
        for (let i = 0; i < 40; i++) await client.incr('hits')
      }),
    )
    await lab.settle()
    expect(await (clients[0] as Redis).get('hits')).toBe('2000')
    expect(await (clients[1] as Redis).get('hits')).toBe('2000')
  })

  it('keys over all shards: MSET, MGET, DEL, DBSIZE, KEYS, SCAN', async () => {
    const client = lab.client(1)
    await client.flushall()
    const keys = Array.from({ length: 200 }, (_, i) => `key:${i}`)
    await client.mset(Object.fromEntries(keys.map((key, i) => [key, String(i)])))
    expect(await client.mget(keys)).toEqual(keys.map((_, i) => String(i)))
    expect(await client.dbsize()).toBe(200)
    expect((await client.keys('key:1?')).length).toBe(10)
    const seen = new Set<string>()
    for await (const page of client.scanStream({ count: 17 }))
      for (const key of page as string[]) seen.add(key)
    expect([...seen].sort()).toEqual([...keys].sort())
    expect(await client.del(...keys)).toBe(200)
    expect(await client.dbsize()).toBe(0)
  })
})
