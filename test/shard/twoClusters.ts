/** Two clusters of one shard each. What syncers and proxies between them do, the test does by hand. */
import { FrameKind } from '#protocol/frames/frame.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { frameBytes } from './proxySide.ts'
import { type ShardChanges, TestShard } from './testShard.ts'

export const members = [
  { clusterId: 1, name: 'one' },
  { clusterId: 2, name: 'two' },
]
export const ranges = [{ first: 0, last: 16383 }]

export const member = (clusterId: number, world: MemoryWorld, changes: ShardChanges = {}) =>
  new TestShard({ world, ...changes, database: { members, clusterId, ...changes.database } })

/** Channel `tag`: `reader` reads `source`. */
export function open(reader: TestShard, source: TestShard, tag: number): void {
  const peerOf = (shard: TestShard) => shard.options.database.clusterId
  source.proxy.openChannel(tag, { role: 'feed', peer: peerOf(reader), shard: 0, ranges })
  reader.proxy.openChannel(tag, { role: 'intake', peer: peerOf(source), shard: 0, ranges })
}

/** Carries messages between the two until nothing moves. */
export function carry(a: TestShard, b: TestShard, forMs: number): void {
  for (let ms = 0; ms < forMs; ms += 10) {
    deliver(a, b)
    a.world.advance(10)
  }
}

/** The same while no time passes. */
export function deliver(a: TestShard, b: TestShard): void {
  for (;;) {
    a.world.settle()
    const fromA = a.proxy.channelMessages.splice(0)
    const fromB = b.proxy.channelMessages.splice(0)
    if (fromA.length + fromB.length === 0) return
    for (const { tag, bytes } of fromA)
      b.proxy.connection.write(frameBytes(FrameKind.channelData, tag, 0, 0, latin1(bytes)))
    for (const { tag, bytes } of fromB)
      a.proxy.connection.write(frameBytes(FrameKind.channelData, tag, 0, 0, latin1(bytes)))
  }
}

export function pair(changes: ShardChanges = {}) {
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
