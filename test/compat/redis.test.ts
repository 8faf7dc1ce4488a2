/**
 * One stream of random requests to Antipode and to a real redis-server: every command, option and error, reply by
 * reply. `COMMANDS=n` says how long it is, `SEED=n` repeats one.
 */
import { describe, expect, it } from 'vitest'
import { commandNamed, commands } from '#protocol/commands/index.ts'
import { runByShard } from '#protocol/commands/table.ts'
import { HandlerDatabase } from '#test/commands/handlerDatabase.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { DatabaseSide } from './databaseSide.ts'
import { makes } from './generator.ts'
import { HandlerSide } from './handlerSide.ts'
import { knownDifferences, met } from './knownDifferences.ts'
import { isKnownToOracle, redisForTests } from './redisSide.ts'

const requests = Number(process.env['COMMANDS'] ?? 150_000)
/** From so many requests on, chance brings everything. */
const everythingMet = 100_000

const redis = redisForTests()

const handled = [...commands.values()]
  .flatMap((spec) => (spec.isContainer ? spec.subcommands : [spec]))
  // Scripts are compared in `scripts.test.ts`.
  .filter((spec) => runByShard(spec.request) && isKnownToOracle(spec) && spec.group !== 'scripting')
  .map((spec) => spec.name)

describe('Antipode and redis-server', () => {
  it('are asked for every command', () => {
    expect(Object.keys(makes).sort()).toEqual(handled.sort())
  })

  it('differ in nothing that the documentation does not tell', () => {
    const untold = knownDifferences
      .flatMap(({ commands: names }) => names)
      .filter((name) => commandNamed(name)?.row.difference === undefined)
    expect(untold).toEqual([])
  })

  it(`give the same replies to ${requests} random requests, through a proxy and three shards`, async () => {
    const seed = seedFromEnv()
    const comparison = await redis.compare(new DatabaseSide(3, seed), {
      seed,
      requests,
      session: true,
      sharded: true,
    })
    if (requests < everythingMet) return
    expect([...comparison.covered].sort()).toEqual(handled.sort())
    expect(knownDifferences.filter((difference) => !met.has(difference))).toEqual([])
  }, 300_000)

  it('give them without sharding too, to keys in slots of their own', async () => {
    const seed = seedFromEnv()
    const options = { seed, requests: requests / 2, session: true, sharded: false }
    await redis.compare(new DatabaseSide(0, seed, { patchedBytesMin: 0 }), options)
  }, 300_000)

  it('give them without a proxy too, where transactions span slots', async () => {
    const seed = seedFromEnv()
    const random = new SeededRandom(seed)
    const own = new HandlerSide(new HandlerDatabase({ random, patchedBytesMin: 0 }))
    await redis.compare(own, { seed, requests: requests / 4, session: false, sharded: false })
  }, 300_000)
})
