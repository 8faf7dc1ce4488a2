/**
 * Ids of stream entries: milliseconds and a sequence number, each unsigned of 64 bits. An id is their 16 bytes, most
 * significant first, as a string: equal ids are equal strings, and `<` is their order. Numbers are made of it where they
 * are exact, as nearly always; BigInt only beyond 2^53.
 */
import { latin1 } from '#runtime/bytes/bytes.ts'

declare const streamId: unique symbol
export type StreamId = string & { readonly [streamId]: true }

const wordScale = 2 ** 32
/** Of each of the two numbers. */
export const idNumberMax = 2n ** 64n - 1n
/** Below it a double holds each integer. */
const exactEnd = 2 ** 53

/** Both below 2^53. */
export function idOf(ms: number, seq: number): StreamId {
  const [msHigh, seqHigh] = [Math.floor(ms / wordScale), Math.floor(seq / wordScale)]
  return ofWords(msHigh, ms - msHigh * wordScale, seqHigh, seq - seqHigh * wordScale)
}

/** Both below 2^64. */
export function wideId(ms: bigint, seq: bigint): StreamId {
  const low = (value: bigint): number => Number(BigInt.asUintN(32, value))
  return ofWords(low(ms >> 32n), low(ms), low(seq >> 32n), low(seq))
}

function ofWords(a: number, b: number, c: number, d: number): StreamId {
  return String.fromCharCode(
    a >>> 24,
    (a >>> 16) & 0xff,
    (a >>> 8) & 0xff,
    a & 0xff,
    b >>> 24,
    (b >>> 16) & 0xff,
    (b >>> 8) & 0xff,
    b & 0xff,
    c >>> 24,
    (c >>> 16) & 0xff,
    (c >>> 8) & 0xff,
    c & 0xff,
    d >>> 24,
    (d >>> 16) & 0xff,
    (d >>> 8) & 0xff,
    d & 0xff,
  ) as StreamId
}

export const minId: StreamId = idOf(0, 0)
export const maxId: StreamId = wideId(idNumberMax, idNumberMax)

const wordAt = (id: StreamId, at: number): number =>
  ((id.charCodeAt(at) << 24) |
    (id.charCodeAt(at + 1) << 16) |
    (id.charCodeAt(at + 2) << 8) |
    id.charCodeAt(at + 3)) >>>
  0

/** Exact below 2^53, above it the nearest double. */
export const msOf = (id: StreamId): number => wordAt(id, 0) * wordScale + wordAt(id, 4)
export const seqOf = (id: StreamId): number => wordAt(id, 8) * wordScale + wordAt(id, 12)

export const wideMsOf = (id: StreamId): bigint => wideAt(id, 0)
export const wideSeqOf = (id: StreamId): bigint => wideAt(id, 8)

const wideAt = (id: StreamId, at: number): bigint =>
  (BigInt(wordAt(id, at)) << 32n) | BigInt(wordAt(id, at + 4))

/** Whether both numbers are exact as doubles. */
export const isExact = (id: StreamId): boolean => msOf(id) < exactEnd && seqOf(id) < exactEnd

export function formatId(id: StreamId): string {
  return isExact(id) ? `${msOf(id)}-${seqOf(id)}` : `${wideMsOf(id)}-${wideSeqOf(id)}`
}

/** undefined: there is none. */
export function nextId(id: StreamId): StreamId | undefined {
  if (id === maxId) return undefined
  if (isExact(id) && seqOf(id) + 1 < exactEnd) return idOf(msOf(id), seqOf(id) + 1)
  return ofNumber(toNumber(id) + 1n)
}

/** undefined: there is none. */
export function previousId(id: StreamId): StreamId | undefined {
  if (id === minId) return undefined
  if (isExact(id) && seqOf(id) > 0) return idOf(msOf(id), seqOf(id) - 1)
  return ofNumber(toNumber(id) - 1n)
}

const toNumber = (id: StreamId): bigint => (wideMsOf(id) << 64n) | wideSeqOf(id)
const ofNumber = (value: bigint): StreamId => wideId(value >> 64n, BigInt.asUintN(64, value))

export const greaterId = (a: StreamId, b: StreamId): StreamId => (a < b ? b : a)
export const lesserId = (a: StreamId, b: StreamId): StreamId => (a < b ? a : b)

/** Of several ids, some of which there are not; 0-0: there is none. */
export function greatestId(ids: Iterable<StreamId | undefined>): StreamId {
  let greatest = minId
  for (const id of ids) if (id !== undefined) greatest = greaterId(greatest, id)
  return greatest
}

export const idBytes = 16

/** Of its bytes at `at`. */
export const idFromBytes = (bytes: Uint8Array, at: number): StreamId =>
  latin1(bytes, at, at + idBytes) as StreamId

/** Of its bytes as characters; undefined: they are not as many. */
export const idFromText = (text: string): StreamId | undefined =>
  text.length === idBytes ? (text as StreamId) : undefined
