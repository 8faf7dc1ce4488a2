/**
 * The agent of a node: starts, watches and restarts the node's processes and tells them what they need to know. It holds
 * no data and is on no data path: when it dies, its processes go on, and the next agent takes them over.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { ClockState, ToAgent } from '#config/process.ts'
import { MendableError } from '#control/contract/mendableError.ts'
import type { NodeStatus, ProcessStatus } from '#control/contract/status.ts'
import type { ConfigStore } from '#control/store/configStore.ts'
import { completeDatabase, differences, importRefusal } from '#control/store/databaseImport.ts'
import { isInitialised } from '#control/store/storeState.ts'
import { processStartTime } from '#control/supervisor/pidFile.ts'
import type { ProcessHost } from '#control/supervisor/processHost.ts'
import { Supervisor, type WantedProcess } from '#control/supervisor/supervisor.ts'
import { unreachable } from '#runtime/invariant.ts'
import { compileCacheVariable } from '#runtime/node/compileCache.ts'
import { logLevelVariable } from '#runtime/node/nodeLogger.ts'
import type { Clock, Logger, Timers } from '#runtime/ports.ts'
import { AgentSocket } from './agentSocket.ts'
import { claimDirectory, databaseDirectory, guidOf } from './databaseDirectory.ts'
import { agentSocketName } from './nodeDirectory.ts'
import type { NodeFile } from './nodeFile.ts'
import { type NodeProcess, nodeProcesses } from './nodeProcesses.ts'
import type { Machine } from './proxyWorkers.ts'
import { reloaded } from './reload.ts'

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
  #settings: NodeFile['settings']
  #processes = new Map<string, NodeProcess>()
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
      },
      ports.logger,
    )
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
  }

  /** Stops all processes, then itself. May be asked more than once. */
  async drain(): Promise<void> {
    this.#draining ??= new Promise((resolve) => {
      this.#ports.logger.info({}, 'draining')
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
    this.#want()
    for (const { id, config } of this.#processes.values()) this.#socket.send(id, { type: 'config', config })
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
      databases: databases.map(({ name, guid, port, shards, persistence, members }) => ({
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
    const complete = databases.map((database) =>
      completeDatabase(
        database,
        node.cluster,
        proxy.bind,
        () => guidOf(directoryOf(database.name)) ?? randomUUID(),
      ),
    )
    const refusal = importRefusal(store.state.databases, complete, node.cluster)
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
    const processes = nodeProcesses(this.#settings, this.#ports.store.state, paths, machine)
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
        break
      case 'peerOffset':
        this.#clock.peerOffset(message.peer, message.offsetMs, message.delayMs)
        break
      default:
        unreachable(message)
    }
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
