/**
 * The database port of one node: RESP clients and the syncers of peer clusters in front of this cluster's shards. Pure: its
 * process gives it connections and ports, and a simulation may give it others.
 */
import type { ClientLimits, KeeperQuestion, ProxyConfig, PulledBytes, ShardAddress } from '#config/process.ts'
import { FrameKind } from '#protocol/frames/frame.ts'
import type { ScriptDenials } from '#protocol/frames/scriptUser.ts'
import type { ScriptWatchAnswer, ScriptWatchQuestion } from '#protocol/frames/scriptWatch.ts'
import type { KeptListName, WorkerNews } from '#protocol/frames/worker.ts'
import { errors } from '#protocol/resp/errors.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { defaultRequestLimits, type RequestLimits } from '#protocol/resp/requestScanner.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import type { Clock, Connection, Logger, Net, Random, Timers } from '#runtime/ports.ts'
import type { TlsFacts } from '#runtime/tlsFacts.ts'
import { AclLog } from './acl/aclLog.ts'
import { AclSaves } from './acl/aclSaves.ts'
import { LoginDelay } from './acl/loginDelay.ts'
import { type UserPlan, userList } from './acl/userChanges.ts'
import { Users } from './acl/users.ts'
import { ChangedSettings } from './changedSettings.ts'
import { ChangedShardSettings } from './changedShardSettings.ts'
import { ClientMemory } from './clientMemory.ts'
import { Clients } from './clients.ts'
import { ClientTls } from './clientTls.ts'
import { Counters } from './counters.ts'
import { Libraries } from './functions/libraries.ts'
import { type LibraryPlan, libraryList } from './functions/libraryChanges.ts'
import { KeptChanges } from './keptChanges.ts'
import { clientLine } from './local/clientLine.ts'
import { answerSibling } from './local/siblingAnswers.ts'
import { Observation } from './observation.ts'
import { Pause } from './pause.ts'
import { PeerRelays } from './peerRelays.ts'
import { type ProxyStatus, statusOf } from './proxyStatus.ts'
import { Refusals } from './refusals.ts'
import { askShards } from './routing/question.ts'
import { Router } from './routing/router.ts'
import { ShardLinks } from './routing/shardLinks.ts'
import { askScriptWatch } from './scriptWatches.ts'
import type { ProcessFigures, SessionHost } from './session/host.ts'
import { ReplyMemory } from './session/replyMemory.ts'
import { Session } from './session/session.ts'
import { configuredSettings, type Settings, settingsAndTls } from './settings.ts'
import { ShardLink } from './shardLink.ts'
import { type SiblingQuestion, Siblings, type SiblingsOwner } from './siblings/siblings.ts'
import { VersionClock } from './siblings/versionClock.ts'
import { Subscriptions } from './subscriptions.ts'
import { type PeerTraffic, peerOutgoingBytesMax, type RelayHost, type SyncRelay } from './syncRelay.ts'
import { Tracking } from './tracking.ts'
import { Turn } from './turn.ts'
import { turnAway } from './turnAway.ts'

/** How long clients may take to get their last replies when the process is to end. */
export const drainMs = 2_000
const sampleMs = 1_000

export interface ProxyPorts {
  clock: Clock
  random: Random
  timers: Timers
  net: Net
  logger: Logger
  process(): ProcessFigures
  /** That the port shows to clients over TLS. Absent where there is none. */
  certificate?(): ReturnType<SessionHost['certificate']>
  /** Passes a question of a peer's agent on to ours; null: it doesn't answer. Absent where there is none. */
  askAgent?(peer: number, question: unknown, answered: (answer: unknown) => void): void
  /** Asks our agent about what it keeps; null: it doesn't answer. Absent where there is none. */
  askKeeper?(question: KeeperQuestion, answered: (answer: unknown) => void): void
  /** So many random hexadecimal digits, which nobody can guess. */
  secretDigits(count: number): string
}

export interface ConnectionFacts {
  /** `address:port`. */
  remoteAddress: string
  localAddress: string
  /** Null: it came without TLS. */
  tls: TlsFacts | null
}

