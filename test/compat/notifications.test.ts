/**
 * Keyspace events of random requests, here and at a real redis-server: the same names of the same keys in the same order. `STEPS=n`
 * says how many there are, `SEED=n` repeats them.
 */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { commands } from '#protocol/commands/index.ts'
import { runByShard } from '#protocol/commands/table.ts'
import { KeyspaceEventSetting } from '#protocol/pubsub/keyspaceEvents.ts'
import { replyEnd } from '#protocol/resp/replyScanner.ts'
import { concatenate } from '#runtime/bytes/bytes.ts'
import { HandlerDatabase } from '#test/commands/handlerDatabase.ts'
import { BlockingWorld } from '#test/proxy/blockingWorld.ts'
import { encode } from '#test/proxy/proxyWorld.ts'
import { encodeRequest } from '#test/realRedis.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { nextStep } from './generator.ts'
import { HandlerSide } from './handlerSide.ts'
import { isKnownToOracle, redisForTests } from './redisSide.ts'
import { decodeReply, isError, type Reply, show, textsOf } from './reply.ts'
import { nameOf, type Request } from './side.ts'
import type { Step } from './step.ts'
import { Vocabulary } from './vocabulary.ts'

const stepCount = Number(process.env['STEPS'] ?? 20_000)
const allLetters = 'KEAmn'
const setting = KeyspaceEventSetting.parse(allLetters) as KeyspaceEventSetting

const redis = redisForTests('--notify-keyspace-events', allLetters)

/** `channel message`, in order. */
type Told = string[]

/** What redis-server sends to a subscriber. */
class RedisEvents {
  readonly #socket: Socket
  #received: Uint8Array = new Uint8Array(0)
  #told: Told = []
  #onMarker: (() => void) | null = null

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Uint8Array) => this.#take(chunk))
  }

  static async connect(): Promise<RedisEvents> {
    const socket = createConnection({ path: redis.socketPath() })
    await once(socket, 'connect')
    const events = new RedisEvents(socket)
    const subscribed = events.#marked()
    socket.write(encodeRequest(['PSUBSCRIBE', '__key*', 'marker']))
    await subscribed
    return events
  }

  /** Sends the requests; returns the replies, and all that was told since the last time. */
  async of(requests: readonly Request[]): Promise<{ replies: Uint8Array[]; told: Told }> {
    const marked = this.#marked()
    const replies = await redis.side().send([...requests, ['PUBLISH', 'marker', '']])
    await marked
    const told = this.#told
    this.#told = []
    return { replies: replies.slice(0, -1), told }
  }

  close(): void {
    this.#socket.destroy()
  }

  #marked(): Promise<void> {
    return new Promise((resolve) => {
      this.#onMarker = resolve
    })
  }

  #take(chunk: Uint8Array): void {
    const bytes = concatenate([this.#received, chunk])
    let at = 0
    for (let end = replyEnd(bytes, 0, bytes.length); end > 0; end = replyEnd(bytes, at, bytes.length)) {
      const [kind, pattern, channel = '', message = ''] = textsOf(decodeReply(bytes.slice(at, end)))
      if (kind === 'pmessage' && channel !== 'marker') this.#told.push(`${channel} ${message}`)
      at = end
      // A message, or that the subscription counts.
      if (pattern === 'marker') this.#onMarker?.()
    }
    this.#received = bytes.slice(at)
  }
}

class OwnEvents {
  readonly side: HandlerSide
  #told: Told = []

  constructor(seed: number) {
    const database = new HandlerDatabase({ random: new SeededRandom(seed), patchedBytesMin: 0 })
    const { events } = database.keyspace
    events.classes = setting.classes
    events.onEvent = (event) => {
      for (const { channel, message } of setting.messages(event)) this.#told.push(`${channel} ${message}`)
    }
    this.side = new HandlerSide(database)
  }

  sinceLast(): Told {
    const told = this.#told
    this.#told = []
    return told
  }
}

const isOf = (event: string, told: string): boolean =>
  told.startsWith(`__keyevent@0__:${event} `) || (told.startsWith('__keyspace') && told.endsWith(` ${event}`))

/** What has no order, or elements of equal weight: which of them are looked up in patterns, and when, is open. */
const isUnordered = ({ requests }: Step): boolean =>
  requests.some((request) => /^sort/i.test(request[0] ?? ''))

