/** Clusters of Antipode as `antipode lab` starts them. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Persistence } from '#config/process.ts'
import { databasePortMax, databasePortMin, databasePortsExcluded } from '#config/schema.ts'
import { pidDirectoryName } from '#control/agent/nodeDirectory.ts'
import { isFree } from '#control/lab/freePort.ts'
import { killProcess } from '#control/lab/kill.ts'
import { clusterName } from '#control/lab/labFile.ts'
import { askLab } from '#control/lab/labSocket.ts'
import { isAlive, PidDirectory } from '#control/supervisor/pidFile.ts'
import { ended, makeDirectory, removeDirectory } from './child.ts'
import { cpuTime, residentBytes } from './processes.ts'
import type { Restartable } from './server.ts'

export interface LabServer extends Restartable {
  /** Database port of cluster `number`, counted from 1. */
  portOf(number: number): number
  /** Cuts the link between clusters 1 and 2, or mends it. */
  setLink(state: 'cut' | 'heal'): Promise<void>
}

export interface LabOptions {
  name: string
  clusters: number
  persistence: Persistence
}

const program = join(import.meta.dirname, '..', '..', 'bin', 'antipode')
/** Processes that a request passes, by the first part of their ids. */
const dataPath = ['proxy', 'shard', 'syncer']

/** One shard a cluster. Figures are those of cluster 1; the CPU time of the others counts as that of `peer ...`. */
export async function startLab({ name, clusters, persistence }: LabOptions): Promise<LabServer> {
  const directory = makeDirectory('lab')
  const basePort = await freeDatabasePorts(clusters)
  // biome-ignore format: option and value side by side
  const child = spawn(program, ['lab', 'up', '--dir', directory, '--base-port', String(basePort),
    '--clusters', String(clusters), '--shards', '1', '--persistence', persistence],
    { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      if (/^ready$/m.test(chunk.toString())) resolve()
    })
    child.once('error', reject)
    child.once('exit', () => reject(new Error('the lab ended before it was ready')))
  })
  const pids = (cluster: number, role: string): number[] =>
    new PidDirectory(join(directory, clusterName(cluster), pidDirectoryName))
      .read()
      .filter((record) => record.id.startsWith(`${role}/`) && isAlive(record))
      .map(({ pid }) => pid)
  const peers = Array.from({ length: clusters - 1 }, (_, i) => i + 2)
  return {
    name,
    port: basePort,
    portOf: (number) => basePort + 2 * (number - 1),
    cpu: () =>
      new Map([
        ...dataPath.map((role) => [role, cpuTime(pids(1, role))] as const),
        ...dataPath.map(
          (role) => [`peer ${role}`, cpuTime(peers.flatMap((peer) => pids(peer, role)))] as const,
        ),
      ]),
    residentBytes: () => residentBytes(pids(1, 'shard')),
    // Not by the command line: starting it would disturb what is measured.
    async setLink(type) {
      await askLab(directory, { type, one: 1, other: 2, oneWay: false })
    },
    async killData() {
      await killProcess(directory, 1, 'shard', 0)
    },
    async stop() {
      child.kill('SIGTERM')
      await ended(child)
      removeDirectory(directory)
    },
  }
}

async function freeDatabasePorts(clusters: number): Promise<number> {
  const span = 2 * clusters
  const [from, to] = [databasePortMin + 200, databasePortMax - span]
  for (;;) {
    const base = from + Math.floor(Math.random() * (to - from))
    const ports = Array.from({ length: clusters }, (_, i) => base + 2 * i)
    if (ports.some((port) => databasePortsExcluded.includes(port))) continue
    const free = await Promise.all(ports.map((port) => isFree(port)))
    if (free.every((each) => each)) return base
  }
}
