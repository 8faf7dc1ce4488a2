/**
 * A whole world under one seed: clusters of production shards, proxies and syncers, joined by simulated sockets, disks and
 * clocks. Only what `main.ts` files do is played here: starting processes, and starting them again.
 */

import { noLibraries } from '#config/libraries.ts'
import type {
  DatabaseConfig,
  MemberConfig,
  Persistence,
  ProxyConfig,
  ShardAddress,
  SyncerConfig,
  SyncTimings,
} from '#config/process.ts'
import { noUsers } from '#config/users.ts'
import { ClockService, type ClockSettings } from '#control/clock/clockService.ts'
import type { SntpQuery } from '#control/clock/sntpClient.ts'
import type { MemorySettings } from '#protocol/frames/memory.ts'
import { evenRanges, includesSlot } from '#protocol/slots/slotMap.ts'
import { DatabaseProxy } from '#proxy/proxy.ts'
import { InvariantError } from '#runtime/invariant.ts'
import { DiskError, type Logger } from '#runtime/ports.ts'
import { Shard } from '#server/shard.ts'
import type { ShardOptions, ShardVariations } from '#server/shardOptions.ts'
import { Syncer } from '#syncer/syncer.ts'
import { plainClients, usualLimits } from '#test/plainClients.ts'
import { testScripting } from '#test/scripting.ts'
import type { SeededRandom } from '#test/seed.ts'
import { EventQueue } from './eventQueue.ts'
import { SimDisk } from './simDisk.ts'
import { SimNetwork } from './simNetwork.ts'
import { SimClock, SimProcess, worldStartMs } from './simProcess.ts'

export interface WorldOptions {
  clusters: number
  /** Per cluster: clusters may cut their slots differently. */
  shards: number[]
  /** Without there is one shard, and transactions span slots. */
  sharding: boolean
  /** Whether clusters tell each other of operations of others. */
  causalConsistency: boolean
  persistence: Persistence
  backlogBytesMax: number
  linkInflightBytesMax: number
  holdQueueBytesMax: number
  memory: MemorySettings
  snapshotLogBytesMin: number
  /** Each cluster's clock is watched, as its agent does; null: nobody looks at it. */
  clock: ClockSettings | null
  /** Disks may be lost, but never those of all clusters at a time. */
  losingDisks: boolean
  /** The production parts, or wrong ones of a fault. */
  variations: ShardVariations
  /** What a fault does to a disk before a shard is started. */
  beforeStart: (disk: SimDisk) => void
}

/** Everything is faster than in the real world, so that a run is short; the proportions are the same. */
const timings: SyncTimings = {
  heartbeatMs: 100,
  linkDownMs: 600,
  holdMs: 80,
  futureHoldMs: 1000,
  reconnectMinMs: 10,
  reconnectMaxMs: 200,
}

const segmentBytesMax = 4096
const noTls = { certificatePath: '', keyPath: '', authorityPath: '' }
const figures = { memoryRssBytes: 0, cpuUserMs: 0, cpuSystemMs: 0 }
const traceLinesMax = 400
const eventsPerMomentMax = 100_000

export class SimulationError extends Error {}

/** One shard through all its lives. */
export class SimShard {
  readonly cluster: SimCluster
  readonly address: ShardAddress
  readonly disk: SimDisk
  /** It has been open once. */
  initialised = false
  process: SimProcess | null = null
  shard: Shard | null = null
  /** From when to when each of its processes ran, the running one to Infinity. */
  readonly lives: { fromMs: number; toMs: number }[] = []

  constructor(cluster: SimCluster, address: ShardAddress, disk: SimDisk) {
    this.cluster = cluster
    this.address = address
    this.disk = disk
  }

  get name(): string {
    return `${this.cluster.clusterId}/${this.address.index}`
  }

  owns(slot: number): boolean {
    return includesSlot(this.address.ranges, slot)
  }
}

export class SimCluster {
  readonly world: World
  readonly clusterId: number
  readonly clock: SimClock
  readonly shards: SimShard[]
  database: DatabaseConfig
  proxyProcess: SimProcess | null = null
  syncerProcess: SimProcess | null = null
  /** Another cluster has its id and its place on the network: nothing of it is started any more. */
  isReplaced = false
  #proxy: DatabaseProxy | null = null
  #syncer: Syncer | null = null
  monitor: ClockService | null = null