/**
 * When a key that has expired is deleted is each server's own business. Of what both refuse Redis may have looked for the key before it
 * found another fault.
 */
function comparable(step: Step, told: Told, isRefused: boolean): Told {
  const withoutMisses = isRefused || isUnordered(step)
  return told.filter((one) => !isOf('expired', one) && !(withoutMisses && isOf('keymiss', one)))
}

/**
 * The names of Redis 7.0 for what can be done with the commands that there are here. `expired` and `evicted` have tests of their own,
 * and so have the names that came later (`test/shard/notifications.test.ts`).
 */
const eventNames = [
  ...['append', 'incrby', 'incrbyfloat', 'set', 'setbit', 'setrange', 'pfadd'],
  ...['del', 'expire', 'persist', 'rename_from', 'rename_to', 'copy_to', 'restore', 'new', 'keymiss'],
  ...['lpush', 'rpush', 'lpop', 'rpop', 'linsert', 'lset', 'lrem', 'ltrim', 'sortstore'],
  ...['sadd', 'srem', 'spop', 'sinterstore', 'sunionstore', 'sdiffstore'],
  ...['hset', 'hdel', 'hincrby', 'hincrbyfloat'],
  ...['zadd', 'zincr', 'zrem', 'zremrangebyscore', 'zremrangebyrank', 'zremrangebylex', 'zpopmin', 'zpopmax'],
  ...['zunionstore', 'zinterstore', 'zdiffstore', 'zrangestore', 'georadiusstore', 'geosearchstore'],
  ...['xadd', 'xdel', 'xtrim', 'xsetid', 'xgroup-create', 'xgroup-createconsumer', 'xgroup-delconsumer'],
  ...['xgroup-destroy', 'xgroup-setid'],
]

/** Of these no event tells, or only one of something that they do besides: Redis has none. */
const untoldWrites = ['FLUSHALL', 'FLUSHDB', 'PFDEBUG', 'XACK', 'XAUTOCLAIM', 'XCLAIM', 'XREADGROUP']

const writes = [...commands.values()]
  .flatMap((spec) => (spec.isContainer ? spec.subcommands : [spec]))
  .filter((spec) => runByShard(spec.request) && spec.isWrite && isKnownToOracle(spec))
  .map((spec) => spec.name)
  .filter((name) => !untoldWrites.includes(name))

/** From so many steps on, chance brings nearly everything, and the rest is sought in as many more. */
const everythingMet = 20_000
/** Of steps whose replies differ with reason: what was done differs then, too. */
const excusedShareMax = 0.01

describe('keyspace events', () => {
  const seed = seedFromEnv()
  const own = new OwnEvents(seed)
  /** Commands that were told of, and by which names. */
  const told = new Set<string>()
  const names = new Set<string>()
  let excused = 0
  let theirs: RedisEvents | undefined

  afterAll(() => theirs?.close())

  async function compare(step: Step, redisEvents: RedisEvents): Promise<void> {
    const { replies: redisReplies, told: redisTold } = await redisEvents.of(step.requests)
    const ownReplies: Uint8Array[] = []
    const ownTold: Told = []
    for (const request of step.requests) {
      ownReplies.push(...(await own.side.send([request])))
      const one = own.sinceLast()
      if (one.some((text) => !text.includes(':keymiss '))) told.add(nameOf(request))
      ownTold.push(...one)
    }
    // Replies are the business of another test, but what is settled depends on the judgement.
    step.judge(ownReplies, redisReplies)
    const [ownDecoded, redisDecoded] = [ownReplies.map(decodeReply), redisReplies.map(decodeReply)]
    const isRefused = ownDecoded.some(isError)
    const [mine = [], redisOnes = []] = [ownTold, redisTold].map((each) => comparable(step, each, isRefused))
    if (mine.join() !== redisOnes.join() && differWithReason(step, ownDecoded, redisDecoded)) excused++
    else expect(mine, JSON.stringify(step.requests)).toEqual(redisOnes)
    for (const one of ownTold) names.add(/^__keyevent@0__:([^ ]+) /.exec(one)?.[1] ?? 'keymiss')
    if (step.settle === undefined) return
    await step.settle({ own: own.side, redis: redis.side() }, ownDecoded, redisDecoded)
    await redisEvents.of([])
    own.sinceLast()
  }

  it(`are the same in ${stepCount} random steps, of every command that writes and by every name`, async () => {
    theirs = await RedisEvents.connect()
    const vocabulary = new Vocabulary(seed, Date.now())
    const step = (favoured: string): Step => nextStep(vocabulary, { session: false, sharded: true, favoured })
    for (let i = 0; i < stepCount; i++) await compare(step(writes[i % writes.length] as string), theirs)
    expect(excused).toBeLessThan(stepCount * excusedShareMax)
    if (stepCount < everythingMet) return
    const untold = (): string[] => writes.filter((name) => !told.has(name))
    const isAllMet = (): boolean => untold().length === 0 && eventNames.every((name) => names.has(name))
    for (let i = 0; i < everythingMet && !isAllMet(); i++)
      await compare(step(untold()[0] ?? (writes[i % writes.length] as string)), theirs)
    expect(untold()).toEqual([])
    expect([...names].filter((name) => name !== 'expired').sort()).toEqual([...eventNames].sort())
  }, 300_000)
})

