/**
 * All sync channels of a shard: the feeds through which peers read it, the intakes through which it reads them, and what
 * makes sense only for all of them together: the causal gate, who has acknowledged what, relays for a member that is cut
 * off, and getting lost data back (`recovery.ts`).
 */

import type { Published } from '#protocol/pubsub/messages.ts'
import { overlap, type SlotRange } from '#protocol/slots/slotMap.ts'
import type { Answer, AppliedRange, Heartbeat, Plan, StaleRun, Subscribe } from '#protocol/sync/message.ts'
import type { AppliedAt } from '#protocol/sync/relayMessage.ts'
import {
  type ClusterId,
  clusterOfOrigin,
  type Origin,
  originOf,
  originOfCluster,
  originsMax,
  type Stamp,
} from '#protocol/sync/stamp.ts'
import { slotStatePartBytesMax } from '#protocol/sync/stateMessage.ts'
import { Acknowledgements } from './acknowledgements.ts'
import type { AppliedQuestion } from './appliedQuestions.ts'
import { Feed, type FeedOwner } from './feed.ts'
import { causalDelivery, Gate } from './gate.ts'
import { Intake, slotStateBytesMax } from './intake.ts'
import type { IntakeOwner } from './intakeOwner.ts'
import type { LocalShard, SyncChannel } from './localShard.ts'
import { finalStamps, hasReached, lastStamps, type Membership, type SlotStamps } from './membership.ts'
import { MemberWatch } from './memberWatch.ts'
import { OfferRounds } from './offerRounds.ts'
import { type Lag, PeerProgress } from './peerProgress.ts'
import { PeerSyncs } from './peerSyncs.ts'
import { Recovery } from './recovery.ts'
import { Relays } from './relays.ts'
import { StateTurns } from './stateTurns.ts'
import { StateWork } from './stateWork.ts'
import type {
  ChannelEnd,
  ReplicationOptions,
  ReplicationPorts,
  ReplicationVariations,
  SyncLimits,
  SyncTimings,
} from './syncOptions.ts'

const newSoundIntake = (...of: ConstructorParameters<typeof Intake>) => new Intake(...of)

/** After so many intervals a heartbeat is overdue: it waits for a tick of its sender, and for its own way. */
const lateHeartbeats = 1.5
/** Of a slot that is cut in one step. */
const cutBytesWanted = 64 * 1024

const allOrigins = (1 << originsMax) - 1

export class Replication implements FeedOwner, IntakeOwner {
  readonly acknowledgements: Acknowledgements
  readonly gate: Gate
  readonly progress: PeerProgress
  readonly runId: string
  /** Peers are asked to say when they have applied the own operations up to there. */
  wantedStamp: Stamp = 0
  readonly own: Origin
  readonly #options: ReplicationOptions
  #limits: SyncLimits
  #timings: SyncTimings
  readonly #shard: LocalShard
  readonly #ports: ReplicationPorts
  readonly #variations: ReplicationVariations
  readonly #feeds = new Set<Feed>()
  readonly #intakes = new Set<Intake>()
  readonly #watch: MemberWatch
  readonly #syncs = new Map<Origin, PeerSyncs>()
  #membership: Membership
  readonly #recovery: Recovery
  readonly #stateTurns = new StateTurns(this)
  readonly relays: Relays
  readonly #offerRounds: OfferRounds
  /** Counters for INFO: slot states and operations asked for, and peers that the log had left behind. */
  slotStatesAsked = 0
  operationsAsked = 0
  /** Slot states joined here. */
  joinedStates = 0
  peersLeftBehind = 0
  #heartbeatDueMs = 0
  #pumpAgain = false
  /** Slot states are not sent before. */
  #statesResumeMs = 0
  /** A peer waits until something of its own is durable here. */
  #awaitsLog = false
  readonly #stateWork: StateWork

