/**
 * A shard: owner of some hash slots of a database in one cluster. A state machine without sockets, timers and files of its
 * own: bytes come in through links, time through `tick` and the ports, and what must go out is gathered over a turn (`turns.ts`).
 *
 *     link ──frames──▶ requests ──▶ execution ──▶ keyspace          turn's end: log.flush ─▶ seal ─▶ release ─▶ feeds
 *                   └▶ channels ──▶ replication ─┘  └──record──▶ log     (always: release again when the log is synced)
 */
import { readWatch, type ShardInfo } from '#protocol/frames/admin.ts'
import { type Frame, FrameKind } from '#protocol/frames/frame.ts'
import { type ChannelOpening, type Hello, jsonFrame } from '#protocol/frames/hello.ts'
import { LatencyLog } from '#protocol/frames/latency.ts'
import { shardSettingsOf } from '#protocol/frames/shardSettings.ts'
import { readTrackingChange } from '#protocol/frames/tracking.ts'
import { readSubscribed } from '#protocol/pubsub/messages.ts'
import { slotCount } from '#protocol/slots/crc16.ts'
import { includesSlot } from '#protocol/slots/slotMap.ts'
import { originOfCluster, StampClock, stampAt } from '#protocol/sync/stamp.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Clock, Connection } from '#runtime/ports.ts'
import type { PubSub } from '#server/commands/context.ts'
import { seedElementHashes } from '#server/crdt/elementTable.ts'
import { ClockLease, leaseRefusal } from '#server/log/lease.ts'
import { Log, segmentBytesMaxDefault } from '#server/log/log.ts'
import { LossMark } from '#server/log/lossMark.ts'
import { Snapshots } from '#server/log/snapshots.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import type { SyncChannel } from '#server/sync/localShard.ts'
import { type Membership, membershipOf } from '#server/sync/membership.ts'
import { publishTo } from '#server/sync/outgoing.ts'
import { Replication } from '#server/sync/replication.ts'
import type { ChannelEnd } from '#server/sync/syncOptions.ts'
import { Admin } from './admin.ts'
import { channelRefusal, helloRefusal } from './admission.ts'
import { BlockedRequests } from './blockedRequests.ts'
import { Chores } from './chores.ts'
import { ClusterWaits } from './clusterWaits.ts'
import { Eviction } from './eviction.ts'
import { Execution } from './execution.ts'
import { Expiry } from './expiry.ts'
import { Flushing } from './flushing.ts'
import { type ClockVerdict, WriteGates } from './gates.ts'
import { Lateness } from './lateness.ts'
import { Link, type LinkHost } from './link.ts'
import { LocalState } from './localState.ts'
import { Memory } from './memory.ts'
import { Notifications } from './notifications.ts'
import { Requests } from './requests.ts'
import { newRunId } from './runId.ts'
import { SettingsInForce } from './settingsInForce.ts'
import type { ShardMember, ShardOptions, ShardPorts, ShardVariations } from './shardOptions.ts'
import { newSteadyClock } from './steadyClock.ts'
import { Subscribers } from './subscribers.ts'
import { Touches } from './touches.ts'
import { Tracking } from './tracking.ts'
import { Turns } from './turns.ts'
import { Watches } from './watches.ts'

export class Shard implements LinkHost {
  readonly runId: string
  readonly #options: ShardOptions
  readonly #ports: ShardPorts
  readonly #variations: ShardVariations
  readonly #db: Keyspace
  readonly #stampClock: StampClock
  readonly #log: Log
  readonly #lease: ClockLease
  readonly #snapshots: Snapshots
  readonly #lossMark: LossMark
  readonly #gates: WriteGates
  readonly #watches: Watches
  readonly #tracking: Tracking
  readonly #state: LocalState
  readonly #execution: Execution
  readonly #blocked: BlockedRequests
  readonly #waits: ClusterWaits
  readonly #requests: Requests
  readonly #expiry: Expiry
  readonly #memory: Memory
  readonly #settings: SettingsInForce
  readonly #lateness: Lateness
  readonly #latency = new LatencyLog()
  readonly #turns: Turns
  readonly #subscribers = new Subscribers((link) => this.hasOutput(link))
  readonly #notifications: Notifications
  readonly #links = new Set<Link>()
  /** RSS before there was any data. */
  readonly #baseBytes: number
  #members: readonly ShardMember[]
  #replication: Replication | null = null
  #admin: Admin | null = null
  #chores: Chores | null = null
  #stopped = false

