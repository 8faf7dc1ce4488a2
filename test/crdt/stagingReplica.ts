/**
 * A replica whose slots are cut while they change, key by key, and are staged at the receiver with the tail of the log, and then
 * joined while commands go on there: what `server/sync/slotCuts.ts`, `server/sync/arrivals.ts` and `server/slotStaging.ts` do with messages.
 */
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import { SeededRandom } from '#test/seed.ts'
import { PartwiseKeyspace } from '#test/store/partwiseKeyspace.ts'
import { FollowingReplica, replayInto } from './followingReplica.ts'
import { type Production, production, type Shipment, type SlotCut } from './replica.ts'

/** A part of the slot's keys, or an operation of its tail. */
type Piece = { part: Uint8Array } | { shipment: Shipment }

interface RunningCut extends SlotCut {
  position: SlotPosition
  pieces: Piece[]
  /** What keys and tail add up to, when all keys are cut. */
  reached: VersionVector | null
  /** Cuts what is left. */
  finish(): void
}

/** What a wrong transfer does otherwise. */
export interface StagingFaults {
  /** Joins what the first part brings as if it was all. */
  vectorBeforeEnd?: boolean
  /** Joins keys that hold more than the label without the operations behind it, which come later: writes are admitted before them. */
  writesBeforeTail?: boolean
  /** The same under the vector that the tail would reach. */
  withoutTail?: boolean
  /** Takes keys that were cut before an operation behind it. */
  tailBeforeKeys?: boolean
  /** Goes on with a cut when the state of a third replica has been joined with the slot. */
  cutsThroughMerge?: boolean
  /** Forgets residues of a slot that is being cut [A6]. */
  forgetsWhileCutting?: boolean
}

export function stagingProduction(seed: number, faults: StagingFaults = {}): Production {
  const random = new SeededRandom(seed)

  class StagingReplica extends FollowingReplica {
    #cuts: RunningCut[] = []

    override cut(slot: number): SlotCut {
      const label = this.seen(slot)
      const finish = () => {
        while (cut.reached === null) this.#cutPart(cut)
      }
      const cut: RunningCut = {
        slot,
        label,
        bytes: new Uint8Array(0),
        position: 0,
        pieces: [],
        reached: null,
        finish,
      }
      this.#cuts.push(cut)
      this.#cutPart(cut)
      return cut
    }

    #cutPart(cut: RunningCut): void {
      if (cut.position === 0) cut.label = this.seen(cut.slot)
      const writer = new ByteWriter()
      cut.position = this.keyspace.encodeSlotPartForPeer(cut.slot, cut.position, 1, writer)
      cut.pieces.push({ part: writer.take() })
      if (cut.position !== 0) return
      cut.reached = this.seen(cut.slot)
      this.#cuts = this.#cuts.filter((other) => other !== cut)
    }

    /** The log goes on, and so do cuts and joins. */
    protected override follow(shipment: Shipment): void {
      for (const cut of this.#cuts)
        if (shipment.parts.some(({ slot }) => slot === cut.slot)) cut.pieces.push({ shipment })
      for (const cut of [...this.#cuts]) if (random.chance(0.4)) this.#cutPart(cut)
      if (random.chance(0.3)) this.keyspace.joinMore()
    }

    protected override take(cut: SlotCut): void {
      const running = cut as RunningCut
      if (!faults.vectorBeforeEnd && !faults.writesBeforeTail) running.finish()
      const { slot, label } = running
      const staged = this.newStaged(slot)
      for (const piece of this.#ordered(running)) {
        if ('part' in piece) staged.loadSlotPart(slot, label, piece.part, 0, piece.part.length, true)
        else if (!faults.withoutTail && !faults.writesBeforeTail) replayInto(staged, slot, piece.shipment)
      }
      const reached = faults.writesBeforeTail ? label : (running.reached ?? staged.vectors.of(slot).slice())
      this.keyspace.joinStaged(staged, slot, reached)
      this.#restartCuts(slot)
    }

    /** What has come will never be records here. */
    #restartCuts(slot: number): void {
      if (faults.cutsThroughMerge) return
      for (const running of this.#cuts.filter((cut) => cut.slot === slot)) {
        running.position = 0
        running.pieces = []
        this.#cutPart(running)
      }
    }

    #ordered({ pieces }: RunningCut): Piece[] {
      if (!faults.tailBeforeKeys) return pieces
      return [...pieces.filter((piece) => 'shipment' in piece), ...pieces.filter((piece) => 'part' in piece)]
    }

    override rest(): void {
      for (const cut of [...this.#cuts]) cut.finish()
      while (this.keyspace.joinMore());
    }

    protected override mayForget(slot: number): boolean {
      if (faults.forgetsWhileCutting) return true
      return !this.keyspace.isJoining(slot) && !this.#cuts.some((cut) => cut.slot === slot)
    }
  }

  return { ...production, Keyspace: PartwiseKeyspace, Replica: StagingReplica }
}
