/**
 * An add-wins set: member -> dots, the stamps of the adds that nothing has covered. SADD replaces the dots it saw by its
 * own, SREM removes those it saw; an add that the remover had not seen stays. One dot is a plain number; an array exists
 * only after concurrent adds. Nothing is kept of a removed member.
 */

import { readStamp } from '#protocol/sync/record.ts'
import { originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Random } from '#runtime/ports.ts'
import { type ElementPosition, encodeElements } from './elementPieces.ts'
import { type ElementRef, ElementTable, noElement } from './elementTable.ts'

/** Several: ascending. */
type Dots = Stamp | readonly Stamp[]

/** Heap of an empty set. */
const setBytes = 300

export class SetState {
  /** Members with several dots have these beside. */
  readonly #members: ElementTable<readonly Stamp[]> = new ElementTable()

  /** On the heap, as measured. */
  get usedBytes(): number {
    return setBytes + this.#members.usedBytes
  }

  get size(): number {
    return this.#members.size
  }

  has(member: string): boolean {
    return this.#members.find(member) !== noElement
  }

  *members(): IterableIterator<string> {
    for (const ref of this.#members.refs()) yield this.#members.name(ref)
  }

  /** The adds that hold the member, to be looked at; none: it is not there. */
  memberDots(member: string): readonly Stamp[] {
    const dots = this.#dotsOf(member)
    return dots === undefined ? [] : dotList(dots)
  }

  randomMember(random: Random): string {
    const ref = this.#members.random(random)
    return ref === noElement ? '' : this.#members.name(ref)
  }

  scan(position: number, count: number, visit: (member: string) => void): number {
    return this.#members.scan(position, count, (ref) => visit(this.#members.name(ref)))
  }

  greatest(): Stamp {
    let greatest = 0
    this.#members.forEach((ref) => {
      const last = greatestDot(this.#dots(ref))
      if (last > greatest) greatest = last
    })
    return greatest
  }

  add(context: VersionVector, stamp: Stamp, member: string): void {
    const ref = this.#members.find(member)
    const left = ref === noElement ? undefined : uncovered(this.#dots(ref), context)
    this.#put(member, left === undefined ? stamp : withDot(left, stamp))
  }

  remove(context: VersionVector, member: string): void {
    const ref = this.#members.find(member)
    if (ref === noElement) return
    const dots = this.#dots(ref)
    const left = uncovered(dots, context)
    if (left === undefined) this.#members.delete(member)
    else if (left !== dots) this.#put(member, left)
  }

  /** `coversAll`: the context covers all that is here; the set goes in one step, however large. */
  removeAll(context: VersionVector, coversAll: boolean): void {
    if (coversAll) {
      this.#members.clear()
      return
    }
    this.#members.forEach((ref) => {
      this.remove(context, this.#members.name(ref))
    })
  }