  constructor(options: ShardOptions, ports: ShardPorts, variations: ShardVariations = {}) {
    const { random, disk, logger } = ports
    this.#gates = new WriteGates(options.index)
    const { newClock = newSteadyClock } = variations
    const clock = newClock(ports.clock, () => this.#gates.clock.state === 'gated')
    this.#baseBytes = ports.processFacts().memoryRssBytes
    const { database, limits, ranges } = options
    this.#options = options
    this.#ports = { ...ports, clock }
    this.#variations = variations
    this.#members = database.members
    this.runId = newRunId(random)
    const origin = originOfCluster(database.clusterId)
    this.#db = this.#newKeyspace(ranges)
    seedElementHashes(random.below(2 ** 32))
    this.#notifications = this.#newNotifications()
    this.#stampClock = new StampClock(origin)
    this.#log = this.#newLog()
    this.#lease = new ClockLease(disk, logger, ports.bootId ?? '')
    this.#snapshots = this.#newSnapshots()
    this.#lossMark = new LossMark(disk, logger)
    this.#lateness = new Lateness(logger, (lateMs) => this.#latency.note('loop', lateMs, clock.wallMs()))
    const touches = new Touches(this.#db)
    this.#watches = new Watches(this.#db, touches)
    this.#tracking = new Tracking({
      db: this.#db,
      touches,
      keysMax: limits.trackingTableKeysMax,
      shardCount: database.shardCount,
      links: this.#links,
      hasOutput: (link) => this.hasOutput(link),
    })
    this.#state = new LocalState(
      this.#db,
      this.#stampClock,
      this.#log,
      (slot) => this.#newKeyspace([{ first: slot, last: slot }]),
      () => {
        this.#watches.settle()
        this.#turns.needEnd()
      },
      () => this.#memory.intakePaused,
      random,
      variations,
    )
    this.#execution = this.#newExecution(clock)
    this.#execution.functions.list = options.libraries
    const flushing = new Flushing(this.#execution, this.#db, clock, options.database.sharding)
    this.#blocked = this.#newBlocked(flushing, touches)
    this.#waits = this.#newWaits()
    this.#requests = new Requests(
      {
        execution: this.#execution,
        flushing,
        watches: this.#watches,
        tracking: this.#tracking,
        blocked: this.#blocked,
        waits: this.#waits,
        keyCount: () => this.#db.size,
        commit: (link) => this.#turns.commitEarly(link),
      },
      limits.watchedKeysMax,
    )
    this.#expiry = new Expiry(this.#execution, this.#db, clock, random)
    const eviction = new Eviction(this.#execution, this.#db, clock, random)
    this.#memory = new Memory(
      this.#db,
      eviction,
      () => this.#baseBytes + this.#log.backlog.sizeBytes + this.#db.expiryBytes,
      database.shardCount,
      database,
      logger,
    )
    this.#turns = this.#newTurns(clock)
    this.#settings = this.#newSettings()
  }

  #newSettings(): SettingsInForce {
    return new SettingsInForce(shardSettingsOf(this.#options), (settings) => {
      this.#memory.configure(settings)
      this.#execution.streamIdMode = settings.streamIdMode
      this.#notifications.letters = settings.notifyKeyspaceEvents
      this.#tracking.keysMax = settings.trackingTableKeysMax
    })
  }

  #newTurns(clock: Clock): Turns {
    return new Turns({
      log: this.#log,
      gates: this.#gates,
      timing: this.#execution.timing,
      tracking: this.#tracking,
      notifications: this.#notifications,
      latency: this.#latency,
      clock,
      timers: this.#ports.timers,
      replication: () => this.#replication,
      coverStamps: () => this.#coverStamps(),
      beforeEnd: () => this.#beforeTurnEnd(),
    })
  }

  #newNotifications(): Notifications {
    const { database, limits } = this.#options
    return new Notifications(
      {
        events: this.#db.events,
        subscribers: this.#subscribers,
        logger: this.#ports.logger,
        onWaiting: () => this.#turns.needEnd(),
      },
      database.notifyKeyspaceEvents,
      limits.keyEventsBytesMax,
    )
  }

  get hello(): Hello {
    const { index, ranges } = this.#options
    return { role: 'shard', index, ranges: [...ranges], runId: this.runId }
  }

  get replication(): Replication {
    const replication = this.#replication
    invariant(replication !== null, 'the shard is open')
    return replication
  }

  /** For tests and checks: what is stored, seen past all doors. */
  get db(): Keyspace {
    return this.#db
  }

  get log(): Log {
    return this.#log
  }

  /** Brings back what the log holds. Throws `LogRefusal` or `DiskError`. */
  open(): void {
    for (const _ of this.opening());
  }

  /** The same in steps; yields the bytes read so far, of the snapshot and then of the log. */
  *opening(): Generator<number, void, void> {
    const { clock, logger } = this.#ports
    const { index, initialised, database } = this.#options
    const former = this.#lease.open()
    this.#db.nowMs = Math.floor(clock.wallMs())
    const recovered = yield* this.#log.recover(
      (bytes, start, end, bytesLeft) => this.#state.replay(bytes, start, end, bytesLeft),
      (slot, label, bytes, start, end) => this.#state.load(slot, label, bytes, start, end),
    )
    this.#state.replayEnds()
    const isKept = recovered.found && database.persistence !== 'none'
    const isWhole = recovered.found && recovered.tear === null && (recovered.closed || former.sameBoot)
    // With the whole log the clock goes on from its last stamp; else stamps may have been given that nobody here knows of.
    this.#lease.startMs = isWhole ? former.startMs : former.endMs
    if (this.#lease.startMs > 0) this.#stampClock.raise(stampAt(this.#lease.startMs, this.#stampClock.origin))
    this.#gates.setLeaseFailure(leaseRefusal(() => this.#lease.renew(clock.wallMs(), this.#stampClock.last)))
    const lost = (initialised && !isKept) || this.#lossMark.isSet
    // Before the log begins: an empty log without the mark would look like that of a new shard.
    if (lost && database.persistence !== 'none') this.#lossMark.set()
    const snapshotPosition = this.#log.chain.snapshot?.position ?? null
    this.#log.start()
    this.#start(lost)
    this.#snapshots.start()
    const positions = { snapshotPosition, position: recovered.end }
    const facts = { shard: index, keys: this.#db.size, ...positions, runId: this.runId }
    logger.info({ ...facts, stale: this.replication.stale }, 'shard is open')
  }

  /** A new connection; the other side says hello first. */
  accept(connection: Connection): void {
    if (this.#stopped) {
      connection.destroy()
      return
    }
    const link = new Link(connection, this)
    connection.handler = link
    this.#links.add(link)
  }

  setClock(verdict: ClockVerdict): void {
    this.#gates.setClock(verdict)
  }

  /** Takes over what may change while the shard runs. */
  configure(options: ShardOptions): void {
    this.#members = options.database.members
    const membership = this.#takeMembers()
    this.#log.isShared = membership.members.length > 1
    this.#log.backlogSetting = options.limits.backlogBytesMax
    this.replication.configure(options.limits, options.timings)
    this.replication.setMembership(membership)
    this.replication.setCausalConsistency(options.database.causalConsistency)
    this.#settings.configure(shardSettingsOf(options))
    this.#notifications.bytesMax = options.limits.keyEventsBytesMax
    this.#requests.watchedKeysMax = options.limits.watchedKeysMax
    this.#blocked.blocking.clientsMax = options.limits.blockedClientsMax
    this.#execution.transactionCommandsMax = options.limits.transactionCommandsMax
    this.#execution.scripts.limits = options.limits
    this.#execution.functions.heapBytesMax = options.limits.scriptMemoryBytesMax
    this.#execution.functions.list = options.libraries
    this.#snapshots.limits = options.limits
  }

  status(): ShardInfo {
    invariant(this.#admin !== null, 'the shard is open')
    return this.#admin.info()
  }

  /** Finishes what has begun, makes it durable, and closes the links; then calls `done`. */
  drain(done: () => void): void {
    this.#stopped = true
    this.#turns.stop()
    for (const link of this.#links) link.stopReading()
    this.#snapshots.stop()
    this.#turns.commit()
    this.#log.drain(() => {
      this.#log.stop()
      this.#release()
      for (const link of [...this.#links]) link.close('the shard stops')
      done()
    })
  }

  /** The end of a process in a simulation: nothing is called back any more. */
  stop(): void {
    this.#stopped = true
    this.#turns.stop()
    this.#blocked.blocking.stop()
    this.#snapshots.stop()
    this.#log.stop()
  }

  admission(hello: Hello): string | null {
    return helloRefusal(hello, this.#options.database)
  }

  beginStep(): void {
    this.#execution.beginStep()
  }

  endStep(): void {
    this.#execution.endStep()
  }

  get isStepLong(): boolean {
    return this.#execution.timing.isStepLong
  }

  later(run: () => void): void {
    this.#ports.timers.after(0, run)
  }

  execute(link: Link, frame: Frame): void {
    const wasFlushing = this.#requests.isFlushing
    this.#requests.execute(link, frame)
    if (this.#requests.isFlushing && !wasFlushing) this.#chores?.flush()
    this.#turns.commitIfFull(link)
  }

  ask(link: Link, tag: number, question: unknown): void {
    const tell = (answer: unknown): void => {
      if (link.isClosed) return
      link.outbox.addFrame(jsonFrame(FrameKind.adminReply, tag, answer))
      this.hasOutput(link)
    }
    if (this.#takeNews(link, question)) tell({})
    else this.answer(question, tell)
  }

  /** What the proxy tells of its clients; false: it is a question. */
  #takeNews(link: Link, question: unknown): boolean {
    const subscribed = readSubscribed(question)
    const tracking = readTrackingChange(question)
    const watch = readWatch(question)
    if (subscribed !== null) for (const change of subscribed) this.#subscribers.set(link, change)
    else if (tracking !== null) this.#tracking.change(link, tracking)
    else if (watch !== null) {
      const { slowerThanUs, latencyThresholdMs, isTracking } = watch
      this.#execution.timing.configure(slowerThanUs, latencyThresholdMs, isTracking)
      link.monitors = watch.monitors
    } else return false
    return true
  }

  /** Of `protocol/frames/admin.ts`; it may take several turns. */
  answer(question: unknown, answered: (answer: unknown) => void): void {
    invariant(this.#admin !== null, 'the shard is open')
    const steps = this.#admin.answer(question)
    const step = (): void => {
      if (this.#stopped) return
      const next = steps.next()
      if (next.done === true) answered(next.value)
      else this.#ports.timers.after(next.value, step)
    }
    step()
  }

  openChannel(opening: ChannelOpening, channel: SyncChannel): ChannelEnd | string {
    const { index, ranges, database } = this.#options
    const facts = { index, ranges, clusterId: database.clusterId, members: this.#members }
    const refusal = channelRefusal(opening, facts)
    if (refusal !== null) return refusal
    const { role, peer, shard } = opening
    return role === 'feed'
      ? this.replication.openFeed(channel, peer, opening.ranges)
      : this.replication.openIntake(channel, peer, shard, opening.ranges)
  }

  hasOutput(link: Link): void {
    this.#turns.hasOutput(link)
  }

  closed(link: Link, reason: string): void {
    this.#links.delete(link)
    this.#turns.forget(link)
    this.#requests.forget(link)
    this.#subscribers.forget(link)
    this.#ports.logger.info({ link: link.peerName, reason }, 'link closed')
  }

  #newExecution(clock: Clock): Execution {
    const { random, logger, scripting } = this.#ports
    const { ranges, database, limits } = this.#options
    return new Execution(
      {
        db: this.#db,
        stampClock: this.#stampClock,
        log: this.#log,
        gates: this.#gates,
        watches: this.#watches,
        tracking: this.#tracking,
        clock,
        random,
        logger,
        pubsub: this.#newPubSub(),
        sharded: database.sharding,
        hasOtherShards: database.shardCount > 1,
        owns: (slot) => includesSlot(ranges, slot),
        scripting,
        scriptLimits: limits,
        latency: this.#latency,
        hasOutput: (link) => this.hasOutput(link),
        scriptCalled: (bytes, end) => this.#showScriptCall(bytes, end),
        beforeWrite: (nowMs) => this.#renewLease(nowMs),
        makeRoom: () => this.#memory.makeRoom(),
      },
      limits.transactionCommandsMax,
      database.streamIdMode,
    )
  }

  #showScriptCall(bytes: Uint8Array, end: number): void {
    for (const link of this.#links) {
      if (!link.monitors) continue
      link.outbox.addMessage(FrameKind.monitored, 0, bytes.subarray(0, end))
      this.hasOutput(link)
    }
  }

  #newPubSub(): PubSub {
    const subscribers = this.#subscribers
    return {
      publish: (published) => {
        publishTo(this.#replication?.feeds ?? [], published)
        return subscribers.deliver(published)
      },
      names: (kind) => subscribers.names(kind),
      count: (kind) => subscribers.count(kind),
      clientsOf: (kind, name) => subscribers.clientsOf(kind, name),
    }
  }

  #newWaits(): ClusterWaits {
    return new ClusterWaits({
      replication: () => this.replication,
      lastStamp: () => this.#stampClock.last,
      refusal: () => this.#blocked.blocking.refusal(this.#waits.count),
      needTurnEnd: (link) => this.hasOutput(link),
    })
  }

  /** Each with hashes of its own: keys that come in the order of their hashes would fill an index unevenly. */
  #newKeyspace(ranges: ShardOptions['ranges']): Keyspace {
    const keyspace = {
      origin: originOfCluster(this.#options.database.clusterId),
      ranges: ranges.map(({ first, last }) => ({ first, last })),
      hashSeed: this.#ports.random.below(2 ** 32),
    }
    return this.#variations.newKeyspace?.(keyspace) ?? new Keyspace(keyspace)
  }

  #newBlocked(flushing: Flushing, touches: Touches): BlockedRequests {
    const { clock, timers } = this.#ports
    return new BlockedRequests(
      {
        db: this.#db,
        touches,
        execution: this.#execution,
        tracking: this.#tracking,
        flushing,
        clock,
        timers,
        othersWaiting: () => this.#waits.count,
        answered: (link) => this.hasOutput(link),
      },
      this.#options.limits.blockedClientsMax,
    )
  }

  #newLog(): Log {
    const { database, limits } = this.#options
    const { disk, clock, timers, logger } = this.#ports
    const { persistence, clusterId } = database
    const { segmentBytesMax = segmentBytesMaxDefault } = this.#variations
    const log = new Log(
      { persistence, clusterId, backlogBytesMax: limits.backlogBytesMax, segmentBytesMax },
      { disk, clock, timers, logger, fatal: (error) => this.#die(error) },
    )
    log.isShared = this.#members.length > 1
    log.onSynced = () => this.#synced()
    log.onSyncTook = (durationMs) => {
      if (persistence === 'always') this.#latency.note('aof-fsync-always', durationMs, clock.wallMs())
    }
    log.onFailureChange = () => {
      this.#gates.setLogFailure(log.failure)
      this.#turns.needEnd()
    }
    return log
  }

  #newSnapshots(): Snapshots {
    const { database, limits } = this.#options
    const { disk, clock, timers, logger } = this.#ports
    const db = this.#db
    const isLoggingState = () => this.#state.isLoggingState
    const source = {
      get isLoggingState() {
        return isLoggingState()
      },
      nextSlot: (from: number) => db.vectors.firstOccupied(from, slotCount - 1),
      label: (slot: number) => db.vectors.of(slot),
      isJoining: (slot: number) => db.isJoining(slot),
      encodeSlotPart: db.encodeSlotPart.bind(db),
    }
    const ports = { disk, clock, timers, logger }
    const { snapshots } = this.#variations
    return new Snapshots(this.#log, database.clusterId, source, limits, ports, snapshots)
  }

  #start(stale: boolean): void {
    const { clock, timers, logger } = this.#ports
    const { index, ranges, database, limits, timings } = this.#options
    this.#replication = new Replication(
      {
        clusterId: database.clusterId,
        membership: this.#takeMembers(),
        ranges,
        runId: this.runId,
        stale: stale || this.#self?.state === 'joining',
        causalConsistency: database.causalConsistency,
        limits,
        timings,
      },
      this.#state,
      {
        clock,
        timers,
        logger,
        onRecovered: () => this.#onRecovered(),
        onProgress: () => {
          if (this.#waits.note()) this.#turns.needEnd()
        },
        onPublished: (published) => this.#subscribers.deliver(published),
      },
      this.#variations.replication,
    )
    this.#gates.setStale(this.#replication.stale)
    const shared = {
      log: this.#log,
      execution: this.#execution,
      latency: this.#latency,
      requests: this.#requests,
      expiry: this.#expiry,
      memory: this.#memory,
      gates: this.#gates,
      snapshots: this.#snapshots,
      replication: this.#replication,
      tracking: this.#tracking,
      clock,
    }
    this.#admin = new Admin({
      ...shared,
      index,
      ranges,
      state: this.#state,
      lease: this.#lease,
      watches: this.#watches,
      blocked: this.#blocked,
      waits: this.#waits,
      subscribers: this.#subscribers,
      settings: this.#settings,
      baseBytes: this.#baseBytes,
      linkCount: () => this.#links.size,
      members: () => this.#members,
      processFacts: () => this.#ports.processFacts(),
      loopLateMs: () => this.#lateness.recentMs,
    })
    this.#chores = new Chores({
      ...shared,
      timers,
      db: this.#db,
      lossMark: this.#lossMark,
      lateness: this.#lateness,
      admin: this.#admin,
      renewLease: (nowMs) => this.#renewLease(nowMs),
      needTurnEnd: () => this.#turns.needEnd(),
      answered: (link) => this.hasOutput(link),
      isStopped: () => this.#stopped,
    })
    this.#chores.start()
  }

  get #self(): ShardMember | undefined {
    return this.#members.find((member) => member.clusterId === this.#options.database.clusterId)
  }

  #takeMembers(): Membership {
    const { state = 'active', stampFloor = 0 } = this.#self ?? {}
    this.#gates.setMember(state)
    this.#stampClock.raise(stampFloor)
    return membershipOf(this.#members, this.#options.database.clusterId)
  }

  #onRecovered(): void {
    this.#gates.setStale(false)
    this.#lossMark.recovered(this.#log.end)
  }

  /** Before stamps are given: without a lease that covers them writes are refused. */
  #renewLease(nowMs: number): void {
    const last = this.#stampClock.last
    if (this.#lease.suffices(nowMs, last) && !this.#gates.diskFails) return
    const failure = leaseRefusal(() => this.#lease.renew(nowMs, last))
    if (failure !== null || this.#gates.diskFails) this.#gates.setLeaseFailure(failure)
  }

  #beforeTurnEnd(): void {
    this.#memory.judge()
    if (this.#memory.isUrgent && this.#gates.refusal === null) this.#chores?.evictSoon()
    this.#serveBlocked()
    this.#waits.serve()
  }

  /** Changes that no command of a link made: operations of other clusters, above all. */
  #serveBlocked(): void {
    if (!this.#blocked.isDue) return
    this.#execution.beginStep()
    this.#blocked.serveAll()
    this.#execution.endStep()
  }

  /** Stamps leave the process with the log: first the lease must cover them. */
  #coverStamps(): boolean {
    const last = this.#stampClock.last
    if (this.#log.end === this.#log.written || this.#lease.covers(last)) return true
    const failure = leaseRefusal(() => this.#lease.extendOver(last))
    if (failure !== null) this.#gates.setLeaseFailure(failure)
    return failure === null
  }

  #synced(): void {
    if (this.#stopped || this.#log.persistence === 'none') return
    this.#lossMark.durable(this.#log.synced)
    this.#release()
    this.#replication?.pump()
  }

  #release(): void {
    for (const link of this.#links) link.release(this.#log.synced)
  }

  #die(error: Error): void {
    this.stop()
    this.#ports.fatal(error)
  }
}
