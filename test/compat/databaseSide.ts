/** A whole database of one cluster as a side: a proxy and its shards, in memory but for the clock. */
import type { ProxyConfig } from '#config/process.ts'
import { replyEnd } from '#protocol/resp/replyScanner.ts'
import { evenRanges } from '#protocol/slots/slotMap.ts'
import { DatabaseProxy } from '#proxy/proxy.ts'
import { concatenate } from '#runtime/bytes/bytes.ts'
import { Keyspace, type KeyspaceOptions } from '#server/store/keyspace.ts'
import { MemoryConnection, MemoryNet } from '#test/memoryConnection.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { usualLimits } from '#test/plainClients.ts'
import { countedDigits, FakeKeeper } from '#test/proxy/fakeKeeper.ts'
import { configOf } from '#test/proxy/proxyWorld.ts'
import { encodeRequest } from '#test/realRedis.ts'
import { SeededRandom } from '#test/seed.ts'
import { TestShard } from '#test/shard/testShard.ts'
import { RecordingLogger } from '#test/silentLogger.ts'
import type { Request, Side } from './side.ts'

const limits: ProxyConfig['limits'] = {
  ...usualLimits,
  clientsMax: 10,
  requestBytesMax: 64 * 1024 * 1024,
  pipelineMax: 10_000,
  outputPauseBytes: 64 * 1024 * 1024,
  outputBytesMax: 256 * 1024 * 1024,
  subscriberOutputBytesMax: 256 * 1024 * 1024,
  monitorOutputBytesMax: 32 * 1024 * 1024,
  shardPendingMax: 100_000,
  transactionCommandsMax: 1000,
}

/** What is done in slices takes a few timers. */
const advancesMax = 10_000

export class DatabaseSide implements Side {
  readonly #world = new MemoryWorld()
  readonly #client: MemoryConnection
  #received: Uint8Array[] = []

  /** No shards: there is one, in a database without sharding. */
  constructor(shards: number, seed: number, changed: Pick<KeyspaceOptions, 'patchedBytesMin'> = {}) {
    const world = this.#world
    this.#setClock()
    const sharding = shards > 0
    const shardCount = Math.max(1, shards)
    const own = evenRanges(shardCount).map(
      (range, index) =>
        new TestShard({
          world,
          index,
          ranges: [range],
          database: { persistence: 'none', streamIdMode: 'liberal', sharding, shardCount },
          variations: {
            newKeyspace: (options) => new Keyspace({ ...options, ...changed }),
            // It is set by hand.
            newClock: (clock) => clock,
          },
        }),
    )
    const config = { ...configOf({ shardCount, database: { sharding } }), limits }
    const keeper = new FakeKeeper(
      (run) => world.post(run),
      (kept) => {
        for (const { shard, options } of own) shard.configure({ ...options, libraries: kept.libraries })
        proxy.reconfigure({ ...config, ...kept })
      },
    )
    const proxy: DatabaseProxy = new DatabaseProxy(config, {
      clock: world,
      timers: world,
      random: new SeededRandom(seed),
      net: new MemoryNet(world, (target) => (far) => {
        const path = target.kind === 'unix' ? target.path : ''
        own.find((_, index) => path === `/shard/${index}`)?.shard.accept(far)
      }),
      logger: new RecordingLogger(),
      process: () => ({ processId: 1, residentBytes: 1, cpuUserMs: 1, cpuSystemMs: 1 }),
      askKeeper: (question, answered) => keeper.ask(question, answered),
      secretDigits: countedDigits,
    })
    world.settle()
    const [near, far] = MemoryConnection.pair(world)
    this.#client = far
    far.handler = {
      onData: (chunk) => {
        this.#received.push(chunk.slice())
      },
      onDrain() {},
      onClose() {
        throw new Error('the proxy closed the connection')
      },
    }
    proxy.accept(near, { remoteAddress: '127.0.0.1:50000', localAddress: '127.0.0.1:12000', tls: null })
    world.settle()
  }

  async send(requests: readonly Request[]): Promise<Uint8Array[]> {
    this.#setClock()
    this.#received = []
    this.#client.write(concatenate(requests.map(encodeRequest)))
    this.#world.settle()
    for (let advances = 0; advances < advancesMax; advances++) {
      const replies = this.#replies()
      if (replies.length === requests.length) return replies
      this.#world.advance(1)
      this.#setClock()
    }
    throw new Error(`no reply to ${JSON.stringify(requests)}`)
  }

  /** That of the other side: timers have run ahead when replies were waited for. */
  #setClock(): void {
    this.#world.wallOffsetMs = Date.now() - this.#world.monotonicMs()
  }

  #replies(): Uint8Array[] {
    const bytes = concatenate(this.#received)
    const replies: Uint8Array[] = []
    for (let at = 0; at < bytes.length; ) {
      const end = replyEnd(bytes, at, bytes.length)
      if (end === 0) break
      replies.push(bytes.slice(at, end))
      at = end
    }
    return replies
  }
}
