/**
 * Who of this cluster has subscribed to what, as the proxies tell it, and the way of a message to them. Each proxy is sent a message
 * once, whatever the number of its subscribers, and gives it to them.
 */
import { globMatches } from '#protocol/commands/globPattern.ts'
import { FrameKind } from '#protocol/frames/frame.ts'
import {
  type Published,
  publishedPayload,
  type Subscribed,
  type SubscriptionKind,
} from '#protocol/pubsub/messages.ts'
import type { Link } from './link.ts'

/** Clients of each proxy that have subscribed. */
type ByLink = Map<Link, number>

export class Subscribers {
  readonly #byName: Readonly<Record<SubscriptionKind, Map<string, ByLink>>> = {
    channel: new Map(),
    shardChannel: new Map(),
    pattern: new Map(),
  }
  readonly #hasOutput: (link: Link) => void
  /** There may be other names now. */
  onChange: () => void = () => {}

  constructor(hasOutput: (link: Link) => void) {
    this.#hasOutput = hasOutput
  }

  set(link: Link, { kind, name, clients }: Subscribed): void {
    const byName = this.#byName[kind]
    const byLink = byName.get(name) ?? new Map()
    if (clients > 0) byName.set(name, byLink.set(link, clients))
    else if (byLink.delete(link) && byLink.size === 0) byName.delete(name)
    this.onChange()
  }

  forget(link: Link): void {
    for (const byName of Object.values(this.#byName)) {
      for (const [name, byLink] of byName) if (byLink.delete(link) && byLink.size === 0) byName.delete(name)
    }
    this.onChange()
  }

  /** Returns how many subscriptions it went to; a client that has several is counted with each, as in Redis. */
  deliver(published: Published): number {
    const { links, clients } = this.#receivers(published)
    this.#send(links, published, (link, payload) => link.outbox.addMessage(FrameKind.published, 0, payload))
    return clients
  }

  /** The same of a message that must not leave before the log is as durable as replies want it. */
  deliverLogged(published: Published): void {
    const { links } = this.#receivers(published)
    this.#send(links, published, (link, payload) =>
      link.outbox.addBehindReplies(FrameKind.published, 0, payload),
    )
  }

  #receivers({ kind, channel }: Published): { links: Set<Link>; clients: number } {
    const links = new Set<Link>()
    let clients = 0
    const add = (byLink: ByLink | undefined): void => {
      for (const [link, count] of byLink ?? []) {
        links.add(link)
        clients += count
      }
    }
    add(this.#byName[kind].get(channel))
    if (kind === 'channel')
      for (const [pattern, byLink] of this.#byName.pattern) if (globMatches(pattern, channel)) add(byLink)
    return { links, clients }
  }

  #send(
    links: ReadonlySet<Link>,
    published: Published,
    add: (link: Link, payload: Uint8Array) => void,
  ): void {
    if (links.size === 0) return
    const payload = publishedPayload(published)
    for (const link of links) {
      add(link, payload)
      this.#hasOutput(link)
    }
  }

  names(kind: SubscriptionKind): Iterable<string> {
    return this.#byName[kind].keys()
  }

  /** Of different names. */
  count(kind: SubscriptionKind): number {
    return this.#byName[kind].size
  }

  clientsOf(kind: SubscriptionKind, name: string): number {
    let clients = 0
    for (const count of this.#byName[kind].get(name)?.values() ?? []) clients += count
    return clients
  }
}
