/**
 * What proxies ask: requests, transactions, watches; those that block are in `blockedRequests.ts`. Each reply is written into
 * the link's outbox.
 */
import {
  commandsStart,
  type Frame,
  FrameFlag,
  FrameKind,
  frameHeaderBytes,
  readU32,
  sessionFlags,
} from '#protocol/frames/frame.ts'
import { jsonFrame } from '#protocol/frames/hello.ts'
import { ReplyError } from '#protocol/resp/errors.ts'
import type { BlockedRequests } from './blockedRequests.ts'
import type { ClusterWaits } from './clusterWaits.ts'
import { longStepMs } from './commandTiming.ts'
import type { Execution } from './execution.ts'
import type { Flushing } from './flushing.ts'
import type { Link } from './link.ts'
import type { Runnable } from './runnables.ts'
import type { Tracking } from './tracking.ts'
import type { Watches } from './watches.ts'
import { WatchingSession } from './watches.ts'

/** A database of fewer keys is flushed at once. */
const sliceAboveKeys = 10_000

const heldFlag = (forMs: number): number => (forMs >= longStepMs ? FrameFlag.held : 0)

interface FlushReply {
  link: Link
  tag: number
}

export interface RequestsParts {
  execution: Execution
  flushing: Flushing
  watches: Watches
  tracking: Tracking
  blocked: BlockedRequests
  waits: ClusterWaits
  keyCount(): number
  commit(link: Link): void
}

export class Requests {
  watchedKeysMax: number
  readonly #parts: RequestsParts
  readonly #execution: Execution
  readonly #flushing: Flushing
  readonly #watches: Watches
  readonly #tracking: Tracking
  readonly #blocked: BlockedRequests
  /** Who waits for the running flush. */
  #flushReplies: FlushReply[] = []

  constructor(parts: RequestsParts, watchedKeysMax: number) {
    this.#parts = parts
    this.#execution = parts.execution
    this.#flushing = parts.flushing
    this.#watches = parts.watches
    this.#tracking = parts.tracking
    this.#blocked = parts.blocked
    this.watchedKeysMax = watchedKeysMax
  }

  execute(link: Link, frame: Frame): void {
    // What came before is theirs who wait for it.
    this.#serveBlocked()
    const isTracked = (frame.flags & sessionFlags) !== 0
    if (isTracked) this.#tracking.begin(link, readU32(frame.bytes, frame.payloadStart), frame.flags)
    switch (frame.kind) {
      case FrameKind.request:
      case FrameKind.transaction:
        this.#run(link, frame)
        break
      case FrameKind.watch:
        this.#watch(link, frame)
        break
      case FrameKind.blocking:
        this.#execution.slowRequests.enter(link, frame)
        this.#blocked.run(link, frame)
        break
      case FrameKind.unblock:
        this.#blocked.unblock(link, frame)
        this.#parts.waits.unblock(link, frame)
        break
      case FrameKind.wait:
        this.#parts.waits.ask(link, frame)
        break
      default:
        this.#unwatch(link, frame.tag)
    }
    if (isTracked) this.#tracking.end()
    if (this.#tracking.isDue) this.#tracking.deliver()
  }

  /** What a command has brought to others; they are told what it has changed for them first. */
  #serveBlocked(): void {
    if (!this.#blocked.isDue) return
    this.#tracking.deliver()
    this.#blocked.serveAll()
  }

  forget(link: Link): void {
    for (const id of [...link.sessions.keys()]) this.#unwatch(link, id)
    this.#tracking.forget(link)
    this.#blocked.forget(link)
    this.#parts.waits.forget(link)
  }

  /** One slice of the running flush; true: more is to be done. Links that got their reply are given to `answered`. */
  flush(refusal: string | null, answered: (link: Link) => void): boolean {
    if (refusal !== null) this.#flushing.abandon()
    if (!this.#flushing.proceed()) return true
    const replies = this.#flushReplies
    this.#flushReplies = []
    for (const { link, tag } of replies) {
      if (link.isClosed) continue
      const { outbox } = link
      const start = outbox.beginReply()
      const reply = outbox.replies.length
      if (refusal === null) outbox.replies.ok()
      else outbox.replies.error(refusal)
      outbox.markUnlogged(reply)
      outbox.endReply(start, tag)
      answered(link)
    }
    return false
  }

  get isFlushing(): boolean {
    return this.#flushReplies.length > 0
  }

  /** What scripts call is judged by the rules of the user, if any; the proxy is told what was denied before it gets the reply. */
  #run(link: Link, frame: Frame): void {
    const execution = this.#execution
    execution.slowRequests.enter(link, frame)
    const user = link.scriptUser
    link.scriptUser = null
    execution.scriptUser = user
    if (frame.kind === FrameKind.request) {
      const isDone = this.#requests(link, frame)
      if (!isDone) link.scriptUser = user
    } else this.#transaction(link, frame)
    execution.scriptUser = null
    const denied = user?.takeDenied() ?? null
    if (user !== null && denied !== null)
      link.outbox.addFrame(jsonFrame(FrameKind.denied, user.session, denied))
  }

  /** False: some of them are put off. */
  #requests(link: Link, frame: Frame): boolean {
    const { bytes, payloadEnd, flags, tag, slot } = frame
    const { outbox } = link
    const { replies } = outbox
    const execution = this.#execution
    const { timing } = execution
    const beganMs = timing.stepMs
    const touching = (flags & FrameFlag.noTouch) === 0
    let runnable = execution.find(bytes, commandsStart(frame), payloadEnd)
    if (runnable?.flushes === true && this.#parts.keyCount() > sliceAboveKeys) {
      this.#beginFlush(link, tag, runnable)
      return true
    }
    this.#precede(runnable, slot)
    let start = outbox.beginReply()
    for (let count = 1; ; count++) {
      const reply = replies.length
      replies.resp3 = (flags & FrameFlag.resp3) !== 0
      if (execution.run(runnable, replies, touching)) outbox.markUnlogged(reply)
      const at = execution.foundEnd
      const { isStepLong } = timing
      if (at === payloadEnd || isStepLong) {
        outbox.endReply(start, tag, count, heldFlag(timing.stepMs - beganMs))
        if (at < payloadEnd) link.putOff(at)
        return at === payloadEnd
      }
      if (outbox.isFull || this.#blocked.isDue || this.#tracking.isDue) {
        outbox.endReply(start, tag, count)
        this.#tracking.deliver()
        this.#serveBlocked()
        if (outbox.isFull) this.#parts.commit(link)
        start = outbox.beginReply()
        count = 0
      }
      runnable = execution.find(bytes, at, payloadEnd)
      this.#precede(runnable, slot)
    }
  }

