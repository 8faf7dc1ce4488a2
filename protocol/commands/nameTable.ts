/**
 * Finds what belongs to a name that lies as bytes in a request, in any letter case, without making a string of it: an
 * open-addressed hash table over the upper-case names, at most a quarter full so that most finds take one comparison.
 */
export class NameTable<Value> {
  readonly #values: Value[] = []
  /** All names, one behind the other; name i is [starts[i], starts[i + 1]). */
  readonly #text: Uint8Array
  readonly #starts: Int32Array
  /** Index of a name plus one; 0 is an empty place. */
  readonly #places: Int32Array
  readonly #mask: number
  readonly #longest: number

  /** The names are in upper case and differ. */
  constructor(entries: readonly (readonly [name: string, value: Value])[]) {
    const placeCount = 2 ** Math.ceil(Math.log2(4 * entries.length + 1))
    this.#places = new Int32Array(placeCount)
    this.#mask = placeCount - 1
    this.#starts = new Int32Array(entries.length + 1)
    this.#text = new Uint8Array(entries.reduce((total, [name]) => total + name.length, 0))
    let longest = 0
    for (const [name, value] of entries) {
      const index = this.#values.push(value) - 1
      const start = this.#starts[index] as number
      for (let i = 0; i < name.length; i++) this.#text[start + i] = name.charCodeAt(i)
      this.#starts[index + 1] = start + name.length
      longest = Math.max(longest, name.length)
      let place = hash(this.#text, start, start + name.length) & this.#mask
      while (this.#places[place] !== 0) place = (place + 1) & this.#mask
      this.#places[place] = index + 1
    }
    this.#longest = longest
  }

  /** Of the name that is the bytes [start, end). */
  find(bytes: Uint8Array, start: number, end: number): Value | undefined {
    if (end - start > this.#longest) return undefined
    let place = hash(bytes, start, end) & this.#mask
    for (;;) {
      const index = (this.#places[place] as number) - 1
      if (index < 0) return undefined
      if (this.#isNamed(index, bytes, start, end)) return this.#values[index]
      place = (place + 1) & this.#mask
    }
  }

  #isNamed(index: number, bytes: Uint8Array, start: number, end: number): boolean {
    let at = this.#starts[index] as number
    if ((this.#starts[index + 1] as number) - at !== end - start) return false
    for (let i = start; i < end; i++, at++) {
      const byte = bytes[i] as number
      const upper = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte
      if (upper !== this.#text[at]) return false
    }
    return true
  }
}

/** Folds case by dropping the bit in which letters differ; what else becomes equal by that is told apart by comparing. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let h = end - start
  for (let at = start; at < end; at++) h = (Math.imul(h, 31) + ((bytes[at] as number) & 0xdf)) | 0
  return h ^ (h >>> 15)
}
