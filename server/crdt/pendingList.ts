/**
 * What a consumer group has delivered and nobody has acknowledged yet, in the order of ids. Each delivery is in two lists,
 * that of its group (one list for each cluster that adds entries) and that of its consumer.
 *
 * A list is blocks of up to 512 deliveries. They come at the end, nearly always, and go anywhere.
 */

import type { Origin } from '#protocol/sync/stamp.ts'
import type { StreamId } from '#protocol/sync/streamId.ts'
import { mergeSorted } from '#runtime/mergeSorted.ts'
import type { Consumer } from './localGroup.ts'

const blockSizeMax = 512

/** Which entry: clusters that may choose ids can have chosen the same. */
export interface EntryName {
  readonly id: StreamId
  /** Of the entry: who added it. */
  readonly origin: Origin
}

export class Delivery implements EntryName {
  readonly id: StreamId
  readonly origin: Origin
  consumer: Consumer
  /** The last time. */
  deliveredMs: number
  count: number

  constructor({ id, origin }: EntryName, consumer: Consumer, deliveredMs: number, count: number) {
    this.id = id
    this.origin = origin
    this.consumer = consumer
    this.deliveredMs = deliveredMs
    this.count = count
  }
}

const isBefore = (a: EntryName, b: EntryName): boolean =>
  a.id < b.id || (a.id === b.id && a.origin < b.origin)

export class PendingList {
  size = 0
  /** None is empty. */
  readonly #blocks: Delivery[][] = []

  get first(): Delivery | undefined {
    return this.#blocks[0]?.[0]
  }

  get last(): Delivery | undefined {
    return this.#blocks.at(-1)?.at(-1)
  }

  /** It is not in the list yet. */
  add(delivery: Delivery): void {
    this.size++
    const blocks = this.#blocks
    const at = Math.min(this.#blockOf(delivery), blocks.length - 1)
    const block = blocks[at]
    if (block === undefined) {
      blocks.push([delivery])
      return
    }
    block.splice(placeIn(block, delivery), 0, delivery)
    if (block.length <= blockSizeMax) return
    // At the end a full block stays full: there will be no more before its last.
    const keep = at === blocks.length - 1 ? blockSizeMax : blockSizeMax / 2
    blocks.splice(at + 1, 0, block.splice(keep))
  }

  get(entry: EntryName): Delivery | undefined {
    const block = this.#blocks[this.#blockOf(entry)]
    const found = block?.[placeIn(block, entry)]
    return found !== undefined && found.id === entry.id && found.origin === entry.origin ? found : undefined
  }

  /** It is in the list. */
  remove(delivery: Delivery): void {
    const at = this.#blockOf(delivery)
    const block = this.#blocks[at] as Delivery[]
    block.splice(placeIn(block, delivery), 1)
    if (block.length === 0) this.#blocks.splice(at, 1)
    this.size--
  }

  /** Those whose id is not below `id`, ascending. The list must not change meanwhile. */
  *from(id: StreamId): Generator<Delivery, void, void> {
    const least: EntryName = { id, origin: 0 }
    const first = this.#blockOf(least)
    for (let at = first; at < this.#blocks.length; at++) {
      const block = this.#blocks[at] as Delivery[]
      for (let i = at === first ? placeIn(block, least) : 0; i < block.length; i++) yield block[i] as Delivery
    }
  }

  /** Of the first block whose last is not before `entry`; behind the last one if there is none. */
  #blockOf(entry: EntryName): number {
    const blocks = this.#blocks
    let low = 0
    let high = blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const last = blocks[middle]?.at(-1) as Delivery
      if (isBefore(last, entry)) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Of the first that is not before `entry`. */
function placeIn(block: readonly Delivery[], entry: EntryName): number {
  let low = 0
  let high = block.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(block[middle] as Delivery, entry)) low = middle + 1
    else high = middle
  }
  return low
}

/** What several lists have from `id` on, ascending. None may change meanwhile. */
export const mergedFrom = (lists: readonly PendingList[], id: StreamId): Generator<Delivery, void, void> =>
  mergeSorted(
    lists.map((list) => list.from(id)),
    isBefore,
  )

/** Neighbours that are alike, together. */
export function runsOf(
  deliveries: Iterable<Delivery>,
  areAlike: (a: Delivery, b: Delivery) => boolean,
): [Delivery, ...Delivery[]][] {
  const runs: [Delivery, ...Delivery[]][] = []
  for (const delivery of deliveries) {
    const run = runs.at(-1)
    if (run !== undefined && areAlike(run[0], delivery)) run.push(delivery)
    else runs.push([delivery])
  }
  return runs
}
