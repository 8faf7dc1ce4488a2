/** What goes wrong in a world, and how it comes right again. */
import type { SeededRandom } from '#test/seed.ts'
import { unlimitedMemory } from '#test/unlimitedMemory.ts'
import { isWell, type Ledger } from './ledger.ts'
import type { Observer } from './observer.ts'
import type { SimProcess } from './simProcess.ts'
import type { SimCluster, SimShard, World } from './world.ts'

/** As often as they are named. */
export const allHarms = [
  'cut',
  'cut',
  'oneWay',
  'slow',
  'killShard',
  'killShard',
  'killProxy',
  'killSyncer',
  'power',
  'power',
  'powerShard',
  'step',
  'full',
  'wipe',
] as const

/** `leap`: far, so that it takes a monitor to say how the clock is; and the world needs as much time to come to rest. */
export type Harm = (typeof allHarms)[number] | 'leap'

export class Nemesis {
  readonly #world: World
  readonly #random: SeededRandom
  readonly #ledger: Ledger
  readonly #observer: Observer
  readonly #harms: readonly Harm[]
  /** Nothing more is done to anybody. */
  #healed = false
  /** How far ahead of the world's time a clock has been. */
  #furthestMs = 0
  strikes = 0

  constructor(world: World, ledger: Ledger, observer: Observer, harms: readonly Harm[]) {
    this.#world = world
    this.#random = world.random
    this.#ledger = ledger
    this.#observer = observer
    this.#harms = harms
  }

