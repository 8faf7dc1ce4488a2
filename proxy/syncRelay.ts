/**
 * A peer cluster's syncer on our database port. TLS has proved which cluster it is; from its hello on, this only carries
 * frames between that connection and the shards whose operations the peer wants: one channel each way, opened by the
 * peer, with one tag on its connection and another one on the shard's link. The messages inside are never looked at.
 *
 * Flow control is end to end (a feed sends no more than its peer has acknowledged), so what waits here is bounded by what
 * all feeds together may have in flight. The limits below are for a peer that does not keep to it.
 */

import type { DatabaseConfig, MemberConfig } from '#config/process.ts'
import { pongFrame } from '#protocol/frames/clockProbe.ts'
import { compressionName, type LinkTraffic } from '#protocol/frames/compressedFrame.ts'
import { type Frame, FrameKind, FrameReader } from '#protocol/frames/frame.ts'
import {
  channelClosedFrame,
  type Hello,
  type HelloRefusal,
  helloFrame,
  helloRefusalFrame,
  jsonFrame,
  readChannelOpening,
  readHello,
  readJson,
  readReason,
} from '#protocol/frames/hello.ts'
import { readReceived } from '#protocol/frames/receipt.ts'
import { syncVersion } from '#protocol/sync/message.ts'
import type { Clock, Connection, ConnectionHandler, Logger, Timers } from '#runtime/ports.ts'
import { CompressedOutput } from './compressedOutput.ts'
import { FrameOutput, noPrefix } from './frameOutput.ts'
import type { RoomWaiter } from './linkTargets.ts'
import type { ShardLinks } from './routing/shardLinks.ts'
import type { ChannelTarget, ShardChannels } from './shardChannels.ts'
import type { ShardLink } from './shardLink.ts'
import type { Turn } from './turn.ts'

/** A subscribe, the largest message of a peer, names each slot with a vector: little more than a mebibyte. */
export const peerFrameBytesMax = 4 * 1024 * 1024
/** Usual limit of messages that a peer does not read. */
export const peerOutgoingBytesMax = 512 * 1024 * 1024
/** More than any pair of clusters has pairs of shards. */
export const peerChannelsMax = 4096
export const peerHelloMs = 10_000

/** What has been exchanged with a peer, over all its links. */
export interface PeerTraffic {
  clusterId: number
  sent: LinkTraffic
  received: LinkTraffic
}

export interface RelayHost {
  readonly database: DatabaseConfig
  readonly links: ShardLinks
  readonly clock: Clock
  readonly timers: Timers
  readonly turn: Turn
  readonly logger: Logger
  /** Messages that a peer does not read: it is disconnected. */
  readonly peerOutgoingBytesMax: number
  trafficOf(clusterId: number): PeerTraffic
  onRelayClosed(relay: SyncRelay): void
  /** Passes a question of a peer's agent on to ours; null: it doesn't answer. */
  askAgent(peer: number, question: unknown, answered: (answer: unknown) => void): void
}

export class SyncRelay implements ConnectionHandler, RoomWaiter {
  /** Of the peer; 0 until it has said hello. */
  clusterId = 0
  /** As its certificate says. */
  readonly peerName: string
  readonly #host: RelayHost
  readonly #connection: Connection
  readonly #compressed: CompressedOutput
  readonly #output: FrameOutput
  readonly #reader = new FrameReader(peerFrameBytesMax)
  readonly #takeFrame = (frame: Frame) => this.#take(frame)
  readonly #channels = new Map<number, RelayChannel>()
  readonly #cancelHello: () => void
  #received: LinkTraffic = { bytes: 0, rawBytes: 0 }
  #isPaused = false
  #isClosing = false

