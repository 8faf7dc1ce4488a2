/**
 * The database port of one node: RESP clients and the syncers of peer clusters in front of this cluster's shards. Pure: its
 * process gives it connections and ports, and a simulation may give it others.
 */
import type { ClientLimits, ProxyConfig, ShardAddress } from '#config/process.ts'
import { channelClosedFrame } from '#protocol/frames/hello.ts'
import type { WorkerNews } from '#protocol/frames/worker.ts'
import { errors } from '#protocol/resp/errors.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { defaultRequestLimits, type RequestLimits } from '#protocol/resp/requestScanner.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import type { Clock, Connection, ConnectionHandler, Logger, Net, Random, Timers } from '#runtime/ports.ts'
import { type ClientAddresses, Clients } from './clients.ts'
import { Counters } from './counters.ts'
import { answerSibling } from './local/siblingAnswers.ts'
import { Pause } from './pause.ts'
import { askShards } from './routing/question.ts'
import { Router } from './routing/router.ts'
import { ShardLinks } from './routing/shardLinks.ts'
import type { ProcessFigures, SessionHost } from './session/host.ts'
import { ReplyMemory } from './session/replyMemory.ts'
import { Session } from './session/session.ts'
import { ChangedSettings, type Settings } from './settings.ts'
import { ShardLink } from './shardLink.ts'
import { type SiblingQuestion, Siblings, type SiblingsOwner } from './siblings/siblings.ts'
import { VersionClock } from './siblings/versionClock.ts'
import { peerOutgoingBytesMax, type RelayHost, SyncRelay } from './syncRelay.ts'
import { Turn } from './turn.ts'

/** By what a peer's syncer says in its TLS handshake that it is one. */
export const syncAlpn = 'antipode-sync/1'
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
}

export interface ConnectionFacts extends ClientAddresses {
  tls: null | {
    alpn: string | null
    /** Common name of the client's certificate, null unless our authority vouches for it. */
    peerName: string | null
  }
}

