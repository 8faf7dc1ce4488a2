/** A peer's syncer on the database port: who may, what is carried, and what a bad one can do. */
import { describe, expect, it } from 'vitest'
import { compressedFrame } from '#protocol/frames/compressedFrame.ts'
import { FrameKind, writeU32 } from '#protocol/frames/frame.ts'
import { channelClosedFrame, type Hello, helloFrame, jsonFrame } from '#protocol/frames/hello.ts'
import { receivedFrame } from '#protocol/frames/receipt.ts'
import { peerChannelsMax, peerFrameBytesMax, peerHelloMs } from '#proxy/syncRelay.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { allocate, bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { frame } from './fakeShard.ts'
import { goodHello, Peer } from './peer.ts'
import { ProxyWorld } from './proxyWorld.ts'

describe("a peer's syncer", () => {
  it('learns the shards and gets channels to them, both ways', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const peer = new Peer(world).send(helloFrame(goodHello))
    expect(peer.hello).toEqual({
      role: 'database',
      guid: 'guid-1',
      clusterId: 1,
      sharding: true,
      shards: [
        { index: 0, ranges: [{ first: 0, last: 8191 }], runId: 'run-0' },
        { index: 1, ranges: [{ first: 8192, last: 16383 }], runId: 'run-1' },
      ],
      compressions: ['zstd'],
    })
    peer.open(7, 0).open(9, 1)
    expect(peer.received).toEqual([
      { kind: FrameKind.channelOpened, tag: 7, payload: '{}' },
      { kind: FrameKind.channelOpened, tag: 9, payload: '{}' },
    ])
    peer.send(frame(FrameKind.channelData, 9, 'to one'), frame(FrameKind.channelData, 7, 'to zero'))
    const [zero, one] = world.shards.map(({ channels }) => [...channels.entries()][0])
    expect(zero?.[1].received).toEqual(['to zero'])
    expect(one?.[1].received).toEqual(['to one'])
    world.shards[1]?.sendOnChannel(one?.[0] ?? 0, 'from one')
    world.shards[0]?.sendOnChannel(zero?.[0] ?? 0, 'from zero')
    world.world.settle()
    expect(peer.received.slice(2)).toEqual([
      { kind: FrameKind.channelData, tag: 9, payload: 'from one' },
      { kind: FrameKind.channelData, tag: 7, payload: 'from zero' },
    ])
    expect(world.proxy.status().peers).toEqual([{ name: 'c2', clusterId: 2, channels: 2 }])
  })

  describe('on a slow link', () => {
    const messages = (count: number) => Array.from({ length: count }, (_, i) => `message ${i} `.repeat(1000))

    /** 300 bytes a millisecond arrive there. */
    function slowly(hello: Hello, level = 3) {
      const world = new ProxyWorld({ database: { syncCompression: level } })
      const peer = new Peer(world).send(helloFrame(hello)).open(1, 0)
      const [tag = 0] = world.shard.channels.keys()
      const startMs = world.world.monotonicMs()
      let told = 0
      for (const message of messages(300)) {
        world.shard.sendOnChannel(tag, message)
        world.world.settle()
        // What has come by now is all; the peer tells of what a slow link would have brought.
        const arrived = (world.world.monotonicMs() - startMs) * 300
        const reported = Math.min(peer.traffic.bytes, arrived)
        if (hello.role === 'syncer' && hello.compressions?.includes('zstd') && reported > told) {
          told = reported
          peer.send(receivedFrame(told))
        }
        world.world.advance(9)
      }
      world.world.advance(100)
      expect(peer.reason).toBeNull()
      expect(peer.received.slice(1)).toEqual(
        messages(300).map((payload) => ({ kind: FrameKind.channelData, tag: 1, payload })),
      )
      const { sent, received } = world.proxy.trafficOf(2)
      return { ...peer.traffic, sent, received, world, peer }
    }

    it('gets what it can unpack compressed, and the same comes out', () => {
      const { bytes, rawBytes, sent, received, world } = slowly({
        ...goodHello,
        compressions: ['brotli', 'zstd'],
      })
      expect(rawBytes).toBeGreaterThan(2_000_000)
      expect(bytes).toBeLessThan(rawBytes / 2)
      // All but its hello.
      expect(rawBytes - sent.rawBytes).toBe(bytes - sent.bytes)
      expect(rawBytes - sent.rawBytes).toBeLessThan(300)
      expect(received.bytes).toBeGreaterThan(0)
      expect(world.proxy.status().traffic).toEqual([{ clusterId: 2, sent, received }])
    })

    it('gets everything as it is from a level of 0, and when it says nothing of compression', () => {
      const off = slowly({ ...goodHello, compressions: ['zstd'] }, 0)
      expect(off.bytes).toBe(off.rawBytes)
      const { compressions: _, ...ofOldRelease } = goodHello
      const old = slowly(ofOldRelease as Hello)
      expect(old.bytes).toBe(old.rawBytes)
      expect(old.bytes).toBe(off.bytes)
    })

    it('is counted over all its links', () => {
      const { world, peer, sent } = slowly({ ...goodHello, compressions: ['zstd'] })
      const before = { ...sent }
      peer.connection.destroy()
      world.world.settle()
      new Peer(world).send(helloFrame(goodHello))
      expect(world.proxy.trafficOf(2).sent.bytes).toBeGreaterThan(before.bytes)
    })
  })

  it('is told when the shard closes a channel or goes away, and may open it again', () => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(helloFrame(goodHello)).open(1, 0).open(2, 0)
    const [first] = world.shard.channels.keys()
    world.shard.closeChannel(first ?? 0, 'done')
    world.world.settle()
    expect(peer.received.at(-1)).toEqual({
      kind: FrameKind.channelClosed,
      tag: 1,
      payload: '{"reason":"done"}',
    })
    world.shard.kill()
    world.world.settle()
    expect(peer.received.at(-1)?.payload).toContain('shard 0 went away')
    peer.open(2, 0)
    expect(peer.received.at(-1)?.payload).toContain('not reachable')
    world.shard.isDown = false
    world.world.advance(1_000)
    peer.open(2, 0)
    expect(peer.received.at(-1)).toEqual({ kind: FrameKind.channelOpened, tag: 2, payload: '{}' })
  })

  it('closes channels, one or all', () => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(helloFrame(goodHello)).open(1, 0).open(2, 0)
    peer.send(channelClosedFrame(1, 'enough'))
    const channels = [...world.shard.channels.values()]
    expect(channels.map(({ closed }) => closed)).toEqual(['{"reason":"enough"}', null])
    peer.connection.destroy()
    world.world.settle()
    expect(channels[1]?.closed).toContain('gone')
    expect(world.proxy.status().peers).toEqual([])
  })

  it('measures clocks', () => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(helloFrame(goodHello))
    const ping = new ByteWriter()
    ping.f64(123.5)
    peer.send(frame(FrameKind.ping, 5, latin1(ping.take())))
    const pong = peer.received[0]
    expect([pong?.kind, pong?.tag]).toEqual([FrameKind.pong, 5])
    const reader = new ByteReader(bytesOf(pong?.payload ?? ''))
    expect([reader.f64(), reader.f64(), reader.f64()]).toEqual([
      123.5,
      world.world.wallMs(),
      world.world.wallMs(),
    ])
  })

  it.each<[string, Partial<Hello>, string]>([
    ['of another database', { guid: 'other' }, 'another database'],
    ['of a cluster that is no member', { clusterId: 5 }, 'not another member'],
    ['of our own cluster', { clusterId: 1 }, 'not another member'],
    ['of another version', { syncVersion: 99 }, 'sync version 99'],
  ])('%s is turned away with the reason', (_, change, reason) => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(helloFrame({ ...goodHello, ...change } as Hello))
    expect(peer.reason).toContain(reason)
    expect(peer.isClosed).toBe(true)
  })

  it('of which it says things that can not be is refused', () => {
    const world = new ProxyWorld()
    for (const compressions of ['zstd', [3], Array.from({ length: 17 }, () => 'x')]) {
      const peer = new Peer(world).send(helloFrame({ ...goodHello, compressions } as unknown as Hello))
      expect(peer.reason).toBe('a hello that lacks its fields')
    }
  })

  it('must be who its certificate says', () => {
    const world = new ProxyWorld()
    const nobody = new Peer(world, null).send()
    expect([nobody.reason, nobody.isClosed]).toEqual([
      'a certificate that the authority of this database has signed is needed',
      true,
    ])
    const stranger = new Peer(world, 'stranger').send()
    expect([stranger.reason, stranger.isClosed]).toEqual([
      'stranger is not another member of this database',
      true,
    ])
    const own = new Peer(world, 'c1').send()
    expect(own.isClosed).toBe(true)
    const three = { clusterId: 3, name: 'c3', host: 'h', port: 1 }
    world.proxy.reconfigure({
      ...world.config,
      database: { ...world.config.database, members: [...world.config.database.members, three] },
    })
    const liar = new Peer(world, 'c3').send(helloFrame(goodHello))
    expect(liar.reason).toContain('the certificate is of c3, cluster 2 is c2')
  })

  it('is disconnected when it is no member any more', () => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(helloFrame(goodHello))
    const [self] = world.config.database.members
    if (!self) throw new Error('a member')
    world.proxy.reconfigure({ ...world.config, database: { ...world.config.database, members: [self] } })
    world.world.settle()
    expect([peer.reason, peer.isClosed]).toEqual(['c2 is no member any more', true])
  })

  it('may only read, and only shards that are there', () => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(helloFrame(goodHello))
    peer.open(1, 0, { role: 'intake' }).open(2, 9).open(3, 0, { peer: 3 })
    expect(peer.received.map(({ payload }) => payload)).toEqual([
      '{"reason":"a peer may only read"}',
      '{"reason":"no such shard"}',
      '{"reason":"the link is of cluster 2, not of 3"}',
    ])
    expect(world.shard.channels.size).toBe(0)
    expect(peer.isClosed).toBe(false)
  })
})

