/**
 * The elements of one large hash, set or sorted set: names with a stamp each, and a text in a hash, a score in a sorted set
 * (`scoreBytes.ts`), as bytes in a few buffers instead of objects. An element costs its bytes and about 20 more, the collector has nothing to walk, and it grows without pauses.
 *
 *     chunk    bytes to which elements are appended: one that grows up to 64 KiB, then further ones
 *     element  := kind u8 | stamp u56 | name length varint | name | [text length varint | text] or so many bytes as the kind says
 *     index    extendible hashing (Fagin et al. 1979): a bucket holds one interval of hashes, as pairs (hash, ref) in an open-
 *              addressing table; a full one is cut in halves, nothing else moves
 *
 * What isn't one write in no conflict is an object beside (`Full`), its number is in place of the stamp. What is deleted leaves a hole;
 * a chunk that is mostly holes is emptied into the last one, at the end of a later change.
 *
 * A scan's position is a hash. A step visits the whole bucket that the position lies in and goes on at the end of its
 * interval. Cutting and joining buckets moves no element to another hash, so whatever stays during a scan is met.
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { allocate, copyBytes, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'
import {
  readU56,
  readVarint,
  varint,
  varintBytes,
  writeU56,
  writeVarint,
} from '#runtime/bytes/packedNumbers.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Random } from '#runtime/ports.ts'
import { hashOfSum, hashPrime, hashStart } from './nameHash.ts'

/** Names an element until the next change. */
export type ElementRef = number
export const noElement: ElementRef = -1

const Kind = { text: 1, member: 2, full: 3 } as const
/** Beside the number of bytes that follow the name. */
const fixedBit = 0x40
const fixedMask = 0x3f

const chunkBytesMin = 512
const chunkBytesMax = 64 * 1024
/** A longer element has a chunk of its own. */
const offsetLimit = 2 ** 16
const cellsMin = 8
/** Above this a bucket is cut; if its hashes don't let that help, it grows on. */
const cellsMax = 512
const roomOf = (cells: number): number => cells - cells / 8
const hashes = 2 ** 32
/** How much deeper a bucket may lie than if hashes were spread evenly; else chosen hashes could blow up the directory. */
const unevenDepthMax = 4
const depthMax = 28
/** Looked at in one step of `steps`, and the rest of a bucket. */
const stepElements = 256
/** Of one object beside. */
const fullBytes = 300

interface Chunk {
  bytes: Uint8Array
  /** Behind the last element. */
  end: number
  liveBytes: number
}

interface Bucket {
  /** Pairs of hash and ref + 1 (0: empty), both as signed integers. */
  cells: Int32Array
  count: number
  depth: number
  /** The least hash of its interval, unsigned. */
  first: number
}

let hashStartOfNew = hashStart(0)

/** Tables made from now on hash names in a way that clients can't know, so that they can't send names that collide. */
export function seedElementHashes(seed: number): void {
  hashStartOfNew = hashStart(seed)
}

export class ElementTable<Full> {
  size = 0
  readonly #hashStart = hashStartOfNew
  readonly #chunks: Chunk[] = []
  readonly #freeChunks: number[] = []
  #current = 0
  #chunkBytes = 0
  /** Chunks that are mostly holes. */
  readonly #thin: number[] = []
  /** Somebody visits elements: none may move. */
  #visits = 0
  readonly #fulls: (Full | undefined)[] = []
  readonly #freeFulls: number[] = []
  #directory: Bucket[] = [newBucket(cellsMin, 0, 0)]
  /** The directory's length is 2 ** bits. */
  #bits = 0
  #cellCount = cellsMin
  #hashedName = ''
  #hashOfName = hashOf('', this.#hashStart)
  /** Where `findFixed` has found what it looked for. */
  fixed: Uint8Array = noChunk.bytes
  fixedAt = 0
  /** Told of each element that is moved. */
  onMoved: ((from: ElementRef, to: ElementRef) => void) | undefined = undefined

