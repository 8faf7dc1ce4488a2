/**
 * Looks at every shard after everything that happens to it, and knows every operation that was ever issued. At each step:
 *
 * - no stamp is issued twice, or below one that its shard issued before, over all its lives;
 * - what a shard logs of another cluster is, byte for byte, what that cluster issued;
 * - a version vector names operations that exist, and with each the whole past of it;
 * - a shard that comes back knows everything of its own that others know, unless it says that it has lost its data.
 */
import { RecordKind, type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { Shard } from '#server/shard.ts'
import type { SimShard, World, WorldWatch } from './world.ts'

interface Issued {
  context: number[]
  /** Everything but what the reader of a part can't see otherwise. */
  effects: string
}

const nameOf = (slot: number, stamp: Stamp): string => `${slot}/${stamp}`

export class Observer implements WorldWatch {
  readonly #world: World
  readonly #reader = new RecordReader()
  readonly #issued = new Map<string, Issued>()
  readonly #lastIssued = new Map<SimShard, Stamp>()
  /** Greatest stamp of an origin in a slot that a shard of another cluster ever had. */
  readonly #known = new Map<string, Stamp>()
  /** Log position up to which a shard has been looked at. */
  readonly #seen = new Map<Shard, number>()
  /** Slots with operations. */
  readonly slots = new Set<number>()
  parts = 0

  constructor(world: World) {
    this.#world = world
  }

  onShardOpened(of: SimShard, shard: Shard): void {
    this.#seen.set(shard, shard.log.end)
    const origin = originOfCluster(of.cluster.clusterId)
    for (const slot of this.slots) {
      if (!owns(of, slot)) continue
      this.#checkVector(of, shard, slot)
      if (shard.replication.stale) continue
      const known = this.#known.get(`${slot}/${origin}`) ?? 0
      const own = shard.db.vectors.get(slot, origin)
      if (own < known)
        this.#world.fail(`shard ${of.name} forgot ${known} of slot ${slot}, which others know; it has ${own}`)
    }
  }

  onShardRan(of: SimShard, shard: Shard): void {
    const { backlog } = shard.log
    const seen = this.#seen.get(shard) ?? 0
    if (backlog.end === seen) return
    this.#seen.set(shard, backlog.end)
    const touched = new Set<number>()
    backlog.walk(Math.max(seen, backlog.start), backlog.end, (bytes, start, end) => {
      this.#look(of, bytes, start, end, touched)
      return true
    })
    for (const slot of touched) this.#checkVector(of, shard, slot)
  }

  /** The disk with everything the shard ever issued is gone; what nobody else has may be issued again. */
  onWiped(of: SimShard): void {
    const origin = originOfCluster(of.cluster.clusterId)
    let greatest = 0
    for (const slot of this.slots) {
      if (owns(of, slot)) greatest = Math.max(greatest, this.#known.get(`${slot}/${origin}`) ?? 0)
    }
    this.#lastIssued.set(of, greatest)
  }

  #look(of: SimShard, bytes: Uint8Array, start: number, end: number, touched: Set<number>): void {
    const reader = this.#reader
    reader.read(bytes, start, end)
    if (reader.kind === RecordKind.slotState) {
      touched.add(reader.slot)
      for (let origin = 0; origin < originsMax; origin++) {
        this.#know(of, reader.slot, origin, reader.label[origin] as number)
      }
      return
    }
    for (let i = 0; i < reader.partCount; i++) {
      const part = reader.parts[i] as RecordPart
      touched.add(part.slot)
      this.#lookAtPart(of, part, bytes)
    }
  }

  #lookAtPart(of: SimShard, part: RecordPart, bytes: Uint8Array): void {
    this.parts++
    const { slot, origin, first, last } = part
    const effects = `${first} ${latin1(bytes, part.effectsStart, part.effectsEnd)}`
    const issued = this.#issued.get(nameOf(slot, last))
    if (origin !== originOfCluster(of.cluster.clusterId)) {
      if (issued?.effects !== effects)
        this.#world.fail(`shard ${of.name} has ${last} of slot ${slot} otherwise than it was issued`)
      this.#know(of, slot, origin, last)
      return
    }
    // Its own, come back from a peer.
    if (issued?.effects === effects && last <= (this.#known.get(`${slot}/${origin}`) ?? 0)) return
    const before = this.#lastIssued.get(of) ?? 0
    // Parts of one transaction in ascending order.
    if (first <= before)
      this.#world.fail(`shard ${of.name} issues stamp ${first}, but ${before} was issued before`)
    this.#lastIssued.set(of, last)
    this.slots.add(slot)
    this.#issued.set(nameOf(slot, last), { context: [...part.context], effects })
  }

  #know(of: SimShard, slot: number, origin: number, stamp: Stamp): void {
    if (origin === originOfCluster(of.cluster.clusterId)) return
    const name = `${slot}/${origin}`
    if (stamp > (this.#known.get(name) ?? 0)) this.#known.set(name, stamp)
  }

  /** Every entry is an operation, and what that had seen is covered, too. */
  #checkVector(of: SimShard, shard: Shard, slot: number): void {
    const vector = shard.db.vectors.of(slot)
    for (let origin = 0; origin < originsMax; origin++) {
      const stamp = vector[origin] as number
      if (stamp === 0) continue
      const issued = this.#issued.get(nameOf(slot, stamp))
      if (issued === undefined)
        this.#world.fail(`vector of slot ${slot} at shard ${of.name} names ${stamp}, which is none`)
      for (const [o, seen] of issued.context.entries()) {
        if (seen > (vector[o] as number))
          this.#world.fail(
            `shard ${of.name} has ${stamp} of slot ${slot} without ${seen}, which that had seen`,
          )
      }
    }
  }
}

const owns = (of: SimShard, slot: number): boolean =>
  of.address.ranges.some(({ first, last }) => slot >= first && slot <= last)
