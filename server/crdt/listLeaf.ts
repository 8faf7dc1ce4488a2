/**
 * Up to `leafCountMax` neighbouring elements of a large list (`listSequence.ts`), without an object for any:
 *
 *     keys, offsets    of an id of one step, whose side is the key's sign, as PUSH makes them
 *     stamps           of the writes that show; not there while each is the one that the id comes from, LSET being rare
 *     places           where the values lie among the bytes: length varint, then the text
 *     rares            what fits none of these: longer ids, and siblings of elements in conflict
 *
 * A text that is replaced or removed leaves a hole; the bytes are copied together when there is no room, or too much.
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { allocate, copyBytes, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'
import { readVarint, varint, varintBytes, writeVarint } from '#runtime/bytes/packedNumbers.ts'
import { compareIds, type ListId, stampOfKey } from './listId.ts'
import { Sibling, type Siblings } from './register.ts'

export const leafCountMax = 256
/** Beyond it a leaf takes no further element; a longer text has a leaf of its own. */
export const leafBytesMax = 32 * 1024

const columnsMin = 4
const bytesMin = 64
/** Where a text may begin. */
const placeMax = 2 ** 16 - 1
/** Of the objects around the columns. */
const leafBytes = 640
const rareBytes = 100
const stepBytes = 24
const siblingBytes = 80

interface Rare {
  /** undefined: it is of one step, in the columns. */
  readonly id: ListId | undefined
  /** undefined: the element is one write, in the columns; else that is the greatest of these. */
  readonly siblings: Siblings | undefined
}

const noBytes = new Uint8Array(0)

export class ListLeaf {
  count = 0
  #keys = new Float64Array(columnsMin)
  #offsets = new Int32Array(columnsMin)
  #places = new Uint16Array(columnsMin)
  #stamps: Float64Array | undefined = undefined
  #rares: (Rare | undefined)[] | undefined = undefined
  #rareBytes = 0
  #bytes: Uint8Array = noBytes
  /** Behind the last text. */
  #end = 0
  #liveBytes = 0

