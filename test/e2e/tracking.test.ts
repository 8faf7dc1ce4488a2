/** Client-side caches of two clusters with two proxy workers each: node-redis has its own; redis-py and ioredis by redirection. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Redis } from 'ioredis'
import { BasicClientSideCache, createClient } from 'redis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pythonPath } from '#test/debianPackages.ts'
import { Lab } from './lab.ts'
import { until } from './until.ts'

const execute = promisify(execFile)
let lab: Lab

beforeAll(async () => {
  lab = await Lab.up({ settings: ['proxy.workers=2'] })
  await lab.settle()
}, 120_000)

afterAll(async () => {
  expect(await lab.down()).toBe(0)
})

it('a cache of node-redis answers by itself until either cluster writes the key', async () => {
  const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0 })
  const socket = { host: '127.0.0.1', port: lab.port(1) }
  const client = createClient({ socket, RESP: 3, clientSideCache: cache })
  await client.connect()
  try {
    const writers: Redis[] = [lab.client(1), lab.client(2)]
    for (let round = 0; round < 20; round++) {
      for (const [i, writer] of writers.entries()) {
        const value = `${round} ${i}`
        await writer.set('k', value)
        await writer.hset('h', 'f', value)
        await until(async () => (await client.get('k')) === value && (await client.hGet('h', 'f')) === value)
        const before = cache.stats().hitCount
        expect([await client.get('k'), await client.hGet('h', 'f')]).toEqual([value, value])
        expect(cache.stats().hitCount).toBe(before + 2)
      }
    }
    await writers[1]?.flushall()
    await until(async () => (await client.get('k')) === null)
  } finally {
    client.destroy()
  }
}, 60_000)

it('caches of node-redis hold what the database holds when many write', async () => {
  const names = Array.from({ length: 50 }, (_, i) => `many${i}`)
  const socket = { host: '127.0.0.1', port: lab.port(2) }
  const caches = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0 })
      const client = createClient({ socket, RESP: 3, clientSideCache: cache })
      await client.connect()
      return { cache, client }
    }),
  )
  try {
    const isDone = { value: false }
    const readers = caches.map(async ({ client }) => {
      while (!isDone.value) {
        await Promise.all(names.slice(0, 20).map((name) => client.get(name)))
        // What comes from the cache lets nothing else happen.
        await new Promise((resolve) => setImmediate(resolve))
      }
    })
    await Promise.all(
      [1, 2].map(async (cluster) => {
        const writer = lab.client(cluster)
        for (let n = 0; n < 2000; n++) await writer.set(names[n % names.length] as string, `${cluster} ${n}`)
      }),
    )
    isDone.value = true
    await Promise.all(readers)
    await lab.settle()
    const present = await lab.client(2).mget(names)
    for (const { client, cache } of caches) {
      await until(async () => {
        const held = await Promise.all(names.map((name) => client.get(name)))
        return held.every((value, i) => value === present[i])
      })
      expect(cache.stats().hitCount).toBeGreaterThan(0)
    }
  } finally {
    for (const { client } of caches) client.destroy()
  }
}, 60_000)

it('ioredis and redis-py are told by another connection, in RESP2', async () => {
  const [teller, client] = [lab.client(1, { protocol: 2 }), lab.client(1)]
  const heard: unknown[] = []
  const id = String(await teller.call('CLIENT', 'ID'))
  await teller.subscribe('__redis__:invalidate')
  teller.on('message', (_, keys) => heard.push(keys))
  await client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id, 'BCAST', 'PREFIX', 'io:')
  await lab.client(2).set('io:k', 'v')
  await until(() => heard.length > 0)
  expect(heard.map(String)).toEqual(['io:k'])
  expect(await client.call('CLIENT', 'GETREDIR')).toBe(Number(id))

  const script = `
import redis
teller = redis.Redis(port=${lab.port(2)}, decode_responses=True)
subscriber = teller.pubsub()
subscriber.execute_command('CLIENT', 'ID')
id = subscriber.parse_response(block=True)
subscriber.subscribe('__redis__:invalidate')
print(subscriber.get_message(timeout=5)['type'])
client = redis.Redis(port=${lab.port(2)}, decode_responses=True, single_connection_client=True)
print(client.execute_command('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id))
print(client.get('py:k'))
redis.Redis(port=${lab.port(1)}).set('py:k', 'theirs')
print(subscriber.get_message(timeout=10)['data'])
print(client.get('py:k'))
`
  const { stdout } = await execute(process.env['PYTHON'] ?? pythonPath, ['-c', script])
  expect(stdout.split('\n')).toEqual([
    'subscribe',
    expect.stringMatching(/OK|True/),
    'None',
    "['py:k']",
    'theirs',
    '',
  ])
}, 60_000)
