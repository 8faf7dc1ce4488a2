/**
 * The agent of a node: starts, watches and restarts the node's processes and tells them what they need to know. It holds
 * no data and is on no data path: when it dies, its processes go on, and the next agent takes them over.
 */
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { changedLibraries } from '#config/libraries.ts'
import type { ClockState, FromAgent, KeeperQuestion, ToAgent } from '#config/process.ts'
import type { UsersAnswer } from '#config/users.ts'
import { MendableError } from '#control/contract/mendableError.ts'
import type { NodeStatus, ProcessStatus } from '#control/contract/status.ts'
import type { ConfigStore } from '#control/store/configStore.ts'
import {
  completeDatabase,
  differences,
  importRefusal,
  keepingLists,
  keepingMembers,
} from '#control/store/databaseImport.ts'
import { isInitialised, type StoredDatabase } from '#control/store/storeState.ts'
import { processStartTime } from '#control/supervisor/pidFile.ts'
import type { ProcessHost } from '#control/supervisor/processHost.ts'
import { Supervisor, type WantedProcess } from '#control/supervisor/supervisor.ts'
import { unreachable } from '#runtime/invariant.ts'
import { compileCacheVariable } from '#runtime/node/compileCache.ts'
import { logLevelVariable } from '#runtime/node/nodeLogger.ts'
import type { Clock, Logger, Timers } from '#runtime/ports.ts'
import { Questions } from '#runtime/questions.ts'
import { AgentSocket, readPulled } from './agentSocket.ts'
import { CertificateWatch } from './certificateWatch.ts'
import { claimDirectory, databaseDirectory, guidOf } from './databaseDirectory.ts'
import { type DecidedChange, KeptLists } from './keptLists.ts'
import { Members } from './members.ts'
import { agentSocketName } from './nodeDirectory.ts'
import type { NodeFile } from './nodeFile.ts'
import { type NodeProcess, nodeProcesses } from './nodeProcesses.ts'
import type { Machine } from './proxyWorkers.ts'
import { reloaded } from './reload.ts'
import { UserKeeper } from './userKeeper.ts'

/** A process that is asked something, or the agent of a peer, may take so long. */
const answerMs = 5_000

/** Between looks at processes that end. */
const eraseLookMs = 50

/** Of a process such as `proxy/db1/0`. */
const databaseOf = (id: string): string => id.split('/')[1] ?? ''

/** What the agent wants of the clock monitor. */
export interface AgentClock {
  readonly state: ClockState
  peerOffset(peer: number, offsetMs: number, delayMs: number): void
  reconfigure(settings: NodeFile['settings']['clock']): void
  stop(): void
}

export interface AgentPorts {
  host: ProcessHost
  clock: Clock
  timers: Timers
  logger: Logger
  store: ConfigStore
  /** `onState` is called with every new state. */
  startClock(settings: NodeFile['settings']['clock'], onState: (state: ClockState) => void): AgentClock
}

export interface AgentOptions {
  file: NodeFile
  socketDirectory: string
  machine: Machine
  /** Program and leading arguments of each role's process. */
  programs: Readonly<Record<NodeProcess['role'], readonly string[]>>
  version: string
}

export class Agent {
  readonly #options: AgentOptions
  readonly #ports: AgentPorts
  readonly #supervisor: Supervisor
  readonly #socket: AgentSocket
  readonly #clock: AgentClock
  readonly #members: Members
  readonly #lists: KeptLists
  readonly #users: UserKeeper
  readonly #certificates: CertificateWatch
  readonly #questions = new Questions(answerMs, setTimeout)
  #settings: NodeFile['settings']
  #processes = new Map<string, NodeProcess>()
  /** Databases whose data is being removed: none of their processes may run. */
  readonly #erased = new Set<string>()
  /** What each process told about itself last. */
  readonly #statuses = new Map<string, Readonly<Record<string, unknown>>>()
  #draining: Promise<void> | null = null

