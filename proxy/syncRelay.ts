/**
 * A peer cluster's syncer on our database port. TLS has proved which cluster it is; from its hello on, this only carries
 * frames between that connection and the shards whose operations the peer wants: one channel each way, opened by the
 * peer, with one tag on its connection and another one on the shard's link. The messages inside are never looked at.
 *
 * Flow control is end to end (a feed sends no more than its peer has acknowledged), so what waits here is bounded by what
 * all feeds together may have in flight. The limits below are for a peer that does not keep to it.
 */

import type { DatabaseConfig } from '#config/process.ts'
import { pongFrame } from '#protocol/frames/clockProbe.ts'
import { type Frame, FrameKind, FrameReader } from '#protocol/frames/frame.ts'
import {
  channelClosedFrame,
  type Hello,
  helloFrame,
  jsonFrame,
  readChannelOpening,
  readHello,
  readReason,
} from '#protocol/frames/hello.ts'
import { syncVersion } from '#protocol/sync/message.ts'
import type { Clock, Connection, ConnectionHandler, Logger, Timers } from '#runtime/ports.ts'
import { FrameOutput, noPrefix } from './frameOutput.ts'
import type { ShardLinks } from './routing/shardLinks.ts'
import type { ChannelTarget, RoomWaiter, ShardLink } from './shardLink.ts'
import type { Turn } from './turn.ts'

/** A subscribe, the largest message of a peer, names each slot with a vector: little more than a mebibyte. */
export const peerFrameBytesMax = 4 * 1024 * 1024
/** Usual limit of messages that a peer does not read. */
export const peerOutgoingBytesMax = 512 * 1024 * 1024
/** More than any pair of clusters has pairs of shards. */
export const peerChannelsMax = 4096
export const peerHelloMs = 10_000

export interface RelayHost {
  readonly database: DatabaseConfig
  readonly links: ShardLinks
  readonly clock: Clock
  readonly timers: Timers
  readonly turn: Turn
  readonly logger: Logger
  /** Messages that a peer does not read: it is disconnected. */
  readonly peerOutgoingBytesMax: number
  onRelayClosed(relay: SyncRelay): void
}

export class SyncRelay implements ConnectionHandler, RoomWaiter {
  /** Of the peer; 0 until it has said hello. */
  clusterId = 0
  /** As its certificate says. */
  readonly peerName: string
  readonly #host: RelayHost
  readonly #connection: Connection
  readonly #output: FrameOutput
  readonly #reader = new FrameReader(peerFrameBytesMax)
  readonly #takeFrame = (frame: Frame) => this.#take(frame)
  readonly #channels = new Map<number, RelayChannel>()
  readonly #cancelHello: () => void
  #isPaused = false
  #isClosing = false

  constructor(host: RelayHost, connection: Connection, peerName: string) {
    this.peerName = peerName
    this.#host = host
    this.#connection = connection
    this.#output = new FrameOutput(host.turn)
    this.#output.connection = connection
    this.#cancelHello = host.timers.after(peerHelloMs, () => this.close('no hello came'))
  }

  get channelCount(): number {
    return this.#channels.size
  }

