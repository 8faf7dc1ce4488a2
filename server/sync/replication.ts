/**
 * All sync channels of a shard: the feeds through which peers read it, the intakes through which it reads them, and what
 * makes sense only for all of them together: the causal gate, who has acknowledged what, relays for a member that is cut
 * off, and getting lost data back.
 *
 * A shard whose data is lost is STALE (rules A11-A15, D1): it has given operations and acknowledgements to the peers that it
 * doesn't know any more. It takes no writes until every member has answered a stale subscribe and everything in the
 * answers is applied here; it asks for the operations of all origins, its own among them. Who answers it first fences its
 * former life: from then on nothing is taken that an earlier run of it has sent, else that operation would be missing from
 * the answer. If one of those who answer is itself STALE, all others are asked once more, because what it relayed to
 * them before its own loss may not be in their answers; with the question they are told of that loss, and fence it too.
 */

import { overlap, type SlotRange } from '#protocol/slots/slotMap.ts'
import {
  type AppliedRange,
  type Heartbeat,
  type Plan,
  type StaleRun,
  type Subscribe,
  slotStatePartBytesMax,
} from '#protocol/sync/message.ts'
import {
  type ClusterId,
  clusterOfOrigin,
  type Origin,
  originOfCluster,
  originsMax,
} from '#protocol/sync/stamp.ts'
import type { Clock, Logger, Timers } from '#runtime/ports.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { Feed, type FeedOwner } from './feed.ts'
import { causalDelivery, type DeliveryRule, Gate } from './gate.ts'
import { Intake, type IntakeOwner, slotStateBytesMax } from './intake.ts'
import type { LocalShard, SyncChannel } from './localShard.ts'
import { MemberWatch } from './memberWatch.ts'
import { rangesCover } from './slotSet.ts'

export interface SyncLimits {
  /** Sent on a channel and not acknowledged yet; at most one message more. */
  linkInflightBytesMax: number
  /** Records that wait for an operation they depend on, of all channels. */
  holdQueueBytesMax: number
}

export interface SyncTimings {
  heartbeatMs: number
  /** Without a heartbeat for so long a member counts as cut off and the others relay its operations. */
  linkDownMs: number
  /** A record held for longer asks its sender for the state of the slot that holds it up. */
  holdMs: number
  /** Operations whose stamp is further ahead of the wall clock are held. */
  futureHoldMs: number
}

export interface ReplicationOptions {
  clusterId: ClusterId
  /** All members of the database, this cluster included. */
  members: readonly ClusterId[]
  ranges: readonly SlotRange[]
  /** Of this process; another one after every start. */
  runId: string
  /** The data was lost and must come back from the members before anything may be written. */
  stale: boolean
  limits: SyncLimits
  timings: SyncTimings
}

export interface ReplicationPorts {
  clock: Clock
  timers: Timers
  logger: Logger
  /** All members have answered: from now on writes may be accepted. */
  onRecovered(): void
}

/** What the simulation varies: sizes, and parts that it replaces by wrong ones to see that it notices. */
export interface ReplicationVariations {
  slotStatePartBytes?: number
  slotStateBytesMax?: number
  delivery?: DeliveryRule
  newIntake?: (...of: ConstructorParameters<typeof Intake>) => Intake
}

/** What the shard does with a channel that is open. */
export interface ChannelEnd {
  receive(bytes: Uint8Array, start: number, end: number): void
  /** The other side, or the connection, is gone. */
  closed(): void
}

const newSoundIntake = (...of: ConstructorParameters<typeof Intake>) => new Intake(...of)

const allOrigins = (1 << originsMax) - 1

export class Replication implements FeedOwner, IntakeOwner {
  readonly acknowledgements: Acknowledgements
  readonly gate: Gate
  readonly runId: string
  readonly #own: Origin
  readonly #options: ReplicationOptions
  readonly #shard: LocalShard
  readonly #ports: ReplicationPorts
  readonly #variations: ReplicationVariations
  readonly #feeds = new Set<Feed>()
  readonly #intakes = new Set<Intake>()
  readonly #watch: MemberWatch
  #stale: boolean
  /** Stale runs of other members that have answered while this shard is stale. */
  readonly #staleRuns = new Map<string, StaleRun>()
  /** Counters for INFO: slot states asked for, and peers that the log had left behind. */
  slotStatesAsked = 0
  peersLeftBehind = 0
  #heartbeatDueMs = 0
  #pumpAgain = false

