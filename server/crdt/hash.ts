/**
 * A hash: field -> STRNUM, add and update win. HDEL removes what its origin saw of the field, resets included, so a
 * concurrent HSET or HINCRBY survives. A field whose increments are all reset stays, unseen, while its baselines must
 * (`residueFields`); it counts in neither `size` nor any reply.
 *
 * A field may have a TTL, as a key may (`ttl.ts`), beside the fields, since hardly any has (`fieldTtls.ts`). HSET is a TTL
 * write, "none", for which its register sibling stands until a TTL write of the field covers it; HINCRBY is none, unless
 * it creates the field. Expired fields are still here: who reads hides them (`server/store/unexpired.ts`).
 */

import { type Origin, originOf, type Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Random } from '#runtime/ports.ts'
import type { Amount } from './amount.ts'
import type { CounterEntry, CounterReset, ElementReset } from './counter.ts'
import { elementResets, noResets } from './counter.ts'
import { type ElementPosition, encodeElements } from './elementPieces.ts'
import { type ElementRef, ElementTable, noElement } from './elementTable.ts'
import { FieldTtls } from './fieldTtls.ts'
import { Sibling } from './register.ts'
import { noStrnum, Strnum } from './strnum.ts'
import { readField, writeFullField, writeTextField, writeTimedField } from './strnumCodec.ts'
import { mergeTtl, noTtlWrites, shownTtl, type TtlWrites, withoutCoveredTtl, withTtlWrite } from './ttl.ts'

/** Draws of a random field before the first live one is taken. */
const drawsMax = 64

/** Heap of an empty hash. */
const hashBytes = 400
const never = Number.POSITIVE_INFINITY
const noFields: ReadonlySet<string> = new Set()
/** Of a merge in steps. */
const timedAtOnce = 512

export class HashState {
  /** Fields with a live value. */
  size = 0
  /** Fields that hold baselines of reset counters. */
  residueFields: Set<string> | undefined = undefined
  /** Fields that have counter entries, live or not. */
  #counterFields: Set<string> | undefined = undefined
  readonly #fields: ElementTable<Strnum> = new ElementTable()
  /** Of the few hashes whose fields have, or had, TTLs. */
  #ttls: FieldTtls | undefined = undefined

  get live(): boolean {
    return this.size > 0
  }

  /** Neither value nor residue. */
  get nothing(): boolean {
    return this.#fields.size === 0 && this.#ttls === undefined
  }

  /** On the heap, as measured. */
  get usedBytes(): number {
    return hashBytes + this.#fields.usedBytes + (this.#ttls?.usedBytes ?? 0)
  }

  // ---- what shows

  get(name: string): string | undefined {
    const ref = this.#fields.find(name)
    return ref === noElement ? undefined : this.#shown(ref)
  }

  has(name: string): boolean {
    const ref = this.#fields.find(name)
    return ref !== noElement && this.#isLive(ref)
  }

  *entries(): IterableIterator<[string, string]> {
    for (const ref of this.#fields.refs()) {
      const text = this.#shown(ref)
      if (text !== undefined) yield [this.#fields.name(ref), text]
    }
  }

  *fields(): IterableIterator<string> {
    for (const ref of this.#fields.refs()) if (this.#isLive(ref)) yield this.#fields.name(ref)
  }

  randomField(random: Random): string {
    for (let draw = 0; draw < drawsMax; draw++) {
      const ref = this.#fields.random(random)
      if (ref !== noElement && this.#isLive(ref)) return this.#fields.name(ref)
    }
    // Nearly all are residues.
    for (const name of this.fields()) return name
    return ''
  }

  scan(position: number, count: number, visit: (field: string, value: string) => void): number {
    return this.#fields.scan(position, count, (ref) => {
      const text = this.#shown(ref)
      if (text !== undefined) visit(this.#fields.name(ref), text)
    })
  }

  #shown(ref: ElementRef): string | undefined {
    return this.#fields.isFull(ref) ? this.#fields.full(ref).shown() : this.#fields.text(ref)
  }

  #isLive(ref: ElementRef): boolean {
    return !this.#fields.isFull(ref) || this.#fields.full(ref).live
  }