  constructor(world: World, database: DatabaseConfig) {
    this.world = world
    this.database = database
    this.clusterId = database.clusterId
    const { random } = world
    this.clock = new SimClock(world.events, random.below(200) - 100, random.below(400) - 200)
    this.shards = evenRanges(database.shardCount).map((range, index) => {
      const address = { index, ranges: [range], socketPath: `/shard/${database.clusterId}/${index}` }
      const syncMs = random.pick([1, 5, 50])
      const disk = new SimDisk(random, () => (syncMs * (1 + random.below(20))) / 10)
      return new SimShard(this, address, disk)
    })
  }

  /** Where it is on the network. */
  get site(): number {
    return this.clusterId
  }

  get addresses(): ShardAddress[] {
    return this.shards.map((shard) => shard.address)
  }

  get clientPath(): string {
    return `/client/${this.clusterId}`
  }

  startAll(): void {
    this.#startMonitor()
    for (const shard of this.shards) this.startShard(shard)
    this.startProxy()
    this.startSyncer()
  }

  startShard(of: SimShard): void {
    const { world } = this
    if (this.isReplaced) return
    const process = this.#newProcess(`shard ${of.name}`)
    const shard = new Shard(
      this.#optionsOf(of),
      {
        ...this.#ports(process),
        disk: of.disk.mount(process),
        processFacts: () => figures,
        scripting: testScripting,
        bootId: `boot ${of.disk.powerCuts}`,
        fatal: (error) => world.fail(`${process.name} ends itself: ${error.message}`),
      },
      { segmentBytesMax, ...world.options.variations },
    )
    world.options.beforeStart(of.disk)
    try {
      shard.open()
    } catch (error) {
      // Such as a full disk: it doesn't start, and is started again later.
      if (!(error instanceof DiskError)) throw error
      world.trace(`shard ${of.name} does not start: ${error.message}`)
      process.kill()
      return
    }
    of.process = process
    of.shard = shard
    of.initialised = true
    const life = { fromMs: world.events.nowMs, toMs: Number.POSITIVE_INFINITY }
    of.lives.push(life)
    if (this.monitor !== null) shard.setClock(this.monitor.state)
    process.afterRun = () => world.onShardRan(of, shard)
    process.onKill(() => {
      life.toMs = world.events.nowMs
      world.watch?.onShardEnds(of, shard)
      shard.stop()
      of.process = null
      of.shard = null
    })
    world.network.listen(of.address.socketPath, process, this.site, (connection) => shard.accept(connection))
    world.onShardOpened(of, shard)
  }

  /** As its agent does with a newer list. */
  setMembers(members: MemberConfig[], epoch: number): void {
    this.database = { ...this.database, members, epoch }
    for (const of of this.shards) of.shard?.configure(this.#optionsOf(of))
    if (this.proxyProcess?.alive === true) this.#proxy?.reconfigure(this.#proxyConfig)
    if (this.syncerProcess?.alive === true) this.#syncer?.configure(this.#syncerConfig)
  }

  /** As by a change of the configuration. */
  setMemory(memory: MemorySettings): void {
    this.database = { ...this.database, ...memory }
    for (const of of this.shards) of.shard?.configure(this.#optionsOf(of))
  }

  #optionsOf(of: SimShard): ShardOptions {
    const { backlogBytesMax, linkInflightBytesMax, holdQueueBytesMax, snapshotLogBytesMin } =
      this.world.options
    return {
      ...of.address,
      initialised: of.initialised,
      database: this.database,
      limits: {
        backlogBytesMax,
        linkInflightBytesMax,
        holdQueueBytesMax,
        watchedKeysMax: 1000,
        trackingTableKeysMax: 1_000_000,
        blockedClientsMax: 1000,
        keyEventsBytesMax: 1024 * 1024,
        transactionCommandsMax: 1000,
        scriptMemoryBytesMax: 64 << 20,
        scriptCacheBytesMax: 1 << 20,
        snapshotLogBytesMin,
        snapshotLogPercent: 100,
      },
      timings,
      libraries: noLibraries,
    }
  }

  get #proxyConfig(): ProxyConfig {
    return {
      role: 'proxy',
      database: this.database,
      worker: 0,
      workers: [{ worker: 0, socketPath: '' }],
      sharesPort: false,
      shards: this.addresses,
      tls: noTls,
      clientTls: plainClients,
      limits: {
        ...usualLimits,
        clientsMax: 1000,
        outputPauseBytes: 1 << 20,
        outputBytesMax: 1 << 24,
        subscriberOutputBytesMax: 1 << 24,
        monitorOutputBytesMax: 32 * 1024 * 1024,
        shardPendingMax: 1000,
        transactionCommandsMax: 1000,
        functionsBytesMax: 64 * 1024,
      },
      users: noUsers,
      libraries: noLibraries,
      aclFilePath: '',
    }
  }