export class DatabaseProxy implements SessionHost, RelayHost, SiblingsOwner {
  config: ProxyConfig
  readonly limits: ClientLimits
  readonly requestLimits: { readonly authenticated: RequestLimits; readonly other: RequestLimits }
  peerOutgoingBytesMax = peerOutgoingBytesMax
  links: ShardLinks
  readonly router: Router
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly turn: Turn
  readonly memory = new ReplyMemory()
  readonly clients: Clients
  readonly pause: Pause
  readonly siblings: Siblings
  readonly counters: Counters
  readonly subscriptions = new Subscriptions(() => this.links.all)
  readonly tracking = new Tracking(() => this.links.all)
  readonly reply = new ReplyWriter()
  readonly users: Users
  readonly userChanges: KeptChanges<UserPlan> = new KeptChanges(userList(this))
  readonly libraries: Libraries
  readonly libraryChanges: KeptChanges<LibraryPlan> = new KeptChanges(libraryList(this))
  readonly aclLog: AclLog
  readonly aclSaves: AclSaves = new AclSaves(this)
  readonly observation: Observation
  readonly loginDelay = new LoginDelay()
  clientTls: ClientTls
  readonly #clientMemory: ClientMemory
  readonly startedMs: number
  readonly runId: string
  readonly #ports: ProxyPorts
  readonly #settings: ChangedSettings<Settings>
  readonly shardSettings: ChangedShardSettings
  readonly #refusals: Refusals
  readonly #relays = new PeerRelays(this, () => this.#checkDrained())
  pulled: readonly PulledBytes[] = []
  #onReady: (() => void) | null = null
  #onDrained: (() => void) | null = null
  #idleMs = 0
  #isListening = false
  #isDraining = false
  #cancelSample: () => void = () => {}
  #cancelDrain: () => void = () => {}

