/**
 * Ids of stream entries: milliseconds and a sequence number, each unsigned of 64 bits. An id is their 16 bytes, most
 * significant first, as a string: equal ids are equal strings, and `<` is their order. Numbers are made of it where they
 * are exact, as nearly always; BigInt only beyond 2^53.
 */
declare const streamId: unique symbol
export type StreamId = string & { readonly [streamId]: true }

const wordScale = 2 ** 32
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
export const maxId: StreamId = wideId(2n ** 64n - 1n, 2n ** 64n - 1n)

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

/** Of 16 bytes at `at`. */
export const idFromBytes = (bytes: Uint8Array, at: number): StreamId =>
  String.fromCharCode(...bytes.subarray(at, at + 16)) as StreamId

const wideNumber = /^[0-9]{1,20}$/

/** A number of an id, as decimal digits; undefined: it is none, or does not fit. */
export function parseIdNumber(text: string): bigint | undefined {
  if (!wideNumber.test(text)) return undefined
  const value = BigInt(text)
  return value < 2n ** 64n ? value : undefined
}
