/** Growing buffer for the binary formats: little-endian, varints of up to 53 bits. */
import { allocate, copyBytes, writeLatin1 } from './bytes.ts'
import { u56Bytes, writeU56 } from './packedNumbers.ts'

const doubles = new Float64Array(1)
const doubleBytes = new Uint8Array(doubles.buffer)

export const varintBytesMax = 8

/** `ByteWriter.f64` at `at`, where there must be room; returns the offset behind it. */
export function putF64(bytes: Uint8Array, at: number, value: number): number {
  doubles[0] = value
  for (let i = 0; i < 8; i++) bytes[at + i] = doubleBytes[i] as number
  return at + 8
}

/** `ByteWriter.varint` at `at`, where there must be room; returns the offset behind it. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let to = at
  let wide = value
  for (; wide >= 0x80000000; wide = Math.floor(wide / 0x80)) bytes[to++] = (wide % 0x80) | 0x80
  // Nearly all fit an integer register.
  let rest = wide | 0
  for (; rest >= 0x80; rest >>>= 7) bytes[to++] = rest | 0x80
  bytes[to++] = rest
  return to
}

export class ByteWriter {
  /** The written bytes are [0, length); replaced when it grows. */
  bytes: Uint8Array
  length = 0

  constructor(capacityBytes = 256) {
    this.bytes = allocate(capacityBytes)
  }

  clear(): void {
    this.length = 0
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    let capacity = Math.max(64, this.bytes.length)
    while (capacity < needed) capacity *= 2
    const grown = allocate(capacity)
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }

  u8(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  u16(value: number): void {
    this.reserve(2)
    this.bytes[this.length++] = value
    this.bytes[this.length++] = value >>> 8
  }

  u32(value: number): void {
    this.reserve(4)
    this.setU32(this.length, value)
    this.length += 4
  }

  /** Overwrites four bytes already written. */
  setU32(at: number, value: number): void {
    this.bytes[at] = value
    this.bytes[at + 1] = value >>> 8
    this.bytes[at + 2] = value >>> 16
    this.bytes[at + 3] = value >>> 24
  }

  /** An integer below 2^53. */
  u56(value: number): void {
    this.reserve(u56Bytes)
    writeU56(this.bytes, this.length, value)
    this.length += u56Bytes
  }

  f64(value: number): void {
    this.reserve(8)
    this.length = putF64(this.bytes, this.length, value)
  }

  /** A non-negative integer below 2^53, seven bits a byte, least significant first. */
  varint(value: number): void {
    this.reserve(varintBytesMax)
    this.length = putVarint(this.bytes, this.length, value)
  }

  /** Length as varint, then the characters 0..255. */
  text(value: string): void {
    this.varint(value.length)
    this.characters(value)
  }

  /** The characters 0..255 alone. */
  characters(value: string): void {
    this.reserve(value.length)
    this.length = writeLatin1(this.bytes, this.length, value)
  }

  raw(source: Uint8Array, start = 0, end = source.length): void {
    this.reserve(end - start)
    copyBytes(this.bytes, this.length, source, start, end)
    this.length += end - start
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    const copy = allocate(this.length)
    copy.set(this.bytes.subarray(0, this.length))
    return copy
  }

  /** A view of what was written, valid until the next write. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }
}
