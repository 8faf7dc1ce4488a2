/**
 * Several clients that track keys and change them, at Antipode and at redis-server: the same random commands by the same
 * clients, in RESP2 and RESP3, with redirections and without. Each is sent the same replies and invalidations, in the same order.
 * `STEPS=n` says how many, `SEED=n` repeats a run.
 *
 * Left out is what 7.0 does otherwise than later ones: it tracks the keys that scripts declare, not those that they read.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import { replyEnd } from '#protocol/resp/replyScanner.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { BlockingWorld } from '#test/proxy/blockingWorld.ts'
import { encode, type TestClient } from '#test/proxy/proxyWorld.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { RealClient } from './realClient.ts'
import { redisForTests } from './redisSide.ts'
import { decodeReply, isAggregate, type Reply, show } from './reply.ts'
import type { Request } from './side.ts'
import { TrackingRequests } from './trackingRequests.ts'

const steps = Number(process.env['STEPS'] ?? 1500)
const clientCount = 6
const redis = redisForTests()

interface Pair {
  own: TestClient
  real: RealClient
  /** At each side. */
  ids: readonly [own: number, real: number]
  isQueueing: boolean
  /** Members of a set are among what it has queued. */
  queuesSet: boolean
  /** In RESP2, where it may ask little. */
  subscribes: boolean
}

interface Answered {
  asked: string
  /** Members of a set are among the replies. */
  hasSets: boolean
}

const isInvalidation = (reply: Reply): boolean =>
  reply.items[0]?.text === 'invalidate' || reply.items[1]?.text === '__redis__:invalidate'
const isNullInvalidation = (reply: Reply): boolean =>
  isInvalidation(reply) && reply.items.at(-1)?.isNull === true

/** Members of sets come in any order, and RESP2 doesn't tell them from lists: all that could be some are sorted. */
function sorted(reply: Reply): Reply {
  const { items } = reply
  if (items.some(isAggregate)) return { ...reply, items: items.map(sorted) }
  return { ...reply, items: items.toSorted((a, b) => (show(a) < show(b) ? -1 : 1)) }
}

/** Ids are those of each server: they become places in the list of clients. */
function shown(received: string, ids: readonly number[], { asked, hasSets }: Answered): string[] {
  const bytes = bytesOf(received)
  const replies: string[] = []
  const isOfClient = ({ mark, items }: Reply): boolean =>
    (mark === ':' && asked.includes('GETREDIR')) ||
    ['tracking-redir-broken', 'flags'].includes(items[0]?.text ?? '')
  for (let at = 0; at < bytes.length; ) {
    const end = replyEnd(bytes, at, bytes.length)
    if (end === 0) throw new Error('half a reply')
    const reply = decodeReply(bytes.slice(at, end))
    at = end
    // Server facts of HELLO are those of each server.
    if (reply.items[0]?.text === 'server') continue
    let text = show(hasSets && !isInvalidation(reply) ? sorted(reply) : reply)
    if (isOfClient(reply))
      text = text.replace(/:"(\d+)"/g, (whole, id) =>
        ids.includes(Number(id)) ? `:"#${ids.indexOf(Number(id))}"` : whole,
      )
    // Redis writes it as the protocol of who is told by another has it.
    if (isNullInvalidation(reply)) text = text.replace('$null', '_null')
    // One for all shards.
    const concernsAll = isNullInvalidation(reply) || text.includes('redir-broken')
    if (concernsAll && replies.at(-1) === text) continue
    replies.push(text)
  }
  return replies
}

/** What INFO says of it. */
const figures = (info: string): string[] =>
  info.match(/tracking_(?:clients|total_keys|total_items|total_prefixes):\d+/g) ?? []

const isBroken = (reply: string): boolean => reply.includes('redir-broken')

/** That the one who was to be told is gone may be known at another worker: it is told when that has answered, behind what came meanwhile. */
function brokenLast(replies: readonly string[]): string[] {
  return [...replies.filter((reply) => !isBroken(reply)), ...replies.filter(isBroken)]
}

/**
 * Replies, and behind them invalidations by their text: what others redirect comes over their workers, and has no order with what the
 * client is told of its own keys.
 */
function apart(replies: readonly string[]): string[] {
  const isMessage = (reply: string): boolean => reply.includes('invalidate"') || isBroken(reply)
  const concernsAll = (reply: string): boolean => reply.includes('_null') || isBroken(reply)
  return [
    ...replies.filter((reply) => !isMessage(reply)),
    // One for all shards, as `shown` has it of those that come together.
    ...replies
      .filter(isMessage)
      .sort()
      .filter((reply, i, all) => !concernsAll(reply) || reply !== all[i - 1]),
  ]
}

