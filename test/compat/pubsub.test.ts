/**
 * Several clients that subscribe and publish, at Antipode (two workers, three shards) and at redis-server: the same random commands by
 * the same clients. Each is sent the same, in the same order. `STEPS=n` says how many, `SEED=n` repeats a run.
 */
import { describe, expect, it } from 'vitest'
import { replyEnd } from '#protocol/resp/replyScanner.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { BlockingWorld } from '#test/proxy/blockingWorld.ts'
import { encode, type TestClient } from '#test/proxy/proxyWorld.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { RealClient } from './realClient.ts'
import { redisForTests } from './redisSide.ts'
import { decodeReply, show } from './reply.ts'
import type { Request } from './side.ts'

const steps = Number(process.env['STEPS'] ?? 3000)
const clientCount = 5
const redis = redisForTests()

const random = new SeededRandom(seedFromEnv())
const channel = (): string => random.pick(['news', 'news.de', 'a\x00\xff\r\n', '', 'x'.repeat(30)])
const pattern = (): string => random.pick(['news*', '*', 'n[e-f]ws', 'nothing', '?'])
const some = (pick: () => string): string[] => Array.from({ length: 1 + random.below(3) }, pick)
const message = (): string => random.pick(['', 'hello', '\r\n', '\xff\x00', 'long'.repeat(50)])

const publication = (): Request => [random.pick(['PUBLISH', 'PUBLISH', 'SPUBLISH']), channel(), message()]

function nextRequest(): Request {
  const requests: (() => Request)[] = [
    () => ['SUBSCRIBE', ...some(channel)],
    () => ['PSUBSCRIBE', ...some(pattern)],
    () => ['SSUBSCRIBE', ...some(channel)],
    () => ['UNSUBSCRIBE', ...some(channel)],
    () => ['PUNSUBSCRIBE', ...some(pattern)],
    () => ['SUNSUBSCRIBE', ...some(channel)],
    () => [random.pick(['UNSUBSCRIBE', 'PUNSUBSCRIBE', 'SUNSUBSCRIBE'])],
    publication,
    () => ['PUBSUB', 'NUMSUB', ...some(channel)],
    () => ['PUBSUB', 'SHARDNUMSUB', ...some(channel)],
    () => ['PUBSUB', random.pick(['NUMPAT', 'NUMSUB', 'SHARDNUMSUB'])],
    () => ['PUBSUB', random.pick(['CHANNELS', 'SHARDCHANNELS']), pattern()],
    () => ['PUBSUB', random.pick(['CHANNELS', 'SHARDCHANNELS'])],
    () => ['PING'],
    () => ['PING', 'there'],
    () => ['SET', 'k', 'v'],
    () => ['GET', 'k'],
    () => ['MULTI'],
    () => ['EXEC'],
    () => ['CLIENT', 'REPLY', 'ON'],
    () => ['PUBSUB', 'HELP'],
    () => ['PUBSUB', 'NOTHING'],
    () => ['SUBSCRIBE'],
    () => ['PUBLISH', 'news'],
  ]
  if (random.chance(0.03)) return random.pick([['RESET'], ['HELLO', '3'], ['HELLO', '2']])
  return random.pick(requests)()
}

/** What has come, as a list; in any order where redis-server follows its hash tables. */
function shown(received: string): string[] {
  const bytes = bytesOf(received)
  const replies: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = replyEnd(bytes, at, bytes.length)
    if (end === 0) throw new Error('half a reply')
    const reply = decodeReply(bytes.slice(at, end))
    at = end
    // Server facts of HELLO are those of each server.
    if ((reply.mark === '%' || reply.mark === '*') && reply.items[0]?.text === 'server') continue
    const names = reply.items.map(show)
    const isList = reply.mark === '*' && !['message', 'pmessage'].includes(reply.items[0]?.text ?? '')
    replies.push(isList && names.every((name) => name.startsWith('$')) ? names.sort().join(' ') : show(reply))
  }
  return replies
}

/** Messages by patterns, and the ends of all subscriptions at once, come in any order; counts fall all the same. */
function unordered(replies: string[]): string[] {
  const isAny = (reply: string): boolean => /^[*>]\[\$"(pmessage|[ps]?unsubscribe)"/.test(reply)
  const any = replies.filter(isAny).map((reply) => reply.replace(/ :"\d+"\]$/, ']'))
  return [...any.sort(), ...replies.filter((reply) => !isAny(reply))]
}

describe('subscribers, at Antipode and at redis-server', () => {
  it(`are sent the same in ${steps} steps`, async () => {
    const world = new BlockingWorld({ shardCount: 3, limits: { subscriberOutputBytesMax: 1 << 30 } })
    const control = redis.side()
    const pairs: { own: TestClient; real: RealClient; isQueueing: boolean }[] = []
    for (let i = 0; i < clientCount; i++) {
      const real = await RealClient.connect(redis.socketPath())
      pairs.push({ own: world.client(i % 2), real, isQueueing: false })
    }
    const history: string[] = []
    let messages = 0
    for (let step = 0; step < steps; step++) {
      // The first only publishes: the others, once they have subscribed, mostly can't.
      const [publisher] = pairs
      const isPublished = random.chance(0.4)
      const pair = isPublished && publisher !== undefined ? publisher : random.pick(pairs.slice(1))
      let request = isPublished ? publication() : nextRequest()
      // What redis-server 7.0 sends within the reply of an EXEC is no reply: later ones send it behind.
      if (pair.isQueueing && !['GET', 'SET', 'PING', 'EXEC'].includes(request[0] ?? '')) request = ['EXEC']
      pair.isQueueing = request[0] === 'MULTI' || (pair.isQueueing && request[0] !== 'EXEC')
      history.push(`${pairs.indexOf(pair)}: ${request.join(' ').slice(0, 60)}`)
      pair.own.write(encode(request))
      world.world.settle()
      await pair.real.send([request], control)
      for (const [i, { own, real }] of pairs.entries()) {
        const replies = unordered(shown(own.read()))
        expect(replies, `step ${step}, client ${i}, after\n${history.slice(-12).join('\n')}`).toEqual(
          unordered(shown(real.received)),
        )
        messages += replies.filter((reply) => /^[*>]\[\$"[ps]?message"/.test(reply)).length
        real.received = ''
      }
    }
    expect(messages).toBeGreaterThan(steps / 2)
    for (const { real } of pairs) await real.close(control)
  }, 120_000)
})
