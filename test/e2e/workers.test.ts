/** A node whose database has three proxy workers: to its clients they are one server. */
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from './lab.ts'
import { until } from './until.ts'

const clientCount = 50
const workers = [0, 1, 2]

describe('three proxy workers', () => {
  let lab: Lab
  let clients: Redis[]

  beforeAll(async () => {
    lab = await Lab.up({ clusters: 1, settings: ['proxy.workers=3'] })
    clients = Array.from({ length: clientCount }, () =>
      lab.client(1, { retryStrategy: () => 50, maxRetriesPerRequest: null }),
    )
    await Promise.all(clients.map((client) => client.ping()))
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  const field = async (client: Redis, section: string, name: string): Promise<string> =>
    new RegExp(`^${name}:(.*)\r$`, 'm').exec(await client.info(section))?.[1] ?? 'absent'
  const workerOf = async (client: Redis): Promise<number> =>
    Number(await field(client, 'server', 'proxy_worker'))
  const idOf = async (client: Redis): Promise<number> => Number(await client.client('ID'))
  const listedIds = async (client: Redis): Promise<number[]> =>
    [...String(await client.client('LIST')).matchAll(/^id=(\d+) /gm)].map(([, id]) => Number(id))
  const ids = async (): Promise<number[]> => (await Promise.all(clients.map(idOf))).sort((a, b) => a - b)

  /** One of the clients, by worker. */
  async function clientAt(worker: number): Promise<Redis> {
    for (const client of clients) if ((await workerOf(client)) === worker) return client
    throw new Error(`no client is connected to worker ${worker}`)
  }

  async function pidOf(worker: number): Promise<number> {
    const found = (await lab.processes()).find(({ id }) => id === `proxy/db1/${worker}`)
    return found?.pid ?? 0
  }

  /** Whether it comes to an end within the time. */
  const endsWithin = async (promise: Promise<unknown>, withinMs: number): Promise<boolean> =>
    await Promise.race([
      promise.then(() => true),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), withinMs)),
    ])

  it('share the connections, and each knows the clients of all', async () => {
    expect(new Set(await Promise.all(clients.map(workerOf)))).toEqual(new Set(workers))
    const all = await ids()
    expect(new Set(all).size).toBe(clientCount)
    for (const worker of workers) expect(await listedIds(await clientAt(worker))).toEqual(all)
    expect(await field(clients[0] as Redis, 'clients', 'connected_clients')).toBe(String(clientCount))
    expect(await field(clients[0] as Redis, 'server', 'proxy_workers_missing')).toBe('')
  })

  it.each(['ID', 'ADDR', 'TYPE'])('KILL by %s ends a client of another worker', async (filter) => {
    const asker = await clientAt(0)
    const victim = await clientAt(1)
    const id = await idOf(victim)
    const address = /addr=(\S+)/.exec(String(await victim.client('INFO')))?.[1] ?? ''
    const before = await ids()
    const words = { ID: [id], ADDR: [address], TYPE: ['normal'] }[filter] ?? []
    const killed = await asker.call('CLIENT', 'KILL', filter, ...words)
    expect(killed).toBe(filter === 'TYPE' ? clientCount - 1 : 1)
    // It connects again by itself, as another client.
    await until(async () => (await listedIds(asker)).length === clientCount)
    const after = await ids()
    expect(after).not.toContain(id)
    expect(after.filter((one) => before.includes(one))).toHaveLength(clientCount - Number(killed))
  })

  it('PAUSE holds the writes of all clients, UNPAUSE at another worker lets them go', async () => {
    const [one, other] = [await clientAt(1), await clientAt(2)]
    expect(await one.call('CLIENT', 'PAUSE', '60000', 'WRITE')).toBe('OK')
    const writes = clients.map((client, i) => client.set(`paused:${i}`, 'x'))
    expect(await endsWithin(Promise.race(writes), 300)).toBe(false)
    const reader = lab.client(1)
    expect(await reader.exists(...clients.map((_, i) => `paused:${i}`))).toBe(0)
    const opener = lab.client(1)
    expect(await opener.call('CLIENT', 'UNPAUSE')).toBe('OK')
    expect(new Set(await Promise.all(writes))).toEqual(new Set(['OK']))
    for (const client of [reader, opener]) client.disconnect()
    expect(await other.ping()).toBe('PONG')
  })

  it('wait for one list: each element goes to one of their clients, and none to one that has gone', async () => {
    const asker = await clientAt(0)
    const isBlocked = async (count: number): Promise<boolean> =>
      (await field(asker, 'clients', 'blocked_clients')) === String(count)
    const waiting = Array.from({ length: 10 }, () => lab.client(1, { retryStrategy: () => null }))
    const [gone, unblocked, ...consumers] = waiting as [Redis, Redis, ...Redis[]]
    const id = await idOf(unblocked)
    const lost = gone.blpop('queue', 0)
    await until(() => isBlocked(1))
    const ended = unblocked.brpop('queue', 0).catch((error: Error) => error.message)
    await until(() => isBlocked(2))
    const served = consumers.map((client) => client.blpop('queue', 0))
    await until(() => isBlocked(10))
    expect([...String(await asker.client('LIST')).matchAll(/ flags=b /g)]).toHaveLength(10)
    gone.disconnect()
    await until(() => isBlocked(9))
    expect(await asker.call('CLIENT', 'UNBLOCK', id, 'ERROR')).toBe(1)
    expect(await ended).toBe('UNBLOCKED client unblocked via CLIENT UNBLOCK')
    const values = consumers.map((_, i) => String(i))
    await asker.rpush('queue', ...values, 'left over')
    const taken = (await Promise.all(served)).map((reply) => reply?.[1])
    expect(taken.sort()).toEqual(values)
    expect(await asker.lrange('queue', 0, -1)).toEqual(['left over'])
    // It said no more than that it would send no more.
    expect(await lost).toBe(null)
    expect(await (await clientAt(2)).brpoplpush('queue', '{queue}done', 5)).toBe('left over')
    const startMs = performance.now()
    expect(await unblocked.blpop('queue', 0.2)).toBe(null)
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(199)
    for (const client of waiting) client.disconnect()
    await until(async () => (await listedIds(asker)).length === clientCount)
  })

  it('CONFIG SET is seen by all clients', async () => {
    await (await clientAt(2)).config('SET', 'maxclients', '60', 'pipeline-max', '4321')
    for (const client of clients) {
      expect(await client.config('GET', 'maxclients')).toEqual(['maxclients', '60'])
      expect(await client.config('GET', 'pipeline-max')).toEqual(['pipeline-max', '4321'])
    }
  })

  it('the limit of clients is that of all workers together', async () => {
    await until(async () => (await listedIds(clients[0] as Redis)).length === clientCount)
    const more: Redis[] = []
    let refused = 0
    try {
      for (let i = 0; i < 20; i++) {
        const client = lab.client(1, { retryStrategy: () => null })
        more.push(client)
        await client.ping().catch(() => refused++)
      }
      // A worker may learn a moment too late of a client that another one let in.
      expect(refused).toBeLessThanOrEqual(10)
      expect(refused).toBeGreaterThanOrEqual(10 - workers.length)
    } finally {
      for (const client of more) client.disconnect()
    }
    await until(async () => (await listedIds(clients[0] as Redis)).length === clientCount)
  })

  it('one that is killed takes only its own connections with it, and comes back knowing what the others know', async () => {
    const before = await ids()
    const survivors: Redis[] = []
    for (const client of clients) if ((await workerOf(client)) !== 1) survivors.push(client)
    let isOver = false
    const failures: unknown[] = []
    const load = survivors.map(async (client) => {
      while (!isOver) await client.incr('survived').catch((error: unknown) => failures.push(error))
    })
    const closed: Redis[] = []
    for (const client of survivors) client.once('close', () => closed.push(client))
    try {
      await lab.lab('kill', 1, 'proxy', 1)
      await until(async () => (await listedIds(survivors[0] as Redis)).length === clientCount)
      await until(async () => (await field(survivors[0] as Redis, 'server', 'proxy_workers_missing')) === '')
    } finally {
      isOver = true
      await Promise.all(load)
    }
    expect(failures).toEqual([])
    expect(closed).toEqual([])
    const after = await ids()
    expect(new Set(after).size).toBe(clientCount)
    const isNew = (id: number): boolean => !before.includes(id)
    expect(after.filter(isNew)).toHaveLength(clientCount - survivors.length)
    // The system chooses the worker of each connection: so many until the new one gets one.
    const fresh = [lab.client(1)]
    while ((await workerOf(fresh.at(-1) as Redis)) !== 1 && fresh.length < 100) fresh.push(lab.client(1))
    for (const client of fresh)
      expect(await client.config('GET', 'pipeline-max')).toEqual(['pipeline-max', '4321'])
    const freshIds = await Promise.all(fresh.map(idOf))
    expect(new Set(await Promise.all([...clients, ...fresh].map(workerOf)))).toEqual(new Set(workers))
    expect(freshIds.filter((id) => before.includes(id) || after.includes(id))).toEqual([])
    for (const client of fresh) client.disconnect()
  })

  it('do without the agent', async () => {
    await until(async () => (await listedIds(clients[0] as Redis)).length === clientCount)
    await lab.lab('kill', 1, 'agent')
    for (const client of clients) expect(await listedIds(client)).toHaveLength(clientCount)
    // Its successor sends the configuration again, which changes nothing.
    await until(async () => {
      const found = await lab.processes()
      return found.length > 0 && found.every(({ state }) => state === 'running')
    })
    for (const client of clients)
      expect(await client.config('GET', 'maxclients')).toEqual(['maxclients', '60'])
  })

  it('do not wait long for one that hangs', async () => {
    const [asker, stopped] = [await clientAt(0), await clientAt(2)]
    let others = 0
    for (const client of clients) if ((await workerOf(client)) !== 2) others++
    const pid = await pidOf(2)
    process.kill(pid, 'SIGSTOP')
    try {
      const startMs = performance.now()
      expect(await listedIds(asker)).toHaveLength(others)
      expect(await listedIds(asker)).toHaveLength(others)
      expect(performance.now() - startMs).toBeLessThan(5_000)
      await expect(asker.call('CLIENT', 'PAUSE', '10', 'WRITE')).rejects.toThrow('UNAVAILABLE proxy worker 2')
      await asker.config('SET', 'timeout', '1234')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    expect(await stopped.config('GET', 'timeout')).toEqual(['timeout', '1234'])
    await until(async () => (await listedIds(asker)).length === clientCount)
  })
})
