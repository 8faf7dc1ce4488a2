/**
 * A replica that takes snapshots while it works, slot by slot and in parts, and now and then starts again from the last one
 * and what it has logged since: what `server/log` and `server/localState.ts` do with files.
 */
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { HashState } from '#server/crdt/hash.ts'
import type { HllState } from '#server/crdt/hll.ts'
import { readScore } from '#server/crdt/scoreCodec.ts'
import type { SortedSetState } from '#server/crdt/sortedSet.ts'
import { readField, writeStrnum } from '#server/crdt/strnumCodec.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import { decodeSlot } from '#server/store/slotState.ts'
import { SeededRandom } from '#test/seed.ts'
import { PartwiseKeyspace } from '#test/store/partwiseKeyspace.ts'
import { patchWhatShows } from './patchFaults.ts'
import { type Production, production, Replica, type Shipment, type SlotCut } from './replica.ts'

type Logged = { shipment: Shipment } | { cut: SlotCut }

interface Part {
  slot: number
  label: VersionVector
  bytes: Uint8Array
}

/** Where in the log it began, and what it holds. */
interface Snapshot {
  from: number
  parts: Part[]
}

/** What a wrong snapshot does otherwise. */
export interface SnapshotFaults {
  /** Labels a slot with what it has after its last part. */
  labelAtEnd?: boolean
  /** Begins the log where the last slot has been cut. */
  logFromEnd?: boolean
  /** Leaves out what comes after the first part of a slot. */
  firstPartOnly?: boolean
  replays?: 'none' | 'operationsOnly'
  /** Where they don't find their base, too. */
  patchesWhatShows?: boolean
}

