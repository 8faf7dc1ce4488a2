/** What an agent and a lab tell about themselves: the shape behind `antipode lab status --json`. */
import type { ClockState } from '#config/process.ts'
import type { MemberState } from '#protocol/sync/member.ts'

export interface ProcessStatus {
  /** Such as `shard/db1/0`. */
  id: string
  role: string
  /** Such as `db1/0`. */
  name: string
  state: 'starting' | 'running' | 'stopping' | 'killed' | 'ended' | 'uncertain'
  pid: number | null
  restarts: number
  /** For how long it is in this state. */
  stateMs: number
  lastEnd: string | null
  /** What it last told about itself; empty before it has. */
  status: Readonly<Record<string, unknown>>
}

/** Of what a syncer tells about itself. */
export interface PeerFigures {
  name: string
  state: string
  /** Why it is not up. */
  error: string | null
}

export interface MemberStatus {
  clusterId: number
  name: string
  host: string
  port: number
  state: MemberState
}

export interface DatabaseStatus {
  /** Of the list of members. */
  epoch: number
  name: string
  guid: string
  port: number
  shardCount: number
  persistence: string
  clusterId: number
  members: readonly MemberStatus[]
}

export interface NodeStatus {
  cluster: string
  pid: number
  version: string
  clock: ClockState
  databases: readonly DatabaseStatus[]
  processes: readonly ProcessStatus[]
}

export interface LinkStatus {
  /** Cluster numbers: `from` pulls over this link. */
  from: number
  to: number
  relayPort: number
  /** Whether bytes towards `to`, and those coming back, are held up. */
  cutForward: boolean
  cutBackward: boolean
  delayMs: number
  /** 0: as fast as it goes. */
  megabitsPerSecond: number
  connections: number
}

export interface ClusterStatus {
  number: number
  name: string
  port: number
  directory: string
  agent: { state: string; pid: number | null; restarts: number }
  /** Null while the agent does not answer. */
  node: NodeStatus | null
}

export interface LabStatus {
  directory: string
  pid: number
  ready: boolean
  /** What is still to come before it is ready. */
  waitingFor: readonly string[]
  clusters: readonly ClusterStatus[]
  links: readonly LinkStatus[]
}
