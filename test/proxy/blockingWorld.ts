/** Proxy workers of one database in front of its real shards, all in memory. */
import { DatabaseProxy } from '#proxy/proxy.ts'
import { MemoryConnection, MemoryNet } from '#test/memoryConnection.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { SeededRandom } from '#test/seed.ts'
import { type ShardChanges, TestShard } from '#test/shard/testShard.ts'
import { RecordingLogger } from '#test/silentLogger.ts'
import { countedDigits, FakeKeeper } from './fakeKeeper.ts'
import { configOf, TestClient, type WorldOptions } from './proxyWorld.ts'

export class BlockingWorld {
  readonly world = new MemoryWorld()
  readonly shards: TestShard[]
  readonly keeper: FakeKeeper
  readonly proxies: DatabaseProxy[]
  /** Of the proxies, as the shard sees them. */
  readonly links: MemoryConnection[] = []

  constructor(options: WorldOptions = {}, shard: ShardChanges = {}) {
    const { world } = this
    const config = configOf({ workerCount: 2, ...options })
    this.keeper = new FakeKeeper(
      (run) => world.post(run),
      (kept) => {
        for (const { shard, options } of this.shards)
          shard.configure({ ...options, libraries: kept.libraries })
        for (const [worker, proxy] of this.proxies.entries())
          proxy.reconfigure({ ...config, worker, ...kept })
      },
    )
    this.shards = config.shards.map(({ index, ranges }) => new TestShard({ ...shard, world, index, ranges }))
    this.proxies = config.workers.map(
      ({ worker }) =>
        new DatabaseProxy(
          { ...config, worker },
          {
            clock: world,
            timers: world,
            random: new SeededRandom(worker),
            net: new MemoryNet(world, ({ kind, ...target }) => {
              const path = kind === 'unix' && 'path' in target ? target.path : ''
              const other = config.workers.find(({ socketPath }) => socketPath === path)
              if (other !== undefined) return (far) => this.proxies[other.worker]?.acceptSibling(far)
              return (far) => {
                this.links.push(far)
                this.shards.find(({ options }) => path === `/shard/${options.index}`)?.shard.accept(far)
              }
            }),
            logger: new RecordingLogger(),
            process: () => ({ processId: 1, residentBytes: 1, cpuUserMs: 1, cpuSystemMs: 1 }),
            askKeeper: (question, answered) => this.keeper.ask(question, answered),
            secretDigits: countedDigits,
          },
        ),
    )
    world.advance(1000)
  }

  /** The first. */
  get shard(): TestShard {
    return this.shards[0] as TestShard
  }

  /** Its process is killed, and the next one is there. */
  restart(index: number): void {
    const before = this.shards[index] as TestShard
    const { libraries } = this.keeper
    this.shards[index] = before.restart({ index, ranges: before.options.ranges, libraries })
    for (const link of this.links.splice(0)) link.destroy()
    this.world.advance(1000)
  }

  client(worker = 0): TestClient {
    const [near, far] = MemoryConnection.pair(this.world)
    const client = new TestClient(this.world, far, near)
    const remoteAddress = '127.0.0.1:50000'
    this.proxies[worker]?.accept(near, { remoteAddress, localAddress: '127.0.0.1:12000', tls: null })
    this.world.settle()
    return client
  }

  get blockedClients(): number {
    this.world.settle()
    return this.shard.shard.status().blockedClients
  }
}