  /** Of the elements and what finds them; objects beside are estimated. */
  get usedBytes(): number {
    const objects = this.#fulls.length - this.#freeFulls.length
    return this.#chunkBytes + this.#cellCount * 8 + objects * fullBytes
  }

  // ---- reading

  find(name: string): ElementRef {
    const hash = this.#hashOf(name)
    const { cells } = this.#bucketAt(hash)
    const mask = cells.length - 2
    for (let at = (hash << 1) & mask; ; at = (at + 2) & mask) {
      const ref = cells[at + 1] as number
      if (ref === 0) return noElement
      if (cells[at] === hash && this.#isNamed((ref - 1) >>> 0, name)) return (ref - 1) >>> 0
    }
  }

  name(ref: ElementRef): string {
    const { bytes } = this.#chunkOf(ref)
    readVarint(bytes, offsetOf(ref) + nameLengthAt)
    return latin1(bytes, varint.end, varint.end + varint.value)
  }

  isFull(ref: ElementRef): boolean {
    return this.#chunkOf(ref).bytes[offsetOf(ref)] === Kind.full
  }

  /** Of a full one. */
  full(ref: ElementRef): Full {
    return this.#fulls[this.stamp(ref)] as Full
  }

  /** Of one that isn't full. */
  stamp(ref: ElementRef): Stamp {
    return readU56(this.#chunkOf(ref).bytes, offsetOf(ref) + 1)
  }

  /** Of an element that has one. */
  text(ref: ElementRef): string {
    const { bytes } = this.#chunkOf(ref)
    readVarint(bytes, offsetOf(ref) + nameLengthAt)
    readVarint(bytes, varint.end + varint.value)
    return latin1(bytes, varint.end, varint.end + varint.value)
  }

  /** How many bytes follow the name (0: none, or another kind); they are those of `fixed` from `fixedAt` on. */
  findFixed(ref: ElementRef): number {
    const { bytes } = this.#chunkOf(ref)
    const kind = bytes[offsetOf(ref)] as number
    if ((kind & fixedBit) === 0) return 0
    readVarint(bytes, offsetOf(ref) + nameLengthAt)
    this.fixed = bytes
    this.fixedAt = varint.end + varint.value
    return kind & fixedMask
  }

  /** Below 0: the element's name comes before `name` in the order of bytes. */
  compareName(ref: ElementRef, name: string): number {
    const { bytes } = this.#chunkOf(ref)
    readVarint(bytes, offsetOf(ref) + nameLengthAt)
    const { value, end } = varint
    const length = Math.min(value, name.length)
    for (let i = 0; i < length; i++) {
      const difference = (bytes[end + i] as number) - name.charCodeAt(i)
      if (difference !== 0) return difference
    }
    return value - name.length
  }

  /** Elements may be changed and removed by `visit`, but none added. */
  forEach(visit: (ref: ElementRef) => void): void {
    this.#visits++
    try {
      for (const bucket of [...this.#buckets()]) for (const ref of refsOf(bucket)) visit(ref)
    } finally {
      this.#visits--
    }
  }

  /** For reading only. */
  *refs(): IterableIterator<ElementRef> {
    for (const bucket of this.#buckets()) yield* refsOf(bucket)
  }

  /**
   * Shows about `count` elements from `position` on; returns where to go on, 0 at the end. They may be changed and removed by `visit`,
   * but none added.
   */
  scan(position: number, count: number, visit: (ref: ElementRef) => void): number {
    let at = position
    let visited = 0
    this.#visits++
    try {
      while (at < hashes) {
        const bucket = this.#bucketAt(at | 0)
        const refs = refsOf(bucket)
        at = bucket.first + hashes / 2 ** bucket.depth
        for (const ref of refs) visit(ref)
        visited += refs.length
        if (visited >= count) break
      }
    } finally {
      this.#visits--
    }
    return at < hashes ? at : 0
  }

  /** `forEach` in small steps; between them nothing else may change the table. */
  *steps(visit: (ref: ElementRef) => void): Generator<void> {
    for (let at = 0; ; ) {
      at = this.scan(at, stepElements, visit)
      if (at === 0) return
      yield
    }
  }

  /** Tables with the same one have their elements in the same order of `walk`. */
  get order(): number {
    return this.#hashStart
  }

  /** Where `walk` meets, or would meet, the element of this name. */
  positionOf(name: string): number {
    return this.#hashOf(name) >>> 0
  }

  /**
   * Shows elements one by one from `position` on, in an order that stays whatever is added and removed, until `visit` says false; returns
   * where to go on, 0 at the end. `visit` must not write.
   */
  walk(position: number, visit: (ref: ElementRef) => boolean): number {
    for (let at = position; at < hashes; ) {
      const bucket = this.#bucketAt(at | 0)
      let last = noElement
      for (const { hash, ref } of orderedFrom(bucket, at)) {
        // Elements of one hash stay together.
        if (last !== noElement && hash !== last) return hash
        if (!visit(ref)) last = hash
      }
      at = bucket.first + hashes / 2 ** bucket.depth
      if (last !== noElement) return at < hashes ? at : 0
    }
    return 0
  }

  /** Every element is about equally likely; `noElement` when empty. */
  random(random: Random): ElementRef {
    if (this.size === 0) return noElement
    for (;;) {
      // A bucket is met as often as its interval is wide, and so is each of its elements, up to the noise of hashing.
      const { cells } = this.#bucketAt(random.below(hashes) | 0)
      const ref = cells[random.below(cells.length / 2) * 2 + 1] as number
      if (ref !== 0) return (ref - 1) >>> 0
    }
  }

  // ---- writing

  /** The element is one write: of `text` in a hash, of the member itself in a set. */
  put(name: string, stamp: Stamp, text: string | undefined): void {
    const ref = this.find(name)
    const kind = text === undefined ? Kind.member : Kind.text
    if (ref !== noElement) {
      if (this.#putInPlace(ref, kind, stamp, text)) return
      this.#kill(ref)
    }
    const bytesWanted =
      nameLengthAt +
      varintBytes(name.length) +
      (text === undefined ? 0 : varintBytes(text.length) + text.length)
    const made = this.#append(kind, stamp, name, bytesWanted)
    if (text !== undefined) this.#writeText(made, text)
    this.#point(name, ref, made)
    this.#compact()
  }

  /** The element has the bytes [0, length) of `fixed` behind its name, 63 at most. Returns where it is now. */
  putFixed(name: string, stamp: Stamp, fixed: Uint8Array, length: number): ElementRef {
    let ref = this.find(name)
    const kind = fixedBit | length
    const inPlace = ref !== noElement && this.#putInPlace(ref, kind, stamp, undefined)
    if (!inPlace) {
      if (ref !== noElement) this.#kill(ref)
      const made = this.#append(kind, stamp, name, nameLengthAt + varintBytes(name.length) + length)
      this.#point(name, ref, made)
      ref = made
    }
    this.findFixed(ref)
    copyBytes(this.fixed, this.fixedAt, fixed, 0, length)
    if (inPlace || !this.#compact()) return ref
    return this.find(name)
  }

  putFull(name: string, full: Full): void {
    const ref = this.find(name)
    if (ref !== noElement && this.isFull(ref)) {
      this.#fulls[this.stamp(ref)] = full
      return
    }
    if (ref !== noElement) this.#kill(ref)
    const number = this.#freeFulls.pop() ?? this.#fulls.length
    this.#fulls[number] = full
    this.#point(name, ref, this.#append(Kind.full, number, name, nameLengthAt + varintBytes(name.length)))
    this.#compact()
  }

  /** False: there was none. */
  delete(name: string): boolean {
    const ref = this.find(name)
    if (ref === noElement) return false
    this.#kill(ref)
    const hash = this.#hashOf(name)
    const bucket = this.#bucketAt(hash)
    emptyCell(bucket, hash, ref)
    this.size--
    if (this.#visits === 0 && this.#bits > 0) {
      if (this.size < cellsMax / 4) this.#join()
      else if (bucket.count < cellsMax / 8) this.#merge(bucket)
    }
    this.#compact()
    return true
  }

  clear(): void {
    this.size = 0
    this.#chunks.length = 0
    this.#freeChunks.length = 0
    this.#thin.length = 0
    this.#current = 0
    this.#chunkBytes = 0
    this.#fulls.length = 0
    this.#freeFulls.length = 0
    this.#directory = [newBucket(cellsMin, 0, 0)]
    this.#bits = 0
    this.#cellCount = cellsMin
  }

  /** A look at an element and the change behind it ask for the hash of one name. */
  #hashOf(name: string): number {
    if (name !== this.#hashedName) {
      this.#hashedName = name
      this.#hashOfName = hashOf(name, this.#hashStart)
    }
    return this.#hashOfName
  }

  #isNamed(ref: ElementRef, name: string): boolean {
    const { bytes } = this.#chunkOf(ref)
    readVarint(bytes, offsetOf(ref) + nameLengthAt)
    if (varint.value !== name.length) return false
    for (let at = varint.end, i = 0; i < name.length; at++, i++)
      if (bytes[at] !== name.charCodeAt(i)) return false
    return true
  }

  /** False: it needs another place. */
  #putInPlace(ref: ElementRef, kind: number, stamp: Stamp, text: string | undefined): boolean {
    const { bytes } = this.#chunkOf(ref)
    const at = offsetOf(ref)
    if (bytes[at] !== kind) return false
    if (text !== undefined) {
      readVarint(bytes, at + nameLengthAt)
      readVarint(bytes, varint.end + varint.value)
      if (varint.value !== text.length) return false
      writeLatin1(bytes, varint.end, text)
    }
    writeU56(bytes, at + 1, stamp)
    return true
  }

  /** The index leads to `to` instead of `from`, which may be none. */
  #point(name: string, from: ElementRef, to: ElementRef): void {
    const hash = this.#hashOf(name)
    if (from !== noElement) {
      const { cells } = this.#bucketAt(hash)
      cells[cellOf(cells, hash, from) + 1] = (to + 1) | 0
      return
    }
    this.size++
    let bucket = this.#bucketAt(hash)
    while (bucket.count >= roomOf(bucket.cells.length / 2)) bucket = this.#makeRoom(bucket, hash)
    fillCell(bucket, hash, to)
  }

  // ---- chunks

  #chunkOf(ref: ElementRef): Chunk {
    return this.#chunks[ref >>> 16] as Chunk
  }

  /** Without its text, for which there is room. `sizeBytes` leaves out the name. */
  #append(kind: number, stamp: number, name: string, sizeBytes: number): ElementRef {
    const wholeBytes = sizeBytes + name.length
    const number = this.#chunkWithRoom(wholeBytes)
    const chunk = this.#chunks[number] as Chunk
    const at = chunk.end
    chunk.end += wholeBytes
    chunk.liveBytes += wholeBytes
    const { bytes } = chunk
    bytes[at] = kind
    writeU56(bytes, at + 1, stamp)
    const nameAt = writeVarint(bytes, at + nameLengthAt, name.length)
    writeLatin1(bytes, nameAt, name)
    return number * offsetLimit + at
  }

  #writeText(ref: ElementRef, text: string): void {
    const { bytes } = this.#chunkOf(ref)
    readVarint(bytes, offsetOf(ref) + nameLengthAt)
    writeLatin1(bytes, writeVarint(bytes, varint.end + varint.value, text.length), text)
  }

