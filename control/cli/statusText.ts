/** The status of a lab for people. Pure. */
import type {
  ClusterStatus,
  DatabaseStatus,
  LabStatus,
  LinkStatus,
  PeerFigures,
  ProcessStatus,
} from '#control/contract/status.ts'
import type { ShardInfo } from '#protocol/frames/admin.ts'

export function statusText(lab: LabStatus): string {
  const state = lab.waitingFor.length === 0 ? 'ready' : `waiting for ${lab.waitingFor.join(', ')}`
  return [
    `lab in ${lab.directory}, process ${lab.pid}: ${state}`,
    ...lab.clusters.flatMap((cluster) => ['', ...clusterLines(cluster)]),
    ...(lab.links.length === 0 ? [] : ['', ...linkLines(lab.links)]),
  ].join('\n')
}

function clusterLines({ name, port, agent, node }: ClusterStatus): string[] {
  const clock = node === null ? '' : `, clock ${clockText(node.clock)}`
  const head = `${name}, port ${port}${clock}`
  const rows = [['agent', agent.state, pidText(agent.pid), restartsText(agent.restarts), '']]
  for (const process of node?.processes ?? []) rows.push(processRow(process))
  if (node === null) rows.push(['', 'its agent does not answer', '', '', ''])
  return [head, ...table(rows)]
}

function clockText({ state, offsetMs, source }: { state: string; offsetMs: number; source: string }): string {
  return source === ''
    ? `${state} (nothing to compare with)`
    : `${state} (${offsetMs.toFixed(1)} ms from ${source})`
}

function processRow(process: ProcessStatus): string[] {
  const { id, state, pid, restarts, lastEnd } = process
  const end = lastEnd === null ? '' : `last ended with ${lastEnd}`
  const remarks = [...shardRemarks(process), ...syncerRemarks(process), end]
  return [id, state, pidText(pid), restartsText(restarts), remarks.filter(Boolean).join(', ')]
}

function shardRemarks({ role, status }: ProcessStatus): string[] {
  const { keys, stale, sync } = status as Partial<ShardInfo>
  if (role !== 'shard' || sync === undefined) return []
  const members = sync.members.map(
    ({ name, caughtUp }) => `${caughtUp ? 'in sync' : 'not in sync'} with ${name}`,
  )
  return [`${keys} keys`, stale === true ? 'stale' : '', ...members]
}

function syncerRemarks({ role, status }: ProcessStatus): string[] {
  const { peers } = status as { peers?: readonly PeerFigures[] }
  if (role !== 'syncer' || peers === undefined) return []
  return peers.map(({ name, state, error }) => `${name} ${state}${error === null ? '' : ` (${error})`}`)
}

const pidText = (pid: number | null): string => (pid === null ? '-' : String(pid))

const restartsText = (restarts: number): string => (restarts === 0 ? '' : `restarted ${restarts} x`)

/** One line for each pair of clusters: both have a relay to the other, and each relay carries bytes both ways. */
function linkLines(links: readonly LinkStatus[]): string[] {
  const rows = links.flatMap((out) => {
    const back = links.find(({ from, to }) => from === out.to && to === out.from)
    if (out.from > out.to || back === undefined) return []
    const thereCut = out.cutForward || back.cutBackward
    const hereCut = out.cutBackward || back.cutForward
    const rate = out.megabitsPerSecond === 0 ? '' : `${out.megabitsPerSecond} Mbit/s`
    return [[`link ${out.from}-${out.to}`, cutText(out, thereCut, hereCut), `delay ${out.delayMs} ms`, rate]]
  })
  return table(rows)
}

function cutText({ from, to }: LinkStatus, thereCut: boolean, hereCut: boolean): string {
  if (thereCut && hereCut) return 'cut'
  if (thereCut) return `cut from ${from} to ${to}`
  return hereCut ? `cut from ${to} to ${from}` : 'whole'
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length)
    })
  }
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd())
}

/** The members of a database, for people. */
export function memberLines({ name, guid, epoch, members }: DatabaseStatus): string[] {
  const rows = members.map((member) => [
    String(member.clusterId),
    member.name,
    `${member.host}:${member.port}`,
    member.state,
  ])
  return [`${name}, guid ${guid}, members as of epoch ${epoch}`, ...table(rows)]
}
