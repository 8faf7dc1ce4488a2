/**
 * The generator behind `math.random` in scripts, as Redis has it: `lrand48`, which begins with the same
 * numbers in every process.
 */
const multiplierHigh = 0x5
const multiplierLow = 0xdeece66d
const increment = 0xb
const modulus = 2 ** 48

export class Random48 {
  /** 48 bits. */
  #state = 0x1234abcd330e

  seed(value: number): void {
    this.#state = (value >>> 0) * 0x10000 + 0x330e
  }

  /** 31 bits. */
  next(): number {
    const high = Math.floor(this.#state / 2 ** 32)
    const low = this.#state >>> 0
    // The product of the low halves has up to 64 bits: it is made of halves of 16.
    const lowProduct = product32(low, multiplierLow)
    const cross = (high * multiplierLow + low * multiplierHigh) % 2 ** 16
    this.#state = (lowProduct + cross * 2 ** 32 + increment) % modulus
    return Math.floor(this.#state / 2 ** 17)
  }
}

/** Modulo 2^48. */
function product32(a: number, b: number): number {
  const low = a * (b & 0xffff)
  const high = ((a * (b >>> 16)) % 2 ** 32) * 0x10000
  return (low + high) % modulus
}