  /** On the heap and beside it, about. */
  get usedBytes(): number {
    const perElement = 14 + (this.#stamps === undefined ? 0 : 8) + (this.#rares === undefined ? 0 : 8)
    return leafBytes + this.#keys.length * perElement + this.#bytes.length + this.#rareBytes
  }

  // ---- reading

  text(at: number): string {
    readVarint(this.#bytes, this.#places[at] as number)
    return latin1(this.#bytes, varint.end, varint.end + varint.value)
  }

  /** Of the write that shows. */
  stamp(at: number): Stamp {
    return this.#stamps === undefined ? stampOfKey(this.#keys[at] as number) : (this.#stamps[at] as Stamp)
  }

  /** Whether several writes are alive. */
  isInConflict(at: number): boolean {
    return this.#rares?.[at]?.siblings !== undefined
  }

  siblings(at: number): Siblings {
    return this.#rares?.[at]?.siblings ?? [new Sibling(this.stamp(at), this.text(at), true)]
  }

  id(at: number): ListId {
    const long = this.#rares?.[at]?.id
    if (long !== undefined) return long
    const key = this.#keys[at] as number
    return [key > 0 ? 1 : -1, key, this.#offsets[at] as number]
  }

  /** As `compareIds(this.id(at), id)`. */
  compare(at: number, id: ListId): number {
    const long = this.#rares?.[at]?.id
    if (long !== undefined) return compareIds(long, id)
    const key = this.#keys[at] as number
    return (
      (key > 0 ? 1 : -1) - (id[0] as number) ||
      key - (id[1] as number) ||
      (this.#offsets[at] as number) - (id[2] as number) ||
      -(id[3] ?? 0)
    )
  }

  /** The number of elements that lie before `id`. */
  countBefore(id: ListId): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.compare(middle, id) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Whether a text can come in. */
  fits(text: string): boolean {
    if (this.count === 0) return true
    return this.count < leafCountMax && this.#liveBytes + sizeOf(text.length) <= leafBytesMax
  }

  /** Whether `other` could be joined to this, with room to spare. */
  fitsAll(other: ListLeaf): boolean {
    return (
      this.count + other.count <= leafCountMax / 2 && this.#liveBytes + other.#liveBytes <= leafBytesMax / 2
    )
  }

  // ---- writing

  /** An element that is one write. There must be room (`fits`). */
  insert(at: number, id: ListId, stamp: Stamp, text: string): void {
    this.#open(at)
    const key = id.at(-2) as number
    this.#keys[at] = key
    this.#offsets[at] = id.at(-1) as number
    this.#setStamp(at, stamp)
    // A copy: what an array was built in is often twice as long.
    if (!isPushed(id)) this.#setRare(at, { id: id.slice(), siblings: undefined })
    this.#places[at] = this.#append(text, at)
  }

  /** The element is one write now. False: the text can't come in. */
  write(at: number, stamp: Stamp, text: string): boolean {
    const place = this.#places[at] as number
    readVarint(this.#bytes, place)
    const oldLength = varint.value
    if (oldLength === text.length) writeLatin1(this.#bytes, varint.end, text)
    else {
      const liveBytes = this.#liveBytes - sizeOf(oldLength)
      if (this.count > 1 && liveBytes + sizeOf(text.length) > leafBytesMax) return false
      this.#liveBytes = liveBytes
      this.#places[at] = this.#append(text, at)
    }
    this.#setStamp(at, stamp)
    const rare = this.#rares?.[at]
    if (rare?.siblings !== undefined) this.#setRare(at, rareOf(rare.id, undefined))
    return true
  }

  /** What is alive beside the greatest of them, which has been written. */
  setSiblings(at: number, siblings: Siblings): void {
    this.#setRare(at, { id: this.#rares?.[at]?.id, siblings })
  }

  remove(from: number, to: number): void {
    for (let at = from; at < to; at++) {
      readVarint(this.#bytes, this.#places[at] as number)
      this.#liveBytes -= sizeOf(varint.value)
      if (this.#rares !== undefined) this.#setRare(at, undefined)
    }
    const { count } = this
    this.#keys.copyWithin(from, to, count)
    this.#offsets.copyWithin(from, to, count)
    this.#places.copyWithin(from, to, count)
    this.#stamps?.copyWithin(from, to, count)
    this.#rares?.splice(from, to - from)
    this.count -= to - from
    this.#shrink()
  }

  /** Appends [from, to) of another leaf. There must be room. */
  take(other: ListLeaf, from: number, to: number): void {
    const start = this.count
    const count = start + to - from
    if (count > this.#keys.length) this.#resize(count)
    this.#keys.set(other.#keys.subarray(from, to), start)
    this.#offsets.set(other.#offsets.subarray(from, to), start)
    for (let at = from; at < to; at++) {
      const place = other.#places[at] as number
      readVarint(other.#bytes, place)
      this.#places[start + at - from] = this.#appendBytes(other.#bytes, place, varint.end + varint.value)
      this.count++
      if (this.#stamps !== undefined || other.#stamps !== undefined)
        this.#setStamp(this.count - 1, other.stamp(at))
      const rare = other.#rares?.[at]
      if (rare !== undefined || this.#rares !== undefined) this.#setRare(this.count - 1, rare)
    }
  }

  /** Gives back what is reserved for further elements. */
  trim(): void {
    this.#resize(this.count)
    if (this.#bytes.length > this.#liveBytes) this.#gather(this.#liveBytes, -1)
  }

  // ---- columns

  /** Makes room for one element at `at`. */
  #open(at: number): void {
    const { count } = this
    if (count === this.#keys.length) this.#resize(Math.min(leafCountMax, Math.max(columnsMin, count * 2)))
    if (at < count) {
      this.#keys.copyWithin(at + 1, at, count)
      this.#offsets.copyWithin(at + 1, at, count)
      this.#places.copyWithin(at + 1, at, count)
      this.#stamps?.copyWithin(at + 1, at, count)
    }
    this.#rares?.splice(at, 0, undefined)
    this.count++
  }

  #resize(capacity: number): void {
    const { count } = this
    const resized = <T extends Float64Array | Int32Array | Uint16Array>(column: T, larger: T): T => {
      larger.set(column.subarray(0, count))
      return larger
    }
    this.#keys = resized(this.#keys, new Float64Array(capacity))
    this.#offsets = resized(this.#offsets, new Int32Array(capacity))
    this.#places = resized(this.#places, new Uint16Array(capacity))
    if (this.#stamps !== undefined) this.#stamps = resized(this.#stamps, new Float64Array(capacity))
  }

  #setStamp(at: number, stamp: Stamp): void {
    if (this.#stamps !== undefined) this.#stamps[at] = stamp
    else if (stampOfKey(this.#keys[at] as number) !== stamp) {
      const stamps = new Float64Array(this.#keys.length)
      for (let each = 0; each < this.count; each++) stamps[each] = stampOfKey(this.#keys[each] as number)
      stamps[at] = stamp
      this.#stamps = stamps
    }
  }

  #setRare(at: number, rare: Rare | undefined): void {
    const rares = this.#rares ?? new Array<Rare | undefined>(this.count).fill(undefined)
    this.#rareBytes += bytesOf(rare) - bytesOf(rares[at])
    rares[at] = rare
    this.#rares = rares
  }

  #shrink(): void {
    const { count } = this
    if (this.#rareBytes === 0) this.#rares = undefined
    if (this.#keys.length > columnsMin && count <= this.#keys.length / 4)
      this.#resize(Math.max(columnsMin, count * 2))
    if (this.#bytes.length > bytesMin && this.#liveBytes < this.#bytes.length / 4)
      this.#gather(roomFor(this.#liveBytes), -1)
  }

  // ---- texts

  /** Returns its place. The element at `at` has none, or one that it gives up. */
  #append(text: string, at: number): number {
    const place = this.#placeFor(sizeOf(text.length), at)
    writeLatin1(this.#bytes, writeVarint(this.#bytes, place, text.length), text)
    return place
  }

  /** The same for a text with its length at [start, end) of `bytes`, of an element that isn't counted yet. */
  #appendBytes(bytes: Uint8Array, start: number, end: number): number {
    const place = this.#placeFor(end - start, -1)
    copyBytes(this.#bytes, place, bytes, start, end)
    return place
  }

  #placeFor(sizeBytes: number, at: number): number {
    if (this.#end + sizeBytes > this.#bytes.length || this.#end > placeMax)
      this.#gather(roomFor(this.#liveBytes + sizeBytes), at)
    const place = this.#end
    this.#end += sizeBytes
    this.#liveBytes += sizeBytes
    return place
  }

  /** Copies the texts together, but for one, into a buffer of their own. */
  #gather(capacity: number, except: number): void {
    const gathered = allocate(capacity)
    let end = 0
    for (let at = 0; at < this.count; at++) {
      if (at === except) continue
      const place = this.#places[at] as number
      readVarint(this.#bytes, place)
      const next = varint.end + varint.value
      copyBytes(gathered, end, this.#bytes, place, next)
      this.#places[at] = end
      end += next - place
    }
    this.#bytes = gathered
    this.#end = end
  }
}

/** Whether its one step's side is its key's sign. */
const isPushed = (id: ListId): boolean => id.length === 3 && (id[0] as number) * (id[1] as number) > 0

const rareOf = (id: ListId | undefined, siblings: Siblings | undefined): Rare | undefined =>
  id === undefined && siblings === undefined ? undefined : { id, siblings }

function bytesOf(rare: Rare | undefined): number {
  if (rare === undefined) return 0
  let bytes = rareBytes + ((rare.id?.length ?? 0) / 3) * stepBytes
  for (const { text } of rare.siblings ?? []) bytes += siblingBytes + text.length
  return bytes
}

const sizeOf = (length: number): number => varintBytes(length) + length

/** With half as much again, up to where no further text comes in. */
const roomFor = (liveBytes: number): number =>
  Math.max(bytesMin, liveBytes, Math.min(leafBytesMax, Math.ceil(liveBytes * 1.5)))