async function compare(shardCount: number): Promise<number> {
  const random = new SeededRandom(seedFromEnv())
  const world = new BlockingWorld({
    shardCount,
    limits: { subscriberOutputBytesMax: 1 << 30, clientsMax: 100_000 },
  })
  const control = redis.side()
  const observer = world.client()
  await control.send([['FLUSHALL']])
  const requests = new TrackingRequests(random, '{t}')
  const allIds: [number[], number[]] = [[], []]
  const connect = async (place: number): Promise<Pair> => {
    const own = world.client(place % 2)
    const real = await RealClient.connect(redis.socketPath())
    const [ownId] = own.call('CLIENT', 'ID').match(/\d+/) ?? []
    await real.send([['CLIENT', 'ID']], control)
    const [realId] = real.received.match(/\d+/) ?? []
    real.received = ''
    allIds[0].push(Number(ownId))
    allIds[1].push(Number(realId))
    return {
      own,
      real,
      ids: [Number(ownId), Number(realId)],
      isQueueing: false,
      queuesSet: false,
      subscribes: false,
    }
  }
  const pairs: Pair[] = []
  // Those of a test that failed would be counted in the next.
  onTestFinished(async () => {
    for (const { real } of pairs) await real.close(control)
  })
  for (let i = 0; i < clientCount; i++) pairs.push(await connect(i))
  const history: string[] = []
  const gone: number[] = []
  let invalidations = 0

  // Those that others are told by are told in the middle of their own commands by Redis, and behind them here.
  const targets = () => [4, 5].map((place) => pairs[place]?.ids[0] ?? 0)
  const next = (pair: Pair): Request[] => {
    const isFirst = pair === pairs[0]
    const isTarget = pairs.indexOf(pair) >= 4
    if (pair.subscribes) return [random.pick([['RESET'], ['PING'], ['UNSUBSCRIBE']])]
    if (pair.isQueueing)
      return [random.pick([requests.read(), requests.write(), ['EXEC'], ['EXEC'], ['DISCARD']])]
    const chance = random.below(1000) / 1000
    if (chance < 0.12) return [['HELLO', '3'], requests.tracking([...targets(), ...gone], !isFirst)]
    if (chance < 0.14) return [['CLIENT', 'TRACKINGINFO']]
    if (chance < 0.18) return [requests.tracking([...targets(), ...gone], !isFirst)]
    if (chance < 0.45) return [requests.read()]
    if (chance < 0.75) return [requests.write()]
    if (chance < 0.85)
      return Array.from({ length: 4 }, () => random.pick([requests.read(), requests.write()]))
    // Within the reply of an EXEC Redis tells them, too, and that is no reply any more.
    if (chance < 0.88) return [isTarget ? ['PING'] : ['MULTI']]
    if (chance < 0.89) return [isFirst ? requests.scriptedWrite() : requests.mistake()]
    if (chance < 0.92) return [['HELLO', random.pick(['2', '3', '3'])]]
    if (chance < 0.94) return [['SUBSCRIBE', '__redis__:invalidate']]
    if (chance < 0.96) return [[random.pick(['FLUSHALL', 'FLUSHDB'])]]
    if (chance < 0.97) return [['RESET']]
    return [['CLIENT', 'CACHING', random.pick(['YES', 'NO'])], requests.read(), requests.read()]
  }
  /** As the other side knows its clients. */
  const atReal = (request: Request): Request =>
    request.map((word, i) => {
      const place = request[i - 1] === 'REDIRECT' ? allIds[0].indexOf(Number(word)) : -1
      return place < 0 ? word : String(allIds[1][place])
    })
  const check = (step: number, hasSets: boolean): void => {
    const answered = { asked: history.at(-1) ?? '', hasSets }
    for (const [i, { own, real }] of pairs.entries()) {
      const compared = (replies: string[]) => (i < 4 ? brokenLast(replies) : apart(replies))
      const replies = shown(own.read(), allIds[0], answered)
      expect(compared(replies), `step ${step}, client ${i}, after\n${history.slice(-25).join('\n')}`).toEqual(
        compared(shown(real.received, allIds[1], answered)),
      )
      invalidations += replies.filter((reply) => reply.includes('invalidate')).length
      real.received = ''
    }
  }
  for (let step = 0; step < steps; step++) {
    if (random.chance(0.01)) {
      const place = random.below(clientCount)
      const pair = pairs[place] as Pair
      history.push(`${place}: closes`)
      if (place >= 4) gone.push(pair.ids[0])
      pair.own.connection.close()
      world.world.settle()
      await pair.real.close(control)
      check(step, false)
      pairs[place] = await connect(place)
    }
    const place = random.below(clientCount)
    const pair = pairs[place] as Pair
    const asked = next(pair)
    const hasSets = asked.some(([name]) => name === 'SINTER' || (name === 'EXEC' && pair.queuesSet))
    for (const [name] of asked) {
      if (name === 'MULTI') pair.isQueueing = true
      if (name === 'EXEC' || name === 'DISCARD' || name === 'RESET') pair.isQueueing = false
      pair.queuesSet = pair.isQueueing && (pair.queuesSet || name === 'SINTER')
      if (name === 'SUBSCRIBE') pair.subscribes = true
      if (name === 'UNSUBSCRIBE' || name === 'RESET') pair.subscribes = false
    }
    history.push(`${place}: ${asked.map((request) => request.join(' ').slice(0, 80)).join(' | ')}`)
    pair.own.write(asked.map(encode).join(''))
    world.world.settle()
    await pair.real.send(asked.map(atReal), control)
    check(step, hasSets)
    if (step % 20 === 0) {
      const own = figures(observer.call('INFO'))
      expect(own).toHaveLength(4)
      expect(own, history.at(-1)).toEqual(
        figures(decodeReply((await control.send([['INFO']]))[0] as Uint8Array).text),
      )
    }
  }
  return invalidations
}

describe('clients that track keys, at Antipode and at redis-server', () => {
  it(`are told the same by one shard in ${steps} steps`, async () => {
    expect(await compare(1)).toBeGreaterThan(steps / 10)
  }, 240_000)

  it('are told the same by three shards', async () => {
    expect(await compare(3)).toBeGreaterThan(steps / 10)
  }, 240_000)
})