describe('a hostile peer', () => {
  const badFrame = (length: number): Uint8Array => {
    const bytes = allocate(12).fill(0)
    writeU32(bytes, 0, length)
    return bytes
  }

  it.each<[string, Uint8Array]>([
    ['that says RESP', bytesOf('*1\r\n$4\r\nPING\r\n')],
    ['that says HTTP', bytesOf('GET / HTTP/1.1\r\n\r\n')],
    ['with a frame that is too short', badFrame(3)],
    ['with a frame that is too long', badFrame(peerFrameBytesMax + 1)],
    ['with the longest length there is', badFrame(0xffffffff)],
    ['that does not say hello first', frame(FrameKind.channelData, 1, 'x')],
    ['with a hello of another version', frame(FrameKind.hello, 0, '\u0009{}')],
    ['with a hello that is no JSON', frame(FrameKind.hello, 0, '\u0001{')],
    ['with a hello of nothing', frame(FrameKind.hello, 0, '')],
    ['with a hello of wrong types', frame(FrameKind.hello, 0, '\u0001{"role":"syncer","guid":7}')],
    ['that claims to be a proxy', helloFrame({ role: 'proxy', name: 'x' })],
  ])('%s is told and closed', (_, bytes) => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(bytes)
    expect(peer.reason).toBeTruthy()
    expect(peer.isClosed).toBe(true)
    expect(world.shard.channels.size).toBe(0)
  })

  it.each<[string, Uint8Array]>([
    ['a request', frame(FrameKind.request, 1, '*1\r\n$4\r\nPING\r\n')],
    ['a transaction', frame(FrameKind.transaction, 1, '\0\0\0\0')],
    ['an admin question', jsonFrame(FrameKind.admin, 1, { what: 'info' })],
    ['an unknown kind', frame(99, 1, '')],
    ['a channelOpen that is no JSON', frame(FrameKind.channelOpen, 1, '{')],
    [
      'a channelOpen without ranges',
      jsonFrame(FrameKind.channelOpen, 1, { role: 'feed', peer: 2, shard: 0 }),
    ],
    [
      'a channelOpen with bad ranges',
      jsonFrame(FrameKind.channelOpen, 1, {
        role: 'feed',
        peer: 2,
        shard: 0,
        ranges: [{ first: 5, last: 99_999 }],
      }),
    ],
    ['a ping without a time', frame(FrameKind.ping, 1, 'x')],
    ['a second hello', helloFrame(goodHello)],
  ])('that sends %s is told and closed; the shard never sees it', (_, bytes) => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(helloFrame(goodHello), bytes)
    expect(peer.reason).toBeTruthy()
    expect(peer.isClosed).toBe(true)
    expect([world.shard.seen.length, world.shard.channels.size]).toEqual([0, 0])
  })

  it('that compresses what it sends is closed: nobody said that it is read', () => {
    const world = new ProxyWorld()
    const inner = frame(FrameKind.channelData, 1, 'x')
    const peer = new Peer(world).send(helloFrame(goodHello), compressedFrame(inner, 0, inner.length, 3))
    expect([peer.reason, peer.isClosed]).toEqual([`frame of kind ${FrameKind.compressed}`, true])
  })

  it('that has received what was not sent is closed', () => {
    const world = new ProxyWorld()
    for (const receipt of [
      receivedFrame(1_000_000),
      receivedFrame(-1),
      frame(FrameKind.received, 0, 'short'),
    ]) {
      const peer = new Peer(world).send(helloFrame(goodHello), receipt)
      expect(peer.reason).toBe('it has received what was not sent')
    }
  })

  it('that opens a channel twice is closed', () => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(helloFrame(goodHello)).open(1, 0).open(1, 0)
    expect(peer.isClosed).toBe(true)
    expect([...world.shard.channels.values()].map(({ closed }) => closed !== null)).toEqual([true])
  })

  it('peerChannelsMax: gets so many channels and no more', () => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(helloFrame(goodHello))
    for (let tag = 1; tag <= peerChannelsMax + 5; tag++) peer.open(tag, 0)
    expect(world.shard.channels.size).toBe(peerChannelsMax)
    expect(peer.received.at(-1)?.payload).toContain('channels')
  })

  it('peerHelloMs: that says nothing is closed', () => {
    const world = new ProxyWorld()
    const peer = new Peer(world)
    world.world.advance(peerHelloMs)
    expect([peer.reason, peer.isClosed]).toEqual(['no hello came', true])
  })

  it('peerOutgoingBytesMax: that does not read is disconnected', () => {
    const world = new ProxyWorld()
    world.proxy.peerOutgoingBytesMax = 1_000_000
    const peer = new Peer(world).send(helloFrame(goodHello)).open(1, 0)
    const [tag = 0] = world.shard.channels.keys()
    peer.connection.pause()
    for (let i = 0; i < 9; i++) world.shard.sendOnChannel(tag, 'x'.repeat(100_000))
    world.world.settle()
    expect(peer.isClosed).toBe(false)
    for (let i = 0; i < 9; i++) world.shard.sendOnChannel(tag, 'x'.repeat(100_000))
    world.world.settle()
    expect(peer.isClosed).toBe(true)
    expect(world.shard.channels.get(tag)?.closed).toContain('gone')
  })

  it('that sends data on channels that are not open is not heard', () => {
    const world = new ProxyWorld()
    const peer = new Peer(world).send(helloFrame(goodHello), frame(FrameKind.channelData, 77, 'x'))
    expect(peer.isClosed).toBe(false)
    expect(world.shard.channels.size).toBe(0)
  })

  it('that sends random bytes, cut anywhere, harms nobody', () => {
    const random = new SeededRandom(seedFromEnv())
    const world = new ProxyWorld()
    const client = world.client()
    for (let run = 0; run < 300; run++) {
      const peer = new Peer(world)
      peer.connection.chunkBytesMax = 1 + random.below(20)
      if (random.chance(0.7)) peer.send(helloFrame(goodHello))
      for (let i = 0; i < 10; i++) {
        const bytes = allocate(random.below(60))
        for (let at = 0; at < bytes.length; at++) bytes[at] = random.below(256)
        // Often a length that could be true.
        if (bytes.length >= 12 && random.chance(0.8)) writeU32(bytes, 0, bytes.length - 4)
        peer.send(bytes)
      }
      peer.connection.destroy()
    }
    world.world.settle()
    expect(world.proxy.status().peers).toEqual([])
    expect(client.call('SET', 'a', '1')).toBe('+OK\r\n')
  })
})

describe('a client that comes over TLS', () => {
  it('is told that it can not', () => {
    const world = new ProxyWorld()
    const client = world.client({ use: 'client', certificate: null })
    expect(client.read()).toBe('-ERR TLS is for peer clusters here; connect without it\r\n')
    expect(client.isClosed).toBe(true)
  })
})
