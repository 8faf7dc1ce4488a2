/** What is held of a key beside its value, for people who look for the reason of something. Reading it is no access. */
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { KeyState } from '#server/crdt/keyState.ts'
import type { TtlWrites } from '#server/crdt/ttl.ts'
import type { SlotTables } from './slotTables.ts'

/** A string that one write left, with a TTL write of its own perhaps: its text is not looked at, however long it is. */
export interface OnlyText {
  stamp: Stamp
  sizeBytes: number
  /** None: the text stands for "no TTL". */
  ttl: TtlWrites
}

export interface KeyMetadata {
  slot: number
  /** Of memory. */
  usedBytes: number
  /** Its TTL is over; it is deleted as soon as the cluster that owns the TTL does so. */
  hasExpired: boolean
  /** Infinity: no TTL. */
  expireAtMs: number
  /** Whose TTL shows, if it ends. */
  expiryOwner: Origin | undefined
  /** One of the two. */
  text: OnlyText | null
  state: KeyState | null
}

/** undefined: nothing is held, neither a value nor a residue. */
export function keyMetadata(tables: SlotTables, name: string): KeyMetadata | undefined {
  const ref = tables.findText(name)
  if (ref === 0) return undefined
  const facts = {
    slot: tables.slotOf(name),
    usedBytes: tables.bytesOf(ref),
    hasExpired: tables.hasExpired(ref),
    expireAtMs: tables.expireAt(ref),
    expiryOwner: tables.expiryOwner(ref),
  }
  if (!tables.holdsText(ref)) return { ...facts, text: null, state: tables.stateOf(ref) }
  tables.readText(ref)
  const sizeBytes = tables.textEnd - tables.textStart
  return { ...facts, text: { stamp: tables.stamp(ref), sizeBytes, ttl: tables.textTtl(ref) }, state: null }
}
