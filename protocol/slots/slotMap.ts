/** Which shard of this cluster owns a hash slot. Clusters may cut the slots differently: the slot is the unit, not the shard. */
import { slotCount } from './crc16.ts'

export interface SlotRange {
  /** First and last slot, both included. */
  first: number
  last: number
}

/** Cuts all slots into `shards` contiguous ranges whose sizes differ by at most one. */
export function evenRanges(shards: number): SlotRange[] {
  if (!Number.isInteger(shards) || shards < 1 || shards > slotCount) {
    throw new RangeError(`${shards} shards: 1 to ${slotCount} can share the slots`)
  }
  const ranges: SlotRange[] = []
  for (let index = 0; index < shards; index++) {
    const first = Math.floor((index * slotCount) / shards)
    const last = Math.floor(((index + 1) * slotCount) / shards) - 1
    ranges.push({ first, last })
  }
  return ranges
}

/** The slots that are in both lists, as ranges in ascending order. */
export function overlap(a: readonly SlotRange[], b: readonly SlotRange[]): SlotRange[] {
  const common: SlotRange[] = []
  for (const left of a) {
    for (const right of b) {
      const first = Math.max(left.first, right.first)
      const last = Math.min(left.last, right.last)
      if (first <= last) common.push({ first, last })
    }
  }
  return common.sort((x, y) => x.first - y.first)
}

export function includesSlot(ranges: readonly SlotRange[], slot: number): boolean {
  return ranges.some((range) => slot >= range.first && slot <= range.last)
}

const unowned = 0xffff

/** One lookup per command: a table with an entry for each slot. */
export class SlotMap {
  readonly #shards = new Uint16Array(slotCount).fill(unowned)

  /** A slot named twice, or out of range, is an error: two owners would split the data. */
  constructor(shards: readonly { readonly index: number; readonly ranges: readonly SlotRange[] }[]) {
    for (const { index, ranges } of shards) {
      if (!Number.isInteger(index) || index < 0 || index >= unowned) {
        throw new RangeError(`shard ${index} is not an index`)
      }
      for (const { first, last } of ranges) this.#assign(index, first, last)
    }
  }

  #assign(index: number, first: number, last: number): void {
    if (
      !(Number.isInteger(first) && Number.isInteger(last) && first >= 0 && first <= last && last < slotCount)
    ) {
      throw new RangeError(
        `slots ${first}-${last} of shard ${index} are not a range within 0-${slotCount - 1}`,
      )
    }
    for (let slot = first; slot <= last; slot++) {
      const owner = this.#shards[slot]
      if (owner !== unowned) throw new RangeError(`slot ${slot} is given to shards ${owner} and ${index}`)
      this.#shards[slot] = index
    }
  }

  /** Index of the shard that owns the slot; -1: nobody does. */
  shardOf(slot: number): number {
    const index = this.#shards[slot]
    return index === undefined || index === unowned ? -1 : index
  }

  /** The first slot without an owner; -1: each has one. */
  firstUnowned(): number {
    return this.#shards.indexOf(unowned)
  }
}
