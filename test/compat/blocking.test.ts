/**
 * Several clients that block, at Antipode and at redis-server: the same random commands, one after the other, by the same
 * clients. Who is served with what, and when, has to be the same. `STEPS=n` says how many, `SEED=n` repeats a run.
 */
import { describe, expect, it } from 'vitest'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { BlockingWorld } from '#test/proxy/blockingWorld.ts'
import { encode, type TestClient } from '#test/proxy/proxyWorld.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { redisForTests } from './redisSide.ts'
import { type Request, SocketSide } from './side.ts'

const steps = Number(process.env['STEPS'] ?? 3000)
const clientCount = 5
const keys = ['{t}a', '{t}b', '{t}c']

const redis = redisForTests()

/** A client of redis-server that may be blocked. */
class RealClient {
  received = ''
  #expected = 0
  #count = 0
  readonly id: string
  readonly #side: SocketSide
  readonly #control: SocketSide

  constructor(side: SocketSide, control: SocketSide, id: string) {
    this.#side = side
    this.#control = control
    this.id = id
  }

  /** Whether it waits for nothing any more. */
  get isIdle(): boolean {
    return this.#count === this.#expected
  }

  /** Returns when the server has answered, or has begun to let it wait. */
  async send(requests: readonly Request[]): Promise<void> {
    this.#expected++
    const take = (replies: Uint8Array[]): void => {
      this.received += replies.map((reply) => latin1(reply)).join('')
      this.#count++
    }
    // It may still wait when the test ends.
    void this.#side.send(requests).then(take, () => {})
    while (!this.isIdle && !(await this.#isBlocked()));
    await this.settle()
  }

  /** What was written to it before has arrived. */
  async settle(): Promise<void> {
    await this.#control.send([['PING']])
    await new Promise((resolve) => setImmediate(resolve))
  }

  async #isBlocked(): Promise<boolean> {
    const [list] = await this.#control.send([['CLIENT', 'LIST', 'ID', this.id]])
    return / flags=[a-zA-Z]*b/.test(latin1(list as Uint8Array))
  }
}

interface Pair {
  own: TestClient
  ownId: string
  ownReceived: string
  real: RealClient
}

const random = new SeededRandom(seedFromEnv())
const key = (): string => random.pick(keys)
const side = (): string => random.pick(['LEFT', 'RIGHT'])
const someKeys = (): string[] => Array.from({ length: 1 + random.below(3) }, key)
const values = (): string[] => Array.from({ length: 1 + random.below(3) }, () => String(random.below(10)))

const end = (): string => random.pick(['MIN', 'MAX'])

function blocking(): Request {
  switch (random.below(7)) {
    case 5:
      return [random.pick(['BZPOPMIN', 'BZPOPMAX']), ...someKeys(), '0']
    case 6: {
      const named = someKeys()
      return ['BZMPOP', '0', String(named.length), ...named, end(), 'COUNT', String(1 + random.below(3))]
    }
    case 0:
      return ['BLPOP', ...someKeys(), '0']
    case 1:
      return ['BRPOP', ...someKeys(), '0']
    case 2:
      return ['BLMOVE', key(), key(), side(), side(), '0']
    case 3:
      return ['BRPOPLPUSH', key(), key(), '0']
    default: {
      const named = someKeys()
      return ['BLMPOP', '0', String(named.length), ...named, side(), 'COUNT', String(1 + random.below(3))]
    }
  }
}

function writing(): Request {
  const requests: Request[] = [
    ['LPUSH', key(), ...values()],
    ['RPUSH', key(), ...values()],
    ['RPUSH', '{t}spare', ...values()],
    ['RENAME', '{t}spare', key()],
    ['COPY', '{t}spare', key(), 'REPLACE'],
    ['LMOVE', '{t}spare', key(), side(), side()],
    ['LMOVE', key(), key(), side(), side()],
    ['LPOP', key()],
    ['ZADD', key(), String(random.below(9)), ...values().slice(0, 1)],
    ['ZADD', key(), '1', 'x', '2', 'y', '3', 'z'],
    ['ZINCRBY', key(), '1', 'x'],
    ['ZREM', key(), 'x'],
    ['DEL', key()],
    ['SET', key(), 'text'],
    ['SADD', key(), 'member'],
    ['LINSERT', key(), 'BEFORE', '1', '2'],
  ]
  // Texts and sets stand in everybody's way.
  return random.chance(0.2) ? ['DEL', key()] : random.pick(requests)
}

function requestsOf(): Request[] {
  if (random.chance(0.45)) return [blocking()]
  if (random.chance(0.7)) return [writing()]
  const queued = Array.from({ length: 1 + random.below(4) }, () =>
    random.chance(0.1) ? blocking() : writing(),
  )
  return [['MULTI'], ...queued, ['EXEC']]
}

/** Groups stay: 7.2 has other words for those who wait for one that goes. */
const streams = ['{t}x', '{t}y']
const plainStream = '{t}plain'
let lastMs = 1

const stream = (): string => random.pick(streams)
const addition = (): Request => ['XADD', stream(), String(lastMs++), 'f', String(random.below(10))]
const count = (): string[] => (random.chance(0.5) ? ['COUNT', String(1 + random.below(3))] : [])
const behind = (): string => (random.chance(0.6) ? '$' : String(Math.max(0, lastMs - random.below(6))))

function reading(): Request {
  if (random.chance(0.4)) {
    const named = random.chance(0.5)
      ? [stream()]
      : random.chance(0.5)
        ? [...streams, plainStream]
        : [plainStream]
    return ['XREAD', 'BLOCK', '0', ...count(), 'STREAMS', ...named, ...named.map(behind)]
  }
  const named = random.chance(0.6) ? [stream()] : streams
  const from = named.map(() => (random.chance(0.95) ? '>' : '0'))
  const who = random.pick(['alice', 'bob'])
  return [
    'XREADGROUP',
    'GROUP',
    random.pick(['g1', 'g2']),
    who,
    'BLOCK',
    '0',
    ...count(),
    'STREAMS',
    ...named,
    ...from,
  ]
}

function streamWriting(): Request {
  return random.pick<Request>([
    addition(),
    addition(),
    ['XADD', plainStream, String(lastMs++), 'f', 'v'],
    ['DEL', plainStream],
    ['SET', plainStream, 'text'],
    ['XDEL', stream(), `${lastMs - 1}-0`],
    ['XTRIM', stream(), 'MAXLEN', String(random.below(5))],
    ['XACK', stream(), 'g1', `${lastMs - 1}-0`],
    // Not back: Redis leaves those who wait alone then, and here the next change of the stream wakes them.
    ['XGROUP', 'SETID', stream(), 'g2', '$'],
    ['XLEN', stream()],
  ])
}

function streamRequestsOf(): Request[] {
  if (lastMs === 1)
    return streams
      .flatMap((name) => ['g1', 'g2'].map((group) => ['XGROUP', 'CREATE', name, group, '$', 'MKSTREAM']))
      .concat(streams.map((name) => ['XADD', name, String(lastMs++), 'f', 'v']))
  if (random.chance(0.45)) return [reading()]
  if (random.chance(0.8)) return [streamWriting()]
  // Several entries of one stream at once.
  const name = stream()
  const more = Array.from(
    { length: 1 + random.below(3) },
    (): Request => ['XADD', name, String(lastMs++), 'f', 'v'],
  )
  return [['MULTI'], ...more, ...(random.chance(0.2) ? [reading()] : []), ['EXEC']]
}

describe('clients that wait, at Antipode and at redis-server', () => {
  it.each([
    ['lists and sorted sets', requestsOf],
    ['streams', streamRequestsOf],
  ])(
    `are served alike with %s in ${steps} steps`,
    async (_, nextRequests) => {
      const world = new BlockingWorld({}, { database: { streamIdMode: 'liberal' } })
      const control = redis.side()
      const pairs: Pair[] = []
      const sides: SocketSide[] = []
      const history: string[] = []
      for (let i = 0; i < clientCount; i++) {
        const realSide = await SocketSide.connect({ path: redis.socketPath() })
        sides.push(realSide)
        const [id] = await realSide.send([['CLIENT', 'ID']])
        const own = world.client(i % 2)
        const ownId = own.call('CLIENT', 'ID').slice(1, -2)
        const real = new RealClient(realSide, control, latin1(id as Uint8Array).slice(1, -2))
        pairs.push({ own, ownId, ownReceived: '', real })
      }
      const ownControl = world.client()
      const compare = async (step: number): Promise<void> => {
        await pairs[0]?.real.settle()
        for (const [i, pair] of pairs.entries()) {
          pair.ownReceived += pair.own.read()
          const text = `step ${step}, client ${i}, after\n${history.slice(-12).join('\n')}`
          expect(pair.ownReceived, text).toBe(pair.real.received)
          pair.ownReceived = ''
          pair.real.received = ''
        }
      }
      let blockedSteps = 0
      for (let step = 0; step < steps; step++) {
        const idle = pairs.filter(({ real }) => real.isIdle)
        const pair = random.pick(idle.length === 0 ? pairs : idle)
        blockedSteps += pairs.length - idle.length
        if (idle.length === 0 || random.chance(0.05)) {
          const reason = random.pick(['TIMEOUT', 'ERROR'])
          history.push(`unblock ${pairs.indexOf(pair)} ${reason}`)
          const own = ownControl.call('CLIENT', 'UNBLOCK', pair.ownId, reason)
          const [real] = await control.send([['CLIENT', 'UNBLOCK', pair.real.id, reason]])
          expect(own).toBe(latin1(real as Uint8Array))
        } else {
          const requests = nextRequests()
          history.push(`${pairs.indexOf(pair)}: ${requests.map((request) => request.join(' ')).join(' | ')}`)
          pair.own.write(requests.map(encode).join(''))
          world.world.settle()
          await pair.real.send(requests)
        }
        await compare(step)
      }
      // Most of the time somebody waited.
      expect(blockedSteps).toBeGreaterThan(steps)
      for (const one of sides) one.close()
    },
    300_000,
  )
})