  #chunkWithRoom(sizeBytes: number): number {
    const chunk = this.#chunks[this.#current]
    if (chunk !== undefined && chunk.end + sizeBytes <= chunk.bytes.length) return this.#current
    if (chunk !== undefined && chunk.end + sizeBytes <= chunkBytesMax) {
      this.#grow(chunk, chunk.end + sizeBytes)
      return this.#current
    }
    const isFirst = this.#chunks.length === 0
    const wanted = Math.max(sizeBytes, isFirst ? chunkBytesMin : chunkBytesMax)
    const number = this.#freeChunks.pop() ?? this.#chunks.length
    invariant(number < offsetLimit, 'the elements of one key take less than 4 GiB')
    this.#chunks[number] = { bytes: allocate(wanted), end: 0, liveBytes: 0 }
    this.#chunkBytes += wanted
    // What has a chunk of its own leaves the last one open.
    if (sizeBytes <= chunkBytesMax || isFirst) this.#current = number
    return number
  }

  #grow(chunk: Chunk, neededBytes: number): void {
    let capacity = chunk.bytes.length
    while (capacity < neededBytes) capacity *= 2
    const grown = allocate(Math.min(chunkBytesMax, capacity))
    copyBytes(grown, 0, chunk.bytes, 0, chunk.end)
    this.#chunkBytes += grown.length - chunk.bytes.length
    chunk.bytes = grown
  }

  /** The element becomes a hole; its cell still leads to it. */
  #kill(ref: ElementRef): void {
    const number = ref >>> 16
    const chunk = this.#chunks[number] as Chunk
    const at = offsetOf(ref)
    if (chunk.bytes[at] === Kind.full) {
      const full = readU56(chunk.bytes, at + 1)
      this.#fulls[full] = undefined
      this.#freeFulls.push(full)
    }
    const sizeBytes = elementEnd(chunk.bytes, at) - at
    // Its kind tells what follows the name, and so where the next element begins.
    chunk.bytes[at] = (chunk.bytes[at] as number) | holeBit
    const wasThin = isThin(chunk)
    chunk.liveBytes -= sizeBytes
    if (!wasThin && isThin(chunk)) this.#thin.push(number)
  }

  /** Empties one chunk that is mostly holes, unless somebody visits elements. True: elements may have moved. */
  #compact(): boolean {
    if (this.#thin.length === 0 || this.#visits > 0) return false
    const number = this.#thin.pop() as number
    const chunk = this.#chunks[number] as Chunk
    if (!isThin(chunk)) return false
    this.#chunkBytes -= chunk.bytes.length
    if (number === this.#current) this.#current = this.#chunks.push(this.#chunkFor(chunk.liveBytes)) - 1
    for (let at = 0; at < chunk.end; ) {
      const end = elementEnd(chunk.bytes, at)
      if (((chunk.bytes[at] as number) & holeBit) === 0)
        this.#move(chunk.bytes, at, end, number * offsetLimit + at)
      at = end
    }
    // Only now: who is told of a move may read those that haven't been moved yet.
    this.#chunks[number] = noChunk
    this.#freeChunks.push(number)
    return true
  }

  /** With room for as much again. */
  #chunkFor(liveBytes: number): Chunk {
    let capacity = chunkBytesMin
    while (capacity < Math.min(chunkBytesMax, liveBytes * 2)) capacity *= 2
    this.#chunkBytes += capacity
    return { bytes: allocate(capacity), end: 0, liveBytes: 0 }
  }

  #move(bytes: Uint8Array, start: number, end: number, from: ElementRef): void {
    const number = this.#chunkWithRoom(end - start)
    const chunk = this.#chunks[number] as Chunk
    const at = chunk.end
    copyBytes(chunk.bytes, at, bytes, start, end)
    chunk.end += end - start
    chunk.liveBytes += end - start
    readVarint(bytes, start + nameLengthAt)
    const hash = hashOfBytes(bytes, varint.end, varint.end + varint.value, this.#hashStart)
    const { cells } = this.#bucketAt(hash)
    const to = number * offsetLimit + at
    cells[cellOf(cells, hash, from) + 1] = (to + 1) | 0
    if (this.onMoved !== undefined) this.onMoved(from, to)
  }

  // ---- index

  #bucketAt(hash: number): Bucket {
    return this.#directory[this.#bits === 0 ? 0 : hash >>> (32 - this.#bits)] as Bucket
  }

  *#buckets(): IterableIterator<Bucket> {
    const directory = this.#directory
    const bits = this.#bits
    for (let at = 0; at < directory.length; ) {
      const bucket = directory[at] as Bucket
      yield bucket
      at += 2 ** (bits - bucket.depth)
    }
  }

  /** Returns the bucket in which `hash` belongs now. */
  #makeRoom(bucket: Bucket, hash: number): Bucket {
    const cells = bucket.cells.length / 2
    const evenDepth = Math.ceil(Math.log2(this.size / cellsMax))
    if (cells >= cellsMax && bucket.depth < Math.min(depthMax, evenDepth + unevenDepthMax)) {
      this.#cut(bucket)
      return this.#bucketAt(hash)
    }
    const larger = newBucket(cells * 2, bucket.depth, bucket.first)
    pour(bucket, larger)
    this.#cellCount += cells
    this.#replace(larger)
    return larger
  }

  #cut(bucket: Bucket): void {
    if (bucket.depth === this.#bits) this.#double()
    const depth = bucket.depth + 1
    const cells = bucket.cells.length / 2
    const lower = newBucket(cells, depth, bucket.first)
    const upper = newBucket(cells, depth, bucket.first + hashes / 2 ** depth)
    const pairs = bucket.cells
    for (let at = 0; at < pairs.length; at += 2) {
      const ref = pairs[at + 1] as number
      const hash = pairs[at] as number
      if (ref !== 0) fillCell(hash >>> 0 < upper.first ? lower : upper, hash, (ref - 1) >>> 0)
    }
    this.#cellCount += cells
    this.#replace(lower)
    this.#replace(upper)
  }

  /** The bucket takes its interval in the directory. */
  #replace(bucket: Bucket): void {
    const width = 2 ** (this.#bits - bucket.depth)
    const start = bucket.first / 2 ** (32 - this.#bits)
    for (let at = start; at < start + width; at++) this.#directory[at] = bucket
  }

  #double(): void {
    const doubled: Bucket[] = []
    for (const bucket of this.#directory) doubled.push(bucket, bucket)
    this.#directory = doubled
    this.#bits++
  }

  /** Joins a bucket that is nearly empty with the other half of the one they came from, if there is room for changes left. */
  #merge(bucket: Bucket): void {
    const { depth, first } = bucket
    if (depth === 0) return
    const width = hashes / 2 ** depth
    const lowerFirst = first - (first % (2 * width))
    const other = this.#bucketAt((first === lowerFirst ? first + width : lowerFirst) | 0)
    if (other.depth !== depth || bucket.count + other.count > cellsMax / 2) return
    const merged = newBucket(cellsMax, depth - 1, lowerFirst)
    for (const half of [bucket, other]) {
      pour(half, merged)
      this.#cellCount -= half.cells.length / 2
    }
    this.#cellCount += cellsMax
    this.#replace(merged)
  }

  /** Back to one bucket when few elements are left. */
  #join(): void {
    const joined = newBucket(cellsMax, 0, 0)
    for (const bucket of this.#buckets()) pour(bucket, joined)
    this.#directory = [joined]
    this.#bits = 0
    this.#cellCount = cellsMax
  }
}

