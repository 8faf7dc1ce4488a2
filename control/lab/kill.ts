/** Ends a process of a lab the hard way, by its pid file: it works while agents are down, too. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pidDirectoryName } from '#control/agent/nodeDirectory.ts'
import { isAlive, PidDirectory, type PidRecord, signalProcess } from '#control/supervisor/pidFile.ts'
import { clusterName, LabError } from './labFile.ts'
import { labDatabase } from './nodeToml.ts'

export const killRoles = ['shard', 'proxy', 'syncer', 'agent'] as const
export type KillRole = (typeof killRoles)[number]

/** A process that is just being started again is waited for so long. */
const waitMs = 5_000
const lookMs = 20

export async function killProcess(
  directory: string,
  cluster: number,
  role: KillRole,
  number: number,
): Promise<PidRecord> {
  const clusterDirectory = role === 'agent' ? directory : join(directory, clusterName(cluster))
  if (!existsSync(clusterDirectory)) throw new LabError(`there is no ${clusterName(cluster)} in ${directory}`)
  const pids = new PidDirectory(join(clusterDirectory, pidDirectoryName))
  const id = processId(cluster, role, number)
  const deadlineMs = performance.now() + waitMs
  for (;;) {
    const records = pids.read()
    const record = records.find((candidate) => candidate.id === id && isAlive(candidate))
    if (record !== undefined && signalProcess(record, 'SIGKILL')) return record
    if (performance.now() > deadlineMs) throw notRunning(id, cluster, records)
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
}

function processId(cluster: number, role: KillRole, number: number): string {
  if (role === 'agent') return `agent/${clusterName(cluster)}`
  return role === 'syncer' ? `syncer/${labDatabase}` : `${role}/${labDatabase}/${number}`
}

function notRunning(id: string, cluster: number, records: readonly PidRecord[]): LabError {
  const running = records.filter(isAlive).map((record) => record.id)
  const what = running.length === 0 ? 'nothing is' : `what is: ${running.sort().join(', ')}`
  return new LabError(`${id} of ${clusterName(cluster)} is not running; ${what}`)
}
