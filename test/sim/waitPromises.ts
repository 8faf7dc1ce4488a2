/**
 * What CRDT.WAIT has told clients: that so many other clusters had applied all that the connection had written. Clusters are looked
 * into when the answer arrives, and again whenever one of their shards comes back: what was counted must have been durable there.
 * Excused is who has lost its disk since.
 */
import { originOfCluster, type Stamp } from '#protocol/sync/stamp.ts'
import type { Shard } from '#server/shard.ts'
import type { SimClient } from './simClient.ts'
import type { SimCluster, SimShard, World } from './world.ts'

/** Where an operation stands in the history. */
export interface Place {
  slot: number
  origin: number
  stamp: Stamp
  /** A power cut took it before anybody else had it; later stamps are those of other operations. */
  lost?: boolean
}

interface Promised {
  count: number
  places: readonly Place[]
  /** Clusters that may be among those counted. */
  holders: Set<SimCluster>
  atMs: number
}

interface Writes {
  /** Which of its connections it was. */
  connection: number
  tokens: string[]
}

export class WaitPromises {
  readonly #world: World
  readonly #places = new Map<string, Place>()
  readonly #writes = new Map<SimClient, Writes>()
  readonly #promised: Promised[] = []
  /** Answers that promised something, and those that told of none. */
  kept = 0
  empty = 0
  refused = 0

  constructor(world: World) {
    this.#world = world
  }

  /** The operation that brings the token has been issued. */
  onIssued(token: string, place: Place): void {
    this.#places.set(token, place)
  }

  /** The client was told that what brings the token was done, on the connection on which it asked for it. */
  onWritten(client: SimClient, connection: number, token: string): void {
    const writes = this.#writes.get(client)
    if (writes?.connection === connection) writes.tokens.push(token)
    else this.#writes.set(client, { connection, tokens: [token] })
  }

  /** It was told that writes of its may be lost. */
  onRefused(client: SimClient): void {
    this.#writes.delete(client)
    this.refused++
  }

  /** An answer to a CRDT.WAIT that was sent on that connection. */
  onWaited(client: SimClient, connection: number, count: number): void {
    const writes = this.#writes.get(client)
    if (writes?.connection !== connection || count === 0) {
      this.empty++
      return
    }
    const places = writes.tokens.map((token) => this.#placeOf(token))
    const { clusters, departed } = this.#world
    const others = clusters.filter((cluster) => cluster !== client.cluster)
    const holders = new Set(others.filter((cluster) => places.every((place) => mayHave(cluster, place))))
    // Who learns late that a member goes counts it as long, and nobody can ask it any more.
    for (const cluster of departed) holders.add(cluster)
    const promised = { count, places, holders, atMs: this.#world.events.nowMs }
    this.#promised.push(promised)
    this.kept++
    this.#check(promised)
  }

  onShardOpened(of: SimShard, shard: Shard): void {
    if (shard.replication.stale) return
    const own = originOfCluster(of.cluster.clusterId)
    for (const place of this.#places.values()) {
      const { slot, origin, stamp } = place
      if (origin === own && of.owns(slot) && shard.db.vectors.get(slot, origin) < stamp) place.lost = true
    }
    for (const promised of this.#promised) {
      const lacks = ({ slot, origin, stamp }: Place): boolean =>
        of.owns(slot) && shard.db.vectors.get(slot, origin) < stamp
      if (this.#world.departed.includes(of.cluster)) continue
      if (!promised.holders.has(of.cluster) || !promised.places.some(lacks)) continue
      promised.holders.delete(of.cluster)
      this.#check(promised)
    }
  }

  /** Nothing that it promised with others can be asked of it any more. */
  onWiped(of: SimShard): void {
    for (const promised of this.#promised) {
      if (!promised.holders.delete(of.cluster)) continue
      promised.count--
    }
  }

  #placeOf(token: string): Place {
    const place = this.#places.get(token)
    if (place === undefined) this.#world.fail(`${token} was acknowledged and never issued`)
    return place
  }

  #check({ count, holders, places, atMs }: Promised): void {
    if (holders.size >= count) return
    const names = [...holders].map(({ clusterId }) => clusterId).join()
    const written = places.map(({ slot, stamp }) => `${slot}/${stamp}`).join(' ')
    this.#world.fail(
      `CRDT.WAIT told of ${count} clusters at ${atMs.toFixed(1)} ms, and only [${names}] may have ${written}`,
    )
  }
}

/** One whose shard is down, or is getting lost data back, is looked at when it has come back. */
function mayHave(cluster: SimCluster, { slot, origin, stamp, lost }: Place): boolean {
  if (lost === true) return false
  const shard = cluster.shards.find((one) => one.owns(slot))?.shard ?? null
  return shard === null || shard.replication.stale || shard.db.vectors.get(slot, origin) >= stamp
}
