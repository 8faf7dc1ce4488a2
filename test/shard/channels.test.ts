/** Sync channels through the shard. */
import { expect, test } from 'vitest'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { FrameKind } from '#protocol/frames/frame.ts'
import type { Hello } from '#protocol/frames/hello.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { syncVersion } from '#protocol/sync/message.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { frameBytes } from './proxySide.ts'
import type { TestShard } from './testShard.ts'
import { carry, member, members, open, pair, ranges } from './twoClusters.ts'

function equal(a: TestShard, b: TestShard): void {
  const slots = Array.from({ length: 16384 }, (_, slot) => slot)
  const different = slots.filter(
    (slot) =>
      a.shard.db.slotDigest(slot) !== b.shard.db.slotDigest(slot) ||
      String(a.shard.db.vectors.of(slot)) !== String(b.shard.db.vectors.of(slot)),
  )
  expect(different).toEqual([])
}

test('two clusters tell each other everything, and a transaction arrives whole', () => {
  const { a, b, connect } = pair()
  a.run('SET', 'k', 'before')
  connect()
  expect([a.proxy.channelsOpened, b.proxy.channelsOpened]).toEqual([
    [1, 2],
    [1, 2],
  ])
  expect(b.run('GET', 'k')).toBe('$6\r\nbefore\r\n')
  a.proxy.transaction(0, ['INCR', '{t}x'], ['DECR', '{t}y'])
  b.run('INCRBY', '{t}x', '10')
  carry(a, b, 500)
  expect(a.run('GET', '{t}x')).toBe('$2\r\n11\r\n')
  expect(b.run('GET', '{t}y')).toBe('$2\r\n-1\r\n')
  equal(a, b)
  expect((a.shard.status() as ShardInfo).sync.members).toMatchObject([
    { clusterId: 2, name: 'two', connected: true, caughtUp: true },
  ])
})

test('of two writes at the same instant that of cluster 1 wins (vector Z-3)', () => {
  const { a, b, connect } = pair()
  // One world is one clock, which stands still meanwhile.
  const scores = [
    [a, '1.1'],
    [b, '2.1'],
  ] as const
  for (const [cluster, score] of scores) cluster.proxy.send('ZADD', 'Z', score, 'x')
  a.world.settle()
  for (const [cluster, score] of scores) expect(cluster.run('ZSCORE', 'Z', 'x')).toBe(`$3\r\n${score}\r\n`)
  connect()
  for (const [cluster] of scores) expect(cluster.run('ZSCORE', 'Z', 'x')).toBe('$3\r\n1.1\r\n')
  equal(a, b)
})

test('a write of the other cluster touches a watch', () => {
  const { a, b, connect } = pair()
  connect()
  a.proxy.watch(5, 'k')
  a.world.settle()
  b.run('SET', 'k', 'v')
  carry(a, b, 500)
  const exec = a.proxy.transaction(5, ['GET', 'k'])
  a.world.settle()
  expect(a.proxy.reply(exec)).toBe('*-1\r\n')
})

test('nothing is shipped before it is durable', () => {
  const disk = new FaultyDisk()
  const world = new MemoryWorld()
  const a = member(1, world, { disk })
  const b = member(2, world)
  open(b, a, 2)
  carry(a, b, 500)
  disk.slow = true
  expect(a.run('SET', 'k', 'v')).toBe('+OK\r\n')
  carry(a, b, 1500)
  expect(b.run('GET', 'k')).toBe('$-1\r\n')
  disk.finishSyncs()
  carry(a, b, 100)
  expect(b.run('GET', 'k')).toBe('$1\r\nv\r\n')
})

test('a log too short to reach back: slot states, which the next start of the reader repeats', () => {
  const { a, b, connect } = pair({ limits: { backlogBytesMax: 4096 } })
  for (let i = 0; i < 300; i++) a.run('SET', `k${i}`, `v${i}`)
  a.run('INCRBY', 'n', '7')
  expect(a.shard.log.backlog.start).toBeGreaterThan(0)
  connect()
  equal(a, b)
  expect(b.shard.status().sync.intakes[0]?.slotStatesTaken).toBeGreaterThan(100)
  const again = b.restart()
  equal(a, again)
  expect(again.run('INCR', 'n')).toBe(':8\r\n')
})

test('a log too short to reach back after a restart of its shard, too', () => {
  const { a, world } = pair({ limits: { backlogBytesMax: 4096 } })
  for (let i = 0; i < 300; i++) a.run('SET', `k${i}`, `v${i}`)
  const again = a.restart()
  const reader = member(2, world)
  open(reader, again, 1)
  carry(reader, again, 500)
  equal(again, reader)
})

test('a shard that lost its data gets all of it back, its own operations too, and then takes writes', () => {
  const { world, a, b, connect } = pair()
  connect()
  a.run('SET', 'mine', '1')
  b.run('SET', 'yours', '2')
  carry(a, b, 500)
  const last = a.shard.db.vectors.greatest(slotOfKey('mine'))
  a.proxy.connection.close()
  world.settle()
  const lost = a.restart({ disk: new FaultyDisk() })
  expect(lost.run('SET', 'mine', '3')).toMatch(/^-STALE/)
  expect(lost.shard.status()).toMatchObject({ stale: true, writesRefused: expect.stringMatching(/^STALE/) })
  open(lost, b, 11)
  carry(lost, b, 1000)
  open(b, lost, 12)
  expect(lost.run('GET', 'mine')).toBe('$1\r\n1\r\n')
  expect(lost.run('SET', 'mine', '3')).toBe('+OK\r\n')
  expect(lost.shard.db.vectors.greatest(slotOfKey('mine'))).toBeGreaterThan(last)
  carry(lost, b, 1000)
  expect(b.run('GET', 'mine')).toBe('$1\r\n3\r\n')
  equal(lost, b)
})

