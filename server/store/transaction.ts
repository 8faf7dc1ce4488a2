/**
 * What one command, or one EXEC, writes. Handlers have decided all conditions by reading the keyspace; here their intents
 * become effects, which are applied at once (later commands of the EXEC see them) and encoded. `finish` makes them one
 * record, with a part for each slot.
 *
 * Besides what the command says, a write has to say what makes it merge well (`server/crdt/DESIGN.md`):
 * - to a key that has expired but isn't deleted: the DEL first;
 * - to a key that doesn't exist: that it is fresh, which ends the TTL writes it saw, at every replica;
 * - to a key with hidden states of other types: their removal, and, if the string that goes stood for "no TTL", PERSIST;
 * - whatever is removed: the reset of every live counter in it that another cluster adds to.
 */

import type { Stamp, StampClock } from '#protocol/sync/stamp.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Amount } from '#server/crdt/amount.ts'
import {
  type CounterReset,
  type ElementReset,
  elementResets,
  nextIncrement,
  noEntries,
  noResets,
} from '#server/crdt/counter.ts'
import type { EffectSink, FlushedKey } from '#server/crdt/effect.ts'
import { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import {
  allTypes,
  deleteWinsTypes,
  type KeyState,
  keepTtl,
  noRemovedCounters,
  type RemovedCounters,
  TypeBit,
} from '#server/crdt/keyState.ts'
import { noScore, type Score, Tag } from '#server/crdt/score.ts'
import { Applier } from './applier.ts'
import type { Ref } from './arena.ts'
import { Draft, Drafts } from './drafts.ts'
import { presentIn } from './intents.ts'
import type { Keyspace } from './keyspace.ts'
import type { SlotTables } from './slotTables.ts'
import { type Expiry, TextIntents } from './textIntents.ts'

const never = Number.POSITIVE_INFINITY
/** That expire in one step: few milliseconds. */
const dueFieldsMax = 1_000

/** Handlers answer WRONGTYPE before they write. */
function requireType(visible: number, written: number): void {
  if (visible !== written) invariant(false, 'a write is of the type that shows', { visible, written })
}

export class Transaction extends TextIntents {
  readonly #tables: SlotTables
  readonly #clock: StampClock
  readonly #applier: Applier
  #nowMs = 0
  readonly #drafts: Drafts
  /** The one that the applier is aimed at. */
  #draft: Draft = new Draft()
  /** Of the running intent. */
  #stamp: Stamp = 0

  constructor(keyspace: Keyspace, clock: StampClock) {
    super(keyspace)
    this.#tables = keyspace.tables
    this.#clock = clock
    this.#applier = new Applier(keyspace.tables)
    this.#drafts = new Drafts(keyspace.vectors, clock.origin)
  }

  /** Also sets the keyspace's clock. */
  begin(nowMs: number): void {
    this.#nowMs = nowMs
    this.keyspace.nowMs = nowMs
    this.#drafts.clear()
    this.groupDrafts.clear()
    this.replaced = null
  }

  /** Whether there is an effect since `begin`, or a change of a group that is this cluster's own. */
  get written(): boolean {
    return this.#drafts.count > 0 || this.groupDrafts.count > 0
  }

  /** Of the slot that was written to last. */
  get effectsBytes(): number {
    return this.#draft.effects.length
  }

  /** What `finish` will write is not longer. */
  get recordBytesMax(): number {
    return this.#drafts.recordBytesMax + this.groupDrafts.recordBytesMax
  }

  /**
   * Appends the record, if there is an effect, and raises the slots' vectors; behind it those of groups that have changed in
   * this cluster. False: nothing to log.
   */
  finish(writer: ByteWriter): boolean {
    const { written } = this
    this.#drafts.finish(writer)
    this.groupDrafts.finish(writer)
    return written
  }

  // ---- intents

  /** SET and its kin, over any type. 'keep' is for KEEPTTL and for APPEND, SETRANGE, SETBIT, BITFIELD. */
  setString(name: string, value: string, expiry: Expiry): void {
    this.tellArrival(name)
    this.#begin(this.#tables.slotOf(name))
    const wantedMs = expiry.kind === 'at' ? expiry.atMs : never
    if (!this.#mustKeep(expiry) && this.#applier.setOnlyText(this.#stamp, name, value, wantedMs)) {
      this.#draft.effects.setText(this.#stamp, name, value, wantedMs, noResets)
      return
    }
    this.#setBegun(name, value, wantedMs, expiry.kind === 'keep')
  }

  override setStringBytes(name: string, value: Uint8Array, expiry: Expiry): void {
    this.tellArrival(name)
    this.#begin(this.#tables.slotOf(name))
    const wantedMs = expiry.kind === 'at' ? expiry.atMs : never
    if (!this.#mustKeep(expiry) && this.#applier.setAimed(this.#stamp, value, 0, value.length, wantedMs)) {
      this.#draft.effects.setTextBytes(this.#stamp, name, value, wantedMs)
      return
    }
    this.#setBegun(name, latin1(value), wantedMs, expiry.kind === 'keep')
  }

  /** Whether what is kept may be a TTL: a key that is absent or a text without one is left without. */
  #mustKeep(expiry: Expiry): boolean {
    if (expiry.kind !== 'keep') return false
    const ref = this.#tables.find()
    return ref !== 0 && !this.#tables.isPlainText(ref)
  }

  /** Whatever is there. */
  #setBegun(name: string, value: string, wantedMs: number, keep: boolean): void {
    const ref = this.#tables.findText(name)
    if (ref === 0) {
      this.#setText(name, value, wantedMs, noResets)
      return
    }
    const state = this.#tables.stateOf(ref)
    const expired = this.#deleteExpired(name, ref, state)
    const keeps = keep && !expired && state.live
    if (!expired && state.visibleType() === 'hll' && HyperLogLog.isSpeltBy(value)) {
      this.#replaceRegisters(name, state, value, wantedMs, keeps)
      return
    }
    const atMs = keeps ? this.ttlOfKeepingWrite(state) : wantedMs
    this.#cleanUp(name, state, TypeBit.string)
    this.#setText(name, value, atMs, state.string?.resets(this.keyspace.origin) ?? noResets)
  }

  /** A HyperLogLog stays one when it is set to the bytes of another. */
  #replaceRegisters(name: string, state: KeyState, bytes: string, wantedMs: number, keeps: boolean): void {
    const losesInfinity = keeps && this.losesInfinity(state, state.liveTypes)
    this.#remove(name, allTypes | this.deletesOf(state), !keeps, this.countersOf(state))
    this.joinRegisters(name, !keeps, bytes)
    if (losesInfinity || (!keeps && wantedMs !== never)) this.#writeTtl(name, wantedMs)
  }

  /**
   * The same for name and value as ranges of `bytes`, which must stay as they are until `finish`, while no events are told; `atMs`
   * is Infinity for no TTL.
   */
  setBytes(
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    atMs: number,
  ): void {
    const tables = this.#tables
    tables.aimAt(bytes, nameStart, nameEnd)
    this.#begin(tables.name.slot)
    const stamp = this.#stamp
    if (this.#applier.setAimed(stamp, bytes, valueStart, valueEnd, atMs)) {
      this.#draft.effects.setOnlyBytes(stamp, bytes, nameStart, nameEnd, valueStart, valueEnd, atMs)
      return
    }
    this.#setBegun(latin1(bytes, nameStart, nameEnd), latin1(bytes, valueStart, valueEnd), atMs, false)
  }

  /** The caller has read the value and checked bounds. Returns the new value. */
  increment(name: string, amount: Amount): string {
    this.add(name, amount)
    return this.keyspace.string(name) ?? ''
  }

  /** The same for a caller who knows the sum. */
  add(name: string, amount: Amount): void {
    const fresh = this.open(name, TypeBit.string)
    const entries = this.#stateOf(name)?.string?.entries ?? noEntries
    const stamp = this.#stamp
    const { from, sum } = nextIncrement(entries, stamp, amount)
    this.#draft.effects.increment(stamp, name, fresh, from, sum)
    this.#applier.increment(stamp, name, fresh, from, sum)
  }

  /**
   * Adds to an integer that only this cluster counts, which nearly every counter is; returns the sum. NaN, and nothing is
   * done, when it is anything else.
   */
  addInPlace(bytes: Uint8Array, nameStart: number, nameEnd: number, amount: number): number {
    const tables = this.#tables
    tables.aimAt(bytes, nameStart, nameEnd)
    const ref = tables.find()
    if (ref === 0 || !tables.isCounterOf(ref, tables.origin) || tables.hasExpired(ref)) return Number.NaN
    const sum = tables.sumWith(ref, amount)
    if (Number.isNaN(sum)) return sum
    this.#begin(tables.name.slot)
    tables.addToCounter(ref, this.#stamp, amount)
    const { counterFrom, counterSum } = tables
    this.#draft.effects.incrementBytes(this.#stamp, bytes, nameStart, nameEnd, counterFrom, counterSum)
    if (tables.onTouched !== undefined) tables.onTouched(tables.name.text, true)
    return sum
  }

  /** DEL; false: there was no visible key. */
  override delete(name: string): boolean {
    const ref = this.#tables.findText(name)
    if (ref === 0 || !this.#tables.isLive(ref)) return false
    const visible = !this.#tables.hasExpired(ref)
    if (!visible) this.tellExpiry(name, ref)
    const counters = this.#countersAt(ref)
    const types = allTypes | this.#deletesAt(ref)
    this.#begin(this.#tables.name.slot)
    this.#remove(name, types, true, counters)
    return visible
  }

  /** EXPIRE and its kin; Infinity is PERSIST. False: no visible key. */
  expire(name: string, atMs: number): boolean {
    const ref = this.#tables.findText(name)
    if (ref === 0 || !this.#tables.isLive(ref) || this.#tables.hasExpired(ref)) return false
    this.#begin(this.#tables.name.slot)
    this.#writeTtl(name, atMs)
    return true
  }

  flushSlot(slot: number): void {
    const tables = this.#tables
    const keys: FlushedKey[] = []
    let live = false
    tables.finishJoin(slot)
    tables.index.forEach(slot, (ref) => {
      live ||= tables.isLive(ref)
      const counters = this.#countersAt(ref)
      const deletes = this.#deletesAt(ref)
      if (counters !== noRemovedCounters || deletes !== 0)
        keys.push({ key: tables.nameOf(ref), counters, deletes })
    })
    if (!live) return
    this.#begin(slot)
    this.#draft.effects.flush(this.#stamp, keys)
    tables.isFlushing = true
    this.#applier.flush(this.#stamp, keys)
    tables.isFlushing = false
  }

  /**
   * The expiry of a key, or of some of its fields, as far as this cluster is to send it now. Returns how many fields of the
   * key are still due.
   */
  deleteDue(name: string): number {
    const tables = this.#tables
    const ref = tables.findText(name)
    if (ref === 0) return 0
    if (tables.dueMs(ref) <= tables.nowMs) {
      this.delete(name)
      return 0
    }
    const due = tables.dueFields(ref)
    const fields = due.slice(0, dueFieldsMax)
    if (fields.length === 0) return 0
    this.#begin(tables.name.slot)
    this.#cleanUpKeepingTtl(name, tables.stateOf(ref), TypeBit.hash)
    this.removeFields(name, fields)
    this.tellFieldExpiry(name)
    return due.length - fields.length
  }

  /** Returns how many are new. Those already there are added again: they shall survive a removal that is under way. */
  setAdd(name: string, members: readonly string[]): number {
    const unique = members.length === 1 ? members : [...new Set(members)]
    if (unique.length === 0) return 0
    const fresh = this.open(name, TypeBit.set)
    const sizeBefore = this.#sizeOf(name)
    this.#draft.effects.addMembers(this.#stamp, name, fresh, unique)
    this.#applier.addMembers(this.#stamp, name, fresh, unique)
    return this.#sizeOf(name) - sizeBefore
  }

  /** Returns how many were there. */
  setRemove(name: string, members: readonly string[]): number {
    const present = presentIn(this.keyspace.set(name), members)
    if (present.length === 0) return 0
    this.open(name, TypeBit.set)
    this.#draft.effects.removeMembers(this.#stamp, name, present)
    this.#applier.removeMembers(this.#stamp, name, present)
    return present.length
  }

  /**
   * ZADD. The caller has decided the conditions; with GT or LT the write carries its tag, so that of concurrent ones the
   * greatest or the least shows.
   */
  zsetAdd(name: string, member: string, score: number, tag?: 'GT' | 'LT'): void {
    const fresh = this.open(name, TypeBit.zset)
    const resets = this.onHeap(name)?.zset?.memberResets(member, this.keyspace.origin) ?? noResets
    const carried = this.tagOf(tag)
    this.#draft.effects.setScore(this.#stamp, name, fresh, member, score, carried, resets)
    this.#applier.setScore(this.#stamp, name, fresh, member, score, carried, resets)
  }

  /** ZINCRBY; the caller has seen that the sum is a number. Returns the new score. */
  zsetIncrement(name: string, member: string, increment: number): number {
    const fresh = this.open(name, TypeBit.zset)
    const stamp = this.#stamp
    const { from, sum, rest } = this.#scoreOf(name, member).nextIncrement(stamp, increment)
    this.#draft.effects.incrementScore(stamp, name, fresh, member, from, sum, rest)
    this.#applier.incrementScore(stamp, name, fresh, member, from, sum, rest)
    return this.#scoreOf(name, member).shown() ?? 0
  }

  /** Returns how many of the members were there. */
  zsetRemove(name: string, members: readonly string[]): number {
    const present = presentIn(this.keyspace.sortedSet(name), members)
    if (present.length === 0) return 0
    this.open(name, TypeBit.zset)
    const resets = this.memberResetsOf(this.onHeap(name), present)
    this.#draft.effects.removeScores(this.#stamp, name, present, resets)
    this.#applier.removeScores(this.#stamp, name, present, resets)
    return present.length
  }

  // ---- rules that tests break on purpose (`test/crdt/faults.ts`)

  /** Rule D5: a write that is no TTL write leaves a finite TTL alone, and stands itself for "none" when none shows. */
  protected ttlOfKeepingWrite(state: KeyState): number {
    return state.expireAtMs() === never ? never : keepTtl
  }

  /** Rule A4: always when the key doesn't exist here, ghost or not; another replica may have one. */
  protected isFresh(_known: boolean, live: boolean): boolean {
    return !live
  }

  /** Rule A1. */
  protected countersOf(state: KeyState, types: number = allTypes): RemovedCounters {
    return state.removedCounters(types, this.keyspace.origin)
  }

  /** Rule A1: the live types that leave a delete stamp. */
  protected deletesOf(state: KeyState): number {
    return state.liveTypes & deleteWinsTypes
  }

  #deletesAt(ref: Ref): number {
    const tables = this.#tables
    const isSimple = tables.state(ref) === undefined && tables.typeOf(ref) !== 'hll'
    return isSimple ? 0 : this.deletesOf(tables.stateOf(ref))
  }

  #countersAt(ref: Ref): RemovedCounters {
    const tables = this.#tables
    const isSimple = tables.holdsText(ref) || tables.isPacked(ref) || tables.isCounterOf(ref, tables.origin)
    return isSimple ? noRemovedCounters : this.countersOf(this.#tables.stateOf(ref))
  }

  /** Rule A1. */
  protected memberResetsOf(state: KeyState | undefined, members: readonly string[]): ElementReset<number>[] {
    return elementResets(
      members,
      (member) => state?.zset?.memberResets(member, this.keyspace.origin) ?? noResets,
    )
  }

  protected tagOf(tag: 'GT' | 'LT' | undefined): Tag {
    return tag === undefined ? Tag.none : tag === 'GT' ? Tag.greater : Tag.less
  }

  /** Rule B2: whether removing the string would take the infinity along that the key shows. */
  protected losesInfinity(state: KeyState, removed: number): boolean {
    return (removed & TypeBit.string) !== 0 && state.ttl.length > 0 && state.expireAtMs() === never
  }

  // ---- effects

  /** Opens the slot's part and takes a stamp for one intent. */
  #begin(slot: number): void {
    const draft = this.#aim(this.#drafts.of(slot))
    const stamp = this.#clock.next(this.#nowMs, draft.last)
    if (draft.first === 0) draft.first = stamp
    draft.last = stamp
    this.#stamp = stamp
  }

  #aim(draft: Draft): Draft {
    this.#draft = draft
    this.#applier.aim(draft.slot, this.#clock.origin, draft.context)
    return draft
  }

  protected open(name: string, type: number): boolean {
    this.tellArrival(name)
    this.#begin(this.#tables.slotOf(name))
    const ref = this.#tables.findText(name)
    if (ref === 0) return this.isFresh(false, false)
    if (this.#tables.holdsText(ref) && type !== TypeBit.hll && !this.#tables.hasExpired(ref)) {
      requireType(TypeBit.string, type)
      return this.isFresh(true, true)
    }
    if (this.#tables.isPacked(ref) && !this.#tables.hasExpired(ref)) {
      requireType(TypeBit[this.#tables.typeOf(ref) ?? 'string'], type)
      return this.isFresh(true, true)
    }
    const state = this.#tables.stateOf(ref)
    if (this.#deleteExpired(name, ref, state)) return true
    const visible = state.visibleType()
    if (visible === undefined) return this.isFresh(true, false)
    // A string may become the HyperLogLog that it spells.
    if (type !== TypeBit.hll || visible !== 'string') requireType(TypeBit[visible], type)
    this.#cleanUpKeepingTtl(name, state, type)
    return false
  }

  /** Before a write that isn't a TTL write. */
  #cleanUpKeepingTtl(name: string, state: KeyState, type: number): void {
    const losesInfinity = this.losesInfinity(state, state.liveTypes & ~type)
    this.#cleanUp(name, state, type)
    if (losesInfinity) this.#writeTtl(name, never)
  }

  /** True: the key had expired and is deleted now. */
  #deleteExpired(name: string, ref: Ref, state: KeyState): boolean {
    if (!state.live || !this.#tables.hasExpired(ref)) return false
    this.#remove(name, allTypes | this.deletesOf(state), true, this.countersOf(state))
    return true
  }

  /** Removes what is there of other types than `type`, as DEL would. */
  #cleanUp(name: string, state: KeyState, type: number): void {
    const dotted = state.liveTypes & allTypes
    const hidden = (dotted | this.deletesOf(state)) & ~type
    if (hidden !== 0) this.#remove(name, hidden, false, this.countersOf(state, hidden))
  }

  #stateOf(name: string): KeyState | undefined {
    const ref = this.#tables.findText(name)
    return ref === 0 ? undefined : this.#tables.stateOf(ref)
  }

  /** The score's state, whatever form it has. */
  #scoreOf(name: string, member: string): Score {
    const ref = this.#tables.findText(name)
    if (ref === 0) return noScore
    const packed = this.#tables.packedScores(ref)
    return packed?.memberState(member) ?? this.#tables.state(ref)?.zset?.memberState(member) ?? noScore
  }

  protected write(effect: (sink: EffectSink, stamp: Stamp) => void): void {
    effect(this.#draft.effects, this.#stamp)
    effect(this.#applier, this.#stamp)
  }

  /** Members of the set. */
  #sizeOf(name: string): number {
    const ref = this.#tables.findText(name)
    if (ref === 0) return 0
    const state = this.#tables.state(ref)
    if (state === undefined) return this.#tables.packed(ref)?.size ?? 0
    return state.set?.size ?? 0
  }

  #setText(name: string, value: string, atMs: number, resets: readonly CounterReset[]): void {
    this.#draft.effects.setText(this.#stamp, name, value, atMs, resets)
    this.#applier.setText(this.#stamp, name, value, atMs, resets)
  }

  #remove(name: string, types: number, endsTtl: boolean, counters: RemovedCounters): void {
    this.#draft.effects.remove(this.#stamp, name, types, endsTtl, counters)
    this.#applier.remove(this.#stamp, name, types, endsTtl, counters)
  }

  #writeTtl(name: string, atMs: number): void {
    this.#draft.effects.writeTtl(this.#stamp, name, atMs)
    this.#applier.writeTtl(this.#stamp, name, atMs)
  }
}
