/**
 * The state of one key: a state per type, and the TTL writes (`DESIGN.md`).
 *
 * Concurrent writes of different types leave several typed states under one key; the one with the greatest live stamp
 * shows (rules D8, B4). That is a function of the live state alone: replicas that met the writes in different orders
 * agree. A local write removes the hidden states (`Transaction`), so the others live only until somebody writes.
 *
 * A key exists while a typed state is live. What may outlive it: baselines of reset counters (`counter.ts`) and TTL writes
 * concurrent with the delete, "ghosts", which an unseen write to the key still needs (rule D7).
 */

import { type Origin, originOf, type Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import type { Amount } from './amount.ts'
import type { CounterEntry, CounterReset, ElementReset } from './counter.ts'
import { noResets } from './counter.ts'
import type { Ranked } from './elementHash.ts'
import { HashState } from './hash.ts'
import { HllState } from './hll.ts'
import type { HyperLogLog } from './hyperLogLog.ts'
import { type IdRange, ListState } from './list.ts'
import type { ListId, Side } from './listId.ts'
import { Sibling } from './register.ts'
import type { Tag } from './score.ts'
import { SetState } from './set.ts'
import { SortedSetState } from './sortedSet.ts'
import { StreamState } from './stream.ts'
import { noStrnum, Strnum } from './strnum.ts'
import { mergeTtl, noTtlWrites, shownTtl, type TtlWrites, withoutCoveredTtl, withTtlWrite } from './ttl.ts'

export type KeyType = 'string' | 'hash' | 'set' | 'zset' | 'list' | 'stream' | 'hll'

/** Bits of the types, in effects and in slot states; 8 is taken there. */
export const TypeBit = { string: 1, hash: 2, set: 4, zset: 16, list: 32, stream: 64, hll: 128 } as const
const typeNames: ReadonlyMap<number, KeyType> = new Map(
  (Object.keys(TypeBit) as KeyType[]).map((type) => [TypeBit[type], type]),
)
/** Of those whose removal is what its context covers: a DEL names them all, whatever it found. */
export const allTypes = TypeBit.string | TypeBit.hash | TypeBit.set | TypeBit.zset | TypeBit.list
/** Of those that a delete wins over (`deleteWins.ts`): an effect that names one leaves a delete stamp, so only if it was live. */
export const deleteWinsTypes: number = TypeBit.stream | TypeBit.hll

/** The live counters of other origins that an effect removes, as its origin saw them. */
export interface RemovedCounters {
  readonly string: readonly CounterReset[]
  readonly fields: readonly ElementReset[]
  readonly scores: readonly ElementReset<number>[]
}

export const noRemovedCounters: RemovedCounters = { string: noResets, fields: [], scores: [] }

/** In place of a time: the write leaves the TTL as it is. */
export const keepTtl = -1

const stateBytes = 80
const ttlWriteBytes = 60

export class KeyState {
  string: Strnum | undefined = undefined
  hash: HashState | undefined = undefined
  set: SetState | undefined = undefined
  zset: SortedSetState | undefined = undefined
  list: ListState | undefined = undefined
  stream: StreamState | undefined = undefined
  hll: HllState | undefined = undefined
  /** The explicit ones; see `ttl.ts`. */
  ttl: TtlWrites = noTtlWrites
  /** When the store wants to look at the hash, because a field may have expired then. */
  fieldsLookMs = Number.POSITIVE_INFINITY
  /** Of a key with two live types; forgotten at each change. */
  #visibleConflict: KeyType | undefined = undefined

  /** The state that one SET leaves; without a TTL (Infinity) it is itself the TTL write "none". */
  static ofText(text: string, stamp: Stamp, expireAtMs: number): KeyState {
    const state = new KeyState()
    const string = new Strnum()
    const ttlApart = expireAtMs !== Number.POSITIVE_INFINITY
    string.siblings = [new Sibling(stamp, text, ttlApart)]
    state.string = string
    if (ttlApart) state.ttl = [{ stamp, expireAtMs }]
    return state
  }

  /** The write that is the whole state, its TTL included, if one is. */
  get onlyWrite(): Sibling | undefined {
    const { string, ttl } = this
    if (string === undefined || ttl.length > 1 || this.presentTypes !== TypeBit.string) return undefined
    const sibling = string.siblings[0]
    if (sibling === undefined || string.siblings.length > 1 || string.entries.length > 0) return undefined
    const [ttlWrite] = ttl
    const ofOneWrite =
      ttlWrite === undefined
        ? !sibling.ttlApart
        : sibling.ttlApart &&
          ttlWrite.stamp === sibling.stamp &&
          ttlWrite.expireAtMs !== Number.POSITIVE_INFINITY
    return ofOneWrite ? sibling : undefined
  }

  /** Bits of the types that have a state, hidden ones and residues included. */
  get presentTypes(): number {
    return (
      (this.string === undefined ? 0 : TypeBit.string) |
      (this.hash === undefined ? 0 : TypeBit.hash) |
      (this.set === undefined ? 0 : TypeBit.set) |
      (this.zset === undefined ? 0 : TypeBit.zset) |
      (this.list === undefined ? 0 : TypeBit.list) |
      (this.stream === undefined ? 0 : TypeBit.stream) |
      (this.hll === undefined ? 0 : TypeBit.hll)
    )
  }

  /** On the heap, about. */
  get usedBytes(): number {
    return (
      stateBytes +
      (this.string?.usedBytes ?? 0) +
      (this.hash?.usedBytes ?? 0) +
      (this.set?.usedBytes ?? 0) +
      (this.zset?.usedBytes ?? 0) +
      (this.list?.usedBytes ?? 0) +
      (this.stream?.usedBytes ?? 0) +
      (this.hll?.usedBytes ?? 0) +
      this.ttl.length * ttlWriteBytes
    )
  }

  // ---- what shows

  /** Bits of the types with live state. */
  get liveTypes(): number {
    return (
      (this.string?.live ? TypeBit.string : 0) |
      (this.hash?.live ? TypeBit.hash : 0) |
      (this.set !== undefined && this.set.size > 0 ? TypeBit.set : 0) |
      (this.zset !== undefined && this.zset.size > 0 ? TypeBit.zset : 0) |
      (this.list !== undefined && this.list.size > 0 ? TypeBit.list : 0) |
      (this.stream?.live ? TypeBit.stream : 0) |
      (this.hll?.live ? TypeBit.hll : 0)
    )
  }

  get live(): boolean {
    return this.liveTypes !== 0
  }

  /** Neither value nor residue. */
  get nothing(): boolean {
    return this.presentTypes === 0 && this.ttl.length === 0
  }

  /** TTL writes of a key, or of a field, that doesn't exist. */
  get hasGhost(): boolean {
    return this.hash?.hasGhost === true || (this.ttl.length > 0 && !this.live)
  }

  /** Residues of counters. */
  get hasBaselines(): boolean {
    return (
      this.string?.hasResidue === true ||
      this.hash?.residueFields !== undefined ||
      this.zset?.residueMembers !== undefined
    )
  }

  /** Stamps of deletes that unseen adds lose to. */
  get hasDeletes(): boolean {
    return this.stream?.hasDeletes === true || (this.hll !== undefined && this.hll.deletes.length > 0)
  }

  visibleType(): KeyType | undefined {
    const { liveTypes } = this
    if (liveTypes === 0) return undefined
    const only = typeNames.get(liveTypes)
    if (only !== undefined) return only
    this.#visibleConflict ??= this.greatestType()
    return this.#visibleConflict
  }

  /** The type that holds the greatest live stamp. */
  greatestType(): KeyType {
    const greatest: [KeyType, Stamp][] = [
      ['string', this.string?.greatest() ?? 0],
      ['hash', this.hash?.live ? this.hash.greatest() : 0],
      ['set', this.set?.greatest() ?? 0],
      ['zset', this.zset !== undefined && this.zset.size > 0 ? this.zset.greatest() : 0],
      ['list', this.list?.greatest() ?? 0],
      ['stream', this.stream?.greatest() ?? 0],
      ['hll', this.hll?.greatest ?? 0],
    ]
    return greatest.reduce((a, b) => (b[1] > a[1] ? b : a))[0]
  }

  /** Whether a string write stands for the TTL write "none". */
  get hasImplicitTtl(): boolean {
    return this.string?.siblings.some((sibling) => !sibling.ttlApart) === true
  }

  /** Infinity: none. */
  expireAtMs(): number {
    if (this.ttl.length === 0 || this.hasImplicitTtl) return Number.POSITIVE_INFINITY
    return shownTtl(this.ttl)?.expireAtMs ?? Number.POSITIVE_INFINITY
  }

  /** Whether what shows is a hash all of whose fields have expired. */
  allFieldsPassed(nowMs: number): boolean {
    return this.hash?.hasPassed(nowMs) === true && this.visibleType() === 'hash'
  }

  /** When the first field of the hash that shows expires; Infinity: none does. */
  get soonestFieldExpiryMs(): number {
    const soonestMs = this.hash?.soonestExpiryMs ?? Number.POSITIVE_INFINITY
    return soonestMs === Number.POSITIVE_INFINITY || this.visibleType() === 'hash'
      ? soonestMs
      : Number.POSITIVE_INFINITY
  }

  /** Whose TTL shows; undefined without a finite one. */
  expiryOwner(): Origin | undefined {
    const shown = this.hasImplicitTtl ? undefined : shownTtl(this.ttl)
    return shown === undefined || shown.expireAtMs === Number.POSITIVE_INFINITY
      ? undefined
      : originOf(shown.stamp)
  }

  // ---- prepare

  /** The live counters of the types in `types` that `remover` has to name when it removes them. */
  removedCounters(types: number, remover: Origin): RemovedCounters {
    const string = types & TypeBit.string ? (this.string?.resets(remover) ?? noResets) : noResets
    const fields = types & TypeBit.hash ? (this.hash?.resets(remover) ?? []) : []
    const scores = types & TypeBit.zset ? (this.zset?.resets(remover) ?? []) : []
    const none = string.length === 0 && fields.length === 0 && scores.length === 0
    return none ? noRemovedCounters : { string, fields, scores }
  }

  // ---- apply. `context` covers what the effect's origin had seen, its own earlier effects included.

  /** `expireAtMs`: `keepTtl`, Infinity (none, which the write itself then stands for), or a time. */
  setText(
    context: VersionVector,
    stamp: Stamp,
    text: string,
    expireAtMs: number,
    resets: readonly CounterReset[],
  ): void {
    this.#visibleConflict = undefined
    if (expireAtMs !== keepTtl) this.clearTtl(context)
    this.string ??= new Strnum()
    const ttlApart = expireAtMs !== Number.POSITIVE_INFINITY
    this.string.write(context, new Sibling(stamp, text, ttlApart), resets)
    if (ttlApart && expireAtMs !== keepTtl) this.ttl = withTtlWrite(this.ttl, { stamp, expireAtMs })
  }

  /**
   * `setText` of what the write `base` left, patched. Where that is gone, in a replay over a later state, what the patch removed goes all
   * the same: something before it in the log may have brought it back.
   */
  patchText(
    context: VersionVector,
    stamp: Stamp,
    base: Stamp,
    keepsTtl: boolean,
    offset: number,
    patch: string,
  ): void {
    const text = this.string?.textPatched(base, offset, patch)
    if (text !== undefined) {
      this.setText(context, stamp, text, keepsTtl ? keepTtl : Number.POSITIVE_INFINITY, noResets)
      return
    }
    this.#visibleConflict = undefined
    if (!keepsTtl) this.clearTtl(context)
    this.string?.remove(context, noResets, stamp)
    this.dropEmpty()
  }

  increment(stamp: Stamp, from: Stamp, sum: Amount): void {
    this.#visibleConflict = undefined
    this.string ??= new Strnum()
    this.string.increment(stamp, from, sum)
  }

  setField(
    context: VersionVector,
    stamp: Stamp,
    field: string,
    text: string,
    resets: readonly CounterReset[],
  ): void {
    this.#visibleConflict = undefined
    this.hash ??= new HashState()
    this.hash.setField(context, stamp, field, text, resets)
  }

  incrementField(stamp: Stamp, field: string, from: Stamp, sum: Amount): void {
    this.#visibleConflict = undefined
    this.hash ??= new HashState()
    this.hash.incrementField(stamp, field, from, sum)
  }

  /** HEXPIRE, and HPERSIST with Infinity. */
  writeFieldTtl(context: VersionVector, stamp: Stamp, fields: readonly string[], expireAtMs: number): void {
    this.hash ??= new HashState()
    for (const field of fields) this.hash.writeFieldTtl(context, stamp, field, expireAtMs)
    this.dropEmpty()
  }

  removeFields(
    context: VersionVector,
    stamp: Stamp,
    fields: readonly string[],
    resets: readonly ElementReset[],
  ): void {
    this.#visibleConflict = undefined
    if (this.hash === undefined) return
    for (const field of fields) this.hash.removeField(context, stamp, field, noResets)
    for (const reset of resets) this.hash.removeField(context, stamp, reset.element, reset.resets)
    this.dropEmpty()
  }

  addMembers(context: VersionVector, stamp: Stamp, members: readonly string[]): void {
    this.#visibleConflict = undefined
    this.set ??= new SetState()
    for (const member of members) this.set.add(context, stamp, member)
  }

  removeMembers(context: VersionVector, members: readonly string[]): void {
    this.#visibleConflict = undefined
    if (this.set === undefined) return
    for (const member of members) this.set.remove(context, member)
    this.dropEmpty()
  }

  setScore(
    context: VersionVector,
    stamp: Stamp,
    member: string,
    score: number,
    tag: Tag,
    resets: readonly CounterReset<number>[],
  ): void {
    this.#visibleConflict = undefined
    this.zset ??= new SortedSetState()
    this.zset.setScore(context, stamp, member, score, tag, resets)
  }

  incrementScore(stamp: Stamp, member: string, from: Stamp, sum: number, rest: number): void {
    this.#visibleConflict = undefined
    this.zset ??= new SortedSetState()
    this.zset.increment(stamp, member, from, sum, rest)
  }

  removeScores(
    context: VersionVector,
    stamp: Stamp,
    members: readonly string[],
    resets: readonly ElementReset<number>[],
  ): void {
    this.#visibleConflict = undefined
    if (this.zset === undefined) return
    for (const member of members) this.zset.removeMember(context, stamp, member, noResets)
    for (const reset of resets) this.zset.removeMember(context, stamp, reset.element, reset.resets)
    this.dropEmpty()
  }

  pushElements(context: VersionVector, stamp: Stamp, side: Side, values: readonly string[]): void {
    this.#visibleConflict = undefined
    if (values.length === 0) return
    this.list ??= new ListState()
    this.list.push(context, stamp, side, values)
  }

  writeElement(context: VersionVector, stamp: Stamp, id: ListId, text: string): void {
    this.#visibleConflict = undefined
    this.list ??= new ListState()
    this.list.write(context, stamp, id, text)
  }

  removeElements(context: VersionVector, ranges: readonly IdRange[], coversAll: boolean): void {
    this.#visibleConflict = undefined
    if (this.list === undefined) return
    for (const range of ranges) this.list.remove(context, range, coversAll)
    this.dropEmpty()
  }

  /** A change of the stream, which there is from then on if it is live. */
  changeStream(change: (stream: StreamState) => void): void {
    this.#visibleConflict = undefined
    this.stream ??= new StreamState()
    change(this.stream)
    this.dropEmpty()
  }

  raiseRegisters(context: VersionVector, stamp: Stamp, values: readonly Ranked[], dense: boolean): void {
    this.#visibleConflict = undefined
    this.hll ??= new HllState()
    this.hll.raise(context, stamp, values, dense)
    this.dropEmpty()
  }

  joinRegisters(context: VersionVector, stamp: Stamp, registers: HyperLogLog): void {
    this.#visibleConflict = undefined
    this.hll ??= new HllState()
    this.hll.join(context, stamp, registers)
    this.dropEmpty()
  }

  /**
   * Removes what `context` covers of the types in `types`; of counters what `counters` says. `coversAll`: the context covers
   * all that the slot has.
   */
  remove(
    context: VersionVector,
    stamp: Stamp,
    types: number,
    counters: RemovedCounters,
    coversAll: boolean,
  ): void {
    this.#visibleConflict = undefined
    if (types & TypeBit.string) this.string?.remove(context, counters.string, stamp)
    if (types & TypeBit.hash) this.hash?.removeAll(context, stamp, counters.fields, coversAll)
    if (types & TypeBit.set) this.set?.removeAll(context, coversAll)
    if (types & TypeBit.zset) this.zset?.removeAll(context, stamp, counters.scores, coversAll)
    if (types & TypeBit.list) this.list?.removeAll(context, coversAll)
    if (types & TypeBit.stream) {
      this.stream ??= new StreamState()
      this.stream.delete(context, stamp)
    }
    if (types & TypeBit.hll) {
      this.hll ??= new HllState()
      this.hll.delete(stamp)
    }
    this.dropEmpty()
  }

  /** EXPIRE, and PERSIST with Infinity. */
  writeTtl(context: VersionVector, stamp: Stamp, expireAtMs: number): void {
    this.clearTtl(context)
    this.ttl = withTtlWrite(this.ttl, { stamp, expireAtMs })
  }

  /** Ends the TTL writes that `context` covers, also those that string writes stand for. */
  clearTtl(context: VersionVector): void {
    this.ttl = withoutCoveredTtl(this.ttl, context)
    this.string?.setTtlApart(context)
  }

  // ---- merge, residues

  /** Joins `other`, labelled `label`, into this state, which `own` labels. `other` may not be used afterwards. */
  merge(own: VersionVector, other: KeyState, label: VersionVector): void {
    for (const steps = this.merging(own, other, label); steps.next().done !== true; );
  }

  /** The same in small steps: nothing may use the state until the last. */
  *merging(own: VersionVector, other: KeyState, label: VersionVector): Generator<void> {
    this.#visibleConflict = undefined
    if (this.string !== undefined || other.string !== undefined) {
      this.string ??= new Strnum()
      this.string.merge(own, other.string ?? noStrnum, label)
    }
    // What is on one side alone is joined the other way round, which is the same: it need not be built a second time.
    if (this.hash !== undefined) yield* this.hash.merging(own, other.hash ?? new HashState(), label)
    else if (other.hash !== undefined) {
      this.hash = other.hash
      yield* this.hash.merging(label, new HashState(), own)
    }
    if (this.set !== undefined) yield* this.set.merging(own, other.set ?? new SetState(), label)
    else if (other.set !== undefined) {
      this.set = other.set
      yield* this.set.merging(label, new SetState(), own)
    }
    if (this.zset !== undefined) yield* this.zset.merging(own, other.zset ?? new SortedSetState(), label)
    else if (other.zset !== undefined) {
      this.zset = other.zset
      yield* this.zset.merging(label, new SortedSetState(), own)
    }
    if (this.list !== undefined) yield* this.list.merging(own, other.list ?? new ListState(), label)
    else if (other.list !== undefined) {
      this.list = other.list
      yield* this.list.merging(label, new ListState(), own)
    }
    if (this.stream !== undefined || other.stream !== undefined) {
      this.stream ??= new StreamState()
      yield* this.stream.merging(own, other.stream ?? new StreamState(), label)
    }
    if (this.hll !== undefined || other.hll !== undefined) {
      this.hll ??= new HllState()
      this.hll.mergeWith(own, other.hll ?? new HllState(), label)
    }
    this.ttl = mergeTtl(this.ttl, own, other.ttl, label)
    this.dropEmpty()
  }

  /** Forgets baselines of fully reset counter entries. Returns whether some are left. */
  forgetBaselines(mayForget: (entry: CounterEntry) => boolean): boolean {
    this.string?.forget(mayForget)
    this.hash?.forget(mayForget)
    this.zset?.forget(mayForget)
    this.dropEmpty()
    return this.hasBaselines
  }

  /** Forgets delete stamps. Returns whether some are left. */
  forgetDeletes(mayForget: (stamp: Stamp) => boolean): boolean {
    this.stream?.forgetDeletes(mayForget)
    this.hll?.forget(mayForget)
    this.dropEmpty()
    return this.hasDeletes
  }

  /** Of the types that deletes win over: what is here has been deleted elsewhere. */
  clearDeleteWins(): void {
    this.#visibleConflict = undefined
    this.stream?.clearGroups()
    this.hll?.clear()
    this.dropEmpty()
  }

  forgetGhost(): void {
    if (!this.live) this.ttl = noTtlWrites
    this.hash?.forgetGhosts()
    this.dropEmpty()
  }

  dropEmpty(): void {
    if (this.string?.nothing) this.string = undefined
    if (this.hash?.nothing) this.hash = undefined
    if (this.set !== undefined && this.set.size === 0) this.set = undefined
    if (this.zset?.nothing) this.zset = undefined
    if (this.list !== undefined && this.list.size === 0) this.list = undefined
    if (this.stream?.nothing) this.stream = undefined
    if (this.hll?.nothing) this.hll = undefined
  }
}
