/**
 * One stream of random requests to the handlers and to a real redis-server: every command, option and error, reply by
 * reply. `COMMANDS=n` says how long it is, `SEED=n` repeats one.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commands } from '#protocol/commands/index.ts'
import { runByShard } from '#protocol/commands/table.ts'
import { HandlerDatabase } from '#test/commands/handlerDatabase.ts'
import { RealRedis } from '#test/realRedis.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { Comparison } from './comparison.ts'
import { DatabaseSide } from './databaseSide.ts'
import { makes } from './generator.ts'
import { HandlerSide } from './handlerSide.ts'
import { knownDifferences, met } from './knownDifferences.ts'
import { type Side, SocketSide } from './side.ts'

const requests = Number(process.env['COMMANDS'] ?? 100_000)
/** From so many requests on, chance brings everything. */
const everythingMet = 50_000

const redis: { server?: RealRedis; side?: SocketSide } = {}

beforeAll(async () => {
  redis.server = await RealRedis.start(['--databases', '1'])
  redis.side = await SocketSide.connect({ path: redis.server.socketPath })
})

afterAll(async () => {
  redis.side?.close()
  await redis.server?.stop()
})

const handled = [...commands.values()]
  .flatMap((spec) => (spec.isContainer ? spec.subcommands : [spec]))
  .filter((spec) => runByShard(spec.request) && spec.group !== 'crdt')
  .map((spec) => spec.name)

describe('the handlers and redis-server', () => {
  it('are asked for every command', () => {
    expect(Object.keys(makes).sort()).toEqual(handled.sort())
  })

  it(`give the same replies to ${requests} random requests`, async () => {
    const seed = seedFromEnv()
    const own = new HandlerSide(new HandlerDatabase({ random: new SeededRandom(seed) }))
    const comparison = await compared(own, seed, requests)
    if (requests < everythingMet) return
    expect([...comparison.covered].sort()).toEqual(handled.sort())
    expect(knownDifferences.filter((difference) => !met.has(difference))).toEqual([])
  }, 300_000)

  it(`give them through a proxy and three shards too`, async () => {
    const seed = seedFromEnv()
    await compared(new DatabaseSide(3, seed), seed, requests / 4)
  }, 300_000)
})

async function compared(own: Side, seed: number, count: number): Promise<Comparison> {
  if (redis.side === undefined) throw new Error('redis-server has not started')
  await redis.side.send([['FLUSHALL'], ['HELLO', '2']])
  const comparison = new Comparison({ own, redis: redis.side }, { seed, requests: count }, Date.now())
  await comparison.run()
  return comparison
}
