/**
 * How a key lies in the arena: everything about it in one block, its name first, so that finding a key and reading what it
 * holds touch the same line of memory.
 *
 *     entry := kind u8 | stamp u56 | access u24 | name length varint | name | body
 *     body  := [expireAt u56] | text length varint | text                              text (with bit `timed`)
 *            | [ttlStamp u56 | expireAt u56] | from u56 | sum u56                      counter
 *            |   [textStamp u56 | text length varint | text]                                    (with bit `based`)
 *            | [ttlStamp u56 | expireAt u56] | length varint | elements (`packed.ts`,  hash, set, sorted set, list (`stamp` is 0)
 *                                                 `packedScores.ts`, `packedList.ts`)
 *            | [ttlStamp u56 | expireAt u56] | length varint | registers (`hyperLogLog.ts`)  HyperLogLog (`stamp` is its latest add's)
            | (nothing: `stamp` is the number of a state on the heap)                 state
 *
 * Nearly every key is a text that was set once, in no conflict, a counter that one cluster adds to, a small hash, set, sorted set or list, or a
 * HyperLogLog of few registers. What
 * else there is (large values of other types, concurrent writes, residues) has its state on the heap (`server/crdt`) and only its name here.
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { originsMax } from '#protocol/sync/stamp.ts'
import { readU56, writeU56 } from '#runtime/bytes/packedNumbers.ts'

export const Kind = {
  text: 1,
  counter: 2,
  state: 3,
  bucket: 4,
  directory: 5,
  hash: 6,
  set: 7,
  zset: 8,
  list: 9,
  hll: 10,
} as const
/** Whose elements lie in the entry. */
export type PackedKind = typeof Kind.hash | typeof Kind.set | typeof Kind.zset | typeof Kind.list
const kindMask = 0x0f
/** It has a time to live. */
export const timedBit = 0x10
/** A counter that stands on a text. */
export const basedBit = 0x20
/** Of the base: its write left the TTL apart (`register.ts`). */
export const baseApartBit = 0x40

const stampAt = 1
const accessAt = 8
export const nameLengthAt = 11

export const kindOf = (bytes: Uint8Array, at: number): number => (bytes[at] as number) & kindMask

export const accessOf = (bytes: Uint8Array, at: number): number =>
  (bytes[at + accessAt] as number) |
  ((bytes[at + accessAt + 1] as number) << 8) |
  ((bytes[at + accessAt + 2] as number) << 16)

export function setAccess(bytes: Uint8Array, at: number, access: number): void {
  bytes[at + accessAt] = access
  bytes[at + accessAt + 1] = access >>> 8
  bytes[at + accessAt + 2] = access >>> 16
}

export const stampOf = (bytes: Uint8Array, at: number): Stamp => readU56(bytes, at + stampAt)
export const setStamp = (bytes: Uint8Array, at: number, stamp: Stamp): void =>
  writeU56(bytes, at + stampAt, stamp)

/** Of its stamp, without reading all of it. */
export const originAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at + stampAt] as number) % originsMax

/** Counters' sums that fit: the sign takes a bit. */
export const sumMax = 2 ** 51
export const foldSign = (sum: number): number => (sum >= 0 ? sum * 2 : -sum * 2 - 1)
export const unfoldSign = (value: number): number => (value % 2 === 0 ? value / 2 : -(value + 1) / 2)
