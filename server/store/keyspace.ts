/**
 * The keys of one shard: what handlers read, and how delivered effects and slot states get in. Local writes come by a
 * `Transaction`. The other side of this interface may change (off-heap values); handlers don't know how values lie.
 */

import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { includesSlot, type SlotRange } from '#protocol/slots/slotMap.ts'
import type { RecordPart } from '#protocol/sync/record.ts'
import { type Origin, originsMax } from '#protocol/sync/stamp.ts'
import { emptyVector, type SlotVectors, type VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Random } from '#runtime/ports.ts'
import type { CounterEntry } from '#server/crdt/counter.ts'
import { readEffects } from '#server/crdt/effect.ts'
import { KeyState } from '#server/crdt/keyState.ts'
import { Applier } from './applier.ts'
import { hashEncoding, setEncoding, stringEncoding } from './encoding.ts'
import { type Acknowledged, type AcknowledgedSlots, mayForgetBaseline, mayForgetGhost } from './residues.ts'
import { slotDigest } from './slotDigest.ts'
import { decodeSlot, encodeSlot, mergeTables } from './slotState.ts'
import { expireAtOf, isLive, type Key, SlotTables } from './slotTables.ts'
import type { HashView, SetView, VisibleType } from './views.ts'

export interface KeyspaceOptions {
  origin: Origin
  ranges: readonly SlotRange[]
}

/** Draws of a random key before the first visible one is taken. */
const randomDrawsMax = 100
/** A key whose DEL was not sent when it was due is looked at again after this. */
const expiryRetryMs = 1_000

export class Keyspace {
  readonly origin: Origin
  readonly ranges: readonly SlotRange[]
  /** For `server/store` only. */
  readonly tables: SlotTables
  /** False: reads don't count as accesses (CLIENT NO-TOUCH). */
  touching = true
  readonly #applier: Applier
  readonly #context: VersionVector = emptyVector()
  /** The acknowledgements that the last sweep went by, to skip one that could find nothing new. */
  #sweptChanges = -1
  #sweptAdditions = -1

  constructor(options: KeyspaceOptions) {
    this.origin = options.origin
    this.ranges = options.ranges
    this.tables = new SlotTables(options.origin)
    this.#applier = new Applier(this.tables)
  }

  /** Wall clock of the running step, set by the shard; decides what has expired. */
  get nowMs(): number {
    return this.tables.nowMs
  }

  set nowMs(nowMs: number) {
    this.tables.setNow(nowMs)
  }

  /** Told the name of every key that an effect or a merge may have changed, local or remote. */
  get onTouched(): ((key: string) => void) | undefined {
    return this.tables.onTouched
  }

  set onTouched(listener: ((key: string) => void) | undefined) {
    this.tables.onTouched = listener
  }

  get vectors(): SlotVectors {
    return this.tables.vectors
  }

  /** Keys with live state (DBSIZE): those that have expired but are not deleted yet count. */
  get size(): number {
    return this.tables.size
  }

  /** Keys with a TTL. */
  get expiring(): number {
    return this.tables.expiring
  }

  /** Keys that hold something which outlives a delete (`residues.ts`). */
  get residues(): number {
    return this.tables.residues.size
  }

  // ---- what handlers read. A key that has expired is not there, whether deleted yet or not.