export function restartingProduction(seed: number, faults: SnapshotFaults = {}): Production {
  const random = new SeededRandom(seed)

  class RestartingReplica extends Replica {
    readonly #made: Production
    readonly #logged: Logged[] = []
    #snapshot: Snapshot = { from: 0, parts: [] }
    #next: Snapshot | null = null
    #slots: number[] = []
    #position: SlotPosition = 0
    #label: VersionVector
    #heldUp = false
    /** Residues were dropped: only what shows can be compared. */
    #forgotAt = -1

    constructor(...of: ConstructorParameters<typeof Replica>) {
      super(...of)
      this.#made = of[2]
      this.#label = this.seen(0)
    }

    override commit(nowMs: number, commands: () => void): Shipment | undefined {
      const shipment = super.commit(nowMs, commands)
      if (shipment !== undefined) this.#logged.push({ shipment })
      this.#goOn()
      return shipment
    }

    protected override apply(shipment: Shipment): void {
      super.apply(shipment)
      this.#logged.push({ shipment })
      this.#goOn()
    }

    override merge(cut: SlotCut, log: readonly Shipment[]): void {
      this.#logged.push({ cut })
      super.merge(cut, log)
      this.#goOn()
    }

    override forget(): number {
      // A cut holds it up once, not for ever.
      while (this.#heldUp && this.#position !== 0) this.#cut()
      this.#heldUp = false
      this.#forgotAt = this.#logged.length
      return super.forget()
    }

    protected override mayForget(slot: number): boolean {
      if (this.#position === 0 || slot !== this.#slots[0]) return true
      this.#heldUp = true
      return false
    }

    #goOn(): void {
      if (random.chance(0.7)) this.#cut()
      if (random.chance(0.1)) this.#restart()
    }

    #cut(): void {
      const { vectors } = this.keyspace
      if (this.#next === null) {
        this.#next = { from: this.#logged.length, parts: [] }
        this.#slots = []
        for (let slot = vectors.firstOccupied(0, 16383); slot >= 0; ) {
          this.#slots.push(slot)
          slot = vectors.firstOccupied(slot + 1, 16383)
        }
        return
      }
      const [slot] = this.#slots
      if (slot === undefined) {
        if (faults.logFromEnd) this.#next.from = this.#logged.length
        this.#snapshot = this.#next
        this.#next = null
        return
      }
      if (this.#position === 0) this.#label = this.seen(slot)
      const writer = new ByteWriter()
      const isFirst = this.#position === 0
      this.#position = this.keyspace.encodeSlotPart(slot, this.#position, 1, writer)
      if (isFirst || !faults.firstPartOnly)
        this.#next.parts.push({ slot, label: this.#label, bytes: writer.take() })
      if (this.#position !== 0) return
      this.#slots.shift()
      if (!faults.labelAtEnd) return
      for (const part of this.#next.parts) if (part.slot === slot) part.label = this.seen(slot)
    }

    #restart(): void {
      const { from, parts } = this.#snapshot
      const { origin, keyspace } = this
      const patchedBytesMin = this.#made.patchedBytesMin(origin)
      const fresh = new this.#made.Keyspace({ origin, ranges: keyspace.ranges, patchedBytesMin })
      fresh.nowMs = this.keyspace.nowMs
      for (const { slot, label, bytes } of parts) fresh.loadSlotPart(slot, label, bytes, 0, bytes.length)
      const restore = faults.patchesWhatShows ? patchWhatShows() : () => {}
      try {
        for (const entry of this.#logged.slice(from)) replay(fresh, entry)
      } finally {
        restore()
      }
      this.#compare(fresh, this.#forgotAt < from)
      this.keyspace = fresh
      this.write = new this.#made.Transaction(fresh, this.clock)
      this.#next = null
      this.#position = 0
    }

    #compare(fresh: Keyspace, withResidues: boolean): void {
      const { keyspace } = this
      for (let slot = 0; slot >= 0; slot = keyspace.vectors.firstOccupied(slot + 1, 16383)) {
        const texts = (db: Keyspace) => [
          db.vectors.of(slot).join(),
          db.slotDigest(slot),
          withResidues ? wholeSlot(db, slot) : '',
        ]
        const [lived, loaded] = [texts(keyspace), texts(fresh)]
        if (lived.join() !== loaded.join())
          throw new Error(
            `slot ${slot} after a start:\n  ${loaded.join('\n  ')}\n  before it:\n  ${lived.join('\n  ')}`,
          )
      }
      const counts = (db: Keyspace) => `${db.size} keys, ${db.expiring} with a TTL`
      if (counts(keyspace) !== counts(fresh))
        throw new Error(`${counts(fresh)} after a start, ${counts(keyspace)} before`)
    }
  }

  function replay(db: Keyspace, entry: Logged): void {
    if (faults.replays === 'none') return
    if ('shipment' in entry) {
      const { parts, bytes } = entry.shipment
      for (const part of parts) if (!db.vectors.covers(part.slot, part.last)) db.apply(part, bytes)
    } else if (faults.replays !== 'operationsOnly') {
      const { slot, label, bytes } = entry.cut
      db.mergeSlot(slot, label, bytes, 0, bytes.length)
    }
  }

  return { ...production, Keyspace: PartwiseKeyspace, Replica: RestartingReplica }
}

/** Everything in the slot, in an order that doesn't depend on how it came there. */
function wholeSlot(db: Keyspace, slot: number): string {
  const writer = new ByteWriter()
  db.encodeSlot(slot, writer)
  const { keys } = decodeSlot(new ByteReader(writer.bytes, 0, writer.length), slot)
  const texts = [...keys].map(([name, { full, text, expireAtMs, stamp }]) => {
    if (full === undefined) return JSON.stringify([name, text, String(expireAtMs), stamp])
    const { string, hash, set, zset, list, hll, ttl } = full
    const members: string[] = []
    set?.digest((member, dots) => members.push(`${member} ${dots.join()}`))
    const elements: string[] = []
    list?.digest((id, siblings) =>
      elements.push(`${id} ${siblings.map(({ stamp, text: value }) => `${stamp} ${value}`)}`),
    )
    const fields = hash === undefined ? [] : elementsOf(hash, skipField)
    const scores = zset === undefined ? [] : elementsOf(zset, skipScore)
    const ttls = ttl.map((write) => `${write.stamp} ${write.expireAtMs}`)
    return JSON.stringify([
      name,
      string === undefined ? '' : encoded((to) => writeStrnum(to, string)),
      fields,
      members.sort(),
      scores,
      elements,
      hll === undefined ? '' : registersOf(hll),
      ttls,
    ])
  })
  return texts.sort().join('\n')
}

function registersOf({ payload, greatest, deletes }: HllState): unknown {
  const ranks: number[] = []
  payload?.eachRank((index, rank) => ranks.push(index, rank))
  return [payload === undefined, ranks, greatest, [...deletes].sort()]
}

function encoded(write: (writer: ByteWriter) => void): string {
  const writer = new ByteWriter()
  write(writer)
  return latin1(writer.bytes, 0, writer.length)
}

const nothing = (): void => {}
const skipField = (reader: ByteReader): void => readField(reader, nothing, nothing)
const skipScore = (reader: ByteReader): void => readScore(reader, nothing, nothing)

function elementsOf(state: HashState | SortedSetState, skipContent: (reader: ByteReader) => void): string[] {
  const writer = new ByteWriter()
  state.encode(writer)
  const reader = new ByteReader(writer.bytes, 0, writer.length)
  const elements: string[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const start = reader.at
    reader.text()
    skipContent(reader)
    elements.push(latin1(writer.bytes, start, reader.at))
  }
  return elements.sort()
}