describe('the setting', () => {
  it.each([
    '',
    'KEA',
    'KEAm',
    'mKE',
    'nKE',
    'g$lshzxetd',
    'g$lshzxet',
    'KEg',
    'KKEEgg',
    'Ex',
    'EgK$n',
    'A',
    'KE',
  ])('%j is told in the same letters', async (given) => {
    await redis.ask('CONFIG', 'SET', 'notify-keyspace-events', given)
    const [, letters] = textsOf(await redis.ask('CONFIG', 'GET', 'notify-keyspace-events'))
    await redis.ask('CONFIG', 'SET', 'notify-keyspace-events', allLetters)
    expect(KeyspaceEventSetting.parse(given)?.letters).toBe(letters)
  })

  it('keeps `n` beside `A`, which Redis takes and does not tell, and has a letter more', () => {
    expect(KeyspaceEventSetting.parse('nEALK')?.letters).toBe('AnKEL')
    expect(KeyspaceEventSetting.parse('KEq')).toBeUndefined()
  })
})

describe('subscribers', () => {
  const lines = [
    ...[
      'SET {t}k v EX 100',
      'APPEND {t}k x',
      'GET {t}none',
      'RENAME {t}k {t}l',
      'LPUSH {t}list a b',
      'LPOP {t}list 2',
    ],
    ...[
      'MSET {t}a 1 {t}b 2',
      'DEL {t}a {t}b {t}c',
      'EVAL return(redis.call("incr",KEYS[1])) 1 {t}n',
      'FLUSHALL',
    ],
  ]

  it.each(['2', '3'])('are sent the same bytes in RESP%s', async (version) => {
    await redis.ask('FLUSHALL')
    const database = { notifyKeyspaceEvents: allLetters, persistence: 'none' } as const
    const world = new BlockingWorld({ shardCount: 2 }, { database })
    const [mine, writer] = [world.client(0), world.client(1)]
    const socket = createConnection({ path: redis.socketPath() })
    await once(socket, 'connect')
    let real = ''
    socket.on('data', (chunk: Buffer) => {
      real += chunk.toString('latin1')
    })
    const subscribing = [
      ['PSUBSCRIBE', '__key*'],
      ['SUBSCRIBE', '__keyevent@0__:set', 'done'],
    ]
    const greeting = ['HELLO', version]
    for (const request of [greeting, ...subscribing]) {
      mine.write(encode(request))
      world.world.settle()
      const before = real.length
      socket.write(encodeRequest(request))
      while (real.length === before) await new Promise((resolve) => setImmediate(resolve))
    }
    mine.read()
    while (!real.includes('$4\r\ndone')) await new Promise((resolve) => setImmediate(resolve))
    real = ''
    for (const line of [...lines, 'PUBLISH done now']) {
      writer.call(...line.split(' '))
      await redis.ask(...line.split(' '))
    }
    while (!real.endsWith('$3\r\nnow\r\n')) await new Promise((resolve) => setImmediate(resolve))
    socket.destroy()
    expect(real.length).toBeGreaterThan(2_000)
    expect(mine.read()).toBe(real)
  })
})

/** A number that only one of them takes, a range by names among unequal scores, some of a set without an order. */
function differWithReason(step: Step, own: readonly Reply[], redis: readonly Reply[]): boolean {
  return own.some((reply, i) => {
    const other = redis[i] as Reply
    const mayDiffer = isError(reply) !== isError(other) || reply.mark === ':' || isUnordered(step)
    return mayDiffer && show(reply) !== show(other)
  })
}