export interface ProxyStatus extends Record<string, unknown> {
  clients: number
  peers: { name: string; clusterId: number; channels: number }[]
  shards: { index: number; isUp: boolean; pending: number; channels: number }[]
  commands: number
  commandsPerSecond: number
  connectionsReceived: number
  connectionsRejected: number
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
  readonly reply = new ReplyWriter()
  readonly startedMs: number
  readonly runId: string
  readonly #ports: ProxyPorts
  readonly #settings: ChangedSettings
  readonly #relays = new Set<SyncRelay>()
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
    this.#settings = new ChangedSettings(config.limits, versions)
    this.siblings = new Siblings(config, this, ports, this.turn)
    this.counters = new Counters(ports.clock)
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
    if (facts.tls?.alpn === syncAlpn) {
      this.#acceptPeer(connection, facts.tls.peerName)
      return
    }
    this.counters.connectionsReceived++
    if (facts.tls !== null) {
      this.counters.connectionsRejected++
      this.logger.warn({ remoteAddress: facts.remoteAddress }, 'a client came over TLS and was turned away')
      turnAway(connection, bytesOf('-ERR TLS is for peer clusters here; connect without it\r\n'))
      return
    }
    if (this.clients.count + this.siblings.clientCount >= this.limits.clientsMax) {
      this.counters.connectionsRejected++
      turnAway(connection, bytesOf(`-${errors.maxClients}\r\n`))
      return
    }
    connection.handler = new Session(this, connection, facts)
  }

  /** A changed configuration; what it doesn't change goes on undisturbed. */
  reconfigure(config: ProxyConfig): void {
    const old = this.links
    this.config = config
    this.#settings.configure(config.limits)
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
    for (const link of this.links.all) if (!old.all.includes(link)) link.dial()
    for (const link of old.all) if (!kept.has(link)) link.close()
    for (const relay of this.#relays) {
      if (!this.#isPeer(relay.peerName)) relay.close(`${relay.peerName} is no member any more`)
    }
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
      isListening: this.#isListening,
      ids: this.clients.ids,
      pause: this.pause.shared,
      settings: this.#settings.shared,
    }
  }

  takeNews({ ids, pause, settings }: WorkerNews, done: () => void): void {
    this.clients.takeIds(ids)
    if (this.#settings.take(settings)) this.#applySettings()
    // Who pauses waits for what was sent to the shards before, here as at the worker that was asked to.
    if (this.pause.take(pause)) askShards(this.links, { what: 'info' }, done)
    else done()
  }

  answer(question: SiblingQuestion): object {
    return answerSibling(this, question)
  }

  #applySettings(): void {
    const { idleMs, ...limits } = this.#settings.current
    this.#idleMs = idleMs
    Object.assign(this.limits, limits)
    const { requestBytesMax, shardPendingMax } = this.limits
    const bulkBytesMax = Math.min(defaultRequestLimits.bulkBytesMax, requestBytesMax)
    for (const limits of [this.requestLimits.authenticated, this.requestLimits.other]) {
      limits.requestBytesMax = requestBytesMax
      limits.bulkBytesMax = bulkBytesMax
    }
    for (const link of this.links.all) link.pendingMax = shardPendingMax
  }

  /** Takes no more connections and ends those that exist, each behind its last reply; then `done`. */
  drain(done: () => void): void {
    this.#onDrained = done
    if (this.#isDraining) return
    this.#isDraining = true
    this.setListening(false)
    this.#cancelDrain = this.timers.after(drainMs, () => this.#endDrain())
    for (const relay of this.#relays) relay.close('the process is going to end')
    for (const client of this.clients.list()) client.closeAfterReplies()
    this.#checkDrained()
  }

  status(): ProxyStatus {
    const { counters } = this
    return {
      clients: this.clients.count,
      peers: [...this.#relays].map(({ peerName, clusterId, channelCount }) => ({
        name: peerName,
        clusterId,
        channels: channelCount,
      })),
      shards: this.links.all.map(({ index, isUp, pending, channelCount }) => ({
        index,
        isUp,
        pending,
        channels: channelCount,
      })),
      commands: counters.commands,
      commandsPerSecond: Math.round(counters.perSecond('commands')),
      connectionsReceived: counters.connectionsReceived,
      connectionsRejected: counters.connectionsRejected,
    }
  }

  onClientClosed(): void {
    this.#checkDrained()
  }

  onRelayClosed(relay: SyncRelay): void {
    this.#relays.delete(relay)
    this.#checkDrained()
  }

  #acceptPeer(connection: Connection, peerName: string | null): void {
    if (peerName === null || !this.#isPeer(peerName)) {
      const reason =
        peerName === null
          ? 'a certificate that the authority of this database has signed is needed'
          : `${peerName} is not another member of this database`
      this.logger.warn({ peer: peerName, reason }, 'a syncer was turned away')
      turnAway(connection, channelClosedFrame(0, reason))
      return
    }
    const relay = new SyncRelay(this, connection, peerName)
    this.#relays.add(relay)
    connection.handler = relay
  }

  #isPeer(name: string): boolean {
    const { members, clusterId } = this.config.database
    return members.some((member) => member.name === name && member.clusterId !== clusterId)
  }

  #newLink(address: ShardAddress): ShardLink {
    const name = `${this.config.database.name}/${this.config.worker}`
    return new ShardLink(address, name, this.limits.shardPendingMax, this.turn, this.#ports, (link) =>
      this.#onLinkState(link),
    )
  }

  #onLinkState({ index, isUp }: ShardLink): void {
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
      this.#sampleLater()
    })
  }

  #endIdle(): void {
    const nowMs = this.clock.monotonicMs()
    for (const client of this.clients.list()) {
      if (client.pendingRequests === 0 && nowMs - client.lastRequestMs > this.idleMs) client.kill()
    }
  }

  #checkDrained(): void {
    if (this.#isDraining && this.clients.count === 0 && this.#relays.size === 0) this.#endDrain()
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

const nobody: ConnectionHandler = { onData() {}, onDrain() {}, onClose() {} }

/** Says why, if there is something to say, and closes. */
function turnAway(connection: Connection, message: Uint8Array | null): void {
  connection.handler = nobody
  if (message !== null) connection.write(message)
  connection.close()
}
