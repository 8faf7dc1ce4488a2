/**
 * A shard reduced to what sync sees of it. The state of a slot is the set of the operations in it, so a test can ask at any
 * moment whether what the vector claims is there, and nothing else.
 */
import { expect } from 'vitest'
import {
  beginPart,
  beginRecord,
  endRecord,
  RecordKind,
  type RecordPart,
  RecordReader,
  slotsMax,
} from '#protocol/sync/record.ts'
import { type ClusterId, originOf, originOfCluster, type Stamp, StampClock } from '#protocol/sync/stamp.ts'
import {
  emptyVector,
  includes,
  raiseTo,
  SlotVectors,
  type VersionVector,
} from '#protocol/sync/versionVector.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Backlog } from '#server/log/backlog.ts'
import type { LocalLog, LocalShard } from '#server/sync/localShard.ts'

class ToyLog implements LocalLog {
  readonly backlog: Backlog
  shipping = false
  /** Held back by a test: undefined means that everything is durable at once. */
  heldAt: number | undefined

  constructor(bytesMax: number) {
    this.backlog = new Backlog(bytesMax)
  }

  get start(): number {
    return this.backlog.start
  }

  get end(): number {
    return this.backlog.end
  }

  get shippable(): number {
    return this.heldAt ?? this.backlog.end
  }

  floor(...of: Parameters<Backlog['floor']>): Stamp {
    return this.backlog.floor(...of)
  }

  firstPositionAbove(...of: Parameters<Backlog['firstPositionAbove']>): number {
    return this.backlog.firstPositionAbove(...of)
  }

  walk(...of: Parameters<Backlog['walk']>): number {
    return this.backlog.walk(...of)
  }
}

export interface ToyWrite {
  slot: number
  token?: string
  /** Instead of what the shard knows, to make a part that contradicts. */
  previous?: Stamp
  context?: VersionVector
}

export class ToyShard implements LocalShard {
  readonly clusterId: ClusterId
  readonly log: ToyLog
  readonly vectors = new SlotVectors(slotsMax)
  readonly clock: StampClock
  refusing = false
  /** Per slot: stamp of the last operation of a part -> token. */
  readonly slots = new Map<number, Map<Stamp, string>>()
  /** In the order in which they were applied. */
  readonly applied: string[] = []
  merges = 0
  wallMs = Date.UTC(2026, 0, 1)

  constructor(clusterId: ClusterId, backlogBytesMax = 1 << 20) {
    this.clusterId = clusterId
    this.clock = new StampClock(originOfCluster(clusterId))
    this.log = new ToyLog(backlogBytesMax)
  }

  get lastStamp(): Stamp {
    return this.clock.last
  }

  /** An operation of this shard, with one part a slot; returns the record. */
  write(...writes: ToyWrite[]): Uint8Array {
    const record = this.record(...writes)
    this.logRecord(record)
    return record
  }

  /** The record of an operation without its effect on this shard (but for the clock). */
  record(...writes: ToyWrite[]): Uint8Array {
    const writer = new ByteWriter()
    const start = beginRecord(writer, RecordKind.operations)
    for (const { slot, token, previous, context } of writes) {
      const stamp = this.clock.next(this.wallMs, this.vectors.greatest(slot))
      const effects = bytesOf(token ?? `${stamp}`)
      beginPart(
        writer,
        slot,
        stamp,
        stamp,
        previous ?? this.vectors.get(slot, originOf(stamp)),
        context ?? this.vectors.of(slot),
        effects.length,
      )
      writer.raw(effects)
    }
    endRecord(writer, start)
    return writer.take()
  }

  logRecord(record: Uint8Array): void {
    const reader = new RecordReader()
    reader.read(record, 0, record.length)
    this.apply(reader, record, 0, record.length)
  }

  check(part: RecordPart, bytes: Uint8Array): void {
    if (tokenOf(part, bytes).startsWith('!')) throw new FormatError('an effect that nobody understands')
  }

  apply(record: RecordReader, bytes: Uint8Array, start: number, end: number): void {
    const stamps = emptyVector()
    for (let i = 0; i < record.partCount; i++) {
      const part = record.parts[i] as RecordPart
      const { slot, origin, last, context } = part
      if (last > (stamps[origin] as number)) stamps[origin] = last
      if (this.vectors.covers(slot, last)) continue
      expect(includes(this.vectors.of(slot), context), 'its past is there').toBe(true)
      const token = tokenOf(part, bytes)
      this.slotOf(slot).set(last, token)
      this.applied.push(token)
      this.vectors.set(slot, origin, last)
    }
    this.log.backlog.append(bytes, start, end, stamps)
    this.log.backlog.trim(this.log.end)
  }

  encodeSlot(slot: number, writer: ByteWriter): void {
    for (const [stamp, token] of this.slotOf(slot)) {
      writer.f64(stamp)
      writer.text(token)
    }
  }

  /** What a merge says to all states: they are too old. */
  findsStatesTooOld = false

  merge(slot: number, label: VersionVector, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.findsStatesTooOld) return false
    const reader = new ByteReader(bytes, start, end)
    const read: [Stamp, string][] = []
    while (!reader.atEnd) read.push([reader.f64(), reader.text()])
    for (const [stamp, token] of read) this.slotOf(slot).set(stamp, token)
    for (let origin = 0; origin < label.length; origin++) {
      const stamp = label[origin] as number
      if (stamp > this.vectors.get(slot, origin)) this.log.backlog.raiseFloor(slot, origin, stamp)
    }
    raiseTo(this.vectors.of(slot), label)
    this.merges++
    return true
  }

  slotOf(slot: number): Map<Stamp, string> {
    const there = this.slots.get(slot)
    if (there !== undefined) return there
    const fresh = new Map<Stamp, string>()
    this.slots.set(slot, fresh)
    return fresh
  }

  /** Tokens of a slot, sorted. */
  tokens(slot: number): string[] {
    return [...this.slotOf(slot).values()].sort()
  }
}

function tokenOf(part: RecordPart, bytes: Uint8Array): string {
  let token = ''
  for (let at = part.effectsStart; at < part.effectsEnd; at++)
    token += String.fromCharCode(bytes[at] as number)
  return token
}
