/**
 * Where an element of a list is: a path of steps, which never changes and has one order at all replicas. No element that is
 * gone is needed to place another, so lists have no tombstones.
 *
 *     step  := side (-1, +1), key, offset
 *     key   := a stamp whose tie-break is turned round (`listKeyOf`), or its negative
 *
 * RPUSH makes `(+1, key, i)` and LPUSH `(-1, -key, -i)` for the i-th value of the command: whatever was seen lies between them.
 * Paths compare at their first difference: by side, key, offset; of a path and its continuation the longer goes before when
 * it goes on with side -1, and after when with +1. So an element has a left and a right subtree, as in a binary tree
 * (Treedoc, Fugue), and LINSERT needs a further step only between neighbours that nothing else fits between.
 *
 * An id is its steps' numbers one after another, so that comparing two is comparing two arrays.
 */
import { originOf, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { foldSign, unfoldSign } from '#runtime/bytes/packedNumbers.ts'

export type ListId = readonly number[]
/** -1 is the left end of a list, or what lies before an element. */
export type Side = -1 | 1

/** Numbers of a step. */
const stepLength = 3
/** Steps of an id, in effects and states; a LINSERT that needs more is refused. */
export const listDepthMax = 1_000
/** Deeper than this LINSERT looks for a place at a shallower level before it takes a step more. */
const shallowDepth = 4
const offsetLimit = 2 ** 31
/** Greater than every key there is. */
const keyLimit = Number.MAX_SAFE_INTEGER

export const depthOf = (id: ListId): number => id.length / stepLength

/** Stamps put the smaller cluster id last on an equal time, a list puts it first (rule B7). */
export const listKeyOf = (stamp: Stamp): number => stamp - 2 * originOf(stamp) + originsMax

/** The stamp whose key this is, or whose key's negative. */
export function stampOfKey(key: number): Stamp {
  const turned = Math.abs(key)
  const time = Math.floor((turned - 1) / originsMax) * originsMax
  return 2 * time + originsMax - turned
}

/** Of the value with this number in a command. */
export const pushedId = (side: Side, stamp: Stamp, number: number): ListId => [
  side,
  side * listKeyOf(stamp),
  // Not `side * number`: an offset -0 would be another one.
  side === 1 ? number : 0 - number,
]

export function compareIds(a: ListId, b: ListId): number {
  const common = Math.min(a.length, b.length)
  for (let at = 0; at < common; at++) {
    const difference = (a[at] as number) - (b[at] as number)
    if (difference !== 0) return difference
  }
  if (a.length === b.length) return 0
  return a.length > b.length ? (a[common] as number) : -(b[common] as number)
}

/** The latest of a shard's LINSERTs into a list that went on at the same place; offsets in between are used up. */
export interface InsertRun {
  /** Of the element made last. */
  readonly id: ListId
  readonly least: number
  readonly greatest: number
}

/**
 * An id strictly between those of two neighbours, undefined being an end of the list (rule D9). `key` is that of the LINSERT.
 *
 * `run` keeps what one client inserts one by one at one place together, and is good for ever as long as no offset is used
 * twice. It is nothing but a hint: without it another id is found.
 */
export function idBetween(
  left: ListId | undefined,
  right: ListId | undefined,
  key: number,
  run: InsertRun | undefined,
): ListId {
  if (right === undefined) return [1, key, 0]
  if (left === undefined) return [-1, -key, 0]
  const continued = run === undefined ? undefined : continuedRun(left, right, run)
  if (continued !== undefined) return continued
  const child = isInRightSubtree(left, right) ? [...right, -1, key, 0] : [...left, 1, key, 0]
  if (depthOf(child) <= shallowDepth) return child
  return shallowestBetween(left, right, key, depthOf(child)) ?? child
}

/** How deep the id of a LINSERT will be. */
export function depthBetween(
  left: ListId | undefined,
  right: ListId | undefined,
  run: InsertRun | undefined,
): number {
  // Which of the forms fits follows from the key being greater than those that are there.
  return depthOf(idBetween(left, right, keyLimit, run))
}

/** What `run` is after `id` has been made. */
export function runAfter(run: InsertRun | undefined, id: ListId): InsertRun {
  const offset = id.at(-1) as number
  if (run === undefined || run.id.length !== id.length || run.id.at(-2) !== id.at(-2))
    return { id, least: offset, greatest: offset }
  return { id, least: Math.min(run.least, offset), greatest: Math.max(run.greatest, offset) }
}

function continuedRun(left: ListId, right: ListId, run: InsertRun): ListId | undefined {
  if (depthOf(run.id) > shallowDepth) return undefined
  for (const offset of [
    compareIds(left, run.id) === 0 ? run.greatest + 1 : offsetLimit,
    compareIds(right, run.id) === 0 ? run.least - 1 : offsetLimit,
  ]) {
    if (!isOffset(offset)) continue
    const id = [...run.id.slice(0, -1), offset]
    if (isBetween(left, id, right)) return id
  }
  return undefined
}

function isInRightSubtree(left: ListId, right: ListId): boolean {
  if (right.length <= left.length || right[left.length] !== 1) return false
  return left.every((value, at) => value === right[at])
}

/**
 * A sibling of a step of `right` or `left` that fits, at the level nearest to the root. Where both are the same it would lie
 * before or behind both; a level below the first at which they differ any fits.
 */
function shallowestBetween(left: ListId, right: ListId, key: number, depth: number): ListId | undefined {
  let same = 0
  while (same < left.length && left[same] === right[same]) same++
  const first = Math.floor(same / stepLength)
  for (let level = first; level < Math.min(depth - 1, first + 2); level++) {
    const before = siblingAt(right, level, -key)
    if (before !== undefined && isBetween(left, before, right)) return before
    const after = siblingAt(left, level, key)
    if (after !== undefined && isBetween(left, after, right)) return after
  }
  return undefined
}

function siblingAt(id: ListId, level: number, key: number): ListId | undefined {
  const at = level * stepLength
  return at >= id.length ? undefined : [...id.slice(0, at), id[at] as number, key, 0]
}

const isBetween = (left: ListId, id: ListId, right: ListId): boolean =>
  compareIds(left, id) < 0 && compareIds(id, right) < 0

const isOffset = (offset: number): boolean => offset < offsetLimit && offset > -offsetLimit

// ---- bytes: depth varint, then a step each: (side is +1) + 2 (key is negative) u8, key varint, offset varint (sign folded in)

export function writeId(writer: ByteWriter, id: ListId): void {
  writer.varint(depthOf(id))
  for (let at = 0; at < id.length; at += stepLength) {
    const key = id[at + 1] as number
    writer.u8((id[at] === 1 ? 1 : 0) + (key < 0 ? 2 : 0))
    writer.varint(Math.abs(key))
    writeOffset(writer, id[at + 2] as number)
  }
}

export function readId(reader: ByteReader): ListId {
  const depth = reader.varint()
  if (depth === 0 || depth > listDepthMax) throw new FormatError(`list id of ${depth} steps`)
  const id: number[] = []
  for (let step = 0; step < depth; step++) {
    const signs = reader.u8()
    const key = reader.varint()
    if (signs > 3 || key === 0) throw new FormatError('step of a list id')
    id.push(signs & 1 ? 1 : -1, signs & 2 ? -key : key, readOffset(reader))
  }
  return id
}

export function writeOffset(writer: ByteWriter, offset: number): void {
  writer.varint(foldSign(offset))
}

export function readOffset(reader: ByteReader): number {
  const offset = unfoldSign(reader.varint())
  if (!isOffset(offset)) throw new FormatError(`offset ${offset} of a list id`)
  return offset
}
