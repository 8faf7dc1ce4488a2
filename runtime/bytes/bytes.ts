/**
 * Byte work that plain ECMAScript does slowly, as pure functions. Text is latin1 everywhere: one byte a character, so
 * any binary value is a string, and comparing strings compares bytes.
 */
import { Buffer } from 'node:buffer'
import { crc32 as zlibCrc32 } from 'node:zlib'

const { copy, latin1Slice, latin1Write } = Buffer.prototype as unknown as {
  copy(this: Uint8Array, target: Uint8Array, at: number, start: number, end: number): number
  latin1Slice(this: Uint8Array, start: number, end: number): string
  latin1Write(this: Uint8Array, text: string, offset: number, length: number): number
}

const shortTextBytes = 12
/** Up to here a loop is faster than a native copy, which in turn is faster than a view and `set`. */
const shortCopyBytes = 24

/** The bytes [start, end) as a string of characters 0..255. */
export function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  // A call into C++ costs more than building a short string here.
  if (end - start > shortTextBytes) return latin1Slice.call(bytes, start, end)
  let text = ''
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] as number)
  return text
}

/** Writes `text` (characters 0..255) at `at`, which must have room; returns the offset behind it. */
export function writeLatin1(target: Uint8Array, at: number, text: string): number {
  const length = text.length
  if (length > shortTextBytes) {
    latin1Write.call(target, text, at, length)
    return at + length
  }
  for (let i = 0; i < length; i++) target[at + i] = text.charCodeAt(i)
  return at + length
}

export function bytesOf(text: string): Uint8Array {
  const bytes = allocate(text.length)
  writeLatin1(bytes, 0, text)
  return bytes
}

/** Uninitialised memory of its own (never a slice of a shared pool, so keeping it pins nothing else). */
export function allocate(lengthBytes: number): Uint8Array {
  return Buffer.allocUnsafeSlow(lengthBytes)
}

/** Copies [start, end) of `source` to `at`, where there must be room. */
export function copyBytes(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  start: number,
  end: number,
): void {
  if (end - start > shortCopyBytes) copy.call(source, target, at, start, end)
  else for (let from = start, to = at; from < end; from++, to++) target[to] = source[from] as number
}

/** A copy of [start, end). `slice` makes none when the bytes happen to be a Buffer. */
export function copyOf(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array {
  const copied = allocate(end - start)
  copyBytes(copied, 0, bytes, start, end)
  return copied
}

/** A copy, with zeros behind it when it is shorter than `lengthBytes`. */
export function grownCopy(bytes: Uint8Array, lengthBytes: number): Uint8Array {
  const copy = allocate(Math.max(bytes.length, lengthBytes))
  copyBytes(copy, 0, bytes, 0, bytes.length)
  return copy.fill(0, bytes.length)
}

/** Of a single part no copy is made. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)
}

/** CRC-32 (ISO 3309, as in zlib) of the bytes [start, end), continuing from `seed`. */
export function crc32(bytes: Uint8Array, start = 0, end = bytes.length, seed = 0): number {
  return zlibCrc32(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), seed)
}
