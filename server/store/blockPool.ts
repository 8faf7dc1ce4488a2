/**
 * Lists of small entries outside the JavaScript heap. A list is a chain of blocks of one size, named by its first block; an
 * entry is some 32-bit words. Blocks come from chunks, which are taken when needed and given back when they are empty. New
 * blocks come from the lowest chunk that has one, so that the higher ones empty in time.
 *
 * A list is a stack: entries come and go at its head.
 */
import { Bitmap } from './bitmap.ts'

/** The head of the empty list. */
export const noBlock = -1
/** Of a block: the next one, and how many entries are in this one. */
const headerWords = 2
const chunkBits = 8
const chunkBlocks = 1 << chunkBits
const chunkMask = chunkBlocks - 1
const noWords = new Uint32Array(0)

export class BlockPool {
  /** After `push` and `top`, until the next call: the entry's words are `words[at]` and those behind it. */
  words: Uint32Array = noWords
  at = 0
  readonly #entryWords: number
  readonly #blockEntries: number
  readonly #blockWords: number
  /** A chunk that was given back is empty, and its place is taken again. */
  readonly #chunks: Uint32Array[] = []
  readonly #vacant: number[] = []
  /** Of each chunk: the blocks in use, the first of its list of free blocks, and the first that was never used. */
  readonly #used: number[] = []
  readonly #free: number[] = []
  readonly #untouched: number[] = []
  /** Chunks with a block to give. */
  readonly #open: Bitmap = new Bitmap(32)
  #chunkCount = 0
  #emptyChunks = 0

  constructor(entryWords: number, blockEntries: number) {
    this.#entryWords = entryWords
    this.#blockEntries = blockEntries
    this.#blockWords = headerWords + entryWords * blockEntries
  }

  get sizeBytes(): number {
    return this.#chunkCount * this.chunkBytes
  }

  get chunkBytes(): number {
    return chunkBlocks * this.#blockWords * Uint32Array.BYTES_PER_ELEMENT
  }

  /** Makes room for an entry, to be filled in by the caller; returns the list's head. */
  push(head: number): number {
    if (head !== noBlock) {
      const words = this.#chunks[head >>> chunkBits] as Uint32Array
      const base = (head & chunkMask) * this.#blockWords
      const count = words[base + 1] as number
      if (count < this.#blockEntries) {
        words[base + 1] = count + 1
        this.words = words
        this.at = base + headerWords + count * this.#entryWords
        return head
      }
    }
    const block = this.#allocate()
    const words = this.#chunks[block >>> chunkBits] as Uint32Array
    const base = (block & chunkMask) * this.#blockWords
    words[base] = head
    words[base + 1] = 1
    this.words = words
    this.at = base + headerWords
    return block
  }

  /** Finds the entry that was pushed last. The list is not empty. */
  top(head: number): void {
    const words = this.#chunks[head >>> chunkBits] as Uint32Array
    const base = (head & chunkMask) * this.#blockWords
    this.words = words
    this.at = base + headerWords + ((words[base + 1] as number) - 1) * this.#entryWords
  }

  /** Removes it; returns the list's head. */
  pop(head: number): number {
    const words = this.#chunks[head >>> chunkBits] as Uint32Array
    const base = (head & chunkMask) * this.#blockWords
    const left = (words[base + 1] as number) - 1
    words[base + 1] = left
    if (left > 0) return head
    const next = (words[base] as number) | 0
    this.#release(head)
    return next
  }

  /** Ends the pool, whose lists must not be used any more, by up to `chunks` chunks a call; true: more is left. */
  dismantle(chunks: number): boolean {
    for (let count = 0; count < chunks && this.#chunks.length > 0; count++) {
      const words = this.#chunks.pop() as Uint32Array<ArrayBuffer>
      if (words.length === 0) continue
      words.buffer.transfer(0)
      this.#chunkCount--
    }
    return this.#chunks.length > 0
  }

  #allocate(): number {
    let chunk = this.#open.next(0)
    if (chunk < 0) chunk = this.#addChunk()
    if (this.#used[chunk] === 0) this.#emptyChunks--
    const used = (this.#used[chunk] as number) + 1
    this.#used[chunk] = used
    if (used === chunkBlocks) this.#open.delete(chunk)
    const block = this.#free[chunk] as number
    if (block === noBlock) {
      const untouched = this.#untouched[chunk] as number
      this.#untouched[chunk] = untouched + 1
      return (chunk << chunkBits) | untouched
    }
    const words = this.#chunks[chunk] as Uint32Array
    this.#free[chunk] = (words[(block & chunkMask) * this.#blockWords] as number) | 0
    return block
  }

  #release(block: number): void {
    const chunk = block >>> chunkBits
    const used = (this.#used[chunk] as number) - 1
    this.#used[chunk] = used
    this.#open.add(chunk)
    if (used === 0) {
      // One is kept: a single block that comes and goes must not take and give memory each time.
      if (this.#emptyChunks > 0) {
        this.#removeChunk(chunk)
        return
      }
      this.#emptyChunks++
    }
    const words = this.#chunks[chunk] as Uint32Array
    words[(block & chunkMask) * this.#blockWords] = this.#free[chunk] as number
    this.#free[chunk] = block
  }

  #addChunk(): number {
    const chunk = this.#vacant.pop() ?? this.#chunks.length
    this.#chunks[chunk] = new Uint32Array(chunkBlocks * this.#blockWords)
    this.#used[chunk] = 0
    this.#free[chunk] = noBlock
    this.#untouched[chunk] = 0
    this.#open.add(chunk)
    this.#chunkCount++
    this.#emptyChunks++
    return chunk
  }

  #removeChunk(chunk: number): void {
    const words = this.#chunks[chunk] as Uint32Array<ArrayBuffer>
    this.#chunks[chunk] = noWords
    this.#vacant.push(chunk)
    this.#open.delete(chunk)
    this.#chunkCount--
    // Frees the memory now, not when the collector comes to it.
    words.buffer.transfer(0)
  }
}
