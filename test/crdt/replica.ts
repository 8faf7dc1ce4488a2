/**
 * One replica of the random network: the production keyspace and transaction, and around them the least that delivers
 * records causally and tells who has applied what (the real thing is `server/sync`).
 */

import { slotCount } from '#protocol/slots/crc16.ts'
import { type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { type Origin, originsMax, type Stamp, StampClock } from '#protocol/sync/stamp.ts'
import { emptyVector, raiseTo, type VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readEffects } from '#server/crdt/effectReading.ts'
import { EffectWriter } from '#server/crdt/effectWriter.ts'
import { Keyspace, type KeyspaceOptions } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'

/** What a replica is made of; a planted fault comes as a subclass, or as another way to deliver. */
export interface Production {
  Keyspace: new (options: KeyspaceOptions) => Keyspace
  Transaction: new (keyspace: Keyspace, clock: StampClock) => Transaction
  Replica: new (origin: Origin, members: readonly Origin[], made: Production) => Replica
  /** From which length on the cluster takes a text for a long one (`server/store/textIntents.ts`). */
  patchedBytesMin(origin: Origin): number
}

/** A record on its way; its parts' heads are read once. */
export class Shipment {
  readonly bytes: Uint8Array
  readonly origin: Origin
  readonly parts: RecordPart[] = []

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    const reader = new RecordReader()
    reader.read(bytes, 0, bytes.length)
    for (let at = 0; at < reader.partCount; at++) this.parts.push(reader.parts[at] as RecordPart)
    this.origin = (this.parts[0] as RecordPart).origin
  }
}

export interface Heartbeat {
  origin: Origin
  /** The sender's last stamp in each slot it has written: these must be applied before the rest counts (rule A7). */
  lasts: Map<number, Stamp>
  /** Per origin: everything up to here is applied at the sender, in all slots. */
  applied: VersionVector
}

export interface SlotCut {
  slot: number
  label: VersionVector
  bytes: Uint8Array
}

export class Replica {
  readonly origin: Origin
  keyspace: Keyspace
  readonly clock: StampClock
  write: Transaction
  /** Everything applied, in order; what another may be sent. */
  readonly log: Shipment[] = []
  readonly members: readonly Origin[]
  /** Milliseconds that its clock is off by. */
  skewMs = 0
  #held: Shipment[] = []
  #heartbeats: Heartbeat[] = []
  readonly #lasts: Map<number, Stamp> = new Map()
  readonly #applied: VersionVector = emptyVector()
  /** What each member is known to have applied. */
  #sweeps = 0
  readonly #known: VersionVector[] = Array.from({ length: originsMax }, emptyVector)

  constructor(origin: Origin, members: readonly Origin[], made: Production) {
    this.origin = origin
    this.members = members
    const ranges = [{ first: 0, last: slotCount - 1 }]
    this.keyspace = new made.Keyspace({ origin, ranges, patchedBytesMin: made.patchedBytesMin(origin) })
    this.clock = new StampClock(origin)
    this.write = new made.Transaction(this.keyspace, this.clock)
  }

  seen(slot: number): VersionVector {
    return this.keyspace.vectors.of(slot).slice()
  }

  /** Runs `commands` as one transaction. */
  commit(nowMs: number, commands: () => void): Shipment | undefined {
    const writer = new ByteWriter()
    this.write.begin(nowMs)
    commands()
    if (!this.write.finish(writer)) return undefined
    const shipment = new Shipment(writer.take())
    this.log.push(shipment)
    for (const part of shipment.parts) this.#lasts.set(part.slot, part.last)
    return shipment
  }

  // ---- delivery

  isKnown(shipment: Shipment): boolean {
    return shipment.parts.every((part) => this.hasPart(part))
  }

  isReady(shipment: Shipment): boolean {
    return (
      shipment.parts.every((part) => this.hasPart(part) || this.isPartReady(part)) &&
      this.slotsLacking(shipment).length === 0
    )
  }

  /** Slots of parts that may be delivered and patch what isn't there: only states of these help. */
  protected slotsLacking(shipment: Shipment): number[] {
    return shipment.parts
      .filter(
        (part) =>
          !this.hasPart(part) && this.isPartReady(part) && this.keyspace.lacksBase(part, shipment.bytes),
      )
      .map((part) => part.slot)
  }