test('what came as a slot state is passed on as a slot state', () => {
  const world = new MemoryWorld()
  const three = [...members, { clusterId: 3, name: 'three' }]
  const shardOf = (clusterId: number, limits = {}) =>
    member(clusterId, world, { database: { members: three }, limits })
  const a = shardOf(1, { backlogBytesMax: 4096 })
  const b = shardOf(2)
  const c = shardOf(3)
  for (let i = 0; i < 100; i++) a.run('SET', `k${i}`, 'v'.repeat(50))
  open(b, a, 1)
  carry(a, b, 500)
  // a is silent for so long that b relays for it.
  open(c, b, 2)
  carry(b, c, 4000)
  expect(b.shard.log.backlog.start).toBe(0)
  equal(b, c)
})

test('own stamps that come back after a loss are not given again, in no slot', () => {
  // The other member's log doesn't reach back either.
  const { world, a, b, connect } = pair({ limits: { backlogBytesMax: 4096 } })
  connect()
  a.world.wallOffsetMs += 5_000
  a.run('SET', 'mine', '1')
  const last = a.shard.db.vectors.greatest(slotOfKey('mine'))
  carry(a, b, 500)
  for (let i = 0; i < 100; i++) b.run('SET', 'yours', 'v'.repeat(100))
  carry(a, b, 500)
  a.proxy.connection.close()
  a.world.wallOffsetMs -= 50_000
  world.settle()
  const lost = a.restart({ disk: new FaultyDisk() })
  open(lost, b, 11)
  carry(lost, b, 1000)
  expect(lost.run('SET', 'elsewhere', 'v')).toBe('+OK\r\n')
  expect(lost.shard.db.vectors.greatest(slotOfKey('elsewhere'))).toBeGreaterThan(last)
})

test('channels that make no sense are refused, and a closed one is over', () => {
  const { a, world } = pair()
  const opening = { role: 'intake', peer: 2, shard: 0, ranges } as const
  a.proxy.openChannel(1, { ...opening, peer: 3 })
  a.proxy.openChannel(2, { ...opening, peer: 1 })
  a.proxy.openChannel(3, { ...opening, ranges: [] })
  a.proxy.openChannel(4, { ...opening, role: 'feed', shard: 7 })
  a.proxy.openChannel(5, opening)
  world.settle()
  expect(a.proxy.channelsClosed.map(({ tag, reason }) => `${tag} ${reason}`)).toEqual([
    '1 cluster 3 is no other member of the database',
    '2 cluster 1 is no other member of the database',
    "3 shard 0 doesn't own all these hash slots",
    '4 this is shard 0, not shard 7',
  ])
  // What an intake doesn't understand closes its channel, and only that.
  a.proxy.connection.write(frameBytes(FrameKind.channelData, 5, 0, 0, '\xff\xff'))
  world.settle()
  expect(a.proxy.channelsClosed.at(-1)).toMatchObject({ tag: 5 })
  a.proxy.connection.write(frameBytes(FrameKind.channelData, 5, 0, 0, 'late'))
  expect(a.run('SET', 'k', 'v')).toBe('+OK\r\n')
  expect(a.shard.status().sync.intakes).toEqual([])
})

test('only our own syncer may speak to the shard', () => {
  const { a, world } = pair()
  const syncer = {
    role: 'syncer',
    syncVersion,
    guid: 'test',
    clusterId: 1,
    clusterName: 'one',
    instance: 'x',
    compressions: [],
  } as const
  const speak = (hello: Hello) => {
    const side = a.connect(hello)
    world.settle()
    return side.closed
  }
  expect(speak(syncer)).toBe(false)
  expect(speak({ ...syncer, guid: 'other' })).toBe(true)
  expect(speak({ ...syncer, clusterId: 2 })).toBe(true)
  expect(speak({ ...syncer, syncVersion: 99 })).toBe(true)
  expect(speak({ role: 'shard', index: 0, ranges, runId: 'x' })).toBe(true)
})

test('other limits and timings reach what is open', () => {
  const { a, connect } = pair({})
  connect()
  const limits = { ...a.options.limits, holdQueueBytesMax: 123_456, linkInflightBytesMax: 70_000 }
  a.shard.configure({ ...a.options, limits, timings: { ...a.options.timings, holdMs: 77, heartbeatMs: 50 } })
  const { gate, feeds } = a.shard.replication
  expect(gate.limits).toMatchObject({ holdQueueBytesMax: 123_456, holdMs: 77 })
  expect([...feeds].map(({ linkInflightBytesMax }) => linkInflightBytesMax)).toEqual([70_000])
  a.proxy.channelMessages.length = 0
  a.world.advance(500)
  expect(a.proxy.channelMessages.length).toBeGreaterThanOrEqual(9)
})