const noChunk: Chunk = { bytes: allocate(0), end: 0, liveBytes: 0 }
/** Beside the kind of an element that is gone. */
const holeBit = 0x80
const nameLengthAt = 8

/** Where the element that begins at `at`, or the hole it has left, ends. */
function elementEnd(bytes: Uint8Array, at: number): number {
  readVarint(bytes, at + nameLengthAt)
  const end = varint.end + varint.value
  const kind = (bytes[at] as number) & ~holeBit
  if ((kind & fixedBit) !== 0) return end + (kind & fixedMask)
  if (kind !== Kind.text) return end
  readVarint(bytes, end)
  return varint.end + varint.value
}

const offsetOf = (ref: ElementRef): number => ref & (offsetLimit - 1)
const isThin = ({ end, liveBytes }: Chunk): boolean => end > chunkBytesMin && liveBytes < end / 2

// ---- cells

function newBucket(cells: number, depth: number, first: number): Bucket {
  return { cells: new Int32Array(cells * 2), count: 0, depth, first }
}

function fillCell(bucket: Bucket, hash: number, ref: ElementRef): void {
  const { cells } = bucket
  const mask = cells.length - 2
  let at = (hash << 1) & mask
  while (cells[at + 1] !== 0) at = (at + 2) & mask
  cells[at] = hash
  cells[at + 1] = (ref + 1) | 0
  bucket.count++
}

