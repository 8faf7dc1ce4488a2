/**
 * The longest common subsequence of two texts by the usual table of prefix lengths, walked back from its end. Which of
 * several longest ones is told, and how it falls into ranges, follows from the order of the steps, which is Redis's
 * (`lcsCommand`): on a tie it goes back in the second text.
 */

/** Room for the table, in bytes; Redis's own limit (proto-max-bulk-len). */
export const lcsTableBytesMax = 512 * 1024 * 1024

const cellBytes = 4

export function lcsTableBytes(a: string, b: string): number {
  return (a.length + 1) * (b.length + 1) * cellBytes
}

/** A run of bytes that is in both texts; first and last offset in each. */
export interface CommonRange {
  aFirst: number
  aLast: number
  bFirst: number
  bLast: number
}

export class LongestCommonSubsequence {
  readonly #a: string
  readonly #b: string
  readonly #width: number
  /** Entry [i, j]: length for the first i bytes of a and the first j bytes of b. */
  readonly #table: Uint32Array

  constructor(a: string, b: string) {
    this.#a = a
    this.#b = b
    this.#width = b.length + 1
    const table = new Uint32Array((a.length + 1) * this.#width)
    for (let i = 1, at = this.#width; i <= a.length; i++) {
      const byte = a.charCodeAt(i - 1)
      at++
      for (let j = 1; j <= b.length; j++, at++) {
        const above = at - this.#width
        if (byte === b.charCodeAt(j - 1)) table[at] = (table[above - 1] as number) + 1
        else table[at] = Math.max(table[above] as number, table[at - 1] as number)
      }
    }
    this.#table = table
  }

  get length(): number {
    return this.#table[this.#table.length - 1] as number
  }

  text(): string {
    const parts: string[] = []
    for (const { aFirst, aLast } of this.ranges()) parts.push(this.#a.slice(aFirst, aLast + 1))
    return parts.reverse().join('')
  }

  /** From the end of the texts to their start. */
  ranges(): CommonRange[] {
    const a = this.#a
    const b = this.#b
    const ranges: CommonRange[] = []
    let range: CommonRange | null = null
    let i = a.length
    let j = b.length
    while (i > 0 && j > 0) {
      if (a.charCodeAt(i - 1) === b.charCodeAt(j - 1)) {
        i--
        j--
        if (range === null) {
          range = { aFirst: i, aLast: i, bFirst: j, bLast: j }
          ranges.push(range)
        } else {
          range.aFirst = i
          range.bFirst = j
        }
        continue
      }
      range = null
      const at = i * this.#width + j
      if ((this.#table[at - this.#width] as number) > (this.#table[at - 1] as number)) i--
      else j--
    }
    return ranges
  }
}
