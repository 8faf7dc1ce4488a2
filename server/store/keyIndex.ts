/**
 * Finds the entries of a hash slot by the hashes of their names, without a pause when it grows and with positions at which a
 * scan can be entered: extendible hashing (Fagin et al. 1979), one for each slot, in the arena.
 *
 *     slot ─▶ bucket ─▶ entries                              as long as there is one bucket (about 450 keys)
 *     slot ─▶ directory ─ upper bits of the hash ─▶ bucket
 *
 *     bucket    := kind u8 | depth u8 | slot u16 | count u32 | capacity u32 | first hash u32 | cell[capacity]
 *     cell      := tag u16 | ref i32                         ref 0: empty
 *     directory := kind u8 | 0 u8 | slot u16 | 0 u32 | ref i32 [2 ** bits]
 *
 * A bucket of depth d holds one interval of 2^(32-d) hashes: a full one is cut in halves, nothing else moves. In it lies an open-
 * addressing table by the hash's lower 16 bits, the tag, which nearly always tells a wrong entry from the right one
 * without looking at it.
 *
 * A scan's position is a hash. A step visits the whole bucket that the position lies in and goes on at the end of its
 * interval. Cutting and joining buckets moves no entry to another hash, so whatever stays during a scan is met.
 */

import { slotCount } from '#protocol/slots/crc16.ts'
import { readVarint, varint } from '#runtime/bytes/packedNumbers.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Random } from '#runtime/ports.ts'
import type { Arena, Ref } from './arena.ts'
import { Kind, nameLengthAt } from './entry.ts'
import type { KeyName } from './keyName.ts'

const hashes = 2 ** 32
/** Sizes of buckets, each filling a block; cells take what the header leaves. */
const bucketSizes = [32, 48, 64, 96, 128, 176, 240, 320, 448, 576, 768, 1024, 1280, 1792, 2304, 3072]
const headerBytes = 16
const cellBytes = 6
const cellsOf = (sizeBytes: number): number => Math.floor((sizeBytes - headerBytes) / cellBytes)
/** Above this a bucket is cut; if its hashes don't let that help, it grows on. */
const cellsMax = cellsOf(bucketSizes.at(-1) as number)
const cellsLimit = 2 ** 15 - 1
/** Linear probing stays short below seven eighths. */
const roomOf = (cells: number): number => cells - Math.ceil(cells / 8)
/** How much deeper a bucket may lie than if hashes were spread evenly; else chosen hashes could blow up the directory. */
const unevenDepthMax = 4
const depthMax = 24
const drawsMax = 32
const groupSlots = 128
// In `#slots`, from a slot's beginning. There is a directory if its bits are above -1.
const slotWords = 4
const bitsAt = 1
const countAt = 2

// In 16-bit words.
const slotWord = 1
const countWord = 2
const cellsWord = 4
const firstWord = 6
const firstCellWord = 8
const cellWords = 3
const directoryHeaderBytes = 8

export class KeyIndex {
  readonly #arena: Arena
  /** To compute an entry's hash anew. */
  readonly #name: KeyName
  /** Of each slot, side by side in one line of memory: its bucket or directory, bits of the directory, number of entries. */
  readonly #slots = new Int32Array(slotCount * slotWords)
  /** Of `groupSlots` slots together: to draw one without looking at all. */
  readonly #groupCounts = new Int32Array(slotCount / groupSlots)
  #count = 0

  constructor(arena: Arena, name: KeyName) {
    this.#arena = arena
    this.#name = name
    for (let slot = 0; slot < slotCount; slot++) this.#slots[slot * slotWords + bitsAt] = -1
  }

  get size(): number {
    return this.#count
  }

  sizeOf(slot: number): number {
    return this.#slots[slot * slotWords + countAt] as number
  }

