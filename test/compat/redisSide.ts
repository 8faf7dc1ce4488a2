/** A real redis-server for a test file, and comparisons with it. */
import { afterAll, beforeAll } from 'vitest'
import type { CommandSpec } from '#protocol/commands/index.ts'
import { RealRedis } from '#test/realRedis.ts'
import { Comparison, type ComparisonOptions } from './comparison.ts'
import { decodeReply, type Reply } from './reply.ts'
import { type Side, SocketSide } from './side.ts'

interface RedisForTests {
  side(): SocketSide
  ask(...request: string[]): Promise<Reply>
  /** For connections of one's own. */
  socketPath(): string
  /** Runs a comparison on an empty database; rejects at the first difference. */
  compare(own: Side, options: ComparisonOptions): Promise<Comparison>
}

/** Not what is ours alone, nor what came with Redis 7.4: the oracle is 7.0. */
export const isKnownToOracle = ({ group, row }: CommandSpec): boolean =>
  group !== 'crdt' && row.since !== '7.4.0'

/** To be called once, outside of tests. */
export function redisForTests(...options: readonly string[]): RedisForTests {
  const redis: { server?: RealRedis; side?: SocketSide } = {}

  beforeAll(async () => {
    redis.server = await RealRedis.start([
      ...['--databases', '1'],
      // The time of a blocked client is looked at so many times a second.
      ...['--hz', '500'],
      // Never reached. With such a policy keys share no small integers, and with them the time of their last use.
      ...['--maxmemory', '8gb', '--maxmemory-policy', 'allkeys-lru'],
      ...options,
    ])
    redis.side = await SocketSide.connect({ path: redis.server.socketPath })
  })

  afterAll(async () => {
    redis.side?.close()
    await redis.server?.stop()
  })

  const side = (): SocketSide => {
    if (redis.side === undefined) throw new Error('redis-server has not started')
    return redis.side
  }
  return {
    side,
    async ask(...request) {
      const [reply] = await side().send([request])
      return decodeReply(reply as Uint8Array)
    },
    socketPath() {
      if (redis.server === undefined) throw new Error('redis-server has not started')
      return redis.server.socketPath
    },
    async compare(own, options) {
      // What a comparison before has left.
      await side().send([['DISCARD'], ['UNWATCH'], ['FLUSHALL'], ['HELLO', '2'], ['CLIENT', 'SETNAME', '']])
      const comparison = new Comparison({ own, redis: side() }, options, Date.now())
      await comparison.run()
      return comparison
    },
  }
}
