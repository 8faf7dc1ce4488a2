/**
 * A shard reduced to what sync sees of it. The state of a slot is the set of the operations in it, so a test can ask at any
 * moment whether what the vector claims is there, and nothing else.
 */
import { expect } from 'vitest'
import type { Portioning } from '#protocol/sync/digestMessage.ts'
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
import { emptyVector, includes, SlotVectors, type VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Backlog } from '#server/log/backlog.ts'
import type {
  FrozenState,
  LocalLog,
  LocalShard,
  SlotDifferences,
  StagedSlot,
} from '#server/sync/localShard.ts'
import { ToyDifferences, ToyFrozen } from './toyPortions.ts'

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
  ownRecords = 0
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
    this.ownRecords++
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

  /** A token `~base` patches the token `base`. */
  check(part: RecordPart, bytes: Uint8Array): boolean {
    const token = tokenOf(part, bytes)
    if (token.startsWith('!')) throw new FormatError('an effect that nobody understands')
    return token.startsWith('~')
  }

  lacksBase(part: RecordPart, bytes: Uint8Array): boolean {
    const token = tokenOf(part, bytes)
    return token.startsWith('~') && !this.tokens(part.slot).includes(token.slice(1))
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
      if (token.startsWith('~')) expect(this.lacksBase(part, bytes), 'what it patches is there').toBe(false)
      this.slotOf(slot).set(last, token)
      this.applied.push(token)
      this.vectors.set(slot, origin, last)
    }
    this.log.backlog.append(bytes, start, end, stamps)
    this.log.backlog.trim(this.log.end)
  }

  slotCount(slot: number): number {
    return this.slotOf(slot).size
  }

  encodeSlotPart(slot: number, position: number, bytesWanted: number, writer: ByteWriter): number {
    const end = writer.length + bytesWanted
    const entries = [...this.slotOf(slot)].filter(([stamp]) => stamp >= position).sort(([a], [b]) => a - b)
    for (const [i, [stamp, token]] of entries.entries()) {
      if (i > 0 && writer.length >= end) return stamp
      writer.f64(stamp)
      writer.text(token)
    }
    return 0
  }

  readonly isMerging = false
  isJoining(): boolean {
    return false
  }

  joinMore(): boolean {
    return false
  }

  /** Slots of so many tokens are compared before they are cut. */
  comparedMin = Number.POSITIVE_INFINITY
  readonly frozen: ToyFrozen[] = []

  isWorthComparing(slot: number): boolean {
    return this.slotOf(slot).size >= this.comparedMin
  }

  portioning(): Portioning {
    return { bits: 4, key: new Uint8Array(16) }
  }

  freeze(slot: number, portioning: Portioning): FrozenState | null {
    if (this.slotOf(slot).size < 2 ** portioning.bits) return null
    const frozen = new ToyFrozen(this.slotOf(slot), portioning, (...of) => this.stage(slot, ...of))
    this.frozen.push(frozen)
    return frozen
  }

  compare(slot: number, portioning: Portioning, digests: Uint8Array): SlotDifferences {
    return new ToyDifferences(() => this.slotOf(slot), portioning, digests)
  }

  stage(slot: number, label: VersionVector, kept: ReadonlyMap<Stamp, string> = new Map()): StagedSlot {
    const tokens = new Map(kept)
    const reached = label.slice()
    let steps = 0
    return {
      reached,
      load: (bytes, start, end) => {
        for (const [stamp, token] of tokensIn(new ByteReader(bytes, start, end))) tokens.set(stamp, token)
      },
      apply: (part, bytes) => {
        if (part.last <= (reached[part.origin] as number)) return
        if (part.slot !== slot || !includes(reached, part.context)) throw new FormatError('does not follow')
        tokens.set(part.last, tokenOf(part, bytes))
        reached[part.origin] = part.last
      },
      advance: () => {
        if (this.findsStatesTooOld) return 'tooOld'
        // The log takes it in slices.
        if (steps++ < 2) return 'more'
        this.#join(slot, reached, tokens)
        return 'joined'
      },
      drop: () => {},
    }
  }

  /** What a merge says to all states: they are too old. */
  findsStatesTooOld = false

  merge(slot: number, label: VersionVector, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.findsStatesTooOld) return false
    const reader = new ByteReader(bytes, start, end)
    const count = reader.varint()
    const read = tokensIn(reader)
    if (count !== read.size) throw new FormatError(`${read.size} tokens, ${count} were announced`)
    this.#join(slot, label, read)
    return true
  }

  #join(slot: number, label: VersionVector, tokens: ReadonlyMap<Stamp, string>): void {
    for (const [stamp, token] of tokens) this.slotOf(slot).set(stamp, token)
    for (let origin = 0; origin < label.length; origin++) {
      const stamp = label[origin] as number
      if (stamp > this.vectors.get(slot, origin)) this.log.backlog.raiseFloor(slot, origin, stamp)
    }
    this.vectors.raise(slot, label)
    this.merges++
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

function tokensIn(reader: ByteReader): Map<Stamp, string> {
  const tokens = new Map<Stamp, string>()
  while (!reader.atEnd) tokens.set(reader.f64(), reader.text())
  return tokens
}

function tokenOf(part: RecordPart, bytes: Uint8Array): string {
  let token = ''
  for (let at = part.effectsStart; at < part.effectsEnd; at++)
    token += String.fromCharCode(bytes[at] as number)
  return token
}
