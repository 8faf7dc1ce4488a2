/**
 * Which register of a HyperLogLog an element belongs to, and what rank it has there, as in Redis: MurmurHash64A (Austin
 * Appleby, public domain), of which the low 14 bits are the register and the position of the first 1 in the others the rank.
 * 64-bit numbers are two halves here, and the latest result is in `high` and `low`.
 */

const seed = 0xadc83b19
const multiplierHigh = 0xc6a4a793
const multiplierLow = 0x5bd1e995
export const registerBits = 14
/** Bits of the hash that make the rank. */
export const rankBits = 64 - registerBits
const lowRankBits = 32 - registerBits

let high = 0
let low = 0

/** The upper half of the product of two 32-bit numbers. */
function upperHalf(a: number, b: number): number {
  const a0 = a & 0xffff
  const a1 = a >>> 16
  const b0 = b & 0xffff
  const b1 = b >>> 16
  const middle = a0 * b1 + a1 * b0 + ((Math.imul(a0, b0) >>> 0) >>> 16)
  return a1 * b1 + Math.floor(middle / 0x10000)
}

/** By the multiplier. */
function multiply(): void {
  const product =
    upperHalf(low >>> 0, multiplierLow) + Math.imul(low, multiplierHigh) + Math.imul(high, multiplierLow)
  low = Math.imul(low, multiplierLow)
  high = product | 0
}

/** x ^= x >>> 47 */
function shiftBack(): void {
  low ^= high >>> 15
}

function hash(text: string): void {
  const { length } = text
  low = length
  high = 0
  multiply()
  let sumLow = low ^ seed
  let sumHigh = high
  const whole = length & ~7
  for (let at = 0; at < whole; at += 8) {
    low = word(text, at, 4)
    high = word(text, at + 4, 4)
    multiply()
    shiftBack()
    multiply()
    low ^= sumLow
    high ^= sumHigh
    multiply()
    sumLow = low
    sumHigh = high
  }
  low = sumLow
  high = sumHigh
  if (length > whole) {
    low ^= word(text, whole, Math.min(4, length - whole))
    high ^= word(text, whole + 4, length - whole - 4)
    multiply()
  }
  shiftBack()
  multiply()
  shiftBack()
}

/** Up to four characters, the first the least significant. */
function word(text: string, start: number, count: number): number {
  let value = 0
  for (let i = 0; i < count; i++) value |= text.charCodeAt(start + i) << (8 * i)
  return value
}

/** A register and a rank as one number. */
export type Ranked = number

const rankSpan = 64
export const ranked = (index: number, rank: number): Ranked => index * rankSpan + rank
export const indexOf = (value: Ranked): number => Math.floor(value / rankSpan)
export const rankOf = (value: Ranked): number => value % rankSpan

export function rankedElement(element: string): Ranked {
  hash(element)
  const index = low & ((1 << registerBits) - 1)
  const lowRest = low >>> registerBits
  if (lowRest !== 0) return ranked(index, trailingZeros(lowRest) + 1)
  if (high !== 0) return ranked(index, lowRankBits + trailingZeros(high) + 1)
  return ranked(index, rankBits + 1)
}

const trailingZeros = (value: number): number => 31 - Math.clz32(value & -value)
