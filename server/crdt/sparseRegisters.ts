/**
 * The sparse encoding of a HyperLogLog's registers, run lengths in one or two bytes each (Redis's format):
 *
 *     00xxxxxx              x + 1 registers (up to 64) are 0
 *     01xxxxxx yyyyyyyy     the same, up to 16,384
 *     1vvvvvxx              x + 1 registers (up to 4) are v + 1 (up to 32)
 *
 * Where a run is split and how neighbours are joined again is Redis's way, too, so that the same PFADDs give the same bytes.
 */
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { allocate, copyBytes } from '#runtime/bytes/bytes.ts'

export const registerCount = 16384
export const sparseRankMax = 32
const zeroRunMax = 64
const valueRunMax = 4
const longZeroBit = 0x40
const valueBit = 0x80
/** Of a split run. */
const splitBytesMax = 5
/** Runs that may have become equal to their neighbours. */
const joinedRunsMax = 5

/** Of the run that `readRun` found. */
const run = { rank: 0, length: 0, bytes: 0 }

function readRun(bytes: Uint8Array, at: number): void {
  const first = bytes[at] as number
  if (first & valueBit) {
    run.rank = ((first >> 2) & 0x1f) + 1
    run.length = (first & 3) + 1
    run.bytes = 1
  } else if (first & longZeroBit) {
    run.rank = 0
    run.length = (((first & 0x3f) << 8) | (bytes[at + 1] ?? 0)) + 1
    run.bytes = 2
  } else {
    run.rank = 0
    run.length = first + 1
    run.bytes = 1
  }
}

const valueRun = (rank: number, length: number): number => valueBit | ((rank - 1) << 2) | (length - 1)

/** Returns the offset behind it. */
function writeZeros(bytes: Uint8Array, at: number, length: number): number {
  if (length <= zeroRunMax) {
    bytes[at] = length - 1
    return at + 1
  }
  bytes[at] = longZeroBit | ((length - 1) >> 8)
  bytes[at + 1] = length - 1
  return at + 2
}

/** All registers are 0; returns the offset behind it. */
export function emptyRuns(bytes: Uint8Array, at: number): number {
  return writeZeros(bytes, at, registerCount)
}

/** Shows the runs [start, end). False: they are not those of all registers, no more and no less. */
export function eachRun(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (index: number, rank: number, length: number, bytes: number) => void,
): boolean {
  let index = 0
  for (let at = start; at < end; at += run.bytes) {
    readRun(bytes, at)
    const { rank, length, bytes: runBytes } = run
    visit(index, rank, length, runBytes)
    index += length
  }
  return index === registerCount
}

/** Of one register; 0 behind the end of unsound runs. */
export function sparseRank(bytes: Uint8Array, start: number, end: number, index: number): number {
  for (let at = start, first = 0; at < end; at += run.bytes, first += run.length) {
    readRun(bytes, at)
    if (index < first + run.length) return run.rank
  }
  return 0
}

const split = new Uint8Array(splitBytesMax)

/** What a register's change makes of the runs. */
export type SparseChange =
  | { kind: 'none' }
  /** It doesn't fit: the registers must become dense. */
  | { kind: 'tooLarge' }
  | { kind: 'changed'; bytes: Uint8Array; length: number }

const unchanged: SparseChange = { kind: 'none' }
const tooLarge: SparseChange = { kind: 'tooLarge' }

/**
 * Raises one register to `rank` in the runs [start, length) of `bytes`, which is replaced by a longer one if need be. Before
 * `start` lies what is none of the runs' business but counts for `bytesMax`.
 */
export function raiseSparse(
  bytes: Uint8Array,
  start: number,
  length: number,
  index: number,
  rank: number,
  bytesMax: number,
): SparseChange {
  if (rank > sparseRankMax) return tooLarge
  let at = start
  let previous = start
  let first = 0
  for (;;) {
    if (at >= length) throw new FormatError('a sparse HyperLogLog that ends too early')
    readRun(bytes, at)
    if (index < first + run.length) break
    previous = at
    at += run.bytes
    first += run.length
  }
  const { rank: oldRank, length: runLength, bytes: oldBytes } = run
  if (oldRank >= rank) return unchanged
  if (runLength === 1 && oldBytes === 1) {
    bytes[at] = valueRun(rank, 1)
    return joinRuns(bytes, previous, length)
  }
  const newBytes = splitRun(index - first, rank, oldRank, runLength)
  const grownBytes = newBytes - oldBytes
  if (grownBytes > 0 && length + grownBytes > bytesMax) return tooLarge
  const room = length + grownBytes <= bytes.length ? bytes : grown(bytes, length)
  room.copyWithin(at + newBytes, at + oldBytes, length)
  copyBytes(room, at, split, 0, newBytes)
  return joinRuns(room, previous, length + grownBytes)
}

/** Into `split`: a run of `length` with another rank at the register `place` of it. Returns its bytes. */
function splitRun(place: number, rank: number, oldRank: number, length: number): number {
  const rest = (at: number, count: number): number => {
    if (count === 0) return at
    if (oldRank === 0) return writeZeros(split, at, count)
    split[at] = valueRun(oldRank, count)
    return at + 1
  }
  const at = rest(0, place)
  split[at] = valueRun(rank, 1)
  return rest(at + 1, length - place - 1)
}

const spareBytes = 64

function grown(bytes: Uint8Array, length: number): Uint8Array {
  const room = allocate(length + spareBytes)
  copyBytes(room, 0, bytes, 0, length)
  return room
}

/** Makes one of neighbouring runs of one rank, where there are some behind `from`. */
function joinRuns(bytes: Uint8Array, from: number, lengthBefore: number): SparseChange {
  let at = from
  let length = lengthBefore
  for (let left = joinedRunsMax; at < length && left > 0; left--) {
    readRun(bytes, at)
    const { rank, length: runLength, bytes: runBytes } = run
    if (rank > 0 && at + 1 < length && ((bytes[at + 1] as number) & valueBit) !== 0) {
      readRun(bytes, at + 1)
      if (run.rank === rank && run.length + runLength <= valueRunMax) {
        bytes[at + 1] = valueRun(rank, run.length + runLength)
        bytes.copyWithin(at, at + 1, length)
        length--
        continue
      }
    }
    at += runBytes
  }
  return { kind: 'changed', bytes, length }
}
