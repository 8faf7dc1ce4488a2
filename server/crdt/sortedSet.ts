/**
 * A sorted set: member -> score (`score.ts`), update wins. ZREM and its kin name the members they remove, with the resets of
 * their counters, however the members were chosen: a range of scores or ranks holds others where other writes have been
 * applied. A member whose increments are all reset stays, unseen, while its baselines must (`residueMembers`).
 *
 * The order of the members that show is kept beside (`scoreIndex.ts`), by the score that shows: whatever changes a score,
 * made here or elsewhere, moves the member.
 */
import { type Origin, originOf, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Random } from '#runtime/ports.ts'
import type { CounterEntry, CounterReset, ElementReset } from './counter.ts'
import { noResets } from './counter.ts'
import { type ElementPosition, encodeElements } from './elementPieces.ts'
import { type ElementRef, ElementTable, noElement } from './elementTable.ts'
import { noScore, Score, ScoreWrite, type Tag } from './score.ts'
import {
  decodeScore,
  encoded,
  encodeScore,
  encodeWrite,
  greatestStamp,
  readWrite,
  shownScore,
  stampOfScore,
  writeBytes,
} from './scoreBytes.ts'
import { readScore, writeScore, writeScoreWrite } from './scoreCodec.ts'
import { ScoreIndex } from './scoreIndex.ts'

/** Heap of an empty sorted set. */
const sortedSetBytes = 700

export class SortedSetState {
  /** Members that hold baselines of reset counters. */
  residueMembers: Set<string> | undefined = undefined
  /** How many counter entries there are, live or not, by origin; few sorted sets have any. */
  #counts: Uint32Array | undefined = undefined
  readonly #members: ElementTable<Score> = new ElementTable()
  readonly #index: ScoreIndex = new ScoreIndex(this.#members)

