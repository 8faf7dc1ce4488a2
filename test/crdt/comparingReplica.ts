/**
 * A replica whose slots are compared before they are cut, both while they change, and that takes what differs: what `server/sync/slotCuts.ts`,
 * `server/sync/arrivals.ts` and `server/frozenSlotState.ts` do with messages.
 */
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { portioningOf } from '#server/portioning.ts'
import { Absences } from '#server/store/absences.ts'
import type { FrozenSlot } from '#server/store/frozenSlot.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { SlotComparison } from '#server/store/slotComparison.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import { SeededRandom } from '#test/seed.ts'
import { PartwiseKeyspace } from '#test/store/partwiseKeyspace.ts'
import { FollowingReplica, replayInto } from './followingReplica.ts'
import { type Production, production, type Replica, type Shipment, type SlotCut } from './replica.ts'

/** What a wrong comparison does otherwise. */
export interface ComparingFaults {
  /** What the peer does not have stays: of a portion that differs, of what was made since, or of either. */
  ignoresAbsent?: 'sent' | 'made' | 'all'
  /** The label is that of the end of the comparison. */
  lateLabel?: boolean
  /** The slot is staged although it was changed as a whole. */
  ignoresLoss?: boolean
  /** Keys that are used are not kept as they were. */
  keepsNothing?: boolean
  /** Operations that come while the slot is compared are not sent. */
  dropsTail?: boolean
}

/** How far two replicas are with one slot. */
interface Comparison extends SlotCut {
  from: ComparingReplica
  to: ComparingReplica
  staged: Keyspace
  frozen: FrozenSlot
  portioning: { bits: number; key: Uint8Array }
  comparison: SlotComparison | null
  isStaged: boolean
  position: SlotPosition | null
  tail: Shipment[]
  isDone: boolean
}

export interface ComparingReplica extends Replica {
  readonly outgoing: Set<Comparison>
  readonly incoming: Set<Comparison>
}

export function comparingProduction(seed: number, faults: ComparingFaults = {}): Production {
  const random = new SeededRandom(seed)

  class Comparing extends FollowingReplica implements ComparingReplica {
    readonly outgoing = new Set<Comparison>()
    readonly incoming = new Set<Comparison>()
    /** Nothing else goes on any more. */
    #rests = false

    protected override follow(shipment: Shipment): void {
      for (const of of this.outgoing)
        if (
          of.comparison !== null &&
          !faults.dropsTail &&
          shipment.parts.some(({ slot }) => slot === of.slot)
        )
          of.tail.push(shipment)
      for (const of of [...this.outgoing, ...this.incoming]) if (random.chance(0.5)) advance(of)
      if (random.chance(0.3)) this.keyspace.joinMore()
    }

    /** Begins what `merge` ends; the label tells what is asked for. */
    override cut(slot: number): SlotCut {
      return { ...super.cut(slot), source: this } as SlotCut
    }

    protected override take(cut: SlotCut): void {
      const from = (cut as SlotCut & { source: Comparing }).source
      const busy = [...this.incoming].some(({ slot }) => slot === cut.slot)
      if (busy || from === this || from.keyspace.isJoining(cut.slot) || random.chance(0.2)) {
        this.#takeWhole(cut)
        return
      }
      const { slot } = cut
      const portioning = portioningOf(2 ** random.below(4), random, 1)
      const staged = this.newStaged(slot)
      const frozen = this.keyspace.freezeSlot(slot, portioning, () => staged)
      if (faults.keepsNothing) frozen.end()
      const of: Comparison = {
        ...cut,
        from,
        to: this,
        staged,
        frozen,
        portioning,
        comparison: null,
        isStaged: false,
        position: 0,
        tail: [],
        isDone: false,
      }
      from.outgoing.add(of)
      this.incoming.add(of)
      // Mostly it goes on while both work.
      if (this.#rests || random.chance(0.3)) while (!of.isDone) advance(of)
    }

    #takeWhole(cut: SlotCut): void {
      super.take(cut)
      for (const of of [...this.outgoing]) if (of.slot === cut.slot) giveUp(of)
    }

    merged(slot: number): void {
      for (const of of [...this.outgoing]) if (of.slot === slot) giveUp(of)
    }

    override rest(): void {
      this.#rests = true
      for (const of of [...this.incoming, ...this.outgoing]) while (!of.isDone) advance(of)
      while (this.keyspace.joinMore());
    }

    protected override mayForget(slot: number): boolean {
      // The source may until the taker has answered.
      const isIt = (of: Comparison) => of.slot === slot && (of.to === this || of.comparison !== null)
      return !this.keyspace.isJoining(slot) && ![...this.outgoing, ...this.incoming].some(isIt)
    }
  }

  function end(of: Comparison): void {
    of.isDone = true
    of.frozen.end()
    of.from.outgoing.delete(of)
    of.to.incoming.delete(of)
  }

  const giveUp = (of: Comparison) => end(of)

  function advance(of: Comparison): void {
    const { from, to, slot, frozen } = of
    if (of.isDone) return
    if (frozen.isVoid && !faults.ignoresLoss) {
      giveUp(of)
      return
    }
    if (frozen.digests === null) {
      frozen.step(1)
      return
    }
    if (of.comparison === null) {
      of.label = from.seen(slot)
      of.comparison = from.keyspace.compareSlot(slot, of.portioning, frozen.digests)
      return
    }
    if (of.comparison.differing === null) {
      of.comparison.step(1)
      return
    }
    if (!of.isStaged) {
      if (faults.lateLabel) of.label = from.seen(slot)
      frozen.differ(of.comparison.differing)
      of.staged.loadSlotPart(slot, of.label, new Uint8Array(0), 0, 0, true)
      of.isStaged = true
    }
    for (const shipment of of.tail.splice(0)) replayInto(of.staged, slot, shipment)
    if (of.position !== null) {
      const part = new ByteWriter()
      const next = of.comparison.encodePart(of.position, 1, part)
      of.staged.loadSlotPart(slot, of.label, part.bytes, 0, part.length, true)
      of.position = next === 0 ? null : next
      if (of.position !== null || random.chance(0.7)) return
    }
    const reached = from.seen(slot)
    if (faults.dropsTail) of.staged.loadSlotPart(slot, reached, new Uint8Array(0), 0, 0, true)
    join(of, to, reached)
  }

  function join(of: Comparison, to: ComparingReplica, reached: VersionVector): void {
    if (of.frozen.isVoid && !faults.ignoresLoss) {
      giveUp(of)
      return
    }
    end(of)
    const writer = new ByteWriter()
    of.frozen.absences.encode(writer)
    const absences = wrong(Absences.decode(new ByteReader(writer.bytes, 0, writer.length)), faults)
    if (!to.keyspace.joinStaged(of.staged, of.slot, reached, absences)) return
    ;(to as unknown as { merged(slot: number): void }).merged(of.slot)
    for (const shipment of of.from.log)
      if (to.isKnown(shipment) && !to.log.includes(shipment)) to.log.push(shipment)
  }

  return { ...production, Keyspace: PartwiseKeyspace, Replica: Comparing }
}

function wrong(absences: Absences, { ignoresAbsent }: ComparingFaults): Absences {
  const { differing, made } = absences
  if (ignoresAbsent === 'all' || ignoresAbsent === 'sent') differing.bits.fill(0)
  return ignoresAbsent === 'all' || ignoresAbsent === 'made'
    ? new Absences(differing, new Set())
    : new Absences(differing, made)
}