  constructor(host: RelayHost, connection: Connection, peerName: string) {
    this.peerName = peerName
    this.#host = host
    this.#connection = connection
    this.#output = new FrameOutput(host.turn)
    this.#compressed = new CompressedOutput(connection, {
      clock: host.clock,
      timers: host.timers,
      level: () => host.database.syncCompression,
    })
    this.#output.connection = this.#compressed
    this.#cancelHello = host.timers.after(peerHelloMs, () => this.close('no hello came'))
  }

  get channelCount(): number {
    return this.#channels.size
  }

  /** Tells the peer why, then closes. */
  close(reason: string): void {
    this.#end(reason, channelClosedFrame(0, reason))
  }

  #end(reason: string, lastFrame: Uint8Array): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#host.logger.info({ peer: this.peerName, reason }, 'link from a peer closed')
    this.#closeChannels(reason)
    this.#output.addFrame(lastFrame)
    this.#output.flush()
    this.#compressed.flush()
    this.#connection.close()
  }

  onData(chunk: Uint8Array): void {
    this.#received.bytes += chunk.length
    this.#received.rawBytes += chunk.length
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
      case FrameKind.memberQuestion:
        this.#ask(frame)
        return
      case FrameKind.ping:
        this.#answerPing(frame)
        return
      case FrameKind.received: {
        const bytes = readReceived(frame)
        if (bytes === null || !this.#compressed.received(bytes))
          this.close('it has received what was not sent')
        return
      }
      default:
        this.close(`frame of kind ${frame.kind}`)
    }
  }

  #takeHello(frame: Frame): void {
    const hello = readHello(frame)
    if (typeof hello === 'string' || hello.role !== 'syncer') {
      this.close(typeof hello === 'string' ? hello : `role ${hello.role} has no business here`)
      return
    }
    const refusal = this.#refusal(hello)
    if (refusal !== null) {
      this.#end(refusal.reason, helloRefusalFrame(refusal))
      return
    }
    this.#cancelHello()
    this.clusterId = hello.clusterId
    const traffic = this.#host.trafficOf(hello.clusterId)
    this.#received = traffic.received
    this.#compressed.traffic = traffic.sent
    this.#compressed.isUnderstood = hello.compressions.includes(compressionName)
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
        compressions: [compressionName],
      }),
    )
    const { clusterId, clusterName, instance } = hello
    this.#host.logger.info({ peer: clusterName, clusterId, instance }, 'link from a peer opened')
  }

  /** The certificate says who it is; what it says itself must agree with that and with our members. */
  #refusal(hello: Extract<Hello, { role: 'syncer' }>): HelloRefusal | null {
    const { database } = this.#host
    if (hello.syncVersion !== syncVersion)
      return { code: 'VERSION', reason: `sync version ${hello.syncVersion} is not ours (${syncVersion})` }
    if (hello.guid !== database.guid) return { code: 'GUID', reason: 'another database' }
    const member = database.members.find(({ clusterId }) => clusterId === hello.clusterId)
    if (member === undefined || hello.clusterId === database.clusterId) {
      const reason = `cluster ${hello.clusterId} is not another member of this database`
      return { code: 'MEMBER', reason }
    }
    if (member.name !== this.peerName) {
      const reason = `the certificate is of ${this.peerName}, cluster ${hello.clusterId} is ${member.name}`
      return { code: 'MEMBER', reason }
    }
    return membershipRefusal(hello, member, database)
  }

  #ask(frame: Frame): void {
    const { tag } = frame
    const question = readJson(frame)
    if (question === undefined) {
      this.close('a question that is not JSON')
      return
    }
    this.#host.askAgent(this.clusterId, question, (answer) => {
      if (!this.#isClosing) this.#output.addFrame(jsonFrame(FrameKind.memberAnswer, tag, answer))
    })
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

  open(opening: Parameters<ShardChannels['open']>[1]): void {
    this.#linkTag = this.link.channels.open(this, opening)
  }

  pass(bytes: Uint8Array, start: number, end: number): void {
    this.link.channels.send(this.#linkTag, bytes, start, end)
  }

  close(reason: string): void {
    this.link.channels.close(this.#linkTag, reason)
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

function membershipRefusal(
  hello: Extract<Hello, { role: 'syncer' }>,
  member: MemberConfig,
  { epoch = 1, members }: DatabaseConfig,
): HelloRefusal | null {
  const { name, instance, state, forced } = member
  const list = { epoch, members: members.map(({ clusterId: id, ...facts }) => ({ id, ...facts })) }
  const isOther = hello.member !== undefined && instance !== undefined && hello.member !== instance
  // Who lists itself under an older epoch may have joined again since, and learns it from the list.
  if (hello.epoch !== undefined && hello.epoch < epoch) {
    const reason = `its list of members is of epoch ${hello.epoch}, this is ${epoch}`
    return { code: 'EPOCH_OLD', reason, list }
  }
  if (state === 'removed' || forced === true || isOther) {
    const what = state === 'removed' || isOther ? 'was removed from' : 'is being removed from'
    const reason = `${name} ${what} the database; it must be purged before it can join again`
    return { code: 'REMOVED', reason, list }
  }
  return null
}
