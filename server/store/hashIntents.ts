/** What commands write to hashes, as part of a transaction. Handlers have looked at the hash and its type. */
import { EventClass } from '#protocol/pubsub/keyspaceEvents.ts'
import type { Stamp } from '#protocol/sync/stamp.ts'
import type { Amount } from '#server/crdt/amount.ts'
import { type ElementReset, elementResets, nextIncrement, noEntries, noResets } from '#server/crdt/counter.ts'
import { type KeyState, TypeBit } from '#server/crdt/keyState.ts'
import { presentIn } from './intents.ts'
import { ListIntents } from './listIntents.ts'

export abstract class HashIntents extends ListIntents {
  /** Rule A4 for fields: said by an increment, since HSET is a TTL write anyway. */
  protected isNewField(live: boolean): boolean {
    return !live
  }

  /** Rule A1. */
  protected fieldResetsOf(state: KeyState | undefined, fields: readonly string[]): ElementReset[] {
    return elementResets(fields, (field) => state?.hash?.fieldResets(field, this.keyspace.origin) ?? noResets)
  }

  /** True: the field is new. */
  hashSet(name: string, field: string, value: string): boolean {
    const fresh = this.open(name, TypeBit.hash)
    const sizeBefore = this.#sizeOf(name)
    const isHidden = this.#hasPassed(name, field)
    const resets = this.onHeap(name)?.hash?.fieldResets(field, this.keyspace.origin) ?? noResets
    this.write((sink, stamp) => sink.setField(stamp, name, fresh, field, value, resets))
    return isHidden || this.#sizeOf(name) > sizeBefore
  }

  /** The caller has read the value and checked bounds. Returns the new value. */
  hashIncrement(name: string, field: string, amount: Amount): string {
    const fresh = this.open(name, TypeBit.hash)
    if (this.#hasPassed(name, field)) {
      this.removeFields(name, [field])
      this.events.note(EventClass.hash, 'hexpired', name)
    }
    const creates = this.isNewField(this.#hasField(name, field))
    const entries = this.onHeap(name)?.hash?.fieldState(field).entries ?? noEntries
    let next: { from: Stamp; sum: Amount } | undefined
    this.write((sink, stamp) => {
      next ??= nextIncrement(entries, stamp, amount)
      sink.incrementField(stamp, name, fresh, field, creates, next.from, next.sum)
    })
    return this.onHeap(name)?.hash?.get(field) ?? ''
  }

  /** Returns how many of the fields were there. */
  hashDelete(name: string, fields: readonly string[]): number {
    const present = presentIn(this.keyspace.hash(name), fields)
    if (present.length === 0) return 0
    this.open(name, TypeBit.hash)
    this.removeFields(name, present)
    return present.length
  }

  /** HEXPIRE and its kin, of fields that are there; Infinity is HPERSIST. */
  hashExpire(name: string, fields: readonly string[], atMs: number): void {
    this.open(name, TypeBit.hash)
    this.write((sink, stamp) => sink.writeFieldTtl(stamp, name, fields, atMs))
  }

  /** Of an intent that has begun. */
  protected removeFields(name: string, fields: readonly string[]): void {
    const resets = this.fieldResetsOf(this.onHeap(name), fields)
    this.write((sink, stamp) => sink.removeFields(stamp, name, fields, resets))
  }

  #sizeOf(name: string): number {
    const { tables } = this.keyspace
    const ref = tables.findText(name)
    if (ref === 0) return 0
    return tables.packed(ref)?.size ?? tables.state(ref)?.hash?.size ?? 0
  }

  #hasField(name: string, field: string): boolean {
    const { tables } = this.keyspace
    const ref = tables.findText(name)
    if (ref === 0) return false
    return tables.packed(ref)?.has(field) ?? tables.state(ref)?.hash?.has(field) ?? false
  }

  /** Whether the field has expired and isn't deleted yet. */
  #hasPassed(name: string, field: string): boolean {
    const hash = this.onHeap(name)?.hash
    return hash !== undefined && this.keyspace.nowMs > hash.expireAtMs(field)
  }
}
