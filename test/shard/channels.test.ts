/** Sync channels through the shard: what the syncers and proxies between two clusters do is done by hand here. */
import { expect, test } from 'vitest'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { FrameKind } from '#protocol/frames/frame.ts'
import type { Hello } from '#protocol/frames/hello.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { syncVersion } from '#protocol/sync/message.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { frameBytes } from './proxySide.ts'
import { type ShardChanges, TestShard } from './testShard.ts'

const members = [
  { clusterId: 1, name: 'one' },
  { clusterId: 2, name: 'two' },
]
const ranges = [{ first: 0, last: 16383 }]

const member = (clusterId: number, world: MemoryWorld, changes: ShardChanges = {}) =>
  new TestShard({ world, ...changes, database: { members, clusterId, ...changes.database } })

/** Channel `tag`: `reader` reads `source`. */
function open(reader: TestShard, source: TestShard, tag: number): void {
  const peerOf = (shard: TestShard) => shard.options.database.clusterId
  source.proxy.openChannel(tag, { role: 'feed', peer: peerOf(reader), shard: 0, ranges })
  reader.proxy.openChannel(tag, { role: 'intake', peer: peerOf(source), shard: 0, ranges })
}

/** Carries messages between the two until nothing moves. */
function carry(a: TestShard, b: TestShard, forMs: number): void {
  const { world } = a
  for (let ms = 0; ms < forMs; ms += 10) {
    for (;;) {
      world.settle()
      const fromA = a.proxy.channelMessages.splice(0)
      const fromB = b.proxy.channelMessages.splice(0)
      if (fromA.length + fromB.length === 0) break
      for (const { tag, bytes } of fromA)
        b.proxy.connection.write(frameBytes(FrameKind.channelData, tag, 0, 0, latin1(bytes)))
      for (const { tag, bytes } of fromB)
        a.proxy.connection.write(frameBytes(FrameKind.channelData, tag, 0, 0, latin1(bytes)))
    }
    world.advance(10)
  }
}

function pair(changes: ShardChanges = {}) {
  const world = new MemoryWorld()
  const a = member(1, world, changes)
  const b = member(2, world, changes)
  const connect = () => {
    open(a, b, 1)
    open(b, a, 2)
    carry(a, b, 500)
  }
  return { world, a, b, connect }
}

function equal(a: TestShard, b: TestShard): void {
  for (let slot = 0; slot < 16384; slot++) {
    expect(a.shard.db.slotDigest(slot)).toBe(b.shard.db.slotDigest(slot))
    expect([...a.shard.db.vectors.of(slot)]).toEqual([...b.shard.db.vectors.of(slot)])
  }
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
