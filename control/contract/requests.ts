/** Requests on the sockets of an agent and of a lab: one JSON object a line, each answered by one line. */
import type { LabStatus, NodeStatus } from './status.ts'

export type AgentRequest = { type: 'status' }

export type AgentReply = { type: 'status'; status: NodeStatus } | Refusal

export type LabRequest =
  | { type: 'status' }
  | { type: 'cut' | 'heal'; one: number; other: number; oneWay: boolean }
  | { type: 'healAll' }
  | { type: 'delay'; one: number; other: number; delayMs: number }
  | { type: 'down' }

export type LabReply = { type: 'status'; status: LabStatus } | { type: 'done' } | Refusal

/** The request can't be carried out; the message says why. */
export interface Refusal {
  type: 'refused'
  message: string
}
