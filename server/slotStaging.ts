/**
 * The state of a slot that a peer cuts while it changes, on its way into keyspace and log.
 *
 * It is put together in a keyspace of its own. When it is whole it is logged, in records that are parts of it and of which only
 * the last makes it count: a replay joins what it has collected then, and a process that ends before leaves nothing. No snapshot
 * begins meanwhile: the first parts would be removed with the log before it.
 *
 * Of a slot that was compared first (`frozenSlot`) only what differs is there. A record before the last part says what is absent then; all
 * else is as it is here, and was when the record was written.
 */
import { beginRecord, beginSlotPart, endRecord, RecordKind, type RecordPart } from '#protocol/sync/record.ts'
import { emptyVector, includes, type VersionVector } from '#protocol/sync/versionVector.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Log } from '#server/log/log.ts'
import type { Absences } from '#server/store/absences.ts'
import type { FrozenSlot } from '#server/store/frozenSlot.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { SlotPosition } from '#server/store/slotCutting.ts'
import type { StagedSlot } from '#server/sync/localShard.ts'

const sliceBytesUsual = 128 * 1024
const noStamps = emptyVector()

/** What the shard does with a slot that is staged. */
export interface StagingHost {
  readonly db: Keyspace
  readonly log: Log
  /** Of one slice of the log. */
  readonly sliceBytes: number | undefined
  /** Those of which the log has parts, and not the last. */
  readonly logging: Set<StagedSlot>
  check(part: RecordPart, bytes: Uint8Array): void
  join(staged: Keyspace, slot: number, label: VersionVector, absences: Absences | undefined): boolean
  onChange(): void
}

export class SlotStaging implements StagedSlot {
  readonly #slot: number
  readonly #label: VersionVector
  readonly #staged: Keyspace
  readonly #host: StagingHost
  readonly #part = new ByteWriter()
  /** Where in the slot the next slice of the log begins. */
  #position: SlotPosition = 0
  /** undefined: all of the slot comes. */
  readonly #frozen: FrozenSlot | undefined

  constructor(slot: number, label: VersionVector, staged: Keyspace, host: StagingHost, frozen?: FrozenSlot) {
    this.#frozen = frozen
    this.#slot = slot
    this.#label = label
    this.#staged = staged
    this.#host = host
    host.db.addStaged(staged)
    // An empty part: the label holds from the start.
    staged.loadSlotPart(slot, label, this.#part.bytes, 0, 0, true)
  }

  get reached(): VersionVector {
    return this.#staged.vectors.of(this.#slot)
  }

  load(bytes: Uint8Array, start: number, end: number): void {
    this.#staged.loadSlotPart(this.#slot, this.#label, bytes, start, end, true)
  }

  apply(part: RecordPart, bytes: Uint8Array): void {
    const { slot, last, first, previous, origin, context } = part
    const { reached } = this
    if (slot !== this.#slot) throw new FormatError(`an operation in slot ${slot} behind the state of another`)
    if (last <= (reached[origin] as number)) return
    if (
      first <= (reached[origin] as number) ||
      previous > (reached[origin] as number) ||
      !includes(reached, context)
    )
      throw new FormatError(`an operation behind the state of slot ${slot} that does not follow`)
    this.#host.check(part, bytes)
    this.#staged.apply(part, bytes)
  }

  advance(): 'more' | 'joined' | 'tooOld' {
    const { logging } = this.#host
    const isFirst = this.#position === 0
    const part = this.#part
    part.clear()
    this.#frozen?.noteLate()
    const wanted = this.#host.sliceBytes ?? sliceBytesUsual
    this.#position = this.#staged.encodeSlotPartForPeer(this.#slot, this.#position, wanted, part)
    const isLast = this.#position === 0
    if (isLast) logging.delete(this)
    else logging.add(this)
    if (isLast) {
      this.#frozen?.writeLate(part)
      if (!this.#join()) return 'tooOld'
    }
    this.#log(RecordKind.slotPart, (record) => {
      beginSlotPart(record, this.#slot, this.reached, isFirst, isLast)
      record.raw(part.bytes, 0, part.length)
    })
    this.#host.onChange()
    return isLast ? 'joined' : 'more'
  }

  #join(): boolean {
    const frozen = this.#frozen
    if (frozen?.isVoid === true) return false
    frozen?.end()
    const absences = frozen?.absences
    if (!this.#host.join(this.#staged, this.#slot, this.reached.slice(), absences)) return false
    if (absences === undefined) return true
    this.#log(RecordKind.absences, (record) => {
      record.u16(this.#slot)
      absences.encode(record)
    })
    return true
  }

  #log(kind: number, write: (record: ByteWriter) => void): void {
    const record = new ByteWriter(this.#part.length + 128)
    const begun = beginRecord(record, kind)
    write(record)
    endRecord(record, begun)
    this.#host.log.append(record.bytes, 0, record.length, noStamps)
  }

  drop(): void {
    this.#frozen?.end()
    this.#host.logging.delete(this)
    this.#host.db.dropStaged(this.#staged)
  }
}