  // ---- when fields expire

  /** Infinity: it doesn't. */
  expireAtMs(name: string): number {
    return this.#ttls?.expireAtMs(name) ?? never
  }

  /** Whose TTL shows, of a field that expires. */
  expiryOwner(name: string): Origin | undefined {
    const shown = shownTtl(this.#ttls?.writes(name) ?? noTtlWrites)
    return shown === undefined ? undefined : originOf(shown.stamp)
  }

  /** When the first field expires. */
  get soonestExpiryMs(): number {
    return this.#ttls?.soonestMs() ?? never
  }

  /** Fields whose time has passed, deleted here or not. */
  passed(nowMs: number): ReadonlySet<string> {
    return this.#ttls?.passed(nowMs) ?? noFields
  }

  /** Whether all fields have passed. */
  hasPassed(nowMs: number): boolean {
    const ttls = this.#ttls
    return (
      this.size > 0 && ttls !== undefined && ttls.size - ttls.ghosts >= this.size && !ttls.hasUnpassed(nowMs)
    )
  }

  /** TTL writes of fields without a value. */
  get hasGhost(): boolean {
    return this.#ttls !== undefined && this.#ttls.ghosts > 0
  }

  forgetGhosts(): void {
    this.#ttls?.forgetGhosts()
    if (this.#ttls?.size === 0) this.#ttls = undefined
  }

  /** To be called with its TTL writes after a change of the field or of them. */
  #keepTtl(name: string, writes: TtlWrites): void {
    if (this.#ttls === undefined && writes.length === 0) return
    this.#ttls ??= new FieldTtls()
    const ref = this.#fields.find(name)
    const isGhost = ref === noElement || !this.#isLive(ref)
    this.#ttls.set(name, writes, isGhost ? never : this.#shownExpiry(ref, writes), isGhost)
    if (this.#ttls.size === 0) this.#ttls = undefined
  }

  #shownExpiry(ref: ElementRef, writes: TtlWrites): number {
    // A text alone is itself the TTL write "none".
    if (!this.#fields.isFull(ref) || this.#fields.full(ref).siblings.some(({ ttlApart }) => !ttlApart))
      return never
    return shownTtl(writes)?.expireAtMs ?? never
  }

  /** Ends the field's TTL writes that `context` covers; to be called after its value has changed. */
  clearFieldTtl(context: VersionVector, name: string): void {
    if (this.#ttls !== undefined) this.#keepTtl(name, withoutCoveredTtl(this.#ttls.writes(name), context))
  }

  /** HEXPIRE, and HPERSIST with Infinity. */
  writeFieldTtl(context: VersionVector, stamp: Stamp, name: string, expireAtMs: number): void {
    const ref = this.#fields.find(name)
    if (ref !== noElement) {
      const state = this.#stateOf(ref)
      state.setTtlApart(context)
      this.#settle(name, state, state.live)
    }
    const left = withoutCoveredTtl(this.#ttls?.writes(name) ?? noTtlWrites, context)
    this.#keepTtl(name, withTtlWrite(left, { stamp, expireAtMs }))
  }

  /** The field's state; a text is spelled out, into a state of its own. */
  #stateOf(ref: ElementRef): Strnum {
    if (this.#fields.isFull(ref)) return this.#fields.full(ref)
    const state = new Strnum()
    state.siblings = [new Sibling(this.#fields.stamp(ref), this.#fields.text(ref), false)]
    return state
  }

  /** Of one that is no full state. */
  #covered(ref: ElementRef, context: VersionVector): boolean {
    return covers(context, this.#fields.stamp(ref))
  }

  // ---- prepare

  greatest(): Stamp {
    let greatest = 0
    this.#fields.forEach((ref) => {
      const stamp = this.#fields.isFull(ref) ? this.#fields.full(ref).greatest() : this.#fields.stamp(ref)
      if (stamp > greatest) greatest = stamp
    })
    return greatest
  }

  fieldResets(name: string, remover: Origin): readonly CounterReset[] {
    return this.#counterFields === undefined ? noResets : this.fieldState(name).resets(remover)
  }

  /** Of all fields, for an effect that removes the hash. */
  resets(remover: Origin): ElementReset[] {
    return elementResets(this.#counterFields ?? [], (name) => this.fieldResets(name, remover))
  }

  /** The counter entries of a field, to prepare an increment. */
  fieldState(name: string): Strnum {
    const ref = this.#fields.find(name)
    return ref === noElement || !this.#fields.isFull(ref) ? noStrnum : this.#fields.full(ref)
  }

  /** All that is held of a field, to be looked at; undefined: nothing. */
  fieldMetadata(name: string): { state: Strnum; ttl: TtlWrites } | undefined {
    const ref = this.#fields.find(name)
    const ttl = this.#ttls?.writes(name) ?? noTtlWrites
    if (ref === noElement) return ttl.length === 0 ? undefined : { state: noStrnum, ttl }
    return { state: this.#stateOf(ref), ttl }
  }

  /** Fields with TTL writes. */
  get timedFields(): number {
    return this.#ttls?.size ?? 0
  }

  // ---- apply

  setField(
    context: VersionVector,
    stamp: Stamp,
    name: string,
    text: string,
    resets: readonly CounterReset[],
  ): void {
    this.#writeField(context, stamp, name, text, resets)
    this.clearFieldTtl(context, name)
  }

  #writeField(
    context: VersionVector,
    stamp: Stamp,
    name: string,
    text: string,
    resets: readonly CounterReset[],
  ): void {
    const ref = this.#fields.find(name)
    if (ref === noElement) {
      this.load(name, text, stamp)
      return
    }
    if (!this.#fields.isFull(ref) && this.#covered(ref, context)) {
      this.#fields.put(name, stamp, text)
      return
    }
    const wasLive = this.#isLive(ref)
    const state = this.#stateOf(ref)
    state.write(context, new Sibling(stamp, text, false), resets)
    this.#settle(name, state, wasLive)
  }

  incrementField(stamp: Stamp, name: string, from: Stamp, sum: Amount): void {
    const ref = this.#fields.find(name)
    const wasLive = ref !== noElement && this.#isLive(ref)
    const state = ref === noElement ? new Strnum() : this.#stateOf(ref)
    state.increment(stamp, from, sum)
    this.#settle(name, state, wasLive)
    if (this.#ttls !== undefined) this.#keepTtl(name, this.#ttls.writes(name))
  }

  removeField(context: VersionVector, stamp: Stamp, name: string, resets: readonly CounterReset[]): void {
    this.#removeValue(context, stamp, name, resets)
    this.clearFieldTtl(context, name)
  }

  #removeValue(context: VersionVector, stamp: Stamp, name: string, resets: readonly CounterReset[]): void {
    const ref = this.#fields.find(name)
    if (ref === noElement) return
    if (!this.#fields.isFull(ref)) {
      if (!this.#covered(ref, context)) return
      this.#fields.delete(name)
      this.size--
      return
    }
    const state = this.#fields.full(ref)
    const wasLive = state.live
    state.remove(context, resets, stamp)
    this.#settle(name, state, wasLive)
  }

  /**
   * Removes of every field what `context` covers; counters of others only by `resets`. `coversAll`: it covers all that is here,
   * so that only counters need a look, however large the hash is.
   */
  removeAll(context: VersionVector, stamp: Stamp, resets: readonly ElementReset[], coversAll: boolean): void {
    if (coversAll) {
      this.#removeCovered(context, stamp, resets)
      return
    }
    this.#fields.forEach((ref) => {
      this.removeField(context, stamp, this.#fields.name(ref), noResets)
    })
    for (const name of this.#ttls?.names() ?? []) this.clearFieldTtl(context, name)
    for (const reset of resets) this.removeField(context, stamp, reset.element, reset.resets)
  }

  #removeCovered(context: VersionVector, stamp: Stamp, resets: readonly ElementReset[]): void {
    const resetsOf = new Map(resets.map((reset) => [reset.element, reset.resets]))
    const left: [string, Strnum][] = []
    for (const name of this.#counterFields ?? []) {
      const state = this.fieldState(name)
      state.remove(context, resetsOf.get(name) ?? noResets, stamp)
      if (!state.nothing) left.push([name, state])
    }
    this.#fields.clear()
    this.size = 0
    this.#ttls = undefined
    this.#counterFields = undefined
    this.residueFields = undefined
    for (const [name, state] of left) this.#settle(name, state, false)
  }

  #settle(name: string, state: Strnum, wasLive: boolean): void {
    this.size += (state.live ? 1 : 0) - (wasLive ? 1 : 0)
    this.#note(name, state)
    this.#keep(name, state)
  }

  /** The state in its smallest form, or not at all. */
  #keep(name: string, state: Strnum): void {
    const [only] = state.siblings
    if (state.nothing) this.#fields.delete(name)
    else if (state.siblings.length === 1 && state.entries.length === 0 && only?.ttlApart === false)
      this.#fields.put(name, only.stamp, only.text)
    else this.#fields.putFull(name, state)
  }

  /** Shows the fields, each being one write in no conflict, without TTLs. False: one is not; some may have been shown then. */
  eachSimple(visit: (name: string, text: string, stamp: Stamp) => void): boolean {
    if (this.#ttls !== undefined) return false
    for (const ref of this.#fields.refs()) {
      if (this.#fields.isFull(ref)) return false
      visit(this.#fields.name(ref), this.#fields.text(ref), this.#fields.stamp(ref))
    }
    return true
  }

  /** Puts a field that isn't there yet, as one write. */
  load(name: string, text: string, stamp: Stamp): void {
    this.#fields.put(name, stamp, text)
    this.size++
  }

  // ---- merge, residues

  /** In steps: nothing may look at the hash until the last. */
  *merging(own: VersionVector, other: HashState, label: VersionVector): Generator<void> {
    yield* this.#fields.steps((ref) => {
      this.#mergeField(own, ref, other, label)
    })
    yield* other.#fields.steps((ref) => {
      const name = other.#fields.name(ref)
      if (this.#fields.find(name) === noElement) this.#adopt(own, name, other.#stateOf(ref), label)
    })
    const timed = [...(other.#ttls?.names() ?? [])]
    for (const name of this.#ttls?.names() ?? []) if (!other.#ttls?.has(name)) timed.push(name)
    for (const [at, name] of timed.entries()) {
      const [mine, theirs] = [this.#ttls?.writes(name), other.#ttls?.writes(name)]
      this.#keepTtl(name, mergeTtl(mine ?? noTtlWrites, own, theirs ?? noTtlWrites, label))
      if (at % timedAtOnce === timedAtOnce - 1) yield
    }
  }

  #mergeField(own: VersionVector, ref: ElementRef, other: HashState, label: VersionVector): void {
    const name = this.#fields.name(ref)
    const theirs = other.#fields.find(name)
    if (!this.#fields.isFull(ref)) {
      if (theirs === noElement) {
        if (!this.#covered(ref, label)) return
        this.#fields.delete(name)
        this.size--
        return
      }
      if (!other.#fields.isFull(theirs) && other.#fields.stamp(theirs) === this.#fields.stamp(ref)) return
    }
    const wasLive = this.#isLive(ref)
    const state = this.#stateOf(ref)
    state.merge(own, theirs === noElement ? noStrnum : other.#stateOf(theirs), label)
    this.#settle(name, state, wasLive)
  }

  #adopt(own: VersionVector, name: string, theirs: Strnum, label: VersionVector): void {
    const state = new Strnum()
    state.merge(own, theirs, label)
    if (!state.nothing) this.#settle(name, state, false)
  }

  /** Forgets the reset entries that `mayForget` names. Returns whether some are left. */
  forget(mayForget: (entry: CounterEntry) => boolean): boolean {
    for (const name of this.residueFields ?? []) {
      const ref = this.#fields.find(name)
      if (ref === noElement || !this.#fields.isFull(ref)) continue
      const state = this.#fields.full(ref)
      state.forget(mayForget)
      this.#keep(name, state)
      this.#note(name, state)
    }
    return this.residueFields !== undefined
  }

  /** To be called when a field's full state has changed. */
  #note(name: string, state: Strnum): void {
    this.#counterFields = withName(this.#counterFields, name, state.entries.length > 0)
    this.residueFields = withName(this.residueFields, name, state.hasResidue)
  }

  // ---- codec

  /** `written` is called behind the count, and behind each field. */
  encode(writer: ByteWriter, written: () => void = () => {}): void {
    const absent = this.#absent
    writer.varint(this.#fields.size + absent.length)
    written()
    this.#fields.forEach((ref) => {
      this.#encodeField(writer, ref)
      written()
    })
    this.#encodeAbsent(writer, absent, written)
  }

  #encodeField(writer: ByteWriter, ref: ElementRef): void {
    const name = this.#fields.name(ref)
    const writes = this.#ttls?.writes(name) ?? noTtlWrites
    writer.text(name)
    if (writes.length > 0) writeTimedField(writer, writes, this.#stateOf(ref))
    else if (this.#fields.isFull(ref)) writeFullField(writer, this.#fields.full(ref))
    else writeTextField(writer, this.#fields.stamp(ref), this.#fields.text(ref))
  }

  /** Fields of which there is nothing but TTL writes. */
  get #absent(): string[] {
    if (!this.hasGhost) return []
    return [...(this.#ttls?.names() ?? [])].filter((name) => this.#fields.find(name) === noElement)
  }

  #encodeAbsent(writer: ByteWriter, absent: readonly string[], written: () => void = () => {}): void {
    for (const name of absent) {
      writer.text(name)
      writeTimedField(writer, this.#ttls?.writes(name) ?? noTtlWrites, noStrnum)
      written()
    }
  }

  /** As `encode`, some fields; returns where the others begin. A field keeps its place, whether there is more of it than TTL writes or not. */
  encodePiece(
    writer: ByteWriter,
    from: ElementPosition | undefined,
    bytesWanted: number,
  ): ElementPosition | undefined {
    const fields = this.#fields
    const encode = (into: ByteWriter, ref: ElementRef) => this.#encodeField(into, ref)
    return encodeElements(writer, fields, from, bytesWanted, encode, (into, start, end) => {
      const absent = this.#absent.filter((name) => {
        const position = fields.positionOf(name)
        return position >= start && position < end
      })
      this.#encodeAbsent(into, absent)
      return absent.length
    })
  }

  /** Puts the fields of `other`, with their TTL writes, in the place of the same ones here. */
  takeFrom(other: HashState): void {
    other.#fields.forEach((theirs) => {
      const name = other.#fields.name(theirs)
      this.#settle(name, other.#stateOf(theirs), this.has(name))
      if (!other.#ttls?.has(name)) this.#keepTtl(name, noTtlWrites)
    })
    for (const name of other.#ttls?.names() ?? [])
      this.#keepTtl(name, other.#ttls?.writes(name) ?? noTtlWrites)
  }

  static decode(reader: ByteReader): HashState {
    const hash = new HashState()
    for (let count = reader.varint(); count > 0; count--) {
      const name = reader.text()
      if (hash.#fields.find(name) !== noElement || hash.#ttls?.has(name))
        throw new FormatError('a field twice')
      readField(
        reader,
        (stamp, text) => hash.load(name, text, stamp),
        (state, writes) => {
          if (!state.nothing) hash.#settle(name, state, false)
          hash.#keepTtl(name, writes)
        },
      )
    }
    return hash
  }

  /** One digest a field, in no order. Without residues. */
  digest(take: (name: string, state: Strnum, ttl: TtlWrites) => void): void {
    this.#fields.forEach((ref) => {
      if (!this.#isLive(ref)) return
      const name = this.#fields.name(ref)
      take(name, this.#stateOf(ref), this.#ttls?.writes(name) ?? noTtlWrites)
    })
  }
}

/** Few hashes have any, so the set is made late and dropped when empty. */
function withName(names: Set<string> | undefined, name: string, present: boolean): Set<string> | undefined {
  if (present) return (names ?? new Set()).add(name)
  if (names === undefined || !names.delete(name) || names.size > 0) return names
  return undefined
}
