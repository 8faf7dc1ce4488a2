/**
 * The link to a peer cluster: mutual TLS to its database port, where any of its proxies answers and leads us to its shards.
 * The certificates say which cluster is at each end; the hellos, which database is meant. Pings keep the link watched and
 * compare the clocks.
 */
import type { MemberConfig, SyncTimings } from '#config/process.ts'
import { pingFrame, readPong } from '#protocol/frames/clockProbe.ts'
import { compressionName } from '#protocol/frames/compressedFrame.ts'
import { type Frame, FrameKind } from '#protocol/frames/frame.ts'
import {
  type Hello,
  type HelloRefusal,
  type HelloShard,
  jsonFrame,
  readJson,
} from '#protocol/frames/hello.ts'
import { receiptBytes, receivedFrame } from '#protocol/frames/receipt.ts'
import { SlotMap } from '#protocol/slots/slotMap.ts'
import { syncAlpn } from '#protocol/sync/alpn.ts'
import type { TlsIdentity } from '#runtime/ports.ts'
import { Channels } from './channels.ts'
import { type ClockOffset, ClockOffsets, type Probe } from './clockOffset.ts'
import { FrameLink, type LinkOwner, type LinkPorts } from './frameLink.ts'

export interface PeerLinkOptions {
  member: MemberConfig
  guid: string
  /** Of the database here: a transaction must not be one step at one member and several at another. */
  sharding: boolean
  hello: Hello
  identity: TlsIdentity
  timings: SyncTimings
}

export interface PeerLinkListener {
  onPeerUp(link: PeerLink): void
  onPeerDown(link: PeerLink): void
  /** The best of the latest measurements, about once a second. */
  onPeerOffset(link: PeerLink, offset: ClockOffset): void
  /** It turned us away because of the members: `list` is what it goes by. */
  onPeerRefused(link: PeerLink, list: unknown): void
}

/** Pings on their way; older ones count as lost. */
export const pingsMax = 64
export const offsetReportMs = 1000

export class PeerLink implements LinkOwner {
  readonly member: MemberConfig
  readonly link: FrameLink
  readonly channels: Channels
  readonly offsets = new ClockOffsets()
  /** The peer's shards; empty while it is down. */
  shards: readonly HelloShard[] = []
  readonly #options: PeerLinkOptions
  readonly #ports: LinkPorts
  readonly #listener: PeerLinkListener
  readonly #pings = new Map<number, Probe>()
  readonly #questions = new Map<number, (answer: unknown) => void>()
  #lastQuestion = 0
  /** Shards of ours that can't take more. */
  readonly #heldBy = new Set<number>()
  #wantsReceipts = false
  #toldBytes = 0
  #lastPing = 0
  #reportedMs = Number.NEGATIVE_INFINITY
  #cancelPing: () => void = () => {}

  constructor(options: PeerLinkOptions, ports: LinkPorts, listener: PeerLinkListener) {
    const { member, hello, identity, timings } = options
    this.member = member
    this.#options = options
    this.#ports = ports
    this.#listener = listener
    this.link = new FrameLink(
      {
        target: {
          kind: 'tls',
          host: member.host,
          port: member.port,
          alpn: syncAlpn,
          serverName: member.name,
          identity,
        },
        hello,
        facts: { peer: member.clusterId, name: member.name },
        reconnectMinMs: timings.reconnectMinMs,
        reconnectMaxMs: timings.reconnectMaxMs,
        // Two round trips to open and one to greet must fit, also on a link that is only slow.
        greetingMs: timings.linkDownMs * 2,
        silenceMs: timings.linkDownMs,
      },
      ports,
      this,
    )
    this.channels = new Channels(this.link)
  }

