/**
 * EXEC of a queue that holds commands for the proxy: the shard answers its part as one array, then the others run in
 * their order, then both become one array. A transaction that the shard refuses (a watched key was touched, the clock is
 * off) runs none of them.
 */
import { replyElements } from '#protocol/resp/replyScanner.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { Asker, ReplyTarget } from '#proxy/linkTargets.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'
import type { TransactionQueue } from './transactionQueue.ts'

/** Runs one of the queue's own commands and gives its reply, now or later. */
export type RunLocal = (index: number, done: (reply: Uint8Array) => void) => void

export class ExecReply implements ReplyTarget {
  readonly asker: Asker | undefined
  readonly #queue: TransactionQueue
  readonly #place: number
  readonly #output: ReplyTarget
  readonly #runLocal: RunLocal
  /** It has been run, or not, and is going to be answered. */
  readonly #onEnd: (hasRun: boolean) => void
  readonly #elements: Uint8Array[]

  constructor(
    queue: TransactionQueue,
    place: number,
    output: ReplyTarget,
    runLocal: RunLocal,
    onEnd: (hasRun: boolean) => void,
  ) {
    this.asker = output.asker
    this.#onEnd = onEnd
    this.#queue = queue
    this.#place = place
    this.#output = output
    this.#runLocal = runLocal
    this.#elements = new Array<Uint8Array>(queue.count)
  }

  /** The shard's part. */
  onReply(_place: number, bytes: Uint8Array, start: number, end: number): void {
    const own = new Set(this.#queue.locals.map(({ place }) => place))
    let next = 0
    const count = replyElements(bytes, start, end, (from, to) => {
      while (own.has(next)) next++
      this.#elements[next++] = copyOf(bytes, from, to)
    })
    if (count === this.#queue.shardCount) this.runLocals()
    else {
      this.#output.onReply(this.#place, bytes, start, end)
      this.#onEnd(false)
    }
  }

  /** At once when the queue holds nothing for the shard. */
  runLocals(): void {
    this.#runNext(0)
  }

  /** One behind the other: what one changes, the next one sees. */
  #runNext(index: number): void {
    const local = this.#queue.locals[index]
    if (local === undefined) {
      this.#finish()
      return
    }
    this.#runLocal(index, (reply) => {
      this.#elements[local.place] = reply
      this.#runNext(index + 1)
    })
  }

  #finish(): void {
    const reply = new ReplyWriter(64)
    reply.array(this.#elements.length)
    for (const element of this.#elements) reply.raw(element)
    this.#output.onReply(this.#place, reply.bytes, 0, reply.length)
    this.#onEnd(true)
  }
}