  get #syncerConfig(): SyncerConfig {
    return { role: 'syncer', database: this.database, shards: this.addresses, tls: noTls, timings }
  }

  startProxy(): void {
    if (this.isReplaced) return
    const process = this.#newProcess(`proxy ${this.clusterId}`)
    this.proxyProcess = process
    const { network } = this.world
    const proxy = new DatabaseProxy(this.#proxyConfig, {
      ...this.#ports(process),
      net: network.net(process, this.site),
      process: () => ({ processId: 1, residentBytes: 0, cpuUserMs: 0, cpuSystemMs: 0 }),
      secretDigits: (count) => '0'.repeat(count),
    })
    this.#proxy = proxy
    const addresses = { remoteAddress: '10.0.0.1:1', localAddress: '10.0.0.2:2' }
    network.listen(this.clientPath, process, this.site, (connection) =>
      proxy.accept(connection, { ...addresses, tls: null }),
    )
    network.listen(databaseAddress(this.database), process, this.site, (connection, caller) =>
      // What TLS proves: the certificate is of the cluster that calls.
      proxy.accept(connection, { ...addresses, tls: { use: 'peer', name: nameOf(caller.site) } }),
    )
  }

  startSyncer(): void {
    if (this.isReplaced) return
    const process = this.#newProcess(`syncer ${this.clusterId}`)
    this.syncerProcess = process
    const syncer = new Syncer(this.#syncerConfig, `instance-${this.world.events.count}`, {
      ...this.#ports(process),
      net: this.world.network.net(process, this.site),
      onPeerOffset: (peer, offsetMs, delayMs) => this.monitor?.peerOffset(peer, offsetMs, delayMs),
    })
    this.#syncer = syncer
    syncer.start()
  }

  /** Its agent is never killed. */
  #startMonitor(): void {
    const { clock } = this.world.options
    if (clock === null) return
    const process = this.#newProcess(`agent ${this.clusterId}`)
    this.monitor = new ClockService(
      clock,
      { ...this.#ports(process), query: this.world.timeServer(process) },
      (state) => {
        for (const { shard } of this.shards) shard?.setClock(state)
      },
    )
  }

  #newProcess(name: string): SimProcess {
    this.world.trace(`${name} starts`)
    return new SimProcess(name, this.world.events, this.clock)
  }

  #ports(process: SimProcess) {
    return {
      clock: process,
      timers: process,
      random: this.world.random,
      logger: this.world.loggerOf(process.name),
    }
  }
}

/** What looks on; see `observer.ts`. */
export interface WorldWatch {
  onShardOpened(of: SimShard, shard: Shard): void
  /** A turn of the shard, or a part of one, has run. */
  onShardRan(of: SimShard, shard: Shard): void
  /** It is killed, with whatever it has counted. */
  onShardEnds(of: SimShard, shard: Shard): void
}

export class World {
  readonly random: SeededRandom
  readonly options: WorldOptions
  readonly events = new EventQueue()
  readonly network: SimNetwork
  readonly clusters: SimCluster[]
  /** Were members once. */
  readonly departed: SimCluster[] = []
  readonly #trace: string[] = []
  /** How often a log line was written, by any process. */
  readonly messages = new Map<string, number>()
  /** Log lines of the processes go into the trace, too. */
  verbose = false
  /** Time servers answer. */
  hasTime = true
  watch: WorldWatch | null = null