  constructor(config: ProxyConfig, ports: ProxyPorts) {
    this.config = config
    this.limits = { ...config.limits }
    this.requestLimits = {
      authenticated: { ...defaultRequestLimits },
      other: { ...defaultRequestLimits, authenticated: false },
    }
    this.#ports = ports
    this.clock = ports.clock
    this.timers = ports.timers
    this.logger = ports.logger
    this.turn = new Turn(ports.timers)
    this.router = new Router(ports.random)
    this.clients = new Clients(config.worker, config.workers.length, {
      onCount: () => this.siblings.onClientCount(this.clients.count, this.limits.clientsMax),
      // At once: whoever gets the id must not see it before the others know of it.
      onIdsReserved: () => this.siblings.tell(),
    })
    const versions = new VersionClock(config.worker)
    this.pause = new Pause(ports.clock, ports.timers, this.clients, this.turn, versions)
    this.#settings = new ChangedSettings(configuredSettings(config), versions)
    this.shardSettings = new ChangedShardSettings(config, versions, () => this.links.all)
    this.#refusals = new Refusals(ports.clock, ports.logger)
    this.clientTls = new ClientTls(config.clientTls)
    this.siblings = new Siblings(config, this, ports, this.turn)
    this.counters = new Counters(ports.clock)
    this.users = new Users(config, ports.logger)
    this.libraries = new Libraries(config)
    this.aclLog = new AclLog(config.worker, config.workers.length, config.limits.aclLogMax)
    this.observation = new Observation(config, ports.clock, this.turn, {
      onMonitors: () => this.clients.refreshPaths(),
      onLocalMonitors: () => {
        this.#tellWatch()
        this.siblings.tell()
      },
      sendLines: (lines) => this.siblings.sendLines(lines, this.limits.monitorOutputBytesMax),
    })
    this.#clientMemory = new ClientMemory(this)
    this.startedMs = ports.clock.monotonicMs()
    this.runId = Array.from({ length: 40 }, () => ports.random.below(16).toString(16)).join('')
    this.links = new ShardLinks(
      config.shards.map((address) => ({ address, link: this.#newLink(address) })),
      config.database.sharding,
    )
    this.#applySettings()
    for (const link of this.links.all) link.dial()
    this.siblings.configure(config)
    this.#sampleLater()
  }

  /** Clients that say nothing for so long are disconnected; 0: never. */
  get idleMs(): number {
    return this.#idleMs
  }

  get database(): ProxyConfig['database'] {
    return this.config.database
  }

  process(): ProcessFigures {
    return this.#ports.process()
  }

  /** Calls `run` once when every shard is there; at once when they are. */
  whenReady(run: () => void): void {
    if (this.links.allUp) run()
    else this.#onReady = run
  }

  accept(connection: Connection, facts: ConnectionFacts): void {
    if (this.#isDraining) {
      turnAway(connection, null)
      return
    }
    const { remoteAddress, localAddress, tls } = facts
    if (tls?.use === 'peer') {
      this.#relays.accept(connection, tls.name)
      return
    }
    this.counters.connectionsReceived++
    if (tls !== null) this.counters.tlsConnectionsReceived++
    const refusal = this.clientTls.refusalOf(tls)
    if (refusal !== null) {
      this.counters.connectionsRejected++
      const subject = tls?.certificate?.subject
      this.#refusals.tell(remoteAddress, refusal.reason, subject === undefined ? {} : { subject })
      turnAway(connection, bytesOf(`-${refusal.error}\r\n`))
      return
    }
    if (this.clients.count + this.siblings.clientCount >= this.limits.clientsMax) {
      this.counters.connectionsRejected++
      turnAway(connection, bytesOf(`-${errors.maxClients}\r\n`))
      return
    }
    const origin = { remoteAddress, localAddress, isTls: tls !== null }
    connection.keepAlive?.(this.limits.keepAliveMs)
    connection.handler = new Session(this, connection, origin)
  }

  /** Of a client, or of a peer: who it is was not known yet. */
  onHandshakeFailed(remoteAddress: string, reason: string): void {
    this.counters.tlsHandshakesFailed++
    this.#refusals.tell(remoteAddress, `TLS: ${reason}`)
  }

  /** A changed configuration; what it doesn't change goes on undisturbed. */
  reconfigure(config: ProxyConfig): void {
    const old = this.links
    this.config = config
    this.users.configure(config)
    for (const client of this.clients.list()) client.onUsers()
    for (const link of old.all) link.forgetUsers()
    this.users.waits.tell()
    this.libraries.configure(config)
    this.#settings.configure(configuredSettings(config))
    this.clients.setWorkerCount(config.workers.length)
    this.siblings.configure(config)
    const kept = new Set<ShardLink>()
    const shards = config.shards.map((address) => {
      const same = old.shards.find((shard) => isSameProcess(shard.address, address))
      const link = same?.link ?? this.#newLink(address)
      kept.add(link)
      return { address, link }
    })
    this.links = new ShardLinks(shards, config.database.sharding)
    this.#applySettings()
    this.shardSettings.configure(config)
    for (const link of this.links.all) if (!old.all.includes(link)) link.dial()
    for (const link of old.all) if (!kept.has(link)) link.close()
    this.#relays.closeFormer()
  }

  askKeeper(question: KeeperQuestion, answered: (answer: unknown) => void): void {
    const { askKeeper } = this.#ports
    if (askKeeper === undefined) answered(null)
    else askKeeper(question, answered)
  }

  secretDigits(count: number): string {
    return this.#ports.secretDigits(count)
  }

  certificate(): ReturnType<SessionHost['certificate']> {
    return this.#ports.certificate?.() ?? null
  }

  whenVersion(list: KeptListName, version: number, run: () => void): () => void {
    return this[list].waits.when(version, run)
  }

  changeSettings(values: Partial<Settings>): void {
    this.#settings.change(values)
    this.#applySettings()
  }

  /** Calls `run` once when the other workers have told what they know: before that no client is to be taken. */
  whenMet(run: () => void): void {
    this.siblings.whenMet(run)
  }

  /** A connection to this worker's own socket. */
  acceptSibling(connection: Connection): void {
    this.siblings.accept(connection)
  }

  /** The database's port is open, or is so no more. */
  setListening(isListening: boolean): void {
    this.#isListening = isListening
    this.siblings.tell()
  }

  news(): WorkerNews {
    return {
      clients: this.clients.count,
      monitors: this.observation.monitors.count,
      isListening: this.#isListening,
      ids: this.clients.ids,
      pause: this.pause.shared,
      settings: this.#settings.shared,
      shardSettings: this.shardSettings.shared,
    }
  }

  takeNews({ ids, pause, settings, shardSettings }: WorkerNews, done: () => void): void {
    this.observation.monitors.others = this.siblings.monitorCount
    this.clients.takeIds(ids)
    if (this.#settings.take(settings)) this.#applySettings()
    this.shardSettings.take(shardSettings)
    // Who pauses waits for what was sent to the shards before, here as at the worker that was asked to.
    if (this.pause.take(pause)) askShards(this.links, { what: 'info' }, done)
    else done()
  }

  onNewsLost(): void {
    this.observation.monitors.others = this.siblings.monitorCount
  }

  answer(question: SiblingQuestion): object {
    return answerSibling(this, question)
  }

  #applySettings(): void {
    const { current } = this.#settings
    const { idleMs, aclPubsubAll, latencyTracking: _, tls, ...limits } = settingsAndTls(current)
    this.clientTls = new ClientTls({ ...this.config.clientTls, ...tls })
    this.observation.configure(current)
    this.#tellWatch()
    this.#idleMs = idleMs
    this.users.defaults.allChannels = aclPubsubAll === 1
    Object.assign(this.limits, limits)
    this.aclLog.entriesMax = limits.aclLogMax
    const { requestBytesMax, shardPendingMax } = this.limits
    const bulkBytesMax = Math.min(defaultRequestLimits.bulkBytesMax, requestBytesMax)
    for (const limits of [this.requestLimits.authenticated, this.requestLimits.other]) {
      limits.requestBytesMax = requestBytesMax
      limits.bulkBytesMax = bulkBytesMax
    }
    for (const link of this.links.all) {
      link.pendingMax = shardPendingMax
      link.busyReplyMs = this.limits.busyReplyMs
    }
  }

  /** What the shards are to tell of. One that comes up is told then. */
  #tellWatch(): void {
    if (!this.observation.hasNews()) return
    for (const link of this.links.all) if (link.isUp) link.tell(this.observation.question)
  }

  /** Takes no more connections and ends those that exist, each behind its last reply; then `done`. */
  drain(done: () => void): void {
    this.#onDrained = done
    if (this.#isDraining) return
    this.#isDraining = true
    this.setListening(false)
    this.#cancelDrain = this.timers.after(drainMs, () => this.#endDrain())
    this.#relays.closeAll('the process is going to end')
    for (const client of this.clients.list()) client.closeAfterReplies()
    this.#checkDrained()
  }

  status(): ProxyStatus {
    return statusOf(this, this.#relays)
  }

  onClientClosed(): void {
    this.#checkDrained()
  }

  askWatches(
    question: ScriptWatchQuestion,
    done: (answers: readonly (ScriptWatchAnswer | null)[]) => void,
  ): void {
    const { shards } = this.links
    const answers = new Array<ScriptWatchAnswer | null>(shards.length).fill(null)
    let missing = shards.length
    for (const [i, { address }] of shards.entries()) {
      askScriptWatch(this.#ports, address.socketPath, question, (answer) => {
        answers[i] = answer
        if (--missing === 0) done(answers)
      })
    }
  }

  askAgent(peer: number, question: unknown, answered: (answer: unknown) => void): void {
    const { askAgent } = this.#ports
    if (askAgent === undefined) answered(null)
    else askAgent(peer, question, answered)
  }

  get traffic(): Iterable<PeerTraffic> {
    return this.#relays.traffic
  }

  setPulled(peers: readonly PulledBytes[]): void {
    this.pulled = peers
  }

  trafficOf(clusterId: number): PeerTraffic {
    return this.#relays.trafficOf(clusterId)
  }

  onRelayClosed(relay: SyncRelay): void {
    this.#relays.closed(relay)
  }

  #newLink(address: ShardAddress): ShardLink {
    const name = `${this.config.database.name}/${this.config.worker}`
    return new ShardLink(address, name, this.limits.shardPendingMax, this.turn, this.#ports, {
      onState: (link) => this.#onLinkState(link),
      onNotice: ({ kind, bytes, payloadStart, payloadEnd }) =>
        kind === FrameKind.published
          ? this.subscriptions.onPublished(bytes, payloadStart, payloadEnd)
          : this.tracking.onInvalidated(bytes, payloadStart, payloadEnd),
      onDenied: (session, denials) => this.#noteDenials(session, denials),
      onSlow: (slow, asker) => this.observation.slowlog.add(slow, asker),
      onScriptCall: (bytes, start, end) => this.observation.monitors.onScriptCall(bytes, start, end),
    })
  }

  /** The client may have gone meanwhile. */
  #noteDenials(session: number, { user, denials }: ScriptDenials): void {
    const from = this.clients.ofShardSession(session)
    const client = from === undefined ? '' : clientLine(from, this.clock.monotonicMs()).trimEnd()
    for (const denial of denials)
      this.aclLog.add({ ...denial, context: 'lua', user, client }, this.clock.wallMs())
  }

