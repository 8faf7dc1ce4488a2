/**
 * Which clients have read which keys and are to be told when they change: the table of CLIENT TRACKING. A key is forgotten when its readers are
 * told, so that who does not read it again is told once.
 *
 * In parts, as a large `Map` grows in one step. Readers that are gone are dropped when they have doubled the readers of a key:
 * no list by reader is needed for that.
 */
import { hashOfSum, hashPrime, hashStart } from '#server/crdt/nameHash.ts'
import type { Link } from './link.ts'

/** A client that has said who it is. */
export interface TrackedClient {
  readonly link: Link
  readonly session: number
  isGone: boolean
}

export interface TrackedKey {
  readonly readers: Set<TrackedClient>
  /** When it changes by itself, as far as is known: its TTL, or that of a field; Infinity: it doesn't. */
  readonly expireAtMs: number
  /** With so many readers those that are gone are dropped. */
  pruneAt: number
}

const partCount = 256
const pruneAtMin = 16

export class TrackingTable {
  /** Keys. */
  size = 0
  /** Readers of all keys. */
  readers = 0
  readonly #parts: Map<string, TrackedKey>[] = Array.from({ length: partCount }, () => new Map())
  #oldestPart = 0

  get(key: string): TrackedKey | undefined {
    return this.#partOf(key).get(key)
  }

  /** `expireAtMs` is asked when the key is new. */
  add(key: string, reader: TrackedClient, expireAtMs: () => number): void {
    const part = this.#partOf(key)
    const tracked = part.get(key)
    if (tracked !== undefined) {
      this.#addReader(tracked, reader)
      return
    }
    part.set(key, { readers: new Set([reader]), expireAtMs: expireAtMs(), pruneAt: pruneAtMin })
    this.size++
    this.readers++
  }

  /** Forgets the key; returns who has read it. */
  take(key: string): ReadonlySet<TrackedClient> | undefined {
    const part = this.#partOf(key)
    const tracked = part.get(key)
    if (tracked === undefined) return undefined
    part.delete(key)
    this.size--
    this.readers -= tracked.readers.size
    return tracked.readers
  }

  /** A key that has been here for long. */
  oldest(): string | undefined {
    for (let i = 0; i < partCount; i++) {
      this.#oldestPart = (this.#oldestPart + 1) % partCount
      const first = this.#parts[this.#oldestPart]?.keys().next()
      if (first?.done === false) return first.value
    }
    return undefined
  }

  clear(): void {
    for (const part of this.#parts) part.clear()
    this.size = 0
    this.readers = 0
  }

  *keys(): Generator<readonly [key: string, tracked: TrackedKey]> {
    for (const part of this.#parts) yield* part
  }

  #addReader(tracked: TrackedKey, reader: TrackedClient): void {
    const { readers } = tracked
    const before = readers.size
    readers.add(reader)
    if (readers.size >= tracked.pruneAt) {
      for (const other of readers) if (other.isGone) readers.delete(other)
      tracked.pruneAt = Math.max(pruneAtMin, readers.size * 2)
    }
    this.readers += readers.size - before
  }

  #partOf(key: string): Map<string, TrackedKey> {
    let sum = hashStart(0)
    for (let i = 0; i < key.length; i++) sum = Math.imul(sum ^ key.charCodeAt(i), hashPrime)
    return this.#parts[hashOfSum(sum) & (partCount - 1)] as Map<string, TrackedKey>
  }
}
