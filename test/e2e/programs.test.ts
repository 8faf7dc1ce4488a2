/** Programs that are written for Redis, unchanged, against a database of two shards behind two proxy workers. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { RedisStore } from 'connect-redis'
import session from 'express-session'
import type { Redis } from 'ioredis'
import { RateLimiterRedis, type RateLimiterRes } from 'rate-limiter-flexible'
import { createClient } from 'redis'
import Redlock from 'redlock'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pythonPath } from '#test/debianPackages.ts'
import { Lab } from './lab.ts'

const run = promisify(execFile)
const pause = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs))

describe('unchanged', () => {
  let lab: Lab
  let client: Redis

  beforeAll(async () => {
    lab = await Lab.up({ clusters: 1, shards: 2, settings: ['proxy.workers=2'] })
    client = lab.client(1)
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  const nodeRedis = async () => {
    const other = createClient({ url: `redis://127.0.0.1:${lab.port(1)}` })
    other.on('error', () => {})
    return await other.connect()
  }

  describe('redlock', () => {
    it('gives a lock to one at a time', async () => {
      const impatient = new Redlock([client], { retryCount: 0 })
      const lock = await impatient.acquire(['{door}1', '{door}2'], 10_000)
      await expect(
        new Redlock([lab.client(1)], { retryCount: 0 }).acquire(['{door}2'], 1000),
      ).rejects.toThrow()
      const extended = await lock.extend(20_000)
      expect(await client.pttl('{door}1')).toBeGreaterThan(10_000)
      await extended.release()
      expect(await client.exists('{door}1', '{door}2')).toBe(0)
      const again = await impatient.acquire(['{door}2'], 1000)
      await again.release()
    })

    it('makes steps of several one after the other', async () => {
      const clients = Array.from({ length: 6 }, () => lab.client(1))
      const rounds = 5
      await Promise.all(
        clients.map(async (own) => {
          const redlock = new Redlock([own], { retryCount: 1000, retryDelay: 10, retryJitter: 10 })
          for (let i = 0; i < rounds; i++) {
            await redlock.using(['turn'], 5_000, { automaticExtensionThreshold: 500 }, async (signal) => {
              const value = Number(await own.get('counted'))
              await own.set('counted', value + 1)
              expect(signal.aborted).toBe(false)
            })
          }
        }),
      )
      expect(await client.get('counted')).toBe(String(clients.length * rounds))
    })
  })

  describe('rate-limiter-flexible', () => {
    const points = 5
    const refused = async (promise: Promise<RateLimiterRes>): Promise<RateLimiterRes> =>
      await promise.then(
        () => expect.unreachable('it was allowed'),
        (error: RateLimiterRes) => error,
      )

    it.each(['ioredis', 'node-redis'])('counts by %s', async (library) => {
      const other = library === 'ioredis' ? null : await nodeRedis()
      const limiter = new RateLimiterRedis({
        storeClient: other ?? client,
        useRedisPackage: other !== null,
        keyPrefix: library,
        points,
        duration: 2,
      })
      const results = await Promise.allSettled(Array.from({ length: 12 }, () => limiter.consume('user')))
      expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(points)
      const { msBeforeNext, remainingPoints } = await refused(limiter.consume('user'))
      expect(remainingPoints).toBe(0)
      expect(msBeforeNext).toBeGreaterThan(0)
      expect((await limiter.consume('another')).remainingPoints).toBe(points - 1)
      await pause(msBeforeNext + 50)
      expect((await limiter.consume('user')).remainingPoints).toBe(points - 1)
      await limiter.block('user', 100)
      expect((await refused(limiter.consume('user'))).msBeforeNext).toBeGreaterThan(90_000)
      expect(await limiter.delete('user')).toBe(true)
      expect(await limiter.get('user')).toBeNull()
      await other?.close()
    })
  })

  describe('connect-redis', () => {
    let server: Server
    let url = ''
    let store: RedisStore
    let storeClient: Awaited<ReturnType<typeof nodeRedis>>

    beforeAll(async () => {
      storeClient = await nodeRedis()
      store = new RedisStore({ client: storeClient, prefix: 'sess:', ttl: 100 })
      const use = session({ store, secret: 'a secret', resave: false, saveUninitialized: false })
      type Visited = IncomingMessage & { session: { visits?: number; destroy(done: () => void): void } }
      server = createServer((request: IncomingMessage, response: ServerResponse) => {
        use(request as never, response as never, () => {
          const { session: visited } = request as Visited
          if (request.url === '/bye') {
            visited.destroy(() => response.end('bye'))
            return
          }
          visited.visits = (visited.visits ?? 0) + 1
          response.end(String(visited.visits))
        })
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address = server.address()
      url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    })

    afterAll(async () => {
      server.close()
      await storeClient.close()
    })

    const visit = async (cookie: string, path = '/'): Promise<{ text: string; cookie: string }> => {
      const response = await fetch(url + path, { headers: { cookie, connection: 'close' } })
      const [given = cookie] = (response.headers.get('set-cookie') ?? cookie).split(';')
      return { text: await response.text(), cookie: given }
    }

    it('keeps what express-session gives it', async () => {
      const first = await visit('')
      expect(first.text).toBe('1')
      expect((await visit(first.cookie)).text).toBe('2')
      const other = await visit('')
      expect([other.text, (await visit(first.cookie)).text]).toEqual(['1', '3'])
      const keys = await client.keys('sess:*')
      expect(keys.length).toBe(2)
      for (const key of keys) expect(await client.ttl(key)).toBeGreaterThan(90)
      expect((await visit(first.cookie, '/bye')).text).toBe('bye')
      expect((await visit(first.cookie)).text).toBe('1')
    })

    it('lists and clears its sessions', async () => {
      const cookie = { originalMaxAge: null }
      for (let i = 0; i < 300; i++) await store.set(`s${i}`, { cookie: cookie as session.Cookie })
      expect(((await store.ids()) as string[]).length).toBeGreaterThanOrEqual(300)
      expect(await store.length()).toBeGreaterThanOrEqual(300)
      expect(((await store.all()) as unknown[]).length).toBeGreaterThanOrEqual(300)
      await store.touch('s1', { cookie: cookie as session.Cookie })
      await store.clear()
      expect(await store.length()).toBe(0)
      expect(await client.keys('sess:*')).toEqual([])
    })
  })

  it('redis-py: locks, transactions with WATCH, pipelines', async () => {
    const program = `
import redis, threading
clients = [redis.Redis(port=${lab.port(1)}, decode_responses=True) for _ in range(4)]
def work(client):
    for _ in range(5):
        with client.lock('py:lock', timeout=10, sleep=0.01):
            value = int(client.get('py:count') or 0)
            client.set('py:count', value + 1)
        client.transaction(lambda pipe: (lambda value: (pipe.multi(), pipe.set('py:watched', value + 1)))(int(pipe.get('py:watched') or 0)), 'py:watched')
threads = [threading.Thread(target=work, args=(client,)) for client in clients]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
lock = clients[0].lock('py:lock', timeout=10)
assert lock.acquire() and not clients[1].lock('py:lock', blocking=False).acquire()
lock.extend(10); lock.release()
with clients[0].pipeline(transaction=False) as pipe:
    for i in range(1000): pipe.set('py:%d' % i, i)
    for i in range(1000): pipe.get('py:%d' % i)
    assert pipe.execute()[1000:] == [str(i) for i in range(1000)]
print(clients[0].get('py:count'), clients[0].get('py:watched'))
`
    const { stdout } = await run(process.env['PYTHON'] ?? pythonPath, ['-c', program])
    expect(stdout.trim()).toBe('20 20')
  })
})
