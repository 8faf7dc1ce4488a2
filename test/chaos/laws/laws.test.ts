/**
 * The laws themselves: a redis-server keeps them, as clusters that are always equal; with a fault planted between it and the
 * clients each fault is found by the law that it breaks.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { RealRedis } from '#test/realRedis.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { isSumOfBeginnings, isSumOfSome } from '#test/sums.ts'
import type { ExpiryTimes } from './expiries.ts'
import { allLaws } from './index.ts'
import { Life } from './life.ts'
import { askOf, every, type Fault, RedisSession, sound, type Told } from './redisSession.ts'

const stepsPerLaw = 400
const sessionCount = 4
const times: ExpiryTimes = { ttlMinMs: 20, ttlMaxMs: 100, graceMs: 20 }

let redis: RealRedis
const ask = askOf(() => redis)

/** What all laws find in a run of sessions with this fault between them and redis-server. */
async function found(fault: Fault, seed: number): Promise<string[]> {
  const random = new SeededRandom(seed)
  const laws = allLaws(seed, times)
  const lives = [new Life(1), new Life(2)] as const
  const sessions = Array.from(
    { length: sessionCount },
    (_, i) => new RedisSession(`s${i}`, lives[i % 2 === 0 ? 0 : 1], ask, fault),
  )
  for (let i = 0; i < stepsPerLaw; i++) {
    for (const law of laws) await law.step(random.pick(sessions), random)
  }
  for (const law of laws) await law.judge(new RedisSession('judge', lives[0], ask, sound))
  return laws.flatMap(({ faults }) => faults)
}

const told = (reply: unknown): Told => ({ outcome: 'done', reply })

/** Acknowledges without doing. */
const lose =
  (reply: unknown): Fault =>
  async () =>
    told(reply)

const twice: Fault = async (words, ask) => {
  await ask(...words)
  return await ask(...words)
}

/** Says that nobody knows, and does it all the same. */
const unknown: Fault = async (words, ask) => {
  await ask(...words)
  return { outcome: 'unknown', reply: new Error('the connection broke') }
}

/** What was asked `back` commands of this kind ago is done again, behind. */
function again(back: number): Fault {
  const before: (readonly string[])[] = []
  return async (words, ask) => {
    before.push(words)
    const answer = await ask(...words)
    const old = before[before.length - 1 - back]
    if (old !== undefined) await ask(...old)
    return answer
  }
}

const planted: { name: string; law: string; fault: () => Fault }[] = [
  { name: 'an increment is lost', law: 'counters', fault: () => every(40, 'INCRBY', lose(2 ** 40)) },
  { name: 'an increment is done twice', law: 'counters', fault: () => every(40, 'INCRBY', twice) },
  {
    name: 'a counter goes back',
    law: 'counters',
    fault: () => every(25, 'GET', async (words, ask) => (isOf(words, 'counter') ? told('1') : ask(...words))),
  },
  { name: 'a member is lost', law: 'members', fault: () => every(30, 'SADD', lose(1)) },
  { name: 'a removal is lost', law: 'members', fault: () => every(10, 'SREM', lose(1)) },
  {
    name: 'a removed member comes back',
    law: 'members',
    fault: () =>
      every(10, 'SREM', async (words, ask) => {
        const answer = await ask(...words)
        await ask('SADD', ...words.slice(1))
        return answer
      }),
  },
  {
    name: 'an answer shows before its question',
    law: 'causes',
    fault: () =>
      every(10, 'SMEMBERS', async (words, ask) => {
        const answer = await ask(...words)
        const shown = answer.reply as string[]
        return told(shown.filter((text) => !shown.includes(`re:${text}`)))
      }),
  },
  { name: 'a push is lost', law: 'queues', fault: () => every(20, 'RPUSH', lose(1)) },
  { name: 'a push is done twice', law: 'queues', fault: () => every(10, 'RPUSH', twice) },
  {
    name: 'a push goes to the wrong end',
    law: 'queues',
    fault: () => every(4, 'RPUSH', ([, ...rest], ask) => ask('LPUSH', ...rest)),
  },
  {
    name: 'a popped value comes back',
    law: 'queues',
    fault: () =>
      every(10, 'LPOP', async (words, ask) => {
        const answer = await ask(...words)
        if (answer.reply !== null) await ask('RPUSH', words[1] ?? '', String(answer.reply))
        return answer
      }),
  },
  {
    name: 'half a transaction',
    law: 'transfers',
    fault: () => every(40, 'DECRBY', lose(0)),
  },
  {
    name: 'an overwritten value wins',
    law: 'registers',
    fault: () => {
      const old = again(12)
      return (words, ask) => (words[0] === 'SET' && isOf(words, 'register') ? old(words, ask) : ask(...words))
    },
  },
  {
    name: 'a value is gone',
    law: 'registers',
    fault: () =>
      every(50, 'GET', async (words, ask) => (isOf(words, 'register') ? told(null) : ask(...words))),
  },
  {
    name: 'a TTL is forgotten',
    law: 'expiries',
    fault: () => every(7, 'SET', ([name = '', key = '', value = ''], ask) => ask(name, key, value)),
  },
  { name: 'PERSIST is lost', law: 'expiries', fault: () => every(7, 'PERSIST', lose(1)) },
  { name: 'an entry is lost', law: 'streams', fault: () => every(40, 'XADD', lose('99999999999999-0')) },
  {
    name: 'a group passes entries over',
    law: 'streams',
    fault: () =>
      every(10, 'XREADGROUP', async (words, ask) => {
        const answer = await ask(...words)
        if (!Array.isArray(answer.reply)) return answer
        const [[stream, entries] = ['', []]] = answer.reply as [string, [string, string[]][]][]
        for (const [id] of entries) await ask('XACK', stream, words[2] ?? '', id)
        return told(null)
      }),
  },
]

const isOf = ([, key = '']: readonly string[], law: string): boolean => key.startsWith(law)

describe('laws', () => {
  const seed = seedFromEnv()

  beforeAll(async () => {
    redis = await RealRedis.start()
  })

  beforeEach(async () => {
    await redis.request('FLUSHALL')
  })

  afterAll(async () => {
    await redis.stop()
  })

  it('find nothing in a server that keeps them', async () => {
    expect(await found(sound, seed)).toEqual([])
  })

  it('find nothing when what was done is not known', async () => {
    const fault = every(9, 'INCRBY', every(9, 'SADD', every(9, 'RPUSH', unknown)))
    expect(await found(fault, seed)).toEqual([])
  })

  it.each(planted)('$law: $name', async ({ law, fault }) => {
    const faults = await found(fault(), seed)
    expect(faults.some((text) => text.startsWith(law))).toBe(true)
  })
})

describe('sums of some', () => {
  it.each([
    [0, [], true],
    [5, [], false],
    [-1, [1], false],
    [4, [1, 3], true],
    [2, [1, 3], false],
    [3, [1, 3], true],
  ])('%d of %j: %s', (rest, parts, is) => {
    expect(isSumOfSome(rest, parts, 20)).toBe(is)
  })

  it.each([
    [0, [[1, 2]], true],
    [1, [[1, 2]], true],
    [2, [[1, 2]], false],
    [3, [[1, 2]], true],
    [
      8,
      [
        [1, 2],
        [5, 7],
      ],
      true,
    ],
    [
      7,
      [
        [1, 2],
        [5, 7],
      ],
      false,
    ],
  ])('%d of beginnings of %j: %s', (rest, chains, is) => {
    expect(isSumOfBeginnings(rest, chains, 100)).toBe(is)
  })
})
