/**
 * The syncer pulls: it dials every peer cluster's database port and every shard of its own cluster, opens a channel from each
 * of the peer's shards to each of ours that shares hash slots with it, and copies messages between them. It never looks
 * inside a message: what is missing, what is a duplicate and what has to wait is known by the shards.
 *
 * Every link is dialled, watched and dialled again by itself, so a dead peer costs the others nothing. What one of our
 * shards does not take stops, beyond `shardOutgoingBytesMax`, the peers that send to it; below, flow control between feed
 * and intake does.
 */
import type { MemberConfig, ShardAddress, SyncerConfig } from '#config/process.ts'
import { compressionName, type LinkTraffic } from '#protocol/frames/compressedFrame.ts'
import type { Hello } from '#protocol/frames/hello.ts'
import { syncVersion } from '#protocol/sync/message.ts'
import { ChannelPair } from './link/channelPair.ts'
import type { ClockOffset } from './link/clockOffset.ts'
import type { LinkPorts, LinkState } from './link/frameLink.ts'
import { PeerLink, type PeerLinkListener } from './link/peerLink.ts'
import { ShardLink, type ShardLinkListener } from './link/shardLink.ts'
import { pairings } from './topology/pairing.ts'

export interface SyncerLimits {
  /**
   * Written to a shard of ours and not taken by it: peers that send to it are not read. Well above what feeds send before
   * they wait for an acknowledgement, so that only peers that don't wait come here.
   */
  shardOutgoingBytesMax: number
  /** Written to a peer that does not read: subscribes and acknowledgements are small. Its link is dialled again. */
  peerOutgoingBytesMax: number
}

export const defaultSyncerLimits: Readonly<SyncerLimits> = {
  shardOutgoingBytesMax: 128 * 1024 * 1024,
  peerOutgoingBytesMax: 64 * 1024 * 1024,
}

export interface SyncerPorts extends LinkPorts {
  /** A peer's clock minus ours, and the round trip. */
  onPeerOffset(peer: number, offsetMs: number, delayMs: number): void
  /** A peer has a newer list of members, or no place for this cluster in it. */
  onPeerRefused?(peer: number, list: unknown): void
}

export interface PeerStatus {
  clusterId: number
  name: string
  state: LinkState
  /** Why it is not up. */
  error: string | null
  /** Its clock minus ours; null: not measured. */
  offsetMs: number | null
  delayMs: number | null
  /** Pairs of shards that should exchange messages, and those that do. */
  channels: number
  openChannels: number
  /** Since it became a peer of this process. */
  received: LinkTraffic
  sent: LinkTraffic
}

export interface SyncerStatus {
  peers: PeerStatus[]
  /** `bufferedBytes`: written to it and not taken yet. */
  shards: { index: number; state: LinkState; error: string | null; bufferedBytes: number }[]
}

export class Syncer implements PeerLinkListener, ShardLinkListener {
  readonly #instance: string
  readonly #ports: SyncerPorts
  readonly #limits: SyncerLimits
  #config: SyncerConfig
  readonly #hello: Hello
  readonly #shards = new Map<number, ShardLink>()
  /** By cluster id. */
  readonly #peers = new Map<number, PeerLink>()
  readonly #pairs = new Set<ChannelPair>()

  /** `instance` names this process; another one after every start. */
  constructor(
    config: SyncerConfig,
    instance: string,
    ports: SyncerPorts,
    limits: SyncerLimits = defaultSyncerLimits,
  ) {
    this.#limits = limits
    this.#config = config
    this.#instance = instance
    this.#ports = ports
    this.#hello = this.#helloOf(config)
  }

