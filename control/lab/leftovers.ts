/** Processes of a lab whose own process is gone, or whose agents could not stop them. */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pidDirectoryName } from '#control/agent/nodeDirectory.ts'
import { removeSockets, socketDirectory } from '#control/agent/socketDirectory.ts'
import { isAlive, PidDirectory, type PidRecord, signalProcess } from '#control/supervisor/pidFile.ts'
import { labFileName, labLockName, labLogName } from './labFile.ts'

/** Agents stop their processes within their own time limit; this is above it. */
const agentStopMs = 8_000
const killMs = 2_000
const lookMs = 25

/** Stops what still runs, agents first so that they stop theirs in order. Returns what was found, such as `shard/db1/0`. */
export async function stopLeftovers(directory: string): Promise<string[]> {
  const agents = new PidDirectory(join(directory, pidDirectoryName))
  const found = await stopAll(agents, 'SIGTERM', agentStopMs)
  for (const name of clusterDirectories(directory)) {
    const clusterDirectory = join(directory, name)
    found.push(
      ...(await stopAll(new PidDirectory(join(clusterDirectory, pidDirectoryName)), 'SIGTERM', killMs)),
    )
    removeSockets(socketDirectory(clusterDirectory), clusterDirectory)
  }
  return found
}

async function stopAll(pids: PidDirectory, signal: 'SIGTERM', withinMs: number): Promise<string[]> {
  const records = pids.read()
  const living = records.filter(isAlive)
  for (const record of living) signalProcess(record, signal)
  if (!(await allGone(living, withinMs))) {
    for (const record of living) signalProcess(record, 'SIGKILL')
    await allGone(living, killMs)
  }
  for (const { id } of records) pids.remove(id)
  return living.map(({ id }) => id)
}

async function allGone(records: readonly PidRecord[], withinMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs
  while (records.some(isAlive)) {
    if (performance.now() > deadlineMs) return false
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
  return true
}

function clusterDirectories(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).filter((name) => /^cluster-\d+$/.test(name)) : []
}

/** Removes what only a lab that runs has. */
export function clearRun(directory: string): void {
  if (!existsSync(directory)) return
  rmSync(join(directory, labLockName), { force: true })
  removeSockets(socketDirectory(directory), directory)
}

/** Removes what labs make in their directory, and nothing else. */
export function clearLab(directory: string): void {
  const names = [labFileName, labLogName, 'tls', 'cache', pidDirectoryName, ...clusterDirectories(directory)]
  for (const name of names) rmSync(join(directory, name), { recursive: true, force: true })
}
