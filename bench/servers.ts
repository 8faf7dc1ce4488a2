/** The servers that are measured side by side, each started on free ports in a temporary directory. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Server {
  name: string
  port: number
  /** CPU time of all its processes so far, milliseconds. */
  cpuMs(): number
  /** Resident memory of the processes that hold data, bytes. */
  residentBytes(): number
  stop(): Promise<void>
}

const root = join(import.meta.dirname, '..')
const host = '127.0.0.1'

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** Resolves when a PING is answered. */
export async function answers(port: number, withinMs = 30_000): Promise<void> {
  const deadlineMs = performance.now() + withinMs
  while (performance.now() < deadlineMs) {
    const pong = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ port, host }, () => socket.write('*1\r\n$4\r\nPING\r\n'))
      socket.once('data', (data) => {
        socket.destroy()
        resolve(data.toString().startsWith('+PONG'))
      })
      socket.once('error', () => resolve(false))
      socket.setTimeout(1_000, () => socket.destroy())
      socket.once('close', () => resolve(false))
    })
    if (pong) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`nothing answers on port ${port}`)
}

const clockTicksPerSecond = 100

/** User and system time of one process, milliseconds (proc(5), fields 14 and 15). */
function processCpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / clockTicksPerSecond
}

function processResidentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise((resolve) => child.once('exit', resolve))
}

export async function startRedis(
  ...options: string[]
): Promise<Server & { directory: string; restart(): Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-redis-'))
  const port = await freePort()
  const start = () =>
    spawn(
      'redis-server',
      ['--port', String(port), '--bind', host, '--dir', directory, '--save', '', ...options],
      {
        stdio: 'ignore',
      },
    )
  let child = start()
  await answers(port)
  return {
    name: 'redis-server',
    port,
    directory,
    cpuMs: () => processCpuMs(child.pid ?? 0),
    residentBytes: () => processResidentBytes(child.pid ?? 0),
    async restart() {
      child.kill('SIGKILL')
      await ended(child)
      child = start()
      await answers(port)
    },
    async stop() {
      child.kill('SIGTERM')
      await ended(child)
      rmSync(directory, { recursive: true })
    },
  }
}

export async function startNutcracker(redis: Server): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-nutcracker-'))
  const [port, statsPort] = [await freePort(), await freePort()]
  const file = join(directory, 'nutcracker.yml')
  const lines = [
    'bench:',
    `  listen: ${host}:${port}`,
    '  redis: true',
    '  hash: fnv1a_64',
    '  distribution: ketama',
    '  servers:',
    `   - ${host}:${redis.port}:1`,
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const child = spawn('nutcracker', ['-c', file, '-a', host, '-s', String(statsPort), '-m', '16384'], {
    stdio: 'ignore',
  })
  await answers(port)
  return {
    name: 'nutcracker + redis-server',
    port,
    cpuMs: () => processCpuMs(child.pid ?? 0) + redis.cpuMs(),
    residentBytes: () => redis.residentBytes(),
    async stop() {
      child.kill('SIGTERM')
      await ended(child)
      rmSync(directory, { recursive: true })
    },
  }
}

export interface LabServer extends Server {
  /** Database port of cluster `number`, counted from 1. */
  portOf(number: number): number
  kill(cluster: number, kind: string): Promise<void>
}

/** Process ids of the lab's processes of one kind in one cluster, by their pid files. */
function pidsOf(directory: string, kind: RegExp): number[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.pid') && kind.test(name))
    .map((name) => Number.parseInt(readFileSync(join(directory, name), 'utf8'), 10))
}

export async function startLab(name: string, clusters: number, persistence: string): Promise<LabServer> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-lab-'))
  const basePort = 10_200 + 2 * Math.floor(Math.random() * 4_800)
  const lab = join(root, 'bin', 'antipode')
  // biome-ignore format: option and value side by side
  const child = spawn(lab, ['lab', 'up', '--dir', directory, '--base-port', String(basePort), '--clusters', String(clusters),
    '--shards', '1', '--persistence', persistence], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      if (/^ready$/m.test(chunk.toString())) resolve()
    })
    child.once('exit', () => reject(new Error('lab up ended')))
  })
  const dataPath = () => pidsOf(directory, /shard|proxy|syncer/)
  return {
    name,
    port: basePort,
    portOf: (number) => basePort + 2 * (number - 1),
    cpuMs: () => dataPath().reduce((sum, pid) => sum + processCpuMs(pid), 0),
    residentBytes: () => pidsOf(directory, /shard/).reduce((sum, pid) => sum + processResidentBytes(pid), 0),
    async kill(cluster, kind) {
      const killer = spawn(lab, ['lab', 'kill', String(cluster), kind, '--dir', directory], {
        stdio: 'ignore',
      })
      await ended(killer)
    },
    async stop() {
      child.kill('SIGINT')
      await ended(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
