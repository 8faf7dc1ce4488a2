/** CRDT.WAIT and WAIT of one client: what it has written, and what it waits for. */

import type { CommandSpec } from '#protocol/commands/index.ts'
import { errors } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { ReplyPlace, RoutedRequest } from '#proxy/routing/router.ts'
import type { ShardLink } from '#proxy/shardLink.ts'
import { parseInteger64 } from '#runtime/integer64.ts'
import { ClusterWait } from './clusterWait.ts'
import type { SessionHost } from './host.ts'
import { SessionWrites, type WriteMark } from './writes.ts'

/** Where a command of a client waits, and what ends that. */
export interface Waited {
  unblock(session: number, error: string): void
}

/** The reply is valid during the call only. */
type TakeReply = (reply: ReplyWriter) => void

export class SessionWaits {
  readonly writes = new SessionWrites()
  readonly #host: SessionHost
  /** Names the client to the shards. */
  readonly #session: number
  #latest: ClusterWait | null = null

  constructor(host: SessionHost, session: number) {
    this.#host = host
    this.#session = session
  }

  /** What the client waits in; null: it doesn't wait for other clusters. */
  get current(): ClusterWait | null {
    return this.#latest?.hasEnded === false ? this.#latest : null
  }

  /** The client waits from now on; or why not: an error text, or the link that has no room. */
  begin({ spec, arguments: args, resp3 }: RoutedRequest, to: ReplyPlace): ClusterWait | ShardLink | string {
    const full = [...this.writes.marks.keys()].find((link) => link.isFull)
    if (full !== undefined) return full
    let place = 0
    const wait = this.#newWait(spec, args, true, resp3, ({ bytes, length }) =>
      to.output.onReply(place, bytes, 0, length),
    )
    if (typeof wait === 'string') return wait
    this.#host.counters.callsOf(spec).count++
    place = to.expect()
    this.#latest = wait
    wait.start()
    return wait
  }

  /** The same without waiting, as part of a transaction: what is so now. */
  tell(spec: CommandSpec, args: RequestScanner, resp3: boolean, take: TakeReply): void {
    const wait = this.#newWait(spec, args, false, resp3, take)
    this.#host.counters.callsOf(spec).count++
    if (typeof wait !== 'string') wait.start()
    else this.#reply(resp3, (reply) => reply.error(wait), take)
  }

  #newWait(
    spec: CommandSpec,
    args: RequestScanner,
    blocks: boolean,
    resp3: boolean,
    take: TakeReply,
  ): ClusterWait | string {
    const wanted = integerAt(args, 1)
    const timeoutMs = integerAt(args, 2)
    if (wanted === null) return errors.notInteger
    if (timeoutMs === null) return errors.timeoutNotInteger
    if (timeoutMs < 0) return errors.timeoutNegative
    const counts = spec.name === 'CRDT.WAIT'
    const restarted = counts ? this.writes.takeRestarted() : null
    if (restarted !== null) return startedAnew(restarted.index)
    const { clock, timers } = this.#host
    return new ClusterWait({
      marks: counts && this.writes.marks.size > 0 ? this.writes.marks : this.#nothingWritten(),
      session: this.#session,
      wanted,
      timeoutMs,
      blocks,
      counts,
      clock,
      timers,
      done: (write) => this.#reply(resp3, write, take),
    })
  }

  /** Every member has it. One shard is asked all the same: it knows who is a member, and who waits. */
  #nothingWritten(): [ShardLink, WriteMark][] {
    return this.#host.links.all.slice(0, 1).map((link) => [link, { runId: link.runId, upTo: 0 }])
  }

  #reply(resp3: boolean, write: TakeReply, take: TakeReply): void {
    const { reply } = this.#host
    reply.clear()
    reply.resp3 = resp3
    write(reply)
    take(reply)
  }
}

const startedAnew = (shard: number): string =>
  `UNAVAILABLE shard ${shard} was started anew since this client wrote to it: whether it kept all of that is unknown; check, and write again`

/** Null: it is none, or it does not fit into 64 bits. */
function integerAt(args: RequestScanner, i: number): number | null {
  const value = parseInteger64(args.text(i))
  return value === null ? null : Number(value)
}
