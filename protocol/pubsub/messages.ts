/**
 * What proxies tell shards of their subscribers, and what shards publish. A proxy tells every shard, so that any shard can publish on
 * any channel: in a transaction it is the one that runs it.
 *
 *     published     kind u8 | channel text | message       frame `published`, to proxies that have subscribers for it
 *
 * The rest is in `admin` frames (`subscribed`, see `admin.ts`), where names are latin1 text.
 */

import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'

/** Shard channels have names of their own, and no patterns. */
export type ChannelKind = 'channel' | 'shardChannel'
export type SubscriptionKind = ChannelKind | 'pattern'

export const channelKinds: readonly ChannelKind[] = ['channel', 'shardChannel']

/** How many clients of a proxy have subscribed now; 0: none any more. */
export interface Subscribed {
  kind: SubscriptionKind
  name: string
  clients: number
}

const subscriptionKinds: readonly SubscriptionKind[] = [...channelKinds, 'pattern']

/** The changes of a question that tells some; null: it tells none that are right. */
export function readSubscribed(question: unknown): Subscribed[] | null {
  if (!isJsonObject(question) || question['what'] !== 'subscribed' || !Array.isArray(question['changes']))
    return null
  const changes: Subscribed[] = []
  for (const change of question['changes'] as unknown[]) {
    if (!isJsonObject(change)) return null
    const { kind, name, clients } = change
    const known = subscriptionKinds.find((one) => one === kind)
    if (known === undefined || typeof name !== 'string' || !Number.isSafeInteger(clients)) return null
    changes.push({ kind: known, name, clients: clients as number })
  }
  return changes
}

/** Points into the bytes it was read from. */
export interface Published {
  kind: ChannelKind
  channel: string
  bytes: Uint8Array
  /** The message is [start, end). */
  start: number
  end: number
}

export function writePublished(writer: ByteWriter, { kind, channel, bytes, start, end }: Published): void {
  writer.u8(channelKinds.indexOf(kind))
  writer.text(channel)
  writer.raw(bytes, start, end)
}

export function publishedPayload(published: Published): Uint8Array {
  const { channel, start, end } = published
  const writer = new ByteWriter(8 + channel.length + end - start)
  writePublished(writer, published)
  return writer.take()
}

/** Throws `FormatError` when it is none. */
export function readPublished(bytes: Uint8Array, at: number, end: number): Published {
  const reader = new ByteReader(bytes, at, end)
  const code = reader.u8()
  const kind = channelKinds[code]
  if (kind === undefined) throw new FormatError(`a channel of kind ${code}`)
  const channel = reader.text()
  return { kind, channel, bytes, start: reader.at, end }
}
