/** A shard in a world of its own, as its process would run it. */
import { type LibraryList, noLibraries } from '#config/libraries.ts'
import type { Hello } from '#protocol/frames/hello.ts'
import type { Disk, Random } from '#runtime/ports.ts'
import { Shard } from '#server/shard.ts'
import type { ShardOptions, ShardPorts, ShardVariations } from '#server/shardOptions.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { MemoryConnection } from '#test/memoryConnection.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { testScripting } from '#test/scripting.ts'
import { SeededRandom } from '#test/seed.ts'
import { RecordingLogger } from '#test/silentLogger.ts'
import { unlimitedMemory } from '#test/unlimitedMemory.ts'
import { ProxySide } from './proxySide.ts'

export const testShardOptions: ShardOptions & { libraries: LibraryList } = {
  index: 0,
  ranges: [{ first: 0, last: 16383 }],
  initialised: false,
  database: {
    guid: 'test',
    clusterId: 1,
    persistence: 'everysec',
    streamIdMode: 'strict',
    notifyKeyspaceEvents: '',
    causalConsistency: false,
    shardCount: 1,
    sharding: true,
    ...unlimitedMemory,
    members: [{ clusterId: 1, name: 'one' }],
  },
  limits: {
    backlogBytesMax: 1 << 20,
    linkInflightBytesMax: 1 << 20,
    holdQueueBytesMax: 1 << 20,
    watchedKeysMax: 1000,
    trackingTableKeysMax: 1_000_000,
    blockedClientsMax: 1000,
    keyEventsBytesMax: 1024 * 1024,
    transactionCommandsMax: 1000,
    scriptMemoryBytesMax: 64 << 20,
    scriptCacheBytesMax: 1 << 20,
    snapshotLogBytesMin: 1 << 30,
    snapshotLogPercent: 100,
  },
  timings: { heartbeatMs: 250, linkDownMs: 2000, holdMs: 200, futureHoldMs: 60_000 },
  libraries: noLibraries,
}

export interface ShardChanges {
  disk?: Disk
  world?: MemoryWorld
  index?: number
  ranges?: ShardOptions['ranges']
  initialised?: boolean
  database?: Partial<ShardOptions['database']>
  limits?: Partial<ShardOptions['limits']>
  bootId?: string
  random?: Random
  scripting?: ShardPorts['scripting']
  libraries?: LibraryList
  variations?: ShardVariations
}

/** Each start has a run id of its own. */
let starts = 0

export class TestShard {
  readonly shard: Shard
  readonly world: MemoryWorld
  readonly disk: FaultyDisk
  readonly logger = new RecordingLogger()
  readonly fatal: Error[] = []
  readonly options: ShardOptions & { libraries: LibraryList }
  readonly proxy: ProxySide

  constructor(changes: ShardChanges = {}) {
    const { initialised, database, limits, variations } = changes
    this.world = changes.world ?? new MemoryWorld()
    this.disk = changes.disk instanceof FaultyDisk ? changes.disk : new FaultyDisk()
    this.options = {
      ...testShardOptions,
      index: changes.index ?? 0,
      ranges: changes.ranges ?? testShardOptions.ranges,
      initialised: initialised ?? false,
      database: { ...testShardOptions.database, ...database },
      limits: { ...testShardOptions.limits, ...limits },
      libraries: changes.libraries ?? testShardOptions.libraries,
    }
    this.shard = new Shard(
      this.options,
      {
        clock: this.world,
        random: changes.random ?? new SeededRandom(++starts),
        timers: this.world,
        disk: changes.disk ?? this.disk,
        logger: this.logger,
        processFacts: () => ({ memoryRssBytes: 2, cpuUserMs: 3, cpuSystemMs: 4 }),
        scripting: changes.scripting ?? testScripting,
        bootId: changes.bootId ?? 'boot',
        fatal: (error) => this.fatal.push(error),
      },
      variations,
    )
    this.shard.open()
    this.proxy = this.connect()
    this.world.settle()
  }

  connect(hello?: Hello): ProxySide {
    const [near, far] = MemoryConnection.pair(this.world)
    this.shard.accept(far)
    return new ProxySide(near, hello)
  }

  /** Sends a command alone and returns the reply. */
  run(...words: string[]): string {
    const tag = this.proxy.send(...words)
    this.world.settle()
    return this.proxy.reply(tag) ?? 'no reply'
  }

  /** The next process: after a kill (what was written is there), or on another disk. */
  restart(changes: ShardChanges = {}): TestShard {
    this.shard.stop()
    return new TestShard({
      disk: this.disk.afterKill(),
      world: this.world,
      initialised: true,
      database: this.options.database,
      limits: this.options.limits,
      ...changes,
    })
  }
}
