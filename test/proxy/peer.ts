/** A peer's syncer on the database port, as tests play it. */
import { type LinkTraffic, UnpackingReader } from '#protocol/frames/compressedFrame.ts'
import { type Frame, FrameKind } from '#protocol/frames/frame.ts'
import {
  type Hello,
  type HelloRefusal,
  jsonFrame,
  readHello,
  readReason,
  readRefusal,
} from '#protocol/frames/hello.ts'
import { syncVersion } from '#protocol/sync/message.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { MemoryConnection } from '#test/memoryConnection.ts'
import type { ProxyWorld } from './proxyWorld.ts'

export const goodHello: Extract<Hello, { role: 'syncer' }> = {
  role: 'syncer',
  syncVersion,
  guid: 'guid-1',
  clusterId: 2,
  clusterName: 'c2',
  instance: 'i1',
  compressions: [],
}

export interface Received {
  kind: number
  tag: number
  payload: string
}

export class Peer {
  readonly connection: MemoryConnection
  readonly received: Received[] = []
  readonly traffic: LinkTraffic = { bytes: 0, rawBytes: 0 }
  hello: Hello | string | null = null
  reason: string | null = null
  refusal: HelloRefusal | null = null
  isClosed = false
  readonly #world: ProxyWorld

  constructor(world: ProxyWorld, peerName: string | null = 'c2') {
    this.#world = world
    const [near, far] = MemoryConnection.pair(world.world)
    this.connection = far
    const reader = new UnpackingReader(this.traffic, (received) => this.#take(received))
    far.handler = {
      onData: (chunk) => {
        reader.feed(chunk)
      },
      onDrain() {},
      onClose: () => {
        this.isClosed = true
      },
    }
    world.proxy.accept(near, {
      remoteAddress: '127.0.0.1:4000',
      localAddress: '127.0.0.1:12000',
      tls: { use: 'peer', name: peerName },
    })
  }

  send(...frames: Uint8Array[]): this {
    for (const one of frames) this.connection.write(one)
    this.#world.world.settle()
    return this
  }

  open(tag: number, shard: number, more: object = {}): this {
    return this.send(
      jsonFrame(FrameKind.channelOpen, tag, {
        role: 'feed',
        peer: 2,
        shard,
        ranges: [{ first: 0, last: 16383 }],
        ...more,
      }),
    )
  }

  #take(received: Frame): void {
    if (received.kind === FrameKind.hello) this.hello = readHello(received)
    else if (received.kind === FrameKind.channelClosed && received.tag === 0) {
      this.reason = readReason(received)
      this.refusal = readRefusal(received)
    } else {
      const payload = latin1(received.bytes, received.payloadStart, received.payloadEnd)
      this.received.push({ kind: received.kind, tag: received.tag, payload })
    }
  }
}
