/**
 * The law of client-side caching: a client that keeps what replies have told it and drops what it is told has changed, in the order
 * in which both come, never holds at rest what the database doesn't. Random commands of several clients of two workers and two
 * shards, with another cluster that writes, TTLs, links that stall, shards that are killed. `SEED=n` repeats a run, `STEPS=n` says how long.
 *
 * Mutations that must be found: see the last test.
 */
import { describe, expect, it } from 'vitest'
import { replyEnd } from '#protocol/resp/replyScanner.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { decodeReply, type Reply, show } from '#test/compat/reply.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { BlockingWorld } from './blockingWorld.ts'
import { linked } from './linkedWorld.ts'
import { encode, type TestClient } from './proxyWorld.ts'

const steps = Number(process.env['STEPS'] ?? 600)
const keys = Array.from({ length: 12 }, (_, i) => `k${i}`)

/** A client library's cache, and no more. */
class CachingClient {
  readonly cache = new Map<string, string>()
  invalidations = 0
  readonly #client: TestClient
  /** What its replies are to. */
  readonly #asked: string[][] = []
  #received = ''
  readonly #isDeaf: (count: number) => boolean

  constructor(client: TestClient, options: readonly string[], isDeaf: (count: number) => boolean) {
    this.#client = client
    this.#isDeaf = isDeaf
    this.send(['HELLO', '3'], ['CLIENT', 'TRACKING', 'ON', ...options])
  }

  send(...requests: string[][]): void {
    this.#asked.push(...requests)
    this.#client.write(requests.map(encode).join(''))
  }

  /** Takes what has come. */
  take(): void {
    this.#received += this.#client.read()
    const bytes = bytesOf(this.#received)
    let at = 0
    for (let end = replyEnd(bytes, at, bytes.length); end > 0; end = replyEnd(bytes, at, bytes.length)) {
      this.#takeReply(decodeReply(bytes.slice(at, end)))
      at = end
    }
    this.#received = this.#received.slice(at)
  }

  get isAnswered(): boolean {
    return this.#asked.length === 0
  }

  #takeReply(reply: Reply): void {
    if (reply.mark === '>') {
      const [, changed] = reply.items
      if (this.#isDeaf(++this.invalidations)) return
      if (changed?.isNull) this.cache.clear()
      else for (const { text } of changed?.items ?? []) this.cache.delete(text)
      return
    }
    const [name, ...args] = this.#asked.shift() ?? []
    if (reply.mark === '-') return
    if (name === 'GET') this.cache.set(args[0] as string, show(reply))
    if (name === 'MGET')
      for (const [i, item] of reply.items.entries()) this.cache.set(args[i] as string, show(item))
    if (name === 'EVAL') this.cache.set(args[2] as string, show(reply))
    // With NOLOOP it is not told of what it writes itself.
    if (name === 'SET') this.cache.delete(args[0] as string)
  }
}

interface World {
  world: BlockingWorld
  /** Something that happens beside the clients. */
  disturb(random: SeededRandom): void
  /** Lets everything arrive. */
  rest(): void
}

const script = "return redis.call('get', KEYS[1])"

/** Returns how much was told; throws at the first key that is held and is not so. */
function run(
  { world, disturb, rest }: World,
  random: SeededRandom,
  isDeaf: (count: number) => boolean = () => false,
): number {
  const clients = [[], [], ['NOLOOP'], ['BCAST'], ['BCAST', 'NOLOOP'], ['OPTOUT']].map(
    (options, i) => new CachingClient(world.client(i % 2), options, isDeaf),
  )
  const writers = [world.client(0), world.client(1)]
  const reader = world.client(0)
  const key = (): string => random.pick(keys)
  const reads = (): string[] =>
    random.pick([
      () => ['GET', key()],
      () => ['GET', key()],
      () => ['MGET', key(), key(), key()],
      () => ['EVAL', script, '1', key()],
    ])()
  let value = 0
  const write = (): string[] =>
    random.pick([
      () => ['SET', key(), String(++value)],
      () => ['SET', key(), String(++value)],
      () => ['SET', key(), String(++value), 'PX', '80'],
      () => ['DEL', key()],
      () => (random.chance(0.1) ? ['FLUSHALL'] : ['APPEND', key(), 'x']),
    ])()
  for (let step = 0; step < steps; step++) {
    const chance = random.below(100)
    if (chance < 50) random.pick(clients).send(...Array.from({ length: 1 + random.below(4) }, reads))
    else if (chance < 60) random.pick(clients).send(['SET', key(), String(++value)], reads())
    else if (chance < 85) random.pick(writers).write(encode(write()))
    else if (chance < 90) world.world.settle()
    else if (chance < 95) world.world.advance(random.below(60))
    else disturb(random)
    if (step % 50 !== 49) continue
    rest()
    for (const client of clients) {
      client.take()
      expect(client.isAnswered).toBe(true)
    }
    for (const [i, client] of clients.entries()) {
      for (const [name, held] of client.cache) {
        const present = show(decodeReply(bytesOf(reader.call('GET', name))))
        // Null has two forms.
        expect(held.replace(/^[_$]null/, 'null'), `step ${step}, client ${i}, ${name}`).toBe(
          present.replace(/^[_$]null/, 'null'),
        )
      }
    }
  }
  return clients.reduce((sum, { invalidations }) => sum + invalidations, 0)
}

/** Two clusters; what goes between them is carried now and then. */
function twoClusters(): World {
  const { world, peers, carry } = linked(2)
  let count = 0
  return {
    world,
    disturb(random) {
      if (random.chance(0.5)) carry(random.below(50))
      // Those of keys that are not theirs come to nothing.
      else for (const peer of peers) peer.proxy.send('SET', random.pick(keys), `theirs ${++count}`)
    },
    rest: () => carry(3000),
  }
}

/** Shards that stall and are killed. */
function stallingShards(): World {
  const world = new BlockingWorld({ shardCount: 2 })
  return {
    world,
    disturb(random) {
      const link = random.pick(world.links)
      if (random.chance(0.1)) world.restart(random.below(2))
      else if (random.chance(0.2)) link.destroy()
      else if (link.paused) link.resume()
      else link.pause()
    },
    rest() {
      for (const link of world.links) link.resume()
      world.world.advance(3000)
    },
  }
}

describe('a cache that is fed by replies and invalidations', () => {
  it.each([
    ['two clusters write', twoClusters],
    ['shards stall and are killed', stallingShards],
  ])(
    'holds nothing that the database does not, while %s',
    (_, newWorld) => {
      const random = new SeededRandom(seedFromEnv())
      for (let round = 0; round < 3; round++) expect(run(newWorld(), random)).toBeGreaterThan(steps / 10)
    },
    120_000,
  )

  it('does, once it misses one of them', () => {
    const random = new SeededRandom(7)
    const missed = () => run(twoClusters(), random, (count) => count % 5 === 0)
    expect(missed).toThrow(/step \d+, client \d/)
  }, 60_000)
})