  start(): void {
    for (const address of this.#config.shards) this.#addShard(address)
    for (const member of peersOf(this.#config)) this.#addPeer(member)
  }

  /** Ends the links that changed, and those only. */
  configure(config: SyncerConfig): void {
    const old = this.#config
    this.#config = config
    // Links say it anew each time they are dialled, whatever list they began with.
    Object.assign(this.#hello, this.#helloOf(config))
    const sameDatabase = isSame(identityOf(old), identityOf(config)) && isSame(old.timings, config.timings)
    replaceChanged(
      this.#shards,
      byKey(old.shards, shardKey),
      byKey(config.shards, shardKey),
      sameDatabase,
      (address) => this.#addShard(address),
    )
    const oldPeers = byKey(peersOf(old), peerKey)
    const newPeers = byKey(peersOf(config), peerKey)
    replaceChanged(this.#peers, oldPeers, newPeers, sameDatabase && isSame(old.tls, config.tls), (member) =>
      this.#addPeer(member),
    )
  }

  /** Ends everything; `done` is called when all that was written has left. */
  drain(done: () => void): void {
    for (const pair of this.#pairs) pair.stop('the syncer stops')
    this.#pairs.clear()
    const links = [...this.#shards.values(), ...this.#peers.values()]
    this.#shards.clear()
    this.#peers.clear()
    let open = links.length
    if (open === 0) done()
    for (const { link } of links) {
      link.close(() => {
        if (--open === 0) done()
      })
    }
  }

  status(): SyncerStatus {
    return {
      peers: [...this.#peers.values()].map((peer) => this.#peerStatus(peer)),
      shards: [...this.#shards.values()].map(({ index, link }) => ({
        index,
        state: link.state,
        error: link.lastError,
        bufferedBytes: link.bufferedBytes,
      })),
    }
  }

  onShardUp(link: ShardLink): void {
    for (const peer of this.#peers.values()) this.#pair(link, peer)
  }

  onShardDown(link: ShardLink): void {
    this.#unpair((pair) => pair.options.localShard === link.index, `shard ${link.index} is not reachable`)
    for (const peer of this.#peers.values()) peer.release(link.index)
  }

  onShardDrain(link: ShardLink): void {
    for (const peer of this.#peers.values()) peer.release(link.index)
  }

  onPeerUp(link: PeerLink): void {
    for (const shard of this.#shards.values()) this.#pair(shard, link)
  }

  onPeerDown(link: PeerLink): void {
    const { clusterId } = link.member
    this.#unpair((pair) => pair.options.peer === clusterId, `cluster ${clusterId} is not reachable`)
  }

  onPeerRefused(link: PeerLink, list: unknown): void {
    this.#ports.onPeerRefused?.(link.member.clusterId, list)
  }

  /** Asks the agent of a peer; null: the peer is not reachable. */
  ask(peer: number, question: unknown, answered: (answer: unknown) => void): void {
    const link = this.#peers.get(peer)
    if (link === undefined) answered(null)
    else link.ask(question, answered)
  }

  onPeerOffset(link: PeerLink, { offsetMs, delayMs }: ClockOffset): void {
    this.#ports.onPeerOffset(link.member.clusterId, offsetMs, delayMs)
  }

  #helloOf({ database }: SyncerConfig): Hello {
    const { guid, clusterId, clusterName, epoch = 1, members } = database
    const member = members.find((candidate) => candidate.clusterId === clusterId)?.instance
    const hello = {
      guid,
      clusterId,
      clusterName,
      instance: this.#instance,
      epoch,
      compressions: [compressionName],
    }
    return { role: 'syncer', syncVersion, ...hello, ...(member === undefined ? {} : { member }) }
  }

  #addShard(address: ShardAddress): void {
    const { reconnectMinMs, reconnectMaxMs, linkDownMs } = this.#config.timings
    const link = new ShardLink(
      { address, hello: this.#hello, reconnectMinMs, reconnectMaxMs, greetingMs: linkDownMs },
      this.#ports,
      this,
    )
    this.#shards.set(address.index, link)
    link.link.dial()
  }

  #addPeer(member: MemberConfig): void {
    const { database, tls, timings } = this.#config
    const peer = new PeerLink(
      {
        member,
        guid: database.guid,
        sharding: database.sharding,
        hello: this.#hello,
        identity: tls,
        timings,
      },
      this.#ports,
      this,
    )
    this.#peers.set(member.clusterId, peer)
    peer.link.dial()
  }

  #pair(shard: ShardLink, peer: PeerLink): void {
    if (shard.shard === null || !peer.link.isUp) return
    const { reconnectMinMs, reconnectMaxMs } = this.#config.timings
    for (const pairing of pairings([shard.shard], peer.shards)) {
      const pair = new ChannelPair(
        {
          ...pairing,
          ownCluster: this.#config.database.clusterId,
          peer: peer.member.clusterId,
          reconnectMinMs,
          reconnectMaxMs,
        },
        shard.channels,
        peer.channels,
        this.#ports,
        (toPeer) => this.#checkBuffers(shard, peer, toPeer),
      )
      this.#pairs.add(pair)
      pair.start()
    }
  }

  #unpair(concerns: (pair: ChannelPair) => boolean, reason: string): void {
    for (const pair of this.#pairs) {
      if (!concerns(pair)) continue
      this.#pairs.delete(pair)
      pair.stop(reason)
    }
  }

  #checkBuffers(shard: ShardLink, peer: PeerLink, toPeer: boolean): void {
    const { peerOutgoingBytesMax, shardOutgoingBytesMax } = this.#limits
    if (toPeer) {
      if (peer.link.bufferedBytes > peerOutgoingBytesMax) peer.link.break('it does not read')
    } else if (shard.link.bufferedBytes > shardOutgoingBytesMax) peer.hold(shard.index)
  }

  #peerStatus({ member, link, offsets }: PeerLink): PeerStatus {
    const pairs = [...this.#pairs].filter((pair) => pair.options.peer === member.clusterId)
    const best = offsets.best
    return {
      clusterId: member.clusterId,
      name: member.name,
      state: link.state,
      error: link.lastError,
      offsetMs: best?.offsetMs ?? null,
      delayMs: best?.delayMs ?? null,
      channels: pairs.length,
      openChannels: pairs.filter((pair) => pair.isOpen).length,
      received: link.received,
      sent: link.sent,
    }
  }
}

/** Those that are asked for their operations, and only what a link to them depends on. */
const peersOf = ({ database }: SyncerConfig): MemberConfig[] =>
  database.members
    .filter(({ clusterId, state, forced }) => {
      return clusterId !== database.clusterId && state !== 'removed' && forced !== true
    })
    .map(({ clusterId, name, host, port }) => ({ clusterId, name, host, port }))

const identityOf = ({ database: { guid, sharding, clusterId, clusterName } }: SyncerConfig) => ({
  guid,
  sharding,
  clusterId,
  clusterName,
})

const shardKey = (address: ShardAddress): number => address.index
const peerKey = (member: MemberConfig): number => member.clusterId

const byKey = <T>(items: readonly T[], keyOf: (item: T) => number): Map<number, T> =>
  new Map(items.map((item) => [keyOf(item), item]))

/** Configurations are plain data that comes from one writer, so equal ones read equal. */
const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

function replaceChanged<T>(
  links: Map<number, ShardLink | PeerLink>,
  old: ReadonlyMap<number, T>,
  next: ReadonlyMap<number, T>,
  mayKeep: boolean,
  add: (item: T) => void,
): void {
  for (const [key, { link }] of links) {
    if (mayKeep && isSame(old.get(key), next.get(key))) continue
    links.delete(key)
    link.close()
  }
  for (const [key, item] of next) if (!links.has(key)) add(item)
}
