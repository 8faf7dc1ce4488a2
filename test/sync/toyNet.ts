/** Toy shards with the real replication, joined by queues that the test empties message by message. */

import type { SlotRange } from '#protocol/slots/slotMap.ts'
import { type Message, readMessage } from '#protocol/sync/message.ts'
import type { ClusterId } from '#protocol/sync/stamp.ts'
import { copyOf, latin1 } from '#runtime/bytes/bytes.ts'
import { Replication } from '#server/sync/replication.ts'
import type { ChannelEnd, ReplicationOptions, ReplicationVariations } from '#server/sync/syncOptions.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { RecordingLogger } from '#test/silentLogger.ts'
import { ToyShard } from './toyShard.ts'

const allSlots: SlotRange[] = [{ first: 0, last: 16383 }]

export const timings = { heartbeatMs: 250, linkDownMs: 2000, holdMs: 200, futureHoldMs: 60_000 }
export const limits = { linkInflightBytesMax: 1 << 20, holdQueueBytesMax: 1 << 20 }

type ToyOptions = Partial<Omit<ReplicationOptions, 'membership'>> & {
  members?: readonly ClusterId[]
  backlogBytesMax?: number
  variations?: ReplicationVariations
  /** Of a process before. */
  shard?: ToyShard
}

export class ToyNode {
  readonly shard: ToyShard
  readonly replication: Replication
  readonly logger = new RecordingLogger()
  recovered = 0
  /** `channel: message` of its peers. */
  readonly published: string[] = []

  constructor(
    net: ToyNet,
    clusterId: ClusterId,
    { variations, backlogBytesMax, shard, members = [clusterId], ...options }: ToyOptions,
  ) {
    this.shard = shard ?? new ToyShard(clusterId, backlogBytesMax)
    this.replication = new Replication(
      {
        clusterId,
        membership: { members, blocked: [], removed: [], leaving: false },
        ranges: allSlots,
        runId: `run-${clusterId}-${net.nextRun++}`,
        stale: false,
        causalConsistency: false,
        limits,
        timings,
        ...options,
      },
      this.shard,
      {
        clock: net.world,
        timers: net.world,
        logger: this.logger,
        onRecovered: () => {
          this.recovered++
        },
        onProgress() {},
        onPublished: ({ channel, bytes, start, end }) => {
          this.published.push(`${channel}: ${latin1(bytes, start, end)}`)
        },
      },
      variations,
    )
  }

  get origin(): number {
    return 8 - this.shard.clusterId
  }

  /** What was complained about. */
  get reasons(): string[] {
    return this.logger.lines.map((line) => String(line.facts['reason'] ?? line.message))
  }
}

/** One channel: `to` reads `from`. */
export class ToyLink {
  readonly from: ToyNode
  readonly to: ToyNode
  readonly toIntake: Uint8Array[] = []
  readonly toFeed: Uint8Array[] = []
  closed = false
  #feed: ChannelEnd
  #intake: ChannelEnd

  constructor(from: ToyNode, to: ToyNode, ranges: readonly SlotRange[] = allSlots) {
    this.from = from
    this.to = to
    const end = (queue: Uint8Array[]) => ({
      send: (message: Uint8Array) => void queue.push(copyOf(message)),
      close: () => this.end(),
    })
    this.#feed = from.replication.openFeed(end(this.toIntake), to.shard.clusterId, ranges)
    this.#intake = to.replication.openIntake(end(this.toFeed), from.shard.clusterId, 0, ranges)
  }

  /** The connection is gone, and what was on its way with it. */
  end(): void {
    if (this.closed) return
    this.closed = true
    this.toIntake.length = 0
    this.toFeed.length = 0
    this.#feed?.closed()
    this.#intake?.closed()
  }

  /** Passes one message on; false: none was there. */
  deliver(side: 'intake' | 'feed'): boolean {
    const message = (side === 'intake' ? this.toIntake : this.toFeed).shift()
    if (message === undefined) return false
    const end = side === 'intake' ? this.#intake : this.#feed
    end.receive(message, 0, message.length)
    return true
  }

  /** Messages on their way to the intake, by kind. */
  get pending(): Message[] {
    return this.toIntake.map((message) => readMessage(message, 0, message.length))
  }
}

export class ToyNet {
  readonly world = new MemoryWorld()
  readonly nodes: ToyNode[] = []
  readonly links: ToyLink[] = []
  nextRun = 1

  node(clusterId: ClusterId, options: ToyOptions = {}): ToyNode {
    const node = new ToyNode(this, clusterId, options)
    this.nodes.push(node)
    return node
  }

  link(from: ToyNode, to: ToyNode, ranges?: readonly SlotRange[]): ToyLink {
    const link = new ToyLink(from, to, ranges)
    this.links.push(link)
    return link
  }

  /** Delivers everything until nothing is left, pumping in between. */
  settle(links: readonly ToyLink[] = this.links): void {
    for (let round = 0; ; round++) {
      if (round > 10_000) throw new Error('the net does not come to rest')
      for (const link of links) {
        while (link.deliver('feed'));
        link.from.replication.pump()
        while (link.deliver('intake'));
        link.to.replication.pump()
      }
      // What is cut into turns.
      this.world.advance(0)
      if (links.every((link) => link.toFeed.length === 0 && link.toIntake.length === 0)) return
    }
  }

  /** Lets time pass in ticks. */
  advance(durationMs: number, links: readonly ToyLink[] = this.links): void {
    for (let passedMs = 0; passedMs < durationMs; passedMs += 50) {
      this.world.advance(50)
      for (const node of this.nodes) node.replication.tick()
      this.settle(links)
    }
  }
}