  #onLinkState(link: ShardLink): void {
    const { index, isUp } = link
    if (isUp) {
      this.subscriptions.onShardUp(link)
      link.tell(this.observation.question)
      this.shardSettings.onShardUp(link)
      this.tracking.onShardUp(link)
    } else this.tracking.onShardDown()
    this.logger.info({ shard: index, isUp }, isUp ? 'a shard is there' : 'a shard is gone')
    if (!this.links.allUp || this.#onReady === null) return
    const run = this.#onReady
    this.#onReady = null
    run()
  }

  #sampleLater(): void {
    this.#cancelSample = this.timers.after(sampleMs, () => {
      this.counters.sample()
      if (this.idleMs > 0) this.#endIdle()
      this.#clientMemory.check()
      this.#sampleLater()
    })
  }

  #endIdle(): void {
    const nowMs = this.clock.monotonicMs()
    for (const client of this.clients.list()) {
      if (
        client.pendingRequests === 0 &&
        !client.isSubscriber &&
        !client.isMonitor &&
        nowMs - client.lastRequestMs > this.idleMs
      )
        client.kill()
    }
  }

  #checkDrained(): void {
    if (this.#isDraining && this.clients.count === 0 && this.#relays.count === 0) this.#endDrain()
  }

  #endDrain(): void {
    const done = this.#onDrained
    if (done === null) return
    this.#onDrained = null
    this.#cancelDrain()
    this.#cancelSample()
    for (const client of this.clients.list()) client.kill()
    for (const link of this.links.all) link.close()
    this.siblings.close()
    done()
  }
}

const isSameProcess = (a: ShardAddress, b: ShardAddress): boolean =>
  a.index === b.index && a.socketPath === b.socketPath
