/**
 * Where the keys lie: one dictionary a hash slot, made when the first key comes. (One `Map` for a shard would stop for
 * seconds at ten million keys.) And what is counted and remembered of keys as they change, in one place (`settle`): the
 * number of keys, those with a TTL, the expiry schedule, residues, and who wants to hear of changes.
 */
import { slotCount } from '#protocol/slots/crc16.ts'
import { type Origin, type Stamp, stampEpochMs } from '#protocol/sync/stamp.ts'
import { SlotVectors } from '#protocol/sync/versionVector.ts'
import { Dictionary } from '#server/crdt/dictionary.ts'
import type { KeyState } from '#server/crdt/keyState.ts'
import { Stamped } from '#server/crdt/stamped.ts'
import { ExpirySchedule } from './expirySchedule.ts'
import { Residues } from './residues.ts'

/** A key without TTL or conflict whose value is a string is just its text and stamp. */
export class Key extends Stamped<KeyState> {
  /** Seconds since `stampEpochMs`: fits a small integer. */
  accessedSeconds: number

  constructor(content: string | KeyState, stamp: Stamp, accessedSeconds: number) {
    super(content, stamp)
    this.accessedSeconds = accessedSeconds
  }
}

export const isLive = (key: Key): boolean => typeof key.content === 'string' || key.content.live

const isTime = (atMs: number): boolean => atMs !== Number.POSITIVE_INFINITY

export class SlotTables {
  readonly origin: Origin
  readonly vectors: SlotVectors = new SlotVectors(slotCount)
  readonly schedule: ExpirySchedule = new ExpirySchedule()
  readonly residues: Residues = new Residues()
  onTouched: ((key: string) => void) | undefined = undefined
  /** Keys with live state, and those of them with a TTL. */
  size = 0
  expiring = 0
  nowMs = 0
  nowSeconds = 0
  readonly #tables: (Dictionary<Key> | undefined)[] = new Array(slotCount).fill(undefined)

  constructor(origin: Origin) {
    this.origin = origin
  }

  setNow(nowMs: number): void {
    this.nowMs = nowMs
    this.nowSeconds = Math.max(0, (nowMs - stampEpochMs) / 1000) | 0
  }

  table(slot: number): Dictionary<Key> | undefined {
    return this.#tables[slot]
  }

  find(slot: number, name: string): Key | undefined {
    const table = this.#tables[slot]
    return table === undefined ? undefined : table.get(name)
  }

  insert(slot: number, name: string, key: Key): void {
    let table = this.#tables[slot]
    if (table === undefined) {
      table = new Dictionary()
      this.#tables[slot] = table
    }
    table.set(name, key)
  }

  remove(slot: number, name: string): void {
    const table = this.#tables[slot]
    if (table === undefined) return
    table.delete(name)
    if (table.size === 0) this.#tables[slot] = undefined
  }

  /** As Redis: at the very millisecond it is still there. */
  hasExpired(key: Key): boolean {
    return typeof key.content !== 'string' && this.nowMs > key.content.expireAtMs()
  }

  isTimed(key: Key): boolean {
    return typeof key.content !== 'string' && key.content.live && isTime(key.content.expireAtMs())
  }

  /**
   * To be called after every change of a key's full state. `wasLive` and `wasTimed` say what it was before; `last` is the
   * stamp of the change, 0 when the slot's vector has it already.
   */
  settle(
    slot: number,
    name: string,
    key: Key,
    state: KeyState,
    wasLive: boolean,
    wasTimed: boolean,
    last: Stamp,
  ): void {
    const live = state.live
    const atMs = live ? state.expireAtMs() : Number.POSITIVE_INFINITY
    const timed = isTime(atMs)
    this.size += (live ? 1 : 0) - (wasLive ? 1 : 0)
    this.expiring += (timed ? 1 : 0) - (wasTimed ? 1 : 0)
    if (timed) this.schedule.add(name, this.expiryDueMs(state, atMs))
    if (state.hasGhost) this.residues.addGhost(slot, name, this.vectors, last)
    else if (state.hasBaselines) this.residues.add(slot, name)
    this.tidy(slot, name, key, state)
    if (this.onTouched !== undefined) this.onTouched(name)
  }

  /** Keeps the state as small as it can be. */
  tidy(slot: number, name: string, key: Key, state: KeyState): void {
    const text = state.onlyText
    if (state.nothing) this.remove(slot, name)
    else if (text !== undefined) {
      key.content = text.text
      key.stamp = text.stamp
    } else key.content = state
  }

  /** When this cluster is to send the DEL: the TTL's owner soon, anybody when the owner stays silent. */
  expiryDueMs(state: KeyState, atMs: number): number {
    return atMs + (state.expiryOwner() === this.origin ? ownExpiryGraceMs : foreignExpiryGraceMs)
  }

  *occupied(): IterableIterator<number> {
    for (let slot = 0; slot < slotCount; slot++) if (this.#tables[slot] !== undefined) yield slot
  }
}

/** Time for a TTL write under way to arrive before the key is deleted. */
export const ownExpiryGraceMs = 1_000
export const foreignExpiryGraceMs = 30_000
