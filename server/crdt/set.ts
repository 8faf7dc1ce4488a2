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
import { Dictionary } from './dictionary.ts'

/** Several: ascending. */
type Dots = Stamp | readonly Stamp[]

/** Heap of an empty set, and of a member without its characters. */
const setBytes = 300
const memberBytes = 80

export class SetState {
  readonly #members: Dictionary<Dots> = new Dictionary()
  /** Characters of the members. */
  #textBytes = 0

  /** On the heap, as measured. */
  get usedBytes(): number {
    return setBytes + this.#members.size * memberBytes + this.#textBytes
  }

  get size(): number {
    return this.#members.size
  }

  has(member: string): boolean {
    return this.#members.has(member)
  }

  members(): IterableIterator<string> {
    return this.#members.keys()
  }

  randomMember(random: Random): string {
    return this.#members.randomKey(random) ?? ''
  }

  scan(position: number, count: number, visit: (member: string) => void): number {
    return this.#members.scan(position, count, (_, member) => visit(member))
  }

  greatest(): Stamp {
    let greatest = 0
    this.#members.forEach((dots) => {
      const last = greatestDot(dots)
      if (last > greatest) greatest = last
    })
    return greatest
  }

  add(context: VersionVector, stamp: Stamp, member: string): void {
    const dots = this.#members.get(member)
    if (dots === undefined) this.#textBytes += member.length
    const left = dots === undefined ? undefined : uncovered(dots, context)
    this.#members.set(member, left === undefined ? stamp : withDot(left, stamp))
  }

  remove(context: VersionVector, member: string): void {
    const dots = this.#members.get(member)
    if (dots === undefined) return
    const left = uncovered(dots, context)
    if (left === undefined) this.#delete(member)
    else if (left !== dots) this.#members.set(member, left)
  }

  /** `coversAll`: the context covers all that is here; the set goes in one step, however large. */
  removeAll(context: VersionVector, coversAll: boolean): void {
    if (coversAll) {
      this.#members.clear()
      this.#textBytes = 0
      return
    }
    this.#members.forEach((_, member) => {
      this.remove(context, member)
    })
  }

  /** Shows the members, each with its only dot. False: one has several; some may have been shown then. */
  eachSimple(visit: (member: string, dot: Stamp) => void): boolean {
    for (const [member, dots] of this.#members.entries()) {
      if (typeof dots !== 'number') return false
      visit(member, dots)
    }
    return true
  }

  /** Puts a member that isn't there yet. */
  load(member: string, dot: Stamp): void {
    this.#members.set(member, dot)
    this.#textBytes += member.length
  }

  merge(own: VersionVector, other: SetState, label: VersionVector): void {
    this.#members.forEach((dots, member) => {
      const theirs = other.#members.get(member)
      if (dots === theirs) return
      const merged = mergeDots(dots, own, theirs, label)
      if (merged === undefined) this.#delete(member)
      else this.#members.set(member, merged)
    })
    for (const [member, theirs] of other.#members.entries()) {
      if (this.#members.has(member)) continue
      const merged = mergeDots(undefined, own, theirs, label)
      if (merged === undefined) continue
      this.#members.set(member, merged)
      this.#textBytes += member.length
    }
  }

  #delete(member: string): void {
    if (this.#members.delete(member)) this.#textBytes -= member.length
  }

  encode(writer: ByteWriter): void {
    writer.varint(this.#members.size)
    this.#members.forEach((dots, member) => {
      writer.text(member)
      const list = dotList(dots)
      writer.u8(list.length)
      for (const dot of list) writer.f64(dot)
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
      if (set.#members.has(member)) throw new FormatError('a member twice')
      set.#textBytes += member.length
      set.#members.set(member, dots.length === 1 ? (dots[0] as Stamp) : dots)
    }
    return set
  }

  /** One digest a member, in no order. */
  digest(take: (member: string, dots: readonly Stamp[]) => void): void {
    this.#members.forEach((dots, member) => {
      take(member, dotList(dots))
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
