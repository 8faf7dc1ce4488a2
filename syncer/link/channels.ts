/** The sync channels of one link: which tag stands for whom. Tags are ours to give: we are who opens channels. */
import { type Frame, FrameKind } from '#protocol/frames/frame.ts'
import { type ChannelOpening, channelClosedFrame, jsonFrame, readReason } from '#protocol/frames/hello.ts'
import type { FrameLink } from './frameLink.ts'

/** One end of a channel, as its opener sees it. */
export interface ChannelOwner {
  onOpened(): void
  /** One message; valid during the call only. */
  onData(frame: Frame): void
  /** By the other side. Nothing comes after it. */
  onClosed(reason: string): void
}

export class Channels {
  readonly #link: FrameLink
  readonly #owners = new Map<number, ChannelOwner>()
  #lastTag = 0

  constructor(link: FrameLink) {
    this.#link = link
  }

  get count(): number {
    return this.#owners.size
  }

  /** Returns the channel's tag. */
  open(owner: ChannelOwner, opening: ChannelOpening): number {
    // 0 is the connection itself. A tag comes back after 2^32 channels, when its first owner is long gone.
    this.#lastTag = (this.#lastTag % 0xffffffff) + 1
    this.#owners.set(this.#lastTag, owner)
    this.#link.sendFrame(jsonFrame(FrameKind.channelOpen, this.#lastTag, opening))
    return this.#lastTag
  }

  /** The owner is not told. */
  close(tag: number, reason: string): void {
    if (this.#owners.delete(tag)) this.#link.sendFrame(channelClosedFrame(tag, reason))
  }

  /** Passes a message of another link's channel on. */
  forward(tag: number, frame: Frame): void {
    this.#link.send(
      FrameKind.channelData,
      tag,
      frame.slot,
      frame.flags,
      frame.bytes,
      frame.payloadStart,
      frame.payloadEnd,
    )
  }

  /** Returns whether the frame was one of a channel. Frames that crossed our closing of it are dropped. */
  take(frame: Frame): boolean {
    const owner = this.#owners.get(frame.tag)
    switch (frame.kind) {
      case FrameKind.channelData:
        owner?.onData(frame)
        return true
      case FrameKind.channelOpened:
        owner?.onOpened()
        return true
      case FrameKind.channelClosed:
        this.#owners.delete(frame.tag)
        owner?.onClosed(readReason(frame))
        return true
      default:
        return false
    }
  }

  /** The link is gone, and all channels with it; their owners know. */
  clear(): void {
    this.#owners.clear()
  }
}
