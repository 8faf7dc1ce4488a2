/** Several workers of one port: a client sees one server, whichever of them it is connected to. */
import { describe, expect, it } from 'vitest'
import { FrameKind } from '#protocol/frames/frame.ts'
import { helloFrame, jsonFrame } from '#protocol/frames/hello.ts'
import { siblingPendingMax } from '#proxy/siblings/siblingLink.ts'
import { siblingAnswerMs } from '#proxy/siblings/siblings.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { encode, type TestClient } from './proxyWorld.ts'
import { WorkersWorld } from './workersWorld.ts'

const idOf = (client: TestClient): number => Number(client.call('CLIENT', 'ID').slice(1, -2))
const idsIn = (list: string): number[] =>
  [...list.matchAll(/^(?:txt:)?id=(\d+) /gm)].map(([, id]) => Number(id))
const fieldsOf = (reply: string): Record<string, string> =>
  Object.fromEntries([...reply.matchAll(/^([a-z0-9_|]+):(.*)\r$/gm)].map(([, name, value]) => [name, value]))
const setting = (client: TestClient, name: string): string =>
  client.call('CONFIG', 'GET', name).split('\r\n')[4] ?? ''
const warnings = ({ logger }: WorkersWorld): string[] =>
  logger.lines.filter(({ level }) => level === 'warn' || level === 'error').map(({ message }) => message)

describe('CLIENT LIST', () => {
  it('shows the clients of all workers, by id', () => {
    const world = new WorkersWorld()
    const clients = [0, 2, 1, 1].map((worker) => world.client(worker))
    const ids = clients.map(idOf)
    expect([...ids].sort()).toEqual([1, 2, 3, 5])
    for (const client of clients) {
      const list = client.call('CLIENT', 'LIST')
      expect(idsIn(list)).toEqual([1, 2, 3, 5])
      for (const { remoteAddress } of clients) expect(list).toContain(` addr=${remoteAddress} `)
    }
  })

  it('finds clients of others by id, in the order asked for, and none of a kind that there is not', () => {
    const world = new WorkersWorld()
    const [one, other] = [world.client(0), world.client(2)]
    expect(idsIn(one.call('CLIENT', 'LIST', 'ID', '3', '99', '1'))).toEqual([idOf(other), idOf(one)])
    expect(idsIn(one.call('CLIENT', 'LIST', 'TYPE', 'normal'))).toEqual([1, 3])
    expect(one.call('CLIENT', 'LIST', 'TYPE', 'pubsub')).toBe('$0\r\n\r\n')
  })

  it('keeps its place among pipelined requests', () => {
    const world = new WorkersWorld()
    const client = world.client(0)
    const replies = client.raw(
      ['PING', 'CLIENT LIST', 'GET a', 'PING 2'].map((line) => `${line}\r\n`).join(''),
    )
    expect(replies).toMatch(/^\+PONG\r\n\$\d+\r\nid=1 [^\n]*\n\r\n\$-1\r\n\$1\r\n2\r\n$/)
  })
})

describe('CLIENT KILL', () => {
  it('reaches every worker and counts the clients of all', () => {
    const world = new WorkersWorld()
    const own = world.client(0)
    const kill = (...words: string[]): string => own.call('CLIENT', 'KILL', ...words)
    const byId = world.client(1)
    expect(kill('ID', String(idOf(byId)))).toBe(':1\r\n')
    expect(byId.isClosed).toBe(true)
    const byAddress = world.client(2)
    expect(kill('ADDR', byAddress.remoteAddress)).toBe(':1\r\n')
    expect(byAddress.isClosed).toBe(true)
    const old = world.client(1)
    expect(kill(old.remoteAddress)).toBe('+OK\r\n')
    expect(old.isClosed).toBe(true)
    expect(kill(old.remoteAddress)).toBe('-ERR No such client\r\n')
    const others = [0, 1, 1, 2].map((worker) => world.client(worker))
    expect(kill('TYPE', 'replica')).toBe(':0\r\n')
    expect(kill('LADDR', '127.0.0.1:1')).toBe(':0\r\n')
    expect(kill('TYPE', 'normal', 'USER', 'default')).toBe(':4\r\n')
    expect(others.every(({ isClosed }) => isClosed)).toBe(true)
    expect(own.isClosed).toBe(false)
  })

  it('by age, and of itself', () => {
    const world = new WorkersWorld()
    world.client(1)
    world.client(2)
    world.world.advance(5_000)
    const own = world.client(0)
    world.client(1)
    expect(own.call('CLIENT', 'KILL', 'MAXAGE', '3')).toBe(':2\r\n')
    expect(own.call('CLIENT', 'KILL', 'SKIPME', 'no')).toBe(':2\r\n')
    expect(own.isClosed).toBe(true)
  })
})

