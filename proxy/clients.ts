/** The clients of this worker: what CLIENT LIST shows of them, and what CLIENT KILL chooses by. */
import type { User } from '#protocol/acl/user.ts'
import type { CommandSpec } from '#protocol/commands/index.ts'
import type { Invalidation, ReservedIds } from '#protocol/frames/worker.ts'
import type { SubscriptionKind } from '#protocol/pubsub/messages.ts'
import type { SessionTracking } from '#proxy/session/tracking.ts'

/** 0 stands for none. */
const shardSessionsMax = 2 ** 32 - 1

/** What names a client to the shards. Its id may have more than the 32 bits that frames have for it. */
export const shardSessionOf = (id: number): number => 1 + ((id - 1) % shardSessionsMax)

export interface ClientOrigin {
  /** `address:port`. */
  remoteAddress: string
  localAddress: string
  isTls: boolean
}

export interface Client extends ClientOrigin {
  readonly id: number
  readonly name: string
  readonly libName: string
  readonly libVersion: string
  readonly resp3: boolean
  readonly noEvict: boolean
  /** A blocking command of its own has not been answered yet. */
  readonly isBlocked: boolean
  /** It has subscribed to channels or patterns. */
  readonly isSubscriber: boolean
  readonly subscriptions: { count(kind: SubscriptionKind): number }
  /** It is shown what all clients ask for. */
  readonly isMonitor: boolean
  /** It waits for other clusters (CRDT.WAIT). */
  readonly waits: { readonly current: { readonly isForEver: boolean } | null }
  readonly noTouch: boolean
  readonly tracking: Pick<SessionTracking, 'isOn' | 'isBroken' | 'mode' | 'redirection'>
  /** Monotonic. */
  readonly openedMs: number
  readonly lastRequestMs: number
  readonly lastCommand: CommandSpec | null
  /** Commands queued by MULTI; -1 outside of one. */
  readonly queuedCommands: number
  readonly queuedBytes: number
  readonly inputBytes: number
  readonly unreadBytes: number
  readonly pendingRequests: number
  readonly isClosing: boolean
  /** That it is logged in as, or that it is without logging in. */
  readonly user: User
  /** Ends it at once. */
  kill(): void
  /** Ends it when what it has asked has been answered. */
  closeAfterReplies(): void
  /** Of its own, or of another client that has chosen it. */
  takeInvalidation(invalidation: Invalidation, isRedirected: boolean): void
  /** Users have changed. */
  onUsers(): void
  /** To be called when something changes that its fast path doesn't look at. */
  refreshPath(): void
  /** What held it up may be over. */
  onPauseEnd(): void
}

export interface ClientEvents {
  /** One came or went. */
  onCount(): void
  /** Ids are about to be given that the other workers have not been told of. */
  onIdsReserved(): void
}

/** Ids are reserved ahead, so many at a time: the other workers remember which not to give when this one starts again. */
const idsReserved = 10_000

export class Clients {
  readonly #byId = new Map<number, Client>()
  readonly #events: ClientEvents
  #worker: number
  #idStep: number
  /** Or below the first one. */
  #lastId = 0
  /** By worker: no id above has been given by it. */
  #reserved: number[] = []
  #hasGiven = false
  #isMixed = false

  /** Workers of one port give different ids: 1 + worker, and then each by the number of workers greater than the last. */
  constructor(worker: number, workerCount: number, events: ClientEvents) {
    this.#worker = worker
    this.#idStep = workerCount
    this.#events = events
  }

  /** Ids of different steps collide unless they are far apart: those to come are above all that were reserved. */
  setWorkerCount(workerCount: number): void {
    if (workerCount === this.#idStep) return
    this.#idStep = workerCount
    this.#isMixed = this.#hasGiven
    this.#lastId = Math.max(this.#lastId, ...this.#reserved)
  }

  /** For the other workers. */
  get ids(): ReservedIds {
    return { step: this.#isMixed ? 0 : this.#idStep, upTo: [...this.#reserved] }
  }

  /** Who has given none yet begins above what it gave before it was started again. */
  takeIds({ step, upTo }: ReservedIds): void {
    upTo.forEach((id, worker) => {
      this.#reserved[worker] = Math.max(this.#reserved[worker] ?? 0, id)
    })
    if (this.#hasGiven) return
    const taken = step === this.#idStep ? (upTo[this.#worker] ?? 0) : Math.max(0, ...upTo)
    this.#lastId = Math.max(this.#lastId, taken)
  }

  nextId(): number {
    const steps = Math.max(0, Math.ceil((this.#lastId - this.#worker) / this.#idStep))
    const id = 1 + this.#worker + this.#idStep * steps
    this.#lastId = id
    if (!this.#hasGiven || id > (this.#reserved[this.#worker] ?? 0)) {
      this.#hasGiven = true
      for (let worker = this.#reserved.length; worker < this.#worker; worker++) this.#reserved[worker] = 0
      this.#reserved[this.#worker] = id + idsReserved
      this.#events.onIdsReserved()
    }
    return id
  }

  get count(): number {
    return this.#byId.size
  }

  add(client: Client): void {
    this.#byId.set(client.id, client)
    this.#events.onCount()
  }

  remove(client: Client): void {
    if (this.#byId.delete(client.id)) this.#events.onCount()
  }

  get(id: number): Client | undefined {
    return this.#byId.get(id)
  }

  /** Ids that are so far apart that they have one name are not alive at the same time. */
  ofShardSession(session: number): Client | undefined {
    if (this.#lastId <= shardSessionsMax) return this.#byId.get(session)
    return this.list().find(({ id }) => shardSessionOf(id) === session)
  }

  /** Something has changed that no fast path looks at. */
  refreshPaths(): void {
    for (const client of this.#byId.values()) client.refreshPath()
  }

  /** In the order in which they came; clients may leave while the list is walked. */
  list(): Client[] {
    return [...this.#byId.values()]
  }
}