  /** The entry of that name; 0: there is none. */
  find(name: KeyName): Ref {
    const { slot, hash } = name
    const bucket = this.#bucketAt(slot, hash)
    if (bucket === 0) return 0
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    const cells = cellCount(words, base)
    const tag = hash & 0xffff
    let cell = (tag * cells) >>> 16
    for (;;) {
      const at = base + firstCellWord + cell * cellWords
      const ref = (words[at + 1] as number) | ((words[at + 2] as number) << 16)
      if (ref === 0) return 0
      if (words[at] === tag && this.#isNamed(ref, name)) return ref
      if (++cell === cells) cell = 0
    }
  }

  /** Shows the entries of the slot with that hash: one, but for collisions. They must not be removed meanwhile. */
  byHash(slot: number, hash: number, visit: (ref: Ref) => void): void {
    const bucket = this.#bucketAt(slot, hash)
    if (bucket === 0) return
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    const cells = cellCount(words, base)
    const tag = hash & 0xffff
    for (let cell = (tag * cells) >>> 16; ; cell = cell + 1 === cells ? 0 : cell + 1) {
      const at = base + firstCellWord + cell * cellWords
      const ref = refAt(words, at)
      if (ref === 0) return
      if (words[at] === tag && this.#hashOf(ref) === hash) visit(ref)
    }
  }

  /** The name is not there yet. */
  insert(slot: number, hash: number, ref: Ref): void {
    let bucket = this.#bucketAt(slot, hash)
    if (bucket === 0) {
      bucket = this.#newBucket(slot, cellsOf(bucketSizes[0] as number), 0, 0)
      this.#slots[slot * slotWords] = bucket
    }
    this.#note(slot, 1)
    while (!this.#hasRoom(bucket)) bucket = this.#makeRoom(slot, bucket, hash)
    this.#put(bucket, hash & 0xffff, ref)
  }

  /** The entry has moved. */
  replace(slot: number, hash: number, from: Ref, to: Ref): void {
    const bucket = this.#bucketAt(slot, hash)
    const at = this.#cellOf(bucket, hash & 0xffff, from)
    setRef(this.#arena.words(bucket), at, to)
  }

  remove(slot: number, hash: number, ref: Ref): void {
    const bucket = this.#bucketAt(slot, hash)
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    const count = countOf(words, base) - 1
    this.#empty(words, base, this.#cellOf(bucket, hash & 0xffff, ref))
    setCount(words, base, count)
    this.#note(slot, -1)
    const left = this.sizeOf(slot)
    if (left === 0) this.#drop(slot)
    else if (this.#bitsOf(slot) !== -1) {
      if (left < cellsMax / 4) this.#join(slot)
      else if (count < cellsMax / 8) this.#merge(slot, bucket)
    } else if (count < cellCount(words, base) / 4) this.#resize(slot, bucket, 0, shrunk(count))
  }

  /** Shows all entries of the slot; they may be removed meanwhile, but none added. */
  forEach(slot: number, visit: (ref: Ref) => void): void {
    if (this.#rootOf(slot) === 0) return
    if (this.#bitsOf(slot) === -1) {
      for (const ref of this.#refsOf(this.#rootOf(slot))) visit(ref)
      return
    }
    // A list of their own: removals may join or shrink the buckets.
    const lists: Int32Array[] = []
    for (const bucket of this.#buckets(slot)) lists.push(this.#refsOf(bucket))
    for (const refs of lists) for (const ref of refs) visit(ref)
  }

  /** Shows about `count` entries from `position` on; returns where to go on, 0 at the end. `visit` must not write. */
  scan(slot: number, position: number, count: number, visit: (ref: Ref) => void): number {
    if (this.#rootOf(slot) === 0) return 0
    let at = position
    let visited = 0
    while (at < hashes) {
      const bucket = this.#bucketAt(slot, at | 0)
      const refs = this.#refsOf(bucket)
      for (const ref of refs) visit(ref)
      visited += refs.length
      const words = this.#arena.words(bucket)
      const base = this.#arena.offset(bucket) >> 1
      at = firstOf(words, base) + hashes / 2 ** depthOf(words, base)
      if (visited >= count) break
    }
    return at < hashes ? at : 0
  }

  /** Any entry of the shard, each about equally likely; 0 when there is none. */
  random(random: Random): Ref {
    if (this.#count === 0) return 0
    const slot = this.randomSlot(random)
    for (let draw = 0; draw < drawsMax; draw++) {
      const bucket = this.#bucketAt(slot, random.below(hashes) | 0)
      const words = this.#arena.words(bucket)
      const base = this.#arena.offset(bucket) >> 1
      const ref = refAt(words, base + firstCellWord + random.below(cellCount(words, base)) * cellWords)
      if (ref !== 0) return ref
    }
    // Its buckets are nearly empty.
    let found = 0
    this.forEach(slot, (ref) => {
      found = ref
    })
    return found
  }

  /** The slot of any entry, each equally likely; there must be one. */
  randomSlot(random: Random): number {
    let skip = random.below(this.#count)
    let group = 0
    for (; skip >= (this.#groupCounts[group] as number); group++) skip -= this.#groupCounts[group] as number
    let slot = group * groupSlots
    for (; skip >= this.sizeOf(slot); slot++) skip -= this.sizeOf(slot)
    return slot
  }

  #note(slot: number, difference: 1 | -1): void {
    const group = Math.floor(slot / groupSlots)
    this.#slots[slot * slotWords + countAt] = this.sizeOf(slot) + difference
    this.#groupCounts[group] = (this.#groupCounts[group] as number) + difference
    this.#count += difference
  }

  /** Slots with entries, ascending. */
  *occupied(): IterableIterator<number> {
    for (let slot = this.#occupiedFrom(0); slot < slotCount; slot = this.#occupiedFrom(slot + 1)) yield slot
  }

  /** The next slot with entries; behind the last one comes the first. There must be one. */
  occupiedBehind(slot: number): number {
    const next = this.#occupiedFrom(slot + 1)
    return next < slotCount ? next : this.#occupiedFrom(0)
  }

  /** `slotCount`: there is none. */
  #occupiedFrom(first: number): number {
    let slot = first
    while (slot < slotCount && this.sizeOf(slot) === 0) {
      const isGroupStart = slot % groupSlots === 0
      slot += isGroupStart && this.#groupCounts[slot / groupSlots] === 0 ? groupSlots : 1
    }
    return slot
  }

  /** A bucket or directory has moved. */
  moved(from: Ref, to: Ref): void {
    const bytes = this.#arena.bytes(to)
    const at = this.#arena.offset(to)
    const slot = (bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8)
    if (this.#rootOf(slot) === from) this.#slots[slot * slotWords] = to
    else {
      const words = this.#arena.words(to)
      this.#direct(slot, firstOf(words, at >> 1), depthOf(words, at >> 1), to)
    }
  }

  // ---- buckets

  #rootOf(slot: number): Ref {
    return this.#slots[slot * slotWords] as Ref
  }

  #bitsOf(slot: number): number {
    return this.#slots[slot * slotWords + bitsAt] as number
  }

  #bucketAt(slot: number, hash: number): Ref {
    const slots = this.#slots
    const root = slots[slot * slotWords] as Ref
    const bits = slots[slot * slotWords + bitsAt] as number
    if (bits === -1) return root
    return this.#directoryEntry(root, bits === 0 ? 0 : hash >>> (32 - bits))
  }

  #isNamed(ref: Ref, name: KeyName): boolean {
    const bytes = this.#arena.bytes(ref)
    let at = this.#arena.offset(ref) + nameLengthAt
    const length = name.end - name.start
    if (length < 0x80) {
      if (bytes[at++] !== length) return false
    } else {
      readVarint(bytes, at)
      if (varint.value !== length) return false
      at = varint.end
    }
    const other = name.bytes
    for (let from = name.start, end = name.end; from < end; from++, at++) {
      if (bytes[at] !== other[from]) return false
    }
    return true
  }

  /** The index's own name is aimed at the entry. */
  #hashOf(ref: Ref): number {
    const bytes = this.#arena.bytes(ref)
    readVarint(bytes, this.#arena.offset(ref) + nameLengthAt)
    this.#name.aim(bytes, varint.end, varint.end + varint.value)
    return this.#name.hash
  }

  #hasRoom(bucket: Ref): boolean {
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    return countOf(words, base) < roomOf(cellCount(words, base))
  }

  #put(bucket: Ref, tag: number, ref: Ref): void {
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    const cells = cellCount(words, base)
    let cell = (tag * cells) >>> 16
    for (;;) {
      const at = base + firstCellWord + cell * cellWords
      if (refAt(words, at) === 0) {
        words[at] = tag
        setRef(words, at, ref)
        setCount(words, base, countOf(words, base) + 1)
        return
      }
      if (++cell === cells) cell = 0
    }
  }

  /** Where in `words` the cell of the entry lies. */
  #cellOf(bucket: Ref, tag: number, ref: Ref): number {
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    const cells = cellCount(words, base)
    let cell = (tag * cells) >>> 16
    for (let looked = 0; looked < cells; looked++) {
      const at = base + firstCellWord + cell * cellWords
      if (refAt(words, at) === ref) return at
      if (++cell === cells) cell = 0
    }
    invariant(false, 'an entry is in its bucket')
  }

  /** Empties a cell and moves those behind it up that would not be found any more (Knuth 6.4, algorithm R). */
  #empty(words: Uint16Array, base: number, emptied: number): void {
    const cells = cellCount(words, base)
    const cellsAt = base + firstCellWord
    let hole = (emptied - cellsAt) / cellWords
    let cell = hole
    for (;;) {
      if (++cell === cells) cell = 0
      const at = cellsAt + cell * cellWords
      if (refAt(words, at) === 0) break
      const home = ((words[at] as number) * cells) >>> 16
      const stays = hole <= cell ? hole < home && home <= cell : hole < home || home <= cell
      if (stays) continue
      const to = cellsAt + hole * cellWords
      words[to] = words[at] as number
      words[to + 1] = words[at + 1] as number
      words[to + 2] = words[at + 2] as number
      hole = cell
    }
    setRef(words, cellsAt + hole * cellWords, 0)
  }

  #newBucket(slot: number, cells: number, depth: number, first: number): Ref {
    const bucket = this.#arena.allocate(headerBytes + cells * cellBytes)
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    words[base] = Kind.bucket | (depth << 8)
    words[base + slotWord] = slot
    setCount(words, base, 0)
    words[base + cellsWord] = cells
    words[base + cellsWord + 1] = 0
    words[base + firstWord] = first
    words[base + firstWord + 1] = first >>> 16
    words.fill(0, base + firstCellWord, base + firstCellWord + cells * cellWords)
    return bucket
  }

  /** The entries of the bucket. */
  #refsOf(bucket: Ref): Int32Array {
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    const refs = new Int32Array(countOf(words, base))
    const end = base + firstCellWord + cellCount(words, base) * cellWords
    let count = 0
    for (let at = base + firstCellWord; at < end; at += cellWords) {
      const ref = refAt(words, at)
      if (ref !== 0) refs[count++] = ref
    }
    return refs
  }

  /** Returns the bucket in which `hash` belongs now. */
  #makeRoom(slot: number, bucket: Ref, hash: number): Ref {
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    const cells = cellCount(words, base)
    const depth = depthOf(words, base)
    if (cells < cellsMax) return this.#resize(slot, bucket, depth, larger(cells))
    const evenDepth = Math.ceil(Math.log2(this.sizeOf(slot) / cellsMax))
    if (depth < Math.min(depthMax, evenDepth + unevenDepthMax)) {
      this.#cut(slot, bucket)
      return this.#bucketAt(slot, hash)
    }
    invariant(cells < cellsLimit, 'so many names do not have one hash', { cells })
    return this.#resize(slot, bucket, depth, Math.min(cellsLimit, cells * 2))
  }

  /** The same bucket with another number of cells. Tags are all that is needed. */
  #resize(slot: number, bucket: Ref, depth: number, cells: number): Ref {
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    if (cells === cellCount(words, base)) return bucket
    const first = firstOf(words, base)
    const resized = this.#newBucket(slot, cells, depth, first)
    this.#pour(bucket, resized)
    this.#arena.free(bucket)
    if (this.#bitsOf(slot) === -1) this.#slots[slot * slotWords] = resized
    else this.#direct(slot, first, depth, resized)
    return resized
  }

  /** Copies the cells of `from`. */
  #pour(from: Ref, to: Ref): void {
    const words = this.#arena.words(from)
    const base = this.#arena.offset(from) >> 1
    const end = base + firstCellWord + cellCount(words, base) * cellWords
    for (let at = base + firstCellWord; at < end; at += cellWords) {
      const ref = refAt(words, at)
      if (ref !== 0) this.#put(to, words[at] as number, ref)
    }
  }