  /** `slot` is that of the frame's first request, which may have several keys or none. */
  #precede(runnable: Runnable | null, slot: number): void {
    if (!this.#flushing.active) return
    const spec = runnable === null || runnable.isScript ? undefined : runnable.spec
    const hasOneKey = spec !== undefined && spec.onlyKey > 0
    this.#flushing.precede(spec, hasOneKey ? this.#execution.foundSlot(spec) : slot)
  }

  #beginFlush(link: Link, tag: number, runnable: Runnable): void {
    const refusal = this.#execution.refusal(runnable) ?? this.#execution.objection(runnable)
    if (refusal === null) {
      this.#flushing.begin()
      this.#tracking.flushed()
      this.#flushReplies.push({ link, tag })
      return
    }
    const { outbox } = link
    const start = outbox.beginReply()
    outbox.replies.error(refusal)
    outbox.endReply(start, tag)
  }

  #transaction(link: Link, frame: Frame): void {
    const { bytes, payloadStart, payloadEnd, flags, tag, slot } = frame
    const { outbox } = link
    const { timing } = this.#execution
    const beganMs = timing.stepMs
    const id = readU32(bytes, payloadStart)
    const isWatching = (flags & FrameFlag.watching) !== 0
    if (this.#flushing.active) this.#flushing.precede(undefined, slot)
    const start = outbox.beginReply()
    const reply = outbox.replies.length
    outbox.replies.resp3 = (flags & FrameFlag.resp3) !== 0
    const changed = this.#execution.runTransaction(
      bytes,
      commandsStart(frame),
      payloadEnd,
      isWatching ? link.sessions.get(id) : null,
      outbox.replies,
      (flags & FrameFlag.noTouch) === 0,
    )
    if (changed) outbox.markUnlogged(reply)
    outbox.endReply(start, tag, 1, heldFlag(timing.stepMs - beganMs))
    this.#unwatch(link, id)
  }

  #watch(link: Link, frame: Frame): void {
    const { bytes, payloadStart, payloadEnd, tag, slot } = frame
    const { outbox } = link
    const start = outbox.beginReply()
    const { replies } = outbox
    if (this.#flushing.active) this.#flushing.precede(undefined, slot)
    try {
      const keys = this.#execution.watchedKeys(bytes, commandsStart(frame), payloadEnd)
      const refusal = typeof keys === 'string' ? keys : this.#tooMany(keys.length)
      if (typeof keys === 'string' || refusal !== null) replies.error(refusal ?? '')
      else {
        const id = readU32(bytes, payloadStart)
        let session = link.sessions.get(id)
        if (session === undefined) {
          session = new WatchingSession()
          link.sessions.set(id, session)
        }
        for (const key of keys) this.#watches.add(session, key)
        replies.ok()
      }
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error
      replies.truncate(start + frameHeaderBytes)
      replies.error(error.text)
    }
    outbox.endReply(start, tag)
  }

  #tooMany(more: number): string | null {
    if (this.#watches.count + more <= this.watchedKeysMax) return null
    return `ERR this shard watches ${this.#watches.count} keys already and may watch ${this.watchedKeysMax} (watched_keys_max)`
  }

  #unwatch(link: Link, id: number): void {
    const session = link.sessions.get(id)
    if (session === undefined) return
    link.sessions.delete(id)
    this.#watches.drop(session)
  }
}
