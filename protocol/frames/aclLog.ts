/** One entry of ACL LOG, as workers tell it to each other. */
import { isJsonObject } from '#runtime/jsonObject.ts'

export interface AclLogEntry {
  id: number
  count: number
  reason: 'command' | 'key' | 'channel' | 'auth'
  context: 'toplevel' | 'multi' | 'lua'
  /** What was denied: a command, a key, a channel, or the command that was to log in. */
  object: string
  user: string
  /** By the wall clock. */
  createdMs: number
  updatedMs: number
  /** As CLIENT LIST shows it. */
  client: string
}

/** Of what a user may not do. */
export const isDenialReason = (value: unknown): value is Exclude<AclLogEntry['reason'], 'auth'> =>
  value === 'command' || value === 'key' || value === 'channel'

/** None when they are not what a worker tells. */
export function readAclLog(answer: unknown): AclLogEntry[] {
  const entries = isJsonObject(answer) ? answer['entries'] : undefined
  return Array.isArray(entries) ? entries.filter(isEntry) : []
}

const isEntry = (value: unknown): value is AclLogEntry =>
  isJsonObject(value) &&
  ['id', 'count', 'createdMs', 'updatedMs'].every((name) => typeof value[name] === 'number') &&
  ['reason', 'context', 'object', 'user', 'client'].every((name) => typeof value[name] === 'string')
