/**
 * A list: elements in the order of their ids (`listId.ts`), each a register of its value (`register.ts`). A push or insertion
 * makes an element, LSET writes its register; LPOP, LREM and LTRIM remove the writes that their origin saw, so that an
 * element that somebody sets meanwhile stays, with the new value. An element is there while a write of it is alive. Nothing is
 * kept of a removed one.
 *
 * Removals name ranges of ids. Whoever removes a range saw all that was alive in it and that his context covers, for what
 * had been removed before him is removed here, too: so a range takes no more than the elements he named, and LTRIM of a million
 * is two ids long.
 */
import { readStamp } from '#protocol/sync/record.ts'
import type { Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import {
  compareIds,
  type ListId,
  pushedId,
  readId,
  readOffset,
  type Side,
  writeId,
  writeOffset,
} from './listId.ts'
import type { ListLeaf } from './listLeaf.ts'
import { ListSequence } from './listSequence.ts'
import { mergeSiblings, noSiblings, Sibling, type Siblings, withoutCovered, withSibling } from './register.ts'
import { readCount, requireAscending } from './stateCodec.ts'

/** Both ends belong to it. */
export interface IdRange {
  readonly from: ListId
  readonly to: ListId
}

/** How an element lies in a state: pushed and never written since, written once, or in conflict. */
const Form = { pushedLeft: 0, pushedRight: 1, written: 2, conflict: 3 } as const

/** Of a merge in steps. */
const stepElements = 512
/** Heap of an empty list. */
const listBytes = 300

export class ListState {
  #elements = new ListSequence()

  /** On the heap and beside it, as measured. */
  get usedBytes(): number {
    return listBytes + this.#elements.usedBytes
  }

  get size(): number {
    return this.#elements.size
  }

  // ---- what shows

  at(index: number): string | undefined {
    if (index < 0 || index >= this.size) return undefined
    this.#elements.seekIndex(index)
    return this.#elements.atText
  }

  range(start: number, end: number): IterableIterator<string> {
    return this.#elements.texts(start, Math.min(end, this.size) - start, 1)
  }

  rangeReversed(start: number, end: number): IterableIterator<string> {
    const last = Math.min(end, this.size) - 1
    return this.#elements.texts(last, last + 1 - start, -1)
  }

  greatest(): Stamp {
    let greatest = 0
    for (const leaf of this.#elements.leaves())
      for (let at = 0; at < leaf.count; at++) greatest = Math.max(greatest, leaf.stamp(at))
    return greatest
  }

  /** Of the element at `index`, which is there. */
  idAt(index: number): ListId {
    this.#elements.seekIndex(index)
    return this.#elements.atId
  }

  // ---- apply

  push(context: VersionVector, stamp: Stamp, side: Side, values: readonly string[]): void {
    for (const [number, value] of values.entries())
      this.write(context, stamp, pushedId(side, stamp, number), value)
  }

  /** LINSERT and LSET. */
  write(context: VersionVector, stamp: Stamp, id: ListId, text: string): void {
    const elements = this.#elements
    if (!elements.seek(id)) elements.insert(id, stamp, text)
    else {
      const left = withoutCovered(elements.atSiblings, context)
      elements.write(withSibling(left, new Sibling(stamp, text, true)))
    }
  }

  /** `coversAll`: the context covers all that is here; a range goes in one step. */
  remove(context: VersionVector, { from, to }: IdRange, coversAll: boolean): void {
    const elements = this.#elements
    if (compareIds(from, to) === 0) {
      if (elements.seek(from)) this.#removeAimed(context)
      return
    }
    elements.seek(from)
    const start = elements.index
    const end = elements.seek(to) ? elements.index + 1 : elements.index
    this.#removeAt(context, start, end, coversAll)
  }

  removeAll(context: VersionVector, coversAll: boolean): void {
    if (coversAll) this.#elements.clear()
    else this.#removeAt(context, 0, this.size, false)
  }

  #removeAt(context: VersionVector, start: number, end: number, coversAll: boolean): void {
    const elements = this.#elements
    if (coversAll) {
      elements.cut(start, end)
      return
    }
    const inConflict: ListId[] = []
    elements.removeWhere(start, end, (leaf, at) => {
      if (!leaf.isInConflict(at)) return covers(context, leaf.stamp(at))
      inConflict.push(leaf.id(at))
      return false
    })
    for (const id of inConflict) if (elements.seek(id)) this.#removeAimed(context)
  }

  #removeAimed(context: VersionVector): void {
    const elements = this.#elements
    if (!elements.atIsInConflict) {
      if (covers(context, elements.atStamp)) elements.remove()
      return
    }
    const before = elements.atSiblings
    const left = withoutCovered(before, context)
    if (left.length === 0) elements.remove()
    else if (left.length < before.length) elements.write(left)
  }

  /** Appends an element that is one write. Its id is greater than all. */
  load(id: ListId, stamp: Stamp, text: string): void {
    this.#elements.seekIndex(this.size)
    this.#elements.insert(id, stamp, text)
  }

  /** Shows the elements, each being one write. False: one is not; some may have been shown then. */
  eachSimple(visit: (id: ListId, stamp: Stamp, text: string) => boolean): boolean {
    for (const leaf of this.#elements.leaves()) {
      for (let at = 0; at < leaf.count; at++) {
        if (leaf.isInConflict(at) || !visit(leaf.id(at), leaf.stamp(at), leaf.text(at))) return false
      }
    }
    return true
  }

  // ---- merge

  /** In steps. */
  *merging(own: VersionVector, other: ListState, label: VersionVector): Generator<void> {
    if (!(yield* this.#differs(own, other, label))) return
    const merged = new ListSequence()
    let looked = 0
    for (const [mine, theirs] of joined(this.#elements, other.#elements)) {
      if (++looked % stepElements === 0) yield
      const siblings = mergedElement(mine, own, theirs, label)
      if (siblings.length === 0) continue
      merged.seekIndex(merged.size)
      merged.append(((mine ?? theirs) as Place).id, siblings)
    }
    this.#elements = merged
  }

  /** Whether a merge would change anything here: usually it does not, and a large list isn't built anew for that. */
  *#differs(own: VersionVector, other: ListState, label: VersionVector): Generator<void, boolean> {
    let looked = 0
    for (const [mine, theirs] of joined(this.#elements, other.#elements)) {
      if (++looked % stepElements === 0) yield
      if (mine !== undefined && theirs !== undefined && isSameWrite(mine, theirs)) continue
      const before = mine?.siblings ?? noSiblings
      const after = mergedElement(mine, own, theirs, label)
      if (after.length !== before.length || after.some(({ stamp }, at) => stamp !== before[at]?.stamp))
        return true
    }
    return false
  }

  // ---- codec: count varint, then in the order of ids: form u8 and what `Form` says

  encode(writer: ByteWriter): void {
    writer.varint(this.size)
    for (const leaf of this.#elements.leaves())
      for (let at = 0; at < leaf.count; at++) writeElement(writer, leaf, at)
  }

  /** As `encode`, some elements: those behind `after`. Returns behind which one the others are. */
  encodePiece(writer: ByteWriter, after: ListId | undefined, bytesWanted: number): ListId | undefined {
    const piece = new ByteWriter()
    let count = 0
    let next: ListId | undefined
    let last: ListId | undefined
    for (const [leaf, at] of this.#elements.behind(after)) {
      if (piece.length >= bytesWanted) {
        next = last
        break
      }
      writeElement(piece, leaf, at)
      count++
      last = leaf.id(at)
    }
    writer.varint(count)
    writer.raw(piece.bytes, 0, piece.length)
    return next
  }

  /** Puts the elements of `other` in the place of the same ones here. */
  takeFrom(other: ListState): void {
    const elements = this.#elements
    for (const { id, siblings } of placesOf(other.#elements)) {
      if (elements.seek(id)) elements.write(siblings)
      else elements.append(id, siblings)
    }
  }

  static decode(reader: ByteReader): ListState {
    const list = new ListState()
    const elements = list.#elements
    let last: ListId | undefined
    for (let count = reader.varint(); count > 0; count--) {
      const { id, siblings } = readElement(reader)
      if (last !== undefined && compareIds(last, id) >= 0) throw new FormatError('a list out of order')
      last = id
      elements.seekIndex(elements.size)
      elements.append(id, siblings)
    }
    return list
  }

  /** One digest an element, which its id gives a place. */
  digest(take: (id: ListId, siblings: Siblings) => void): void {
    for (const leaf of this.#elements.leaves())
      for (let at = 0; at < leaf.count; at++) take(leaf.id(at), leaf.siblings(at))
  }
}

// ---- merging two in the order of ids

/** An element where it lies. */
class Place {
  readonly #leaf: ListLeaf
  readonly #at: number

  constructor(leaf: ListLeaf, at: number) {
    this.#leaf = leaf
    this.#at = at
  }

  get id(): ListId {
    return this.#leaf.id(this.#at)
  }

  get isInConflict(): boolean {
    return this.#leaf.isInConflict(this.#at)
  }

  get stamp(): Stamp {
    return this.#leaf.stamp(this.#at)
  }

  get siblings(): Siblings {
    return this.#leaf.siblings(this.#at)
  }
}

function* placesOf(elements: ListSequence): IterableIterator<Place> {
  for (const leaf of elements.leaves()) for (let at = 0; at < leaf.count; at++) yield new Place(leaf, at)
}

/** All elements of two lists; those with the same id together. */
function* joined(
  mine: ListSequence,
  theirs: ListSequence,
): IterableIterator<[Place | undefined, Place | undefined]> {
  const [left, right] = [placesOf(mine), placesOf(theirs)]
  let [a, b] = [left.next(), right.next()]
  while (!a.done || !b.done) {
    const order = a.done ? 1 : b.done ? -1 : compareIds(a.value.id, b.value.id)
    yield [order <= 0 ? a.value : undefined, order >= 0 ? b.value : undefined]
    if (order <= 0) a = left.next()
    if (order >= 0) b = right.next()
  }
}

const isSameWrite = (a: Place, b: Place): boolean => !a.isInConflict && !b.isInConflict && a.stamp === b.stamp

const mergedElement = (
  mine: Place | undefined,
  own: VersionVector,
  theirs: Place | undefined,
  label: VersionVector,
): Siblings =>
  mergeSiblings(
    mine?.siblings ?? noSiblings,
    own,
    theirs?.siblings ?? noSiblings,
    label,
    // The same write has the same text.
    (sibling) => sibling,
  )

// ---- bytes

function writeElement(writer: ByteWriter, leaf: ListLeaf, at: number): void {
  const id = leaf.id(at)
  const stamp = leaf.stamp(at)
  if (leaf.isInConflict(at)) {
    const siblings = leaf.siblings(at)
    writer.u8(Form.conflict)
    writeId(writer, id)
    writer.u8(siblings.length)
    for (const sibling of siblings) {
      writer.f64(sibling.stamp)
      writer.text(sibling.text)
    }
    return
  }
  const pushed = formOfPush(id, stamp)
  writer.u8(pushed ?? Form.written)
  if (pushed === undefined) writeId(writer, id)
  else writeOffset(writer, id[2] as number)
  writer.f64(stamp)
  writer.text(leaf.text(at))
}

/** Of an element that is as a push has made it. */
function formOfPush(id: ListId, stamp: Stamp): number | undefined {
  if (id.length > 3) return undefined
  for (const side of [-1, 1] as const) {
    const pushed = pushedId(side, stamp, 0)
    if (id[0] === side && id[1] === pushed[1]) return side === -1 ? Form.pushedLeft : Form.pushedRight
  }
  return undefined
}

function readElement(reader: ByteReader): { id: ListId; siblings: Siblings } {
  const form = reader.u8()
  switch (form) {
    case Form.pushedLeft:
    case Form.pushedRight: {
      const offset = readOffset(reader)
      const stamp = readStamp(reader)
      const [side, key] = pushedId(form === Form.pushedLeft ? -1 : 1, stamp, 0) as [number, number]
      return { id: [side, key, offset], siblings: [new Sibling(stamp, reader.text(), true)] }
    }
    case Form.written: {
      const id = readId(reader)
      const stamp = readStamp(reader)
      return { id, siblings: [new Sibling(stamp, reader.text(), true)] }
    }
    case Form.conflict: {
      const id = readId(reader)
      const siblings: Sibling[] = []
      for (let count = readCount(reader); count > 0; count--) {
        const stamp = readStamp(reader)
        siblings.push(new Sibling(stamp, reader.text(), true))
      }
      requireAscending(siblings.map((sibling) => sibling.stamp))
      if (siblings.length === 0) throw new FormatError('a list element without a write')
      return { id, siblings }
    }
    default:
      throw new FormatError(`form ${form} of a list element`)
  }
}
