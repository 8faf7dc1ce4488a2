/** nutcracker (twemproxy) in front of a redis-server. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ended, freePort, host, makeDirectory, removeDirectory } from './child.ts'
import { askUntil } from './client.ts'
import { cpuTime } from './processes.ts'
import type { Server } from './server.ts'

const startMs = 30_000

export async function startNutcracker(redis: Server): Promise<Server> {
  const directory = makeDirectory('nutcracker')
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
  await askUntil(port, ['PING'], (reply) => reply === '+PONG\r\n', startMs)
  return {
    name: 'nutcracker + redis-server',
    port,
    cpu: () => new Map([['nutcracker', cpuTime([child.pid ?? 0])], ...redis.cpu()]),
    residentBytes: () => redis.residentBytes(),
    async stop() {
      child.kill('SIGKILL')
      await ended(child)
      removeDirectory(directory)
    },
  }
}
