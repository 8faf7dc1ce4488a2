/**
 * Client-side caching: tells clients that keep copies which keys have changed, whoever changed them: a command here, an operation
 * or a state of another cluster, a TTL that has passed, a lack of memory.
 *
 * What a client reads is remembered in the same step, and what it is told leaves on the same link behind the replies of before: a client
 * that has been given a value which is not the present one any more has been told so, or will be. Who asks for prefixes instead (BCAST)
 * is told of all keys that begin so, whether it has read them or not, once a turn. Nothing is told within a reply: what happened is gathered, and
 * told when the command, the script or the transaction has been answered (`deliver`).
 */

import type { CommandSpec } from '#protocol/commands/index.ts'
import { keyPositions } from '#protocol/commands/keys.ts'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { FrameFlag, FrameKind, sessionFlags } from '#protocol/frames/frame.ts'
import { invalidatedPayload, noSession, type TrackingChange } from '#protocol/frames/tracking.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import { DueKeys } from './dueKeys.ts'
import { type Link, linkOutputPauseBytes } from './link.ts'
import type { Touches } from './touches.ts'
import { type TrackedClient, TrackingTable } from './trackingTable.ts'

/** Of all keys that are remembered, on the average. */
const readersPerKeyMax = 16
/** Changed keys that are not kept until the turn ends. */
const changedKeysMax = 10_000
/** One that changes by a TTL which has passed already, of a field that is not deleted yet: it is looked at again then. */
const lookAgainMs = 1_000

export interface TrackingParts {
  db: Keyspace
  touches: Touches
  keysMax: number
  shardCount: number
  /** All there are. */
  links: Iterable<Link>
  /** There is something in the link's outbox. */
  hasOutput(link: Link): void
}

interface Invalidation {
  key: string
  readers: ReadonlySet<TrackedClient>
  /** Its own change, which it does not want to be told of. */
  except: TrackedClient | null
}

export class Tracking {
  /** Of all shards of the database; 0: no limit. */
  #keysMax: number
  readonly #shardCount: number
  readonly #db: Keyspace
  readonly #touches: Touches
  readonly #hasOutput: (link: Link) => void
  readonly #links: Iterable<Link>
  readonly #table = new TrackingTable()
  readonly #expiries = new DueKeys()
  /** Whose commands are running, if it has said so, and what it wants. */
  #client: TrackedClient | null = null
  #flags = 0
  /** Null: everything has changed. */
  #pending: (Invalidation | null)[] = []
  /** Prefixes of the clients of each proxy. */
  readonly #prefixes = new Map<Link, Set<string>>()
  /** Changed since the last turn's end: by whom last, null: by nobody who has said who it is. */
  readonly #changed = new Map<string, TrackedClient | null>()
  /** Links that are told that everything has changed, when they have room for it. */
  readonly #overrun = new Set<Link>()
  #isListening = false
  readonly #onTouched = (key: string): void => this.#touched(key)

  constructor({ db, touches, keysMax, shardCount, links, hasOutput }: TrackingParts) {
    this.#shardCount = shardCount
    this.#db = db
    this.#touches = touches
    this.#keysMax = keysMax
    this.#links = links
    this.#hasOutput = hasOutput
  }

  set keysMax(keysMax: number) {
    this.#keysMax = keysMax
    this.#forgetBeyondMax()
  }

