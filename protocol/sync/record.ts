/**
 * Log records: the unit that is logged, replicated and applied whole. The same bytes serve the disk, replicas and peers,
 * so a record is self-contained: nothing in it is coded relative to another record.
 *
 *     record    := length u32 | kind u8 | body                      (length counts kind and body)
 *     kind 1    := part+                                            operations, one part a hash slot
 *     part      := slot u16 | first f64 | span varint | previous varint | mask u8 | context varint* | size varint | effects
 *     kind 2    := slot u16 | mask u8 | stamp f64* | slot state     a slot state that was merged (never sent to peers)
 *     kind 3    := slot u16 | changes                               of a consumer group in this cluster (never sent to peers)
 *     kind 4    := slot u16 | mask u8 | stamp f64* | flags u8 | part   of a slot state that came in parts (never sent to peers)
 *     kind 5    := slot u16 | absences                              of the slot state whose last part follows (never sent to peers)
 *
 * A part's stamps run from `first` to `last = first + span * 8`; they all carry the origin. `previous` is the origin's
 * previous stamp in the slot, coded as (first - previous) / 8, 0 for none. Bit o of `mask` says that origin o has a context
 * entry c, coded as first - c: what the origin had applied in the slot when it prepared the effects. The origin's own
 * entry is `previous`. Effects are opaque here (`server/crdt/effect.ts`),
 * and so are the changes of kind 3 (`server/store/groupRecord.ts`). Records of kind 4 belong together from one with the flag `first`
 * to the one with the flag `last`, with others between them: with the last the state is merged; without it nothing was. One of kind 5
 * right before the last says that the state is of those keys only that differed (`server/store/absences.ts`).
 *
 * Deliver a part iff last > VV[origin], previous <= VV[origin] and context <= VV; a record iff each of its parts may be
 * delivered or has been. Chains per (origin, slot) make duplicates, reconnects and several paths harmless.
 *
 * Records have no version of their own: the log segments and sync channels that carry them do.
 */
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { type ByteWriter, putF64, putVarint, varintBytesMax } from '#runtime/bytes/byteWriter.ts'
import { invariant } from '#runtime/invariant.ts'
import { type Origin, originOf, originsMax, type Stamp, stampStep } from './stamp.ts'
import { emptyVector, type VersionVector } from './versionVector.ts'

export const recordHeaderBytes = 5
/** Of a part, before its effects. */
export const partHeaderBytesMax = 2 + 8 + 1 + (3 + originsMax - 1) * varintBytesMax
export const slotsMax = 16384

export const RecordKind = { operations: 1, slotState: 2, group: 3, slotPart: 4, absences: 5 } as const

const PartFlag = { first: 1, last: 2 } as const

export interface RecordPart {
  slot: number
  origin: Origin
  first: Stamp
  last: Stamp
  previous: Stamp
  /** Own entry: `previous`. */
  context: VersionVector
  /** The effects are [effectsStart, effectsEnd) of the bytes that were read. */
  effectsStart: number
  effectsEnd: number
}

const newPart = (): RecordPart => ({
  slot: 0,
  origin: 0,
  first: 0,
  last: 0,
  previous: 0,
  context: emptyVector(),
  effectsStart: 0,
  effectsEnd: 0,
})

/** Starts a record; give its result to `endRecord`. */
export function beginRecord(writer: ByteWriter, kind: number): number {
  const start = writer.length
  writer.u32(0)
  writer.u8(kind)
  return start
}

export function endRecord(writer: ByteWriter, start: number): void {
  writer.setU32(start, writer.length - start - 4)
}

/** Begins a part: `effectsLength` bytes of effects, for which there is room then, must follow. */
export function beginPart(
  writer: ByteWriter,
  slot: number,
  first: Stamp,
  last: Stamp,
  previous: Stamp,
  context: VersionVector,
  effectsLength: number,
): void {
  const origin = originOf(first)
  if (!(previous < first && first <= last)) {
    invariant(false, 'stamps of a part rise', { slot, first, last, previous })
  }
  writer.reserve(partHeaderBytesMax + effectsLength)
  const { bytes } = writer
  let at = writer.length
  bytes[at] = slot
  bytes[at + 1] = slot >>> 8
  at = putF64(bytes, at + 2, first)
  at = putVarint(bytes, at, (last - first) / stampStep)
  at = putVarint(bytes, at, previous === 0 ? 0 : (first - previous) / stampStep)
  let mask = 0
  const maskAt = at++
  for (let o = 0; o < originsMax; o++) {
    const seen = context[o] as number
    if (o === origin || seen === 0) continue
    mask |= 1 << o
    at = putVarint(bytes, at, first - seen)
  }
  bytes[maskAt] = mask
  writer.length = putVarint(bytes, at, effectsLength)
}

/** Reads records in place. One reader serves many records; what it shows is valid until its next `read`. */
export class RecordReader {
  kind = 0
  /** Valid entries are [0, partCount). */
  readonly parts: RecordPart[] = []
  partCount = 0
  /** Of a slot state, or part of one: slot, label and the offsets of the state. Of a group, and of absences: slot, and their offsets. */
  slot = 0
  /** Of a part of a slot state. */
  isFirst = false
  isLast = false
  readonly label: VersionVector = emptyVector()
  stateStart = 0
  stateEnd = 0
  readonly #reader = new ByteReader(new Uint8Array(0))

