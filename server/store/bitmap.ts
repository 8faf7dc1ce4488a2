/** A growing set of small integers, to find the lowest one quickly. */
export class Bitmap {
  #words: Uint32Array

  constructor(size: number) {
    this.#words = new Uint32Array(Math.max(1, Math.ceil(size / 32)))
  }

  add(value: number): void {
    const word = value >>> 5
    if (word >= this.#words.length) this.#grow(word + 1)
    this.#words[word] = (this.#words[word] as number) | (1 << (value & 31))
  }

  delete(value: number): void {
    const word = value >>> 5
    if (word < this.#words.length) this.#words[word] = (this.#words[word] as number) & ~(1 << (value & 31))
  }

  /** The lowest member that is `from` or more; -1: there is none. */
  next(from: number): number {
    const words = this.#words
    let word = from >>> 5
    if (word >= words.length) return -1
    let bits = (words[word] as number) & (-1 << (from & 31))
    while (bits === 0) {
      if (++word >= words.length) return -1
      bits = words[word] as number
    }
    return word * 32 + 31 - Math.clz32(bits & -bits)
  }

  #grow(words: number): void {
    const grown = new Uint32Array(Math.max(words, this.#words.length * 2))
    grown.set(this.#words)
    this.#words = grown
  }
}
