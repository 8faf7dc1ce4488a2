/**
 * What a consumer group is in this cluster alone: its consumers, what is pending for each, and how far it has read. It is
 * durable, but never sent to other clusters (`groupChange.ts`, ADR 14). A group that is destroyed, and made again, begins
 * with a new one.
 *
 * **One cursor for each cluster that adds entries.** The entries of one cluster arrive in the order of their ids, those of
 * several don't: with a single cursor, what arrives late with a low id would be skipped. The last id delivered is only
 * shown.
 */

import { originsMax } from '#protocol/sync/stamp.ts'
import { minId, type StreamId } from '#protocol/sync/streamId.ts'
import type { GroupChangeSink, Position } from './groupChange.ts'
import { Delivery, type EntryName, mergedFrom, PendingList, runsOf } from './pendingList.ts'

/** About, on the heap. */
const groupBytes = 400
const consumerBytes = 250
const deliveryBytes = 150

export class Consumer {
  readonly name: string
  /** Of the last command that named it. */
  seenMs: number
  /** Of the last one that gave it something; -1: none has. */
  activeMs: number
  readonly pending: PendingList = new PendingList()

  constructor(name: string, seenMs: number, activeMs: number) {
    this.name = name
    this.seenMs = seenMs
    this.activeMs = activeMs
  }
}

export class LocalGroup implements GroupChangeSink {
  position: Position
  readonly #consumers = new Map<string, Consumer>()
  /** By the origin of the entries. */
  readonly #pending: (PendingList | undefined)[] = new Array(originsMax).fill(undefined)
  #consumerNameBytes = 0

  constructor(position: Position) {
    this.position = position
  }

  /** About, on the heap. */
  get usedBytes(): number {
    return (
      groupBytes +
      this.#consumers.size * consumerBytes +
      this.#consumerNameBytes +
      this.pendingCount * deliveryBytes
    )
  }

  /** In the order of their names. */
  get consumers(): Consumer[] {
    return [...this.#consumers.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get consumerCount(): number {
    return this.#consumers.size
  }

  get pendingCount(): number {
    let count = 0
    for (const list of this.#pending) count += list?.size ?? 0
    return count
  }

  consumerNamed(name: string): Consumer | undefined {
    return this.#consumers.get(name)
  }

  /** What is pending of anybody, from `id` on; nothing may change meanwhile. */
  pendingFrom(id: StreamId): Generator<Delivery, void, void> {
    return mergedFrom(this.#lists, id)
  }

  get firstPending(): StreamId | undefined {
    let first: StreamId | undefined
    for (const list of this.#lists) {
      const id = list.first?.id
      if (id !== undefined && (first === undefined || id < first)) first = id
    }
    return first
  }

  get lastPending(): StreamId | undefined {
    let last: StreamId | undefined
    for (const list of this.#lists) {
      const id = list.last?.id
      if (id !== undefined && (last === undefined || id > last)) last = id
    }
    return last
  }

  /** The first that is pending of the entries of one cluster. */
  firstPendingOf(origin: number): StreamId | undefined {
    return this.#pending[origin]?.first?.id
  }

  delivery(entry: EntryName): Delivery | undefined {
    return this.#pending[entry.origin]?.get(entry)
  }

  /** Several when clusters have chosen the same id. */
  deliveriesOf(id: StreamId): Delivery[] {
    const found: Delivery[] = []
    this.#pending.forEach((list, origin) => {
      const delivery = list?.get({ id, origin })
      if (delivery !== undefined) found.push(delivery)
    })
    return found
  }

  // ---- changes

  setConsumer(name: string, seenMs: number, activeMs: number): void {
    const consumer = this.#consumers.get(name)
    if (consumer === undefined) {
      this.#consumers.set(name, new Consumer(name, seenMs, activeMs))
      this.#consumerNameBytes += name.length
      return
    }
    consumer.seenMs = seenMs
    consumer.activeMs = activeMs
  }

  removeConsumer(name: string): void {
    const consumer = this.#consumers.get(name)
    if (consumer === undefined) return
    for (const delivery of consumer.pending.from(minId)) this.#pending[delivery.origin]?.remove(delivery)
    this.#consumers.delete(name)
    this.#consumerNameBytes -= name.length
  }

  deliver(consumerName: string, deliveredMs: number, count: number, entries: readonly EntryName[]): void {
    let consumer = this.#consumers.get(consumerName)
    if (consumer === undefined) {
      this.setConsumer(consumerName, deliveredMs, deliveredMs)
      consumer = this.#consumers.get(consumerName) as Consumer
    }
    for (const entry of entries) this.#deliver(entry, consumer, deliveredMs, count)
  }

  forget(entries: readonly EntryName[]): void {
    for (const entry of entries) {
      const delivery = this.delivery(entry)
      if (delivery === undefined) continue
      this.#pending[entry.origin]?.remove(delivery)
      delivery.consumer.pending.remove(delivery)
    }
  }

  setPosition(position: Position): void {
    this.position = position
  }

  /** What makes another group like this one. */
  tell(sink: GroupChangeSink): void {
    sink.setPosition(this.position)
    for (const { name, seenMs, activeMs, pending } of this.#consumers.values()) {
      sink.setConsumer(name, seenMs, activeMs)
      tellPending(name, pending, sink)
    }
  }

  get #lists(): PendingList[] {
    return this.#pending.filter((list) => list !== undefined)
  }

  #deliver(entry: EntryName, consumer: Consumer, deliveredMs: number, count: number): void {
    const known = this.delivery(entry)
    if (known === undefined) {
      const delivery = new Delivery(entry, consumer, deliveredMs, count)
      this.#listOf(entry.origin).add(delivery)
      consumer.pending.add(delivery)
      return
    }
    known.deliveredMs = deliveredMs
    known.count = count
    if (known.consumer === consumer) return
    known.consumer.pending.remove(known)
    known.consumer = consumer
    consumer.pending.add(known)
  }

  #listOf(origin: number): PendingList {
    const list = this.#pending[origin] ?? new PendingList()
    this.#pending[origin] = list
    return list
  }
}

function tellPending(consumer: string, pending: PendingList, sink: GroupChangeSink): void {
  const runs = runsOf(pending.from(minId), (a, b) => a.deliveredMs === b.deliveredMs && a.count === b.count)
  for (const run of runs) sink.deliver(consumer, run[0].deliveredMs, run[0].count, run)
}