  /**
   * Reads the record at `at`; returns the offset behind it. Throws `FormatError` when the bytes are no record; a caller
   * who has only a prefix of the stream checks with `recordLength` first.
   */
  read(bytes: Uint8Array, at: number, end: number): number {
    const length = recordLength(bytes, at, end)
    if (length > end - at) throw new FormatError(`record of ${length} bytes, ${end - at} are left`)
    this.kind = bytes[at + 4] as number
    this.#reader.reset(bytes, at + recordHeaderBytes, at + length)
    if (this.kind === RecordKind.operations) this.#readParts()
    else if (this.kind === RecordKind.slotState) this.#readSlotState()
    else if (this.kind === RecordKind.group || this.kind === RecordKind.absences) this.#readOpaque()
    else if (this.kind === RecordKind.slotPart) this.#readSlotPart()
    else throw new FormatError(`record kind ${this.kind}`)
    return at + length
  }

  #readParts(): void {
    const reader = this.#reader
    this.partCount = 0
    while (!reader.atEnd) {
      const part = this.parts[this.partCount] ?? newPart()
      this.parts[this.partCount++] = part
      part.slot = readSlot(reader)
      part.first = readStamp(reader)
      part.origin = originOf(part.first)
      part.last = part.first + reader.varint() * stampStep
      const chain = reader.varint()
      part.previous = chain === 0 ? 0 : part.first - chain * stampStep
      if (part.previous < 0 || part.last > Number.MAX_SAFE_INTEGER)
        throw new FormatError('stamp out of range')
      this.#readContext(part)
      const size = reader.varint()
      part.effectsStart = reader.at
      reader.skip(size)
      part.effectsEnd = reader.at
    }
    if (this.partCount === 0) throw new FormatError('record without a part')
  }

  #readContext(part: RecordPart): void {
    const reader = this.#reader
    const mask = reader.u8()
    for (let o = 0; o < originsMax; o++) part.context[o] = 0
    for (let o = 0; o < originsMax; o++) {
      if ((mask & (1 << o)) === 0) continue
      const stamp = part.first - reader.varint()
      if (stamp <= 0 || originOf(stamp) !== o) throw new FormatError('context entry of another origin')
      part.context[o] = stamp
    }
    part.context[part.origin] = part.previous
  }

  #readSlotState(): void {
    const reader = this.#reader
    this.slot = readSlot(reader)
    readVector(reader, this.label)
    this.stateStart = reader.at
    this.stateEnd = reader.end
  }

  #readSlotPart(): void {
    const reader = this.#reader
    this.slot = readSlot(reader)
    readVector(reader, this.label)
    const flags = reader.u8()
    if (flags > (PartFlag.first | PartFlag.last)) throw new FormatError(`flags ${flags} of a slot part`)
    this.isFirst = (flags & PartFlag.first) !== 0
    this.isLast = (flags & PartFlag.last) !== 0
    this.stateStart = reader.at
    this.stateEnd = reader.end
  }

  #readOpaque(): void {
    const reader = this.#reader
    this.slot = readSlot(reader)
    this.stateStart = reader.at
    this.stateEnd = reader.end
  }
}

/** Begins the body of a record of kind `slotPart`; a part of the state follows. */
export function beginSlotPart(
  writer: ByteWriter,
  slot: number,
  label: VersionVector,
  isFirst: boolean,
  isLast: boolean,
): void {
  writer.u16(slot)
  writeVector(writer, label)
  writer.u8((isFirst ? PartFlag.first : 0) | (isLast ? PartFlag.last : 0))
}

/** Whole length of the record at `at`, from its first four bytes, which must be there. */
export function recordLength(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < recordHeaderBytes) throw new FormatError(`record header wanted, ${end - at} bytes are left`)
  const length =
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  if (length < 1) throw new FormatError('empty record')
  return length + 4
}

export function readSlot(reader: ByteReader): number {
  const slot = reader.u16()
  if (slot >= slotsMax) throw new FormatError(`hash slot ${slot}`)
  return slot
}

export function readStamp(reader: ByteReader): Stamp {
  const stamp = reader.f64()
  if (!(Number.isSafeInteger(stamp) && stamp > 0)) throw new FormatError(`stamp ${stamp}`)
  return stamp
}

/** Mask of the origins present, then their stamps. */
export function writeVector(writer: ByteWriter, vector: VersionVector): void {
  let mask = 0
  for (let o = 0; o < originsMax; o++) if ((vector[o] as number) > 0) mask |= 1 << o
  writer.u8(mask)
  for (let o = 0; o < originsMax; o++) if (mask & (1 << o)) writer.f64(vector[o] as number)
}

export function readVector(reader: ByteReader, into: VersionVector): void {
  const mask = reader.u8()
  for (let o = 0; o < originsMax; o++) {
    into[o] = 0
    if ((mask & (1 << o)) === 0) continue
    const stamp = readStamp(reader)
    if (originOf(stamp) !== o) throw new FormatError('vector entry of another origin')
    into[o] = stamp
  }
}

/**
 * Writes the record [start, end) that `reader` has just read, without the parts that aren't wanted; nothing when none is. A
 * record of operations.
 */
export function copyParts(
  reader: RecordReader,
  bytes: Uint8Array,
  start: number,
  end: number,
  isWanted: (part: RecordPart) => boolean,
  writer: ByteWriter,
): void {
  let wanted = 0
  for (let i = 0; i < reader.partCount; i++) if (isWanted(reader.parts[i] as RecordPart)) wanted++
  if (wanted === 0) return
  if (wanted === reader.partCount) {
    writer.raw(bytes, start, end)
    return
  }
  const record = beginRecord(writer, RecordKind.operations)
  let partStart = start + recordHeaderBytes
  for (let i = 0; i < reader.partCount; i++) {
    const part = reader.parts[i] as RecordPart
    if (isWanted(part)) writer.raw(bytes, partStart, part.effectsEnd)
    partStart = part.effectsEnd
  }
  endRecord(writer, record)
}
