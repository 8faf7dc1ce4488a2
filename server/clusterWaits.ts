/**
 * Clients that wait until other clusters have applied what they have written here (CRDT.WAIT). A proxy asks for one client after
 * the other which members have this shard's own operations up to a stamp, and says what it knows already; the answer comes
 * when that is not true any more. So each answer is news, whether a member got further, lost its data or left.
 *
 * Who counts is up to the proxy, as a client may have written to several shards.
 */
import type { Frame } from '#protocol/frames/frame.ts'
import {
  appliedPayload,
  endedPayload,
  everything,
  nothingKnown,
  readWaitQuestion,
} from '#protocol/frames/wait.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { Stamp } from '#protocol/sync/stamp.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { Replication } from '#server/sync/replication.ts'
import type { Link } from './link.ts'

interface Waiter {
  readonly link: Link
  readonly tag: number
  readonly session: number
  readonly upTo: Stamp
  /** Set of origins. */
  readonly known: number
}

export interface ClusterWaitsParts {
  replication(): Replication
  lastStamp(): Stamp
  /** Why one more can't wait; null: it can. */
  refusal(): string | null
  /** Something is to leave at the turn's end: replies, or questions to the peers. */
  needTurnEnd(link: Link): void
}

export class ClusterWaits {
  readonly #parts: ClusterWaitsParts
  readonly #byLink = new Map<Link, Map<number, Waiter>>()
  /** Members may have got further since it was looked. */
  #isDue = false

  constructor(parts: ClusterWaitsParts) {
    this.#parts = parts
  }

  get count(): number {
    let count = 0
    for (const waiters of this.#byLink.values()) count += waiters.size
    return count
  }

  /** To be called when what members have may have changed; true: `serve` has something to look at. */
  note(): boolean {
    this.#isDue = this.#byLink.size > 0
    return this.#isDue
  }

  ask(link: Link, { tag, bytes, payloadStart, payloadEnd }: Frame): void {
    const question = readWaitQuestion(bytes, payloadStart, payloadEnd)
    if (question === null) {
      this.#answer(link, tag, (reply) => reply.error('ERR shard does not understand what it is asked'))
      return
    }
    const { session, known } = question
    const upTo = question.upTo === everything ? this.#parts.lastStamp() : question.upTo
    const has = this.#membersWith(upTo, this.#appliedStamps())
    if (upTo > 0) this.#parts.replication().wantApplied(upTo)
    // A session waits for one thing at a time.
    this.#end(link, session, '')
    if (known === nothingKnown || known !== has) {
      this.#answer(link, tag, (reply) => reply.raw(appliedPayload(upTo, has)))
      return
    }
    const refusal = this.#parts.refusal()
    if (refusal !== null) {
      this.#answer(link, tag, (reply) => reply.error(refusal))
      return
    }
    const waiters = this.#byLink.get(link) ?? new Map<number, Waiter>()
    this.#byLink.set(link, waiters)
    waiters.set(session, { link, tag, session, upTo, known })
    this.#parts.needTurnEnd(link)
  }

  /** Answers those for whom there is news. */
  serve(): void {
    if (!this.#isDue) return
    this.#isDue = false
    const applied = this.#appliedStamps()
    for (const waiters of this.#byLink.values()) {
      for (const { link, tag, session, upTo, known } of waiters.values()) {
        const has = this.#membersWith(upTo, applied)
        if (has === known) continue
        this.#remove(link, session)
        this.#answer(link, tag, (reply) => reply.raw(appliedPayload(upTo, has)))
      }
    }
  }

  /** Ends the waiting of a session: with an error, or as if its time were over when the text is empty. */
  unblock(link: Link, { tag, bytes, payloadStart, payloadEnd }: Frame): void {
    this.#end(link, tag, latin1(bytes, payloadStart, payloadEnd))
  }

  /** The same whatever its link; false: it does not wait here. */
  unblockSession(session: number, error: string): boolean {
    for (const link of this.#byLink.keys()) if (this.#end(link, session, error)) return true
    return false
  }

  /** The link is gone. */
  forget(link: Link): void {
    this.#byLink.delete(link)
  }

  #appliedStamps(): Map<number, Stamp> {
    const replication = this.#parts.replication()
    return new Map(replication.peers.map((peer) => [peer, replication.appliedAt(peer)]))
  }

  #membersWith(upTo: Stamp, applied: ReadonlyMap<number, Stamp>): number {
    let members = 0
    for (const [peer, stamp] of applied) if (stamp >= upTo) members |= 1 << peer
    return members
  }

  #remove(link: Link, session: number): Waiter | undefined {
    const waiters = this.#byLink.get(link)
    const waiter = waiters?.get(session)
    waiters?.delete(session)
    if (waiters?.size === 0) this.#byLink.delete(link)
    return waiter
  }

  #end(link: Link, session: number, error: string): boolean {
    const waiter = this.#remove(link, session)
    if (waiter === undefined) return false
    this.#answer(link, waiter.tag, (reply) => {
      if (error === '') reply.raw(endedPayload)
      else reply.error(error)
    })
    return true
  }

  #answer(link: Link, tag: number, write: (reply: ReplyWriter) => void): void {
    const { outbox } = link
    const start = outbox.beginReply()
    write(outbox.replies)
    outbox.endReply(start, tag)
    this.#parts.needTurnEnd(link)
  }
}
