/** Whether a lab is ready: every cluster takes writes, and all are in sync. Pure. */
import type { ClusterStatus, NodeStatus, ProcessStatus } from '#control/contract/status.ts'
import type { ShardInfo } from '#protocol/frames/admin.ts'

/** What is still to come, for people; empty when the lab is ready. */
export function waitingFor(clusters: readonly ClusterStatus[]): string[] {
  return clusters.flatMap(({ name, node }) => {
    if (node === null) return [`${name}: its agent`]
    if (isRemoved(node)) return []
    const waits = node.processes.flatMap((process) => processWaits(process).map((wait) => `${name}: ${wait}`))
    if (node.clock.state === 'gated')
      waits.push(`${name}: its clock, off by ${Math.round(node.clock.offsetMs)} ms`)
    if (node.processes.length === 0) waits.push(`${name}: its processes`)
    return waits
  })
}

/** It serves what it had, and nobody waits for it. */
const isRemoved = ({ cluster, databases }: NodeStatus): boolean =>
  databases.length > 0 &&
  databases.every(({ members }) => members.find(({ name }) => name === cluster)?.state === 'removed')

function processWaits({ id, role, state, status, lastEnd }: ProcessStatus): string[] {
  if (state !== 'running') return [lastEnd === null ? id : `${id}, which ended with ${lastEnd}`]
  return role === 'shard' ? shardWaits(id, status) : []
}

/** Of what a shard tells, as in `protocol/frames/admin.ts`. */
function shardWaits(id: string, status: ProcessStatus['status']): string[] {
  const { writesRefused, sync } = status as Partial<ShardInfo>
  if (sync === undefined) return [`${id} to tell its state`]
  if (typeof writesRefused === 'string') return [`${id} to take writes (${writesRefused})`]
  return sync.members
    .filter(({ caughtUp }) => !caughtUp)
    .map(({ name }) => `${id} to be in sync with ${name}`)
}
