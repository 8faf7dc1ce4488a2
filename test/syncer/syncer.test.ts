import { describe, expect, test } from 'vitest'
import type { SyncerConfig } from '#config/process.ts'
import { pieceBytesMax } from '#protocol/frames/compressedFrame.ts'
import type { HelloShard } from '#protocol/frames/hello.ts'
import { evenRanges } from '#protocol/slots/slotMap.ts'
import { syncVersion } from '#protocol/sync/message.ts'
import { Syncer } from '#syncer/syncer.ts'
import { MemoryNet } from '#test/memoryConnection.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { SeededRandom } from '#test/seed.ts'
import { RecordingLogger } from '#test/silentLogger.ts'
import { unlimitedMemory } from '#test/unlimitedMemory.ts'
import { Endpoint, timings } from './endpoint.ts'

const guid = 'guid-1'
const limits = { shardOutgoingBytesMax: 4 * 1024 * 1024, peerOutgoingBytesMax: 2 * 1024 * 1024 }

const shardsOf = (count: number): HelloShard[] =>
  evenRanges(count).map((range, index) => ({ index, ranges: [range], runId: `run-${index}` }))

const configOf = (localShards: number, peers: readonly number[]): SyncerConfig => ({
  role: 'syncer',
  database: {
    name: 'db1',
    guid,
    port: 12000,
    bind: '127.0.0.1',
    shardCount: localShards,
    sharding: true,
    persistence: 'everysec',
    ...unlimitedMemory,
    password: null,
    streamIdMode: 'strict',
    notifyKeyspaceEvents: '',
    causalConsistency: false,
    syncCompression: 3,
    clusterId: 1,
    clusterName: 'cluster-1',
    members: [1, ...peers].map((clusterId) => ({
      clusterId,
      name: `cluster-${clusterId}`,
      host: 'localhost',
      port: 12000 + clusterId,
    })),
  },
  shards: shardsOf(localShards).map(({ index, ranges }) => ({
    index,
    ranges,
    socketPath: `/shard-${index}`,
  })),
  tls: { certificatePath: 'c', keyPath: 'k', authorityPath: 'a' },
  timings,
})

/** A syncer of cluster 1, its shards, and peers with `remoteShards` shards each. */
function scene(localShards: number, remoteShards: number, peers: readonly number[] = [2]) {
  const world = new MemoryWorld()
  const logger = new RecordingLogger()
  const offsets: { peer: number; offsetMs: number; delayMs: number }[] = []
  /** Every connection that was made, by path or port; the last is the present one. */
  const ends = new Map<string, Endpoint[]>()
  const state = {
    /** Who does not answer at all, and who refuses. */
    dead: new Set<string>(),
    refusing: new Set<string>(),
    onEndpoint: (_name: string, _endpoint: Endpoint) => {},
    guid,
    sharding: true,
    remote: shardsOf(remoteShards),
    compressions: [] as string[],
    clusterOf: (port: number) => port - 12000,
  }
  const net = new MemoryNet(world, (target) => {
    const name = target.kind === 'unix' ? target.path : String(target.port)
    if (state.refusing.has(name)) return new Error('connect ECONNREFUSED')
    if (state.dead.has(name)) return null
    return (far) => {
      const endpoint = new Endpoint(
        world,
        far,
        target.kind === 'unix'
          ? { role: 'shard', ...(shardsOf(localShards)[Number(name.slice(7))] as HelloShard) }
          : {
              role: 'database',
              guid: state.guid,
              clusterId: state.clusterOf(target.port),
              sharding: state.sharding,
              shards: state.remote,
              compressions: state.compressions,
            },
      )
      ends.set(name, [...(ends.get(name) ?? []), endpoint])
      state.onEndpoint(name, endpoint)
    }
  })
  const config = configOf(localShards, peers)
  const syncer = new Syncer(
    config,
    'instance-1',
    {
      clock: world,
      timers: world,
      random: new SeededRandom(1),
      net,
      logger,
      onPeerOffset: (peer, offsetMs, delayMs) => offsets.push({ peer, offsetMs, delayMs }),
    },
    limits,
  )
  const end = (name: string): Endpoint => {
    const endpoint = ends.get(name)?.at(-1)
    if (endpoint === undefined) throw new Error(`nobody connected to ${name}`)
    return endpoint
  }
  return { world, logger, offsets, ends, state, net, config, syncer, end }
}

