/**
 * Which requests use a key: what OBJECT IDLETIME tells, and the LRU policies go by. Each of the random requests meets keys that
 * nobody has used for long, equal on both sides. `REQUESTS=n` says how many there are, `SEED=n` repeats them.
 */
import { expect, it } from 'vitest'
import { commandNamed } from '#protocol/commands/index.ts'
import { keyPositions } from '#protocol/commands/keys.ts'
import { expireAtMsMax } from '#server/commands/expiry.ts'
import { HandlerDatabase } from '#test/commands/handlerDatabase.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { nextStep } from './generator.ts'
import { HandlerSide } from './handlerSide.ts'
import { redisForTests } from './redisSide.ts'
import { decodeReply, isError, type Reply, show } from './reply.ts'
import { nameOf, type Request, type Side } from './side.ts'
import type { Sides } from './step.ts'
import { Vocabulary } from './vocabulary.ts'

const requests = Number(process.env['REQUESTS'] ?? 10_000)
const longSeconds = 10_000

const redis = redisForTests()

async function ask(side: Side, asked: readonly Request[]): Promise<Reply[]> {
  return (await side.send(asked)).map(decodeReply)
}

function keysOf(request: Request): string[] {
  const spec = commandNamed(nameOf(request))
  if (spec === undefined) return []
  const positions = keyPositions(spec, request.length, (i) => request[i] as string)
  return [...new Set(positions.map((i) => request[i] as string))]
}

/** Gives both sides what Redis has under the keys, as it would be after a long time without a use. */
async function age({ own, redis: oracle }: Sides, keys: readonly string[]): Promise<void> {
  const asked = keys.flatMap((key) => [
    ['PEXPIRETIME', key],
    ['DUMP', key],
  ])
  const found = await ask(oracle, asked)
  const restored = keys.map((key, i): Request => {
    const [expireAt, payload] = found.slice(2 * i) as [Reply, Reply]
    if (payload.isNull) return ['DEL', key]
    const atMs = Math.min(Math.max(0, Number(expireAt.text)), expireAtMsMax)
    const words = ['REPLACE', 'ABSTTL', 'IDLETIME', String(longSeconds)]
    return ['RESTORE', key, String(atMs), payload.text, ...words]
  })
  for (const side of [own, oracle]) {
    const refused = (await ask(side, restored)).find(isError)
    if (refused !== undefined) throw new Error(`${show(refused)}: ${JSON.stringify(restored)}`)
  }
}

interface Outcome {
  /** Of the request; empty: there was none. */
  error: string
  /** Of each key; undefined: it is gone. */
  used: (boolean | undefined)[]
}

async function outcomeOf(side: Side, request: Request, keys: readonly string[]): Promise<Outcome> {
  // In a transaction nothing waits.
  const asked = [['MULTI'], request, ['EXEC'], ...keys.map((key) => ['OBJECT', 'IDLETIME', key])]
  const [, , executed, ...idle] = (await ask(side, asked)) as [Reply, Reply, Reply, ...Reply[]]
  const reply = executed.items[0] ?? executed
  return {
    error: isError(reply) ? reply.text : '',
    used: idle.map(({ isNull, text }) => (isNull ? undefined : Number(text) < longSeconds / 2)),
  }
}

it('a key is used by the same requests as in Redis', async () => {
  const seed = seedFromEnv()
  const own = new HandlerSide(new HandlerDatabase({ random: new SeededRandom(seed) }))
  const sides = { own, redis: redis.side() }
  const v = new Vocabulary(seed, Date.now())
  const seen = { used: 0, unused: 0 }
  for (let sent = 0; sent < requests; sent++) {
    const request = nextStep(v, { session: false, sharded: false }).requests.at(-1) as Request
    const keys = keysOf(request)
    await age(sides, keys)
    const [mine, theirs] = await Promise.all([
      outcomeOf(sides.own, request, keys),
      outcomeOf(sides.redis, request, keys),
    ])
    // Replies are compared in `redis.test.ts`; where they differ with reason, uses may too.
    if (mine.error !== theirs.error) continue
    for (const [i, key] of keys.entries()) {
      const [used, expected] = [mine.used[i], theirs.used[i]]
      if (used === undefined || expected === undefined) continue
      seen[expected ? 'used' : 'unused']++
      const shown = `SEED=${seed}, after ${sent} requests: ${JSON.stringify(key)} of ${JSON.stringify(request)}`
      expect(used, shown).toBe(expected)
    }
  }
  expect(Math.min(seen.used, seen.unused)).toBeGreaterThan(requests / 20)
}, 300_000)
