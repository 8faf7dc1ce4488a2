/** CLIENT TRACKING as clients see it: order among replies, several shards and workers, and what is lost with a shard. */
import { describe, expect, it } from 'vitest'
import { FrameKind } from '#protocol/frames/frame.ts'
import { type Invalidated, invalidatedPayload } from '#protocol/frames/tracking.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { BlockingWorld } from './blockingWorld.ts'
import { frame } from './fakeShard.ts'
import { linked } from './linkedWorld.ts'
import { encode, ProxyWorld, type TestClient } from './proxyWorld.ts'

const push = (...keys: string[]): string =>
  `>2\r\n$10\r\ninvalidate\r\n*${keys.length}\r\n${keys.map((key) => `$${key.length}\r\n${key}\r\n`).join('')}`
const pushAll = '>2\r\n$10\r\ninvalidate\r\n_\r\n'
const message = (key: string): string =>
  `*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$${key.length}\r\n${key}\r\n`

function tracking(client: TestClient, ...options: string[]): TestClient {
  client.call('HELLO', '3')
  expect(client.call('CLIENT', 'TRACKING', 'ON', ...options)).toBe('+OK\r\n')
  return client
}

const idOf = (client: TestClient): string => client.call('CLIENT', 'ID').match(/\d+/)?.[0] ?? ''

/** Keys of two different shards. */
function keysOfShards(world: ProxyWorld): [string, string] {
  const shardOf = (key: string) =>
    world.shards.findIndex(({ ranges }) =>
      ranges.some(({ first, last }) => first <= slotOfKey(key) && slotOfKey(key) <= last),
    )
  const others = Array.from({ length: 50 }, (_, i) => `k${i}`)
  return [others.find((key) => shardOf(key) === 0) ?? '', others.find((key) => shardOf(key) === 1) ?? '']
}

describe('what says that replies are out of date', () => {
  /** As the shard would after the client has read from it. */
  const tell = (world: ProxyWorld, shard: number, invalidated: Invalidated): void => {
    for (const connection of world.shards[shard]?.connections ?? [])
      connection.write(frame(FrameKind.invalidated, 0, latin1(invalidatedPayload(invalidated))))
    world.world.settle()
  }

  it('stays behind a reply that waits for that of another shard', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const [here, there] = keysOfShards(world)
    const client = tracking(world.client())
    const [slow] = world.shards
    if (slow === undefined) throw new Error('no shard')
    slow.isHolding = true
    client.write(encode(['GET', here]) + encode(['GET', there]) + encode(['GET', here]))
    world.world.settle()
    const session = world.shards[1]?.seen.at(-1)?.session ?? 0
    expect(session).toBeGreaterThan(0)
    tell(world, 1, { what: 'read', key: there, sessions: [session] })
    tell(world, 1, { what: 'flushed' })
    tell(world, 1, { what: 'flushed' })
    expect(client.read()).toBe('')
    slow.release(([first]) => (first === undefined ? [] : [first]))
    expect(client.read()).toBe(`$-1\r\n$-1\r\n${push(there)}${pushAll}`)
  })

  it('stays behind a reply of which only a part has come', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const [here, there] = keysOfShards(world)
    const client = tracking(world.client())
    const [slow] = world.shards
    if (slow === undefined) throw new Error('no shard')
    slow.isHolding = true
    client.write(encode(['MGET', here, there]))
    world.world.settle()
    tell(world, 1, { what: 'read', key: there, sessions: [world.shards[1]?.seen.at(-1)?.session ?? 0] })
    expect(client.read()).toBe('')
    slow.release()
    expect(client.read()).toBe(`*2\r\n$-1\r\n$-1\r\n${push(there)}`)
  })

  it('does not wait for a request that nobody has answered yet', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const [here, there] = keysOfShards(world)
    const client = tracking(world.client())
    client.call('GET', there)
    const [slow] = world.shards
    if (slow === undefined) throw new Error('no shard')
    slow.isHolding = true
    client.write(encode(['GET', here]))
    world.world.settle()
    tell(world, 1, { what: 'read', key: there, sessions: [world.shards[1]?.seen.at(-1)?.session ?? 0] })
    expect(client.read()).toBe(push(there))
  })

  it('ends the connection of a client that does not read it', () => {
    const world = new ProxyWorld({ shardCount: 2, limits: { outputBytesMax: 64 * 1024 } })
    const [here, there] = keysOfShards(world)
    const client = tracking(world.client())
    const [slow] = world.shards
    if (slow === undefined) throw new Error('no shard')
    slow.isHolding = true
    client.write(encode(['GET', here]) + encode(['GET', there]))
    world.world.settle()
    const session = world.shards[1]?.seen.at(-1)?.session ?? 0
    for (let i = 0; i < 2000; i++)
      tell(world, 1, { what: 'read', key: `key of some length ${i}`, sessions: [session] })
    expect(client.isClosed).toBe(true)
  })
})