  constructor() {
    this.#members.onMoved = (from, to) => {
      const score = this.#shown(to)
      if (score !== undefined) this.#index.replace(score, this.#members.name(to), from, to)
    }
  }

  /** Members with a live score. */
  get size(): number {
    return this.#index.size
  }

  /** Neither value nor residue. */
  get nothing(): boolean {
    return this.#members.size === 0
  }

  /** On the heap, as measured. */
  get usedBytes(): number {
    return sortedSetBytes + this.#members.usedBytes + this.#index.usedBytes
  }

  // ---- what shows

  has(member: string): boolean {
    return this.score(member) !== undefined
  }

  score(member: string): number | undefined {
    const ref = this.#members.find(member)
    return ref === noElement ? undefined : this.#shown(ref)
  }

  rank(member: string): number | undefined {
    const score = this.score(member)
    return score === undefined ? undefined : this.#index.rank(score, member)
  }

  range(start: number, end: number): IterableIterator<[member: string, score: number]> {
    return this.#index.range(start, end)
  }

  rangeReversed(start: number, end: number): IterableIterator<[member: string, score: number]> {
    return this.#index.rangeReversed(start, end)
  }

  countBelow(score: number, inclusive: boolean): number {
    return this.#index.countBelow(score, inclusive)
  }

  countBelowMember(member: string, inclusive: boolean): number {
    return this.#index.countBelowName(member, inclusive)
  }

  randomMember(random: Random): string {
    return this.size === 0 ? '' : this.#index.nameAt(random.below(this.size))
  }

  scan(position: number, count: number, visit: (member: string, score: number) => void): number {
    return this.#members.scan(position, count, (ref) => {
      const score = this.#shown(ref)
      if (score !== undefined) visit(this.#members.name(ref), score)
    })
  }

  #shown(ref: ElementRef): number | undefined {
    const members = this.#members
    const length = members.findFixed(ref)
    if (length === 0) return members.full(ref).shown()
    return shownScore(members.fixed, members.fixedAt, length, members.stamp(ref))
  }

  /** The member's state; what lies in bytes is spelled out, into a state of its own. */
  #stateOf(ref: ElementRef): Score {
    const members = this.#members
    const length = members.findFixed(ref)
    if (length === 0) return members.full(ref)
    return decodeScore(members.fixed, members.fixedAt, length, members.stamp(ref))
  }

  /** Whether it is one write in no conflict. */
  #isWrite(ref: ElementRef): boolean {
    return this.#members.findFixed(ref) === writeBytes
  }

  /** Of one write. */
  #covered(ref: ElementRef, context: VersionVector): boolean {
    return covers(context, this.#members.stamp(ref))
  }

  // ---- prepare

  greatest(): Stamp {
    const members = this.#members
    let greatest = 0
    members.forEach((ref) => {
      const length = members.findFixed(ref)
      const stamp =
        length === 0
          ? members.full(ref).greatest()
          : greatestStamp(members.fixed, members.fixedAt, length, members.stamp(ref))
      if (stamp > greatest) greatest = stamp
    })
    return greatest
  }

  memberResets(member: string, remover: Origin): readonly CounterReset<number>[] {
    return this.#isCountedBesides(remover) ? this.memberState(member).resets(remover) : noResets
  }

  /** Of all members, for an effect that removes the sorted set. */
  resets(remover: Origin): ElementReset<number>[] {
    const all: ElementReset<number>[] = []
    if (!this.#isCountedBesides(remover)) return all
    this.#members.forEach((ref) => {
      if (this.#isWrite(ref)) return
      const resets = this.#stateOf(ref).resets(remover)
      if (resets.length > 0) all.push({ element: this.#members.name(ref), resets })
    })
    return all
  }

  /** To prepare an increment. */
  memberState(member: string): Score {
    const ref = this.#members.find(member)
    return ref === noElement ? noScore : this.#stateOf(ref)
  }

  // ---- apply

  setScore(
    context: VersionVector,
    stamp: Stamp,
    member: string,
    score: number,
    tag: Tag,
    resets: readonly CounterReset<number>[],
  ): void {
    const ref = this.#members.find(member)
    if (ref === noElement) {
      this.load(member, score, tag, stamp)
      return
    }
    const before = this.#shown(ref)
    if (this.#isWrite(ref) && this.#covered(ref, context)) {
      if (!Object.is(before, score)) this.#index.delete(before as number, member)
      const made = this.#members.putFixed(member, stamp, encoded, encodeWrite(score, tag))
      // Without a change of the score it has been written in place.
      if (!Object.is(before, score)) this.#index.insert(score, member, made)
      return
    }
    const state = this.#opened(ref)
    state.write(context, new ScoreWrite(stamp, score, tag), resets)
    this.#settle(member, state, before)
  }

  increment(stamp: Stamp, member: string, from: Stamp, sum: number, rest: number): void {
    const ref = this.#members.find(member)
    const before = ref === noElement ? undefined : this.#shown(ref)
    const state = ref === noElement ? new Score() : this.#opened(ref)
    state.increment(stamp, from, sum, rest)
    this.#settle(member, state, before)
  }

  removeMember(
    context: VersionVector,
    stamp: Stamp,
    member: string,
    resets: readonly CounterReset<number>[],
  ): void {
    const ref = this.#members.find(member)
    if (ref === noElement) return
    const before = this.#shown(ref)
    if (this.#isWrite(ref)) {
      if (!this.#covered(ref, context)) return
      this.#index.delete(before as number, member)
      this.#members.delete(member)
      return
    }
    const state = this.#opened(ref)
    state.remove(context, resets, stamp)
    this.#settle(member, state, before)
  }

  /**
   * Removes of every member what `context` covers; counters only by `resets`. `coversAll`: it covers all that is here. What stays,
   * if it is not the most, is put into an empty sorted set, so that nothing is taken out of its place one by one; with
   * `coversAll`, and counters of no other origin, all goes in one step, however large.
   */
  removeAll(
    context: VersionVector,
    stamp: Stamp,
    resets: readonly ElementReset<number>[],
    coversAll: boolean,
  ): void {
    if (!coversAll && this.#mostStays(context)) {
      this.#members.forEach((ref) => {
        this.removeMember(context, stamp, this.#members.name(ref), noResets)
      })
      for (const reset of resets) this.removeMember(context, stamp, reset.element, reset.resets)
      return
    }
    const goesWhole = coversAll && !this.#isCountedBesides(originOf(stamp))
    const left = goesWhole ? [] : this.#leftBy(context, stamp, resets)
    this.#members.clear()
    this.#index.clear()
    this.#counts = undefined
    this.residueMembers = undefined
    for (const [member, state] of left) this.#settle(member, state, undefined)
  }

  #mostStays(context: VersionVector): boolean {
    let staying = 0
    for (const ref of this.#members.refs()) if (this.#isWrite(ref) && !this.#covered(ref, context)) staying++
    return staying > this.#members.size / 2
  }

  #leftBy(context: VersionVector, stamp: Stamp, resets: readonly ElementReset<number>[]): [string, Score][] {
    const left: [string, Score][] = []
    let byName: Map<string, ElementReset<number>> | undefined
    let next = 0
    for (const ref of this.#members.refs()) {
      const isWrite = this.#isWrite(ref)
      if (isWrite && this.#covered(ref, context)) continue
      const member = this.#members.name(ref)
      const state = this.#stateOf(ref)
      if (!isWrite) {
        // Where the effect comes from they are in this order.
        let reset = resets[next++]
        if (reset?.element !== member) {
          byName ??= new Map(resets.map((each) => [each.element, each]))
          reset = byName.get(member)
        }
        state.remove(context, reset?.resets ?? noResets, stamp)
      }
      if (!state.nothing) left.push([member, state])
    }
    return left
  }

  /** A state that is about to change and to be settled: counted as new then. */
  #opened(ref: ElementRef): Score {
    const state = this.#stateOf(ref)
    this.#count(state, -1)
    return state
  }

  #count({ entries }: Score, by: 1 | -1): void {
    for (const { origin } of entries) {
      this.#counts ??= new Uint32Array(originsMax)
      this.#counts[origin] = (this.#counts[origin] as number) + by
    }
  }

  #isCountedBesides(origin: Origin): boolean {
    return this.#counts?.some((count, other) => count > 0 && other !== origin) === true
  }

  /** `before`: the score under which the member is in the index. */
  #settle(member: string, state: Score, before: number | undefined): void {
    if (before !== undefined) this.#index.delete(before, member)
    this.#count(state, 1)
    this.#noteResidue(member, state.hasResidue)
    if (state.nothing) {
      this.#members.delete(member)
      return
    }
    const ref = this.#put(member, state)
    const score = state.shown()
    if (score !== undefined) this.#index.insert(score, member, ref)
  }

  /** In its smallest form. */
  #put(member: string, state: Score): ElementRef {
    const length = encodeScore(state)
    if (length > 0) return this.#members.putFixed(member, stampOfScore(state), encoded, length)
    this.#members.putFull(member, state)
    return this.#members.find(member)
  }

  /** Shows the members, each being one write in no conflict, in order. False: one is not; some may have been shown then. */
  eachSimple(visit: (member: string, score: number, tag: Tag, stamp: Stamp) => void): boolean {
    if (this.#members.size > this.size) return false
    const members = this.#members
    for (const ref of this.#index.refs()) {
      if (!this.#isWrite(ref)) return false
      const { stamp, score, tag } = readWrite(members.fixed, members.fixedAt, members.stamp(ref))
      visit(members.name(ref), score, tag, stamp)
    }
    return true
  }

  /** Puts a member that isn't there yet, as one write. */
  load(member: string, score: number, tag: Tag, stamp: Stamp): void {
    const ref = this.#members.putFixed(member, stamp, encoded, encodeWrite(score, tag))
    this.#index.insert(score, member, ref)
  }

  // ---- merge, residues

  /** In steps: nothing may look at the sorted set until the last. */
  *merging(own: VersionVector, other: SortedSetState, label: VersionVector): Generator<void> {
    yield* this.#members.steps((ref) => {
      this.#mergeMember(own, ref, other, label)
    })
    yield* other.#members.steps((ref) => {
      const member = other.#members.name(ref)
      if (this.#members.find(member) !== noElement) return
      const state = new Score()
      state.merge(own, other.#stateOf(ref), label)
      if (!state.nothing) this.#settle(member, state, undefined)
    })
  }

  #mergeMember(own: VersionVector, ref: ElementRef, other: SortedSetState, label: VersionVector): void {
    const member = this.#members.name(ref)
    const theirs = other.#members.find(member)
    if (this.#isWrite(ref)) {
      const stamp = this.#members.stamp(ref)
      if (theirs === noElement) {
        if (!covers(label, stamp)) return
      } else if (other.#isWrite(theirs) && other.#members.stamp(theirs) === stamp) return
    }
    const before = this.#shown(ref)
    const state = this.#opened(ref)
    state.merge(own, theirs === noElement ? noScore : other.#stateOf(theirs), label)
    this.#settle(member, state, before)
  }

  /** Forgets the reset entries that `mayForget` names. Returns whether some are left. */
  forget(mayForget: (entry: CounterEntry<number>) => boolean): boolean {
    for (const member of this.residueMembers ?? []) {
      const ref = this.#members.find(member)
      const before = this.#shown(ref)
      const state = this.#opened(ref)
      state.forget(mayForget)
      this.#settle(member, state, before)
    }
    return this.residueMembers !== undefined
  }

  /** Few sorted sets have any, so the set is made late and dropped when empty. */
  #noteResidue(member: string, present: boolean): void {
    if (present) {
      this.residueMembers ??= new Set()
      this.residueMembers.add(member)
    } else if (this.residueMembers?.delete(member) && this.residueMembers.size === 0)
      this.residueMembers = undefined
  }

  // ---- codec: those that show in their order, so that reading them adds at the end of the index; then the others

  encode(writer: ByteWriter): void {
    writer.varint(this.#members.size)
    for (const ref of this.#index.refs()) this.#encodeMember(writer, ref)
    for (const member of this.residueMembers ?? []) {
      const ref = this.#members.find(member)
      if (this.#shown(ref) === undefined) this.#encodeMember(writer, ref)
    }
  }

  #encodeMember(writer: ByteWriter, ref: ElementRef): void {
    const members = this.#members
    writer.text(members.name(ref))
    if (this.#isWrite(ref))
      writeScoreWrite(writer, readWrite(members.fixed, members.fixedAt, members.stamp(ref)))
    else writeScore(writer, this.#stateOf(ref))
  }

  /** As `encode`, some members, in no order; returns where the others begin. */
  encodePiece(
    writer: ByteWriter,
    from: ElementPosition | undefined,
    bytesWanted: number,
  ): ElementPosition | undefined {
    const encode = (into: ByteWriter, ref: ElementRef) => this.#encodeMember(into, ref)
    return encodeElements(writer, this.#members, from, bytesWanted, encode)
  }

  /** Puts the members of `other` in the place of the same ones here. */
  takeFrom(other: SortedSetState): void {
    other.#members.forEach((theirs) => {
      const member = other.#members.name(theirs)
      const ref = this.#members.find(member)
      const before = ref === noElement ? undefined : this.#shown(ref)
      if (ref !== noElement) this.#opened(ref)
      this.#settle(member, other.#stateOf(theirs), before)
    })
  }

  static decode(reader: ByteReader): SortedSetState {
    const sortedSet = new SortedSetState()
    for (let count = reader.varint(); count > 0; count--) {
      const member = reader.text()
      if (sortedSet.#members.find(member) !== noElement) throw new FormatError('a member twice')
      readScore(
        reader,
        ({ score, tag, stamp }) => sortedSet.load(member, score, tag, stamp),
        (state) => sortedSet.#settle(member, state, undefined),
      )
    }
    return sortedSet
  }

  /** One digest a member, in no order. Without residues. */
  digest(take: (member: string, state: Score) => void): void {
    for (const ref of this.#index.refs()) take(this.#members.name(ref), this.#stateOf(ref))
  }
}
