/**
 * How a key lies in the arena: everything about it in one block, its name first, so that finding a key and reading what it
 * holds touch the same line of memory.
 *
 *     entry := kind u8 | stamp u56 | access u24 | name length varint | name | body
 *     body  := [expireAt u56] | text length varint | text                              text (with bit `timed`)
 *            | ttlStamp u56 | expireAt u56 | text length, five bytes | text             long text (the TTL counts with bit `timed`)
 *            | [ttlStamp u56 | expireAt u56] | from u56 | sum u56                      counter
 *            |   [textStamp u56 | text length varint | text]                                    (with bit `based`)
 *            | [ttlStamp u56 | expireAt u56] | length varint | elements             hash, set, sorted set, list (`stamp` is 0;
 *                                                                                  `packedValue.ts`)
 *            | [ttlStamp u56 | expireAt u56] | length varint | registers            HyperLogLog (`stamp` is its latest add's;
 *                                                                                  `hyperLogLog.ts`)
 *            | (nothing: `stamp` is the number of a state on the heap)                 state
 *
 * A long text has room for a TTL write of its own, and for any length, so that neither EXPIRE nor a patch moves it.
 *
 * Nearly every key is a text that was set once, in no conflict, a counter that one cluster adds to, a small hash, set, sorted set or
 * list, or a HyperLogLog of few registers. What else there is (large values of other types, concurrent writes, residues) has its
 * state on the heap (`server/crdt`) and only its name here.
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { originsMax } from '#protocol/sync/stamp.ts'
import { readU56, readVarint, u56Bytes, varint, writeU56 } from '#runtime/bytes/packedNumbers.ts'
import { noTtlWrites, type TtlWrite, type TtlWrites } from '#server/crdt/ttl.ts'

const never = Number.POSITIVE_INFINITY

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
  longText: 11,
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

/** 0 stands for "none" in TTL writes: no key expires in 1970. */
export const orNever = (expireAtMs: number): number => (expireAtMs === 0 ? never : expireAtMs)

export const isTimed = (bytes: Uint8Array, at: number): boolean => ((bytes[at] as number) & timedBit) !== 0

/** A text that a counter stands on is itself the TTL write "none", unless its write left the TTL apart. */
export const standsForNoTtl = (bytes: Uint8Array, at: number): boolean =>
  ((bytes[at] as number) & (basedBit | baseApartBit)) === basedBit

/** The TTL writes of what is no text: one at most. */
export function ttlOf(bytes: Uint8Array, at: number): TtlWrites {
  if (!isTimed(bytes, at)) return noTtlWrites
  const body = bodyAt(bytes, at)
  return [{ stamp: readU56(bytes, body), expireAtMs: orNever(readU56(bytes, body + u56Bytes)) }]
}

/** Returns the offset behind it. */
export function writeTtl(bytes: Uint8Array, at: number, { stamp, expireAtMs }: TtlWrite): number {
  writeU56(bytes, at, stamp)
  writeU56(bytes, at + u56Bytes, expireAtMs === never ? 0 : expireAtMs)
  return at + 2 * u56Bytes
}

/** Where what follows the name begins. */
export function bodyAt(bytes: Uint8Array, at: number): number {
  readVarint(bytes, at + nameLengthAt)
  return varint.end + varint.value
}

/** Where what follows the TTL begins. */
export function valueAt(bytes: Uint8Array, at: number): number {
  const body = bodyAt(bytes, at)
  if (kindOf(bytes, at) === Kind.longText) return body + 2 * u56Bytes
  if (!isTimed(bytes, at)) return body
  return body + (kindOf(bytes, at) === Kind.text ? u56Bytes : 2 * u56Bytes)
}
