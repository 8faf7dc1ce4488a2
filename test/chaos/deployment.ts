/** Clusters of real processes, each in its namespace, started as an operator starts them: a TOML file and `antipode agent`. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { databaseDirectory } from '#control/agent/databaseDirectory.ts'
import { pidDirectoryName } from '#control/agent/nodeDirectory.ts'
import { ensureCertificates } from '#control/certificates/certificates.ts'
import { isAlive, PidDirectory, type PidRecord, signalProcess } from '#control/supervisor/pidFile.ts'
import { Wan } from './wan.ts'

const antipode = join(import.meta.dirname, '..', '..', 'bin', 'antipode')
export const databasePort = 12_000
const databaseName = 'db1'
const restartMs = 250
const stopMs = 15_000

export interface DeploymentOptions {
  directory: string
  shards: number
  persistence: 'everysec' | 'always'
  /** Lines of TOML below `[limits]`. */
  limits: Readonly<Record<string, number>>
}

/** What a command of an operator's came to. */
export interface Told {
  ok: boolean
  /** Everything that it printed. */
  text: string
}

export class Deployment {
  readonly #options: DeploymentOptions
  readonly #wan: Wan
  readonly #agents = new Map<number, ChildProcess>()
  /** Clusters whose agents are started again when they end. */
  readonly #wanted = new Set<number>()

  constructor(options: DeploymentOptions, wan: Wan) {
    this.#options = options
    this.#wan = wan
  }

  /** Clusters whose processes should be there. */
  get running(): number[] {
    return [...this.#wanted].sort()
  }

  directoryOf(cluster: number): string {
    return join(this.#options.directory, nameOf(cluster))
  }

  /** Starts the agent of a cluster, with a file that names these as members; it joins them, or is one from the beginning. */
  async start(cluster: number, members: readonly number[], joins: boolean): Promise<void> {
    await ensureCertificates(join(this.#options.directory, 'tls'), [nameOf(cluster)])
    mkdirSync(this.directoryOf(cluster), { recursive: true })
    writeFileSync(this.#configOf(cluster), nodeToml(this.#options, cluster, members, joins))
    this.resume(cluster)
  }

  /** As it was. */
  resume(cluster: number): void {
    this.#wanted.add(cluster)
    this.#startAgent(cluster)
  }

  /** What runs there, the agent included. */
  processes(cluster: number): PidRecord[] {
    const records = new PidDirectory(join(this.directoryOf(cluster), pidDirectoryName)).read()
    const agent = this.#agents.get(cluster)
    const alive = records.filter(isAlive)
    return agent?.pid === undefined ? alive : [...alive, { id: 'agent', pid: agent.pid, startTime: null }]
  }

  /** As a power cut does, but for what the kernel has to write. */
  async kill(cluster: number): Promise<void> {
    this.#wanted.delete(cluster)
    // The agent first, or it starts the others again.
    const agent = this.#agents.get(cluster)
    if (agent !== undefined) await ended(agent, 'SIGKILL')
    this.#killRest(cluster)
  }

  async stop(cluster: number): Promise<void> {
    this.#wanted.delete(cluster)
    const agent = this.#agents.get(cluster)
    if (agent !== undefined) await ended(agent, 'SIGTERM')
    // Of an agent that did not get to it.
    this.#killRest(cluster)
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#agents.keys()].map(async (cluster) => await this.stop(cluster)))
  }

  /** The data of one shard is gone, as with the disk that it lay on. The cluster must not run. */
  loseShard(cluster: number, shard: number): void {
    const directory = databaseDirectory(this.directoryOf(cluster), databaseName)
    rmSync(join(directory, `shard-${shard}`), { recursive: true })
  }

  /** `antipode member ...`, given at a cluster. */
  async member(cluster: number, words: readonly string[], withinMs: number): Promise<Told> {
    const command = ['member', ...words, '--config', this.#configOf(cluster)]
    return await new Promise((resolve) => {
      execFile(antipode, command, { timeout: withinMs, killSignal: 'SIGKILL' }, (error, stdout, stderr) =>
        resolve({ ok: error === null, text: `${stdout}${stderr}`.trim() }),
      )
    })
  }

  #configOf(cluster: number): string {
    return join(this.directoryOf(cluster), 'node.toml')
  }

  #killRest(cluster: number): void {
    const records = new PidDirectory(join(this.directoryOf(cluster), pidDirectoryName)).read()
    for (const record of records) if (isAlive(record)) signalProcess(record, 'SIGKILL')
  }

  #startAgent(cluster: number): void {
    const log = openSync(join(this.directoryOf(cluster), 'agent.log'), 'a')
    const child = spawn(
      'ip',
      // biome-ignore format: a command line
      ['netns', 'exec', this.#wan.namespaceOf(cluster), antipode, 'agent', '--config', this.#configOf(cluster), '--reimport'],
      { stdio: ['ignore', log, log] },
    )
    this.#agents.set(cluster, child)
    child.on('exit', () => {
      if (this.#agents.get(cluster) === child) this.#agents.delete(cluster)
      setTimeout(() => {
        if (this.#wanted.has(cluster) && !this.#agents.has(cluster)) this.#startAgent(cluster)
      }, restartMs)
    })
  }
}

async function ended(agent: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (agent.exitCode !== null || agent.signalCode !== null) return
  await new Promise<void>((resolve) => {
    const late = setTimeout(() => agent.kill('SIGKILL'), stopMs)
    agent.once('exit', () => {
      clearTimeout(late)
      resolve()
    })
    agent.kill(signal)
  })
}

export const nameOf = (cluster: number): string => `cluster-${cluster}`

function nodeToml(
  options: DeploymentOptions,
  cluster: number,
  members: readonly number[],
  joins: boolean,
): string {
  const { shards, persistence, limits } = options
  const name = nameOf(cluster)
  const lines = [
    '[node]',
    `cluster = "${name}"`,
    'data_dir = "."',
    '[tls]',
    `certificate = "../tls/${name}.crt"`,
    `key = "../tls/${name}.key"`,
    'authority = "../tls/authority.crt"',
    '[proxy]',
    'bind = "0.0.0.0"',
    'workers = 1',
    '[limits]',
    ...Object.entries(limits).map(([key, value]) => `${key} = ${value}`),
    '[[database]]',
    `name = "${databaseName}"`,
    'guid = "6a0ef3f2-5a3c-4d0e-9d57-2f6d3f6d8c11"',
    `port = ${databasePort}`,
    `shards = ${shards}`,
    `persistence = "${persistence}"`,
    `joins = ${joins}`,
  ]
  for (const member of members) {
    lines.push('[[database.member]]', `id = ${member}`, `name = "${nameOf(member)}"`)
    lines.push(`host = "${Wan.addressOf(member)}"`, `port = ${databasePort}`)
  }
  return `${lines.join('\n')}\n`
}
