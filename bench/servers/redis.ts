/** A redis-server of the machine's own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { ended, freePort, host, makeDirectory, removeDirectory } from './child.ts'
import { askUntil } from './client.ts'
import { cpuTime, residentBytes } from './processes.ts'
import type { Restartable } from './server.ts'

const startMs = 30_000

/** With `appendfsync everysec` when it keeps an append-only file, without any persistence otherwise. */
export async function startRedis(options: { appendOnly: boolean }): Promise<Restartable> {
  const directory = makeDirectory('redis')
  const port = await freePort()
  // biome-ignore format: option and value side by side
  const args = ['--port', String(port), '--bind', host, '--dir', directory, '--save', '',
    '--appendonly', options.appendOnly ? 'yes' : 'no']
  let isStopping = false
  let child: ChildProcess
  const start = (): void => {
    child = spawn('redis-server', args, { stdio: 'ignore' })
    child.once('exit', () => {
      if (!isStopping) start()
    })
  }
  start()
  await askUntil(port, ['PING'], (reply) => reply === '+PONG\r\n', startMs)
  const pids = () => [child.pid ?? 0]
  return {
    name: 'redis-server',
    port,
    cpu: () => new Map([['redis-server', cpuTime(pids())]]),
    residentBytes: () => residentBytes(pids()),
    async killData() {
      const victim = child
      victim.kill('SIGKILL')
      await ended(victim)
    },
    async stop() {
      isStopping = true
      child.kill('SIGKILL')
      await ended(child)
      removeDirectory(directory)
    },
  }
}