  #cut(slot: number, bucket: Ref): void {
    if (this.#bitsOf(slot) === -1) this.#beginDirectory(slot, bucket)
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    const depth = depthOf(words, base) + 1
    if (depth > this.#bitsOf(slot)) this.#doubleDirectory(slot)
    const lowerFirst = firstOf(words, base)
    const upperFirst = lowerFirst + hashes / 2 ** depth
    // One that has outgrown the usual size may fall into one half.
    const cells = Math.max(cellsMax, cellCount(words, base))
    const lower = this.#newBucket(slot, cells, depth, lowerFirst)
    const upper = this.#newBucket(slot, cells, depth, upperFirst)
    for (const ref of this.#refsOf(bucket)) {
      const hash = this.#hashOf(ref)
      this.#put(hash >>> 0 < upperFirst ? lower : upper, hash & 0xffff, ref)
    }
    this.#arena.free(bucket)
    this.#direct(slot, lowerFirst, depth, lower)
    this.#direct(slot, upperFirst, depth, upper)
  }

  /** With the other half of what was cut, when both are nearly empty. */
  #merge(slot: number, bucket: Ref): void {
    const words = this.#arena.words(bucket)
    const base = this.#arena.offset(bucket) >> 1
    const depth = depthOf(words, base)
    if (depth === 0) return
    const first = firstOf(words, base)
    const width = hashes / 2 ** depth
    const lowerFirst = first - (first % (2 * width))
    const other = this.#bucketAt(slot, (first === lowerFirst ? first + width : lowerFirst) | 0)
    const otherWords = this.#arena.words(other)
    const otherBase = this.#arena.offset(other) >> 1
    if (depthOf(otherWords, otherBase) !== depth) return
    if (countOf(words, base) + countOf(otherWords, otherBase) > cellsMax / 2) return
    const merged = this.#newBucket(slot, cellsMax, depth - 1, lowerFirst)
    for (const half of [bucket, other]) {
      this.#pour(half, merged)
      this.#arena.free(half)
    }
    this.#direct(slot, lowerFirst, depth - 1, merged)
  }

