/** Blocking commands as clients see them, through proxy workers and a shard. */
import { describe, expect, it } from 'vitest'
import { BlockingWorld } from './blockingWorld.ts'
import { encode, type TestClient } from './proxyWorld.ts'

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`
const popped = (key: string, value: string): string => `*2\r\n${bulk(key)}${bulk(value)}`
const nobody = '*-1\r\n'

const idOf = (client: TestClient): string => client.call('CLIENT', 'ID').slice(1, -2)

/** A client that waits for `k`. */
function waiting(world: BlockingWorld, worker = 0): { client: TestClient; id: string } {
  const client = world.client(worker)
  const id = idOf(client)
  expect(client.call('BLPOP', 'k', '0')).toBe('')
  return { client, id }
}

describe('a client in a blocking command', () => {
  it('gets the element that another one pushes, whichever worker that is at', () => {
    const world = new BlockingWorld()
    const { client } = waiting(world)
    expect(world.client(1).call('RPUSH', 'k', 'v')).toBe(':1\r\n')
    expect(client.read()).toBe(popped('k', 'v'))
    expect(client.call('LLEN', 'k')).toBe(':0\r\n')
  })

  it('is answered in order: what it sends before comes before, what it sends behind waits', () => {
    const world = new BlockingWorld()
    const client = world.client()
    const sent = [
      ['SET', 'a', '1'],
      ['BLPOP', 'k', '0'],
      ['GET', 'a'],
      ['BLPOP', 'k', '0.5'],
      ['PING'],
      ['GET', 'a'],
    ]
    expect(client.raw(sent.map(encode).join(''))).toBe('+OK\r\n')
    world.client().call('SET', 'a', '2')
    world.client().call('RPUSH', 'k', 'v')
    expect(client.read()).toBe(`${popped('k', 'v')}${bulk('2')}`)
    world.world.advance(499)
    expect(client.read()).toBe('')
    world.world.advance(1)
    expect(client.read()).toBe(`${nobody}+PONG\r\n${bulk('2')}`)
  })

  it('reads streams as any other command does, unless it says BLOCK', () => {
    const world = new BlockingWorld()
    const client = world.client()
    const entry = (id: string): string => `*2\r\n${bulk(id)}*2\r\n${bulk('f')}${bulk('v')}`
    const given = (id: string): string => `*1\r\n*2\r\n${bulk('s')}*1\r\n${entry(id)}`
    const sent = [
      ['XADD', 's', '5', 'f', 'v'],
      ['XREAD', 'STREAMS', 's', '0'],
      ['XREAD', 'STREAMS', 's', '$'],
      ['xread', 'block', '0', 'STREAMS', 's', '$'],
      ['PING'],
    ]
    expect(client.raw(sent.map(encode).join(''))).toBe(`${bulk('5-1')}${given('5-1')}${nobody}`)
    expect(world.blockedClients).toBe(1)
    world.client(1).call('XADD', 's', '6', 'f', 'v')
    expect(client.read()).toBe(`${given('6-1')}+PONG\r\n`)
  })

  it('is given the order in which the clients of all workers came', () => {
    const world = new BlockingWorld()
    const clients = [0, 1, 0, 1].map((worker) => waiting(world, worker).client)
    const pusher = world.client()
    for (const value of ['a', 'b', 'c']) pusher.call('RPUSH', 'k', value)
    expect(clients.map((client) => client.read())).toEqual([
      popped('k', 'a'),
      popped('k', 'b'),
      popped('k', 'c'),
      '',
    ])
  })

  it('waits no longer when it has gone, in whatever way', () => {
    const world = new BlockingWorld()
    const gone = [waiting(world), waiting(world), waiting(world, 1)]
    const { client } = waiting(world)
    expect(world.blockedClients).toBe(4)
    gone[0]?.client.connection.destroy()
    gone[1]?.client.end()
    world.client().call('CLIENT', 'KILL', 'ID', gone[2]?.id ?? '')
    expect(world.blockedClients).toBe(1)
    expect(gone.map((one) => one.client.isClosed)).toEqual([true, true, true])
    world.client().call('RPUSH', 'k', 'v')
    expect(client.read()).toBe(popped('k', 'v'))
  })

  it('never begins to wait when its end was seen before', () => {
    const world = new BlockingWorld()
    const client = world.client()
    client.write(encode(['BLPOP', 'k', '0.2']) + encode(['BLPOP', 'k', '0']) + encode(['PING']))
    client.end()
    expect(client.read()).toBe(`${nobody}${nobody}+PONG\r\n`)
    expect(client.isClosed).toBe(true)
    expect(world.blockedClients).toBe(0)
  })

  it('is read from only as far as one request may go', () => {
    const world = new BlockingWorld({ limits: { requestBytesMax: 10_000 } })
    const { client } = waiting(world)
    for (let i = 0; i < 30; i++) {
      client.write(encode(['SET', `k${i}`, 'x'.repeat(1000)]))
      world.world.settle()
    }
    expect(client.connection.bufferedBytes).toBeGreaterThan(15_000)
    world.client().call('RPUSH', 'k', 'v')
    expect(client.read()).toBe(`${popped('k', 'v')}${'+OK\r\n'.repeat(30)}`)
  })

  it('does not wait inside of a transaction', () => {
    const world = new BlockingWorld()
    const client = world.client()
    client.call('MULTI')
    client.call('BLPOP', 'k', '0')
    client.call('BLMOVE', 'k', 'k', 'LEFT', 'LEFT', '0')
    expect(client.call('EXEC')).toBe(`*2\r\n${nobody}$-1\r\n`)
    expect(world.blockedClients).toBe(0)
  })

  it('is served after the EXEC that pushes', () => {
    const world = new BlockingWorld()
    const { client } = waiting(world)
    const pusher = world.client()
    const sent = [['MULTI'], ['LPUSH', 'k', 'a'], ['LPUSH', 'k', 'b'], ['LLEN', 'k'], ['EXEC'], ['LLEN', 'k']]
    expect(pusher.raw(sent.map(encode).join(''))).toContain('*3\r\n:1\r\n:2\r\n:2\r\n:1\r\n')
    expect(client.read()).toBe(popped('k', 'b'))
  })

  it('gets the errors of commands with keys', () => {
    const world = new BlockingWorld({ shardCount: 1 })
    const client = world.client()
    expect(client.call('BLPOP', 'a', 'b', '0')).toMatch(/^-CROSSSLOT/)
    expect(client.call('BLPOP', 'a', 'x')).toMatch(/^-ERR timeout is not a float/)
    expect(client.call('BLPOP', '0')).toMatch(/^-ERR wrong number/)
    expect(client.call('BLMPOP', '0', '0', 'a', 'LEFT')).toMatch(/^-ERR numkeys/)
    expect(client.call('PING')).toBe('+PONG\r\n')
  })

  it('gets no reply that it does not want, and goes on', () => {
    const world = new BlockingWorld()
    const client = world.client()
    client.write(encode(['CLIENT', 'REPLY', 'SKIP']) + encode(['BLPOP', 'k', '0']) + encode(['PING']))
    expect(client.read()).toBe('')
    world.client().call('RPUSH', 'k', 'v')
    expect(client.read()).toBe('+PONG\r\n')
    expect(client.call('LLEN', 'k')).toBe(':0\r\n')
  })

  it('does not stand in the way of others: it counts for no limit of requests on their way', () => {
    const world = new BlockingWorld({ limits: { shardPendingMax: 2 } })
    const clients = Array.from({ length: 20 }, () => waiting(world).client)
    expect(world.proxies[0]?.status().shards).toMatchObject([{ pending: 0 }])
    world.client().call('RPUSH', 'k', 'v')
    expect(clients[0]?.read()).toBe(popped('k', 'v'))
    expect(world.blockedClients).toBe(19)
  })

  it('is told when its shard goes away, and may ask again', () => {
    const world = new BlockingWorld()
    const { client } = waiting(world)
    for (const link of world.links) link.destroy()
    expect(client.read()).toMatch(/^-UNAVAILABLE shard 0 went away/)
    world.world.advance(2000)
    expect(client.call('SET', 'other', 'v')).toBe('+OK\r\n')
    expect(world.proxies[0]?.status().shards).toMatchObject([{ pending: 0 }])
    expect(client.call('BLPOP', 'k', '0')).toBe('')
    world.client().call('RPUSH', 'k', 'v')
    expect(client.read()).toBe(popped('k', 'v'))
  })

  it('is told at once when its shard is not there', () => {
    const world = new BlockingWorld()
    for (const link of world.links) link.destroy()
    world.world.settle()
    expect(world.client().call('BLPOP', 'k', '0')).toMatch(/^-UNAVAILABLE shard 0 is restarting/)
  })

  it('is told when the process ends, and loses nothing that it was given', () => {
    const world = new BlockingWorld()
    const { client } = waiting(world)
    let drained = false
    world.proxies[0]?.drain(() => {
      drained = true
    })
    expect(client.read()).toBe('-UNBLOCKED the connection is going to be closed; try again\r\n')
    expect(client.isClosed).toBe(true)
    expect(drained).toBe(true)
    expect(world.blockedClients).toBe(0)
  })
})

describe('CLIENT UNBLOCK', () => {
  it('ends the waiting of a client at any worker, as if its time were over or with an error', () => {
    const world = new BlockingWorld()
    const one = waiting(world, 0)
    const other = waiting(world, 1)
    const asker = world.client(1)
    expect(asker.call('CLIENT', 'UNBLOCK', one.id)).toBe(':1\r\n')
    expect(one.client.read()).toBe(nobody)
    expect(asker.call('CLIENT', 'UNBLOCK', other.id, 'error')).toBe(':1\r\n')
    expect(other.client.read()).toBe('-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n')
    expect(one.client.call('BLPOP', 'k', '0')).toBe('')
    expect(asker.call('CLIENT', 'UNBLOCK', one.id, 'TIMEOUT')).toBe(':1\r\n')
    expect(one.client.read()).toBe(nobody)
  })

  it('tells that nobody of that name waits', () => {
    const world = new BlockingWorld()
    const client = world.client()
    for (const id of [idOf(client), '0', '-1', '9223372036854775807', '99'])
      expect(client.call('CLIENT', 'UNBLOCK', id)).toBe(':0\r\n')
    expect(client.call('CLIENT', 'UNBLOCK', 'x')).toBe('-ERR value is not an integer or out of range\r\n')
    expect(client.call('CLIENT', 'UNBLOCK', 'x', 'NOW')).toBe(
      '-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n',
    )
    expect(client.call('CLIENT', 'UNBLOCK', '1', 'ERROR', 'x')).toMatch(/^-ERR unknown subcommand or wrong/)
    expect(client.call('CLIENT', 'UNBLOCK')).toMatch(/^-ERR wrong number/)
  })
})

describe('who waits', () => {
  it('is marked in CLIENT LIST and counted in INFO', () => {
    const world = new BlockingWorld()
    const { id } = waiting(world)
    const timed = world.client(1)
    timed.call('BLPOP', '{k}2', '100')
    const client = world.client()
    expect(client.call('CLIENT', 'LIST', 'ID', id)).toContain(' flags=b ')
    expect(client.call('CLIENT', 'INFO')).toContain(' flags=N ')
    const info = client.call('INFO', 'clients')
    expect(info).toContain('\r\nblocked_clients:2\r\n')
    expect(info).toContain('\r\nclients_in_timeout_table:1\r\n')
    expect(info).toContain('\r\ntotal_blocking_keys:2\r\n')
    client.call('CLIENT', 'UNBLOCK', id)
    expect(client.call('CLIENT', 'LIST', 'ID', id)).toContain(' flags=N ')
  })

  it('is not disconnected for being idle', () => {
    const world = new BlockingWorld()
    const { client } = waiting(world)
    world.client().call('CONFIG', 'SET', 'timeout', '10')
    world.world.advance(60_000)
    expect(client.isClosed).toBe(false)
    world.client().call('RPUSH', 'k', 'v')
    expect(client.read()).toBe(popped('k', 'v'))
  })
})