describe('CLIENT PAUSE', () => {
  it('holds the clients of all workers before it is answered, until it is over', () => {
    const world = new WorkersWorld()
    const [own, other] = [world.client(0), world.client(2)]
    expect(own.call('CLIENT', 'PAUSE', '1000', 'WRITE')).toBe('+OK\r\n')
    expect(other.call('GET', 'a')).toBe('$-1\r\n')
    expect(other.call('SET', 'a', '1')).toBe('')
    world.world.advance(999)
    expect(other.read()).toBe('')
    world.world.advance(1)
    expect(other.read()).toBe('+OK\r\n')
  })

  it('ends with UNPAUSE at any worker', () => {
    const world = new WorkersWorld()
    const [own, other, third] = [world.client(0), world.client(1), world.client(2)]
    own.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    expect(other.call('SET', 'a', '1')).toBe('')
    expect(third.call('CLIENT', 'UNPAUSE')).toBe('+OK\r\n')
    expect(other.read()).toBe('+OK\r\n')
    world.restart(1)
    expect(world.client(1).call('SET', 'a', '1')).toBe('+OK\r\n')
  })

  it.each([0, 1])('is answered when no write of worker %i is on its way any more', (worker) => {
    const world = new WorkersWorld()
    const own = world.client(0)
    world.holdShards(worker, true)
    world.client(worker).write(encode(['SET', 'a', '1']))
    expect(own.call('CLIENT', 'PAUSE', '1000', 'WRITE')).toBe('')
    world.holdShards(worker, false)
    expect(own.read()).toBe('+OK\r\n')
    expect(world.shards[0]?.seen.map(({ commands }) => commands[0]?.[0])).toEqual(['SET'])
  })

  it('holds for a worker that starts again', () => {
    const world = new WorkersWorld()
    world.client(0).call('CLIENT', 'PAUSE', '10000', 'WRITE')
    world.restart(1)
    const other = world.client(1)
    expect(other.call('SET', 'a', '1')).toBe('')
    world.world.advance(8_000)
    expect(other.read()).toBe('+OK\r\n')
  })

  it('of two that do not know of each other both hold', () => {
    const world = new WorkersWorld()
    const [one, two, third] = [world.client(0), world.client(1), world.client(2)]
    one.write(encode(['CLIENT', 'PAUSE', '5000', 'WRITE']))
    two.write(encode(['CLIENT', 'PAUSE', '1000', 'ALL']))
    expect(one.read()).toBe('+OK\r\n')
    expect(two.read()).toBe('+OK\r\n')
    for (const client of [one, two, third]) expect(client.call('SET', 'a', '1')).toBe('')
    world.world.advance(4_999)
    for (const client of [one, two, third]) expect(client.read()).toBe('')
    world.world.advance(1)
    for (const client of [one, two, third]) expect(client.read()).toBe('+OK\r\n')
  })
})

