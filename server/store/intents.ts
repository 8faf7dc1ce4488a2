/** What intents of every type rest on: how one begins, how it is written, and what it sees of its key. */
import type { Stamp } from '#protocol/sync/stamp.ts'
import type { EffectSink } from '#server/crdt/effect.ts'
import type { KeyState } from '#server/crdt/keyState.ts'
import type { Keyspace } from './keyspace.ts'

export abstract class Intents {
  protected readonly keyspace: Keyspace

  constructor(keyspace: Keyspace) {
    this.keyspace = keyspace
  }

  /**
   * Begins an intent that isn't a TTL write and makes the key ready for a value of `type`, a `TypeBit`. Returns whether the
   * write creates the key.
   */
  protected abstract open(name: string, type: number): boolean

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
