/**
 * The laws where a cluster is forced out: two redis-servers stand for those who stay, which are always equal, and for the one
 * who is cut off at some time and goes on alone. What nobody else has seen of it may be lost, and no more: faults planted
 * into what is left are found.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ParsedReply, RealRedis } from '#test/realRedis.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import type { ExpiryTimes } from './expiries.ts'
import { allLaws } from './index.ts'
import { Life } from './life.ts'
import { type Ask, askOf, every, type Fault, RedisSession, sound } from './redisSession.ts'

const stepsTogether = 300
const stepsAlone = 150
const stepsAfter = 60
const clientsOfEach = 2
const leaving = 3
const times: ExpiryTimes = { ttlMinMs: 20, ttlMaxMs: 100, graceMs: 20 }

let staying: RealRedis
let gone: RealRedis

/** What was done at the cluster that leaves. */
interface Done {
  words: readonly string[]
  reply: unknown
}

interface Parting {
  /** Of which another cluster is known to have it. */
  confirmed: Done[]
  /** Of which nobody else has anything. */
  lost: Done[]
  /** Does something to what the others have. */
  others: Ask
}

interface Planted {
  name: string
  law: string
  /** Before anybody is cut off, at the cluster that leaves. */
  together?: () => Fault
  /** When it has been cut off. */
  parted?: (parting: Parting) => Promise<void>
  /** When what is lost has been counted. */
  counted?: (parting: Parting) => Promise<void>
  /** When clients have come to their end. */
  last?: (parting: Parting) => Promise<void>
}

/** What all laws find. */
async function found(
  seed: number,
  planted: Partial<Planted>,
): Promise<{ faults: string[]; parting: Parting }> {
  const random = new SeededRandom(seed)
  const laws = allLaws(seed, times)
  const parting: Parting = { confirmed: [], lost: [], others: askOf(() => staying) }
  let done: Done[] = parting.confirmed
  let server = () => staying
  let fault = planted.together?.() ?? sound
  const remember: Fault = async (words, ask) => {
    const told = await fault(words, ask)
    done.push({ words, reply: told.reply })
    return told
  }
  const sessionsOf = (cluster: number, prefix: string) => {
    const life = new Life(cluster)
    const isLeaving = cluster === leaving
    const ask = isLeaving ? askOf(() => server()) : parting.others
    return Array.from(
      { length: clientsOfEach },
      (_, i) => new RedisSession(`${prefix}${cluster}.${i}`, life, ask, isLeaving ? remember : sound),
    )
  }
  const step = async (sessions: readonly RedisSession[], count: number) => {
    for (let i = 0; i < count; i++) for (const law of laws) await law.step(random.pick(sessions), random)
  }

  const others = [...sessionsOf(1, 's'), ...sessionsOf(2, 's')]
  const leavers = sessionsOf(leaving, 's')
  await step([...others, ...leavers], stepsTogether)
  const [first] = leavers
  if (first === undefined) throw new Error('nobody leaves')
  // Behind all of them, as CRDT.WAIT would tell.
  for (const { words } of [...done]) (await first.ask('EXISTS', words[1] ?? '')).write.confirm()
  await copy(staying, gone)
  server = () => gone
  fault = sound
  done = parting.lost
  await step([...others, ...leavers], stepsAlone)

  first.life.end()
  await planted.parted?.(parting)
  for (const law of laws) for (const session of others) await law.census(session, first.life)
  await planted.counted?.(parting)
  server = () => staying
  const back = sessionsOf(leaving, 'again ')
  await step([...others, ...back], stepsAfter)
  await planted.last?.(parting)
  for (const law of laws) for (const session of [...others, ...back]) await law.judge(session)
  return { faults: laws.flatMap(({ faults }) => faults), parting }
}

async function copy(from: RealRedis, to: RealRedis): Promise<void> {
  const keys = (await from.request('KEYS', '*')) as string[]
  for (const key of keys) {
    const restMs = Number(await from.request('PTTL', key))
    // redis-parser makes text of a payload; a copy is made of what is text.
    const dumped = await contentOf(from, key)
    for (const words of dumped) await to.request(...words)
    if (restMs > 0) await to.request('PEXPIRE', key, String(restMs))
  }
}

/** Commands that make a key what it is. */
async function contentOf(redis: RealRedis, key: string): Promise<string[][]> {
  const texts = (reply: ParsedReply): string[] => (reply as ParsedReply[]).map(String)
  switch (await redis.request('TYPE', key)) {
    case 'string':
      return [['SET', key, String(await redis.request('GET', key))]]
    case 'set':
      return [['SADD', key, ...texts(await redis.request('SMEMBERS', key))]]
    case 'list':
      return [['RPUSH', key, ...texts(await redis.request('LRANGE', key, '0', '-1'))]]
    case 'stream': {
      const entries = (await redis.request('XRANGE', key, '-', '+')) as [string, string[]][]
      return entries.map(([id, fields]) => ['XADD', key, id, ...fields])
    }
    default:
      // Of the law that compares clusters only.
      return []
  }
}