  get figures(): Pick<ShardInfo, 'trackedKeys' | 'trackedReaders' | 'trackedPrefixes'> {
    const prefixes = new Set([...this.#prefixes.values()].flatMap((own) => [...own]))
    return {
      trackedKeys: this.#table.size,
      trackedReaders: this.#table.readers,
      trackedPrefixes: prefixes.size,
    }
  }

  /** What `run` does was asked for by this client, within what another one has sent; `flags` are those of its frame. */
  during<Result>(link: Link, session: number, flags: number, run: () => Result): Result {
    const client = this.#client
    const outerFlags = this.#flags
    if ((flags & sessionFlags) === 0) this.end()
    else this.begin(link, session, flags)
    const result = run()
    this.#client = client
    this.#flags = outerFlags
    return result
  }

  /** What is run from now on was sent by this client; `flags` are those of its frame. */
  begin(link: Link, session: number, flags: number): void {
    let client = link.trackedClients.get(session)
    if (client === undefined) {
      client = { link, session, isGone: false }
      link.trackedClients.set(session, client)
    }
    this.#client = client
    this.#flags = flags
  }

  /** What comes next is nobody's doing who has said who it is. */
  end(): void {
    this.#client = null
    this.#flags = 0
  }

  /** What the running commands read is to be remembered. */
  get isReading(): boolean {
    return (this.#flags & FrameFlag.tracked) !== 0
  }

  /** The running client has read the keys of the request. */
  readKeysOf(spec: CommandSpec, request: RequestScanner): void {
    const positions = keyPositions(spec, request.argumentCount, (i) => request.text(i))
    for (const position of positions) this.read(request.text(position))
  }

  read(key: string): void {
    const client = this.#client
    if (client === null) return
    this.#table.add(key, client, () => this.#noteExpiry(key))
    this.#listen()
    this.#forgetBeyondMax()
  }

  /** FLUSHALL: everything has changed, whatever is still to be done for it. */
  flushed(): void {
    this.#table.clear()
    this.#expiries.clear()
    this.#changed.clear()
    this.#pending.push(null)
    this.#mayMute()
  }

  /** There is something to tell behind the command that has just been answered. */
  get isDue(): boolean {
    return this.#pending.length > 0 || this.#changed.size >= changedKeysMax
  }

  deliver(): void {
    if (this.#changed.size >= changedKeysMax) this.#tellChanged()
    if (this.#pending.length === 0) return
    const pending = this.#pending
    this.#pending = []
    for (const invalidation of pending) {
      if (invalidation === null) this.#tellAll()
      else this.#tellReaders(invalidation)
    }
    this.#mayMute()
  }

  /** At the end of a turn: all there is to tell. */
  deliverAll(): void {
    this.deliver()
    this.#tellChanged()
    for (const link of this.#overrun) {
      if (link.outbox.sizeBytes > linkOutputPauseBytes / 2) continue
      this.#overrun.delete(link)
      this.#send(link, invalidatedPayload({ what: 'flushed' }))
    }
  }

  /** Keys whose TTL has passed are not there any more, long before they are deleted. */
  expire(): void {
    for (;;) {
      const due = this.#expiries.takeBefore(this.#db.nowMs)
      if (due === undefined) return
      // The key may have been told of, and have been read anew.
      if (this.#table.get(due.key)?.expireAtMs === due.atMs) this.#invalidate(due.key, null)
    }
  }

  change(link: Link, { prefixes, gone }: TrackingChange): void {
    for (const session of gone) this.#drop(link, session)
    const own = this.#prefixes.get(link) ?? new Set()
    for (const { prefix, isWanted } of prefixes) {
      if (isWanted) own.add(prefix)
      else own.delete(prefix)
    }
    if (own.size > 0) {
      this.#prefixes.set(link, own)
      this.#listen()
    } else {
      this.#prefixes.delete(link)
      this.#mayMute()
    }
  }

  forget(link: Link): void {
    for (const session of link.trackedClients.keys()) this.#drop(link, session)
    this.#prefixes.delete(link)
    this.#overrun.delete(link)
    this.#mayMute()
  }

  #drop(link: Link, session: number): void {
    const client = link.trackedClients.get(session)
    if (client === undefined) return
    client.isGone = true
    link.trackedClients.delete(session)
  }

  #touched(key: string): void {
    // Everybody is told of that once, not of each key.
    if (this.#db.isFlushing) return
    const isOwn = (this.#flags & FrameFlag.noLoop) !== 0
    this.#invalidate(key, isOwn ? this.#client : null)
    if (this.#prefixes.size === 0) return
    this.#changed.set(key, this.#client)
  }

  #invalidate(key: string, except: TrackedClient | null): void {
    const readers = this.#table.take(key)
    if (readers !== undefined) this.#pending.push({ key, readers, except })
  }

  #noteExpiry(key: string): number {
    const nextMs = this.#db.nextExpiryMs(key)
    if (nextMs === Number.POSITIVE_INFINITY) return nextMs
    const atMs = nextMs < this.#db.nowMs ? this.#db.nowMs + lookAgainMs : nextMs
    this.#expiries.add(key, atMs)
    if (this.#expiries.size > 2 * this.#table.size + changedKeysMax) this.#renewExpiries()
    return atMs
  }

  /** Without those of keys that have been told of. */
  #renewExpiries(): void {
    this.#expiries.clear()
    for (const [key, { expireAtMs }] of this.#table.keys())
      if (expireAtMs !== Number.POSITIVE_INFINITY) this.#expiries.add(key, expireAtMs)
  }

  #forgetBeyondMax(): void {
    const table = this.#table
    if (this.#keysMax === 0) return
    const ownMax = Math.ceil(this.#keysMax / this.#shardCount)
    while (table.size > ownMax || table.readers > ownMax * readersPerKeyMax) {
      const key = table.oldest()
      if (key === undefined) return
      this.#invalidate(key, null)
    }
  }

  #tellReaders({ key, readers, except }: Invalidation): void {
    const sessions = new Map<Link, number[]>()
    for (const reader of readers) {
      if (reader.isGone || reader === except) continue
      const { link, session } = reader
      const own = sessions.get(link)
      if (own === undefined) sessions.set(link, [session])
      else own.push(session)
    }
    for (const [link, own] of sessions)
      this.#send(link, invalidatedPayload({ what: 'read', key, sessions: own }))
  }

  #tellAll(): void {
    const payload = invalidatedPayload({ what: 'flushed' })
    for (const link of this.#links) if (link.isProxy) this.#send(link, payload)
  }

  #tellChanged(): void {
    if (this.#changed.size === 0) return
    const changed = [...this.#changed].sort(([a], [b]) => (a < b ? -1 : 1))
    this.#changed.clear()
    for (const [link, prefixes] of this.#prefixes) {
      const own = [...prefixes]
      const keys = changed
        .filter(([key]) => own.some((prefix) => key.startsWith(prefix)))
        .map(([key, client]) => ({ key, writer: client?.link === link ? client.session : noSession }))
      if (keys.length === 0) continue
      if (link.outbox.sizeBytes > linkOutputPauseBytes) this.#overrun.add(link)
      else this.#send(link, invalidatedPayload({ what: 'changed', keys }))
    }
  }

  #send(link: Link, payload: Uint8Array): void {
    if (link.isClosed) return
    link.outbox.addBehindReplies(FrameKind.invalidated, 0, payload)
    this.#hasOutput(link)
  }

  #listen(): void {
    if (this.#isListening) return
    this.#isListening = true
    this.#touches.listen(this.#onTouched)
  }

  #mayMute(): void {
    if (!this.#isListening || this.#table.size > 0 || this.#prefixes.size > 0) return
    this.#isListening = false
    this.#touches.mute(this.#onTouched)
  }
}
