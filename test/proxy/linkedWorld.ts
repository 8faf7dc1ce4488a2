/** Proxies and shards of one cluster, and the shards of another one that is linked with it. */
import { TestShard } from '#test/shard/testShard.ts'
import { deliver, members } from '#test/shard/twoClusters.ts'
import { BlockingWorld } from './blockingWorld.ts'

/** Three clusters: this one with so many shards, one that is linked, and one that is never heard of. */
export function linked(shardCount = 1) {
  const three = [...members, { clusterId: 3, name: 'three' }]
  const listed = three.map((member) => ({ ...member, host: '127.0.0.1', port: 12000 + member.clusterId }))
  const world = new BlockingWorld(
    { shardCount, database: { members: listed } },
    { database: { members: three, clusterId: 1, shardCount } },
  )
  const peers = world.shards.map(
    ({ options }) =>
      new TestShard({
        world: world.world,
        ranges: options.ranges,
        database: { members: three, clusterId: 2 },
        // As if it had started with whatever clock a test gives it.
        variations: { newClock: (clock) => clock },
      }),
  )
  /** Shard i and its peer; carried by hand. */
  const connect = (i: number) => {
    const [here, there] = [world.shards[i], peers[i]]
    if (here === undefined || there === undefined) throw new Error(`there is no shard ${i}`)
    const ranges = [...here.options.ranges]
    const { index } = here.options
    there.proxy.openChannel(1, { role: 'feed', peer: 1, shard: 0, ranges })
    here.proxy.openChannel(1, { role: 'intake', peer: 2, shard: 0, ranges })
    here.proxy.openChannel(2, { role: 'feed', peer: 2, shard: index, ranges })
    there.proxy.openChannel(2, { role: 'intake', peer: 1, shard: index, ranges })
    return [here, there] as const
  }
  const pairs = world.shards.map((_, i) => connect(i))
  /** Lets time pass; messages are passed on where `isUp`. */
  const carry = (forMs: number, isUp: (shard: number) => boolean = () => true) => {
    for (let ms = 0; ms < forMs; ms += 10) {
      for (const [i, pair] of pairs.entries()) if (isUp(i)) deliver(...pair)
      world.world.advance(10)
    }
    for (const [i, pair] of pairs.entries()) if (isUp(i)) deliver(...pair)
  }
  carry(500)
  return { world, peers, carry }
}