  /** Tells the peer why, then closes. */
  close(reason: string): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#host.logger.info({ peer: this.peerName, reason }, 'link from a peer closed')
    this.#closeChannels(reason)
    this.#output.addFrame(channelClosedFrame(0, reason))
    this.#output.flush()
    this.#connection.close()
  }

  onData(chunk: Uint8Array): void {
    const error = this.#reader.feed(chunk, this.#takeFrame)
    if (error !== null) this.close(error)
  }

  onDrain(): void {}

  onRoom(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#connection.resume()
  }

  onClose(): void {
    this.#isClosing = true
    this.#cancelHello()
    this.#closeChannels('the link from the peer is gone')
    this.#host.onRelayClosed(this)
  }

  /** A message of a shard for the peer. */
  send(tag: number, bytes: Uint8Array, start: number, end: number): void {
    this.#output.add(FrameKind.channelData, tag, 0, 0, noPrefix, bytes, start, end, false)
    const { peerOutgoingBytesMax: unreadBytesMax, logger } = this.#host
    if (this.#output.unsentBytes <= unreadBytesMax) return
    logger.error({ peer: this.peerName, unreadBytesMax }, 'a peer does not read; disconnected')
    this.#connection.destroy()
  }

  onChannelOpened(tag: number): void {
    this.#output.addFrame(jsonFrame(FrameKind.channelOpened, tag, {}))
  }

  onChannelClosed(tag: number, reason: string): void {
    this.#channels.delete(tag)
    if (!this.#isClosing) this.#output.addFrame(channelClosedFrame(tag, reason))
  }

  #take(frame: Frame): void {
    if (this.#isClosing) return
    if (this.clusterId === 0) {
      this.#takeHello(frame)
      return
    }
    switch (frame.kind) {
      case FrameKind.channelData: {
        const channel = this.#channels.get(frame.tag)
        if (channel === undefined) return
        channel.pass(frame.bytes, frame.payloadStart, frame.payloadEnd)
        if (channel.link.isFull) this.#waitFor(channel.link)
        return
      }
      case FrameKind.channelOpen:
        this.#openChannel(frame)
        return
      case FrameKind.channelClosed: {
        const channel = this.#channels.get(frame.tag)
        this.#channels.delete(frame.tag)
        channel?.close(readReason(frame))
        return
      }
      case FrameKind.ping:
        this.#answerPing(frame)
        return
      default:
        this.close(`frame of kind ${frame.kind}`)
    }
  }

  #takeHello(frame: Frame): void {
    const hello = readHello(frame)
    const refusal = typeof hello === 'string' ? hello : this.#refusal(hello)
    if (refusal !== null || typeof hello === 'string' || hello.role !== 'syncer') {
      this.close(refusal ?? 'not a syncer')
      return
    }
    this.#cancelHello()
    this.clusterId = hello.clusterId
    const { database, links } = this.#host
    const shards = links.shards.map(({ address, link }) => ({
      index: address.index,
      ranges: address.ranges,
      runId: link.runId,
    }))
    this.#output.addFrame(
      helloFrame({
        role: 'database',
        guid: database.guid,
        clusterId: database.clusterId,
        sharding: database.sharding,
        shards,
      }),
    )
    const { clusterId, clusterName, instance } = hello
    this.#host.logger.info({ peer: clusterName, clusterId, instance }, 'link from a peer opened')
  }

  /** The certificate says who it is; what it says itself must agree with that and with our members. */
  #refusal(hello: Hello): string | null {
    if (hello.role !== 'syncer') return `role ${hello.role} has no business here`
    const { database } = this.#host
    if (hello.syncVersion !== syncVersion)
      return `sync version ${hello.syncVersion} is not ours (${syncVersion})`
    if (hello.guid !== database.guid) return 'another database'
    const member = database.members.find(({ clusterId }) => clusterId === hello.clusterId)
    if (member === undefined || hello.clusterId === database.clusterId)
      return `cluster ${hello.clusterId} is not another member of this database`
    if (member.name !== this.peerName)
      return `the certificate is of ${this.peerName}, cluster ${hello.clusterId} is ${member.name}`
    return null
  }

  #openChannel(frame: Frame): void {
    const { tag } = frame
    const opening = readChannelOpening(frame)
    if (typeof opening === 'string') {
      this.close(opening)
      return
    }
    if (this.#channels.has(tag)) {
      this.close(`channel ${tag} is open already`)
      return
    }
    const shard = this.#host.links.shards.find(({ address }) => address.index === opening.shard)
    const refusal = this.#channelRefusal(opening.role, opening.peer, shard !== undefined)
    if (refusal !== null || shard === undefined) {
      this.#output.addFrame(channelClosedFrame(tag, refusal ?? 'no such shard'))
      return
    }
    const channel = new RelayChannel(this, tag, shard.link)
    this.#channels.set(tag, channel)
    channel.open(opening)
  }

  #channelRefusal(role: string, peer: number, hasShard: boolean): string | null {
    if (role !== 'feed') return 'a peer may only read'
    if (peer !== this.clusterId) return `the link is of cluster ${this.clusterId}, not of ${peer}`
    if (!hasShard) return 'no such shard'
    return this.#channels.size >= peerChannelsMax ? `more than ${peerChannelsMax} channels` : null
  }

  #answerPing(frame: Frame): void {
    const { clock } = this.#host
    const pong = pongFrame(frame, clock.wallMs(), clock.wallMs())
    if (pong === null) {
      this.close('a ping without its time')
      return
    }
    this.#output.addFrame(pong)
    // The answer's delay would count as clock offset.
    this.#output.flush()
  }

  #waitFor(link: ShardLink): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#connection.pause()
    link.waitForRoom(this)
  }

  #closeChannels(reason: string): void {
    for (const channel of this.#channels.values()) channel.close(reason)
    this.#channels.clear()
  }
}

/** One channel: its tag on the peer's connection, and on the shard's link. */
class RelayChannel implements ChannelTarget {
  readonly link: ShardLink
  readonly #relay: SyncRelay
  readonly #tag: number
  #linkTag = 0

  constructor(relay: SyncRelay, tag: number, link: ShardLink) {
    this.#relay = relay
    this.#tag = tag
    this.link = link
  }

  open(opening: Parameters<ShardLink['openChannel']>[1]): void {
    this.#linkTag = this.link.openChannel(this, opening)
  }

  pass(bytes: Uint8Array, start: number, end: number): void {
    this.link.sendChannel(this.#linkTag, bytes, start, end)
  }

  close(reason: string): void {
    this.link.closeChannel(this.#linkTag, reason)
  }

  onChannelOpened(): void {
    this.#relay.onChannelOpened(this.#tag)
  }

  onChannelData(bytes: Uint8Array, start: number, end: number): void {
    this.#relay.send(this.#tag, bytes, start, end)
  }

  onChannelClosed(reason: string): void {
    this.#relay.onChannelClosed(this.#tag, reason)
  }
}
