/**
 * 16,384 registers of 6 bits, in the very bytes that GET of a HyperLogLog gives in Redis:
 *
 *     "HYLL" | encoding u8 | 3 bytes | cached cardinality u64 | registers
 *
 * Encoding 0 is dense, 6 bits a register from the least significant on; 1 is sparse (`sparseRegisters.ts`). The top bit of the
 * cardinality says that it is out of date.
 *
 * Encoding and cache are this replica's own business: the registers are what is replicated.
 */
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { allocate, bytesOf, copyBytes, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { cardinality } from './cardinality.ts'
import { indexOf, type Ranked, ranked, rankOf } from './elementHash.ts'
import { eachRun, emptyRuns, raiseSparse, registerCount, sparseRank } from './sparseRegisters.ts'

const encodingAt = 4
const cacheAt = 8
const cacheBytes = 8
const outdatedAt = cacheAt + cacheBytes - 1
const outdatedBit = 0x80
const headerBytes = 16
const Encoding = { dense: 0, sparse: 1 } as const
const rankBits = 6
const rankMask = (1 << rankBits) - 1
const denseBytes = headerBytes + (registerCount * rankBits) / 8
/** `hll-sparse-max-bytes` of Redis, the header included. */
const sparseBytesMax = 3000
/** On the heap, besides the bytes. */
const objectBytes = 150

export class HyperLogLog {
  /** What all of them begin with. */
  static readonly magic: string = 'HYLL'
  #bytes: Uint8Array
  #length: number

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#length = bytes.length
  }

  static empty(): HyperLogLog {
    const bytes = allocate(headerBytes + 2)
    bytes.fill(0)
    writeLatin1(bytes, 0, HyperLogLog.magic)
    bytes[encodingAt] = Encoding.sparse
    emptyRuns(bytes, headerBytes)
    return new HyperLogLog(bytes)
  }

  /** undefined: the text has no header of one, or not the length of a dense one. The runs of a sparse one may be unsound. */
  static of(text: string): HyperLogLog | undefined {
    if (text.length < headerBytes || !text.startsWith(HyperLogLog.magic)) return undefined
    const encoding = text.charCodeAt(encodingAt)
    if (encoding > Encoding.sparse || (encoding === Encoding.dense && text.length !== denseBytes))
      return undefined
    return new HyperLogLog(bytesOf(text))
  }

  /** Of bytes that spell one. Where they belong to somebody else: to be looked at, counted and outdated, which writes there, not to be raised. */
  static over(bytes: Uint8Array): HyperLogLog {
    return new HyperLogLog(bytes)
  }

  /** Whether the text is one through and through. */
  static isSpeltBy(text: string): boolean {
    return HyperLogLog.of(text)?.isSound === true
  }

  get isDense(): boolean {
    return this.#bytes[encodingAt] === Encoding.dense
  }

  get isSound(): boolean {
    return this.isDense || eachRun(this.#bytes, headerBytes, this.#length, () => {})
  }

  get usedBytes(): number {
    return objectBytes + this.#bytes.length
  }

  get length(): number {
    return this.#length
  }

  writeTo(writer: ByteWriter): void {
    writer.raw(this.#bytes, 0, this.#length)
  }

  /** As GET gives it. */
  get text(): string {
    return latin1(this.#bytes, 0, this.#length)
  }

  /** Shows the registers that are not 0, ascending. */
  eachRank(visit: (index: number, rank: number) => void): void {
    if (this.isDense) {
      for (let index = 0; index < registerCount; index++) {
        const rank = this.#denseRank(index)
        if (rank > 0) visit(index, rank)
      }
      return
    }
    this.eachRun((index, rank, length) => {
      if (rank > 0) for (let i = 0; i < length; i++) visit(index + i, rank)
    })
  }

  /** Of a sparse one. */
  eachRun(visit: (index: number, rank: number, length: number, bytes: number) => void): void {
    eachRun(this.#bytes, headerBytes, this.#length, visit)
  }

  #denseRank(index: number): number {
    const bit = index * rankBits
    const at = headerBytes + (bit >> 3)
    const pair = (this.#bytes[at] as number) | ((this.#bytes[at + 1] ?? 0) << 8)
    return (pair >> (bit & 7)) & rankMask
  }

  /** Raises `maxima`, one rank a register, to what is here. */
  raiseMaxima(maxima: Uint8Array): void {
    if (this.isDense) this.#raiseMaximaDense(maxima)
    else
      this.eachRank((index, rank) => {
        if (rank > (maxima[index] as number)) maxima[index] = rank
      })
  }

  /** Four registers are three bytes. */
  #raiseMaximaDense(maxima: Uint8Array): void {
    const bytes = this.#bytes
    for (let index = 0, at = headerBytes; index < registerCount; at += 3) {
      let four = (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)
      for (const end = index + 4; index < end; index++) {
        const rank = four & rankMask
        if (rank > (maxima[index] as number)) maxima[index] = rank
        four >>= rankBits
      }
    }
  }

  rankAt(index: number): number {
    return this.isDense ? this.#denseRank(index) : sparseRank(this.#bytes, headerBytes, this.#length, index)
  }

  /**
   * Raises registers one by one, as PFADD does: the bytes of a sparse one depend on the order. Returns whether any was lower.
   * Throws `FormatError` where unsound runs are in the way.
   */
  raise(values: readonly Ranked[]): boolean {
    let changed = false
    for (const value of values) changed = this.#raise(indexOf(value), rankOf(value)) || changed
    if (changed) this.outdate()
    return changed
  }

  join(other: HyperLogLog): void {
    if (other.isDense) this.toDense()
    const values: Ranked[] = []
    other.eachRank((index, rank) => values.push(ranked(index, rank)))
    this.raise(values)
  }

  #raise(index: number, rank: number): boolean {
    if (this.isDense) return this.#raiseDense(index, rank)
    const change = raiseSparse(this.#bytes, headerBytes, this.#length, index, rank, sparseBytesMax)
    switch (change.kind) {
      case 'none':
        return false
      case 'tooLarge':
        this.toDense()
        return this.#raiseDense(index, rank)
      case 'changed':
        this.#bytes = change.bytes
        this.#length = change.length
        return true
    }
  }

  #raiseDense(index: number, rank: number): boolean {
    if (this.#denseRank(index) >= rank) return false
    const bytes = this.#bytes
    const bit = index * rankBits
    const at = headerBytes + (bit >> 3)
    const shift = bit & 7
    bytes[at] = ((bytes[at] as number) & ~(rankMask << shift)) | (rank << shift)
    if (shift > 8 - rankBits)
      bytes[at + 1] = ((bytes[at + 1] as number) & ~(rankMask >> (8 - shift))) | (rank >> (8 - shift))
    return true
  }

  /** Keeps the cached cardinality. Throws `FormatError` when the runs are unsound. */
  toDense(): void {
    if (this.isDense) return
    if (!this.isSound) throw new FormatError('a HyperLogLog without sound runs')
    const dense = allocate(denseBytes)
    dense.fill(0)
    copyBytes(dense, 0, this.#bytes, 0, headerBytes)
    dense[encodingAt] = Encoding.dense
    const sparse = new HyperLogLog(this.#bytes)
    sparse.#length = this.#length
    this.#bytes = dense
    this.#length = denseBytes
    sparse.eachRank((index, rank) => this.#raiseDense(index, rank))
  }

  /** The cached cardinality doesn't hold any more. */
  outdate(): void {
    this.#bytes[outdatedAt] = (this.#bytes[outdatedAt] as number) | outdatedBit
  }

  get isOutdated(): boolean {
    return ((this.#bytes[outdatedAt] as number) & outdatedBit) !== 0
  }

  /** The estimate, which is kept until a register rises. */
  count(): number {
    const bytes = this.#bytes
    if (!this.isOutdated) {
      let cached = 0
      for (let at = outdatedAt; at >= cacheAt; at--) cached = cached * 0x100 + (bytes[at] as number)
      return cached
    }
    const maxima = new Uint8Array(registerCount)
    this.raiseMaxima(maxima)
    const estimate = cardinalityOf(maxima)
    let rest = estimate
    for (let at = cacheAt; at <= outdatedAt; at++) {
      bytes[at] = rest % 0x100
      rest = Math.floor(rest / 0x100)
    }
    return estimate
  }
}

/** Of the values, those that raise a register of `sketch` when they come in this order; undefined: all registers are 0. */
export function rising(sketch: HyperLogLog | undefined, values: readonly Ranked[]): Ranked[] {
  const ranks = new Map<number, number>()
  return values.filter((value) => {
    const index = indexOf(value)
    const rank = rankOf(value)
    if (rank <= (ranks.get(index) ?? sketch?.rankAt(index) ?? 0)) return false
    ranks.set(index, rank)
    return true
  })
}

export function cardinalityOf(maxima: Uint8Array): number {
  const registers = new Uint16Array(64)
  for (let index = 0; index < registerCount; index++) {
    const rank = maxima[index] as number
    registers[rank] = (registers[rank] as number) + 1
  }
  return cardinality(registers)
}
