/** What is refused when memory is short, and what is said then: command by command, against a real redis-server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commands } from '#protocol/commands/index.ts'
import { runByShard } from '#protocol/commands/table.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { RealRedis } from '#test/realRedis.ts'
import { DatabaseSide } from './databaseSide.ts'
import { isKnownToOracle } from './redisSide.ts'
import { type Request, type Side, SocketSide } from './side.ts'

const outOfMemory = "-OOM command not allowed when used memory > 'maxmemory'.\r\n"

const world: { redis?: RealRedis; side?: SocketSide } = {}

beforeAll(async () => {
  world.redis = await RealRedis.start(['--databases', '1'])
  world.side = await SocketSide.connect({ path: world.redis.socketPath })
})

afterAll(async () => {
  world.side?.close()
  await world.redis?.stop()
})

const sides = (): { own: Side; redis: Side } => {
  if (world.side === undefined) throw new Error('redis-server has not started')
  return { own: new DatabaseSide(3, 1), redis: world.side }
}

async function replies(side: Side, requests: readonly Request[]): Promise<string[]> {
  return (await side.send(requests)).map((reply) => latin1(reply))
}

/** Both answer the same; returns the replies. */
async function same(requests: readonly Request[]): Promise<string[]> {
  const { own, redis } = sides()
  const theirs = await replies(redis, requests)
  expect(await replies(own, requests)).toEqual(theirs)
  return theirs
}

const words = (line: string): string[] => line.split(' ')
const unlimited = ['CONFIG SET maxmemory 0 maxmemory-policy noeviction', 'FLUSHALL'].map(words)

/** Every command of a shard, with as many arguments as it needs. */
const everyCommand = [...commands.values()]
  .flatMap((spec) => (spec.isContainer ? spec.subcommands : [spec]))
  .filter((spec) => runByShard(spec.request) && isKnownToOracle(spec))
  .map((spec) => {
    const name = spec.name.split('|')
    const more = Math.abs(spec.row.arity) - name.length
    return { spec, request: [...name, ...Array.from({ length: more }, () => '{t}1')] }
  })

describe('when memory is short', () => {
  it('the same commands are refused, with the same words', async () => {
    const requests = everyCommand.map(({ request }) => request)
    const { own, redis } = sides()
    const before = [...unlimited, ...['SET {t}2 v', 'CONFIG SET maxmemory 1'].map(words)]
    const refused = async (side: Side): Promise<string[]> => {
      const all = await replies(side, [...before, ...requests, ...unlimited])
      return everyCommand
        .filter((_, i) => all[before.length + i] === outOfMemory)
        .map(({ spec }) => spec.name)
    }
    const theirs = await refused(redis)
    expect(await refused(own)).toEqual(theirs)
    const flagged = everyCommand.filter(({ spec }) => spec.row.flags.includes('denyoom'))
    expect(theirs).toEqual(flagged.map(({ spec }) => spec.name))
    expect(theirs.length).toBeGreaterThan(20)
  })

  it('volatile policies refuse when nothing has a TTL', async () => {
    const requests = [
      ...unlimited,
      ...['SET k v', 'CONFIG SET maxmemory 1 maxmemory-policy volatile-lru', 'SET k w', 'GET k'].map(words),
    ]
    expect((await same([...requests, ...unlimited])).slice(4, 6)).toEqual([outOfMemory, '$1\r\nv\r\n'])
  })

  it('a transaction that was queued before is refused as a whole', async () => {
    const { own, redis } = sides()
    const queued = ['MULTI', 'SET {t}k v'].map(words)
    const limit = words('CONFIG SET maxmemory 1')
    await redis.send([...unlimited, ...queued])
    await world.redis?.request(...limit)
    const [theirs] = await replies(redis, [['EXEC']])
    const ours = await replies(own, [
      ...['SET {t}1 v', 'CONFIG SET maxmemory 1', ...['MULTI', 'SET {t}k v', 'EXEC']].map(words),
    ])
    expect(ours.at(-1)).toBe(theirs)
    expect(theirs).toContain('-EXECABORT Transaction discarded because of: OOM command not allowed')
    await redis.send(unlimited)
  })
})

describe('the policy', () => {
  it('decides what OBJECT tells of accesses', async () => {
    const asked = ['FREQ k', 'IDLETIME k', 'FREQ none', 'IDLETIME none'].map((line) => `OBJECT ${line}`)
    const lines = [
      'SET k v',
      ...asked,
      'CONFIG SET maxmemory-policy allkeys-lfu',
      'SET n v',
      'OBJECT FREQ n',
      ...asked.slice(1),
    ]
    await same([...unlimited, ...lines.map(words), ...unlimited])
  })

  it('and limit can be set and read as in Redis', async () => {
    const lines = [
      'CONFIG SET maxmemory 100mb',
      'CONFIG GET maxmemory',
      'CONFIG SET maxmemory 5k MAXMEMORY-POLICY Volatile-TTL',
      'CONFIG GET maxmemory-policy',
      'CONFIG SET maxmemory-policy lru',
      'CONFIG SET maxmemory -1',
      'CONFIG SET maxmemory 1tb',
      'CONFIG SET maxmemory-samples 64',
      'CONFIG GET maxmemory-samples',
      'CONFIG SET maxmemory-samples x',
      'CONFIG SET maxmemory-samples 5',
      'CONFIG GET lfu-log-factor',
      'CONFIG GET lfu-decay-time',
    ]
    const answers = await same([...unlimited, ...lines.map(words), ...unlimited])
    expect(answers[3]).toBe('*2\r\n$9\r\nmaxmemory\r\n$9\r\n104857600\r\n')
  })
})
