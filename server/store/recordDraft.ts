/** The record that a transaction will be: a part for each slot that it writes to, in the order of the first writes. */
import {
  beginPart,
  beginRecord,
  endRecord,
  partHeaderBytesMax,
  RecordKind,
  recordHeaderBytes,
} from '#protocol/sync/record.ts'
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import { emptyVector, type SlotVectors, type VersionVector } from '#protocol/sync/versionVector.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { EffectWriter } from '#server/crdt/effect.ts'

/** Parts up to this count are searched one by one, and their buffers kept. */
const searchedPartsMax = 16
/** A buffer that one large command has blown up is not kept. */
const keptEffectsBytesMax = 1 << 20

export class PartDraft {
  slot = 0
  first: Stamp = 0
  /** Of the slot before the first intent: the greatest that any origin has there. */
  last: Stamp = 0
  previous: Stamp = 0
  /** What this shard had applied in the slot at the start. */
  readonly context: VersionVector = emptyVector()
  effects: EffectWriter = new EffectWriter()
}

export class RecordDraft {
  readonly #vectors: SlotVectors
  readonly #origin: Origin
  readonly #parts: PartDraft[] = []
  #count = 0
  /** By slot, those behind the first `searchedPartsMax`. */
  readonly #farParts: Map<number, PartDraft> = new Map()

  constructor(vectors: SlotVectors, origin: Origin) {
    this.#vectors = vectors
    this.#origin = origin
  }

  clear(): void {
    this.#count = 0
    if (this.#farParts.size === 0) return
    this.#farParts.clear()
    this.#parts.length = searchedPartsMax
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** What `finish` will write is not longer. */
  get bytesMax(): number {
    let bytesMax = recordHeaderBytes
    for (let at = 0; at < this.#count; at++) {
      bytesMax += partHeaderBytesMax + (this.#parts[at] as PartDraft).effects.length
    }
    return bytesMax
  }

  /** Appends the record and raises the slots' vectors. */
  finish(writer: ByteWriter): void {
    const start = beginRecord(writer, RecordKind.operations)
    for (let at = 0; at < this.#count; at++) {
      const part = this.#parts[at] as PartDraft
      const { slot, first, last, previous, context, effects } = part
      beginPart(writer, slot, first, last, previous, context, effects.length)
      effects.writeTo(writer)
      this.#vectors.set(slot, this.#origin, last)
      if (effects.capacityBytes > keptEffectsBytesMax) part.effects = new EffectWriter()
    }
    endRecord(writer, start)
    this.clear()
  }

  /** The part of the slot, which is begun if there is none. */
  partOf(slot: number): PartDraft {
    return this.#find(slot) ?? this.#begin(slot)
  }

  /** Nearly always there is one, or a few; FLUSHALL has one a slot. */
  #find(slot: number): PartDraft | undefined {
    const searched = Math.min(this.#count, searchedPartsMax)
    for (let at = 0; at < searched; at++) {
      const part = this.#parts[at] as PartDraft
      if (part.slot === slot) return part
    }
    return this.#farParts.get(slot)
  }

  #begin(slot: number): PartDraft {
    let part = this.#parts[this.#count]
    if (part === undefined) {
      part = new PartDraft()
      this.#parts.push(part)
    }
    this.#count++
    if (this.#count > searchedPartsMax) this.#farParts.set(slot, part)
    part.slot = slot
    part.first = 0
    part.last = this.#vectors.copyTo(slot, part.context)
    part.previous = this.#vectors.get(slot, this.#origin)
    part.effects.clear()
    return part
  }
}
