/**
 * Messages to subscribers of a peer, until what was in the log when they were published has been sent: who gets one and reads what was
 * written before it finds that.
 */
import { type Published, publishedPayload } from '#protocol/pubsub/messages.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { beginPublished } from '#protocol/sync/message.ts'
import type { Origin } from '#protocol/sync/stamp.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Feed } from './feed.ts'

/** Sends a message to each peer that is linked, once: through any of its feeds, but those of one channel are to come in their order. */
export function publishTo(feeds: Iterable<Feed>, published: Published): void {
  const slot = slotOfKey(published.channel)
  const chosen = new Map<Origin, Feed>()
  for (const feed of feeds) {
    if (!feed.takesPublished) continue
    if (!chosen.has(feed.peer) || feed.slots.has(slot)) chosen.set(feed.peer, feed)
  }
  if (chosen.size === 0) return
  const payload = publishedPayload(published)
  for (const feed of chosen.values()) feed.publish(payload)
}

interface Waiting {
  /** Of the log. */
  position: number
  payload: Uint8Array
}

export class Outgoing {
  #waiting: Waiting[] = []
  /** Those before it have been written. */
  #at = 0
  #waitingBytes = 0

  /** Drops it when more than `bytesMax` wait already. */
  add(payload: Uint8Array, position: number, bytesMax: number): void {
    if (this.#waitingBytes > bytesMax) return
    this.#waiting.push({ position, payload })
    this.#waitingBytes += payload.length
  }

  /** Writes the first if the log has been sent up to `sentUntil` and it came before; false: there is none. */
  writeNext(sentUntil: number, writer: ByteWriter): boolean {
    const next = this.#waiting[this.#at]
    if (next === undefined || next.position > sentUntil) return false
    this.#waitingBytes -= next.payload.length
    if (++this.#at * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#at)
      this.#at = 0
    }
    writer.clear()
    beginPublished(writer)
    writer.raw(next.payload)
    return true
  }

  clear(): void {
    this.#waiting = []
    this.#at = 0
    this.#waitingBytes = 0
  }
}
