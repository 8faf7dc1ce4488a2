/**
 * Applies effects to one slot. Local commands and delivered records go through the same code: a command differs only in
 * that its context is what this shard has seen.
 */
import { type Origin, originsMax, type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import type { Amount } from '#server/crdt/amount.ts'
import type { CounterReset } from '#server/crdt/counter.ts'
import type { EffectSink, FlushedKey } from '#server/crdt/effect.ts'
import type { FieldReset } from '#server/crdt/hash.ts'
import {
  allTypes,
  KeyState,
  keepTtl,
  noRemovedCounters,
  type RemovedCounters,
} from '#server/crdt/keyState.ts'
import { contentOf, isLive, Key, type SlotTables, stateOf } from './slotTables.ts'

export class Applier implements EffectSink {
  readonly #tables: SlotTables
  #slot = 0
  #origin: Origin = 0
  /** Own entry: all of the origin's stamps below the running effect's. */
  #context: VersionVector = emptyVector()
  /** Of the key that is being changed. */
  #key: Key = new Key('', 0, 0)
  #wasLive = false
  #wasTimed = false

  constructor(tables: SlotTables) {
    this.#tables = tables
  }

  /** `context` is written to: its own entry follows the effects. */
  aim(slot: number, origin: Origin, context: VersionVector): void {
    this.#slot = slot
    this.#origin = origin
    this.#context = context
  }

  #cover(stamp: Stamp): VersionVector {
    this.#context[this.#origin] = stamp - stampStep
    return this.#context
  }

  /** SET of a key that is absent or one covered write: nearly every write. False: it is neither. */
  setOnlyText(stamp: Stamp, name: string, text: string, expireAtMs: number): boolean {
    const tables = this.#tables
    const key = tables.find(this.#slot, name)
    if (key === undefined) {
      tables.insert(this.#slot, name, new Key(contentOf(text, expireAtMs), stamp, tables.nowSeconds))
      tables.size++
    } else {
      if (key.content instanceof KeyState || !key.coveredBy(this.#cover(stamp))) return false
      if (typeof key.content !== 'string') tables.expiring--
      key.content = contentOf(text, expireAtMs)
      key.stamp = stamp
      key.accessedSeconds = tables.nowSeconds
    }
    if (expireAtMs !== Number.POSITIVE_INFINITY) {
      tables.expiring++
      tables.schedule.add(name, tables.expiryDueMs(this.#origin, expireAtMs))
    }
    if (tables.onTouched !== undefined) tables.onTouched(name)
    return true
  }

  setText(
    stamp: Stamp,
    name: string,
    text: string,
    expireAtMs: number,
    resets: readonly CounterReset[],
  ): void {
    if (expireAtMs !== keepTtl && this.setOnlyText(stamp, name, text, expireAtMs)) return
    const context = this.#cover(stamp)
    const state = this.#open(name)
    state.setText(context, stamp, text, expireAtMs, resets)
    this.#settle(name, state, stamp)
  }

  increment(stamp: Stamp, name: string, fresh: boolean, from: Stamp, sum: Amount): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    state.increment(stamp, from, sum)
    this.#settle(name, state, stamp)
  }

  setField(
    stamp: Stamp,
    name: string,
    fresh: boolean,
    field: string,
    text: string,
    resets: readonly CounterReset[],
  ): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    state.setField(context, stamp, field, text, resets)
    this.#settle(name, state, stamp)
  }

  incrementField(stamp: Stamp, name: string, fresh: boolean, field: string, from: Stamp, sum: Amount): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    state.incrementField(stamp, field, from, sum)
    this.#settle(name, state, stamp)
  }

  removeFields(stamp: Stamp, name: string, fields: readonly string[], resets: readonly FieldReset[]): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    state.removeFields(context, stamp, fields, resets)
    this.#settle(name, state, stamp)
  }

  addMembers(stamp: Stamp, name: string, fresh: boolean, members: readonly string[]): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    if (fresh) state.clearTtl(context)
    state.addMembers(context, stamp, members)
    this.#settle(name, state, stamp)
  }

  removeMembers(stamp: Stamp, name: string, members: readonly string[]): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    state.removeMembers(context, members)
    this.#settle(name, state, stamp)
  }

  remove(stamp: Stamp, name: string, types: number, endsTtl: boolean, counters: RemovedCounters): void {
    const context = this.#cover(stamp)
    const tables = this.#tables
    const key = tables.find(this.#slot, name)
    if (key === undefined) return
    if (!(key.content instanceof KeyState) && types === allTypes && endsTtl) {
      if (!key.coveredBy(context)) return
      tables.remove(this.#slot, name)
      tables.size--
      if (typeof key.content !== 'string') tables.expiring--
      if (tables.onTouched !== undefined) tables.onTouched(name)
      return
    }
    const state = this.#open(name)
    if (endsTtl) state.clearTtl(context)
    state.remove(context, stamp, types, counters, this.#coversSlot(context))
    this.#settle(name, state, stamp)
  }

  writeTtl(stamp: Stamp, name: string, expireAtMs: number): void {
    const context = this.#cover(stamp)
    const state = this.#open(name)
    state.writeTtl(context, stamp, expireAtMs)
    this.#settle(name, state, stamp)
  }

  flush(stamp: Stamp, keys: readonly FlushedKey[]): void {
    const counters = new Map(keys.map((flushed) => [flushed.key, flushed.counters]))
    this.#tables.table(this.#slot)?.forEach((_, name) => {
      this.remove(stamp, name, allTypes, true, counters.get(name) ?? noRemovedCounters)
    })
  }

  /** Whether the effect's origin had seen everything that is here: always so for a local command. */
  #coversSlot(context: VersionVector): boolean {
    const { vectors } = this.#tables
    for (let o = 0; o < originsMax; o++) {
      if ((context[o] as number) < vectors.get(this.#slot, o)) return false
    }
    return true
  }

  /** The key's full state, to be changed and then settled. */
  #open(name: string): KeyState {
    const tables = this.#tables
    let key = tables.find(this.#slot, name)
    if (key === undefined) {
      const state = new KeyState()
      key = new Key(state, 0, tables.nowSeconds)
      tables.insert(this.#slot, name, key)
      this.#key = key
      this.#wasLive = false
      this.#wasTimed = false
      return state
    }
    this.#key = key
    key.accessedSeconds = tables.nowSeconds
    this.#wasLive = isLive(key)
    this.#wasTimed = tables.isTimed(key)
    return stateOf(key)
  }

  #settle(name: string, state: KeyState, stamp: Stamp): void {
    this.#tables.settle(this.#slot, name, this.#key, state, this.#wasLive, this.#wasTimed, stamp)
  }
}
