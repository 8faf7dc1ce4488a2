/**
 * Applies effects to one slot. Local commands and delivered records go through the same code: a command differs only in
 * that its context is what this shard has seen.
 */
import { type Origin, originsMax, type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Amount } from '#server/crdt/amount.ts'
import type { CounterReset, ElementReset } from '#server/crdt/counter.ts'
import type { EffectSink, FlushedKey } from '#server/crdt/effect.ts'
import type { Ranked } from '#server/crdt/elementHash.ts'
import type { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import {
  allTypes,
  deleteWinsTypes,
  KeyState,
  keepTtl,
  noRemovedCounters,
  type RemovedCounters,
} from '#server/crdt/keyState.ts'
import type { IdRange } from '#server/crdt/list.ts'
import type { ListId, Side } from '#server/crdt/listId.ts'
import type { Tag } from '#server/crdt/score.ts'
import type { StreamState } from '#server/crdt/stream.ts'
import type { Ref } from './arena.ts'
import { Kind, type PackedKind } from './entry.ts'
import { noFields, noMembers, type PackedElements } from './packedElements.ts'
import { noElements } from './packedList.ts'
import { noScores, type PackedScores } from './packedScores.ts'
import { packedBytesMax } from './packedValue.ts'
import type { SlotTables } from './slotTables.ts'
import { StreamApplier } from './streamApplier.ts'

const simplyFlushed: Omit<FlushedKey, 'key'> = { deletes: 0, counters: noRemovedCounters }

export class Applier extends StreamApplier implements EffectSink {
  readonly #tables: SlotTables
  #slot = 0
  #origin: Origin = 0
  /** Own entry: all of the origin's stamps below the running effect's. */
  #context: VersionVector = emptyVector()
  /** Of the key that is being changed. */
  #wasLive = false
  #wasDueMs = Number.POSITIVE_INFINITY
  readonly #elements = new ByteWriter(packedBytesMax)

  constructor(tables: SlotTables) {
    super()
    this.#tables = tables
  }

  /** `context` is written to: its own entry follows the effects. */
  aim(slot: number, origin: Origin, context: VersionVector): void {
    this.#slot = slot
    this.#origin = origin
    this.#context = context
  }

  #cover(stamp: Stamp): VersionVector {
    this.#context[this.#origin] = stamp - stampStep
    return this.#context
  }

  /** SET of a key that is absent or one covered write: nearly every write. False: it is neither. */
  setOnlyText(stamp: Stamp, name: string, text: string, expireAtMs: number): boolean {
    this.#tables.aim(name)
    if (!this.#mayReplace(stamp)) return false
    this.#tables.putText(stamp, text, expireAtMs)
    this.#noteReplaced(expireAtMs)
    return true
  }

  /** The same; name and text are ranges of `bytes`. */
  setOnlyBytes(
    stamp: Stamp,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    textStart: number,
    textEnd: number,
    expireAtMs: number,
  ): boolean {
    this.#tables.aimAt(bytes, nameStart, nameEnd)
    return this.setAimed(stamp, bytes, textStart, textEnd, expireAtMs)
  }

  /** The same for a name that the tables are aimed at. */
  setAimed(stamp: Stamp, bytes: Uint8Array, textStart: number, textEnd: number, expireAtMs: number): boolean {
    if (!this.#mayReplace(stamp)) return false
    this.#tables.putBytes(stamp, bytes, textStart, textEnd, expireAtMs)
    this.#noteReplaced(expireAtMs)
    return true
  }

  /** Whether what is there goes with a plain SET, and if so takes it off the counts. */
  #mayReplace(stamp: Stamp): boolean {
    const tables = this.#tables
    const ref = tables.find()
    if (ref === 0) {
      tables.size++
      return true
    }
    if (!tables.holdsText(ref) || !tables.coveredBy(ref, this.#cover(stamp))) return false
    if (!tables.isPlainText(ref) && tables.expireAt(ref) !== Number.POSITIVE_INFINITY) tables.expiring--
    return true
  }

  #noteReplaced(expireAtMs: number): void {
    const tables = this.#tables
    if (expireAtMs !== Number.POSITIVE_INFINITY) tables.noteTimed(this.#origin, expireAtMs)
    if (tables.onTouched !== undefined) tables.onTouched(tables.name.text, true)
  }

  setText(
    stamp: Stamp,
    name: string,
    text: string,
    expireAtMs: number,
    resets: readonly CounterReset[],
  ): void {
    if (expireAtMs !== keepTtl && this.setOnlyText(stamp, name, text, expireAtMs)) return
    const state = this.#open(name)
    state.setText(this.#cover(stamp), stamp, text, expireAtMs, resets)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  patchText(
    stamp: Stamp,
    name: string,
    base: Stamp,
    keepsTtl: boolean,
    offset: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const context = this.#cover(stamp)
    const tables = this.#tables
    const ref = tables.findText(name)
    const isPatched = tables.holdsWrite(ref, base) && tables.coveredBy(ref, context)
    if (isPatched && (tables.isPlainText(ref) ? !keepsTtl : tables.isLongText(ref))) {
      const wasDueMs = tables.dueMs(ref)
      tables.patchText(stamp, keepsTtl, offset, bytes, start, end)
      tables.noteTtl(tables.find(), wasDueMs)
      return
    }
    if (ref === 0 || tables.isBeyond(ref, context, !keepsTtl)) return
    const state = this.#open(name)
    state.patchText(context, stamp, base, keepsTtl, offset, latin1(bytes, start, end))
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  increment(stamp: Stamp, name: string, fresh: boolean, from: Stamp, sum: Amount): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    state.increment(stamp, from, sum)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  setField(
    stamp: Stamp,
    name: string,
    fresh: boolean,
    field: string,
    text: string,
    resets: readonly CounterReset[],
  ): void {
    const context = this.#cover(stamp)
    if (this.#writePacked(Kind.hash, noFields, stamp, name, fresh, field, text)) return
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    state.setField(context, stamp, field, text, resets)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  incrementField(
    stamp: Stamp,
    name: string,
    fresh: boolean,
    field: string,
    creates: boolean,
    from: Stamp,
    sum: Amount,
  ): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    if (creates) state.hash?.clearFieldTtl(context, field)
    state.incrementField(stamp, field, from, sum)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  writeFieldTtl(stamp: Stamp, name: string, fields: readonly string[], expireAtMs: number): void {
    this.#change(stamp, name, false, (state, context) =>
      state.writeFieldTtl(context, stamp, fields, expireAtMs),
    )
  }

  removeFields(stamp: Stamp, name: string, fields: readonly string[], resets: readonly ElementReset[]): void {
    const context = this.#cover(stamp)
    if (this.#removePacked(Kind.hash, name, fields)) return
    const state = this.#open(name)
    state.removeFields(context, stamp, fields, resets)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  addMembers(stamp: Stamp, name: string, fresh: boolean, members: readonly string[]): void {
    const context = this.#cover(stamp)
    let packed = 0
    while (packed < members.length && this.#addPacked(stamp, name, fresh, members[packed] as string)) packed++
    if (packed === members.length) return
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    state.addMembers(context, stamp, packed === 0 ? members : members.slice(packed))
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  removeMembers(stamp: Stamp, name: string, members: readonly string[]): void {
    const context = this.#cover(stamp)
    if (this.#removePacked(Kind.set, name, members)) return
    const state = this.#open(name)
    state.removeMembers(context, members)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  setScore(
    stamp: Stamp,
    name: string,
    fresh: boolean,
    member: string,
    score: number,
    tag: Tag,
    resets: readonly CounterReset<number>[],
  ): void {
    const context = this.#cover(stamp)
    if (this.#scorePacked(stamp, name, fresh, member, score, tag)) return
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    state.setScore(context, stamp, member, score, tag, resets)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  incrementScore(
    stamp: Stamp,
    name: string,
    fresh: boolean,
    member: string,
    from: Stamp,
    sum: number,
    rest: number,
  ): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    state.incrementScore(stamp, member, from, sum, rest)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  removeScores(
    stamp: Stamp,
    name: string,
    members: readonly string[],
    resets: readonly ElementReset<number>[],
  ): void {
    const context = this.#cover(stamp)
    if (this.#removePacked(Kind.zset, name, members)) return
    const state = this.#open(name)
    state.removeScores(context, stamp, members, resets)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  pushElements(stamp: Stamp, name: string, fresh: boolean, side: Side, values: readonly string[]): void {
    const context = this.#cover(stamp)
    if (this.#pushPacked(stamp, name, fresh, side, values)) return
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    state.pushElements(context, stamp, side, values)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  writeElement(stamp: Stamp, name: string, id: ListId, text: string): void {
    this.#change(stamp, name, false, (state, context) => state.writeElement(context, stamp, id, text))
  }

  removeElements(stamp: Stamp, name: string, ranges: readonly IdRange[]): void {
    const context = this.#cover(stamp)
    if (this.#removePackedRanges(name, ranges)) return
    const state = this.#open(name)
    state.removeElements(context, ranges, this.#coversSlot(context))
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  protected override changeStream(
    stamp: Stamp,
    name: string,
    fresh: boolean,
    change: (stream: StreamState, context: VersionVector) => void,
  ): void {
    this.#change(stamp, name, fresh, (state, context) =>
      state.changeStream((stream) => change(stream, context)),
    )
  }

  raiseRegisters(
    stamp: Stamp,
    name: string,
    fresh: boolean,
    values: readonly Ranked[],
    dense: boolean,
  ): void {
    this.#change(stamp, name, fresh, (state, context) => state.raiseRegisters(context, stamp, values, dense))
  }

  joinRegisters(stamp: Stamp, name: string, fresh: boolean, registers: HyperLogLog): void {
    this.#change(stamp, name, fresh, (state, context) => state.joinRegisters(context, stamp, registers))
  }

  remove(stamp: Stamp, name: string, types: number, endsTtl: boolean, counters: RemovedCounters): void {
    const context = this.#cover(stamp)
    const tables = this.#tables
    const ref = tables.findText(name)
    // A delete stamp stays, whatever there is to delete here.
    if (ref === 0 && (types & deleteWinsTypes) === 0) return
    if (ref !== 0 && types === allTypes && endsTtl && this.#goesWhole(ref, context)) {
      tables.size--
      if (tables.expireAt(ref) !== Number.POSITIVE_INFINITY) tables.expiring--
      tables.remove()
      if (tables.onTouched !== undefined) tables.onTouched(name, false)
      return
    }
    const state = this.#open(name)
    if (endsTtl) state.clearTtl(context)
    state.remove(context, stamp, types, counters, this.#coversSlot(context))
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  /** Whether a removal of all that `context` covers leaves nothing of it. */
  #goesWhole(ref: Ref, context: VersionVector): boolean {
    const tables = this.#tables
    if (tables.holdsText(ref)) return tables.coveredBy(ref, context)
    if (tables.hasTtl(ref) || !tables.isPacked(ref)) return false
    const packed = tables.packedScores(ref) ?? tables.packed(ref) ?? tables.packedList(ref)
    return packed?.coveredBy(context) === true
  }

  writeTtl(stamp: Stamp, name: string, expireAtMs: number): void {
    const tables = this.#tables
    const ref = tables.findText(name)
    if (ref !== 0 && tables.isLongText(ref) && tables.coveredBy(ref, this.#cover(stamp))) {
      const wasDueMs = tables.dueMs(ref)
      tables.putTtl(stamp, expireAtMs)
      tables.noteTtl(ref, wasDueMs)
      return
    }
    this.#change(stamp, name, false, (state, context) => state.writeTtl(context, stamp, expireAtMs))
  }

  flush(stamp: Stamp, keys: readonly FlushedKey[]): void {
    const known = new Map(keys.map((flushed) => [flushed.key, flushed]))
    const tables = this.#tables
    tables.finishJoin(this.#slot)
    tables.showLoss(this.#slot)
    tables.index.forEach(this.#slot, (ref) => {
      const name = tables.nameOf(ref)
      const { deletes, counters } = known.get(name) ?? simplyFlushed
      this.remove(stamp, name, allTypes | deletes, true, counters)
      known.delete(name)
    })
    for (const { key, deletes, counters } of known.values())
      this.remove(stamp, key, allTypes | deletes, true, counters)
  }

  #addPacked(stamp: Stamp, name: string, fresh: boolean, member: string): boolean {
    return this.#writePacked(Kind.set, noMembers, stamp, name, fresh, member, undefined)
  }

  /** A field or member of a small hash or set. False: it has to be done the long way. */
  #writePacked(
    kind: PackedKind,
    none: PackedElements,
    stamp: Stamp,
    name: string,
    fresh: boolean,
    element: string,
    text: string | undefined,
  ): boolean {
    const tables = this.#tables
    const ref = tables.findText(name)
    let elements: PackedElements | undefined = none
    if (ref !== 0) {
      if (tables.kind(ref) !== kind || (fresh && tables.hasTtl(ref))) return false
      elements = tables.packed(ref) ?? none
    }
    if (!elements.write(this.#elements, this.#context, stamp, element, text)) return false
    this.#putWritten(kind, name, ref === 0)
    return true
  }

  /** The same for a member of a small sorted set. */
  #scorePacked(stamp: Stamp, name: string, fresh: boolean, member: string, score: number, tag: Tag): boolean {
    const tables = this.#tables
    const ref = tables.findText(name)
    let scores: PackedScores | undefined = noScores
    if (ref !== 0) {
      if (fresh && tables.hasTtl(ref)) return false
      scores = tables.packedScores(ref)
    }
    if (scores?.write(this.#elements, this.#context, stamp, member, score, tag) !== true) return false
    this.#putWritten(Kind.zset, name, ref === 0)
    return true
  }

  #removePacked(kind: PackedKind, name: string, elements: readonly string[]): boolean {
    const tables = this.#tables
    const ref = tables.findText(name)
    // Of a key that is gone its TTL writes may have to stay.
    if (ref === 0 || tables.kind(ref) !== kind || tables.hasTtl(ref)) return false
    const packed = kind === Kind.zset ? tables.packedScores(ref) : tables.packed(ref)
    packed?.remove(this.#elements, this.#context, elements)
    this.#putLeft(kind, name)
    return true
  }

  #removePackedRanges(name: string, ranges: readonly IdRange[]): boolean {
    const tables = this.#tables
    const ref = tables.findText(name)
    if (ref === 0 || tables.hasTtl(ref)) return false
    const list = tables.packedList(ref)
    if (list === undefined) return false
    list.remove(this.#elements, this.#context, ranges)
    this.#putLeft(Kind.list, name)
    return true
  }

  /** What a write has made of a packed value, or of nothing. */
  #putWritten(kind: PackedKind, name: string, isNew: boolean): void {
    const tables = this.#tables
    tables.putPacked(kind, this.#elements)
    if (isNew) tables.size++
    if (tables.onTouched !== undefined) tables.onTouched(name, true)
  }

  /** What a removal has left of a packed value without a TTL. */
  #putLeft(kind: PackedKind, name: string): void {
    const tables = this.#tables
    const isLeft = this.#elements.bytes[0] !== 0
    if (isLeft) tables.putPacked(kind, this.#elements)
    else {
      tables.remove()
      tables.size--
    }
    if (tables.onTouched !== undefined) tables.onTouched(name, isLeft)
  }

  /** False: it has to be done the long way. */
  #pushPacked(stamp: Stamp, name: string, fresh: boolean, side: Side, values: readonly string[]): boolean {
    const tables = this.#tables
    const ref = tables.findText(name)
    // A push of nothing makes no key.
    if (values.length === 0 || (ref !== 0 && fresh && tables.hasTtl(ref))) return false
    const list = ref === 0 ? noElements : tables.packedList(ref)
    if (list === undefined || !list.push(this.#elements, side, stamp, values)) return false
    this.#putWritten(Kind.list, name, ref === 0)
    return true
  }

  /** Whether the effect's origin had seen everything that is here: always so for a local command. */
  #coversSlot(context: VersionVector): boolean {
    const { vectors } = this.#tables
    for (let o = 0; o < originsMax; o++) {
      if ((context[o] as number) < vectors.get(this.#slot, o)) return false
    }
    return true
  }

  /** An effect on the key's full state. What is done oftenest spells it out, for a closure costs a tenth of it. */
  #change(
    stamp: Stamp,
    name: string,
    fresh: boolean,
    change: (state: KeyState, context: VersionVector) => void,
  ): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    change(state, context)
    this.#tables.settle(state, this.#wasLive, this.#wasDueMs, stamp)
  }

  /** The key's full state, to be changed and then settled. */
  #open(name: string): KeyState {
    const tables = this.#tables
    const ref = tables.findText(name)
    this.#wasLive = ref !== 0 && tables.isLive(ref)
    this.#wasDueMs = ref === 0 ? Number.POSITIVE_INFINITY : tables.dueMs(ref)
    return ref === 0 ? new KeyState() : tables.stateOf(ref)
  }
}
