/** What intents of every type rest on: how one begins, how it is written, and what it sees of its key. */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import type { Stamp } from '#protocol/sync/stamp.ts'
import type { EffectSink } from '#server/crdt/effect.ts'
import type { KeyState } from '#server/crdt/keyState.ts'
import type { Ref } from './arena.ts'
import { expiryOf, type KeyEvents } from './keyEvents.ts'
import type { Keyspace } from './keyspace.ts'

export abstract class Intents {
  protected readonly keyspace: Keyspace
  protected readonly events: KeyEvents
  /** A key that is being replaced. */
  protected replaced: string | null = null

  constructor(keyspace: Keyspace) {
    this.keyspace = keyspace
    this.events = keyspace.events
  }

  /**
   * Begins an intent that isn't a TTL write and makes the key ready for a value of `type`, a `TypeBit`. Returns whether the
   * write creates the key.
   */
  protected abstract open(name: string, type: number): boolean

  /** DEL; false: there was no visible key. */
  abstract delete(name: string): boolean

  /** DEL of what the write that follows puts something else in place of: to who is told of keys it stays the same one. */
  replace(name: string): void {
    if (this.delete(name)) this.replaced = name
  }

  /** Before a write that leaves a value: tells of what has expired, and of a key that comes. */
  protected tellArrival(name: string): void {
    if (this.events.classes === 0) return
    const { tables } = this.keyspace
    const ref = tables.findText(name)
    const isLive = ref !== 0 && tables.isLive(ref)
    if (isLive && !tables.hasExpired(ref)) return
    if (isLive) this.tellExpiry(name, ref)
    if (this.replaced !== name) this.events.note(EventClass.created, 'new', name)
    this.replaced = null
  }

  /** Of a key that is hidden, and goes now. */
  protected tellExpiry(name: string, ref: Ref): void {
    if (this.events.classes === 0) return
    for (const [kind, event] of expiryOf(this.keyspace.tables, ref)) this.events.note(kind, event, name)
  }

  /** Fields that had expired are gone, and maybe the hash with them. */
  protected tellFieldExpiry(name: string): void {
    if (this.events.classes === 0) return
    this.events.note(EventClass.hash, 'hexpired', name)
    const { tables } = this.keyspace
    const ref = tables.findText(name)
    if (ref === 0 || !tables.isLive(ref)) this.events.note(EventClass.generic, 'del', name)
  }

  /** An effect of the intent, for the record and for the keyspace. */
  protected abstract write(effect: (sink: EffectSink, stamp: Stamp) => void): void

  /** Where counters and TTLs of elements, and elements in conflict, are. */
  protected onHeap(name: string): KeyState | undefined {
    const { tables } = this.keyspace
    const ref = tables.findText(name)
    return ref === 0 ? undefined : tables.state(ref)
  }
}

/** Those that `value` has, each once. */
export function presentIn(
  value: { has(element: string): boolean } | undefined,
  elements: readonly string[],
): string[] {
  return value === undefined ? [] : [...new Set(elements)].filter((element) => value.has(element))
}
