/**
 * A lab: clusters of one node each on this machine, and a relay for every link between them. It lives in one process,
 * which watches over the agents as an agent watches over its processes.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'toml'
import { load, problemLines } from '#config/load.ts'
import { ask } from '#control/agent/jsonLines.ts'
import { agentSocketName, lockFileName, pidDirectoryName } from '#control/agent/nodeDirectory.ts'
import { socketDirectory } from '#control/agent/socketDirectory.ts'
import { ensureCertificates } from '#control/certificates/certificates.ts'
import type { AgentRequest, LabRequest } from '#control/contract/requests.ts'
import type { ClusterStatus, LabStatus, LinkStatus, NodeStatus } from '#control/contract/status.ts'
import { Relay, wholeLink } from '#control/relay/relay.ts'
import { lockOwner } from '#control/supervisor/directoryLock.ts'
import { NodeProcessHost } from '#control/supervisor/processHost.ts'
import { Supervisor, type WantedProcess } from '#control/supervisor/supervisor.ts'
import { compileCacheVariable } from '#runtime/node/compileCache.ts'
import { nodeClock } from '#runtime/node/nodeClock.ts'
import { NodeTimers } from '#runtime/node/nodeTimers.ts'
import type { Logger } from '#runtime/ports.ts'
import { isFree } from './freePort.ts'
import {
  clusterName,
  clusterNumbers,
  databasePort,
  LabError,
  type LabFile,
  linkName,
  linksOf,
  planJoining,
  writeLabFile,
} from './labFile.ts'
import { stopLeftovers } from './leftovers.ts'
import { nodeToml } from './nodeToml.ts'
import { waitingFor } from './readiness.ts'

const host = '127.0.0.1'
const agentAnswerMs = 2_000
/** Agents get a little longer than they give their processes. */
const agentDrainMs = 8_000
const agentLogBytesMax = 16 * 1024 * 1024

export interface LabOptions {
  directory: string
  /** Program and leading arguments of an agent; `--config FILE` and more are added. */
  agentProgram: readonly string[]
  logger: Logger
}

export class Lab {
  readonly #options: LabOptions
  #file: LabFile
  readonly #relays = new Map<string, Relay>()
  readonly #agents: Supervisor
  #ready = false

