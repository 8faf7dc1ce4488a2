/**
 * Requests that a client sent in a row and that go to one shard: they lie side by side in what was received, so they
 * travel as one frame, and so do their replies. What a frame costs is then paid once for many requests of a pipeline.
 */
import type { ReplyTarget } from '#proxy/linkTargets.ts'
import type { ShardLink } from '#proxy/shardLink.ts'

/** What is sent goes no further than this: the shard is to start before a long pipeline is read to its end. */
export const runRequestsMax = 64
const runBytesMax = 16 * 1024

export class RequestRun {
  readonly #target: ReplyTarget
  readonly #session: number
  #link: ShardLink | null = null
  #slot = 0
  #flags = 0
  #place = 0
  #bytes: Uint8Array = new Uint8Array(0)
  #start = 0
  #end = 0
  #count = 0
  #countMax = 0

  /** `session` names the client to shards. */
  constructor(target: ReplyTarget, session: number) {
    this.#target = target
    this.#session = session
  }

  /** Whether a request to `link` may be added. */
  continues(link: ShardLink): boolean {
    return this.#link === link && this.#count < this.#countMax && this.#end - this.#start < runBytesMax
  }

  /** The link has room; `place` is that of the first request, which starts at `start`. Nobody changes the bytes. */
  begin(link: ShardLink, slot: number, flags: number, place: number, bytes: Uint8Array, start: number): void {
    this.#link = link
    this.#slot = slot
    this.#flags = flags
    this.#place = place
    this.#bytes = bytes
    this.#start = start
    this.#countMax = Math.min(runRequestsMax, link.room)
  }

  /** The next request ends at `end`. */
  add(end: number): void {
    this.#end = end
    this.#count++
  }

  send(): void {
    const link = this.#link
    if (link === null) return
    const count = this.#count
    this.#link = null
    this.#count = 0
    link.request(
      this.#target,
      this.#place,
      this.#slot,
      this.#flags,
      this.#session,
      this.#bytes,
      this.#start,
      this.#end,
      true,
      count,
    )
  }
}
