/**
 * One run: a world, a workload and a nemesis under one seed. First the safety phase, in which things go wrong and the
 * observer checks every step; then everything is healed, and within a bounded time all clusters must be equal, must hold
 * what the ledger says, and must have forgotten everything that nobody needs any more.
 */
import type { Persistence } from '#config/process.ts'
import { evictionPolicies, type MemorySettings } from '#protocol/frames/memory.ts'
import { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import type { StateSizes } from '#server/localState.ts'
import type { ShardVariations } from '#server/shardOptions.ts'
import type { KeyspaceOptions } from '#server/store/keyspace.ts'
import { SeededRandom } from '#test/seed.ts'
import { PartwiseKeyspace } from '#test/store/partwiseKeyspace.ts'
import { unlimitedMemory } from '#test/unlimitedMemory.ts'
import { Ledger } from './ledger.ts'
import { allHarms, type Harm, Nemesis } from './nemesis.ts'
import { Observer, type SyncCounts } from './observer.ts'
import { type Reply, SimClient } from './simClient.ts'
import type { SimDisk } from './simDisk.ts'
import { keyNames, keyOf, spreadTags, uniqueElement, Workload } from './workload.ts'
import { SimulationError, World, type WorldOptions } from './world.ts'

export interface RunOptions {
  /** Time of the safety phase. */
  durationMs: number
  /** Mean time between two faults; 0: none. */
  faultEveryMs: number
  /** Healed worlds must have come to rest by then. */
  restMs: number
  /** What may go wrong. */
  harms: readonly Harm[]
  /** Instead of what the seed draws. */
  world: Partial<DrawnWorld>
  variations: ShardVariations
  beforeStart: (disk: SimDisk) => void
  verbose: boolean
}

export const defaultRun: RunOptions = {
  durationMs: 2000,
  faultEveryMs: 280,
  restMs: 20_000,
  harms: allHarms,
  world: {},
  variations: {},
  beforeStart() {},
  verbose: false,
}

export interface RunResult {
  seed: number
  /** null: nothing was found. */
  failure: string | null
  trace: string
  events: number
  operations: number
  refused: number
  unknown: number
  /** Reads of two slots that had to agree. */
  wholeReads: number
  /** Answers to CRDT.WAIT that told of other clusters, and those that told of none. */
  promises: number
  emptyWaits: number
  refusedWaits: number
  counts: SyncCounts
  messages: ReadonlyMap<string, number>
}

/** What CRDT.WAIT says to who has written to a shard that may have lost it. */
const startedAnew = /^UNAVAILABLE shard \d+ was started anew/

const lookEveryMs = 100
const clientsPerCluster = 2

type DrawnWorld = Omit<WorldOptions, 'beforeStart'>

/** In part of the worlds memory is short. */
function drawMemory(random: SeededRandom): MemorySettings {
  if (random.chance(0.7)) return unlimitedMemory
  return {
    memorySizeBytes: random.pick([2_000, 5_000, 10_000]),
    evictionPolicy: random.pick(evictionPolicies),
    evictionSamples: 5,
  }
}

/** How slots are cut and joined: key by key, turn by turn, and slowly, in most worlds. */
const drawSteps = (random: SeededRandom) => ({
  cutBytes: random.pick([1, 100, 1 << 16]),
  workSteps: random.pick([1, 2, 1 << 20]),
  workPauseMs: random.pick([0, 1, 20]),
})

function drawWorld(random: SeededRandom): Omit<DrawnWorld, 'memory' | 'causalConsistency'> {
  const clusters = random.chance(0.5) ? 3 : 2
  const persistence = random.pick<Persistence>([
    'everysec',
    'everysec',
    'everysec',
    'always',
    'always',
    'none',
  ])
  return {
    clusters,
    sharding: true,
    shards: Array.from({ length: clusters }, () => 1 + random.below(2)),
    persistence,
    clock: null,
    losingDisks: persistence !== 'none' && random.chance(0.15),
    backlogBytesMax: random.pick([1 << 10, 4 << 10, 1 << 20]),
    linkInflightBytesMax: random.pick([200, 2 << 10, 1 << 20]),
    holdQueueBytesMax: random.pick([1 << 10, 1 << 20]),
    snapshotLogBytesMin: random.pick([1 << 30, 300, 2 << 10]),
    variations: {
      snapshots: { sizes: { sliceMs: 1, sliceBytes: random.pick([1, 200, 1 << 18]) } },
      replication: { slotStatePartBytes: random.pick([64, 1 << 10]) },
    },
  }
}

/** In half of the worlds even short strings are patched. */
const drawPatches = (random: SeededRandom): Pick<KeyspaceOptions, 'patchedBytesMin'> =>
  random.chance(0.5) ? { patchedBytesMin: 0 } : {}

/** Slots of few keys are compared, in two of three worlds, and so slowly that much happens meanwhile. */
const drawPortions = (random: SeededRandom): StateSizes => ({
  comparedKeysMin: random.pick([1, 1, 256]),
  keysPerPortion: random.pick([1, 2]),
  comparedStepBytes: random.pick([1, 1 << 16]),
})

/** In one world of three: a Lua for each life of a shard takes a third of a run's time, and what runs without it is another world. */
const drawScriptedShare = (random: SeededRandom): number => (random.chance(1 / 3) ? 0.4 : 0)

export class Simulation {
  readonly world: World
  readonly observer: Observer
  readonly ledger: Ledger
  readonly nemesis: Nemesis
  readonly workload: Workload
  readonly clients: SimClient[]
  readonly #options: RunOptions
  readonly #random: SeededRandom
  /** Of CRDT.WAIT. */
  readonly #waitRandom: SeededRandom
  #busy = true
  /** What else must have ended before all clusters can be equal. */
  obstacle: () => string | null = () => null

  constructor(seed: number, options: RunOptions) {
    const random = new SeededRandom(seed)
    this.#random = random
    this.#waitRandom = new SeededRandom(seed * 29 + 11)
    this.#options = options
    // From sequences of their own: what came later leaves the rest of a seed's world as it was.
    const steps = new SeededRandom(seed * 41 + 13)
    const drawn = {
      ...drawWorld(random),
      memory: drawMemory(new SeededRandom(seed * 31 + 17)),
      causalConsistency: steps.chance(0.4),
    }
    const portions = drawPortions(new SeededRandom(seed * 43 + 19))
    const patches = drawPatches(new SeededRandom(seed * 37 + 11))
    const { replication, snapshots, ...variations } = options.variations
    this.world = new World(random, {
      ...drawn,
      ...options.world,
      variations: {
        ...drawn.variations,
        newKeyspace: (options) => new PartwiseKeyspace({ ...options, ...patches }),
        stagedSliceBytes: steps.pick([1, 200, 1 << 17]),
        ...portions,
        ...variations,
        replication: { ...drawn.variations.replication, ...drawSteps(steps), ...replication },
        snapshots: { ...drawn.variations.snapshots, ...snapshots },
      },
      beforeStart: options.beforeStart,
    })
    this.world.verbose = options.verbose
    this.observer = new Observer(this.world)
    this.world.watch = this.observer
    this.ledger = new Ledger(this.world, this.observer.torn)
    this.nemesis = new Nemesis(this.world, this.ledger, this.observer, options.harms)
    this.workload = new Workload(random, {
      tags: spreadTags(2),
      flushing: random.chance(0.2),
      lawful: this.world.options.memory.evictionPolicy === 'noeviction',
      spanning: !this.world.options.sharding,
      scriptedShare: drawScriptedShare(new SeededRandom(seed * 47 + 23)),
    })
    this.world.start()
    this.clients = this.world.clusters.flatMap((cluster) =>
      Array.from(
        { length: clientsPerCluster },
        (_, i) => new SimClient(cluster, `client ${cluster.clusterId}.${i}`),
      ),
    )
  }

  run(): void {
    const { world } = this
    for (const client of this.clients) this.#work(client)
    if (this.#options.faultEveryMs > 0) this.#harm()
    world.run(this.#options.durationMs)
    this.#busy = false
    world.guard(() => this.nemesis.heal())
    this.converge()
  }

  /** Everything is healed and nobody writes any more. */
  converge(): void {
    this.#waitFor('all clusters are equal', () => this.#difference())
    const before = this.#digests()
    this.#waitFor('everything that can be forgotten is forgotten', () => this.#residue())
    this.#checkContents()
    if (before !== this.#digests()) this.world.fail('something changed after all clusters were equal')
  }

  /** The client goes on with the next operation as soon as it can, after a pause. */
  #work(client: SimClient): void {
    const { events } = this.world
    let waitsNext = false
    const next = () => {
      if (!this.#busy || !this.world.clusters.includes(client.cluster)) return
      if (client.isFree && waitsNext) {
        waitsNext = false
        this.#wait(client)
      } else if (client.isFree) {
        const { connections } = client
        const operation = this.workload.next()
        const done = this.ledger.enter(client, operation)
        this.world.trace(
          `${client.name} sends ${operation.commands.map((command) => command.join(' ')).join('; ')}`,
        )
        client.send(operation.commands, (outcome, replies) => {
          this.world.trace(`${client.name} gets ${outcome}: ${textOf(replies.at(-1))}`)
          done(outcome, replies)
          if (outcome !== 'done' || !uniqueElement.test(operation.token)) return
          this.observer.promises.onWritten(client, connections, operation.token)
          waitsNext = this.#waitRandom.chance(0.7)
        })
      }
      events.after(5 + this.#random.below(60), next)
    }
    events.after(this.#random.below(100), next)
  }

  /** The client waits for other clusters, and holds us to the answer. */
  #wait(client: SimClient): void {
    const { connections } = client
    const wait = ['CRDT.WAIT', `${this.#waitRandom.below(4)}`, `${1 + this.#waitRandom.below(600)}`]
    this.world.trace(`${client.name} sends ${wait.join(' ')}`)
    client.send([wait], (_, [reply]) => {
      this.world.trace(`${client.name} gets ${textOf(reply)}`)
      const { promises } = this.observer
      if (typeof reply === 'number') promises.onWaited(client, connections, reply)
      else if (startedAnew.test(textOf(reply))) promises.onRefused(client)
    })
  }

  #harm(): void {
    this.world.events.after(this.#random.below(2 * this.#options.faultEveryMs), () => {
      if (!this.#busy) return
      this.nemesis.strike()
      this.#harm()
    })
  }

  /** Lets time pass until there is no obstacle any more; one that stays is a failure. */
  #waitFor(what: string, obstacle: () => string | null): void {
    const { restMs } = this.#options
    const untilMs = this.world.events.nowMs + restMs
    for (let found = obstacle(); found !== null; found = obstacle()) {
      if (this.world.events.nowMs >= untilMs)
        this.world.fail(`not reached within ${restMs} ms: ${what}; ${found}`)
      this.world.run(lookEveryMs)
    }
  }

  /** What is not equal yet. */
  #difference(): string | null {
    const obstacle = this.obstacle()
    if (obstacle !== null) return obstacle
    // What was asked for last may still be done.
    for (const { name, isFree, cluster } of this.clients)
      if (this.world.clusters.includes(cluster) && !isFree) return `${name} waits`
    for (const { name, shard } of this.world.shards) {
      if (shard === null) return `shard ${name} is down`
      const { replication } = shard
      if (replication.stale) return `shard ${name} is stale`
      if (replication.gate.heldCount > 0) return `shard ${name} holds ${replication.gate.heldCount} records`
      if (shard.db.expiring > 0) return `shard ${name} has keys that will expire`
    }
    for (const slot of this.observer.slots) {
      const owners = this.#ownersOf(slot)
      const vectors = owners.map((shard) => shard.db.vectors.of(slot).join(' '))
      if (new Set(vectors).size > 1) return `vectors of slot ${slot}: ${vectors.join(' | ')}`
      const digests = owners.map((shard) => shard.db.slotDigest(slot))
      if (new Set(digests).size > 1) return `digests of slot ${slot}: ${digests.join(' | ')}`
    }
    return null
  }

  #digests(): string {
    return [...this.observer.slots]
      .flatMap((slot) => this.#ownersOf(slot).map((shard) => shard.db.slotDigest(slot)))
      .join()
  }

  #residue(): string | null {
    for (const { name, shard } of this.world.shards) {
      const residues = shard?.db.residues ?? 0
      if (residues > 0) return `shard ${name} keeps ${residues} residues`
    }
    return null
  }

  #ownersOf(slot: number) {
    return this.world.shards.flatMap((of) => (of.shard !== null && of.owns(slot) ? [of.shard] : []))
  }

  /** Every key of every cluster as a client sees it: equal everywhere, and as the ledger wants it. */
  #checkContents(): void {
    const seen = this.world.clusters.map((cluster) => {
      const content = new Map<string, Reply>()
      for (const tag of this.workload.tags) {
        for (const name of keyNames)
          content.set(keyOf(tag, name), this.#read(cluster.clusterId, keyOf(tag, name)))
        const read = Object.fromEntries(keyNames.map((name) => [name, content.get(keyOf(tag, name)) ?? null]))
        this.world.guard(() => this.ledger.checkFinal(tag, `cluster ${cluster.clusterId}`, read))
      }
      if (!this.world.options.sharding) this.#checkAcross(cluster.clusterId)
      return JSON.stringify([...content])
    })
    if (new Set(seen).size > 1) this.world.fail(`clients see different contents:\n${seen.join('\n')}`)
  }

  #checkAcross(clusterId: number): void {
    const [near, far] = this.workload.acrossKeys.map((key) => this.#read(clusterId, key))
    this.world.guard(() => this.ledger.checkAcross(`cluster ${clusterId}`, near ?? null, far ?? null))
  }

  #read(clusterId: number, key: string): Reply {
    const [type] = this.ask(clusterId, ['TYPE', key])
    switch (type) {
      case 'string':
        return this.#readText(clusterId, key)
      case 'set':
        return (this.ask(clusterId, ['SMEMBERS', key])[0] as string[]).sort()
      case 'zset':
        return this.ask(clusterId, ['ZRANGE', key, '0', '-1', 'WITHSCORES'])[0] ?? null
      case 'list':
        return this.ask(clusterId, ['LRANGE', key, '0', '-1'])[0] ?? null
      case 'stream':
        return this.#readStream(clusterId, key)
      case 'hash':
        return this.#pairs(this.ask(clusterId, ['HGETALL', key])[0] as string[])
      default:
        return ['grow', 'order', 'feed'].some((name) => key.endsWith(name)) ? [] : null
    }
  }

  /** Clusters may spell the registers of a HyperLogLog differently. */
  #readText(clusterId: number, key: string): Reply {
    const text = this.ask(clusterId, ['GET', key])[0] ?? null
    if (typeof text !== 'string' || !HyperLogLog.isSpeltBy(text)) return text
    return this.ask(clusterId, ['PFCOUNT', key])[0] ?? null
  }

  /** Entries as id=value; of a key without a law also what else clusters share of it. */
  #readStream(clusterId: number, key: string): Reply {
    const ask = (...request: string[]) => this.ask(clusterId, request)[0] as Reply[]
    const entries = (ask('XRANGE', key, '-', '+') as [string, string[]][]).map(
      ([id, [, value]]) => `${id}=${value}`,
    )
    if (key.endsWith('feed')) return entries
    const marks = ['length', 'last-generated-id', 'max-deleted-entry-id', 'entries-added']
    const info = ask('XINFO', 'STREAM', key)
    const groups = (ask('XINFO', 'GROUPS', key) as Reply[][]).map(
      (group) => group[group.indexOf('name') + 1] ?? null,
    )
    return [...entries, ...marks.map((name) => info[info.indexOf(name) + 1] ?? null), ...groups]
  }

  #pairs(flat: readonly string[]): string[] {
    const pairs: string[] = []
    for (let i = 0; i < flat.length; i += 2) pairs.push(`${flat[i]}=${flat[i + 1]}`)
    return pairs.sort()
  }

  /** Asks through the front door, again if it is refused, and waits for the answer. */
  ask(clusterId: number, command: string[]): Reply[] {
    const client = this.clients.find(
      ({ cluster }) => cluster.clusterId === clusterId && this.world.clusters.includes(cluster),
    ) as SimClient
    const question = `${command.join(' ')} at cluster ${clusterId}`
    let answer: Reply[] | null = null
    let refusal = 'no connection'
    this.#waitFor(`an answer to ${question}`, () => {
      if (answer !== null) return null
      if (!client.isFree) return refusal
      client.send([command], (outcome, replies) => {
        refusal = textOf(replies.at(-1))
        if (outcome === 'unknown') this.world.fail(`${question}: ${refusal}`)
        if (outcome === 'done') answer = replies
      })
      this.world.run(1)
      return answer === null ? refusal : null
    })
    return answer ?? []
  }
}

export function runSeed(seed: number, options: Partial<RunOptions> = {}): RunResult {
  const simulation = new Simulation(seed, { ...defaultRun, ...options })
  let failure: string | null = null
  try {
    simulation.run()
  } catch (error) {
    if (!(error instanceof SimulationError)) throw error
    failure = error.message
  }
  const { world, ledger, observer } = simulation
  const operations = ledger.done + ledger.refused + ledger.unknown
  for (const { shard } of world.shards) if (shard !== null) observer.counts.add(shard)
  return {
    seed,
    failure,
    trace: world.traceText,
    events: world.events.count,
    operations,
    refused: ledger.refused,
    unknown: ledger.unknown,
    wholeReads: ledger.wholeReads,
    promises: observer.promises.kept,
    emptyWaits: observer.promises.empty,
    refusedWaits: observer.promises.refused,
    counts: observer.counts,
    messages: world.messages,
  }
}

function textOf(reply: Reply | undefined): string {
  return reply instanceof Error ? reply.message : JSON.stringify(reply)
}
