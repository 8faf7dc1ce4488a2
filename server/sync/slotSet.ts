/** The hash slots of a channel, for one look-up a record part. */
import { slotCount } from '#protocol/slots/crc16.ts'
import type { SlotRange } from '#protocol/slots/slotMap.ts'

export class SlotSet {
  readonly #has = new Uint8Array(slotCount)

  constructor(ranges: readonly SlotRange[]) {
    for (const { first, last } of ranges) this.#has.fill(1, first, last + 1)
  }

  has(slot: number): boolean {
    return this.#has[slot] === 1
  }
}

/** Whether the parts together contain all of the whole. */
export function rangesCover(whole: readonly SlotRange[], parts: Iterable<readonly SlotRange[]>): boolean {
  const sorted = [...parts].flat().sort((a, b) => a.first - b.first)
  return whole.every((range) => {
    let next = range.first
    for (const part of sorted) {
      if (part.first > next) break
      next = Math.max(next, part.last + 1)
      if (next > range.last) return true
    }
    return false
  })
}

/** One name for one origin's operations in these slots. */
export function rangesName(origin: number, ranges: readonly SlotRange[]): string {
  return `${origin}/${ranges.map(({ first, last }) => `${first}-${last}`).join()}`
}