describe('the frames of a client', () => {
  it('say whose they are only while that matters', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const last = () => world.shard.seen.at(-1)
    client.call('GET', 'a')
    expect(last()).toMatchObject({ isTracked: false, noLoop: false, session: 0 })
    client.call('CLIENT', 'TRACKING', 'ON', 'NOLOOP')
    client.call('GET', 'a')
    expect(last()).toMatchObject({ isTracked: true, noLoop: true, commands: [['GET', 'a']] })
    client.call('CLIENT', 'TRACKING', 'ON', 'OPTIN')
    client.call('GET', 'a')
    expect(last()).toMatchObject({ isTracked: false, noLoop: false })
    client.call('CLIENT', 'CACHING', 'YES')
    client.raw(encode(['GET', 'a']) + encode(['GET', 'b']))
    expect(world.shard.seen.slice(-2)).toMatchObject([{ isTracked: true }, { isTracked: false }])
    for (const request of [
      ['CLIENT', 'CACHING', 'YES'],
      ['CLIENT', 'GETNAME'],
      ['MULTI'],
      ['GET', 'a'],
      ['EXEC'],
    ])
      client.call(...request)
    expect(last()).toMatchObject({ isTracked: true, isWatching: false, commands: [['GET', 'a']] })
    client.call('GET', 'a')
    expect(last()).toMatchObject({ isTracked: false })
    client.call('RESET')
    client.call('GET', 'a')
    expect(last()).toMatchObject({ isTracked: false, session: 0 })
  })

  it('let all reads of a transaction be remembered that turns tracking on', () => {
    const world = new ProxyWorld()
    const client = world.client()
    for (const request of [
      ['MULTI'],
      ['GET', 'a'],
      ['CLIENT', 'TRACKING', 'ON', 'OPTIN'],
      ['CLIENT', 'CACHING', 'YES'],
    ])
      client.call(...request)
    expect(client.call('EXEC')).toBe('*3\r\n$-1\r\n+OK\r\n+OK\r\n')
    expect(world.shard.seen.at(-1)).toMatchObject({ isTracked: true })
    client.call('GET', 'a')
    expect(world.shard.seen.at(-1)).toMatchObject({ isTracked: false })
  })
})

