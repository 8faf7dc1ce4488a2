/** Several proxy workers of one port with their shards and clients in memory; workers are killed, hang and start again. */
import type { ProxyConfig } from '#config/process.ts'
import { DatabaseProxy } from '#proxy/proxy.ts'
import { siblingAnswerMs } from '#proxy/siblings/siblings.ts'
import type { Connection, ConnectionHandler, Net, Target, Timers } from '#runtime/ports.ts'
import { MemoryConnection, MemoryNet } from '#test/memoryConnection.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { SeededRandom } from '#test/seed.ts'
import { RecordingLogger } from '#test/silentLogger.ts'
import { countedDigits, FakeKeeper } from './fakeKeeper.ts'
import { FakeShard } from './fakeShard.ts'
import { configOf, TestClient, type WorldOptions } from './proxyWorld.ts'

/** One life of a worker's process: what it has opened ends with it. */
class WorkerLife implements Net, Timers {
  readonly connections: MemoryConnection[] = []
  isAlive = true
  isHanging = false
  readonly #world: MemoryWorld
  readonly #net: MemoryNet

  constructor(world: MemoryWorld, net: MemoryNet) {
    this.#world = world
    this.#net = net
  }

  connect(target: Target, handler: ConnectionHandler & { onOpen(): void }): Connection {
    const connection = this.#net.connect(target, handler) as MemoryConnection
    this.keep(connection)
    return connection
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#world.after(delayMs, () => {
      if (this.isAlive) run()
    })
  }

  atTurnEnd(run: () => void): void {
    this.#world.atTurnEnd(() => {
      if (this.isAlive) run()
    })
  }

  keep(connection: MemoryConnection): void {
    this.connections.push(connection)
    if (this.isHanging) connection.pause()
  }

  kill(): void {
    this.isAlive = false
    for (const connection of this.connections) connection.destroy()
  }

  /** Reads nothing any more, as a stopped process. */
  hang(): void {
    this.isHanging = true
    for (const connection of this.connections) connection.pause()
  }

  goOn(): void {
    this.isHanging = false
    for (const connection of this.connections) connection.resume()
  }
}

interface RunningWorker {
  life: WorkerLife
  proxy: DatabaseProxy
}

export class WorkersWorld {
  readonly world = new MemoryWorld()
  readonly logger = new RecordingLogger()
  readonly shards: FakeShard[]
  /** Workers that the agent tells nothing. */
  readonly unreached = new Set<number>()
  readonly #config: ProxyConfig
  /** Tells who runs and does not hang. */
  readonly keeper = new FakeKeeper(
    (run) => this.world.post(run),
    (kept) => {
      for (const [worker, { proxy, life }] of this.#running)
        if (!life.isHanging && !this.unreached.has(worker))
          proxy.reconfigure({ ...this.#config, worker, ...kept })
    },
  )
  readonly #running = new Map<number, RunningWorker>()
  /** Connections of workers to shards, as the shards see them. */
  readonly #shardSides: { worker: number; connection: MemoryConnection }[] = []
  #lastPort = 50000

  constructor(options: WorldOptions = {}) {
    this.#config = configOf({ workerCount: 3, ...options })
    this.shards = this.#config.shards.map(({ index, ranges }) => new FakeShard(index, ranges))
    for (const { worker } of this.#config.workers) this.start(worker)
    this.world.settle()
  }

  start(worker: number, change: Partial<ProxyConfig> = {}): DatabaseProxy {
    const { world, logger } = this
    const net = new MemoryNet(world, (target) => this.#accept(target, worker))
    const life = new WorkerLife(world, net)
    const proxy = new DatabaseProxy(
      { ...this.#config, worker, ...this.keeper.kept, ...change },
      {
        clock: world,
        timers: life,
        random: new SeededRandom(worker + 1),
        net: life,
        logger,
        process: () => ({ processId: 40 + worker, residentBytes: 100, cpuUserMs: 1000, cpuSystemMs: 500 }),
        askKeeper: (question, answered) => this.keeper.ask(question, answered),
        certificate: () => ({ expiresWallMs: 0 }),
        secretDigits: countedDigits,
      },
    )
    this.#running.set(worker, { life, proxy })
    proxy.whenMet(() => proxy.setListening(true))
    return proxy
  }

  proxy(worker: number): DatabaseProxy {
    return this.#runningWorker(worker).proxy
  }

  /** What every worker is told when the file changes. */
  reconfigure(worker: number, change: Partial<ProxyConfig>): void {
    this.proxy(worker).reconfigure({ ...this.#config, worker, ...change })
    this.world.settle()
  }

  get config(): ProxyConfig {
    return this.#config
  }

  kill(worker: number): void {
    this.#runningWorker(worker).life.kill()
    this.#running.delete(worker)
    this.world.settle()
  }

  /** Kills it if need be, starts it and gives it the time to be found again. */
  restart(worker: number): void {
    if (this.#running.has(worker)) this.kill(worker)
    this.start(worker)
    this.world.advance(2_000)
  }

  hang(worker: number): void {
    this.#runningWorker(worker).life.hang()
  }

  /** It hangs, and has let another one's client wait for it in vain. */
  fallSilent(worker: number, client: TestClient): void {
    this.hang(worker)
    client.call('CLIENT', 'LIST')
    this.world.advance(siblingAnswerMs)
    client.read()
  }

  goOn(worker: number): void {
    this.#runningWorker(worker).life.goOn()
    this.world.settle()
  }

  /** The shards read nothing from the worker until `false`. */
  holdShards(worker: number, isHeld: boolean): void {
    for (const { connection, worker: other } of this.#shardSides) {
      if (other !== worker) continue
      if (isHeld) connection.pause()
      else connection.resume()
    }
    this.world.settle()
  }

  client(worker: number): TestClient {
    const { life, proxy } = this.#runningWorker(worker)
    const [near, far] = MemoryConnection.pair(this.world)
    const client = new TestClient(this.world, far, near)
    life.keep(near)
    client.remoteAddress = `127.0.0.1:${this.#lastPort++}`
    proxy.accept(near, { remoteAddress: client.remoteAddress, localAddress: '127.0.0.1:12000', tls: null })
    this.world.settle()
    return client
  }

  /** A connection to the socket on which a worker answers the others. */
  caller(worker: number): TestClient {
    const { life, proxy } = this.#runningWorker(worker)
    const [near, far] = MemoryConnection.pair(this.world)
    life.keep(near)
    proxy.acceptSibling(near)
    return new TestClient(this.world, far, near)
  }

  #runningWorker(worker: number): RunningWorker {
    const running = this.#running.get(worker)
    if (running === undefined) throw new Error(`worker ${worker} does not run`)
    return running
  }

  #accept(target: Target, dialler: number): ((far: MemoryConnection) => void) | Error {
    const path = target.kind === 'unix' ? target.path : ''
    const shard = this.shards.find(({ index }) => path === `/shard/${index}`)
    if (shard !== undefined)
      return (far) => {
        this.#shardSides.push({ worker: dialler, connection: far })
        shard.accept(far)
      }
    const running = [...this.#running].find(([worker]) => path === `/worker/${worker}`)?.[1]
    if (running === undefined) return new Error('connect ECONNREFUSED')
    return (far) => {
      running.life.keep(far)
      running.proxy.acceptSibling(far)
    }
  }
}