  // ---- directories

  #directoryEntry(directory: Ref, number: number): Ref {
    const bytes = this.#arena.bytes(directory)
    const at = this.#arena.offset(directory) + directoryHeaderBytes + number * 4
    return (
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    )
  }

  #setDirectoryEntry(directory: Ref, number: number, bucket: Ref): void {
    const bytes = this.#arena.bytes(directory)
    const at = this.#arena.offset(directory) + directoryHeaderBytes + number * 4
    bytes[at] = bucket
    bytes[at + 1] = bucket >>> 8
    bytes[at + 2] = bucket >>> 16
    bytes[at + 3] = bucket >>> 24
  }

  #newDirectory(slot: number, bits: number): Ref {
    const directory = this.#arena.allocate(directoryHeaderBytes + 4 * 2 ** bits)
    const bytes = this.#arena.bytes(directory)
    const at = this.#arena.offset(directory)
    bytes.fill(0, at, at + directoryHeaderBytes)
    bytes[at] = Kind.directory
    bytes[at + 2] = slot
    bytes[at + 3] = slot >>> 8
    this.#slots[slot * slotWords] = directory
    this.#slots[slot * slotWords + bitsAt] = bits
    return directory
  }

  #beginDirectory(slot: number, bucket: Ref): void {
    this.#setDirectoryEntry(this.#newDirectory(slot, 0), 0, bucket)
  }

  #doubleDirectory(slot: number): void {
    const old = this.#rootOf(slot)
    const bits = this.#bitsOf(slot)
    const doubled = this.#newDirectory(slot, bits + 1)
    for (let number = 0; number < 2 ** bits; number++) {
      const bucket = this.#directoryEntry(old, number)
      this.#setDirectoryEntry(doubled, 2 * number, bucket)
      this.#setDirectoryEntry(doubled, 2 * number + 1, bucket)
    }
    this.#arena.free(old)
  }

  /** The interval of hashes from `first` on, of buckets of that depth, leads to `bucket`. */
  #direct(slot: number, first: number, depth: number, bucket: Ref): void {
    const bits = this.#bitsOf(slot)
    const width = 2 ** (bits - depth)
    const start = first / 2 ** (32 - bits)
    for (let number = start; number < start + width; number++)
      this.#setDirectoryEntry(this.#rootOf(slot), number, bucket)
  }

  *#buckets(slot: number): IterableIterator<Ref> {
    const bits = this.#bitsOf(slot)
    for (let number = 0; number < 2 ** bits; ) {
      const bucket = this.#directoryEntry(this.#rootOf(slot), number)
      const depth = depthOf(this.#arena.words(bucket), this.#arena.offset(bucket) >> 1)
      yield bucket
      number += 2 ** (bits - depth)
    }
  }

  /** Back to one bucket when few entries are left. */
  #join(slot: number): void {
    const directory = this.#rootOf(slot)
    const joined = this.#newBucket(slot, shrunk(this.sizeOf(slot)), 0, 0)
    for (const bucket of [...this.#buckets(slot)]) {
      this.#pour(bucket, joined)
      this.#arena.free(bucket)
    }
    this.#arena.free(directory)
    this.#slots[slot * slotWords] = joined
    this.#slots[slot * slotWords + bitsAt] = -1
  }

  /** The slot is empty. */
  #drop(slot: number): void {
    if (this.#bitsOf(slot) !== -1) for (const bucket of [...this.#buckets(slot)]) this.#arena.free(bucket)
    this.#arena.free(this.#rootOf(slot))
    this.#slots[slot * slotWords] = 0
    this.#slots[slot * slotWords + bitsAt] = -1
  }
}

