/** Whole clusters of real processes, started as a user starts them: `bin/antipode lab up`. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis, type RedisOptions } from 'ioredis'
import type { LabStatus, ProcessStatus } from '#control/contract/status.ts'
import { askLab } from '#control/lab/labSocket.ts'

const execute = promisify(execFile)
const root = join(import.meta.dirname, '..', '..')
export const antipode = join(root, 'bin', 'antipode')

export interface LabOptions {
  clusters?: number
  shards?: number
  persistence?: 'none' | 'everysec' | 'always'
  /** Of every node, as `limits.backlog_bytes_max=65536`. */
  settings?: string[]
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** A base port such that `count` clusters find their database ports free. */
export async function freeBasePort(count: number): Promise<number> {
  for (;;) {
    const base = 10_100 + 2 * Math.floor(Math.random() * 4_900)
    const ports = Array.from({ length: count }, (_, i) => base + 2 * i)
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean)) return base
  }
}

export class Lab {
  readonly directory: string
  readonly basePort: number
  readonly clusters: number
  readonly output: string[] = []
  readonly #process: ChildProcess
  readonly #clients: Redis[] = []

  private constructor(directory: string, basePort: number, clusters: number, process: ChildProcess) {
    this.directory = directory
    this.basePort = basePort
    this.clusters = clusters
    this.#process = process
  }

  static async up(options: LabOptions = {}): Promise<Lab> {
    const { clusters = 2, shards = 2, persistence = 'everysec', settings = [] } = options
    const directory = mkdtempSync(join(tmpdir(), 'lab-'))
    const basePort = await freeBasePort(clusters)
    const child = spawn(
      antipode,
      // biome-ignore format: option and value side by side
      ['lab', 'up', '--dir', directory, '--base-port', String(basePort), '--clusters', String(clusters),
       '--shards', String(shards), '--persistence', persistence, ...settings.flatMap((setting) => ['--set', setting])],
      { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    const lab = new Lab(directory, basePort, clusters, child)
    await lab.#ready()
    return lab
  }

  async #ready(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const take = (chunk: Buffer) => {
        this.output.push(...chunk.toString().split('\n'))
        if (this.output.includes('ready')) resolve()
      }
      this.#process.stdout?.on('data', take)
      this.#process.stderr?.on('data', take)
      this.#process.once('exit', (code) =>
        reject(new Error(`lab up ended with ${code}:\n${this.output.join('\n')}`)),
      )
    })
  }

  /** Database port of cluster `number`, counted from 1. */
  port(number: number): number {
    return this.basePort + 2 * (number - 1)
  }

  /** A client that is closed with the lab. */
  client(number: number, options: RedisOptions = {}): Redis {
    const client = new Redis(
      this.port(number),
      '127.0.0.1',
      options as RedisOptions & { replyMapping?: 'legacy' },
    )
    client.on('error', () => {
      // Connections break when tests kill processes; the commands that were lost reject by themselves.
    })
    this.#clients.push(client)
    return client
  }

  /** `antipode lab ...` on this lab; returns what it printed. */
  async lab(...words: (string | number)[]): Promise<string> {
    const { stdout } = await execute(antipode, ['lab', ...words.map(String), '--dir', this.directory], {
      cwd: root,
    })
    return stdout
  }

  async cut(one: number, other: number): Promise<void> {
    await askLab(this.directory, { type: 'cut', one, other, oneWay: false })
  }

  async heal(one: number | 'all' = 'all', other?: number): Promise<void> {
    if (one === 'all' || other === undefined) await askLab(this.directory, { type: 'healAll' })
    else await askLab(this.directory, { type: 'heal', one, other, oneWay: false })
  }

  async status(): Promise<LabStatus> {
    const answer = await askLab(this.directory, { type: 'status' })
    if (answer.type !== 'status') throw new Error(`a lab that answers ${answer.type}`)
    return answer.status
  }

  /** Of a cluster's node, as far as its agent answers. */
  async processes(cluster = 1): Promise<readonly ProcessStatus[]> {
    return (await this.status()).clusters[cluster - 1]?.node?.processes ?? []
  }

  /** What each cluster holds, hidden metadata and version vectors included: equal texts mean equal clusters. */
  async digests(): Promise<string[]> {
    return await Promise.all(
      Array.from({ length: this.clusters }, async (_, i) => {
        const client = this.client(i + 1, { retryStrategy: () => 50, maxRetriesPerRequest: null })
        try {
          return String(await client.call('CRDT', 'DIGEST'))
        } finally {
          client.disconnect()
        }
      }),
    )
  }

  /** Waits until every cluster has applied everything. */
  async settle(withinMs = 30_000): Promise<void> {
    const deadlineMs = performance.now() + withinMs
    for (;;) {
      const digests = await this.digests()
      if (digests.every((digest) => digest === digests[0])) return
      if (performance.now() > deadlineMs) {
        throw new Error(
          `the clusters still differ after ${withinMs} ms: ${digests.join(' ')}\n${await this.lab('status')}`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** Ctrl-C, as a user would; resolves to the exit code when everything is gone. */
  async down(): Promise<number | null> {
    for (const client of this.#clients) client.disconnect()
    const exited = new Promise<number | null>((resolve) =>
      this.#process.once('exit', (code) => resolve(code)),
    )
    this.#process.kill('SIGINT')
    const code = await exited
    rmSync(this.directory, { recursive: true, force: true })
    return code
  }
}