describe('clients of several workers and shards', () => {
  it('are told of what clients of other workers and other clusters change', () => {
    const { world, peers, carry } = linked(2)
    const client = tracking(world.client())
    const broad = tracking(world.client(1), 'BCAST', 'PREFIX', 'k')
    const other = world.client(1)
    for (const key of ['k1', 'k2', 'k3']) {
      client.call('GET', key)
      other.call('SET', key, 'v')
      expect(client.read()).toBe(push(key))
      expect(broad.read()).toBe(push(key))
      client.call('GET', key)
    }
    carry(50)
    for (const key of ['k1', 'k2', 'k3']) for (const peer of peers) peer.run('SET', key, 'theirs')
    carry(300)
    expect(client.read().match(/invalidate/g)).toHaveLength(3)
    expect(broad.read().match(/\$2\r\nk[123]/g)).toHaveLength(3)
    expect(client.call('GET', 'k1')).toBe('$6\r\ntheirs\r\n')
  })

  it('are told for each other, wherever they are, until one is gone', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    for (const worker of [0, 1]) {
      const teller = world.client(worker)
      const id = idOf(teller)
      teller.call('SUBSCRIBE', '__redis__:invalidate')
      const client = tracking(world.client(), 'REDIRECT', id)
      expect(client.call('CLIENT', 'GETREDIR')).toBe(`:${id}\r\n`)
      client.call('GET', 'k')
      world.client(1).call('SET', 'k', 'v')
      expect(teller.read()).toBe(message('k'))
      expect(client.read()).toBe('')
      expect(client.call('CLIENT', 'INFO')).toMatch(new RegExp(` flags=t .* redir=${id} `))
      client.call('GET', 'k')
      teller.connection.close()
      world.client(1).call('SET', 'k', 'w')
      expect(client.read()).toBe(`>2\r\n$21\r\ntracking-redir-broken\r\n:${id}\r\n`)
      expect(client.call('CLIENT', 'INFO')).toMatch(/ flags=tR /)
      expect(client.call('CLIENT', 'TRACKINGINFO')).toContain('broken_redirect')
      client.call('RESET')
      expect(client.call('CLIENT', 'INFO')).toMatch(/ flags=N .* redir=-1 /)
    }
  })

  it('are told for another one together, when its worker is slow to answer', () => {
    const world = new BlockingWorld()
    const teller = world.client(1)
    const id = idOf(teller)
    teller.call('HELLO', '3')
    const client = tracking(world.client(), 'REDIRECT', id)
    const writer = world.client()
    const count = 2500
    for (let i = 0; i < count; i++) client.write(encode(['GET', `k${i}`]))
    client.read()
    for (let i = 0; i < count; i++) writer.write(encode(['SET', `k${i}`, 'v']))
    const received = teller.read()
    // All keys were named, or it was said that all have changed.
    const named = received.match(/\$\d+\r\nk\d+/g)?.length ?? 0
    expect(received.includes(pushAll) || named === count).toBe(true)
    expect(received).not.toBe('')
  })

  it('know what they can be told by', () => {
    const world = new BlockingWorld()
    const client = world.client()
    const noClient = '-ERR The client ID you want redirect to does not exist\r\n'
    expect(client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', '12345')).toBe(noClient)
    expect(client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', '12345', 'NOTHING')).toBe(noClient)
    expect(client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', idOf(world.client(1)), 'NOTHING')).toBe(
      '-ERR syntax error\r\n',
    )
    expect(client.call('CLIENT', 'TRACKINGINFO')).toContain('off')
    expect(client.call('CLIENT', 'CACHING', 'YES')).toMatch(/^-ERR CLIENT CACHING can be called only/)
    expect(client.call('CLIENT', 'GETREDIR')).toBe(':-1\r\n')
  })

  it('count in INFO, and the limit of their keys is a setting', () => {
    const world = new BlockingWorld({ shardCount: 2 }, { database: { shardCount: 2 } })
    const client = tracking(world.client())
    tracking(world.client(1), 'BCAST', 'PREFIX', 'a', 'PREFIX', 'b')
    client.raw(encode(['GET', 'x']) + encode(['GET', 'y']))
    const info = client.call('INFO')
    for (const line of [
      'tracking_clients:2',
      'tracking_total_keys:2',
      'tracking_total_items:2',
      'tracking_total_prefixes:2',
    ])
      expect(info).toContain(`${line}\r\n`)
    expect(client.call('CONFIG', 'SET', 'tracking-table-max-keys', '2')).toMatch(/^\+OK/)
    client.read()
    expect(client.call('CONFIG', 'GET', 'tracking-table-max-keys')).toBe(
      '%1\r\n$23\r\ntracking-table-max-keys\r\n$1\r\n2\r\n',
    )
    for (let i = 0; i < 20; i++) client.write(encode(['GET', `k${i}`]))
    expect(client.read()).toContain('invalidate')
    expect(client.call('INFO')).toContain('tracking_total_keys:2\r\n')
  })
})

describe('a shard that is lost', () => {
  it('may have changed everything: all are told so, and those with prefixes again when it knows of them', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    const client = tracking(world.client())
    const broad = tracking(world.client(), 'BCAST')
    const teller = world.client(1)
    teller.call('SUBSCRIBE', '__redis__:invalidate')
    const redirected = tracking(world.client(1))
    client.call('GET', 'k')
    world.restart(0)
    expect(client.read()).toContain(pushAll)
    expect(redirected.read()).toContain(pushAll)
    expect(broad.read().split(pushAll).length).toBeGreaterThan(2)
    for (const key of ['a', 'b', 'c']) {
      world.client(1).call('SET', key, 'v')
      expect(broad.read()).toBe(push(key))
    }
    client.call('GET', 'k')
    world.client(1).call('SET', 'k', 'v')
    expect(client.read()).toBe(push('k'))
  })
})
