/** The parts of the record that a transaction is writing, one for each slot. */
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
import { EffectWriter } from '#server/crdt/effectWriter.ts'

/** Parts up to this count are searched one by one, and their buffers kept. */
const searchedDraftsMax = 16
/** A buffer that one large command has blown up is not kept. */
const keptEffectsBytesMax = 1 << 20

/** The part under way for one slot. */
export class Draft {
  slot = 0
  first: Stamp = 0
  /** Of the slot before the first intent: the greatest that any origin has there. */
  last: Stamp = 0
  previous: Stamp = 0
  /** What this shard had applied in the slot at the start. */
  readonly context: VersionVector = emptyVector()
  effects: EffectWriter = new EffectWriter()
}

export class Drafts {
  count = 0
  readonly #vectors: SlotVectors
  readonly #origin: Origin
  readonly #drafts: Draft[] = []
  /** By slot, those behind the first `searchedDraftsMax`. */
  readonly #far: Map<number, Draft> = new Map()

  constructor(vectors: SlotVectors, origin: Origin) {
    this.#vectors = vectors
    this.#origin = origin
  }

  clear(): void {
    this.count = 0
    if (this.#far.size === 0) return
    this.#far.clear()
    this.#drafts.length = searchedDraftsMax
  }

  /** What `finish` will write is not longer. */
  get recordBytesMax(): number {
    let bytesMax = recordHeaderBytes
    for (let at = 0; at < this.count; at++) {
      bytesMax += partHeaderBytesMax + (this.#drafts[at] as Draft).effects.length
    }
    return bytesMax
  }

  /** Appends the record, if there is an effect, and raises the slots' vectors. False: nothing to log. */
  finish(writer: ByteWriter): boolean {
    if (this.count === 0) return false
    const start = beginRecord(writer, RecordKind.operations)
    for (let at = 0; at < this.count; at++) {
      const draft = this.#drafts[at] as Draft
      const { slot, first, last, previous, context, effects } = draft
      beginPart(writer, slot, first, last, previous, context, effects.length)
      effects.writeTo(writer)
      this.#vectors.set(slot, this.#origin, last)
      if (effects.capacityBytes > keptEffectsBytesMax) draft.effects = new EffectWriter()
    }
    endRecord(writer, start)
    this.clear()
    return true
  }

  /** The slot's part, begun if there is none yet. */
  of(slot: number): Draft {
    const begun = this.#find(slot)
    if (begun !== undefined) return begun
    let draft = this.#drafts[this.count]
    if (draft === undefined) {
      draft = new Draft()
      this.#drafts.push(draft)
    }
    this.count++
    if (this.count > searchedDraftsMax) this.#far.set(slot, draft)
    draft.slot = slot
    draft.first = 0
    draft.last = this.#vectors.copyTo(slot, draft.context)
    draft.previous = this.#vectors.get(slot, this.#origin)
    draft.effects.clear()
    return draft
  }

  /** Nearly always there is one, or a few; FLUSHALL has one a slot. */
  #find(slot: number): Draft | undefined {
    const searched = Math.min(this.count, searchedDraftsMax)
    for (let at = 0; at < searched; at++) {
      const draft = this.#drafts[at] as Draft
      if (draft.slot === slot) return draft
    }
    return this.#far.get(slot)
  }
}