  constructor(
    options: ReplicationOptions,
    shard: LocalShard,
    ports: ReplicationPorts,
    variations: ReplicationVariations = {},
  ) {
    this.#options = options
    this.#shard = shard
    this.#ports = ports
    this.#variations = variations
    this.#own = originOfCluster(options.clusterId)
    this.runId = options.runId
    this.#stale = options.stale
    const members = options.members.map(originOfCluster)
    this.acknowledgements = new Acknowledgements(this.#own, options.ranges, members)
    this.gate = new Gate(
      shard,
      { ...options.limits, ...options.timings },
      variations.delivery ?? causalDelivery,
    )
    this.#watch = new MemberWatch(options.ranges, options.timings.linkDownMs, ports.clock.monotonicMs())
    this.gate.tick(this.nowMs, ports.clock.wallMs())
    this.#checkRecovered()
  }

  get nowMs(): number {
    return this.#ports.clock.monotonicMs()
  }

  get stale(): boolean {
    return this.#stale
  }

  get staleRuns(): readonly StaleRun[] {
    return [...this.#staleRuns.values()]
  }

  get feeds(): Iterable<Feed> {
    return this.#feeds
  }

  get intakes(): Iterable<Intake> {
    return this.#intakes
  }

  /** A shard of cluster `peer` reads this one. */
  openFeed(channel: SyncChannel, peer: ClusterId, ranges: readonly SlotRange[]): ChannelEnd {
    const { slotStatePartBytes = slotStatePartBytesMax } = this.#variations
    const limits = { ...this.#options.limits, slotStatePartBytes }
    const feed = new Feed(channel, originOfCluster(peer), ranges, limits, this.#shard, this)
    this.#feeds.add(feed)
    this.#shard.log.shipping = true
    return {
      receive: (bytes, start, end) => feed.receive(bytes, start, end),
      closed: () => {
        feed.closed()
        this.#dropFeed(feed)
      },
    }
  }

  /** This shard reads shard `sourceShard` of cluster `peer`. */
  openIntake(
    channel: SyncChannel,
    peer: ClusterId,
    sourceShard: number,
    ranges: readonly SlotRange[],
  ): ChannelEnd {
    const origin = originOfCluster(peer)
    const { newIntake = newSoundIntake, slotStateBytesMax: bytesMax = slotStateBytesMax } = this.#variations
    const options = {
      peer: origin,
      sourceShard,
      ranges,
      origins: this.#wantedOf(origin),
      slotStateBytesMax: bytesMax,
    }
    const intake = newIntake(channel, options, this.#shard, this.gate, this)
    this.#intakes.add(intake)
    return {
      receive: (bytes, start, end) => intake.receive(bytes, start, end),
      closed: () => {
        intake.closed()
        this.#intakes.delete(intake)
      },
    }
  }

  setMembers(members: readonly ClusterId[]): void {
    this.acknowledgements.setMembers(members.map(originOfCluster))
    this.#checkRecovered()
  }

  /** At least every few tens of milliseconds. */
  tick(): void {
    const { clock } = this.#ports
    this.gate.tick(this.nowMs, clock.wallMs())
    for (const intake of this.#intakes) {
      intake.tick()
      const wanted = this.#wantedOf(intake.peer)
      if (wanted !== intake.origins) intake.subscribe(wanted)
    }
    this.#checkRecovered()
    if (this.nowMs >= this.#heartbeatDueMs) {
      this.#heartbeatDueMs = this.nowMs + this.#options.timings.heartbeatMs
      for (const feed of this.#feeds) feed.heartbeat()
    }
    this.pump()
  }

  /** After each turn in which something came or was applied, and when more of the log has become shippable. */
  pump(): void {
    let more = false
    for (const feed of this.#feeds) more = feed.pump() || more
    for (const intake of this.#intakes) intake.acknowledge()
    if (!more || this.#pumpAgain) return
    this.#pumpAgain = true
    this.#ports.timers.after(0, () => {
      this.#pumpAgain = false
      this.pump()
    })
  }

  /** Whether a state of the slot is on its way out of or into this shard: no residue of it may be dropped (rule A6). */
  inTransfer(slot: number): boolean {
    for (const feed of this.#feeds) if (feed.isCutting(slot)) return true
    for (const intake of this.#intakes) if (intake.isStaging(slot)) return true
    return false
  }

  applied(ranges: readonly SlotRange[]): AppliedRange[] {
    return this.acknowledgements.applied(ranges, this.#shard.lastStamp)
  }

  fence(feed: Feed, subscribe: Subscribe): void {
    const lost = [{ clusterId: clusterOfOrigin(feed.peer), runId: subscribe.runId }, ...subscribe.staleRuns]
    for (const clusterId of new Set(lost.map((run) => run.clusterId))) {
      const runs = lost.filter((run) => run.clusterId === clusterId).map((run) => run.runId)
      this.#fenceMember(originOfCluster(clusterId), runs, feed.ranges)
    }
  }

  fellBehind(feed: Feed): void {
    this.peersLeftBehind++
    const peer = clusterOfOrigin(feed.peer)
    this.#ports.logger.info(
      { peer },
      'a peer reads more slowly than the log moves on: it is sent slot states',
    )
  }

  asked(intake: Intake, slot: number): void {
    this.slotStatesAsked++
    const peer = clusterOfOrigin(intake.peer)
    this.#ports.logger.debug({ peer, slot }, 'an operation waits for another one: its sender is asked')
  }

  planned(intake: Intake, plan: Plan): void {
    if (!this.#stale || !plan.stale || this.#staleRuns.has(plan.runId)) return
    this.#staleRuns.set(plan.runId, { clusterId: clusterOfOrigin(intake.peer), runId: plan.runId })
    for (const other of this.#intakes) if (other.peer !== intake.peer) other.subscribe()
  }

  heard(intake: Intake, heartbeat: Heartbeat, proves: boolean): void {
    const { peer, sourceShard, ranges } = intake
    this.#watch.heard(peer, sourceShard, ranges, this.nowMs)
    if (heartbeat.stale) this.acknowledgements.forget(peer)
    else if (proves) this.acknowledgements.record(peer, sourceShard, heartbeat.ranges)
  }

  refused(end: Feed | Intake, reason: string): void {
    const kind = end instanceof Feed ? 'feed' : 'intake'
    this.#ports.logger.warn({ peer: clusterOfOrigin(end.peer), kind, reason }, 'sync channel closed')
    if (end instanceof Feed) this.#dropFeed(end)
    else this.#intakes.delete(end)
  }

  #dropFeed(feed: Feed): void {
    this.#feeds.delete(feed)
    this.#shard.log.shipping = this.#feeds.size > 0
  }

  /** Takes nothing more of what earlier runs of the member have sent for these slots, by whichever way. */
  #fenceMember(member: Origin, runs: readonly string[], ranges: readonly SlotRange[]): void {
    if (member === this.#own) return
    this.acknowledgements.forget(member)
    for (const intake of [...this.#intakes]) {
      if (overlap(ranges, intake.ranges).length === 0) continue
      if (intake.peer === member && (intake.sourceRunId === null || !runs.includes(intake.sourceRunId))) {
        intake.refuse('the source has lost its data: its former life has ended')
      } else if (intake.held.dropOrigin(member)) intake.subscribe()
    }
  }

  /** The peer's own operations; those of members that are silent; all, when the own data is lost. */
  #wantedOf(peer: Origin): number {
    if (this.#stale) return allOrigins
    let wanted = 1 << peer
    for (const member of this.acknowledgements.members) {
      if (member === peer || member === this.#own) continue
      if (this.#watch.isSilent(member, this.nowMs)) wanted |= 1 << member
    }
    return wanted
  }

  #checkRecovered(): void {
    if (!this.#stale) return
    for (const member of this.acknowledgements.members) {
      if (member === this.#own) continue
      const answered = [...this.#intakes].filter((intake) => intake.peer === member && intake.caughtUp)
      if (
        !rangesCover(
          this.#options.ranges,
          answered.map((intake) => intake.ranges),
        )
      )
        return
    }
    this.#ports.logger.info({}, 'lost data has come back from all members')
    this.#stale = false
    this.#staleRuns.clear()
    this.#ports.onRecovered()
  }
}
