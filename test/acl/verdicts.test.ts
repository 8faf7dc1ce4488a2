/**
 * Random rules, and the verdicts on random requests, against redis-server: `TRIPLES=100000 npx vitest run
 * test/acl/verdicts.test.ts` looks at more than `npm test` does.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dryRun } from '#protocol/acl/dryRun.ts'
import { changedUser } from '#protocol/acl/rules.ts'
import { User } from '#protocol/acl/user.ts'
import { ReplyError } from '#protocol/resp/errors.ts'
import { scan } from '#test/commands/ask.ts'
import { type ParsedReply, RealRedis } from '#test/realRedis.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { isStricter, randomRequest, randomRules } from './randomAccess.ts'

const triples = Number(process.env['TRIPLES'] ?? 40_000)
const requestsPerUser = 25
const defaults = { allChannels: false }

const redis: { server?: RealRedis } = {}
beforeAll(async () => {
  redis.server = await RealRedis.start()
})
afterAll(() => redis.server?.stop())

async function ask(...request: string[]): Promise<string> {
  const reply: ParsedReply | undefined = await redis.server?.request(...request)
  return reply instanceof Error ? reply.message : String(reply)
}

function verdict(user: User, request: readonly string[]): string {
  try {
    return dryRun(user, scan(request), 0)
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error
    return error.text
  }
}

describe('random users', () => {
  it('are made, and may do, what redis-server says', { timeout: 300_000 }, async () => {
    const random = new SeededRandom(seedFromEnv())
    let user = new User('someone', defaults)
    let denied = 0
    const differences: unknown[] = []
    for (let seen = 0; seen < triples; seen += requestsPerUser) {
      if (seen === 0 || random.chance(0.5)) {
        user = new User('someone', defaults)
        await ask('ACL', 'DELUSER', 'someone')
        await ask('ACL', 'SETUSER', 'someone')
      }
      const rules = randomRules(random)
      const made = changedUser('someone', user, rules, defaults)
      const theirs = await ask('ACL', 'SETUSER', 'someone', ...rules)
      expect({ rules, answer: typeof made === 'string' ? made : 'OK' }).toEqual({ rules, answer: theirs })
      if (typeof made !== 'string') user = made
      const requests = Array.from({ length: requestsPerUser }, () => randomRequest(random))
      const answers = await Promise.all(
        requests.map((request) => ask('ACL', 'DRYRUN', 'someone', ...request)),
      )
      for (const [i, request] of requests.entries()) {
        const ours = verdict(user, request)
        if (ours !== 'OK') denied++
        const theirs = answers[i] ?? ''
        if (ours !== theirs && (ours === 'OK' || !isStricter(request)))
          differences.push({ rules: user.rules, request, ours, theirs })
      }
    }
    expect(differences).toEqual([])
    console.log(`${((100 * denied) / triples).toFixed(1)} % of ${triples} requests denied`)
    // Else the requests and the rules don't meet.
    expect(denied / triples).toBeGreaterThan(0.1)
    expect(denied / triples).toBeLessThan(0.95)
  })
})
