/**
 * A client that waits until other clusters have applied what it has written: CRDT.WAIT, and WAIT, for which nobody counts as
 * there are no replicas. Every shard that the client has written to is asked which clusters have its part; those that
 * all name count. Each answer but a sufficient one is followed by the question for the next one.
 *
 * It ends once: when there are enough, when its time is over, by CLIENT UNBLOCK (which the shards tell), when a shard fails,
 * or when the client goes.
 */
import { nothingKnown, readWaitAnswer } from '#protocol/frames/wait.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { ReplyTarget } from '#proxy/linkTargets.ts'
import type { ShardLink } from '#proxy/shardLink.ts'
import type { Clock, Timers } from '#runtime/ports.ts'
import type { WriteMark } from './writes.ts'

/** Longer ones are beyond what timers of the system take, so they are set again. */
const timerMsMax = 2 ** 31 - 1

interface Part {
  readonly link: ShardLink
  readonly mark: WriteMark
  /** Set of the clusters that have it; null: the shard has not said so yet. */
  clusters: number | null
}

export interface ClusterWaitOptions {
  marks: Iterable<readonly [ShardLink, WriteMark]>
  /** Names the client to the shards. */
  session: number
  /** So many clusters are waited for. */
  wanted: number
  /** 0: for ever. */
  timeoutMs: number
  /** False: what is so now is the answer, as in a transaction. */
  blocks: boolean
  /** Whether clusters count. */
  counts: boolean
  clock: Clock
  timers: Timers
  /** Called once. */
  done(write: (reply: ReplyWriter) => void): void
}

export class ClusterWait implements ReplyTarget {
  readonly #options: ClusterWaitOptions
  readonly #parts: readonly Part[]
  readonly #untilMs: number
  #ended = false
  #cancelTimer: () => void = () => {}

  constructor(options: ClusterWaitOptions) {
    this.#options = options
    this.#parts = Array.from(options.marks, ([link, mark]) => ({ link, mark, clusters: null }))
    this.#untilMs = options.clock.monotonicMs() + options.timeoutMs
  }

  get hasEnded(): boolean {
    return this.#ended
  }

  get isForEver(): boolean {
    return this.#options.timeoutMs === 0
  }

  start(): void {
    const { blocks, timeoutMs } = this.#options
    if (blocks && timeoutMs > 0) this.#setTimer(timeoutMs)
    for (const [place, part] of this.#parts.entries()) this.#ask(part, place, nothingKnown)
  }

  onReply(place: number, bytes: Uint8Array, start: number, end: number): void {
    const part = this.#parts[place]
    if (this.#ended || part === undefined) return
    const answer = readWaitAnswer(bytes, start, end)
    if (answer.kind === 'error') {
      this.#end((reply) => reply.error(answer.text))
      return
    }
    if (answer.kind === 'ended') {
      this.unblock(0, '')
      return
    }
    part.mark.upTo = answer.upTo
    part.clusters = answer.clusters
    if (this.#isEnough) this.unblock(0, '')
    else if (this.#options.blocks) this.#ask(part, place, answer.clusters)
  }

  /** Waits no longer: the answer is the error, or when that is empty what is so now. */
  unblock(_: number, error: string): void {
    const count = this.#count
    this.#end((reply) => {
      if (error === '') reply.integer(count)
      else reply.error(error)
    })
  }

  get #isEnough(): boolean {
    const { blocks, wanted } = this.#options
    if (this.#parts.some(({ clusters }) => clusters === null)) return false
    return !blocks || this.#count >= wanted
  }

  /** Clusters that are known to have everything. */
  get #count(): number {
    if (!this.#options.counts) return 0
    let common = this.#parts.reduce((having, { clusters }) => having & (clusters ?? 0), 0xff)
    let count = 0
    for (; common > 0; common &= common - 1) count++
    return count
  }

  #ask({ link, mark }: Part, place: number, known: number): void {
    if (!this.#ended) link.wait(this, place, this.#options.session, mark.upTo, known)
  }

  #end(write: (reply: ReplyWriter) => void): void {
    if (this.#ended) return
    this.#ended = true
    this.#cancelTimer()
    if (this.#options.blocks) for (const { link } of this.#parts) link.unblock(this.#options.session, '')
    this.#options.done(write)
  }

  #setTimer(leftMs: number): void {
    const { clock, timers } = this.#options
    this.#cancelTimer = timers.after(Math.min(leftMs, timerMsMax), () => {
      const nowLeftMs = this.#untilMs - clock.monotonicMs()
      if (nowLeftMs > 0) this.#setTimer(nowLeftMs)
      else this.unblock(0, '')
    })
  }
}
