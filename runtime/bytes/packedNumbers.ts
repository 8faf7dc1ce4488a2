/** Numbers in few bytes at any offset, little-endian, for memory that is laid out by hand. Nothing is checked. */

export const u56Bytes = 7

/** An integer below 2^53. */
export function readU56(bytes: Uint8Array, at: number): number {
  const low =
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  const high =
    (bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8) | ((bytes[at + 6] as number) << 16)
  return high * 0x100000000 + low
}

export function writeU56(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 0x100000000) | 0
  const low = (value - high * 0x100000000) | 0
  bytes[at] = low
  bytes[at + 1] = low >>> 8
  bytes[at + 2] = low >>> 16
  bytes[at + 3] = low >>> 24
  bytes[at + 4] = high
  bytes[at + 5] = high >>> 8
  bytes[at + 6] = high >>> 16
}

/** Integers of both signs as such without: 0, -1, 1, -2 ... are 0, 1, 2, 3 ... */
export const foldSign = (value: number): number => (value >= 0 ? value * 2 : -value * 2 - 1)
export const unfoldSign = (folded: number): number => (folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2)

const doubles = new Float64Array(1)
const doubleBytes = new Uint8Array(doubles.buffer)

export function readF64(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) doubleBytes[i] = bytes[at + i] as number
  return doubles[0] as number
}

/** Lengths below 2^31. */
export const varintBytes = (value: number): number =>
  value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5

/** Returns the offset behind it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value
  let to = at
  for (; rest >= 0x80; rest >>>= 7) bytes[to++] = rest | 0x80
  bytes[to++] = rest
  return to
}

/** As long for each length, so that another one fits in its place. */
export const fixedVarintBytes = 5

/** In so many bytes whatever the value is; read as the others. Returns the offset behind it. */
export function writeFixedVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value
  const last = at + fixedVarintBytes - 1
  for (let to = at; to < last; to++, rest >>>= 7) bytes[to] = (rest & 0x7f) | 0x80
  bytes[last] = rest
  return last + 1
}

/** The reader below takes no allocation: what it read is `value`, and where it stopped `end`. */
export const varint = {
  value: 0,
  end: 0,
}

export function readVarint(bytes: Uint8Array, at: number): void {
  const first = bytes[at] as number
  if (first < 0x80) {
    varint.value = first
    varint.end = at + 1
    return
  }
  let value = first & 0x7f
  let shift = 7
  let from = at + 1
  for (;;) {
    const byte = bytes[from++] as number
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) break
    shift += 7
  }
  varint.value = value
  varint.end = from
}