  constructor(
    options: ReplicationOptions,
    shard: LocalShard,
    ports: ReplicationPorts,
    variations: ReplicationVariations = {},
  ) {
    this.#options = options
    this.#limits = options.limits
    this.#timings = options.timings
    this.#shard = shard
    this.#ports = ports
    this.#variations = variations
    this.own = originOfCluster(options.clusterId)
    this.runId = options.runId
    this.#recovery = new Recovery(this.own, options.ranges, this.#intakes, options.stale)
    this.#stateWork = new StateWork(shard, this.#intakes, ports, variations, () => this.pump())
    this.relays = new Relays(shard.log, this.#intakes)
    this.#offerRounds = new OfferRounds(shard.log, ports.timers, this.#feeds)
    this.#membership = options.membership
    const members = options.membership.members.map(originOfCluster)
    this.acknowledgements = new Acknowledgements(this.own, options.ranges, members)
    this.progress = new PeerProgress(this.own, options.ranges, shard, this.nowMs)
    this.gate = new Gate(
      shard,
      { ...options.limits, ...options.timings },
      variations.delivery ?? causalDelivery,
    )
    this.#watch = new MemberWatch(options.ranges, options.timings, ports.clock.monotonicMs())
    this.#offerRounds.wanted = options.causalConsistency
    this.gate.tick(this.nowMs, ports.clock.wallMs())
    this.#checkRecovered()
  }

  get nowMs(): number {
    return this.#ports.clock.monotonicMs()
  }

  get stale(): boolean {
    return this.#recovery.stale
  }

  get staleRuns(): readonly StaleRun[] {
    return this.#recovery.staleRuns
  }

  /** The last time that lost data came back slot states were among it. */
  get recoveredWithStates(): boolean {
    return this.#recovery.withStates
  }

  get feeds(): Iterable<Feed> {
    return this.#feeds
  }

  get intakes(): Iterable<Intake> {
    return this.#intakes
  }

  /** A shard of cluster `peer` reads this one. */
  openFeed(channel: SyncChannel, peer: ClusterId, ranges: readonly SlotRange[]): ChannelEnd {
    const { slotStatePartBytes = slotStatePartBytesMax, cutBytes = cutBytesWanted } = this.#variations
    const limits = { ...this.#limits, slotStatePartBytes, cutBytes }
    const syncs = this.syncsOf(originOfCluster(peer))
    const feed = new Feed(channel, originOfCluster(peer), ranges, limits, this.#shard, this)
    this.#feeds.add(feed)
    this.#setShipping()
    return syncs.countedEnd(feed, () => {
      feed.closed()
      this.#dropFeed(feed)
    })
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
    const origins = this.#wantedOf(origin)
    const options = { peer: origin, sourceShard, ranges, origins, slotStateBytesMax: bytesMax }
    const syncs = this.syncsOf(origin)
    const intake = newIntake(channel, options, this.#shard, this.gate, this)
    this.#intakes.add(intake)
    return syncs.countedEnd(intake, () => {
      intake.closed()
      this.#intakes.delete(intake)
    })
  }

  /** Other limits and timings hold from now on, for what is open, too. */
  configure(limits: SyncLimits, timings: SyncTimings): void {
    this.#limits = limits
    this.#timings = timings
    this.gate.limits = { ...limits, ...timings }
    this.#watch.timings = timings
    for (const feed of this.#feeds) feed.linkInflightBytesMax = limits.linkInflightBytesMax
  }

  /** Of another member, since the start. */
  syncsOf(member: Origin): PeerSyncs {
    let syncs = this.#syncs.get(member)
    if (syncs === undefined) {
      syncs = new PeerSyncs()
      this.#syncs.set(member, syncs)
    }
    return syncs
  }

  setCausalConsistency(causalConsistency: boolean): void {
    this.#offerRounds.wanted = causalConsistency
  }

  setMembership(membership: Membership): void {
    this.#membership = membership
    const origins = membership.members.map(originOfCluster)
    for (const member of this.acknowledgements.members) if (!origins.includes(member)) this.#forget(member)
    this.acknowledgements.setMembers(origins)
    for (const clusterId of membership.blocked) this.#block(originOfCluster(clusterId))
    this.#checkRecovered()
    this.#ports.onProgress()
  }

  /** The other members. */
  get peers(): readonly Origin[] {
    return this.acknowledgements.members.filter((member) => member !== this.own)
  }

  published(published: Published): void {
    this.#ports.onPublished(published)
  }

  /** All own operations so far are asked for, or those up to a stamp; `pump` sends the questions. */
  wantApplied(stamp: Stamp = this.#shard.lastStamp): void {
    this.wantedStamp = Math.max(this.wantedStamp, stamp)
  }

  /** What the member is not known to have of the own operations. */
  lag(member: Origin): Lag {
    const acknowledged = this.acknowledgements.least(member, this.own)
    return this.progress.lag(member, acknowledged, this.#ports.clock.wallMs())
  }

  /**
   * How long it may be since this shard last had all that the member had issued: 0 while heartbeats prove that it has, else
   * the time since one did, and at least the age of what is held.
   */
  behindMs(member: Origin): number {
    let behindMs = this.progress.behindMs(member, this.nowMs, lateHeartbeats * this.#timings.heartbeatMs)
    for (const { peer, heldMs } of this.#intakes) if (peer === member) behindMs = Math.max(behindMs, heldMs)
    return Math.floor(behindMs)
  }

  /** All own operations up to this stamp are applied and durable at the member, in all slots of this shard. */
  appliedAt(member: Origin): Stamp {
    return Math.max(this.progress.stamp(member), this.acknowledgements.least(member, this.own))
  }

  /**
   * What this shard has of a member that is on its way out; null: it can't say yet. It says so only once nothing can come
   * from the member itself (it is blocked, or it is this cluster, which writes no more), and when this shard lost its data,
   * once it has got back what the others have.
   */
  report(clusterId: ClusterId): SlotStamps | null {
    const { members, blocked, leaving } = this.#membership
    const origin = originOfCluster(clusterId)
    const isQuiet = origin === this.own ? leaving : blocked.includes(clusterId)
    if (
      !isQuiet ||
      (this.#recovery.stale && !this.#recovery.haveAnswered(members.filter((id) => !blocked.includes(id))))
    )
      return null
    return finalStamps(this.#shard.vectors, this.#options.ranges, origin)
  }

  /** Whether this shard has all that the others know of a member, and nothing beyond: it may go. */
  hasReached(clusterId: ClusterId, final: SlotStamps): boolean {
    return hasReached(this.#shard.vectors, this.#options.ranges, originOfCluster(clusterId), final)
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
    this.#stateTurns.next()
    this.#checkRecovered()
    if (this.nowMs >= this.#heartbeatDueMs) {
      this.#heartbeatDueMs = this.nowMs + this.#timings.heartbeatMs
      for (const feed of this.#feeds) feed.heartbeat()
      // Found while the log's window still has it.
      for (const peer of this.peers) this.lag(peer)
    }
    this.pump()
  }

  /** After each turn in which something came or was applied, and when more of the log has become shippable. */
  pump(): void {
    const more = this.#pumpFeeds()
    let awaitsLog = false
    for (const intake of this.#intakes) {
      intake.acknowledge()
      intake.confirm()
      awaitsLog ||= intake.awaitsLog
    }
    if (this.relays.takeNews()) for (const feed of this.#feeds) feed.askApplied()
    this.#awaitsLog = awaitsLog
    this.#setShipping()
    this.#stateWork.soon()
    if (!more || this.#pumpAgain) return
    this.#pumpAgain = true
    this.#ports.timers.after(Math.max(0, this.#statesResumeMs - this.nowMs), () => {
      this.#pumpAgain = false
      this.pump()
    })
  }

  /** Slot states get no more than half of the time: clients are served in the other. True: there is more to do. */
  #pumpFeeds(): boolean {
    let sendsStates = false
    for (const feed of this.#feeds) sendsStates ||= feed.isSendingStates
    const startMs = sendsStates ? this.nowMs : 0
    const withStates = !sendsStates || startMs >= this.#statesResumeMs
    let more = sendsStates && !withStates
    for (const feed of this.#feeds) more = feed.pump(withStates) || more
    if (sendsStates && withStates) this.#statesResumeMs = 2 * this.nowMs - startMs
    return more
  }

  /** Whether a state of the slot is on its way out of or into this shard: no residue of it may be dropped (rule A6). */
  inTransfer(slot: number): boolean {
    for (const feed of this.#feeds) if (feed.isCutting(slot)) return true
    for (const intake of this.#intakes) if (intake.isStaging(slot)) return true
    return this.#shard.isJoining(slot)
  }

  applied(ranges: readonly SlotRange[]): AppliedRange[] {
    return this.acknowledgements.applied(ranges, this.#shard.lastStamp, this.#appliedOfRemoved())
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

  asked(intake: Intake, slot: number, answer: Answer): void {
    if (answer === 'state') this.slotStatesAsked++
    else this.operationsAsked++
    const facts = { peer: clusterOfOrigin(intake.peer), slot, answer }
    this.#ports.logger.debug(facts, 'something is missing: the sender of what needs it is asked')
  }

  statesDue(intake: Intake): void {
    this.#stateTurns.due(intake)
  }

  statesEnd(intake: Intake): void {
    this.#stateTurns.end(intake)
  }

  /** All members have said what they have. */
  get allAnswered(): boolean {
    return this.#recovery.covers(this.#membership.members, ({ hasAnswered }) => hasAnswered)
  }

  merged(slot: number, sender: Origin): void {
    this.joinedStates++
    for (const feed of this.#feeds) feed.merged(slot, sender)
  }

  planned(intake: Intake, plan: Plan): void {
    this.syncsOf(intake.peer).planned(plan, intake.hadSomething)
    this.#recovery.planned(intake, plan)
    this.#stateTurns.next()
  }

  sourceTurned({ peer, sourceShard, sourceRefusing }: Intake): void {
    const facts = { peer: clusterOfOrigin(peer), shard: sourceShard }
    const { logger } = this.#ports
    if (sourceRefusing)
      logger.warn(facts, "a peer takes no operations: its memory is full or its log can't be written")
    else logger.info(facts, 'a peer takes operations again')
  }

  heard(intake: Intake, heartbeat: Heartbeat, proves: boolean): void {
    const { peer, sourceShard, ranges } = intake
    this.#watch.heard(peer, sourceShard, ranges, this.nowMs)
    if (heartbeat.stale) this.#forget(peer)
    else if (proves) {
      this.acknowledgements.record(peer, sourceShard, heartbeat.ranges)
      this.progress.proved(peer, sourceShard, ranges, this.nowMs)
      this.#ports.onProgress()
    }
  }

  subscribed({ peer, ranges }: Feed, stamp: Stamp): void {
    this.progress.subscribed(peer, ranges, stamp)
  }

  confirmed({ peer, ranges }: Feed, question: AppliedQuestion): void {
    this.progress.confirmed(peer, ranges, question)
    this.#ports.onProgress()
  }

  appliedElsewhere(applied: AppliedAt): void {
    const { members, blocked } = this.#membership
    const { member, stamp, ranges } = applied
    if (!members.includes(member) || blocked.includes(member) || originOfCluster(member) === this.own) return
    if (originOf(stamp) === this.own) this.progress.relayed(originOfCluster(member), ranges, stamp)
    else this.relays.appliedElsewhere(applied)
    this.#ports.onProgress()
  }

  /** It lost its data, or is getting it back. */
  #forget(member: Origin): void {
    this.acknowledgements.forget(member)
    this.progress.forget(member)
    this.relays.forget(member)
    this.#ports.onProgress()
  }

  refused(end: Feed | Intake, reason: string): void {
    const kind = end instanceof Feed ? 'feed' : 'intake'
    this.#ports.logger.warn({ peer: clusterOfOrigin(end.peer), kind, reason }, 'sync channel closed')
    if (end instanceof Feed) this.#dropFeed(end)
    else this.#intakes.delete(end)
  }

  /**
   * Takes nothing more from a member that is being forced out, and forgets what it acknowledged (rule A10). What it sent
   * and is held here goes with its channels. What others relay of it they have applied, so all will know of it.
   */
  #block(member: Origin): void {
    this.#forget(member)
    const reason = 'the member is being removed'
    for (const intake of [...this.#intakes]) if (intake.peer === member) intake.refuse(reason)
    for (const feed of [...this.#feeds]) if (feed.peer === member) feed.refuse(reason)
  }

  /**
   * Of origins that are no members any more. Everybody had all of theirs when they went, but a power cut may have taken the
   * end of it here: it has come back when all members have told what they have.
   */
  #appliedOfRemoved(): Map<Origin, Stamp> {
    const { members, removed } = this.#membership
    if (removed.length === 0 || !this.#recovery.haveAnswered(members)) return new Map()
    return lastStamps(this.#shard.vectors, this.#options.ranges, removed)
  }

  #dropFeed(feed: Feed): void {
    this.#feeds.delete(feed)
    this.#setShipping()
  }

  #setShipping(): void {
    const { log } = this.#shard
    const shipping = this.#feeds.size > 0 || this.#awaitsLog
    if (log.shipping !== shipping) log.shipping = shipping
  }

  /** Takes nothing more of what earlier runs of the member have sent for these slots, by whichever way. */
  #fenceMember(member: Origin, runs: readonly string[], ranges: readonly SlotRange[]): void {
    if (member === this.own) return
    this.#forget(member)
    for (const intake of [...this.#intakes]) {
      if (overlap(ranges, intake.ranges).length === 0) continue
      if (intake.peer === member && (intake.sourceRunId === null || !runs.includes(intake.sourceRunId))) {
        intake.refuse('the source has lost its data: its former life has ended')
      } else if (intake.held.dropOrigin(member)) intake.subscribe()
    }
  }

  /** The peer's own operations; those of members that are silent, or gone; all, when the own data is lost. */
  #wantedOf(peer: Origin): number {
    if (this.#recovery.stale) return allOrigins
    const { blocked, removed } = this.#membership
    let wanted = 1 << peer
    for (const clusterId of [...blocked, ...removed]) wanted |= 1 << originOfCluster(clusterId)
    for (const member of this.peers)
      if (member !== peer && this.#watch.isSilent(member, this.nowMs)) wanted |= 1 << member
    return wanted
  }

  #checkRecovered(): void {
    if (!this.#recovery.ends(this.#membership.members)) return
    this.#ports.logger.info({}, 'lost data has come back from all members')
    this.#ports.onRecovered()
  }
}
