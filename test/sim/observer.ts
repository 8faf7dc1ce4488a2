/**
 * Looks at every shard after everything that happens to it, and knows every operation that was ever issued. At each step:
 *
 * - no stamp is issued twice, or below one that its shard issued before, over all its lives (but for operations that never
 *   got as far as the disk: nobody has seen them);
 * - what a shard logs of another cluster is, byte for byte, what that cluster issued;
 * - an operation is applied when everything before it in its chain, and everything it had seen, has been;
 * - a version vector names operations that exist, and with each the whole past of it;
 * - a shard that comes back knows everything of its own that others know, unless it says that it has lost its data.
 */
import { RecordKind, type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { originOfCluster, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { Shard } from '#server/shard.ts'
import { WaitPromises } from './waitPromises.ts'
import { uniqueElement } from './workload.ts'
import type { SimShard, World, WorldWatch } from './world.ts'

/** What has happened in a run, to see that it was worth something. */
export class SyncCounts {
  applied = 0
  /** Slot states of which only what differed came. */
  statesCompared = 0
  duplicates = 0
  holds = 0
  overflows = 0
  mergedSlotStates = 0
  slotStatesAsked = 0
  operationsAsked = 0
  /** Those that were cut while their slot changed, and logged in several records. */
  statesInParts = 0
  peersLeftBehind = 0
  evictedKeys = 0

  add(shard: Shard): void {
    const { replication } = shard
    this.applied += replication.gate.applied
    this.duplicates += replication.gate.duplicates
    this.holds += replication.gate.holds
    this.overflows += replication.gate.overflows
    const { sync, memory } = shard.status()
    this.mergedSlotStates += sync.mergedSlotStates
    this.evictedKeys += memory.evictedKeys
    this.slotStatesAsked += replication.slotStatesAsked
    this.operationsAsked += replication.operationsAsked
    this.peersLeftBehind += replication.peersLeftBehind
  }
}

interface Issued {
  context: number[]
  /** Everything but what the reader of a part can't see otherwise. */
  effects: string
}

/** A shard's log as followed from outside. */
interface View {
  /** Position up to which it has been looked at. */
  position: number
  /** What the records and states so far add up to. */
  vectors: Map<number, Stamp[]>
  /** Issued, and not written to the disk yet: end of the record, last stamp. */
  unwritten: [position: number, stamp: Stamp][]
}

const nameOf = (slot: number, stamp: Stamp): string => `${slot}/${stamp}`

export class Observer implements WorldWatch {
  readonly #world: World
  readonly #reader = new RecordReader()
  readonly #issued = new Map<string, Issued>()
  readonly #lastIssued = new Map<SimShard, Stamp>()
  /** Greatest stamp of an origin in a slot that a shard of another cluster ever had. */
  readonly #known = new Map<string, Stamp>()
  /** The same at the time when the origin's disk was lost. */
  readonly #excused = new Map<string, Stamp>()
  readonly #views = new Map<Shard, View>()
  /** Of a record with several parts: all their names, by each. */
  readonly #together = new Map<string, readonly string[]>()
  /**
   * Those that have merged the state of a slot, or were given a record without a part that such a state is to bring: they may
   * have shown half a transaction for a while.
   */
  readonly torn = new Set<SimShard>()
  /** Slots with operations. */
  readonly slots = new Set<number>()
  readonly promises: WaitPromises
  /** Of the lives that have ended. */
  readonly counts = new SyncCounts()

  constructor(world: World) {
    this.#world = world
    this.promises = new WaitPromises(world)
  }

  onShardOpened(of: SimShard, shard: Shard): void {
    this.promises.onShardOpened(of, shard)
    const view: View = { position: shard.log.end, vectors: new Map(), unwritten: [] }
    this.#views.set(shard, view)
    const origin = originOfCluster(of.cluster.clusterId)
    for (const slot of this.slots) {
      if (!of.owns(slot)) continue
      view.vectors.set(slot, [...shard.db.vectors.of(slot)])
      this.#checkVector(of, shard, slot)
      if (shard.replication.stale) continue
      const name = `${slot}/${origin}`
      const known = this.#known.get(name) ?? 0
      const own = shard.db.vectors.get(slot, origin)
      // Who knew it before the disk was lost may have lost it, too.
      if (own < known && known > (this.#excused.get(name) ?? 0))
        this.#world.fail(`shard ${of.name} forgot ${known} of slot ${slot}, which others know; it has ${own}`)
    }
  }

  onShardRan(of: SimShard, shard: Shard): void {
    const { backlog } = shard.log
    const view = this.#views.get(shard)
    if (view === undefined) return
    if (view.position < backlog.start)
      this.#world.fail(`a turn of shard ${of.name} is larger than its backlog`)
    const touched = new Set<number>()
    backlog.walk(view.position, backlog.end, (bytes, start, end) => {
      view.position += end - start
      this.#look(of, view, bytes, start, end, touched)
      return true
    })
    this.#noteWritten(of, shard, view)
    for (const slot of touched) this.#checkVector(of, shard, slot)
    for (const slot of this.slots) if (of.owns(slot)) this.#compareVector(of, shard, view, slot)
  }

  onShardEnds(_: SimShard, shard: Shard): void {
    this.#views.delete(shard)
    this.counts.add(shard)
  }

  /** The disk with everything the shard ever issued is gone; what nobody else has may be issued again. */
  onWiped(of: SimShard): void {
    const origin = originOfCluster(of.cluster.clusterId)
    for (const slot of this.slots) {
      const name = `${slot}/${origin}`
      if (of.owns(slot)) this.#excused.set(name, this.#known.get(name) ?? 0)
    }
    this.#lastIssued.delete(of)
    this.promises.onWiped(of)
  }

  #look(of: SimShard, view: View, bytes: Uint8Array, start: number, end: number, touched: Set<number>): void {
    const reader = this.#reader
    reader.read(bytes, start, end)
    if (reader.kind === RecordKind.absences) this.counts.statesCompared++
    if (reader.kind === RecordKind.group || reader.kind === RecordKind.absences) return
    // Of a state in parts only the last makes it count.
    if (reader.kind === RecordKind.slotPart && !reader.isLast) return
    if (reader.kind === RecordKind.slotPart && !reader.isFirst) this.counts.statesInParts++
    if (reader.kind === RecordKind.slotState || reader.kind === RecordKind.slotPart) {
      this.torn.add(of)
      touched.add(reader.slot)
      const vector = this.#vectorOf(view, reader.slot)
      for (let origin = 0; origin < originsMax; origin++) {
        const stamp = reader.label[origin] as number
        if (stamp > (vector[origin] as number)) vector[origin] = stamp
        this.#know(of, reader.slot, origin, stamp)
      }
      return
    }
    this.#lookAtWhole(of, view)
    const before = this.#greatestIssued(of, view)
    for (let i = 0; i < reader.partCount; i++) {
      const part = reader.parts[i] as RecordPart
      touched.add(part.slot)
      this.#lookAtPart(of, view, part, bytes, before)
      this.#follow(of, view, part)
    }
  }

  /** The parts of one record stay together, but for those that are there already. */
  #lookAtWhole(of: SimShard, view: View): void {
    const parts = this.#reader.parts.slice(0, this.#reader.partCount)
    const names = parts.map(({ slot, last }) => nameOf(slot, last))
    const [first] = parts
    if (first === undefined) return
    const together = this.#together.get(nameOf(first.slot, first.last))
    if (together === undefined) {
      if (parts.length > 1) for (const name of names) this.#together.set(name, names)
      return
    }
    const missing = together.filter((name) => !names.includes(name))
    const isThere = (name: string): boolean => {
      const [slot, stamp] = name.split('/').map(Number) as [number, Stamp]
      return stamp <= (this.#vectorOf(view, slot)[first.origin] as number)
    }
    if (!missing.every(isThere)) this.torn.add(of)
  }

  #noteWritten(of: SimShard, shard: Shard, { unwritten }: View): void {
    while (unwritten.length > 0) {
      const [position, stamp] = unwritten[0] as [number, Stamp]
      if (position > shard.log.written) return
      unwritten.shift()
      this.#lastIssued.set(of, stamp)
    }
  }

  /** The first time that a slot is looked at it is taken as it is; `onShardOpened` has looked at its past. */
  #vectorOf(view: View, slot: number): Stamp[] {
    let vector = view.vectors.get(slot)
    if (vector === undefined) {
      vector = new Array<Stamp>(originsMax).fill(0)
      view.vectors.set(slot, vector)
    }
    return vector
  }

  /** Applying the part is the next step from what the shard had. */
  #follow(of: SimShard, view: View, { slot, origin, last, context }: RecordPart): void {
    const vector = this.#vectorOf(view, slot)
    if (last <= (vector[origin] as number)) return
    for (let o = 0; o < originsMax; o++) {
      if ((context[o] as number) > (vector[o] as number))
        this.#world.fail(
          `shard ${of.name} applies ${last} of slot ${slot} before ${context[o]}, on which it depends`,
        )
    }
    vector[origin] = last
  }

  /** `before` was the last stamp before the record, whose parts may take turns. */
  #lookAtPart(of: SimShard, view: View, part: RecordPart, bytes: Uint8Array, before: Stamp): void {
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
    if (first <= before)
      this.#world.fail(`shard ${of.name} issues stamp ${first}, but ${before} was issued before`)
    view.unwritten.push([view.position, Math.max(last, this.#greatestIssued(of, view))])
    this.slots.add(slot)
    this.#issued.set(nameOf(slot, last), { context: [...part.context], effects })
    const token = uniqueElement.exec(effects)?.[0]
    if (token !== undefined) this.promises.onIssued(token, { slot, origin, stamp: last })
  }

  #greatestIssued(of: SimShard, view: View): Stamp {
    return view.unwritten.at(-1)?.[1] ?? this.#lastIssued.get(of) ?? 0
  }

  #know(of: SimShard, slot: number, origin: number, stamp: Stamp): void {
    if (origin === originOfCluster(of.cluster.clusterId)) return
    const name = `${slot}/${origin}`
    if (stamp > (this.#known.get(name) ?? 0)) this.#known.set(name, stamp)
  }

  /** The vector claims what was logged, neither more nor less. */
  #compareVector(of: SimShard, shard: Shard, view: View, slot: number): void {
    const logged = this.#vectorOf(view, slot)
    for (let origin = 0; origin < originsMax; origin++) {
      const stamp = shard.db.vectors.get(slot, origin)
      if (stamp !== logged[origin])
        this.#world.fail(`vector of slot ${slot} at shard ${of.name} has ${stamp}, its log ${logged[origin]}`)
    }
  }

  /** Every entry is an operation, and what that had seen is covered. */
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
