/**
 * EXEC of a queue that holds commands for the proxy: the shard answers its part as one array, then the others run in
 * their order, then both become one array. A transaction that the shard refuses (a watched key was touched, the clock is
 * off) runs none of them.
 */
import { replyElements } from '#protocol/resp/replyScanner.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { ReplyTarget } from '#proxy/shardLink.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'
import type { TransactionQueue } from './transactionQueue.ts'

/** Runs one of the queue's own commands and gives its reply, now or later. */
export type RunLocal = (index: number, done: (reply: Uint8Array) => void) => void

export class ExecReply implements ReplyTarget {
  readonly #queue: TransactionQueue
  readonly #place: number
  readonly #output: ReplyTarget
  readonly #runLocal: RunLocal
  readonly #elements: Uint8Array[]
  #missing: number

  constructor(queue: TransactionQueue, place: number, output: ReplyTarget, runLocal: RunLocal) {
    this.#queue = queue
    this.#place = place
    this.#output = output
    this.#runLocal = runLocal
    this.#elements = new Array<Uint8Array>(queue.count)
    this.#missing = queue.locals.length
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
    else this.#output.onReply(this.#place, bytes, start, end)
  }

  /** At once when the queue holds nothing for the shard. */
  runLocals(): void {
    if (this.#missing === 0) {
      this.#finish()
      return
    }
    for (const [index, { place }] of this.#queue.locals.entries()) {
      this.#runLocal(index, (reply) => {
        this.#elements[place] = reply
        if (--this.#missing === 0) this.#finish()
      })
    }
  }

  #finish(): void {
    const reply = new ReplyWriter(64)
    reply.array(this.#elements.length)
    for (const element of this.#elements) reply.raw(element)
    this.#output.onReply(this.#place, reply.bytes, 0, reply.length)
  }
}
