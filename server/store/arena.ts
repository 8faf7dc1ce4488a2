/**
 * Memory outside the JavaScript heap, for keys and their index: the collector neither walks nor moves it, and a key costs
 * its bytes, not objects. Blocks are named by a `ref`, a 32-bit integer; 0 is no block.
 *
 *     chunk  an ArrayBuffer of up to 16 MiB
 *     page   64 KiB of a chunk, cut into blocks of one size (slab allocation, Bonwick 1994)
 *     block  up to 8 KiB in steps of at most an eighth; `ref` counts units of 8 bytes, chunk number above offset
 *     large  what is longer lies in a buffer of its own, and has a negative ref; it may grow (`extend`): its buffer is replaced by one of
 *            twice the length, from 32 MiB on by one as long as it may ever become, of which the rest is address space only
 *
 * Who deletes everything gets everything back: a page without blocks is free for any size, and a chunk without pages is
 * given back to the system at once. What random deletions leave behind are thin pages; `compact` empties the thinnest
 * chunk in small steps while too much of the memory is unused.
 *
 * The first byte of a block belongs to the allocator: it is 0 iff the block is free, so an owner never writes 0 there.
 */
import { allocate, copyBytes } from '#runtime/bytes/bytes.ts'
import { invariant } from '#runtime/invariant.ts'

/** 0: none; negative: a large block. */
export type Ref = number

const unitBytes = 8
const chunkShift = 21
const chunkUnitMask = 2 ** chunkShift - 1
const chunkBytesMax = unitBytes * 2 ** chunkShift
const chunkBytesMin = 256 * 1024
/** Less than this is left as it is. */
const worthCompactingBytes = 1024 * 1024
const chunksMax = 2 ** (31 - chunkShift)
/** So many are left for what can't be refused when the others are taken: half a GiB of 16. */
const chunksSpared = 32
const pageShift = 13
const pageUnits = 2 ** pageShift
const pageBytes = unitBytes * pageUnits
const pagesPerChunk = 2 ** (chunkShift - pageShift)
/** The longest block in a page. */
export const pagedBytesMax = 8 * 1024
/** A copy of a longer block would hold the shard for too long: it takes 1 ms for about 2 MiB. */
export const reservingBytesMin = 32 * 1024 * 1024
/** What a large block costs beyond its bytes: the buffer objects and the system allocator's share. */
const largeOverheadBytes = 256
const noPage = -1

/** Block sizes: each 8 bytes up to 128, then eight to a doubling. */
const blockSizes: readonly number[] = (() => {
  const sizes: number[] = []
  for (let size = 16; size <= 128; size += 8) sizes.push(size)
  for (let base = 128; base < pagedBytesMax; base *= 2)
    for (let step = 1; step <= 8; step++) sizes.push(base + (base / 8) * step)
  return sizes
})()

/** By size in units, rounded up. */
const classes = (() => {
  const table = new Uint8Array(pagedBytesMax / unitBytes + 1)
  for (let units = 0, size = 0; units < table.length; units++) {
    if (units * unitBytes > (blockSizes[size] as number)) size++
    table[units] = size
  }
  return table
})()
const sizeOfClass = Uint16Array.from(blockSizes)
const unitsOfClass = Uint16Array.from(blockSizes, (size) => size / unitBytes)
const blocksOfClass = Uint16Array.from(blockSizes, (size) => Math.floor(pageBytes / size))

const classOf = (sizeBytes: number): number => classes[(sizeBytes + unitBytes - 1) >>> 3] as number

/** What a block of `sizeBytes` really takes. */
export const blockBytes = (sizeBytes: number): number =>
  sizeBytes > pagedBytesMax ? sizeBytes + largeOverheadBytes : (sizeOfClass[classOf(sizeBytes)] as number)

interface Chunk {
  readonly bytes: Uint8Array
  readonly words: Uint16Array
  /** Numbers within the chunk. */
  readonly freePages: number[]
  readonly pageCount: number
  usedBytes: number
  /** Is being emptied: takes no more blocks. */
  closed: boolean
}

const noChunk: Chunk = {
  bytes: new Uint8Array(0),
  words: new Uint16Array(0),
  freePages: [],
  pageCount: 0,
  usedBytes: 0,
  closed: true,
}
const noBuffer = new Uint8Array(0)

