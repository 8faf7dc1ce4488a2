/**
 * Which shards this client has written to, so that CRDT.WAIT knows whom to ask. A mark says: in this run of the shard, and up
 * to which of the shard's stamps. The stamp is not known before a wait has asked; until then it is everything that the shard has
 * when it is asked, what others have written included.
 */
import { everything } from '#protocol/frames/wait.ts'
import type { ShardLink } from '#proxy/shardLink.ts'

export interface WriteMark {
  /** Of the shard's process. */
  readonly runId: string
  upTo: number
}

export class SessionWrites {
  readonly #marks = new Map<ShardLink, WriteMark>()
  /** Shards that were written to in an earlier run, too, of which the client has not been told. */
  readonly #restarted = new Set<ShardLink>()

  get marks(): ReadonlyMap<ShardLink, WriteMark> {
    return this.#marks
  }

  /** A write is sent to the shard. One that can't be reached does not get it. */
  note(link: ShardLink): void {
    const mark = this.#marks.get(link)
    if (!link.isUp) return
    if (mark !== undefined && mark.runId !== link.runId) this.#restarted.add(link)
    else if (mark?.upTo === everything) return
    this.#marks.set(link, { runId: link.runId, upTo: everything })
  }

  /** A shard that was started anew since this client wrote to it; it is told only once. Null: there is none. */
  takeRestarted(): ShardLink | null {
    for (const [link, { runId }] of this.#marks) {
      if (!link.isUp || runId === link.runId) continue
      this.#marks.delete(link)
      this.#restarted.add(link)
    }
    const [first] = this.#restarted
    if (first === undefined) return null
    this.#restarted.delete(first)
    return first
  }
}