function started(...of: Parameters<typeof scene>) {
  const all = scene(...of)
  all.syncer.start()
  all.world.settle()
  return all
}

describe('links', () => {
  test('both hellos say who we are, and the peer is dialled by mutual TLS with its name', () => {
    const { end, net, syncer, world } = scene(1, 1)
    const targets: unknown[] = []
    const { accept } = net
    net.accept = (target) => {
      targets.push(target)
      return accept(target)
    }
    syncer.start()
    world.settle()
    const hello = {
      role: 'syncer',
      syncVersion,
      guid,
      clusterId: 1,
      clusterName: 'cluster-1',
      instance: 'instance-1',
      epoch: 1,
      compressions: ['zstd'],
    }
    expect(end('/shard-0').hello).toEqual(hello)
    expect(end('12002').hello).toEqual(hello)
    expect(targets).toContainEqual({
      kind: 'tls',
      host: 'localhost',
      port: 12002,
      alpn: 'antipode-sync/1',
      serverName: 'cluster-2',
      identity: { certificatePath: 'c', keyPath: 'k', authorityPath: 'a' },
    })
    expect(syncer.status()).toMatchObject({
      peers: [{ clusterId: 2, name: 'cluster-2', state: 'up', error: null, channels: 1, openChannels: 1 }],
      shards: [{ index: 0, state: 'up', error: null }],
    })
  })

  test('every connection may come in pieces', () => {
    const { state, world, syncer } = scene(2, 2)
    state.onEndpoint = (_name, endpoint) => {
      endpoint.connection.chunkBytesMax = 3
    }
    syncer.start()
    world.settle()
    expect(syncer.status().peers[0]?.openChannels).toBe(2)
  })

  test.each([
    ['another database', { guid: 'guid-2' }, 'it serves the database guid-2'],
    ['one whose transactions span slots', { sharding: false }, 'sharding is off there and on here'],
    ['another cluster', { clusterOf: () => 3 }, 'cluster 3 answered instead of 2'],
    [
      'a slot with two owners',
      { remote: [...shardsOf(1), { index: 1, ranges: [{ first: 5, last: 5 }], runId: 'x' }] },
      'slot 5 is given to shards 0 and 1',
    ],
  ])('%s at the other end is refused, told once, and tried again', (_what, changes, reason) => {
    const { state, world, syncer, logger, ends } = scene(1, 1)
    Object.assign(state, changes)
    syncer.start()
    world.advance(5000)
    expect(syncer.status().peers[0]).toMatchObject({ error: reason, channels: 0 })
    expect(ends.get('12002')?.length).toBeGreaterThan(3)
    const warnings = logger.lines.filter((line) => line.level === 'warn')
    expect(warnings.map((line) => line.facts['reason'])).toEqual([reason])
    Object.assign(state, {
      guid,
      sharding: true,
      clusterOf: (port: number) => port - 12000,
      remote: shardsOf(1),
    })
    world.advance(1500)
    expect(syncer.status().peers[0]).toMatchObject({ state: 'up', error: null, openChannels: 1 })
  })

  test('a peer that refuses us says why', () => {
    const { state, world, syncer } = scene(1, 1)
    state.onEndpoint = (name, endpoint) => {
      if (name !== '12002') return
      endpoint.hello = 'refusing'
      endpoint.close(
        { tag: 0, opening: { role: 'feed', peer: 1, shard: 0, ranges: [] }, received: [], closed: null },
        'not a member',
      )
      endpoint.connection.close()
    }
    syncer.start()
    world.settle()
    expect(syncer.status().peers[0]?.error).toBe('refused: not a member')
  })

  test('a peer that ends the link says why', () => {
    const { world, syncer, end } = started(1, 1)
    const channel = { tag: 0, opening: { role: 'feed' as const, peer: 1, shard: 0, ranges: [] } }
    end('12002').close({ ...channel, received: [], closed: null }, 'this proxy stops')
    end('12002').connection.close()
    world.settle()
    expect(syncer.status().peers[0]?.error).toBe('ended: this proxy stops')
    world.advance(1000)
    expect(syncer.status().peers[0]?.openChannels).toBe(1)
  })

  test('pauses double with jitter, up to the longest', () => {
    const { state, world, syncer, net } = scene(1, 1)
    state.refusing.add('12002')
    const dialsMs: number[] = []
    const { accept } = net
    net.accept = (target) => {
      if (target.kind === 'tls') dialsMs.push(world.monotonicMs())
      return accept(target)
    }
    syncer.start()
    world.advance(20_000)
    const pauses = dialsMs.slice(1).map((ms, i) => ms - (dialsMs[i] as number))
    for (const [i, pause] of pauses.entries()) {
      const longest = Math.min(1000, 50 * 2 ** i)
      expect(pause).toBeGreaterThanOrEqual(longest / 2)
      expect(pause).toBeLessThanOrEqual(longest + 1)
    }
    expect(new Set(pauses).size).toBeGreaterThan(5)
    expect(pauses.length).toBeGreaterThan(20)
  })

  test('who accepts and drops at once is not dialled faster and faster', () => {
    const { state, world, syncer, ends } = scene(1, 1)
    state.onEndpoint = (name, endpoint) => {
      if (name === '12002') endpoint.onOpen = () => endpoint.connection.destroy()
    }
    syncer.start()
    world.advance(20_000)
    expect(ends.get('12002')?.length).toBeLessThan(50)
  })

  test('a peer that accepts and never says hello is given up and dialled again', () => {
    const { state, world, syncer } = scene(1, 1, [2, 3])
    state.dead.add('12002')
    syncer.start()
    world.settle()
    // A dead peer delays nobody.
    expect(syncer.status().peers.map((peer) => peer.openChannels)).toEqual([0, 1])
    world.advance(2 * timings.linkDownMs + 1)
    expect(syncer.status().peers[0]).toMatchObject({ error: 'no connection within 4000 ms' })
    state.dead.clear()
    world.advance(1000)
    expect(syncer.status().peers.map((peer) => peer.openChannels)).toEqual([1, 1])
  })

  test('a cut link is noticed by its silence, and dialled again; other peers go on', () => {
    const { world, syncer, end } = started(1, 1, [2, 3])
    const local = end('/shard-0')
    const cut = end('12002')
    cut.connection.cut = true
    const before = local.openChannels.find((channel) => channel.opening.peer === 3)
    world.advance(timings.linkDownMs - timings.heartbeatMs)
    expect(syncer.status().peers[0]?.state).toBe('up')
    world.advance(timings.heartbeatMs * 2)
    expect(cut.closed).toBe(true)
    world.advance(200)
    expect(syncer.status().peers.map((peer) => peer.openChannels)).toEqual([1, 1])
    expect(local.openChannels.find((channel) => channel.opening.peer === 3)).toBe(before)
    expect(end('12002')).not.toBe(cut)
  })

  test('a compressed frame that can not be unpacked breaks the link, not the process', () => {
    const { world, syncer, end } = started(1, 1)
    const [channel] = end('12002').channels
    if (channel === undefined) throw new Error('no channel')
    end('12002').sendPacked(channel, ['sound'], (frame) => {
      frame[frame.length - 1] = (frame[frame.length - 1] as number) ^ 1
    })
    world.settle()
    expect(syncer.status().peers[0]?.error).toMatch(/^compressed bytes that can't be read: /)
    world.advance(1000)
    expect(syncer.status().peers[0]?.openChannels).toBe(1)
  })

  test('a frame that is none of ours breaks the link, not the process', () => {
    const { world, syncer, end } = started(1, 1)
    end('12002').connection.write(new Uint8Array([8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99, 0]))
    world.settle()
    expect(syncer.status().peers[0]?.error).toBe('unexpected frame of kind 99')
    world.advance(1000)
    end('12002').connection.write(new Uint8Array([0xff, 0xff, 0xff, 0xff]))
    world.settle()
    expect(syncer.status().peers[0]?.error).toBe('frame of 4294967295 bytes')
    world.advance(1000)
    expect(syncer.status().peers[0]?.openChannels).toBe(1)
  })
})

describe('channels', () => {
  test('one for each pair of shards with slots in common', () => {
    const { end, syncer } = started(2, 3)
    const opened = end('12002').channels.map(({ opening }) => opening)
    expect(opened).toEqual([
      { role: 'feed', peer: 1, shard: 0, ranges: [{ first: 0, last: 5460 }] },
      { role: 'feed', peer: 1, shard: 1, ranges: [{ first: 5461, last: 8191 }] },
      { role: 'feed', peer: 1, shard: 1, ranges: [{ first: 8192, last: 10921 }] },
      { role: 'feed', peer: 1, shard: 2, ranges: [{ first: 10922, last: 16383 }] },
    ])
    expect(end('/shard-0').channels.map(({ opening }) => opening)).toEqual([
      { role: 'intake', peer: 2, shard: 0, ranges: [{ first: 0, last: 5460 }] },
      { role: 'intake', peer: 2, shard: 1, ranges: [{ first: 5461, last: 8191 }] },
    ])
    expect(syncer.status().peers[0]).toMatchObject({ channels: 4, openChannels: 4 })
  })

  test('messages pass both ways, each on its own channel, unopened', () => {
    const { world, end } = started(2, 2, [2, 3])
    const far = end('12003')
    const [, second] = far.channels
    const near = end('/shard-1').channels.find(({ opening }) => opening.peer === 3)
    if (second === undefined || near === undefined) throw new Error('channels are missing')
    end('/shard-1').send(near, 'subscribe')
    far.send(second, 'one')
    far.send(second, '')
    far.send(second, 'x'.repeat(300_000))
    world.settle()
    expect(second.received).toEqual(['subscribe'])
    expect(near.received.map((text) => text.length)).toEqual([3, 0, 300_000])
    const others = [...end('/shard-0').channels, ...end('12002').channels]
    expect(others.flatMap((channel) => channel.received)).toEqual([])
  })

  test('messages right behind the opening are not lost', () => {
    const { state, world, syncer, end } = scene(1, 1)
    state.onEndpoint = (name, endpoint) => {
      endpoint.onOpen = (channel) => {
        endpoint.accept(channel)
        endpoint.send(channel, `first of ${name}`)
      }
    }
    syncer.start()
    world.settle()
    expect(end('/shard-0').channels[0]?.received).toEqual(['first of 12002'])
    expect(end('12002').channels[0]?.received).toEqual(['first of /shard-0'])
  })

  test.each(['12002', '/shard-0'])(
    'when %s closes a channel the other end is closed and both are opened again',
    (name) => {
      const { world, syncer, end } = started(2, 2)
      const [channel] = end(name).channels
      if (channel === undefined) throw new Error('no channel')
      end(name).close(channel, 'I am tired')
      world.settle()
      const other = name === '12002' ? '/shard-0' : '12002'
      expect(end(other).channels[0]?.closed).toBe('the other end closed: I am tired')
      expect(syncer.status().peers[0]?.openChannels).toBe(1)
      world.advance(timings.reconnectMinMs + 1)
      expect(syncer.status().peers[0]?.openChannels).toBe(2)
      expect(end(other).channels.at(-1)?.opening.ranges).toEqual([{ first: 0, last: 8191 }])
    },
  )

  test('a shard that refuses is asked again with growing pauses', () => {
    const { state, world, syncer, end } = scene(1, 1)
    let asked = 0
    state.onEndpoint = (name, endpoint) => {
      if (name !== '12002') return
      endpoint.onOpen = (channel) => {
        asked++
        if (asked <= 6) endpoint.close(channel, 'shard 0 is not reachable')
        else endpoint.accept(channel)
      }
    }
    syncer.start()
    world.settle()
    expect(end('/shard-0').channels).toHaveLength(0)
    world.advance(700)
    expect(asked).toBeLessThan(7)
    world.advance(3000)
    expect(asked).toBe(7)
    expect(syncer.status().peers[0]?.openChannels).toBe(1)
  })

  test('when a shard goes away its channels close at the peers, and come back with it', () => {
    const { world, syncer, end, ends } = started(2, 1, [2, 3])
    end('/shard-1').connection.destroy()
    world.settle()
    expect(end('12002').openChannels.map(({ opening }) => opening.ranges[0]?.first)).toEqual([0])
    expect(end('12003').channels[1]?.closed).toBe('shard 1 is not reachable')
    world.advance(200)
    expect(ends.get('/shard-1')).toHaveLength(2)
    expect(ends.get('12002')).toHaveLength(1)
    expect(syncer.status().peers.map((peer) => peer.openChannels)).toEqual([2, 2])
  })

  test('when a peer goes away its channels close at the shards, and come back with it', () => {
    const { world, syncer, end, ends } = started(2, 2, [2, 3])
    end('12002').connection.destroy()
    world.settle()
    expect(end('/shard-0').openChannels.map(({ opening }) => opening.peer)).toEqual([3])
    world.advance(200)
    expect(ends.get('/shard-0')).toHaveLength(1)
    expect(end('/shard-0').openChannels.map(({ opening }) => opening.peer)).toEqual([3, 2])
    expect(syncer.status().peers.map((peer) => peer.openChannels)).toEqual([2, 2])
  })
})

describe('limits', () => {
  const message = 'x'.repeat(64 * 1024)
  const count = (bytes: number) => Math.ceil(bytes / message.length) + 2

  test('peers are not read while a shard takes nothing, and are when it does', () => {
    const { world, syncer, end } = started(2, 1, [2, 3])
    const stuck = end('/shard-0')
    const far = end('12002')
    const channel = far.channels.find(({ opening }) => opening.ranges[0]?.first === 0)
    if (channel === undefined) throw new Error('no channel')
    stuck.connection.pause()
    const messages = count(limits.shardOutgoingBytesMax) + 20
    for (let i = 0; i < messages; i++) far.send(channel, message)
    world.settle()
    expect(far.connection.bufferedBytes).toBeGreaterThan(10 * message.length)
    // Our own silence does not count as the peer's.
    world.advance(timings.linkDownMs * 3)
    expect(syncer.status().peers.map((peer) => peer.state)).toEqual(['up', 'up'])
    stuck.connection.resume()
    world.settle()
    expect(far.connection.bufferedBytes).toBe(0)
    const near = stuck.channels.find(({ opening }) => opening.peer === 2)
    expect(near?.received).toHaveLength(messages)
    world.advance(timings.linkDownMs * 3)
    expect(syncer.status().peers.map((peer) => peer.state)).toEqual(['up', 'up'])
  })

  test('compressed messages that unpack to very much stop with the others', () => {
    const { world, syncer, end } = started(1, 1)
    const stuck = end('/shard-0')
    const far = end('12002')
    const [channel] = far.channels
    if (channel === undefined) throw new Error('no channel')
    stuck.connection.pause()
    const messages = count(limits.shardOutgoingBytesMax) * 3
    // All of it in one chunk, as a socket may give it.
    far.sendPacked(
      channel,
      Array.from({ length: messages }, () => message),
    )
    world.settle()
    const [near] = stuck.channels
    expect(near?.received).toEqual([])
    const buffered = syncer.status().shards[0]?.bufferedBytes
    expect(buffered).toBeGreaterThan(limits.shardOutgoingBytesMax)
    expect(buffered).toBeLessThan(limits.shardOutgoingBytesMax + 2 * pieceBytesMax)
    stuck.connection.resume()
    world.settle()
    expect(near?.received).toHaveLength(messages)
    const { received } = syncer.status().peers[0] ?? {}
    expect(received?.rawBytes).toBeGreaterThan(messages * message.length)
    expect(received?.bytes).toBeLessThan(messages * 1000)
  })

  test('a peer that may compress is told what has come, another one is not', () => {
    for (const compressions of [['zstd'], []]) {
      const { world, state, syncer, end } = scene(1, 1)
      state.compressions = compressions
      syncer.start()
      world.settle()
      const far = end('12002')
      const [channel] = far.channels
      if (channel === undefined) throw new Error('no channel')
      for (let i = 0; i < 10; i++) far.send(channel, message.slice(0, 10_000))
      world.settle()
      expect(far.receipts).toEqual(compressions.length > 0 ? [expect.closeTo(70_000, -4)] : [])
      for (let i = 0; i < 10; i++) far.send(channel, message.slice(0, 10_000))
      world.settle()
      expect(far.receipts.length).toBe(compressions.length > 0 ? 2 : 0)
      // Of this connection, not of all.
      far.connection.destroy()
      world.advance(1000)
      expect(end('12002').receipts).toEqual([])
    }
  })

  test('a shard that dies releases the peers that it held', () => {
    const { world, end } = started(2, 1)
    const stuck = end('/shard-0')
    const far = end('12002')
    stuck.connection.pause()
    const [first, second] = far.channels
    if (first === undefined || second === undefined) throw new Error('no channels')
    for (let i = 0; i < count(limits.shardOutgoingBytesMax); i++) far.send(first, message)
    far.send(second, 'for the other shard')
    world.settle()
    stuck.connection.destroy()
    world.settle()
    expect(end('/shard-1').channels[0]?.received).toEqual(['for the other shard'])
  })

  test('a peer that does not read is left and dialled again', () => {
    const { world, syncer, end } = started(1, 1)
    const far = end('12002')
    far.connection.pause()
    const [near] = end('/shard-0').channels
    if (near === undefined) throw new Error('no channel')
    for (let i = 0; i < count(limits.peerOutgoingBytesMax); i++) end('/shard-0').send(near, message)
    world.settle()
    expect(far.closed).toBe(true)
    expect(syncer.status().peers[0]?.error).toBe('it does not read')
    world.advance(1000)
    expect(syncer.status().peers[0]?.openChannels).toBe(1)
  })
})

describe('clocks', () => {
  test("a peer's clock is compared with ours at each heartbeat and told about once a second", () => {
    const { world, offsets, end, syncer } = started(1, 1)
    end('12002').clockOffsetMs = 137
    world.advance(5000)
    expect(end('12002').pings).toBe(21)
    expect(offsets.length).toBeGreaterThanOrEqual(5)
    expect(offsets.length).toBeLessThanOrEqual(7)
    expect(offsets.at(-1)).toEqual({ peer: 2, offsetMs: 137, delayMs: 0 })
    expect(syncer.status().peers[0]).toMatchObject({ offsetMs: 137, delayMs: 0 })
  })

  test('pings that are not answered are forgotten, and the link is broken', () => {
    const { world, end, ends } = started(1, 1)
    end('12002').answersPings = false
    world.advance(timings.linkDownMs + timings.heartbeatMs)
    expect(ends.get('12002')?.[0]?.closed).toBe(true)
  })
})

describe('configuration', () => {
  test('a new member is dialled, a removed one left, the others are not touched', () => {
    const { world, syncer, end, ends } = started(2, 2, [2, 3])
    syncer.configure(configOf(2, [3, 4]))
    world.advance(100)
    expect(end('12002').closed).toBe(true)
    expect(ends.get('12003')).toHaveLength(1)
    expect(ends.get('/shard-0')).toHaveLength(1)
    expect(syncer.status().peers.map(({ clusterId, openChannels }) => [clusterId, openChannels])).toEqual([
      [3, 2],
      [4, 2],
    ])
    expect(end('/shard-0').openChannels.map(({ opening }) => opening.peer)).toEqual([3, 4])
  })

  test('the same again changes nothing; other timings or another certificate renew the links', () => {
    const { world, syncer, ends, config } = started(1, 1)
    syncer.configure(configOf(1, [2]))
    world.advance(100)
    expect(ends.get('12002')).toHaveLength(1)
    syncer.configure({ ...config, tls: { ...config.tls, keyPath: 'k2' } })
    world.advance(100)
    expect([ends.get('12002')?.length, ends.get('/shard-0')?.length]).toEqual([2, 1])
    syncer.configure({ ...config, timings: { ...timings, heartbeatMs: 100 } })
    world.advance(100)
    expect([ends.get('12002')?.length, ends.get('/shard-0')?.length]).toEqual([3, 2])
    expect(syncer.status().peers[0]?.openChannels).toBe(1)
  })

  test('a drained syncer has closed its channels and links in order, and dials no more', () => {
    const { world, syncer, end, state } = started(2, 2, [2, 3])
    state.dead.add('12003')
    end('12003').connection.destroy()
    world.advance(500)
    let done = 0
    syncer.drain(() => {
      done++
    })
    world.settle()
    expect(end('12002').channels.map(({ closed }) => closed)).toEqual([
      'the syncer stops',
      'the syncer stops',
    ])
    expect(end('/shard-0').closed && end('12002').closed).toBe(true)
    world.advance(30_000)
    expect(done).toBe(1)
    expect(world.timerCount).toBe(0)
  })
})
