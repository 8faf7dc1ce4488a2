/**
 * Where the keys lie: one dictionary a hash slot, made when the first key comes. (One `Map` for a shard would stop for
 * seconds at ten million keys.) And what is counted and remembered of keys as they change, in one place (`settle`): the
 * number of keys, those with a TTL, the expiry schedule, residues, and who wants to hear of changes.
 */

import { slotCount, slotOfKey } from '#protocol/slots/crc16.ts'
import { type Origin, type Stamp, stampEpochMs } from '#protocol/sync/stamp.ts'
import { SlotVectors } from '#protocol/sync/versionVector.ts'
import type { Random } from '#runtime/ports.ts'
import { Dictionary } from '#server/crdt/dictionary.ts'
import { KeyState } from '#server/crdt/keyState.ts'
import { Stamped } from '#server/crdt/stamped.ts'
import { ExpirySchedule } from './expirySchedule.ts'
import { Residues } from './residues.ts'

/** What one SET with a TTL leaves: text and TTL are of the same write. */
export class ExpiringText {
  readonly text: string
  readonly expireAtMs: number

  constructor(text: string, expireAtMs: number) {
    this.text = text
    this.expireAtMs = expireAtMs
  }
}

/**
 * Nearly every key is one text that was set once, in no conflict, with or without a TTL. Only what isn't has a full state.
 */
export class Key extends Stamped<ExpiringText | KeyState> {
  /** Seconds since `stampEpochMs`: fits a small integer. */
  accessedSeconds: number

  constructor(content: Content, stamp: Stamp, accessedSeconds: number) {
    super(content, stamp)
    this.accessedSeconds = accessedSeconds
  }
}

export type Content = string | ExpiringText | KeyState

/** The content of a key whose whole state is one write. */
export const contentOf = (text: string, expireAtMs: number): string | ExpiringText =>
  expireAtMs === Number.POSITIVE_INFINITY ? text : new ExpiringText(text, expireAtMs)

export const isLive = (key: Key): boolean => !(key.content instanceof KeyState) || key.content.live

/** Infinity: no TTL. */
export const expireAtOf = (key: Key): number =>
  typeof key.content === 'string'
    ? Number.POSITIVE_INFINITY
    : key.content instanceof KeyState
      ? key.content.expireAtMs()
      : key.content.expireAtMs

/** A single write is spelled out, into a state of its own. */
export function stateOf(key: Stamped<ExpiringText | KeyState>): KeyState {
  const { content, stamp } = key
  if (typeof content === 'string') return KeyState.ofText(content, stamp, Number.POSITIVE_INFINITY)
  return content instanceof KeyState ? content : KeyState.ofText(content.text, stamp, content.expireAtMs)
}

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
  /** Entries per slot and in all, residues included: to draw a random one without visiting the tables. */
  readonly #counts: Int32Array = new Int32Array(slotCount)
  #count = 0
  /** A command asks for its key's slot, and for the key, several times: the last answer to each is kept. */
  #slotName = ''
  #slotOfName = slotOfKey('')
  #foundName = ''
  #foundSlot = -1
  #found: Key | undefined = undefined

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

  slotOf(name: string): number {
    if (name !== this.#slotName) {
      this.#slotName = name
      this.#slotOfName = slotOfKey(name)
    }
    return this.#slotOfName
  }

  find(slot: number, name: string): Key | undefined {
    if (slot === this.#foundSlot && name === this.#foundName) return this.#found
    const table = this.#tables[slot]
    return this.#keep(slot, name, table === undefined ? undefined : table.get(name))
  }

  #keep(slot: number, name: string, key: Key | undefined): Key | undefined {
    this.#foundSlot = slot
    this.#foundName = name
    this.#found = key
    return key
  }

  /** The name is new. */
  insert(slot: number, name: string, key: Key): void {
    let table = this.#tables[slot]
    if (table === undefined) {
      table = new Dictionary()
      this.#tables[slot] = table
    }
    table.set(name, key)
    this.#keep(slot, name, key)
    this.#counts[slot] = table.size
    this.#count++
  }

  remove(slot: number, name: string): void {
    const table = this.#tables[slot]
    if (table === undefined || !table.delete(name)) return
    this.#keep(slot, name, undefined)
    this.#counts[slot] = table.size
    this.#count--
    if (table.size === 0) this.#tables[slot] = undefined
  }

  /** Any entry, about equally likely; undefined when there is none. */
  randomName(random: Random): string | undefined {
    if (this.#count === 0) return undefined
    let skip = random.below(this.#count)
    let slot = 0
    for (; slot < slotCount; slot++) {
      skip -= this.#counts[slot] as number
      if (skip < 0) break
    }
    return this.#tables[slot]?.randomKey(random)
  }

  /** As Redis: at the very millisecond it is still there. */
  hasExpired(key: Key): boolean {
    return typeof key.content !== 'string' && this.nowMs > expireAtOf(key)
  }

  isTimed(key: Key): boolean {
    return typeof key.content !== 'string' && isLive(key) && isTime(expireAtOf(key))
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
    if (timed) this.schedule.add(name, this.expiryDueMs(state.expiryOwner(), atMs))
    if (state.hasGhost) this.residues.addGhost(slot, name, this.vectors, last)
    else if (state.hasBaselines) this.residues.add(slot, name)
    else this.residues.remove(slot, name)
    this.tidy(slot, name, key, state)
    // What nobody could see before and can't see now hasn't changed for anybody: a FLUSHALL reaches residues, too.
    if (this.onTouched !== undefined && (wasLive || live)) this.onTouched(name)
  }

  /** Keeps the state as small as it can be. */
  tidy(slot: number, name: string, key: Key, state: KeyState): void {
    const write = state.onlyWrite
    if (state.nothing) this.remove(slot, name)
    else if (write !== undefined) {
      key.content = contentOf(write.text, state.expireAtMs())
      key.stamp = write.stamp
    } else key.content = state
  }

  /** When this cluster is to send the DEL: the TTL's owner soon, anybody when the owner stays silent. */
  expiryDueMs(owner: Origin | undefined, atMs: number): number {
    return atMs + (owner === this.origin ? ownExpiryGraceMs : foreignExpiryGraceMs)
  }

  *occupied(): IterableIterator<number> {
    for (let slot = 0; slot < slotCount; slot++) if (this.#tables[slot] !== undefined) yield slot
  }
}

/** Time for a TTL write under way to arrive before the key is deleted. */
const ownExpiryGraceMs = 1_000
const foreignExpiryGraceMs = 30_000
