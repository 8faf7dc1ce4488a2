/** The sync channels on the link to one shard. */
import { type Frame, FrameKind } from '#protocol/frames/frame.ts'
import { type ChannelOpening, channelClosedFrame, jsonFrame, readReason } from '#protocol/frames/hello.ts'
import { type FrameOutput, noPrefix } from './frameOutput.ts'

/** The other end of a sync channel to the shard. */
export interface ChannelTarget {
  onChannelOpened(): void
  /** One message; valid during the call only. */
  onChannelData(bytes: Uint8Array, start: number, end: number): void
  /** Also when the link breaks. */
  onChannelClosed(reason: string): void
}

export class ShardChannels {
  readonly #shard: number
  readonly #output: FrameOutput
  readonly #isUp: () => boolean
  readonly #targets = new Map<number, ChannelTarget>()
  #last = 0

  constructor(shard: number, output: FrameOutput, isUp: () => boolean) {
    this.#shard = shard
    this.#output = output
    this.#isUp = isUp
  }

  get count(): number {
    return this.#targets.size
  }

  /** Returns the channel's tag on this link. */
  open(target: ChannelTarget, opening: ChannelOpening): number {
    do this.#last = (this.#last + 1) >>> 0
    while (this.#targets.has(this.#last))
    const tag = this.#last
    this.#targets.set(tag, target)
    if (this.#isUp()) this.#output.addFrame(jsonFrame(FrameKind.channelOpen, tag, opening))
    else this.#closed(tag, `shard ${this.#shard} is not reachable`)
    return tag
  }

  send(tag: number, bytes: Uint8Array, start: number, end: number): void {
    if (!this.#isUp() || !this.#targets.has(tag)) return
    this.#output.add(FrameKind.channelData, tag, 0, 0, noPrefix, bytes, start, end, false)
  }

  close(tag: number, reason: string): void {
    if (this.#targets.delete(tag) && this.#isUp()) this.#output.addFrame(channelClosedFrame(tag, reason))
  }

  /** False: the frame is none of a channel. */
  take(frame: Frame): boolean {
    switch (frame.kind) {
      case FrameKind.channelData:
        this.#targets.get(frame.tag)?.onChannelData(frame.bytes, frame.payloadStart, frame.payloadEnd)
        return true
      case FrameKind.channelOpened:
        this.#targets.get(frame.tag)?.onChannelOpened()
        return true
      case FrameKind.channelClosed:
        this.#closed(frame.tag, readReason(frame))
        return true
      default:
        return false
    }
  }

  /** The link is gone. */
  closeAll(): void {
    for (const tag of [...this.#targets.keys()]) this.#closed(tag, `shard ${this.#shard} went away`)
  }

  #closed(tag: number, reason: string): void {
    const target = this.#targets.get(tag)
    this.#targets.delete(tag)
    target?.onChannelClosed(reason)
  }
}