  constructor(file: LabFile, options: LabOptions) {
    this.#file = file
    this.#options = options
    this.#agents = new Supervisor(
      { restartMinMs: 250, restartMaxMs: 5_000, stableMs: 2_000, silentMs: 0, drainMs: agentDrainMs },
      {
        host: new NodeProcessHost(join(options.directory, pidDirectoryName), agentLogBytesMax),
        clock: nodeClock,
        timers: new NodeTimers(),
        logger: options.logger,
      },
    )
  }

  get logger(): Logger {
    return this.#options.logger
  }

  get shape(): LabFile {
    return this.#file
  }

  /** Starts everything; it is ready some time later. */
  async start(): Promise<void> {
    await this.#checkDatabasePorts()
    const moved = await this.#openRelays()
    // Nodes that an earlier lab left running know the old ports.
    if (moved) await stopLeftovers(this.#options.directory)
    await this.#writeNodes()
    this.#agents.adopt()
    this.#agents.want(clusterNumbers(this.#file).map((number) => this.#agentProcess(number)))
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#agents.stop(resolve))
    for (const relay of this.#relays.values()) relay.close()
    await stopLeftovers(this.#options.directory)
  }

  async status(): Promise<LabStatus> {
    const clusters = await Promise.all(
      clusterNumbers(this.#file).map((number) => this.#clusterStatus(number)),
    )
    const waits = waitingFor(clusters)
    if (waits.length === 0) this.#ready = true
    return {
      directory: this.#options.directory,
      pid: process.pid,
      ready: this.#ready,
      waitingFor: waits,
      clusters,
      links: linksOf(this.#file).map((link) => this.#linkStatus(link)),
    }
  }

  /** Cuts, heals, delays and narrows; throws a `LabError` for a link that isn't there. */
  changeLinks(request: Extract<LabRequest, { type: 'cut' | 'heal' | 'healAll' | 'delay' | 'rate' }>): void {
    if (request.type === 'healAll') {
      for (const relay of this.#relays.values()) relay.change(wholeLink)
      return
    }
    // The one that `one` dials, and the one that `other` dials: each carries bytes both ways.
    const out = this.#relay(request.one, request.other)
    const back = this.#relay(request.other, request.one)
    if (request.type === 'delay') {
      for (const relay of [out, back]) relay.change({ delayMs: request.delayMs })
      return
    }
    if (request.type === 'rate') {
      for (const relay of [out, back]) relay.change({ megabitsPerSecond: request.megabitsPerSecond })
      return
    }
    const cut = request.type === 'cut'
    out.change(request.oneWay ? { cutForward: cut } : { cutForward: cut, cutBackward: cut })
    back.change(request.oneWay ? { cutBackward: cut } : { cutForward: cut, cutBackward: cut })
  }

  /** Whose agent, once it has started, waits to be let in; returns its number. */
  async prepareToJoin(cluster: number | null): Promise<number> {
    const planned = planJoining(this.#file, cluster)
    const number = cluster ?? planned.clusters
    if (cluster === null && !(await isFree(databasePort(planned, number))))
      throw new LabError(
        `port ${databasePort(planned, number)} of ${clusterName(number)} is taken by another program`,
      )
    this.#file = planned
    await this.#openRelays()
    await this.#writeNodes()
    const agents = clusterNumbers(this.#file).map((one) => this.#agentProcess(one))
    const running = this.#agents.processes().find(({ id }) => id === `agent/${clusterName(number)}`)
    // It reads its file when it starts again.
    if (running !== undefined && running.pid !== null) process.kill(running.pid, 'SIGTERM')
    this.#agents.want(agents)
    return number
  }

  clusterDirectory(number: number): string {
    return join(this.#options.directory, clusterName(number))
  }

  async #checkDatabasePorts(): Promise<void> {
    for (const number of clusterNumbers(this.#file)) {
      const port = databasePort(this.#file, number)
      // A node that an earlier lab left running holds its own port.
      if (lockOwner(join(this.clusterDirectory(number), lockFileName)) !== null || (await isFree(port)))
        continue
      throw new LabError(
        `port ${port} of ${clusterName(number)} is taken by another program; end it, or choose other ports with --base-port`,
      )
    }
  }

  /** At the ports of the last time where they are free. Whether any has changed. */
  async #openRelays(): Promise<boolean> {
    const ports: Record<string, number> = {}
    for (const { from, to } of linksOf(this.#file)) {
      const name = linkName(from, to)
      const before = this.#file.relayPorts[name] ?? 0
      if (this.#relays.has(name)) {
        ports[name] = before
        continue
      }
      const relay = new Relay(host, databasePort(this.#file, to), (error) => {
        this.#options.logger.error({ link: name, error: error.message }, 'a connection over a relay is lost')
      })
      this.#relays.set(name, relay)
      ports[name] = await relay.listen((await isFree(before)) ? before : 0)
    }
    const moved = JSON.stringify(ports) !== JSON.stringify(this.#file.relayPorts)
    this.#file = { ...this.#file, relayPorts: ports }
    return moved
  }

  async #writeNodes(): Promise<void> {
    const { directory } = this.#options
    const numbers = clusterNumbers(this.#file)
    const nodes = numbers.map((number) => ({ number, toml: checkedToml(this.#file, number) }))
    writeLabFile(directory, this.#file)
    await ensureCertificates(join(directory, 'tls'), numbers.map(clusterName))
    for (const { number, toml } of nodes) {
      mkdirSync(this.clusterDirectory(number), { recursive: true, mode: 0o700 })
      writeFileSync(join(this.clusterDirectory(number), 'node.toml'), toml)
    }
  }

  #agentProcess(number: number): WantedProcess {
    const [command = '', ...leading] = this.#options.agentProgram
    const directory = this.clusterDirectory(number)
    return {
      id: `agent/${clusterName(number)}`,
      command,
      arguments: [...leading, '--config', join(directory, 'node.toml'), '--reimport'],
      environment: {
        [compileCacheVariable]: process.env[compileCacheVariable] ?? join(this.#options.directory, 'cache'),
      },
      logPath: join(directory, 'log', 'agent.log'),
      stopRank: 0,
      reports: false,
    }
  }

  async #clusterStatus(number: number): Promise<ClusterStatus> {
    const name = clusterName(number)
    const agent = this.#agents.processes().find(({ id }) => id === `agent/${name}`)
    return {
      number,
      name,
      port: databasePort(this.#file, number),
      directory: this.clusterDirectory(number),
      agent: { state: agent?.state ?? 'ended', pid: agent?.pid ?? null, restarts: agent?.restarts ?? 0 },
      node: await nodeStatus(this.clusterDirectory(number)),
    }
  }

  #linkStatus({ from, to }: { from: number; to: number }): LinkStatus {
    const relay = this.#relay(from, to)
    const relayPort = this.#file.relayPorts[linkName(from, to)] ?? 0
    return { from, to, relayPort, ...relay.state, connections: relay.connections }
  }

  #relay(from: number, to: number): Relay {
    const relay = this.#relays.get(linkName(from, to))
    if (relay !== undefined) return relay
    throw new LabError(
      `there is no link between ${from} and ${to}: the clusters are 1 to ${this.#file.clusters}`,
    )
  }
}

/** Null while the agent does not answer. */
export async function nodeStatus(clusterDirectory: string): Promise<NodeStatus | null> {
  try {
    const socketPath = join(socketDirectory(clusterDirectory), agentSocketName)
    const reply = await ask(socketPath, { type: 'status' } satisfies AgentRequest, agentAnswerMs)
    return reply['type'] === 'status' ? (reply['status'] as NodeStatus) : null
  } catch {
    // It starts, or it was killed; the supervisor knows more.
    return null
  }
}

/** What the node would refuse is refused before anything starts. */
function checkedToml(file: LabFile, number: number): string {
  const toml = nodeToml(file, number)
  const { problems } = load(parse(toml))
  if (problems !== null) throw new LabError(problemLines(problems).join('\n'))
  return toml
}
