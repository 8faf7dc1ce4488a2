/**
 * Requests that block, as a link sees them: a frame of their own, a session that they may be ended by, and a reply that
 * comes now or later.
 */
import { commandsStart, type Frame, FrameFlag, readU32, sessionBytes } from '#protocol/frames/frame.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { Clock, Timers } from '#runtime/ports.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import { type BlockedClient, Blocking } from './blocking.ts'
import type { Waiting } from './commands/context.ts'
import type { Execution } from './execution.ts'
import type { Flushing } from './flushing.ts'
import type { Link } from './link.ts'
import type { Runnable } from './runnables.ts'
import type { Touches } from './touches.ts'
import type { Tracking } from './tracking.ts'

export interface BlockedRequestsParts {
  db: Keyspace
  touches: Touches
  execution: Execution
  tracking: Tracking
  flushing: Flushing
  clock: Clock
  timers: Timers
  /** Clients that wait for something else than keys: the limit is for all. */
  othersWaiting(): number
  /** There is a reply in the link's outbox. */
  answered(link: Link): void
}

export class BlockedRequests {
  readonly blocking: Blocking
  readonly #parts: BlockedRequestsParts
  readonly #bySession = new Map<Link, Map<number, BlockedRequest>>()

  constructor(parts: BlockedRequestsParts, clientsMax: number) {
    this.#parts = parts
    const { db, flushing } = parts
    const typeOf = (key: string) => {
      if (flushing.active) flushing.precedeKey(key)
      return db.type(key)
    }
    this.blocking = new Blocking(typeOf, parts.touches, parts, clientsMax)
  }

  /** Something has changed that somebody waits for. */
  get isDue(): boolean {
    return this.blocking.isDue
  }

  /** Looks at what has changed. To be called when nothing else runs. */
  serveAll(): void {
    if (this.blocking.isDue) this.blocking.serve()
  }

  /** Runs the command of the frame: it answers, or waits. */
  run(link: Link, frame: Frame): void {
    const { bytes, payloadStart, payloadEnd, flags, tag, slot } = frame
    const { outbox } = link
    const { replies } = outbox
    const { execution, flushing } = this.#parts
    const session = payloadEnd - payloadStart >= sessionBytes ? readU32(bytes, payloadStart) : 0
    const runnable = execution.find(bytes, commandsStart(frame), payloadEnd)
    if (flushing.active) flushing.precede(runnable?.spec, slot)
    const start = outbox.beginReply()
    const reply = replies.length
    replies.resp3 = (flags & FrameFlag.resp3) !== 0
    const { changed, waiting } = execution.runBlocking(runnable, replies, (flags & FrameFlag.noTouch) === 0)
    if (waiting !== null && runnable !== null) {
      const refusal = this.blocking.refusal(this.#parts.othersWaiting())
      if (refusal === null) {
        outbox.dropReply(start)
        this.#wait(new BlockedRequest(this, link, { tag, session, flags }, runnable, waiting))
        // XREADGROUP makes its consumer before it waits.
        if (changed) this.#parts.answered(link)
        return
      }
      replies.error(refusal)
    }
    if (changed) outbox.markUnlogged(reply)
    outbox.endReply(start, tag)
  }

  /** Ends the waiting of a session: with an error, or as if its time were over when the text is empty. */
  unblock(link: Link, frame: Frame): void {
    const error = latin1(frame.bytes, frame.payloadStart, frame.payloadEnd)
    this.#bySession.get(link)?.get(frame.tag)?.end(error)
  }

  /** The same whatever its link; false: it does not wait here. */
  unblockSession(session: number, error: string): boolean {
    for (const waiting of this.#bySession.values()) {
      const request = waiting.get(session)
      if (request === undefined) continue
      request.end(error)
      return true
    }
    return false
  }

  /** The link is gone. */
  forget(link: Link): void {
    for (const request of this.#bySession.get(link)?.values() ?? []) this.blocking.remove(request)
    this.#bySession.delete(link)
  }

  /** Writes the reply of a request that has waited; null: it goes on waiting. */
  answer(request: BlockedRequest, write: (reply: ReplyWriter) => boolean | null): boolean {
    const { link, frame } = request
    const { outbox } = link
    const start = outbox.beginReply()
    const reply = outbox.replies.length
    outbox.replies.resp3 = (frame.flags & FrameFlag.resp3) !== 0
    const changed = write(outbox.replies)
    if (changed === null) {
      outbox.dropReply(start)
      return false
    }
    if (changed) outbox.markUnlogged(reply)
    outbox.endReply(start, frame.tag)
    this.#bySession.get(link)?.delete(frame.session)
    this.#parts.answered(link)
    return true
  }

  serve(request: BlockedRequest, key: string): boolean {
    const { runnable, waiting, link, frame } = request
    const touching = (frame.flags & FrameFlag.noTouch) === 0
    const { execution, tracking } = this.#parts
    return tracking.during(link, frame.session, frame.flags, () =>
      this.answer(request, (reply) => execution.serve(runnable, waiting, key, reply, touching)),
    )
  }

  #wait(request: BlockedRequest): void {
    const { link, frame } = request
    const waiting = this.#bySession.get(link)
    // A session waits for one reply at a time.
    waiting?.get(frame.session)?.end('')
    if (waiting === undefined) this.#bySession.set(link, new Map([[frame.session, request]]))
    else waiting.set(frame.session, request)
    this.blocking.add(request)
  }
}

/** What is kept of its frame. */
interface BlockedFrame {
  tag: number
  session: number
  flags: number
}

class BlockedRequest implements BlockedClient {
  readonly link: Link
  readonly frame: BlockedFrame
  readonly runnable: Runnable
  readonly waiting: Waiting
  readonly #requests: BlockedRequests

  constructor(
    requests: BlockedRequests,
    link: Link,
    frame: BlockedFrame,
    runnable: Runnable,
    waiting: Waiting,
  ) {
    this.#requests = requests
    this.link = link
    this.frame = frame
    this.runnable = runnable
    this.waiting = waiting
  }

  serve(key: string): boolean {
    return this.#requests.serve(this, key)
  }

  timeOut(): void {
    this.#end('')
  }

  end(error: string): void {
    if (this.#requests.blocking.remove(this)) this.#end(error)
  }

  #end(error: string): void {
    this.#requests.answer(this, (reply) => {
      if (error === '') reply.nullArray()
      else reply.error(error)
      return false
    })
  }
}