function cellOf(cells: Int32Array, hash: number, ref: ElementRef): number {
  const mask = cells.length - 2
  const wanted = (ref + 1) | 0
  let at = (hash << 1) & mask
  for (let looked = 0; looked < cells.length; looked += 2) {
    if (cells[at + 1] === wanted) return at
    at = (at + 2) & mask
  }
  invariant(false, 'an element is in its bucket')
}

/** Empties a cell and moves those behind it up that would not be found any more (Knuth 6.4, algorithm R). */
function emptyCell(bucket: Bucket, hash: number, ref: ElementRef): void {
  const { cells } = bucket
  const mask = cells.length - 2
  let hole = cellOf(cells, hash, ref)
  for (let at = (hole + 2) & mask; cells[at + 1] !== 0; at = (at + 2) & mask) {
    const home = ((cells[at] as number) << 1) & mask
    const stays = hole <= at ? hole < home && home <= at : hole < home || home <= at
    if (stays) continue
    cells[hole] = cells[at] as number
    cells[hole + 1] = cells[at + 1] as number
    hole = at
  }
  cells[hole + 1] = 0
  bucket.count--
}

function pour(from: Bucket, to: Bucket): void {
  const { cells } = from
  for (let at = 0; at < cells.length; at += 2) {
    const ref = cells[at + 1] as number
    if (ref !== 0) fillCell(to, cells[at] as number, (ref - 1) >>> 0)
  }
}