  /** Shows the members, each with its only dot. False: one has several; some may have been shown then. */
  eachSimple(visit: (member: string, dot: Stamp) => void): boolean {
    for (const ref of this.#members.refs()) {
      if (this.#members.isFull(ref)) return false
      visit(this.#members.name(ref), this.#members.stamp(ref))
    }
    return true
  }

  /** Puts a member that isn't there yet. */
  load(member: string, dot: Stamp): void {
    this.#members.put(member, dot, undefined)
  }

  /** In steps: nothing may look at the set until the last. */
  *merging(own: VersionVector, other: SetState, label: VersionVector): Generator<void> {
    yield* this.#members.steps((ref) => {
      const member = this.#members.name(ref)
      const dots = this.#dots(ref)
      const theirs = other.#dotsOf(member)
      if (dots === theirs) return
      const merged = mergeDots(dots, own, theirs, label)
      if (merged === undefined) this.#members.delete(member)
      else this.#put(member, merged)
    })
    yield* other.#members.steps((ref) => {
      const member = other.#members.name(ref)
      if (this.has(member)) return
      const merged = mergeDots(undefined, own, other.#dots(ref), label)
      if (merged !== undefined) this.#put(member, merged)
    })
  }

  #dots(ref: ElementRef): Dots {
    return this.#members.isFull(ref) ? this.#members.full(ref) : this.#members.stamp(ref)
  }

  #dotsOf(member: string): Dots | undefined {
    const ref = this.#members.find(member)
    return ref === noElement ? undefined : this.#dots(ref)
  }

  #put(member: string, dots: Dots): void {
    if (typeof dots === 'number') this.#members.put(member, dots, undefined)
    else this.#members.putFull(member, dots)
  }

  /** `written` is called behind the count, and behind each member. */
  encode(writer: ByteWriter, written: () => void = () => {}): void {
    writer.varint(this.#members.size)
    written()
    this.#members.forEach((ref) => {
      this.#encodeMember(writer, ref)
      written()
    })
  }

  #encodeMember(writer: ByteWriter, ref: ElementRef): void {
    writer.text(this.#members.name(ref))
    const list = dotList(this.#dots(ref))
    writer.u8(list.length)
    for (const dot of list) writer.f64(dot)
  }

  /** As `encode`, some members; returns where the others begin. */
  encodePiece(
    writer: ByteWriter,
    from: ElementPosition | undefined,
    bytesWanted: number,
  ): ElementPosition | undefined {
    const encode = (into: ByteWriter, ref: ElementRef) => this.#encodeMember(into, ref)
    return encodeElements(writer, this.#members, from, bytesWanted, encode)
  }

  /** Puts the members of `other` in the place of the same ones here. */
  takeFrom(other: SetState): void {
    other.#members.forEach((ref) => {
      this.#put(other.#members.name(ref), other.#dots(ref))
    })
  }

  static decode(reader: ByteReader): SetState {
    const set = new SetState()
    for (let count = reader.varint(); count > 0; count--) {
      const member = reader.text()
      const dots: Stamp[] = []
      for (let left = reader.u8(); left > 0; left--) dots.push(readStamp(reader))
      const sorted = dots.every((dot, at) => at === 0 || dot > (dots[at - 1] as Stamp))
      if (dots.length === 0 || dots.length > originsMax || !sorted) throw new FormatError('dots of a member')
      if (set.has(member)) throw new FormatError('a member twice')
      set.#put(member, dots.length === 1 ? (dots[0] as Stamp) : dots)
    }
    return set
  }

  /** One digest a member, in no order. */
  digest(take: (member: string, dots: readonly Stamp[]) => void): void {
    this.#members.forEach((ref) => {
      take(this.#members.name(ref), dotList(this.#dots(ref)))
    })
  }
}

const dotList = (dots: Dots): readonly Stamp[] => (typeof dots === 'number' ? [dots] : dots)

const greatestDot = (dots: Dots): Stamp => (typeof dots === 'number' ? dots : (dots.at(-1) as Stamp))

const compact = (dots: readonly Stamp[]): Dots | undefined =>
  dots.length === 0 ? undefined : dots.length === 1 ? (dots[0] as Stamp) : dots

/** The dots that `context` doesn't cover; the same object when it covers none. */
function uncovered(dots: Dots, context: VersionVector): Dots | undefined {
  if (typeof dots === 'number') return covers(context, dots) ? undefined : dots
  const left = dots.filter((dot) => !covers(context, dot))
  return left.length === dots.length ? dots : compact(left)
}

function withDot(dots: Dots, added: Stamp): Dots {
  const list = dotList(dots)
  return list.includes(added) ? dots : [...list, added].sort((a, b) => a - b)
}

function mergeDots(
  a: Dots | undefined,
  aContext: VersionVector,
  b: Dots | undefined,
  bContext: VersionVector,
): Dots | undefined {
  const left = a === undefined ? [] : dotList(a)
  const right = b === undefined ? [] : dotList(b)
  const merged = left.filter((dot) => right.includes(dot) || !covers(bContext, dot))
  for (const dot of right) if (!left.includes(dot) && !covers(aContext, dot)) merged.push(dot)
  return compact(merged.sort((x, y) => x - y))
}
