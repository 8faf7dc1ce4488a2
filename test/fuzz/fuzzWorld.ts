/** A whole database in this process, hostile clients and a judge; all that happens follows from the seed. */
import type { ClientLimits, ProxyConfig } from '#config/process.ts'
import { evenRanges } from '#protocol/slots/slotMap.ts'
import { DatabaseProxy } from '#proxy/proxy.ts'
import { bytesOf, concatenate, latin1 } from '#runtime/bytes/bytes.ts'
import type { Connection } from '#runtime/ports.ts'
import { MemoryConnection, MemoryNet } from '#test/memoryConnection.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { usualLimits } from '#test/plainClients.ts'
import { countedDigits, FakeKeeper } from '#test/proxy/fakeKeeper.ts'
import { configOf } from '#test/proxy/proxyWorld.ts'
import { encodeRequest } from '#test/realRedis.ts'
import { SeededRandom } from '#test/seed.ts'
import { TestShard } from '#test/shard/testShard.ts'
import { RecordingLogger } from '#test/silentLogger.ts'
import { judgeName, restoringRequests } from './peace.ts'

const mebibyte = 1024 * 1024

export class FuzzWorld {
  readonly world = new MemoryWorld()
  readonly random: SeededRandom
  readonly sharded: boolean
  readonly proxy: DatabaseProxy
  readonly shards: TestShard[]
  readonly logger = new RecordingLogger()
  readonly #keeper: FakeKeeper
  #lastPort = 20_000

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    const { random, world } = this
    const shardCount = 1 + random.below(3)
    this.sharded = shardCount > 1 || random.chance(0.5)
    const memory = random.chance(0.3)
      ? {
          memorySizeBytes: 64 * mebibyte,
          evictionPolicy: random.pick(['noeviction', 'allkeys-lru', 'volatile-ttl'] as const),
        }
      : {}
    const database = { persistence: 'none', sharding: this.sharded, shardCount, ...memory } as const
    this.shards = evenRanges(shardCount).map(
      (range, index) =>
        new TestShard({ world, index, ranges: [range], database, random: new SeededRandom(seed + index) }),
    )
    const config: ProxyConfig = configOf({ shardCount, database, limits: this.#limits() })
    this.#keeper = new FakeKeeper(
      (run) => world.post(run),
      (kept) => {
        const { libraries } = kept
        for (const { shard, options } of this.shards) shard.configure({ ...options, libraries })
        this.proxy.reconfigure({ ...config, ...kept })
      },
    )
    this.proxy = new DatabaseProxy(config, {
      clock: world,
      timers: world,
      random: new SeededRandom(seed),
      net: new MemoryNet(world, (target) => {
        const path = target.kind === 'unix' ? target.path : ''
        const shard = this.shards.find((_, index) => path === `/shard/${index}`)
        return shard === undefined ? new Error('connect ENOENT') : (far) => shard.shard.accept(far)
      }),
      logger: this.logger,
      process: () => ({ processId: 1, residentBytes: 1, cpuUserMs: 1, cpuSystemMs: 1 }),
      askKeeper: (question, answered) => this.#keeper.ask(question, answered),
      secretDigits: countedDigits,
    })
    world.settle()
  }

  /** The client's end of a new connection. */
  connect(handler: Connection['handler']): MemoryConnection {
    const [near, far] = MemoryConnection.pair(this.world)
    far.handler = handler
    if (this.random.chance(0.2)) near.chunkBytesMax = 1 + this.random.below(1000)
    const remoteAddress = `127.0.0.1:${this.#lastPort++}`
    this.proxy.accept(near, { remoteAddress, localAddress: '127.0.0.1:12000', tls: null })
    return far
  }

  /** What must never be: an end of the process, or an error in a log. */
  get fault(): string | null {
    for (const { fatal, logger } of this.shards) {
      const [error] = fatal
      if (error !== undefined) return `a shard ended: ${error.stack}`
      const line = logger.lines.find(({ level }) => level === 'error')
      if (line !== undefined) return `a shard says: ${line.message} ${JSON.stringify(line.facts)}`
    }
    const line = this.logger.lines.find(({ level }) => level === 'error')
    return line === undefined ? null : `the proxy says: ${line.message} ${JSON.stringify(line.facts)}`
  }

  #limits(): Partial<ClientLimits> {
    const { random } = this
    if (random.chance(0.5))
      return { requestBytesMax: 16 * mebibyte, outputBytesMax: 64 * mebibyte, outputPauseBytes: mebibyte }
    return {
      requestBytesMax: 64 * 1024,
      pipelineMax: 1 + random.below(20),
      outputPauseBytes: 4096,
      outputBytesMax: 256 * 1024,
      subscriberOutputBytesMax: 64 * 1024,
      shardPendingMax: 1 + random.below(100),
      transactionCommandsMax: 1 + random.below(usualLimits.transactionCommandsMax),
    }
  }
}

/** Of a wait for one reply, in the world's time. */
const judgeWaitMs = 30_000

/** A client that does nothing wrong, and so must be served whatever the others do. */
export class Judge {
  readonly #world: FuzzWorld
  #connection: MemoryConnection | null = null
  #received: Uint8Array[] = []

  constructor(world: FuzzWorld) {
    this.#world = world
    this.#connect()
    this.call('ACL', 'SETUSER', judgeName, 'on', `>${judgeName}`, 'allkeys', 'allchannels', 'allcommands')
    this.call('AUTH', judgeName, judgeName)
    this.restore()
    this.call('ACL', 'SAVE')
  }

  /** What the others may have changed for all. */
  restore(): void {
    const { config } = this.#world.proxy
    const { limits } = config
    const requests = restoringRequests(limits.pipelineMax, config.database.memorySizeBytes)
    for (const request of requests) this.call(...request)
  }

  /** Throws without a reply. */
  call(...request: string[]): string {
    const { world } = this.#world
    for (let attempt = 0; attempt < 5; attempt++) {
      this.#received = []
      const connection = this.#connection ?? this.#connect()
      connection.write(encodeRequest(request))
      world.settle()
      for (let spentMs = 0; spentMs < judgeWaitMs && this.#connection !== null; spentMs += 50) {
        if (this.#received.length > 0) return latin1(concatenate(this.#received))
        world.advance(50)
      }
      if (this.#connection !== null) throw new Error(`the judge gets no reply to ${JSON.stringify(request)}`)
    }
    throw new Error('the judge is always disconnected')
  }

  expect(reply: string, ...request: string[]): void {
    const got = this.call(...request)
    if (got !== reply) throw new Error(`the judge gets ${JSON.stringify(got)} to ${JSON.stringify(request)}`)
  }

  #connect(): MemoryConnection {
    const connection = this.#world.connect({
      onData: (chunk) => this.#received.push(chunk.slice()),
      onDrain() {},
      onClose: () => {
        if (this.#connection === connection) this.#connection = null
      },
    })
    this.#connection = connection
    connection.write(bytesOf(`AUTH ${judgeName} ${judgeName}\r\n`))
    this.#world.world.advance(2_000)
    this.#received = []
    return connection
  }
}