const depthOf = (words: Uint16Array, base: number): number => (words[base] as number) >>> 8
const countOf = (words: Uint16Array, base: number): number =>
  (words[base + countWord] as number) | ((words[base + countWord + 1] as number) << 16)
const cellCount = (words: Uint16Array, base: number): number => words[base + cellsWord] as number
/** Unsigned. */
const firstOf = (words: Uint16Array, base: number): number =>
  (words[base + firstWord] as number) + (words[base + firstWord + 1] as number) * 65536
const refAt = (words: Uint16Array, at: number): Ref =>
  (words[at + 1] as number) | ((words[at + 2] as number) << 16)

function setCount(words: Uint16Array, base: number, count: number): void {
  words[base + countWord] = count
  words[base + countWord + 1] = count >>> 16
}

function setRef(words: Uint16Array, at: number, ref: Ref): void {
  words[at + 1] = ref
  words[at + 2] = ref >>> 16
}

const larger = (cells: number): number =>
  cellsOf(bucketSizes.find((size) => cellsOf(size) > cells) ?? (bucketSizes.at(-1) as number))

/** With room for half as many again. */
const shrunk = (count: number): number =>
  cellsOf(bucketSizes.find((size) => roomOf(cellsOf(size)) >= count * 1.5) ?? (bucketSizes.at(-1) as number))