describe('CONFIG', () => {
  it('SET counts at all workers when it is answered; the latest counts', () => {
    const world = new WorkersWorld()
    const clients = [0, 1, 2].map((worker) => world.client(worker)) as [TestClient, TestClient, TestClient]
    expect(clients[0].call('CONFIG', 'SET', 'timeout', '7', 'pipeline-max', '50')).toBe('+OK\r\n')
    for (const client of clients) {
      expect(setting(client, 'timeout')).toBe('7')
      expect(setting(client, 'pipeline-max')).toBe('50')
    }
    clients[2].call('CONFIG', 'SET', 'timeout', '9')
    clients[1].call('CONFIG', 'SET', 'timeout', '0')
    for (const client of clients) expect(setting(client, 'timeout')).toBe('0')
  })

  it('what was set is known to a worker that starts again, as long as one lives', () => {
    const world = new WorkersWorld({ workerCount: 2 })
    world.client(0).call('CONFIG', 'SET', 'timeout', '7', 'client-query-buffer-limit', '70kb')
    world.restart(1)
    world.restart(0)
    const client = world.client(0)
    expect(setting(client, 'timeout')).toBe('7')
    expect(setting(client, 'request-bytes-max')).toBe('71680')
    client.call('CONFIG', 'SET', 'timeout', '8')
    expect(setting(world.client(1), 'timeout')).toBe('8')
    world.kill(0)
    world.restart(1)
    expect(setting(world.client(1), 'timeout')).toBe('0')
  })

  it('a change of the file ends a change of the same setting, and of no other', () => {
    const world = new WorkersWorld({ workerCount: 2 })
    const client = world.client(0)
    client.call('CONFIG', 'SET', 'timeout', '7', 'pipeline-max', '50', 'maxclients', '60')
    const { limits } = world.config
    for (const worker of [0, 1]) world.reconfigure(worker, { limits: { ...limits, pipelineMax: 70 } })
    for (const one of [client, world.client(1)]) {
      expect(setting(one, 'pipeline-max')).toBe('70')
      expect(setting(one, 'maxclients')).toBe('60')
      expect(setting(one, 'timeout')).toBe('7')
    }
  })

  it('of two changes at the same time all keep the same one', () => {
    const world = new WorkersWorld()
    const clients = [0, 1, 2].map((worker) => world.client(worker))
    clients.forEach((client, i) => {
      client.write(encode(['CONFIG', 'SET', 'timeout', String(i + 1)]))
    })
    world.world.settle()
    expect(clients.map((client) => client.read())).toEqual(['+OK\r\n', '+OK\r\n', '+OK\r\n'])
    expect(new Set(clients.map((client) => setting(client, 'timeout')))).toEqual(new Set(['3']))
  })

  it('RESETSTAT begins the counts of all workers anew', () => {
    const world = new WorkersWorld()
    const asked: string[] = []
    for (const shard of world.shards)
      shard.info = (what) => {
        asked.push(what)
        return {}
      }
    const clients = [0, 1, 2].map((worker) => world.client(worker)) as [TestClient, TestClient, TestClient]
    for (const client of clients) client.call('PING')
    expect(clients[1].call('CONFIG', 'RESETSTAT')).toBe('+OK\r\n')
    expect(asked).toEqual(['resetStats'])
    expect(fieldsOf(clients[0].call('INFO', 'all'))).toMatchObject({
      total_connections_received: '0',
      // RESETSTAT and INFO themselves.
      total_commands_processed: '2',
      connected_clients: '3',
    })
    expect(clients[0].call('INFO', 'commandstats')).not.toContain('cmdstat_ping')
  })
})

describe('INFO', () => {
  it('adds up what the workers count', () => {
    const world = new WorkersWorld()
    const clients = [0, 1, 2, 2].map((worker) => world.client(worker))
    for (const client of clients) client.call('PING')
    for (const client of clients) client.call('GET')
    const fields = fieldsOf(clients[0]?.call('INFO', 'everything') ?? '')
    expect(fields).toMatchObject({
      connected_clients: '4',
      proxy_worker: '0',
      proxy_workers: '3',
      proxy_workers_missing: '',
      total_connections_received: '4',
      total_commands_processed: '5',
      used_memory_proxy_rss: '300',
      used_cpu_user_proxy: '3.000000',
      cmdstat_ping: 'calls=4,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0',
      cmdstat_get: 'calls=0,usec=0,usec_per_call=0.00,rejected_calls=4,failed_calls=0',
    })
    expect(Number(fields['total_net_input_bytes'])).toBeGreaterThan(4 * 14)
    expect(fields['client_recent_max_input_buffer']).toBe('0')
  })

  it('names the workers that are not there', () => {
    const world = new WorkersWorld()
    world.client(1)
    const client = world.client(0)
    world.kill(1)
    expect(fieldsOf(client.call('INFO'))).toMatchObject({
      connected_clients: '1',
      proxy_workers_missing: '1',
    })
  })
})

