/**
 * Who among the clients of this worker has subscribed to what, and the way of a message to them. The shards are told how many
 * there are of each name, all of them, so that any shard can publish on any channel; each sends this worker a message once.
 *
 * A client is given messages from when every shard has been told of it, and has answered, or is not there: it was told of its subscription then,
 * and who publishes after that reaches it. A shard that comes up is told of all.
 */
import { globMatches } from '#protocol/commands/globPattern.ts'
import {
  type Published,
  readPublished,
  type Subscribed,
  type SubscriptionKind,
} from '#protocol/pubsub/messages.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import type { ShardLink } from './shardLink.ts'

/** A client that messages are for. */
export interface Subscriber {
  readonly resp3: boolean
  /** A message, as its protocol has it; valid during the call only. */
  push(bytes: Uint8Array, length: number): void
}

interface Audience {
  /** Who has asked. */
  clients: number
  /** Who is given messages. */
  readonly listening: Set<Subscriber>
}

export class Subscriptions {
  readonly #byName: Readonly<Record<SubscriptionKind, Map<string, Audience>>> = {
    channel: new Map(),
    shardChannel: new Map(),
    pattern: new Map(),
  }
  readonly #links: () => readonly ShardLink[]
  readonly #message = new ReplyWriter()

  constructor(links: () => readonly ShardLink[]) {
    this.#links = links
  }

  /** One client more has subscribed; returns what the shards are to be told. It listens from `listen` on. */
  add(kind: SubscriptionKind, name: string): Subscribed {
    const audience = this.#byName[kind].get(name) ?? { clients: 0, listening: new Set() }
    this.#byName[kind].set(name, audience)
    return { kind, name, clients: ++audience.clients }
  }

  listen(kind: SubscriptionKind, name: string, subscriber: Subscriber): void {
    this.#byName[kind].get(name)?.listening.add(subscriber)
  }

  remove(kind: SubscriptionKind, name: string, subscriber: Subscriber): Subscribed {
    const audience = this.#byName[kind].get(name)
    if (audience === undefined) return { kind, name, clients: 0 }
    audience.listening.delete(subscriber)
    audience.clients--
    if (audience.clients === 0) this.#byName[kind].delete(name)
    return { kind, name, clients: audience.clients }
  }

  /** Without waiting for answers. */
  tellShards(changes: readonly Subscribed[]): void {
    for (const link of this.#links()) if (link.isUp) link.tell({ what: 'subscribed', changes })
  }

  /** A shard is there, and knows of nobody. */
  onShardUp(link: ShardLink): void {
    const changes: Subscribed[] = []
    for (const kind of ['channel', 'shardChannel', 'pattern'] as const)
      for (const [name, { clients }] of this.#byName[kind]) changes.push({ kind, name, clients })
    if (changes.length > 0) link.tell({ what: 'subscribed', changes })
  }

  /** What a shard published; returns what is wrong with it, or null. */
  onPublished(bytes: Uint8Array, start: number, end: number): string | null {
    try {
      this.#deliver(readPublished(bytes, start, end))
      return null
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      return error.message
    }
  }

  #deliver(published: Published): void {
    const { kind, channel } = published
    const listening = this.#byName[kind].get(channel)?.listening
    if (listening !== undefined && listening.size > 0) {
      const words = kind === 'channel' ? ['message', channel] : ['smessage', channel]
      this.#give(listening, words, published)
    }
    if (kind !== 'channel') return
    for (const [pattern, audience] of this.#byName.pattern) {
      if (audience.listening.size > 0 && globMatches(pattern, channel))
        this.#give(audience.listening, ['pmessage', pattern, channel], published)
    }
  }

  #give(listening: ReadonlySet<Subscriber>, words: readonly string[], published: Published): void {
    for (const resp3 of [false, true]) {
      let isWritten = false
      for (const subscriber of listening) {
        if (subscriber.resp3 !== resp3) continue
        if (!isWritten) this.#write(resp3, words, published)
        isWritten = true
        subscriber.push(this.#message.bytes, this.#message.length)
      }
    }
  }

  #write(resp3: boolean, words: readonly string[], { bytes, start, end }: Published): void {
    const message = this.#message
    message.clear()
    message.resp3 = resp3
    message.push(words.length + 1)
    for (const word of words) message.bulk(word)
    message.bulkBytes(bytes, start, end)
  }
}
