/**
 * The clients of this worker that keep copies of what they read (CLIENT TRACKING), and the way of the shards' news to them.
 *
 * Shards know which clients have read which keys, and forget it with the link: when a link breaks, or a shard is lost, everything
 * may have changed, and all are told so. Prefixes are told to every shard, as the names of subscribers are; who has asked for some is
 * told that everything may have changed also when a shard is there again and knows of them.
 */
import { type ChangedKey, readInvalidated } from '#protocol/frames/tracking.ts'
import type { Invalidation } from '#protocol/frames/worker.ts'
import type { SessionTracking } from '#proxy/session/tracking.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import type { ReplyTarget } from './linkTargets.ts'
import type { ShardLink } from './shardLink.ts'

/** The way to another client. */
export interface Redirection {
  /** Of the client. */
  readonly id: number
  /** `broken`: it is gone. */
  tell(invalidation: Invalidation, broken: () => void): void
}

export class Tracking {
  readonly #links: () => readonly ShardLink[]
  /** Those that are on, by what names them to the shards. */
  readonly #bySession = new Map<number, SessionTracking>()
  readonly #byPrefix = new Map<string, Set<SessionTracking>>()

  constructor(links: () => readonly ShardLink[]) {
    this.#links = links
  }

  /** Clients. */
  get count(): number {
    return this.#bySession.size
  }

  add(client: SessionTracking, prefixes: readonly string[]): void {
    this.#bySession.set(client.owner.shardSession, client)
    for (const prefix of prefixes) {
      const clients = this.#byPrefix.get(prefix)
      if (clients === undefined) this.#byPrefix.set(prefix, new Set([client]))
      else clients.add(client)
    }
  }

  remove(client: SessionTracking, prefixes: readonly string[]): void {
    this.#bySession.delete(client.owner.shardSession)
    const unwanted = prefixes.filter((prefix) => {
      const clients = this.#byPrefix.get(prefix)
      clients?.delete(client)
      return clients?.size === 0 && this.#byPrefix.delete(prefix)
    })
    if (unwanted.length > 0)
      this.#tellShards({ prefixes: unwanted.map((prefix) => ({ prefix, isWanted: false })), gone: [] })
  }

  /** The client is gone. */
  forget(session: number): void {
    this.#tellShards({ prefixes: [], gone: [session] })
  }

  /** A shard is there, and knows of nobody. */
  onShardUp(link: ShardLink): void {
    if (this.#byPrefix.size === 0) return
    const prefixes = [...this.#byPrefix.keys()].map((prefix) => ({ prefix, isWanted: true }))
    // What has changed before it knew was not told to anybody.
    const known: ReplyTarget = {
      onReply: () => {
        for (const client of this.#clients()) if (client.mode === 'broadcast') client.tell(null)
      },
    }
    link.ask(known, 0, { what: 'tracking', prefixes, gone: [] })
  }

  /** What it would have told is lost. */
  onShardDown(): void {
    for (const client of this.#clients()) client.tell(null)
  }

  /** What a shard has told; returns what is wrong with it, or null. */
  onInvalidated(bytes: Uint8Array, start: number, end: number): string | null {
    try {
      const invalidated = readInvalidated(bytes, start, end)
      if (invalidated.what === 'flushed') this.onShardDown()
      else if (invalidated.what === 'changed') this.#broadcast(invalidated.keys)
      else
        for (const session of invalidated.sessions) {
          const client = this.#bySession.get(session)
          // It may have been on otherwise, before.
          if (client !== undefined && client.mode !== 'broadcast') client.tell([invalidated.key])
        }
      return null
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      return error.message
    }
  }

  #broadcast(changed: readonly ChangedKey[]): void {
    const prefixes = [...this.#byPrefix].sort(([a], [b]) => (a < b ? -1 : 1))
    for (const [prefix, clients] of prefixes) {
      const matching = changed.filter(({ key }) => key.startsWith(prefix))
      const all = matching.map(({ key }) => key)
      for (const client of clients) {
        const keys = client.noLoop ? keysOfOthers(matching, client) : all
        if (keys.length > 0) client.tell(keys)
      }
    }
  }

  /** As they are now: who is told may go. */
  #clients(): SessionTracking[] {
    return [...this.#bySession.values()]
  }

  /** Without waiting for answers. */
  #tellShards(change: {
    prefixes: readonly { prefix: string; isWanted: boolean }[]
    gone: readonly number[]
  }): void {
    for (const link of this.#links()) if (link.isUp) link.tell({ what: 'tracking', ...change })
  }
}

const keysOfOthers = (changed: readonly ChangedKey[], { owner }: SessionTracking): string[] =>
  changed.filter(({ writer }) => writer !== owner.shardSession).map(({ key }) => key)