const of = (done: readonly Done[], command: string, key: string): Done[] =>
  done.filter(({ words }) => words[0] === command && (words[1] ?? '').startsWith(key))

function oneOf(done: readonly Done[], command: string, key: string, index = -1): Done {
  const one = of(done, command, key).at(index)
  if (one === undefined) throw new Error(`there was no ${command} ${key}`)
  return one
}

/** The key in which most was lost. */
function lostIn(lost: readonly Done[], command: string, key: string): Done[] {
  const all = of(lost, command, key)
  const by = (name: string | undefined) => all.filter(({ words }) => words[1] === name)
  return all.map(({ words }) => by(words[1])).sort((a, b) => b.length - a.length)[0] ?? []
}

const planted: Planted[] = [
  {
    name: 'a member that others have is lost',
    law: 'members',
    together: () => every(5, 'SADD', async () => ({ outcome: 'done', reply: 1 })),
  },
  {
    name: 'a member is lost, and one that was added behind it is not',
    law: 'members',
    parted: async ({ lost, others }) => {
      await others(...(lostIn(lost, 'SADD', 'members').at(-1)?.words ?? []))
    },
  },
  {
    name: 'a member that was lost comes back',
    law: 'members',
    counted: async ({ lost, others }) => {
      for (const { words } of of(lost, 'SADD', 'members')) await others(...words)
    },
  },
  {
    name: 'a removal that others have is lost',
    law: 'members',
    parted: async ({ confirmed, others }) => {
      // So many that they are not all removed again.
      for (const { words } of of(confirmed, 'SREM', 'members')) await others('SADD', ...words.slice(1))
    },
  },
  {
    name: 'an increment that others have is lost',
    law: 'counters',
    parted: async ({ confirmed, others }) => {
      const { words } = oneOf(confirmed, 'INCRBY', 'counter')
      await others('DECRBY', ...words.slice(1))
    },
  },
  {
    name: 'of lost increments only the last is there',
    law: 'counters',
    parted: async ({ lost, others }) => {
      await others(...(lostIn(lost, 'INCRBY', 'counter').at(-1)?.words ?? []))
    },
  },
  {
    name: 'a transfer that others have is lost',
    law: 'transfers',
    parted: async ({ confirmed, others }) => {
      const amount = oneOf(confirmed, 'INCRBY', '{transfers}').words[2] ?? ''
      await others('INCRBY', '{transfers}from', amount)
      await others('DECRBY', '{transfers}to', amount)
    },
  },
  {
    name: 'a value comes back whose overwriting others have',
    law: 'registers',
    last: async ({ confirmed, others }) => {
      for (const key of ['register:0', 'register:1', 'register:2'])
        await others(...oneOf(confirmed, 'SET', key, 0).words)
    },
  },
  {
    name: 'a push that others have is lost',
    law: 'queues',
    together: () => every(5, 'RPUSH', async () => ({ outcome: 'done', reply: 1 })),
  },
  {
    name: 'a pop that others have is lost',
    law: 'queues',
    parted: async ({ confirmed, others }) => {
      const popped = of(confirmed, 'LPOP', 'queue').filter(({ reply }) => reply !== null)
      // So many that they are not all popped again.
      for (const { words, reply } of popped) await others('RPUSH', words[1] ?? '', String(reply))
    },
  },
  {
    name: 'a key is gone that others knew to be persistent',
    law: 'expiries',
    together: () => every(1, 'PERSIST', async () => ({ outcome: 'done', reply: 1 })),
  },
  {
    name: 'an entry that others have is lost',
    law: 'streams',
    parted: async ({ confirmed, others }) => {
      await others('XDEL', 'stream', String(oneOf(confirmed, 'XADD', 'stream').reply))
    },
  },
]

describe('a cluster is forced out', () => {
  const seed = seedFromEnv()

  beforeAll(async () => {
    staying = await RealRedis.start()
    gone = await RealRedis.start()
  })

  beforeEach(async () => {
    await staying.request('FLUSHALL')
    await gone.request('FLUSHALL')
  })

  afterAll(async () => {
    await staying.stop()
    await gone.stop()
  })

  it('and what nobody else had seen is lost', async () => {
    const { faults, parting } = await found(seed, {})
    expect(faults).toEqual([])
    expect(of(parting.lost, 'SADD', 'members').length).toBeGreaterThan(0)
  })

  it.each(planted)('$law: $name', async (plan) => {
    const { faults } = await found(seed, plan)
    expect(faults.some((text) => text.startsWith(plan.law))).toBe(true)
  })
})
