/**
 * CLIENT TRACKING of one client: what it has asked for, and how it is told that what it has copies of has changed. In RESP3 it is
 * told on its own connection, behind all replies that may speak of what was before; or another client is told for it (REDIRECT).
 */
import { FrameFlag } from '#protocol/frames/frame.ts'
import type { Invalidation } from '#protocol/frames/worker.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { Redirection, Tracking } from '#proxy/tracking.ts'

export type TrackingMode = 'usual' | 'optIn' | 'optOut' | 'broadcast'

export interface TrackingOptions {
  mode: TrackingMode
  noLoop: boolean
  /** Who is told instead. */
  redirection: Redirection | null
  /** Of `broadcast`. */
  prefixes: readonly string[]
}

/** The client, as its tracking needs it. */
export interface TrackingOwner {
  readonly id: number
  readonly shardSession: number
  readonly resp3: boolean
  /** Its connection, or another client's for it. */
  takeInvalidation(invalidation: Invalidation, isRedirected: boolean): void
  /** What its frames say has changed. */
  refreshPath(): void
  /** In order with replies. */
  pushBehind(bytes: Uint8Array, length: number): void
}

/** Where clients that speak RESP2 are told, when they have subscribed to it. */
const invalidationChannel = '__redis__:invalidate'

export class SessionTracking {
  isOn = false
  mode: TrackingMode = 'usual'
  noLoop = false
  redirection: Redirection | null = null
  /** Whoever is to be told instead is gone. */
  isBroken = false
  /** CLIENT CACHING: the next command is an exception of `optIn` or `optOut`. */
  isExceptional = false
  readonly owner: TrackingOwner
  readonly #all: Tracking
  readonly #prefixes = new Set<string>()
  /** Shards may remember that it has read something. */
  #isKnown = false

  constructor(all: Tracking, owner: TrackingOwner) {
    this.#all = all
    this.owner = owner
  }

  /** In their order. */
  get prefixes(): string[] {
    return [...this.#prefixes].sort()
  }

  /** Of the frames with its commands. */
  get frameFlags(): number {
    if (!this.isOn) return 0
    const isRead =
      this.mode === 'usual' ||
      (this.mode === 'optIn' && this.isExceptional) ||
      (this.mode === 'optOut' && !this.isExceptional)
    if (isRead || this.noLoop) this.#isKnown = true
    return (isRead ? FrameFlag.tracked : 0) | (this.noLoop ? FrameFlag.noLoop : 0)
  }

  /** Of a transaction that changes the tracking itself, by commands which run behind those of the shard: all reads are remembered. */
  get frameFlagsOfChange(): number {
    this.#isKnown = true
    return this.frameFlags | FrameFlag.tracked
  }

  /** Prefixes are added to those that it has; returns the new ones. */
  start({ mode, noLoop, redirection, prefixes }: TrackingOptions): string[] {
    this.isOn = true
    this.mode = mode
    this.noLoop = noLoop
    this.redirection = redirection
    this.isBroken = false
    const added = prefixes.filter((prefix) => !this.#prefixes.has(prefix))
    for (const prefix of added) this.#prefixes.add(prefix)
    this.#all.add(this, added)
    this.owner.refreshPath()
    return added
  }

  stop(): void {
    if (!this.isOn) return
    this.isOn = false
    this.mode = 'usual'
    this.noLoop = false
    this.isBroken = false
    this.isExceptional = false
    this.#all.remove(this, this.prefixes)
    this.#prefixes.clear()
    this.owner.refreshPath()
  }

  /** The client is gone. */
  end(): void {
    this.stop()
    if (this.#isKnown) this.#all.forget(this.owner.shardSession)
  }

  except(): void {
    this.isExceptional = true
    this.owner.refreshPath()
  }

  /** A command has been run that CLIENT CACHING may have been meant for. */
  endException(): void {
    if (!this.isExceptional) return
    this.isExceptional = false
    this.owner.refreshPath()
  }

  tell(invalidation: Invalidation): void {
    if (this.redirection === null) this.owner.takeInvalidation(invalidation, false)
    else this.redirection.tell(invalidation, () => this.#break())
  }

  /** Each time that it can't be told. */
  #break(): void {
    const { redirection, owner } = this
    if (!this.isOn || redirection === null) return
    this.isBroken = true
    if (!owner.resp3) return
    const message = new ReplyWriter(64)
    message.resp3 = true
    message.push(2)
    message.bulk('tracking-redir-broken')
    message.integer(redirection.id)
    owner.pushBehind(message.bytes, message.length)
  }
}

/** As the client's protocol has it; null: it can't be told. */
export function invalidationMessage(
  invalidation: Invalidation,
  { resp3, isSubscriber }: { resp3: boolean; isSubscriber: boolean },
  isRedirected: boolean,
): ReplyWriter | null {
  if (!resp3 && !(isRedirected && isSubscriber)) return null
  const message = new ReplyWriter(64)
  message.resp3 = resp3
  if (resp3) {
    message.push(2)
    message.bulk('invalidate')
  } else {
    message.array(3)
    message.bulk('message')
    message.bulk(invalidationChannel)
  }
  if (invalidation === null) message.null()
  else message.bulks(invalidation)
  return message
}
