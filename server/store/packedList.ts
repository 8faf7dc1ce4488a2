/**
 * Small lists (`packedValue.ts`), as long as every id is one step, as pushes make them:
 *
 *     elements := count u16 | (head u8 | key u56 | offset varint | [stamp u56] | text length varint | text)*
 *     head     := (side is +1) + 2 (written since: the stamp is not the one of the id)
 *     offset   := sign folded in
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { foldSign, readU56, readVarint, u56Bytes, unfoldSign, varint } from '#runtime/bytes/packedNumbers.ts'
import { type IdRange, ListState } from '#server/crdt/list.ts'
import { compareIds, type ListId, pushedId, type Side, stampOfKey } from '#server/crdt/listId.ts'
import type { ListElements } from './listRanges.ts'
import { PackedValue, type PackLimits, pack, packedBytesMax, packedElementsMax } from './packedValue.ts'

const Head = { right: 1, written: 2 } as const
/** Of one element, without its text and the text's length. */
const headBytesMax = 1 + u56Bytes + 5 + u56Bytes
/** Greater ones don't fit the varint. */
const offsetLimit = 2 ** 28

export class PackedList extends PackedValue implements ListElements {
  // Of the element that was read last.
  #head = 0
  #key = 0
  #offset = 0
  protected override stamp: Stamp = 0
  #textStart = 0
  #textEnd = 0

  at(index: number): string | undefined {
    if (index < 0 || index >= this.size) return undefined
    this.readAt(index)
    return this.#text()
  }

  idAt(index: number): ListId {
    this.readAt(index)
    return this.#id()
  }

  *range(start: number, end: number): IterableIterator<string> {
    let index = 0
    for (let at = this.first; at < this.end && index < end; index++) {
      at = this.read(at)
      if (index >= start) yield this.#text()
    }
  }

  rangeReversed(start: number, end: number): Iterable<string> {
    return [...this.range(start, end)].reverse()
  }

  toList(): ListState {
    const list = new ListState()
    for (let at = this.first; at < this.end; ) {
      at = this.read(at)
      list.load(this.#id(), this.stamp, this.#text())
    }
    return list
  }

  /** Writes to `into` what the elements are after a push. False: that can't be packed, or is not at the end. */
  push(into: ByteWriter, side: Side, stamp: Stamp, values: readonly string[]): boolean {
    const count = this.size + values.length
    let bytes = this.end - this.start
    for (const value of values) bytes += headBytesMax + value.length
    if (count > packedElementsMax || bytes > packedBytesMax || !this.#isBeyond(side, stamp)) return false
    into.clear()
    into.u16(count)
    if (side === 1) into.raw(this.bytes, this.first, this.end)
    for (let at = 0; at < values.length; at++) {
      // The first value lies next to what was there.
      const number = side === 1 ? at : values.length - 1 - at
      writeElement(into, pushedId(side, stamp, number), stamp, values[number] as string)
    }
    if (side === -1) into.raw(this.bytes, this.first, this.end)
    return true
  }

  /** Whether what is pushed lies at that end: it may have been under way while later ones arrived. */
  #isBeyond(side: Side, stamp: Stamp): boolean {
    if (this.size === 0) return true
    this.readAt(side === 1 ? this.size - 1 : 0)
    return side * compareIds(pushedId(side, stamp, 0), this.#id()) > 0
  }

  /** Writes to `into` the same without those in `ranges` that `context` covers. */
  remove(into: ByteWriter, context: VersionVector, ranges: readonly IdRange[]): void {
    this.writeRest(into, context, () => {
      const id = this.#id()
      return ranges.some(({ from, to }) => compareIds(from, id) <= 0 && compareIds(id, to) <= 0)
    })
  }

  protected override read(at: number): number {
    const { bytes } = this
    this.#head = bytes[at] as number
    this.#key = readU56(bytes, at + 1)
    readVarint(bytes, at + 1 + u56Bytes)
    this.#offset = unfoldSign(varint.value)
    let textAt = varint.end
    if (this.#head & Head.written) {
      this.stamp = readU56(bytes, textAt)
      textAt += u56Bytes
    } else this.stamp = stampOfKey(this.#key)
    readVarint(bytes, textAt)
    this.#textStart = varint.end
    this.#textEnd = varint.end + varint.value
    return this.#textEnd
  }

  #id(): ListId {
    return this.#head & Head.right ? [1, this.#key, this.#offset] : [-1, -this.#key, this.#offset]
  }

  #text(): string {
    return latin1(this.bytes, this.#textStart, this.#textEnd)
  }
}

/** Nothing to begin with. */
export const noElements = new PackedList()

/** False: it can't be packed. */
function writeElement(into: ByteWriter, id: ListId, stamp: Stamp, text: string): boolean {
  const [side, key, offset] = id as readonly [number, number, number]
  if (id.length > 3 || side * key < 0 || Math.abs(offset) >= offsetLimit) return false
  const written = stampOfKey(key) !== stamp
  into.u8((side === 1 ? Head.right : 0) + (written ? Head.written : 0))
  into.u56(Math.abs(key))
  into.varint(foldSign(offset))
  if (written) into.u56(stamp)
  into.text(text)
  return true
}

/** Writes the list's elements to `into`. False: they aren't small and simple. */
export function packList(into: ByteWriter, list: ListState, limits: PackLimits): boolean {
  return pack(into, list.size, limits, () =>
    list.eachSimple(
      (id, stamp, text) => writeElement(into, id, stamp, text) && into.length <= limits.bytesMax,
    ),
  )
}