  #visible(name: string): Key | undefined {
    const key = this.tables.find(this.tables.slotOf(name), name)
    if (key === undefined || typeof key.content === 'string') return key
    return !isLive(key) || this.tables.hasExpired(key) ? undefined : key
  }

  /** The same, as an access. */
  #read(name: string): Key | undefined {
    const key = this.#visible(name)
    if (key !== undefined && this.touching) key.accessedSeconds = this.tables.nowSeconds
    return key
  }

  /** Doesn't count as an access. */
  type(name: string): VisibleType {
    const key = this.#visible(name)
    if (key === undefined) return 'none'
    return key.content instanceof KeyState ? (key.content.visibleType() ?? 'none') : 'string'
  }

  /** This and the next two throw `ReplyError(errors.wrongType)`. */
  string(name: string): string | undefined {
    const key = this.#read(name)
    if (key === undefined) return undefined
    if (typeof key.content === 'string') return key.content
    if (!(key.content instanceof KeyState)) return key.content.text
    if (key.content.visibleType() !== 'string') throw new ReplyError(errors.wrongType)
    return key.content.string?.shown()
  }

  hash(name: string): HashView | undefined {
    const key = this.#read(name)
    if (key === undefined) return undefined
    if (!(key.content instanceof KeyState) || key.content.visibleType() !== 'hash') {
      throw new ReplyError(errors.wrongType)
    }
    return key.content.hash
  }

  set(name: string): SetView | undefined {
    const key = this.#read(name)
    if (key === undefined) return undefined
    if (!(key.content instanceof KeyState) || key.content.visibleType() !== 'set') {
      throw new ReplyError(errors.wrongType)
    }
    return key.content.set
  }

  /** undefined: no such key; Infinity: no TTL. */
  expireAtMs(name: string): number | undefined {
    const key = this.#visible(name)
    return key === undefined ? undefined : expireAtOf(key)
  }

  /** Counts as an access, `touching` or not; false: no such key. */
  touch(name: string): boolean {
    const key = this.#visible(name)
    if (key !== undefined) key.accessedSeconds = this.tables.nowSeconds
    return key !== undefined
  }

  /** Whole seconds since the last access. */
  idleSeconds(name: string): number | undefined {
    const key = this.#visible(name)
    return key === undefined ? undefined : Math.max(0, this.tables.nowSeconds - key.accessedSeconds)
  }

  /** Redis's name of the representation; a function of the present content. */
  encoding(name: string): string | undefined {
    const content = this.#visible(name)?.content
    if (content === undefined) return undefined
    if (typeof content === 'string') return stringEncoding(content)
    if (!(content instanceof KeyState)) return stringEncoding(content.text)
    switch (content.visibleType()) {
      case 'string':
        return stringEncoding(content.string?.shown() ?? '')
      case 'hash':
        return content.hash === undefined ? undefined : hashEncoding(content.hash)
      case 'set':
        return content.set === undefined ? undefined : setEncoding(content.set)
      default:
        return undefined
    }
  }

  randomKey(random: Random): string | undefined {
    for (let draw = 0; draw < randomDrawsMax; draw++) {
      const name = this.tables.randomName(random)
      if (name === undefined) return undefined
      if (this.#visible(name) !== undefined) return name
    }
    // Nearly all have expired, or are residues.
    for (const slot of this.tables.occupied()) for (const name of this.keysInSlot(slot)) return name
    return undefined
  }

  /** Visible keys of the slot. */
  *keysInSlot(slot: number): IterableIterator<string> {
    const table = this.tables.table(slot)
    if (table === undefined) return
    for (const [name, key] of table.entries()) if (isLive(key) && !this.tables.hasExpired(key)) yield name
  }

  /** Slots that hold anything, ascending. */
  occupiedSlots(): IterableIterator<number> {
    return this.tables.occupied()
  }

  /** Keys of the slot, those that only hold residues included. */
  slotSize(slot: number): number {
    return this.tables.table(slot)?.size ?? 0
  }

  /**
   * Visits about `count` keys of the slot from `position` (0 at the start, below 2^32) on, the visible ones, and returns
   * where to go on, 0 when the slot is done. A key that is there during the whole scan is visited at least once.
   */
  scan(slot: number, position: number, count: number, visit: (key: string) => void): number {
    const table = this.tables.table(slot)
    if (table === undefined) return 0
    return table.scan(position, count, (key, name) => {
      if (isLive(key) && !this.tables.hasExpired(key)) visit(name)
    })
  }

  // ---- replication

  /**
   * Applies the effects of a part that may be delivered, then raises the slot's vector. Foreign bytes are checked before
   * (`checkEffects`): half a part applied could not be taken back.
   */
  apply(part: RecordPart, bytes: Uint8Array): void {
    const { slot, origin } = part
    this.requireDeliverable(part)
    this.#context.set(part.context)
    this.#applier.aim(slot, origin, this.#context)
    readEffects(bytes, part.effectsStart, part.effectsEnd, part.first, part.last, this.#applier)
    this.vectors.set(slot, origin, part.last)
  }

  /** The gate's business, looked at from this side of the border too. */
  protected requireDeliverable(part: RecordPart): void {
    const { slot, origin, last, previous, context } = part
    const applied = this.vectors.get(slot, origin)
    let deliverable = last > applied && previous <= applied && includesSlot(this.ranges, slot)
    for (let o = 0; o < originsMax; o++) {
      if (o !== origin && (context[o] as number) > this.vectors.get(slot, o)) deliverable = false
    }
    // The facts are gathered only when they are needed: this runs for each record.
    if (!deliverable) {
      const facts = { slot, origin, last, previous, applied, context: [...context] }
      invariant(false, 'a part continues its chain, and its context has been applied', facts)
    }
  }

  /** The whole state of a slot, what is hidden and residues included; its label is the slot's vector. */
  encodeSlot(slot: number, writer: ByteWriter): void {
    encodeSlot(this.tables.table(slot), writer)
  }

  /** Joins the slot state [start, end), labelled `label`, and raises the slot's vector. `FormatError` comes before any change. */
  mergeSlot(slot: number, label: VersionVector, bytes: Uint8Array, start: number, end: number): void {
    if (!includesSlot(this.ranges, slot)) throw new FormatError(`slot ${slot} is not of this shard`)
    const states = decodeSlot(new ByteReader(bytes, start, end), slot)
    mergeTables(this.tables, slot, states, label)
  }

  /** Equal iff what shows and what is hidden are; see `slotDigest.ts`. */
  slotDigest(slot: number): string {
    return slotDigest(this.tables.table(slot))
  }

  /**
   * Forgets what no member can need any more (rule D7). Not to be called by a shard that is STALE. `mayDrop(slot)`: false
   * while the slot is being cut for a peer or a state of it waits to be merged. Returns how many residues are left.
   */
  dropResidues(acknowledged: AcknowledgedSlots, mayDrop: (slot: number) => boolean = () => true): number {
    const { residues } = this.tables
    if (residues.size === 0 || !this.#hasNews(acknowledged)) return residues.size
    residues.sweep((slot, name, touched) => {
      if (!mayDrop(slot)) {
        this.#sweptAdditions = -1
        return true
      }
      return this.#keepsResidue(slot, name, touched, acknowledged.inSlot(slot))
    })
    return residues.size
  }

  #hasNews({ changes }: AcknowledgedSlots): boolean {
    const { additions } = this.tables.residues
    if (additions === this.#sweptAdditions && changes === this.#sweptChanges) return false
    this.#sweptChanges = changes
    this.#sweptAdditions = additions
    return true
  }

  #keepsResidue(
    slot: number,
    name: string,
    touched: VersionVector | null,
    acknowledged: Acknowledged,
  ): boolean {
    const key = this.tables.find(slot, name)
    if (key === undefined || !(key.content instanceof KeyState)) return false
    const state = key.content
    const baselines = state.forgetBaselines((entry) => this.mayForgetBaseline(entry, acknowledged))
    if (state.hasGhost && touched !== null && this.mayForgetGhost(state, touched, acknowledged)) {
      state.forgetGhost()
    }
    this.tables.tidy(slot, name, key, state)
    return baselines || state.hasGhost
  }

  protected mayForgetBaseline(entry: CounterEntry, acknowledged: Acknowledged): boolean {
    return mayForgetBaseline(entry, this.origin, acknowledged)
  }

  protected mayForgetGhost(_state: KeyState, touched: VersionVector, acknowledged: Acknowledged): boolean {
    return mayForgetGhost(touched, this.origin, acknowledged)
  }

  /** Up to `limit` keys whose expiry this cluster is to send now: of its own TTL after 1 s, of another's after 30 s. */
  dueExpiries(limit: number): string[] {
    const { tables } = this
    const due: string[] = []
    while (due.length < limit) {
      const name = tables.schedule.take(tables.nowMs)
      if (name === undefined) break
      const key = tables.find(tables.slotOf(name), name)
      if (key === undefined || !tables.isTimed(key)) continue
      const owner = key.content instanceof KeyState ? key.content.expiryOwner() : key.origin
      const dueMs = tables.expiryDueMs(owner, expireAtOf(key))
      if (dueMs <= tables.nowMs) due.push(name)
      // Prolonged since; or once more, should the DEL not be sent now.
      tables.schedule.add(name, Math.max(dueMs, tables.nowMs + expiryRetryMs))
    }
    return due
  }
}