  constructor(options: AgentOptions, ports: AgentPorts) {
    this.#options = options
    this.#ports = ports
    this.#settings = options.file.settings
    this.#supervisor = new Supervisor(this.#settings.agent, ports)
    this.#socket = new AgentSocket(
      this.socketPath,
      {
        onHello: (id, pid) => this.#onHello(id, pid),
        onMessage: (id, message) => this.#onMessage(id, message),
        onGone: () => this.#supervisor.look(),
        status: () => this.status(),
        onMemberRequest: (request, tell) => this.#members.serve(request, tell),
      },
      ports.logger,
    )
    this.#members = new Members({
      cluster: this.#settings.node.cluster,
      store: ports.store,
      logger: ports.logger,
      hasIdentity: () => this.#settings.tls.certificate !== null,
      changed: () => this.#reconfigure(),
      ask: async (id, peer, question) => await this.#ask(id, peer, question),
      erase: async (name, then) => await this.#erase(name, then),
    })
    this.#lists = new KeptLists(ports.store)
    this.#users = new UserKeeper({
      lists: this.#lists,
      dataDirectory: options.file.dataDirectory,
      changed: (database) => this.#tell(database, ['proxy']),
    })
    this.#certificates = new CertificateWatch(() => this.#settings.tls, ports)
    this.#clock = ports.startClock(this.#settings.clock, (clock) => this.#onClock(clock))
  }

  get socketPath(): string {
    return join(this.#options.socketDirectory, agentSocketName)
  }

  /** `reimport` takes the databases of the file over although there are some already. */
  async start(reimport: boolean): Promise<void> {
    this.#tellWorkers()
    await this.#importDatabases(reimport)
    await this.#socket.listen()
    this.#supervisor.adopt()
    this.#want()
    this.#members.start()
    this.#certificates.look()
  }

  /** Stops all processes, then itself. May be asked more than once. */
  async drain(): Promise<void> {
    this.#draining ??= new Promise((resolve) => {
      this.#ports.logger.info({}, 'draining')
      this.#members.stop()
      this.#certificates.stop()
      this.#supervisor.stop(() => {
        this.#socket.close()
        this.#clock.stop()
        this.#ports.logger.info({}, 'everything has stopped')
        resolve()
      })
    })
    await this.#draining
  }

  /** Applies what may change while the node runs. */
  reload(file: NodeFile): void {
    const { logger } = this.#ports
    const { settings, needRestart } = reloaded(this.#settings, file.settings)
    for (const path of needRestart)
      logger.warn({ setting: path }, 'this change of the file takes effect at a restart')
    this.#settings = settings
    this.#supervisor.policy = settings.agent
    this.#clock.reconfigure(settings.clock)
    this.#tellDifferences()
    this.#reconfigure()
    this.#certificates.look()
    logger.info({}, 'read the file again')
  }

  status(): NodeStatus {
    const nowMs = this.#ports.clock.monotonicMs()
    const { databases } = this.#ports.store.state
    return {
      cluster: this.#settings.node.cluster,
      pid: process.pid,
      version: this.#options.version,
      clock: this.#clock.state,
      databases: databases.map(({ name, guid, epoch, port, shards, persistence, members }) => ({
        epoch,
        name,
        guid,
        port,
        shardCount: shards,
        persistence,
        clusterId: members.find((member) => member.name === this.#settings.node.cluster)?.id ?? 0,
        members: members.map((member) => ({ ...member, clusterId: member.id })),
      })),
      processes: this.#supervisor.processes().map(({ sinceMs, ...facts }): ProcessStatus => {
        const slash = facts.id.indexOf('/')
        return {
          ...facts,
          role: facts.id.slice(0, slash),
          name: facts.id.slice(slash + 1),
          stateMs: Math.round(nowMs - sinceMs),
          status: this.#statuses.get(facts.id) ?? {},
        }
      }),
    }
  }

  async #importDatabases(reimport: boolean): Promise<void> {
    const { store } = this.#ports
    const { databases, node, proxy } = this.#settings
    if (store.state.imported && !reimport) {
      this.#tellDifferences()
      return
    }
    const directoryOf = (name: string) => databaseDirectory(this.#options.file.dataDirectory, name)
    const complete = databases
      .map((database) =>
        completeDatabase(
          database,
          node.cluster,
          proxy.bind,
          () => guidOf(directoryOf(database.name)) ?? randomUUID(),
        ),
      )
      .map((database) => keepingMembers(database, store.state.databases))
      .map((database) => keepingLists(database, store.state.databases))
    const refusal = importRefusal(store.state.databases, complete, node.cluster, store.state.left)
    if (refusal !== null) throw new MendableError(refusal)
    for (const { name, guid } of complete) claimDirectory(directoryOf(name), guid)
    await new Promise<void>((resolve, reject) => {
      store.commit({ kind: 'import', databases: complete }, (error) =>
        error === null ? resolve() : reject(error),
      )
    })
    this.#ports.logger.info(
      { databases: complete.map(({ name }) => name) },
      'imported the databases of the file',
    )
  }

  #tellWorkers(): void {
    const { workers } = this.#settings.proxy
    if (this.#options.machine.sharesPorts || workers === 1) return
    const facts = { workers, platform: process.platform }
    const message = 'processes can not share a port on this system: each database gets one proxy process'
    if (workers === 'auto') this.#ports.logger.info(facts, message)
    else this.#ports.logger.warn(facts, message)
  }

  #tellDifferences(): void {
    for (const difference of differences(this.#ports.store.state.databases, this.#settings.databases)) {
      this.#ports.logger.warn(
        { ...difference },
        'the file differs from the config store, which is in force; to take the databases of the file over, stop the agent and start it once with --reimport',
      )
    }
  }

  /** Works out anew which processes there should be. */
  #want(): void {
    const { file, socketDirectory, programs, machine } = this.#options
    const { dataDirectory } = file
    const paths = { dataDirectory, socketDirectory }
    const { state } = this.#ports.store
    const processes = nodeProcesses(this.#settings, state, paths, machine).filter(
      ({ id }) => !this.#erased.has(databaseOf(id)),
    )
    this.#processes = new Map(processes.map((process) => [process.id, process]))
    this.#supervisor.want(
      processes.map(({ id, role, name, stopRank }): WantedProcess => {
        const [command = '', ...leading] = programs[role]
        return {
          id,
          stopRank,
          reports: true,
          command,
          arguments: [...leading, '--agent', this.socketPath, '--role', role, '--name', name],
          environment: {
            [logLevelVariable]: this.#settings.node.logLevel,
            [compileCacheVariable]: process.env[compileCacheVariable] ?? join(dataDirectory, 'cache'),
          },
          logPath: join(dataDirectory, 'log', `${id.replaceAll('/', '-')}.log`),
        }
      }),
    )
  }

  #reconfigure(): void {
    this.#want()
    for (const { id, config } of this.#processes.values()) this.#socket.send(id, { type: 'config', config })
  }

  /** The processes of these roles have something new in their configuration. */
  #tell(database: string, roles: readonly NodeProcess['role'][]): void {
    this.#want()
    for (const { id, role, config } of this.#processes.values())
      if (roles.includes(role) && databaseOf(id) === database)
        this.#socket.send(id, { type: 'config', config })
  }

  #keep(database: string, question: KeeperQuestion, answered: (answer: UsersAnswer) => void): void {
    if (question.what !== 'changeLibraries') {
      this.#users.serve(database, question, answered)
      return
    }
    const { change } = question
    const decide = ({ guid, libraries }: StoredDatabase): DecidedChange => ({
      version: libraries.version,
      change: changedLibraries(libraries, change) === null ? null : { kind: 'libraries', guid, change },
    })
    // Shards first: what a proxy shows can be called.
    this.#lists.change(database, decide, () => this.#tell(database, ['shard', 'proxy']), answered)
  }

  async #ask(id: string, peer: number, question: unknown): Promise<unknown> {
    return await new Promise((resolve) => {
      this.#socket.send(id, { type: 'ask', id: this.#questions.ask(resolve), peer, question })
    })
  }

  async #erase(name: string, then: () => Promise<void>): Promise<void> {
    const { databases } = this.#ports.store.state
    const guid = databases.find((database) => database.name === name)?.guid
    const directory = databaseDirectory(this.#options.file.dataDirectory, name)
    this.#erased.add(name)
    try {
      this.#want()
      const isOf = ({ id }: { id: string }) => databaseOf(id) === name
      while (this.#supervisor.processes().some((process) => isOf(process) && process.pid !== null))
        await new Promise((wake) => setTimeout(wake, eraseLookMs))
      rmSync(directory, { recursive: true, force: true })
      if (guid !== undefined) claimDirectory(directory, guid)
      await then()
      const isThere = this.#ports.store.state.databases.some((database) => database.guid === guid)
      if (!isThere) rmSync(directory, { recursive: true, force: true })
    } finally {
      this.#erased.delete(name)
      this.#reconfigure()
    }
  }

  #onHello(id: string, pid: number): boolean {
    if (!this.#supervisor.claim(id, { id, pid, startTime: processStartTime(pid) })) return false
    // What an earlier process of this name said is history.
    this.#statuses.delete(id)
    const process = this.#processes.get(id)
    if (process === undefined) return true
    this.#socket.send(id, { type: 'config', config: process.config })
    if (process.role !== 'syncer') this.#socket.send(id, { type: 'clock', clock: this.#clock.state })
    return true
  }

  #onMessage(id: string, message: Exclude<ToAgent, { type: 'hello' }>): void {
    this.#supervisor.reported(id)
    switch (message.type) {
      case 'ready':
        this.#supervisor.ready(id)
        this.#markInitialised(id)
        break
      case 'status':
        this.#statuses.set(id, message.status)
        if (this.#processes.get(id)?.role === 'syncer') this.#passOnPulled(databaseOf(id), message.status)
        break
      case 'peerOffset':
        this.#clock.peerOffset(message.peer, message.offsetMs, message.delayMs)
        break
      case 'answer':
        this.#questions.answer(message.id, message.answer)
        break
      case 'asked':
        void this.#members.answer(databaseOf(id), message.peer, message.question).then((answer) => {
          this.#socket.send(id, { type: 'answer', id: message.id, answer })
        })
        break
      case 'keep':
        this.#keep(databaseOf(id), message.question, (answer) => {
          this.#socket.send(id, { type: 'kept', id: message.id, answer })
        })
        break
      case 'refused':
        this.#members.learn(databaseOf(id), message.peer, message.list)
        break
      default:
        unreachable(message)
    }
  }

  /** INFO tells it, which the proxies answer. */
  #passOnPulled(database: string, status: ProcessStatus['status']): void {
    const message: FromAgent = { type: 'pulled', peers: readPulled(status['peers']) }
    for (const { id, role } of this.#processes.values())
      if (role === 'proxy' && databaseOf(id) === database) this.#socket.send(id, message)
  }

  /** From now on an empty directory of this shard means that its data was lost. */
  #markInitialised(id: string): void {
    const { store, logger } = this.#ports
    const config = this.#processes.get(id)?.config
    if (config?.role !== 'shard' || isInitialised(store.state, config.database.guid, config.index)) return
    store.commit({ kind: 'initialised', guid: config.database.guid, shard: config.index }, (error) => {
      if (error === null) this.#want()
      else logger.error({ process: id, error: error.message }, 'the config store was not written')
    })
  }

  #onClock(clock: ClockState): void {
    for (const { id, role } of this.#processes.values()) {
      if (role !== 'syncer') this.#socket.send(id, { type: 'clock', clock })
    }
  }
}