  constructor(random: SeededRandom, options: WorldOptions) {
    this.random = random
    this.options = options
    this.network = new SimNetwork(random)
    this.network.splitting = true
    const members: MemberConfig[] = Array.from({ length: options.clusters }, (_, i) => ({
      clusterId: i + 1,
      name: nameOf(i + 1),
      host: `cluster-${i + 1}`,
      port: 12000,
    }))
    this.clusters = members.map(({ clusterId, name, port }) => {
      const database: DatabaseConfig = {
        name: 'db',
        guid: 'guid',
        port,
        bind: '0.0.0.0',
        shardCount: options.shards[clusterId - 1] ?? 1,
        sharding: options.sharding,
        persistence: options.persistence,
        ...options.memory,
        password: null,
        streamIdMode: 'strict',
        notifyKeyspaceEvents: '',
        causalConsistency: this.options.causalConsistency,
        syncCompression: 3,
        clusterId,
        clusterName: name,
        members,
      }
      return new SimCluster(this, database)
    })
  }

  /** What any time server tells that is asked by a process: the time of the world, without drift or steps. */
  timeServer(process: SimProcess): SntpQuery {
    return (_server, timeoutMs, done) => {
      const reading = { wallMs: process.wallMs(), monotonicMs: process.monotonicMs() }
      if (!this.hasTime) {
        process.post(timeoutMs, () => done({ kind: 'failure', fault: 'timeout', detail: 'no answer' }))
        return
      }
      const sample = { offsetMs: this.timeMs - reading.wallMs, delayMs: 2, errorMs: 2 }
      process.post(2, () => done({ kind: 'sample', sample, stratum: 1, reading }))
    }
  }

  /** True time. */
  get timeMs(): number {
    return worldStartMs + this.events.nowMs
  }

  get shards(): SimShard[] {
    return this.clusters.flatMap((cluster) => cluster.shards)
  }

  start(): void {
    for (const cluster of this.clusters) this.guard(() => cluster.startAll())
  }

  /** Lets time pass. */
  run(durationMs: number): void {
    const untilMs = this.events.nowMs + durationMs
    this.guard(() => {
      let atMs = this.events.nowMs
      let sinceMove = 0
      while (this.events.step(untilMs)) {
        sinceMove = this.events.nowMs > atMs ? 0 : sinceMove + 1
        atMs = this.events.nowMs
        if (sinceMove > eventsPerMomentMax) this.fail('time stands still: something never comes to rest')
      }
    })
  }

  /** What a process can't survive is a failure of the run. */
  guard(act: () => void): void {
    try {
      act()
    } catch (error) {
      if (error instanceof SimulationError) throw error
      const kind = error instanceof InvariantError ? 'a process stopped' : 'a process crashed'
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.fail(`${kind}: ${text}`)
    }
  }

  fail(reason: string): never {
    throw new SimulationError(`at ${this.events.nowMs.toFixed(1)} ms: ${reason}`)
  }

  trace(line: string): void {
    this.#trace.push(`${this.events.nowMs.toFixed(1).padStart(9)} ${line}`)
    if (this.#trace.length > traceLinesMax && !this.verbose) this.#trace.shift()
  }

  get traceText(): string {
    return this.#trace.join('\n')
  }

  onShardOpened(of: SimShard, shard: Shard): void {
    this.watch?.onShardOpened(of, shard)
  }

  onShardRan(of: SimShard, shard: Shard): void {
    this.watch?.onShardRan(of, shard)
  }

  loggerOf(name: string): Logger {
    const log = (facts: Readonly<Record<string, unknown>>, message: string) => {
      this.messages.set(message, (this.messages.get(message) ?? 0) + 1)
      if (this.verbose) this.trace(`${name}: ${message} ${JSON.stringify(facts)}`)
    }
    return { debug() {}, info: log, warn: log, error: log }
  }
}

const nameOf = (clusterId: number): string => `cluster-${clusterId}`

const databaseAddress = ({ clusterId, port }: DatabaseConfig): string => `${nameOf(clusterId)}:${port}`
