/** What one client has subscribed to. */
import type { User } from '#protocol/acl/user.ts'
import { allowsChannel } from '#protocol/acl/verdict.ts'
import type { CommandSpec } from '#protocol/commands/index.ts'
import type { Subscribed, SubscriptionKind } from '#protocol/pubsub/messages.ts'
import { errors } from '#protocol/resp/errors.ts'
import type { Subscriber, Subscriptions } from '#proxy/subscriptions.ts'

/** What a client that takes messages only may still ask: its replies can be told from messages. */
const amongMessages: ReadonlySet<string> = new Set(['PING', 'QUIT', 'RESET'])
const kinds: readonly SubscriptionKind[] = ['channel', 'shardChannel', 'pattern']

export class SessionSubscriptions {
  /** Of all kinds. */
  total = 0
  readonly #all: Subscriptions
  readonly #subscriber: Subscriber
  /** Most clients never subscribe. */
  readonly #names: Partial<Record<SubscriptionKind, Set<string>>> = {}

  constructor(all: Subscriptions, subscriber: Subscriber) {
    this.#all = all
    this.#subscriber = subscriber
  }

  /** In RESP2 messages look like replies. */
  get takesMessagesOnly(): boolean {
    return this.total > 0 && !this.#subscriber.resp3
  }

  /** Why the command can't be run among messages; null: it can. */
  refusal({ request, name, lowerName }: CommandSpec): string | null {
    if (!this.takesMessagesOnly || request === 'subscription' || amongMessages.has(name)) return null
    return errors.amongMessages(lowerName)
  }

  /** Whether the user may have all of them. */
  areAllowed(user: User): boolean {
    return (
      this.total === 0 ||
      kinds.every((kind) => this.names(kind).every((name) => allowsChannel(user, name, kind === 'pattern')))
    )
  }

  count(kind: SubscriptionKind): number {
    return this.#names[kind]?.size ?? 0
  }

  /** What replies count: channels and patterns together, shard channels apart. */
  countFor(kind: SubscriptionKind): number {
    return kind === 'shardChannel' ? this.count(kind) : this.count('channel') + this.count('pattern')
  }

  names(kind: SubscriptionKind): string[] {
    return [...(this.#names[kind] ?? [])]
  }

  /** What the shards are to be told; null: it had subscribed already. */
  add(kind: SubscriptionKind, name: string): Subscribed | null {
    this.#names[kind] ??= new Set()
    const names = this.#names[kind]
    if (names.has(name)) return null
    names.add(name)
    this.total++
    return this.#all.add(kind, name)
  }

  /** Messages come from now on, unless the subscription has ended meanwhile. */
  listen(kind: SubscriptionKind, name: string): void {
    if (this.#names[kind]?.has(name)) this.#all.listen(kind, name, this.#subscriber)
  }

  /** Null: it had not subscribed. */
  remove(kind: SubscriptionKind, name: string): Subscribed | null {
    if (!this.#names[kind]?.delete(name)) return null
    this.total--
    return this.#all.remove(kind, name, this.#subscriber)
  }

  /** All of them end. */
  clear(): void {
    if (this.total === 0) return
    const changes = kinds.flatMap((kind) => this.names(kind).map((name) => this.remove(kind, name)))
    this.#all.tellShards(changes.filter((change) => change !== null))
  }
}
