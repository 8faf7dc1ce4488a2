/** The link to a shard of our own cluster. */
import type { ShardAddress } from '#config/process.ts'
import type { Frame } from '#protocol/frames/frame.ts'
import type { Hello, HelloShard } from '#protocol/frames/hello.ts'
import { Channels } from './channels.ts'
import { FrameLink, type LinkOwner, type LinkPorts } from './frameLink.ts'

export interface ShardLinkOptions {
  address: ShardAddress
  hello: Hello
  reconnectMinMs: number
  reconnectMaxMs: number
  greetingMs: number
}

export interface ShardLinkListener {
  onShardUp(link: ShardLink): void
  onShardDown(link: ShardLink): void
  onShardDrain(link: ShardLink): void
}

export class ShardLink implements LinkOwner {
  readonly index: number
  readonly link: FrameLink
  readonly channels: Channels
  /** What it said of itself; null while it is down. */
  shard: HelloShard | null = null
  readonly #listener: ShardLinkListener

  constructor(options: ShardLinkOptions, ports: LinkPorts, listener: ShardLinkListener) {
    const { address, hello, reconnectMinMs, reconnectMaxMs, greetingMs } = options
    this.index = address.index
    this.#listener = listener
    this.link = new FrameLink(
      {
        target: { kind: 'unix', path: address.socketPath },
        hello,
        facts: { shard: address.index },
        reconnectMinMs,
        reconnectMaxMs,
        greetingMs,
        // A shard that works on something long is silent; when it dies, its socket says so.
        silenceMs: null,
      },
      ports,
      this,
    )
    this.channels = new Channels(this.link)
  }

  onHello(hello: Hello): string | null {
    if (hello.role !== 'shard') return `a ${hello.role} answered instead of shard ${this.index}`
    if (hello.index !== this.index) return `shard ${hello.index} answered instead of shard ${this.index}`
    this.shard = hello
    this.#listener.onShardUp(this)
    return null
  }

  onFrame(frame: Frame): string | null {
    return this.channels.take(frame) ? null : `unexpected frame of kind ${frame.kind}`
  }

  onDown(): void {
    this.shard = null
    this.#listener.onShardDown(this)
    this.channels.clear()
  }

  onDrain(): void {
    this.#listener.onShardDrain(this)
  }
}
