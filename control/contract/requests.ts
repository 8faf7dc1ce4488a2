/** Requests on the sockets of an agent and of a lab: one JSON object a line, each answered by one line. */
import type { LabStatus, NodeStatus } from './status.ts'

export type AgentRequest = { type: 'status' } | MemberRequest

/** Answered by any number of `progress` lines, and `done` or a refusal. */
export type MemberRequest =
  | { type: 'addMember'; database: string; name: string; host: string; port: number; id: number | null }
  /** `forced`: without the help of the members that go, by name. */
  | { type: 'removeMembers'; database: string; names: string[]; forced: boolean }
  | { type: 'cancelMemberChange'; database: string }
  /** Where another member is, as seen from this cluster. */
  | { type: 'moveMember'; database: string; name: string; host: string; port: number }
  /** Gives up what this cluster has, and joins anew; forced: members that don't answer are forced out for it. */
  | { type: 'rejoin'; database: string; forced: boolean }
  /** Forgets a database of which this cluster is no member any more, and its data. */
  | { type: 'purgeDatabase'; database: string }

export type AgentReply =
  | { type: 'status'; status: NodeStatus }
  | { type: 'progress'; text: string }
  | { type: 'done'; text: string }
  | Refusal

export type LabRequest =
  | { type: 'status' }
  | { type: 'cut' | 'heal'; one: number; other: number; oneWay: boolean }
  | { type: 'healAll' }
  | { type: 'delay'; one: number; other: number; delayMs: number }
  /** Gets a cluster ready to join: a new one (null), or one that was removed and purged. */
  | { type: 'prepare'; cluster: number | null }
  | { type: 'rate'; one: number; other: number; megabitsPerSecond: number }
  | { type: 'down' }

export type LabReply =
  | { type: 'status'; status: LabStatus }
  | { type: 'done' }
  | { type: 'prepared'; cluster: number }
  | Refusal

/** The request can't be carried out; the message says why. */
export interface Refusal {
  type: 'refused'
  message: string
}
