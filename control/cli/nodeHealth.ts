/** Whether a node does its work, whatever the links to its peers do: a cluster that is cut off still serves. Pure. */
import type { NodeStatus, ProcessStatus } from '#control/contract/status.ts'
import type { ShardInfo } from '#protocol/frames/admin.ts'

/** What is amiss, for people; empty when every process runs and every shard takes writes. */
export function nodeFaults({ processes }: NodeStatus): string[] {
  if (processes.length === 0) return ['there are no processes yet']
  return processes.flatMap(processFaults)
}

function processFaults({ id, role, state, status, lastEnd }: ProcessStatus): string[] {
  if (state !== 'running') return [`${id} is ${state}${lastEnd === null ? '' : `, ended with ${lastEnd}`}`]
  if (role !== 'shard') return []
  const { writesRefused } = status as Partial<ShardInfo>
  if (writesRefused === undefined) return [`${id} has not told its state`]
  return writesRefused === null ? [] : [`${id} refuses writes: ${writesRefused}`]
}