  strike(): void {
    const random = this.#random
    const harm = random.pick(this.#harms)
    const cluster = random.pick(this.#world.clusters)
    const other = random.pick(this.#world.clusters.filter((one) => one !== cluster))
    const shard = random.pick(cluster.shards)
    this.strikes++
    switch (harm) {
      case 'cut':
        this.#cut(cluster.site, other.site)
        this.#cut(other.site, cluster.site)
        break
      case 'oneWay':
        this.#cut(cluster.site, other.site)
        break
      case 'slow':
        this.#slow(cluster.site, other.site)
        break
      case 'killShard':
        this.killShard(shard)
        break
      case 'killProxy':
        this.#kill(cluster.proxyProcess)
        this.#later(() => cluster.proxyProcess?.alive || cluster.startProxy())
        break
      case 'killSyncer':
        this.#kill(cluster.syncerProcess)
        this.#later(() => cluster.syncerProcess?.alive || cluster.startSyncer())
        break
      case 'power':
        this.cutPower(cluster)
        break
      case 'powerShard':
        this.cutShardPower(shard)
        break
      case 'step':
        this.#step(cluster)
        break
      case 'leap':
        this.#leap(cluster)
        break
      case 'full':
        this.#fill(shard)
        break
      case 'wipe':
        if (this.#world.options.losingDisks) this.wipe(shard)
        break
    }
  }

  /** All links work, all processes run, all clocks are about right, all disks and shards have room. */
  heal(): void {
    const { clusters, network } = this.#world
    this.#healed = true
    this.#world.trace('heal')
    for (const cluster of clusters) {
      // All that was ahead of its time has its time by now.
      this.#step(cluster, this.#furthestMs + this.#random.below(100) - 50)
      for (const shard of cluster.shards) shard.disk.full = false
      cluster.setMemory(unlimitedMemory)
      this.#startMissing(cluster)
    }
    for (const a of clusters) {
      for (const b of clusters) {
        if (a === b) continue
        this.#fast(a.site, b.site)
        network.heal(a.site, b.site, this.#random.chance(0.5))
      }
    }
  }

  killShard(shard: SimShard): void {
    if (shard.process === null) return
    this.#ledger.onLoss(shard, 'kill')
    this.#kill(shard.process)
    this.#later(() => this.#startMissing(shard.cluster))
  }

  /** All processes of a cluster at once; disks keep what was synced. */
  cutPower(cluster: SimCluster): void {
    this.#world.trace(`power cut at cluster ${cluster.clusterId}`)
    for (const shard of cluster.shards) {
      this.#ledger.onLoss(shard, 'power')
      this.#kill(shard.process)
      shard.disk.cutPower()
    }
    this.#kill(cluster.proxyProcess)
    this.#kill(cluster.syncerProcess)
    this.#later(() => this.#startMissing(cluster))
  }

  /** As if it ran on a machine of its own: proxies and their clients live on. */
  cutShardPower(shard: SimShard): void {
    this.#world.trace(`power cut at shard ${shard.name}`)
    this.#ledger.onLoss(shard, 'power')
    this.#kill(shard.process)
    shard.disk.cutPower()
    this.#later(() => this.#startMissing(shard.cluster))
  }

  wipe(shard: SimShard): void {
    const others = this.#world.clusters.filter((cluster) => cluster !== shard.cluster)
    if (!others.some((cluster) => cluster.shards.every(isWell))) return
    this.#world.trace(`disk of shard ${shard.name} is lost`)
    this.#ledger.onLoss(shard, 'disk')
    this.#kill(shard.process)
    shard.disk.wipe()
    this.#observer.onWiped(shard)
    this.#later(() => {
      this.#startMissing(shard.cluster)
      // It may be hit again while it gets its data back.
      if (this.#random.chance(0.5)) this.#later(() => this.#healed || this.killShard(shard), 50)
    })
  }

  #kill(process: SimProcess | null): void {
    if (process?.alive !== true) return
    this.#world.trace(`${process.name} is killed`)
    process.kill()
  }

  #startMissing(cluster: SimCluster): void {
    for (const shard of cluster.shards) if (shard.process === null) cluster.startShard(shard)
    if (cluster.proxyProcess?.alive !== true) cluster.startProxy()
    if (cluster.syncerProcess?.alive !== true) cluster.startSyncer()
  }

  #cut(from: number, to: number): void {
    const { network } = this.#world
    this.#world.trace(`link ${from} > ${to} is cut`)
    network.cut(from, to)
    const reset = this.#random.chance(0.5)
    this.#later(() => {
      this.#world.trace(`link ${from} > ${to} is healed${reset ? ', connections are reset' : ''}`)
      network.heal(from, to, reset)
    }, 2000)
  }

  #slow(from: number, to: number): void {
    const random = this.#random
    const delayMs = 50 + random.below(300)
    this.#world.trace(`link ${from} > ${to} takes ${delayMs} ms`)
    this.#world.network.link(from, to).delayMs = () => delayMs + random.below(20)
    this.#later(() => this.#fast(from, to), 1500)
  }

  #fast(from: number, to: number): void {
    const random = this.#random
    this.#world.network.link(from, to).delayMs = () => 1 + random.below(20)
  }

  /** Five minutes, or an hour, and perhaps back again before long. */
  #leap(cluster: SimCluster): void {
    const farMs = this.#random.pick([-3_600_000, -300_000, 300_000, 3_600_000])
    this.#furthestMs = Math.max(this.#furthestMs, farMs)
    this.#step(cluster, farMs)
    if (this.#random.chance(0.7)) this.#later(() => this.#healed || this.#step(cluster, 0), 1500)
  }

  #step(cluster: SimCluster, offsetMs = this.#random.below(8000) - 4000): void {
    this.#world.trace(`clock of cluster ${cluster.clusterId} is off by ${offsetMs} ms`)
    cluster.clock.offsetMs = offsetMs
  }

  #fill(shard: SimShard): void {
    this.#world.trace(`disk of shard ${shard.name} is full`)
    shard.disk.full = true
    this.#later(() => {
      shard.disk.full = false
    })
  }

  #later(act: () => void, delayMaxMs = 500): void {
    this.#world.events.after(20 + this.#random.below(delayMaxMs), act)
  }
}