export class Arena {
  /** Of all blocks, rounded up to their block sizes. */
  usedBytes = 0
  /** Of the chunks; what of it was never written to costs no real memory. */
  chunkBytes = 0
  /** Of the large blocks. */
  largeBytes = 0
  readonly #chunks: Chunk[] = [noChunk]
  readonly #freeChunks: number[] = []
  /** Where pages are taken from as long as it has some. */
  #chunkInUse = 0
  readonly #large: Uint8Array[] = [noBuffer]
  /** What each is counted with: all of its buffer, but for what is only reserved. */
  readonly #largeSizes: number[] = [0]
  readonly #freeLarge: number[] = []

  // By page: chunk number * pagesPerChunk + page number.
  #pageClass = new Uint8Array(0)
  #pageUsed = new Uint16Array(0)
  /** Blocks handed out since the page was taken; behind them it is untouched. */
  #pageTouched = new Uint16Array(0)
  /** First free block among the touched ones, counted from 1; 0: none. */
  #pageFree = new Uint16Array(0)
  #pageNext = new Int32Array(0)
  #pagePrevious = new Int32Array(0)
  /** By class: the first page with room. */
  readonly #roomy = new Int32Array(blockSizes.length).fill(noPage)

  /** By class: blocks that are in use. */
  readonly #blocksUsed = new Uint32Array(blockSizes.length)

  /** Number of the chunk that is being emptied, 0 for none; and the page and block that come next. */
  #compacting = 0
  /** Of all chunks when it was begun. */
  #compactFromBytes = 0
  /** When a chunk was emptied last and nothing was gained: what the chunks took then, and the blocks. */
  #futileChunkBytes = 0
  #futileUsedBytes = 0
  #compactPage = 0
  #compactBlock = 0

  /** Whether nearly all that refs can name is taken. */
  get isNearlyFull(): boolean {
    return this.#chunks.length - this.#freeChunks.length > chunksMax - chunksSpared
  }

