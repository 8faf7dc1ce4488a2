/**
 * Bits of byte strings: bit 0 is the greatest of the first byte. Positions are numbers up to 2^32, beyond what `>>` takes.
 * Long stretches go four bytes at a time.
 */
import { allocate, copyBytes, grownCopy } from '#runtime/bytes/bytes.ts'

const wordBytes = 4

export const byteOfBit = (bit: number): number => Math.floor(bit / 8)

/** Bits of a word that are set: pairs, then nibbles, then bytes are summed within it. */
function countOf(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555)
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

const noWords = new Int32Array(0)

/** The whole words from `from` on, which must be the offset of one if there are any. */
function wordsOf(bytes: Uint8Array, from: number, end: number): Int32Array {
  const count = Math.floor((end - from) / wordBytes)
  return count === 0 ? noWords : new Int32Array(bytes.buffer, bytes.byteOffset + from, count)
}

/** Where the first word at or behind `from` begins, not beyond `end`. */
function wordAt(bytes: Uint8Array, from: number, end: number): number {
  const odd = (bytes.byteOffset + from) % wordBytes
  return Math.min(end, odd === 0 ? from : from + wordBytes - odd)
}

/** How many of the bits from `first` to `last` are set; 0 when `first` is behind `last`. */
export function countBits(bytes: Uint8Array, first: number, last: number): number {
  if (first > last) return 0
  const start = byteOfBit(first)
  const end = byteOfBit(last) + 1
  const before = (bytes[start] as number) & ~(0xff >> (first % 8))
  const behind = (bytes[end - 1] as number) & (0x7f >> (last % 8))
  return countBytes(bytes, start, end) - countOf(before) - countOf(behind)
}

function countBytes(bytes: Uint8Array, start: number, end: number): number {
  let count = 0
  let at = start
  for (const wordsStart = wordAt(bytes, start, end); at < wordsStart; at++)
    count += countOf(bytes[at] as number)
  const words = wordsOf(bytes, at, end)
  for (let i = 0; i < words.length; i++) count += countOf(words[i] as number)
  for (at += words.length * wordBytes; at < end; at++) count += countOf(bytes[at] as number)
  return count
}

/** The first bit from `first` to `last` that is `bit`; -1: none. */
export function findBit(bytes: Uint8Array, bit: 0 | 1, first: number, last: number): number {
  if (first > last) return -1
  const lastByte = byteOfBit(last)
  // Zeros are looked for as ones of the opposite.
  const turned = bit === 1 ? 0 : 0xff
  let at = byteOfBit(first)
  let found = ((bytes[at] as number) ^ turned) & (0xff >> (first % 8))
  if (found === 0 && at < lastByte) {
    at = otherByte(bytes, turned, at + 1, lastByte)
    found = (bytes[at] as number) ^ turned
  }
  if (found === 0) return -1
  const position = at * 8 + Math.clz32(found) - 24
  return position <= last ? position : -1
}

/** The first byte from `start` to `last` that isn't `byte`, which is 0 or 0xff; `last` when there is none before. */
function otherByte(bytes: Uint8Array, byte: number, start: number, last: number): number {
  let at = start
  for (const wordsStart = wordAt(bytes, start, last); at < wordsStart; at++) if (bytes[at] !== byte) return at
  const words = wordsOf(bytes, at, last)
  const word = byte === 0 ? 0 : -1
  let passed = 0
  while (passed < words.length && words[passed] === word) passed++
  at += passed * wordBytes
  while (at < last && bytes[at] === byte) at++
  return at
}

export type BitOperation = 'AND' | 'OR' | 'XOR' | 'NOT'

/** Operands lie at any offset: a block of them at a time is brought to where words begin. */
const blockBytes = 16 * 1024
const block = allocate(blockBytes)
const blockWords = wordsOf(block, 0, blockBytes)

/** As long as the longest operand; the others are zeros behind their end. NOT takes one operand. */
export function combineBits(operation: BitOperation, operands: readonly Uint8Array[]): Uint8Array {
  const lengthBytes = operands.reduce((longest, { length }) => Math.max(longest, length), 0)
  const [first = block.subarray(0, 0), ...others] = operands
  const result = grownCopy(first, Math.ceil(lengthBytes / wordBytes) * wordBytes)
  const words = wordsOf(result, 0, result.length)
  if (operation === 'NOT') for (let i = 0; i < words.length; i++) words[i] = ~(words[i] as number)
  for (const other of others) {
    for (let start = 0; start < other.length; start += blockBytes) {
      const end = Math.min(start + blockBytes, other.length)
      const count = Math.ceil((end - start) / wordBytes)
      copyBytes(block, 0, other, start, end)
      // The last word may reach behind the operand.
      block.fill(0, end - start, count * wordBytes)
      combineBlock(operation, words, start / wordBytes, count)
    }
    if (operation === 'AND') result.fill(0, other.length)
  }
  return result.subarray(0, lengthBytes)
}

/** Takes the first `count` words of the block into those from `start` on. */
function combineBlock(operation: BitOperation, words: Int32Array, start: number, count: number): void {
  switch (operation) {
    case 'AND':
      for (let i = 0; i < count; i++)
        words[start + i] = (words[start + i] as number) & (blockWords[i] as number)
      break
    case 'OR':
      for (let i = 0; i < count; i++)
        words[start + i] = (words[start + i] as number) | (blockWords[i] as number)
      break
    default:
      for (let i = 0; i < count; i++)
        words[start + i] = (words[start + i] as number) ^ (blockWords[i] as number)
  }
}
