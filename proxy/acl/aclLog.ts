/** What was denied lately, newest first; what happens again within a minute is one entry. */
import type { AclLogEntry } from '#protocol/frames/aclLog.ts'
import { EntryLog } from '#proxy/entryLog.ts'

const sameMs = 60_000
/** So many of the latest entries are looked at for the same. */
const lookedAt = 10

/** So many times now. */
export type Denied = Pick<AclLogEntry, 'reason' | 'context' | 'object' | 'user' | 'client' | 'count'>

export class AclLog extends EntryLog<AclLogEntry> {
  add(denied: Denied, wallMs: number): void {
    const at = this.latest.slice(0, lookedAt).findIndex((entry) => isSame(entry, denied, wallMs))
    const [before] = at < 0 ? [] : this.latest.splice(at, 1)
    const entry = before ?? { ...denied, id: this.takeId(), count: 0, createdMs: wallMs }
    this.addFirst({
      ...entry,
      client: denied.client,
      count: entry.count + denied.count,
      updatedMs: wallMs,
    })
  }
}

/** The logs of several workers as one; what a worker denied within one millisecond stays in its order. */
export function joinedLogs(logs: readonly (readonly AclLogEntry[])[]): AclLogEntry[] {
  const joined: AclLogEntry[] = []
  for (const entry of logs.flat().sort((a, b) => b.updatedMs - a.updatedMs)) {
    const at = joined.findIndex((other) => isSame(other, entry, entry.updatedMs))
    const same = joined[at]
    if (same === undefined) joined.push(entry)
    else {
      const createdMs = Math.min(same.createdMs, entry.createdMs)
      joined[at] = { ...same, count: same.count + entry.count, createdMs }
    }
  }
  return joined
}

const isSame = (entry: AclLogEntry, denied: Omit<Denied, 'count'>, wallMs: number): boolean =>
  entry.reason === denied.reason &&
  entry.context === denied.context &&
  entry.object === denied.object &&
  entry.user === denied.user &&
  Math.abs(wallMs - entry.updatedMs) <= sameMs