/** A list of their own: the bucket may change. */
function refsOf({ cells, count }: Bucket): Float64Array {
  const refs = new Float64Array(count)
  let next = 0
  for (let at = 1; at < cells.length; at += 2) {
    const ref = cells[at] as number
    if (ref !== 0) refs[next++] = (ref - 1) >>> 0
  }
  return refs
}

/** Those of a bucket whose hashes are `first` or greater. */
function orderedFrom({ cells }: Bucket, first: number): { hash: number; ref: ElementRef }[] {
  const found: { hash: number; ref: ElementRef }[] = []
  for (let at = 0; at < cells.length; at += 2) {
    const ref = cells[at + 1] as number
    const hash = (cells[at] as number) >>> 0
    if (ref !== 0 && hash >= first) found.push({ hash, ref: (ref - 1) >>> 0 })
  }
  return found.sort((a, b) => a.hash - b.hash)
}

// ---- bytes

function hashOf(name: string, startSum: number): number {
  let sum = startSum
  for (let at = 0; at < name.length; at++) sum = Math.imul(sum ^ name.charCodeAt(at), hashPrime)
  return hashOfSum(sum)
}

function hashOfBytes(bytes: Uint8Array, start: number, end: number, startSum: number): number {
  let sum = startSum
  for (let at = start; at < end; at++) sum = Math.imul(sum ^ (bytes[at] as number), hashPrime)
  return hashOfSum(sum)
}