  bytes(ref: Ref): Uint8Array {
    return ref < 0 ? (this.#large[-ref] as Uint8Array) : (this.#chunks[ref >> chunkShift] as Chunk).bytes
  }

  /** Where the block begins in `bytes(ref)`. */
  offset(ref: Ref): number {
    return ref < 0 ? 0 : (ref & chunkUnitMask) * unitBytes
  }

  /** `bytes(ref)` as 16-bit words: the block begins at `offset(ref) / 2`. */
  words(ref: Ref): Uint16Array {
    if (ref < 0) return new Uint16Array(this.bytes(ref).buffer)
    return (this.#chunks[ref >> chunkShift] as Chunk).words
  }

  /** Its first byte is not 0; the rest holds anything. `sizeBytesMax`: what it may be extended to. */
  allocate(sizeBytes: number, sizeBytesMax = sizeBytes): Ref {
    if (sizeBytes > pagedBytesMax) return this.#allocateLarge(sizeBytes, sizeBytesMax)
    const size = classOf(sizeBytes)
    const page = this.#roomy[size] as number
    return this.#take(page === noPage ? this.#newPage(size) : page, size)
  }

  free(ref: Ref): void {
    if (ref < 0) {
      this.#freeLargeBlock(-ref)
      return
    }
    const page = ref >> pageShift
    const size = this.#pageClass[page] as number
    const chunk = this.#chunks[ref >> chunkShift] as Chunk
    const block = ((ref & (pageUnits - 1)) / (unitsOfClass[size] as number)) | 0
    const at = (ref & chunkUnitMask) * unitBytes
    chunk.bytes[at] = 0
    chunk.words[at / 2 + 1] = this.#pageFree[page] as number
    this.#pageFree[page] = block + 1
    const sizeBytes = sizeOfClass[size] as number
    this.usedBytes -= sizeBytes
    chunk.usedBytes -= sizeBytes
    this.#blocksUsed[size] = (this.#blocksUsed[size] as number) - 1
    const used = (this.#pageUsed[page] as number) - 1
    this.#pageUsed[page] = used
    if (used === 0) this.#freePage(page, size, chunk)
    else if (used === (blocksOfClass[size] as number) - 1 && !chunk.closed) this.#link(page, size)
  }

  /** What the block takes. */
  sizeBytes(ref: Ref): number {
    if (ref < 0) return (this.#largeSizes[-ref] as number) + largeOverheadBytes
    return sizeOfClass[this.#pageClass[ref >> pageShift] as number] as number
  }

  /** Whether a block of `sizeBytes` may as well be this one. */
  suits(ref: Ref, sizeBytes: number): boolean {
    if (ref < 0) return this.#largeSizes[-ref] === sizeBytes
    return sizeBytes <= pagedBytesMax && this.#pageClass[ref >> pageShift] === classOf(sizeBytes)
  }

  /** So much could be given back that emptying chunks pays: a quarter, beyond the chunk that is being filled. */
  get isThin(): boolean {
    const { chunkBytes } = this
    if (chunkBytes <= worthCompactingBytes) return false
    return chunkBytes - this.#neededBytes > chunkBytes / 4 + Math.min(chunkBytesMax, chunkBytes / 2)
  }

  /** Of the blocks in pages. */
  get #pagedBytes(): number {
    return this.usedBytes - this.largeBytes
  }

  /** Of the pages, if each size had no more than its blocks fill: a few blocks of many sizes take many pages. */
  get #neededBytes(): number {
    let pages = 0
    for (let size = 0; size < blockSizes.length; size++)
      pages += Math.ceil((this.#blocksUsed[size] as number) / (blocksOfClass[size] as number))
    return pages * pageBytes
  }

  /** Emptying a chunk has led nowhere, and things are about as they were. */
  get #isFutile(): boolean {
    return (
      this.chunkBytes <= this.#futileChunkBytes * 1.125 && this.usedBytes >= this.#futileUsedBytes * 0.875
    )
  }

  /**
   * Moves up to `blocksMax` blocks out of the thinnest chunk, or looks at as many free ones; the chunk that is empty then is
   * given back. `moved` must replace the one ref by the other wherever it is kept. False: nothing is left to do.
   */
  compact(blocksMax: number, moved: (from: Ref, to: Ref) => void): boolean {
    for (let left = blocksMax; left > 0; left--) {
      if (this.#compacting === 0 && !this.#openCompaction()) return false
      this.#compactOne(moved)
    }
    return true
  }

  #openCompaction(): boolean {
    if (!this.isThin || this.#isFutile) return false
    let thinnest = 0
    let spareBytes = 0
    for (let number = 1; number < this.#chunks.length; number++) {
      const chunk = this.#chunks[number] as Chunk
      if (spareOf(chunk) <= spareBytes) continue
      thinnest = number
      spareBytes = spareOf(chunk)
    }
    const chunk = this.#chunks[thinnest] as Chunk
    if (spareBytes < chunk.bytes.length / 4) return false
    if (chunk.usedBytes === 0) {
      this.#freeChunk(thinnest, chunk)
      return this.#openCompaction()
    }
    this.#compacting = thinnest
    this.#compactFromBytes = this.chunkBytes
    this.#compactPage = thinnest * pagesPerChunk
    this.#compactBlock = 0
    this.#close(thinnest, chunk)
    return true
  }

  #endCompaction(): void {
    this.#compacting = 0
    const isGain = this.chunkBytes < this.#compactFromBytes
    this.#futileChunkBytes = isGain ? 0 : this.chunkBytes
    this.#futileUsedBytes = this.usedBytes
  }

  #close(number: number, chunk: Chunk): void {
    chunk.closed = true
    if (this.#chunkInUse === number) this.#chunkInUse = 0
    const first = number * pagesPerChunk
    for (let page = first; page < first + chunk.pageCount; page++) {
      const size = this.#pageClass[page] as number
      const used = this.#pageUsed[page] as number
      if (used > 0 && used < (blocksOfClass[size] as number)) this.#unlink(page, size)
    }
  }

  #compactOne(moved: (from: Ref, to: Ref) => void): void {
    const chunk = this.#chunks[this.#compacting] as Chunk
    while (this.#compactBlock >= (this.#pageTouched[this.#compactPage] as number)) {
      this.#compactPage++
      this.#compactBlock = 0
      const isInside = this.#compactPage < this.#compacting * pagesPerChunk + chunk.pageCount
      invariant(isInside, 'a chunk is given back with the last of its blocks')
    }
    const size = this.#pageClass[this.#compactPage] as number
    const sizeBytes = sizeOfClass[size] as number
    const from = (this.#compactPage << pageShift) + this.#compactBlock * (unitsOfClass[size] as number)
    this.#compactBlock++
    const at = this.offset(from)
    if (chunk.bytes[at] === 0) return
    const to = this.allocate(sizeBytes)
    this.bytes(to).set(chunk.bytes.subarray(at, at + sizeBytes), this.offset(to))
    moved(from, to)
    this.free(from)
  }

  // ---- pages

  #take(page: number, size: number): Ref {
    const chunk = this.#chunks[page >> (chunkShift - pageShift)] as Chunk
    const first = page << pageShift
    const free = this.#pageFree[page] as number
    let ref: Ref
    if (free !== 0) {
      ref = first + (free - 1) * (unitsOfClass[size] as number)
      this.#pageFree[page] = chunk.words[((ref & chunkUnitMask) * unitBytes) / 2 + 1] as number
    } else {
      const touched = this.#pageTouched[page] as number
      ref = first + touched * (unitsOfClass[size] as number)
      this.#pageTouched[page] = touched + 1
    }
    chunk.bytes[(ref & chunkUnitMask) * unitBytes] = 1
    const sizeBytes = sizeOfClass[size] as number
    this.usedBytes += sizeBytes
    chunk.usedBytes += sizeBytes
    this.#blocksUsed[size] = (this.#blocksUsed[size] as number) + 1
    const used = (this.#pageUsed[page] as number) + 1
    this.#pageUsed[page] = used
    if (used === blocksOfClass[size]) this.#unlink(page, size)
    return ref
  }

  #newPage(size: number): number {
    let number = this.#chunkInUse
    if (number === 0 || (this.#chunks[number] as Chunk).freePages.length === 0) {
      number = this.#chunkWithPages()
      this.#chunkInUse = number
    }
    const page = number * pagesPerChunk + ((this.#chunks[number] as Chunk).freePages.pop() as number)
    this.#pageClass[page] = size
    this.#pageUsed[page] = 0
    this.#pageTouched[page] = 0
    this.#pageFree[page] = 0
    this.#link(page, size)
    return page
  }

  #freePage(page: number, size: number, chunk: Chunk): void {
    if (!chunk.closed) this.#unlink(page, size)
    this.#pageTouched[page] = 0
    chunk.freePages.push(page & (pagesPerChunk - 1))
    const number = page >> (chunkShift - pageShift)
    if (chunk.freePages.length === chunk.pageCount && number !== this.#chunkInUse)
      this.#freeChunk(number, chunk)
    this.#freeSpare()
  }

  /**
   * The chunk in use stays although it is empty, while the blocks elsewhere take as much: buckets that grow take a page and give it
   * back, and a new chunk each time costs milliseconds. So does the last one while it is small: a database of one key may come
   * and go often.
   */
  #freeSpare(): void {
    const number = this.#chunkInUse
    const chunk = this.#chunks[number] as Chunk
    if (chunk.pageCount === 0 || chunk.freePages.length < chunk.pageCount) return
    if (this.chunkBytes <= chunkBytesMin || this.#pagedBytes >= chunk.bytes.length) return
    this.#freeChunk(number, chunk)
  }

  #link(page: number, size: number): void {
    const next = this.#roomy[size] as number
    this.#pageNext[page] = next
    this.#pagePrevious[page] = noPage
    if (next !== noPage) this.#pagePrevious[next] = page
    this.#roomy[size] = page
  }

  #unlink(page: number, size: number): void {
    const next = this.#pageNext[page] as number
    const previous = this.#pagePrevious[page] as number
    if (previous === noPage) this.#roomy[size] = next
    else this.#pageNext[previous] = next
    if (next !== noPage) this.#pagePrevious[next] = previous
  }

  // ---- chunks

  #chunkWithPages(): number {
    for (let number = 1; number < this.#chunks.length; number++) {
      const chunk = this.#chunks[number] as Chunk
      if (!chunk.closed && chunk.freePages.length > 0) return number
    }
    return this.#newChunk()
  }

  /** As large as what is used already: little data takes little memory. */
  #newChunk(): number {
    const wanted = Math.max(chunkBytesMin, Math.min(chunkBytesMax, this.#pagedBytes))
    const pageCount = Math.floor(wanted / pageBytes)
    const number = this.#freeChunks.pop() ?? this.#chunks.length
    if (number >= chunksMax)
      throw new RangeError('the keys of this shard take all the memory that it can address')
    // As it is: 16 MiB of zeros take 10 ms, and nobody reads what was not written.
    const { buffer } = allocate(pageCount * pageBytes)
    const freePages: number[] = []
    for (let page = pageCount - 1; page >= 0; page--) freePages.push(page)
    this.#chunks[number] = {
      bytes: new Uint8Array(buffer),
      words: new Uint16Array(buffer),
      freePages,
      pageCount,
      usedBytes: 0,
      closed: false,
    }
    this.chunkBytes += buffer.byteLength
    this.#describePages((number + 1) * pagesPerChunk)
    return number
  }

  #freeChunk(number: number, chunk: Chunk): void {
    this.#chunks[number] = noChunk
    this.#freeChunks.push(number)
    if (this.#chunkInUse === number) this.#chunkInUse = 0
    this.chunkBytes -= chunk.bytes.length
    if (this.#compacting === number) this.#endCompaction()
    releaseNow(chunk.bytes)
  }

  #describePages(count: number): void {
    if (count <= this.#pageClass.length) return
    const grown = Math.max(count, this.#pageClass.length * 2)
    this.#pageClass = enlarged(this.#pageClass, new Uint8Array(grown))
    this.#pageUsed = enlarged(this.#pageUsed, new Uint16Array(grown))
    this.#pageTouched = enlarged(this.#pageTouched, new Uint16Array(grown))
    this.#pageFree = enlarged(this.#pageFree, new Uint16Array(grown))
    this.#pageNext = enlarged(this.#pageNext, new Int32Array(grown))
    this.#pagePrevious = enlarged(this.#pagePrevious, new Int32Array(grown))
  }

  // ---- large blocks

  #allocateLarge(sizeBytes: number, sizeBytesMax: number): Ref {
    const number = this.#freeLarge.pop() ?? this.#large.length
    const bytes = allocate(sizeBytes > reservingBytesMin ? sizeBytesMax : sizeBytes)
    bytes[0] = 1
    this.#large[number] = bytes
    this.#largeSizes[number] = sizeBytes
    this.#count(sizeBytes + largeOverheadBytes)
    return -number
  }

  /**
   * Makes a large block as long as that, never beyond `sizeBytesMax`. It keeps what it holds and its ref; its bytes may lie elsewhere
   * from then on.
   */
  extend(ref: Ref, sizeBytes: number, sizeBytesMax: number): void {
    const bytes = this.#large[-ref] as Uint8Array
    const counted = this.#largeSizes[-ref] as number
    let size = Math.max(counted, sizeBytes)
    if (sizeBytes > bytes.length) {
      const reserves = sizeBytes > reservingBytesMin
      if (!reserves) size = Math.min(sizeBytes * 2, sizeBytesMax)
      const longer = allocate(reserves ? sizeBytesMax : size)
      copyBytes(longer, 0, bytes, 0, counted)
      this.#large[-ref] = longer
      releaseNow(bytes)
    }
    this.#largeSizes[-ref] = size
    this.#count(size - counted)
  }

  #freeLargeBlock(number: number): void {
    const bytes = this.#large[number] as Uint8Array
    this.#large[number] = noBuffer
    this.#freeLarge.push(number)
    this.#count(-(this.#largeSizes[number] as number) - largeOverheadBytes)
    releaseNow(bytes)
  }

  /** Large blocks take so much more. */
  #count(bytes: number): void {
    this.usedBytes += bytes
    this.largeBytes += bytes
  }
}

const spareOf = (chunk: Chunk): number => chunk.bytes.length - chunk.usedBytes

/** Not when the collector comes by: it doesn't know how much memory waits for it. */
function releaseNow(bytes: Uint8Array): void {
  ;(bytes.buffer as ArrayBuffer).transfer(0)
}

function enlarged<Numbers extends Uint8Array | Uint16Array | Int32Array>(
  old: Numbers,
  grown: Numbers,
): Numbers {
  grown.set(old)
  return grown
}
