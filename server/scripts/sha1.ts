/** SHA-1 of a latin1 text, in hexadecimal: the name that Redis gives to scripts. It protects nothing. */
export function sha1(text: string): string {
  const { length } = text
  const words = new Int32Array((((length + 8) >> 6) + 1) << 4)
  for (let at = 0; at < length; at++) {
    words[at >> 2] = (words[at >> 2] as number) | ((text.charCodeAt(at) & 0xff) << (24 - (at & 3) * 8))
  }
  words[length >> 2] = (words[length >> 2] as number) | (0x80 << (24 - (length & 3) * 8))
  words[words.length - 2] = Math.floor(length / 0x20000000)
  words[words.length - 1] = length << 3
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0)
  const schedule = new Int32Array(80)
  for (let block = 0; block < words.length; block += 16) mix(state, schedule, words, block)
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
}

const rotated = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

function mix(state: Int32Array, w: Int32Array, words: Int32Array, block: number): void {
  for (let i = 0; i < 16; i++) w[i] = words[block + i] as number
  for (let i = 16; i < 80; i++) {
    w[i] = rotated(
      (w[i - 3] as number) ^ (w[i - 8] as number) ^ (w[i - 14] as number) ^ (w[i - 16] as number),
      1,
    )
  }
  let [a, b, c, d, e] = state as unknown as [number, number, number, number, number]
  for (let i = 0; i < 80; i++) {
    const [f, k] =
      i < 20
        ? [(b & c) | (~b & d), 0x5a827999]
        : i < 40
          ? [b ^ c ^ d, 0x6ed9eba1]
          : i < 60
            ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
            : [b ^ c ^ d, 0xca62c1d6]
    const next = (rotated(a, 5) + f + e + k + (w[i] as number)) | 0
    e = d
    d = c
    c = rotated(b, 30)
    b = a
    a = next
  }
  state[0] = (state[0] as number) + a
  state[1] = (state[1] as number) + b
  state[2] = (state[2] as number) + c
  state[3] = (state[3] as number) + d
  state[4] = (state[4] as number) + e
}
