/** What was denied lately, newest first; what happens again within a minute is one entry. */
import type { AclLogEntry } from '#protocol/frames/aclLog.ts'

const sameMs = 60_000
/** So many of the latest entries are looked at for the same. */
const lookedAt = 10

/** So many times now. */
export type Denied = Pick<AclLogEntry, 'reason' | 'context' | 'object' | 'user' | 'client' | 'count'>

export class AclLog {
  /** More are forgotten. */
  entriesMax: number
  #entries: AclLogEntry[] = []
  #nextId: number
  readonly #idStep: number

  /** Ids of workers of one port differ. */
  constructor(worker: number, workerCount: number, entriesMax: number) {
    this.#nextId = worker
    this.#idStep = Math.max(1, workerCount)
    this.entriesMax = entriesMax
  }

  get entries(): readonly AclLogEntry[] {
    return this.#entries
  }

  add(denied: Denied, wallMs: number): void {
    const at = this.#entries.slice(0, lookedAt).findIndex((entry) => isSame(entry, denied, wallMs))
    const before = this.#entries[at]
    const entry = before ?? { ...denied, id: this.#nextId, count: 0, createdMs: wallMs, updatedMs: wallMs }
    if (before === undefined) this.#nextId += this.#idStep
    else this.#entries.splice(at, 1)
    this.#entries.unshift({
      ...entry,
      client: denied.client,
      count: entry.count + denied.count,
      updatedMs: wallMs,
    })
    this.trim()
  }

  trim(): void {
    if (this.#entries.length > this.entriesMax) this.#entries.length = this.entriesMax
  }

  reset(): void {
    this.#entries = []
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
