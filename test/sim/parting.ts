/**
 * One of three clusters leaves while everything goes on, and goes wrong, and then another one joins under its id. The shards,
 * proxies and syncers are the production ones, and so is the coordinator; the agents are played: a cluster learns of each
 * list of members at some time, and answers some time later.
 */
import type { MemberConfig } from '#config/process.ts'
import { Departure } from '#control/plan/departure.ts'
import type { SlotStamps } from '#server/sync/membership.ts'
import { SimClient } from './simClient.ts'
import { type RunOptions, Simulation } from './simulation.ts'
import { SimCluster, type SimShard } from './world.ts'

const stepMs = 40

type MemberState = NonNullable<MemberConfig['state']>

export interface PartingOptions {
  /** `dead`: it is gone at once. `alive`: it goes on, and wants to be heard. */
  how: 'ordered' | 'dead' | 'alive'
  rejoins: boolean
}

export class Parting {
  readonly #simulation: Simulation
  readonly #options: PartingOptions
  readonly #leaver: SimCluster
  #epoch = 1
  #final: SlotStamps | null = null
  #isOver = false
  rounds = 0

  constructor(simulation: Simulation, options: PartingOptions) {
    this.#simulation = simulation
    this.#options = options
    this.#leaver = simulation.world.random.pick(simulation.world.clusters)
    simulation.obstacle = () => (this.#isOver ? null : `cluster ${this.#leaver.clusterId} is still leaving`)
    simulation.world.events.after(300 + simulation.world.random.below(900), () => this.#begin())
  }

  get #staying(): SimCluster[] {
    return this.#simulation.world.clusters.filter(({ clusterId }) => clusterId !== this.#leaver.clusterId)
  }

  #begin(): void {
    const { world, ledger } = this.#simulation
    const forced = this.#options.how !== 'ordered'
    world.trace(`cluster ${this.#leaver.clusterId} is to leave, ${this.#options.how}`)
    if (forced) {
      world.clusters.splice(world.clusters.indexOf(this.#leaver), 1)
      world.departed.push(this.#leaver)
      for (const shard of this.#leaver.shards) ledger.onLoss(shard, 'disk')
      if (this.#options.how === 'dead') this.#end(this.#leaver)
    }
    const all = this.#staying.concat(forced ? [] : [this.#leaver])
    this.#tell(all, 'removing', forced)
    const witnesses = all.map(({ clusterId }) => clusterId)
    const reporters = forced ? witnesses : [this.#leaver.clusterId]
    this.#drive(new Departure(reporters, witnesses), all)
  }

  /** Answers are what holds when the question arrives, and arrive later. */
  #drive(departure: Departure, all: readonly SimCluster[]): void {
    const { world } = this.#simulation
    this.rounds++
    const { step } = departure
    if (step.ask === 'nothing') {
      this.#final = step.final
      this.#remove()
      return
    }
    for (const id of step.of) {
      const cluster = all.find(({ clusterId }) => clusterId === id)
      world.events.after(world.random.below(30), () => {
        if (cluster === undefined || cluster.shards.some(({ shard }) => shard === null)) return
        const runs = cluster.shards.map(({ shard }) => shard?.runId).join()
        const answer =
          step.ask === 'report'
            ? { slots: this.#report(cluster) }
            : { reached: cluster.shards.every((shard) => this.#hasReached(shard, step.final)) }
        world.events.after(world.random.below(60), () => {
          if ('reached' in answer) departure.takeReached(id, { runs, reached: answer.reached })
          else departure.takeReport(id, { runs, slots: answer.slots })
        })
      })
    }
    world.events.after(stepMs + world.random.below(60), () => this.#drive(departure, all))
  }

  #report(cluster: SimCluster): SlotStamps | null {
    const slots = new Map<number, number>()
    for (const { shard } of cluster.shards) {
      const report = shard?.replication.report(this.#leaver.clusterId) ?? null
      if (report === null) return null
      for (const [slot, stamp] of report) slots.set(slot, stamp)
    }
    return slots
  }

  #hasReached({ shard }: SimShard, final: SlotStamps): boolean {
    return shard?.replication.hasReached(this.#leaver.clusterId, final) === true
  }

  #remove(): void {
    const { world } = this.#simulation
    world.trace(`cluster ${this.#leaver.clusterId} is removed`)
    const index = world.clusters.indexOf(this.#leaver)
    if (index >= 0) {
      world.clusters.splice(index, 1)
      world.departed.push(this.#leaver)
    }
    this.#tell(this.#staying, 'removed', false)
    if (!this.#options.rejoins) this.#isOver = true
    else world.events.after(world.random.below(400), () => this.#rejoin())
  }

  #rejoin(): void {
    const { world, clients } = this.#simulation
    const leaver = this.#leaver
    this.#end(leaver)
    const stampFloor = Math.max(0, ...(this.#final?.values() ?? []))
    // As much memory as the others have by now.
    const { memorySizeBytes } = this.#staying[0]?.database ?? leaver.database
    const joiner = new SimCluster(world, { ...leaver.database, memorySizeBytes })
    world.trace(`cluster ${joiner.clusterId} joins`)
    this.#tell([...this.#staying, joiner], 'joining', false, { instance: 'another', stampFloor })
    world.clusters.push(joiner)
    world.clusters.sort((a, b) => a.clusterId - b.clusterId)
    world.guard(() => joiner.startAll())
    clients.push(new SimClient(joiner, `client ${joiner.clusterId}.new`))
    const look = (): void => {
      const isSynced = joiner.shards.every(({ shard }) => shard !== null && !shard.replication.stale)
      if (!isSynced) {
        world.events.after(stepMs, look)
        return
      }
      this.#tell([...this.#staying, joiner], 'active', false, { instance: 'another', stampFloor })
      this.#isOver = true
    }
    look()
  }

  #end(cluster: SimCluster): void {
    cluster.isReplaced = true
    for (const shard of cluster.shards) shard.process?.kill()
    cluster.proxyProcess?.kill()
    cluster.syncerProcess?.kill()
  }

  /** A joiner knows the list before it starts; the others learn of it at some time, in the order of its epochs. */
  #tell(
    clusters: readonly SimCluster[],
    state: MemberState,
    forced: boolean,
    more: Partial<MemberConfig> = {},
  ): void {
    const { world } = this.#simulation
    const epoch = ++this.#epoch
    for (const cluster of clusters) {
      const members = cluster.database.members.map((member): MemberConfig => {
        return member.clusterId === this.#leaver.clusterId ? { ...member, state, forced, ...more } : member
      })
      const tell = () => {
        if ((cluster.database.epoch ?? 1) < epoch) cluster.setMembers(members, epoch)
      }
      if (world.clusters.includes(cluster)) world.events.after(world.random.below(150), tell)
      else tell()
    }
  }
}

/** Runs a seed with a parting in it. */
export function partingOf(seed: number, options: PartingOptions, run: RunOptions): Simulation {
  const simulation = new Simulation(seed, { ...run, world: { ...run.world, clusters: 3 } })
  new Parting(simulation, options)
  return simulation
}