  /** What is held for want of what it patches. */
  lacking(): { shipment: Shipment; slots: number[] }[] {
    return this.#held
      .map((shipment) => ({ shipment, slots: this.slotsLacking(shipment) }))
      .filter(({ slots }) => slots.length > 0)
  }

  protected isPartReady(part: RecordPart): boolean {
    const { vectors } = this.keyspace
    if (part.previous > vectors.get(part.slot, part.origin)) return false
    return part.context.every((stamp, o) => o === part.origin || stamp <= vectors.get(part.slot, o))
  }

  protected hasPart(part: RecordPart): boolean {
    return part.last <= this.keyspace.vectors.get(part.slot, part.origin)
  }

  receive(shipment: Shipment): void {
    if (this.isKnown(shipment)) return
    if (!this.isReady(shipment)) {
      if (!this.#held.includes(shipment)) this.#held.push(shipment)
      return
    }
    this.apply(shipment)
    this.#release()
  }

  /** Parts that a slot state has brought already are left out (rule A17). */
  protected apply(shipment: Shipment): void {
    for (const part of shipment.parts) if (!this.hasPart(part)) this.keyspace.apply(part, shipment.bytes)
    this.log.push(shipment)
  }

  /** Whatever has become ready. */
  #release(): void {
    for (let again = true; again; ) {
      again = false
      this.#held = this.#held.filter((shipment) => !this.isKnown(shipment))
      const ready = this.#held.find((shipment) => this.isReady(shipment))
      if (ready === undefined) break
      this.#held = this.#held.filter((shipment) => shipment !== ready)
      this.apply(ready)
      again = true
    }
    this.#hear()
  }

  cut(slot: number): SlotCut {
    const writer = new ByteWriter()
    this.keyspace.encodeSlot(slot, writer)
    return { slot, label: this.seen(slot), bytes: writer.take() }
  }

  /** `log` is the source's: what the state stands for may be asked of this replica from now on. */
  merge(cut: SlotCut, log: readonly Shipment[]): void {
    this.take(cut)
    for (const shipment of log) {
      if (this.isKnown(shipment) && !this.log.includes(shipment)) this.log.push(shipment)
    }
    this.#release()
  }

  protected take(cut: SlotCut): void {
    this.keyspace.mergeSlot(cut.slot, cut.label, cut.bytes, 0, cut.bytes.length)
  }

  /** What is under way in the background comes to its end. */
  rest(): void {}

  // ---- acknowledgements

  heartbeat(): Heartbeat {
    const applied = this.#applied.slice()
    applied[this.origin] = this.clock.last
    return { origin: this.origin, lasts: new Map(this.#lasts), applied }
  }

  receiveHeartbeat(heartbeat: Heartbeat): void {
    this.#heartbeats.push(heartbeat)
    this.#hear()
  }

  /** One whose sender's operations aren't all applied waits. */
  #hear(): void {
    this.#heartbeats = this.#heartbeats.filter((heartbeat) => {
      const { origin, applied } = heartbeat
      if (!this.mayCount(heartbeat)) return true
      raiseTo(this.#known[origin] as VersionVector, applied)
      this.#applied[origin] = Math.max(this.#applied[origin] as number, applied[origin] as number)
      return false
    })
  }

  protected mayCount({ origin, lasts }: Heartbeat): boolean {
    return [...lasts].every(([slot, last]) => this.keyspace.vectors.get(slot, origin) >= last)
  }

  forget(): number {
    const acknowledged = {
      members: this.members,
      stamp: (member: number, origin: number) => (this.#known[member] as VersionVector)[origin] as number,
    }
    const slots = { changes: this.#sweeps++, inSlot: () => acknowledged }
    return this.keyspace.dropResidues(slots, (slot) => this.mayForget(slot))
  }

  protected mayForget(_slot: number): boolean {
    return true
  }
}

export const production: Production = { Keyspace, Transaction, Replica, patchedBytesMin: () => 0 }

/** Applying what was applied must change nothing: effects are idempotent, whatever keeps duplicates away. */
export function reencoded(shipment: Shipment): boolean {
  return shipment.parts.every((part) => {
    const writer = new EffectWriter()
    readEffects(shipment.bytes, part.effectsStart, part.effectsEnd, part.first, part.last, writer)
    const again = new ByteWriter()
    writer.writeTo(again)
    const source = new ByteReader(shipment.bytes, part.effectsStart, part.effectsEnd)
    return source
      .raw(part.effectsEnd - part.effectsStart)
      .every((byte, at) => at < again.length && byte === again.bytes[at])
  })
}
