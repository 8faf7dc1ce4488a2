/**
 * HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein, "SipHash: a fast short-input PRF"; the variant on 32-bit words),
 * twice with keys of its own: 128 bits, of which nobody who lacks the key can foresee anything. Two different inputs have the same with a
 * chance of 2^-128, whoever chose them, as long as the key was drawn after them or is not known to him.
 */

/** 32-bit words of a hash, and of a key. */
export const hashWords = 4

export class KeyedHash {
  /** What `update` has found. */
  readonly words: Int32Array = new Int32Array(hashWords)
  readonly #key: Int32Array

  /** `key`: 16 bytes. */
  constructor(key: Uint8Array) {
    this.#key = Int32Array.from({ length: hashWords }, (_, i) => word(key, 4 * i))
  }

  update(bytes: Uint8Array, start: number, end: number): void {
    this.#half(0, bytes, start, end)
    this.#half(2, bytes, start, end)
  }

  #half(at: number, bytes: Uint8Array, start: number, end: number): void {
    const k0 = this.#key[at] as number
    const k1 = this.#key[at + 1] as number
    let v0 = k0
    let v1 = k1 ^ 0xee
    let v2 = k0 ^ 0x6c796765
    let v3 = k1 ^ 0x74656462
    const length = end - start
    const last = end - (length & 3)
    // Behind the last word there are four rounds for each half of the output.
    for (let from = start; from <= last + 16; from += 4) {
      const m = from < last ? word(bytes, from) : from === last ? lastWord(bytes, from, end, length) : 0
      v3 ^= m
      for (let i = 0; i < 2; i++) {
        v0 = (v0 + v1) | 0
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
        v0 = (v0 << 16) | (v0 >>> 16)
        v2 = (v2 + v3) | 0
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
        v0 = (v0 + v3) | 0
        v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
        v2 = (v2 + v1) | 0
        v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
        v2 = (v2 << 16) | (v2 >>> 16)
      }
      v0 ^= m
      if (from === last) v2 ^= 0xee
      else if (from === last + 8) {
        this.words[at] = v1 ^ v3
        v1 ^= 0xdd
      }
    }
    this.words[at + 1] = v1 ^ v3
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

/** The bytes that are left, and above them the length. */
function lastWord(bytes: Uint8Array, start: number, end: number, length: number): number {
  let value = length << 24
  for (let at = start; at < end; at++) value |= (bytes[at] as number) << (8 * (at - start))
  return value
}