describe('the limit of clients', () => {
  const refusal = '-ERR max number of clients reached\r\n'

  it('is that of all workers together', () => {
    const world = new WorkersWorld({ limits: { clientsMax: 10 } })
    const first = Array.from({ length: 8 }, () => world.client(0))
    for (let i = 0; i < 2; i++) expect(world.client(1).call('PING')).toBe('+PONG\r\n')
    for (const worker of [0, 1, 2]) expect(world.client(worker).read()).toBe(refusal)
    expect(fieldsOf(first[0]?.call('INFO') ?? '')).toMatchObject({
      connected_clients: '10',
      rejected_connections: '3',
    })
    first[7]?.connection.close()
    world.world.settle()
    expect(world.client(2).call('PING')).toBe('+PONG\r\n')
    expect(world.client(2).read()).toBe(refusal)
  })

  it('takes the clients of a dead worker for gone', () => {
    const world = new WorkersWorld({ limits: { clientsMax: 4 } })
    for (let i = 0; i < 4; i++) world.client(1)
    expect(world.client(0).read()).toBe(refusal)
    world.kill(1)
    expect(world.client(0).call('PING')).toBe('+PONG\r\n')
  })

  it('is counted closely only where it matters', () => {
    const world = new WorkersWorld({ limits: { clientsMax: 1000 } })
    const known = (): number => world.proxy(1).siblings.clientCount
    for (let i = 0; i < 100; i++) world.client(0)
    expect(known()).toBe(0)
    for (let i = 0; i < 850; i++) world.client(0)
    expect(known()).toBeGreaterThan(900)
    for (let i = 0; i < 50; i++) world.client(0)
    expect(known()).toBe(1000)
  })
})

describe('ids', () => {
  it('do not repeat when a worker starts again', () => {
    const world = new WorkersWorld()
    const before = [1, 1, 0, 1, 2].map((worker) => idOf(world.client(worker)))
    world.restart(1)
    const after = [1, 1, 0, 2].map((worker) => idOf(world.client(worker)))
    expect(new Set([...before, ...after]).size).toBe(9)
    world.restart(1)
    expect([...before, ...after]).not.toContain(idOf(world.client(1)))
  })

  it('do not repeat when the number of workers changes', () => {
    const world = new WorkersWorld({ workerCount: 2 })
    const { workers } = world.config
    const before = [0, 0, 1, 1].map((worker) => idOf(world.client(worker)))
    const more = [...workers, { worker: 2, socketPath: '/worker/2' }]
    for (const worker of [0, 1]) world.reconfigure(worker, { workers: more })
    world.start(2, { workers: more })
    world.world.advance(2_000)
    const after = [0, 1, 2, 2, 1, 0].map((worker) => idOf(world.client(worker)))
    expect(new Set([...before, ...after]).size).toBe(10)
    expect(idsIn(world.client(2).call('CLIENT', 'LIST'))).toHaveLength(11)
  })
})

describe('a worker that hangs', () => {
  it('is waited for once, and then no longer', () => {
    const world = new WorkersWorld()
    const [own, other] = [world.client(0), world.client(1)]
    world.client(2)
    world.hang(1)
    expect(own.call('CLIENT', 'LIST')).toBe('')
    world.world.advance(siblingAnswerMs)
    expect(idsIn(own.read())).toEqual([1, 3])
    expect(warnings(world)).toEqual(['a proxy worker does not answer'])
    expect(idsIn(own.call('CLIENT', 'LIST'))).toEqual([1, 3])
    expect(fieldsOf(own.call('INFO'))).toMatchObject({ connected_clients: '2', proxy_workers_missing: '1' })
    expect(own.call('CLIENT', 'PAUSE', '1000', 'WRITE')).toBe(
      '-UNAVAILABLE proxy worker 1 did not answer: its clients may not be paused yet, try again\r\n',
    )
    own.call('CLIENT', 'UNPAUSE')
    expect(own.call('CONFIG', 'SET', 'timeout', '7')).toBe('+OK\r\n')
    world.goOn(1)
    expect(setting(other, 'timeout')).toBe('7')
    expect(idsIn(own.call('CLIENT', 'LIST'))).toEqual([1, 2, 3])
  })

  it('does not keep others from starting', () => {
    const world = new WorkersWorld()
    world.hang(1)
    world.kill(2)
    let hasMet = false
    world.start(2).whenMet(() => {
      hasMet = true
    })
    world.world.advance(siblingAnswerMs - 1)
    expect(hasMet).toBe(false)
    world.world.advance(1)
    expect(hasMet).toBe(true)
  })

  it('costs little, however much it is asked', () => {
    const world = new WorkersWorld()
    const own = world.client(0)
    world.fallSilent(1, own)
    const perBatch = 1000
    const kill = encode(['CLIENT', 'KILL', 'ID', '999']).repeat(perBatch)
    for (let asked = 0; asked <= siblingPendingMax; asked += perBatch)
      expect(own.raw(kill)).toBe(':0\r\n'.repeat(perBatch))
    expect(warnings(world).filter((message) => message.includes('too much to answer'))).toHaveLength(1)
    // It was not asked this any more, and yet hears of it.
    own.call('CONFIG', 'SET', 'timeout', '7')
    world.goOn(1)
    expect(setting(world.client(1), 'timeout')).toBe('7')
  })
})

