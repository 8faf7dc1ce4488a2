/** A proxy with shards and clients in memory. */

import { noLibraries } from '#config/libraries.ts'
import type { ClientTlsConfig, DatabaseConfig, ProxyConfig } from '#config/process.ts'
import { noUsers } from '#config/users.ts'
import { evenRanges } from '#protocol/slots/slotMap.ts'
import { type ConnectionFacts, DatabaseProxy } from '#proxy/proxy.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { MemoryConnection, MemoryNet } from '#test/memoryConnection.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { plainClients, usualLimits } from '#test/plainClients.ts'
import { SeededRandom } from '#test/seed.ts'
import { RecordingLogger } from '#test/silentLogger.ts'
import { unlimitedMemory } from '#test/unlimitedMemory.ts'
import { countedDigits, FakeKeeper } from './fakeKeeper.ts'
import { FakeShard } from './fakeShard.ts'

export interface WorldOptions {
  shardCount?: number
  database?: Partial<DatabaseConfig>
  limits?: Partial<ProxyConfig['limits']>
  clientTls?: Partial<ClientTlsConfig>
  /** That what clients are shown is good for. */
  certificateDays?: number
  worker?: number
  workerCount?: number
  /** The shards are not there at first. */
  shardsDown?: boolean
}

export function configOf(options: WorldOptions): ProxyConfig {
  const shardCount = options.shardCount ?? 1
  return {
    role: 'proxy',
    database: {
      name: 'db1',
      guid: 'guid-1',
      port: 12000,
      bind: '127.0.0.1',
      shardCount,
      sharding: true,
      persistence: 'everysec',
      ...unlimitedMemory,
      password: null,
      streamIdMode: 'strict',
      notifyKeyspaceEvents: '',
      causalConsistency: false,
      syncCompression: 3,
      clusterId: 1,
      clusterName: 'c1',
      members: [
        { clusterId: 1, name: 'c1', host: '127.0.0.1', port: 12000 },
        { clusterId: 2, name: 'c2', host: '127.0.0.1', port: 12002 },
      ],
      ...options.database,
    },
    worker: options.worker ?? 0,
    workers: Array.from({ length: options.workerCount ?? 1 }, (_, worker) => ({
      worker,
      socketPath: `/worker/${worker}`,
    })),
    sharesPort: true,
    shards: evenRanges(shardCount).map((range, index) => ({
      index,
      ranges: [range],
      socketPath: `/shard/${index}`,
    })),
    tls: null,
    clientTls: { ...plainClients, ...options.clientTls },
    limits: { ...usualLimits, ...options.limits },
    users: noUsers,
    libraries: noLibraries,
    aclFilePath: '/data/users.acl',
  }
}

export class ProxyWorld {
  readonly world = new MemoryWorld()
  readonly logger = new RecordingLogger()
  readonly shards: FakeShard[]
  readonly config: ProxyConfig
  readonly proxy: DatabaseProxy
  readonly keeper = new FakeKeeper(
    (run) => this.world.post(run),
    (kept) => this.proxy.reconfigure({ ...this.config, ...kept }),
  )
  /** The threads beside the shards, by the paths of their sockets: what each answers to a line. */
  readonly scriptWatches = new Map<string, ScriptWatchThread>()
  #lastPort = 50000

  constructor(options: WorldOptions = {}) {
    this.config = configOf(options)
    this.shards = this.config.shards.map(({ index, ranges }) => new FakeShard(index, ranges))
    for (const shard of this.shards) shard.isDown = options.shardsDown === true
    const { world, logger } = this
    this.proxy = new DatabaseProxy(this.config, {
      clock: world,
      timers: world,
      random: new SeededRandom(1),
      net: new MemoryNet(world, (target) => {
        const path = target.kind === 'unix' ? target.path : ''
        const watch = this.scriptWatches.get(path)
        if (watch !== undefined) return (far) => answerLines(this.world, far, watch)
        const shard = this.shards.find(({ index }) => path === `/shard/${index}`)
        if (shard === undefined || shard.isDown) return new Error('connect ENOENT')
        return (far) => shard.accept(far)
      }),
      logger,
      process: () => ({ processId: 42, residentBytes: 1, cpuUserMs: 2, cpuSystemMs: 3 }),
      askKeeper: (question, answered) => this.keeper.ask(question, answered),
      certificate: () => {
        const { certificateDays } = options
        return certificateDays === undefined
          ? null
          : { expiresWallMs: world.wallMs() + certificateDays * 24 * 3_600_000 }
      },
      secretDigits: countedDigits,
    })
    this.world.settle()
  }

  get shard(): FakeShard {
    return this.shards[0] as FakeShard
  }

  client(tls: ConnectionFacts['tls'] = null): TestClient {
    const [near, far] = MemoryConnection.pair(this.world)
    const client = new TestClient(this.world, far, near)
    const remoteAddress = `127.0.0.1:${this.#lastPort++}`
    this.proxy.accept(near, { remoteAddress, localAddress: '127.0.0.1:12000', tls })
    client.remoteAddress = remoteAddress
    return client
  }
}

/** A line, or one that comes so many milliseconds later. */
type ScriptWatchThread = (question: string) => string | { line: string; afterMs: number }

function answerLines(world: MemoryWorld, connection: MemoryConnection, answer: ScriptWatchThread): void {
  connection.handler = {
    onData: (chunk) => {
      const answered = answer(latin1(chunk).trimEnd())
      if (typeof answered === 'string') connection.write(bytesOf(`${answered}\n`))
      else world.after(answered.afterMs, () => connection.write(bytesOf(`${answered.line}\n`)))
    },
    onDrain() {},
    onClose() {},
  }
}

export class TestClient {
  readonly connection: MemoryConnection
  isClosed = false
  remoteAddress = ''
  readonly #world: MemoryWorld
  readonly #near: MemoryConnection
  #received = ''

  constructor(world: MemoryWorld, connection: MemoryConnection, near: MemoryConnection) {
    this.#world = world
    this.#near = near
    this.connection = connection
    connection.handler = {
      onData: (chunk) => {
        this.#received += latin1(chunk)
      },
      onDrain() {},
      onClose: () => {
        this.isClosed = true
      },
    }
  }

  write(raw: string): void {
    this.connection.write(bytesOf(raw))
  }

  /** Sends nothing more, and still reads. */
  end(): void {
    this.#world.post(() => this.#near.handler.onEnd?.())
  }

  /** After so much silence the proxy asks whether it is still there. */
  get keepAliveMs(): number | null {
    return this.#near.keepAliveMs
  }

  /** Has so many requests answered that the proxy lets it send many at once. */
  widen(): void {
    for (let i = 0; i < 10; i++) this.raw('PING\r\n'.repeat(100))
  }

  /** What has come since the last call. */
  read(): string {
    this.#world.settle()
    const text = this.#received
    this.#received = ''
    return text
  }

  /** Sends raw text and returns what comes back before the world is at rest. */
  raw(text: string): string {
    this.write(text)
    return this.read()
  }

  /** Sends one command as an array of bulk strings. */
  call(...args: string[]): string {
    return this.raw(encode(args))
  }
}

export function encode(args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`
}
