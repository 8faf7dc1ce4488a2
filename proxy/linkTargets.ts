/** Who is told what comes over the link to a shard. */
import type { Frame } from '#protocol/frames/frame.ts'
import type { ScriptDenials } from '#protocol/frames/scriptUser.ts'
import type { SlowRequest } from '#protocol/frames/slowlog.ts'
import type { ShardLink } from './shardLink.ts'

/** Who has asked for something. */
export interface Asker {
  readonly remoteAddress: string
  readonly name: string
  /** What it has asked for has held a shard for long. */
  onHeld(): void
}

/** Who waits for replies. */
export interface ReplyTarget {
  /**
   * `count` replies (not given: one) to requests that it sent in a row. `place` is what it gave with the first of a frame,
   * plus one for each that is answered already. The bytes are valid during the call only.
   */
  onReply(place: number, bytes: Uint8Array, start: number, end: number, count?: number): void
  /** Whose requests they are; absent: nobody's. */
  readonly asker?: Asker | undefined
}

/** Who wants to know that a link that was full has room again. */
export interface RoomWaiter {
  onRoom(): void
}

export interface ShardLinkOwner {
  /** `isUp` has changed. */
  onState(link: ShardLink): void
  /** `published` or `invalidated`; valid during the call only. Returns what is wrong with it, or null. */
  onNotice(frame: Frame): string | null
  /** What somebody has asked for was slow. */
  onSlow(slow: SlowRequest, asker: Asker): void
  /** To scripts of the client that `session` names. */
  onDenied(session: number, denials: ScriptDenials): void
  /** A script calls a command; the request is valid during the call only. */
  onScriptCall(bytes: Uint8Array, start: number, end: number): void
}