describe('a worker that dies', () => {
  it('while it is asked is not waited for', () => {
    const world = new WorkersWorld()
    const own = world.client(0)
    world.hang(1)
    expect(own.call('CLIENT', 'PAUSE', '1000', 'WRITE')).toBe('')
    world.kill(1)
    expect(own.read()).toBe('+OK\r\n')
  })
})

describe('who calls on the socket of a worker', () => {
  const hello = (change: object = {}): string =>
    latin1(helloFrame({ role: 'worker', guid: 'guid-1', worker: 2, ...change }))
  const question = (value: unknown): string => latin1(jsonFrame(FrameKind.admin, 7, value))
  const news = {
    clients: 0,
    monitors: 0,
    isListening: true,
    ids: { step: 3, upTo: [] },
    pause: { count: 0, worker: 0, mode: 'none', untilWallMs: 0 },
    settings: {},
    shardSettings: {},
  }

  it.each([
    ['another database', hello({ guid: 'guid-2' })],
    ['itself', hello({ worker: 0 })],
    ['a syncer', latin1(helloFrame({ role: 'proxy', name: 'x' }))],
    ['no hello', question({ what: 'figures' })],
    ['garbage', '\xff\xff\xff\xff garbage'],
    ['a frame of another kind', hello() + latin1(jsonFrame(FrameKind.request, 7, {}))],
    ['an unknown question', hello() + question({ what: 'x' })],
    ['no question', hello() + question([])],
    ['news without fields', hello() + question({ what: 'news', news: {} })],
    [
      'news of a wrong pause',
      hello() + question({ what: 'news', news: { ...news, pause: { ...news.pause, mode: 'x' } } }),
    ],
    [
      'news of a wrong setting',
      hello() + question({ what: 'news', news: { ...news, settings: { idleMs: { value: -1 } } } }),
    ],
    [
      'news of wrong ids',
      hello() + question({ what: 'news', news: { ...news, ids: { step: 3, upTo: ['1'] } } }),
    ],
    ['a choice that is none', hello() + question({ what: 'kill', choice: { ids: ['x'] } })],
    ['a choice by a wrong age', hello() + question({ what: 'kill', choice: { ageSeconds: 'x' } })],
  ])('is turned away as %s', (_, bytes) => {
    const world = new WorkersWorld()
    const client = world.client(0)
    const caller = world.caller(0)
    caller.raw(bytes)
    expect(caller.isClosed).toBe(true)
    expect(warnings(world)).toContain('a proxy worker was turned away')
    expect(client.call('PING')).toBe('+PONG\r\n')
    expect(setting(client, 'timeout')).toBe('0')
  })

  it('is answered when it asks what it may', () => {
    const world = new WorkersWorld()
    world.client(0)
    const caller = world.caller(0)
    const answer = caller.raw(
      hello() + question({ what: 'clients', choice: {} }) + question({ what: 'news', news }),
    )
    expect(answer).toContain('"clients":[{"id":1,')
    expect(answer).toContain('"news":{"clients":1,')
    expect(caller.isClosed).toBe(false)
  })
})