  onHello(hello: Hello): string | null {
    this.#toldBytes = 0
    const { clusterId } = this.member
    if (hello.role !== 'database') return `a ${hello.role} answered instead of a database`
    if (hello.guid !== this.#options.guid) return `it serves the database ${hello.guid}`
    if (hello.clusterId !== clusterId) return `cluster ${hello.clusterId} answered instead of ${clusterId}`
    if (hello.sharding !== this.#options.sharding)
      return `sharding is ${onOff(hello.sharding)} there and ${onOff(this.#options.sharding)} here`
    const error = slotError(hello.shards)
    if (error !== null) return error
    this.shards = hello.shards
    this.#wantsReceipts = hello.compressions.includes(compressionName)
    this.#ping()
    this.#listener.onPeerUp(this)
    return null
  }

  onFrame(frame: Frame): string | null {
    if (this.#wantsReceipts) this.#tellReceived()
    if (this.channels.take(frame)) return null
    if (frame.kind === FrameKind.memberAnswer) return this.#takeAnswer(frame)
    if (frame.kind !== FrameKind.pong) return `unexpected frame of kind ${frame.kind}`
    return this.#takePong(frame)
  }

  onDown(): void {
    this.#cancelPing()
    this.shards = []
    this.#pings.clear()
    this.#heldBy.clear()
    this.offsets.clear()
    const unanswered = [...this.#questions.values()]
    this.#questions.clear()
    for (const answered of unanswered) answered(null)
    this.#listener.onPeerDown(this)
    this.channels.clear()
  }

  onDrain(): void {}

  onRefused({ list }: HelloRefusal): void {
    if (list !== undefined) this.#listener.onPeerRefused(this, list)
  }

  /** Asks the agent of the peer; null: it can't be reached. */
  ask(question: unknown, answered: (answer: unknown) => void): void {
    if (!this.link.isUp) {
      answered(null)
      return
    }
    this.#questions.set(++this.#lastQuestion, answered)
    this.link.sendFrame(jsonFrame(FrameKind.memberQuestion, this.#lastQuestion, question))
  }

  /** Nothing more is read from the peer until all that hold it have released it. */
  hold(shard: number): void {
    if (!this.#heldBy.has(shard)) this.#heldBy.add(shard)
    this.link.pause()
  }

  release(shard: number): void {
    if (this.#heldBy.delete(shard) && this.#heldBy.size === 0) this.link.resume()
  }

  #tellReceived(): void {
    const { receivedBytes } = this.link
    if (receivedBytes - this.#toldBytes < receiptBytes) return
    this.#toldBytes = receivedBytes
    this.link.sendFrame(receivedFrame(receivedBytes))
  }

  #ping(): void {
    const { clock, timers } = this.#ports
    const tag = ++this.#lastPing
    this.#pings.delete(tag - pingsMax)
    const probe = { t1: clock.wallMs(), sentMs: clock.monotonicMs() }
    this.#pings.set(tag, probe)
    this.link.sendFrame(pingFrame(tag, probe.t1))
    this.#cancelPing = timers.after(this.#options.timings.heartbeatMs, () => this.#ping())
  }

  #takeAnswer(frame: Frame): string | null {
    const answered = this.#questions.get(frame.tag)
    const answer = readJson(frame)
    if (answer === undefined) return 'an answer that is not JSON'
    this.#questions.delete(frame.tag)
    answered?.(answer)
    return null
  }

  #takePong(frame: Frame): string | null {
    const pong = readPong(frame)
    if (pong === null) return 'a pong that lacks its times'
    const probe = this.#pings.get(frame.tag)
    // Late, given twice, or made up.
    if (probe === undefined || probe.t1 !== pong.t1) return null
    this.#pings.delete(frame.tag)
    const { clock } = this.#ports
    const nowMs = clock.monotonicMs()
    this.offsets.add(probe, pong.t2, pong.t3, clock.wallMs(), nowMs)
    const { best } = this.offsets
    if (best === null || nowMs - this.#reportedMs < offsetReportMs) return null
    this.#reportedMs = nowMs
    this.#listener.onPeerOffset(this, best)
    return null
  }
}

/** A slot with two owners would be taken in twice, and lets a confused peer ask for any number of channels. */
function slotError(shards: readonly HelloShard[]): string | null {
  try {
    new SlotMap(shards)
    return null
  } catch (error) {
    return error instanceof RangeError ? error.message : String(error)
  }
}

const onOff = (value: boolean): string => (value ? 'on' : 'off')
