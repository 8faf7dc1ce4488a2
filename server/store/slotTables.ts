/**
 * The keys of a shard as their hash slots have them, and what is counted and remembered of them as they change, in one place:
 * their number, those with a TTL, the expiry wheel, residues, and who wants to hear of changes.
 */

import { slotCount } from '#protocol/slots/crc16.ts'
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import { SlotVectors, type VersionVector } from '#protocol/sync/versionVector.ts'
import type { Random } from '#runtime/ports.ts'
import type { KeyState } from '#server/crdt/keyState.ts'
import type { Absences } from './absences.ts'
import type { Ref } from './arena.ts'
import { DeleteFloors } from './deleteFloors.ts'
import { EntryTable } from './entryTable.ts'
import { ExpiryWheel } from './expiryWheel.ts'
import { KeyEvents } from './keyEvents.ts'
import { Residues } from './residues.ts'
import { SlotJoin } from './slotJoin.ts'

const never = Number.POSITIVE_INFINITY
/** Of one sample. */
const sampledKeysMax = 2_000

/** Called in the middle of a change: it may only take note of the key, and whether it is there now. */
export type TouchListener = (key: string, isLive: boolean) => void

/** Who has to know what happens in a slot (`frozenSlot.ts`). It may look at the key that the tables are aimed at, and nothing else. */
export interface SlotWatcher {
  /** Before the key is used, whatever for. */
  used(): void
  /** It was not there, and is now. */
  made(): void
  /** The slot is about to change as a whole. */
  lost(): void
}

export class SlotTables extends EntryTable {
  readonly origin: Origin
  readonly vectors: SlotVectors = new SlotVectors(slotCount)
  readonly wheel: ExpiryWheel = new ExpiryWheel()
  readonly residues: Residues = new Residues()
  readonly deleteFloors: DeleteFloors = new DeleteFloors()
  onTouched: TouchListener | undefined = undefined
  readonly events: KeyEvents = new KeyEvents()
  /** What is touched goes with a whole slot, by FLUSHALL here. */
  isFlushing = false
  /** Keys with live state, and those of them with a TTL. */
  size = 0
  expiring = 0
  /** Hashes of which a field has a TTL. */
  expiringHashes = 0
  nowMs = 0
  #join: SlotJoin | null = null
  readonly #watchers = new Map<number, SlotWatcher>()

  constructor(origin: Origin, hashSeed: number) {
    super(hashSeed)
    this.origin = origin
  }

  setNow(nowMs: number): void {
    if (nowMs === this.nowMs) return
    this.nowMs = nowMs
    this.accessClock.setNow(nowMs)
  }

  /** As Redis: at the very millisecond it is still there. A hash goes with the last of its fields. */
  hasExpired(ref: Ref): boolean {
    if (this.isPlainText(ref)) return false
    return this.nowMs > this.expireAt(ref) || this.state(ref)?.allFieldsPassed(this.nowMs) === true
  }

  /** When this cluster is to delete the key because its TTL has passed; Infinity: it has none. */
  dueMs(ref: Ref): number {
    if (this.isPlainText(ref) || !this.isLive(ref)) return never
    const atMs = this.expireAt(ref)
    return atMs === never ? never : this.#dueMsOf(this.expiryOwner(ref), atMs)
  }

  /** When this cluster is to look at the key: not after it, or one of its fields, is due. */
  lookMs(ref: Ref): number {
    const state = this.state(ref)
    return state === undefined ? this.dueMs(ref) : Math.min(this.dueMs(ref), fieldsLookMs(state))
  }

  /** Fields that this cluster is to delete because their TTL has passed. */
  dueFields(ref: Ref): string[] {
    const state = this.state(ref)
    const hash = state?.hash
    if (hash === undefined || state?.visibleType() !== 'hash') return []
    const { nowMs } = this
    return [...hash.passed(nowMs)].filter(
      (field) => this.#dueMsOf(hash.expiryOwner(field), hash.expireAtMs(field)) <= nowMs,
    )
  }

  /** Its owner soon, anybody when the owner stays silent. */
  #dueMsOf(owner: Origin | undefined, atMs: number): number {
    return atMs + (owner === this.origin ? ownExpiryGraceMs : foreignExpiryGraceMs)
  }

  /** The key that is aimed at is to be looked at then. */
  schedule(dueMs: number): void {
    this.wheel.add(this.name.slot, this.name.hash >>> 0, dueMs)
  }

  /** The same for an entry; aims at it. */
  scheduleEntry(ref: Ref, dueMs: number): void {
    this.readName(ref)
    this.aimAt(this.textBytes, this.textStart, this.textEnd)
    this.schedule(dueMs)
  }

  /** The key that is aimed at, a new text, has a TTL. */
  noteTimed(owner: Origin, expireAtMs: number): void {
    this.expiring++
    this.schedule(this.#dueMsOf(owner, expireAtMs))
  }

  /**
   * Visits up to `count` live entries that lie near each other at a random place; with `timedOnly` such as have a TTL. It may
   * find fewer where there are many that don't qualify.
   */
  sample(random: Random, count: number, timedOnly: boolean, visit: (ref: Ref) => void): void {
    const { index } = this
    if (index.size === 0) return
    const refs: Ref[] = []
    let left = count
    let looked = 0
    const first = index.randomSlot(random)
    let slot = first
    do {
      index.scan(slot, random.below(2 ** 32), 1, (ref) => refs.push(ref))
      looked += refs.length
      while (left > 0 && refs.length > 0) {
        const picked = random.below(refs.length)
        const ref = refs[picked] as Ref
        // The last one takes its place.
        refs[picked] = refs.at(-1) as Ref
        refs.pop()
        // Looked at only now: entries lie all over memory.
        if (!(timedOnly ? this.dueMs(ref) !== never : this.isLive(ref))) continue
        visit(ref)
        left--
      }
      refs.length = 0
      slot = index.occupiedBehind(slot)
    } while (slot !== first && left > 0 && looked < sampledKeysMax)
  }

  /**
   * To be called after every change of a key's full state, aimed at its name. `wasLive` and `wasDueMs` say what it was before;
   * `last` is the stamp of the change, 0 when the slot's vector has it already.
   */
  settle(state: KeyState, wasLive: boolean, wasDueMs: number, last: Stamp): void {
    const live = state.live
    const atMs = live ? state.expireAtMs() : never
    const dueMs = atMs === never ? never : this.#dueMsOf(state.expiryOwner(), atMs)
    const { slot, text } = this.name
    this.size += (live ? 1 : 0) - (wasLive ? 1 : 0)
    this.expiring += (dueMs === never ? 0 : 1) - (wasDueMs === never ? 0 : 1)
    if (dueMs !== never && dueMs !== wasDueMs) this.schedule(dueMs)
    this.#noteFields(state, live ? fieldsLookMs(state) : never)
    if (state.hasGhost) this.residues.addGhost(slot, text, this.vectors, last)
    else if (state.hasBaselines || state.hasDeletes) this.residues.add(slot, text)
    else this.residues.remove(slot, text)
    this.tidy(state)
    // What nobody could see before and can't see now hasn't changed for anybody: a FLUSHALL reaches residues, too.
    if (this.onTouched !== undefined && (wasLive || live)) this.onTouched(text, live)
  }

  /** The same after a change of a live text that only its TTL tells of, if anything. */
  noteTtl(ref: Ref, wasDueMs: number): void {
    const dueMs = this.dueMs(ref)
    this.expiring += (dueMs === never ? 0 : 1) - (wasDueMs === never ? 0 : 1)
    if (dueMs !== never && dueMs !== wasDueMs) this.schedule(dueMs)
    if (this.onTouched !== undefined) this.onTouched(this.name.text, true)
  }

  #noteFields(state: KeyState, lookMs: number): void {
    if (lookMs === state.fieldsLookMs) return
    this.expiringHashes += (lookMs === never ? 0 : 1) - (state.fieldsLookMs === never ? 0 : 1)
    state.fieldsLookMs = lookMs
    if (lookMs !== never) this.schedule(lookMs)
  }

  // ---- a slot that is being joined with a staged one (`slotJoin.ts`); one at a time

  /** Without `absences` what is not in `staged` is absent. */
  beginJoin(staged: SlotTables, slot: number, label: VersionVector, absences?: Absences): void {
    if (this.#join !== null) this.finishJoin(this.#join.slot)
    this.showLoss(slot)
    this.#join = new SlotJoin(this, staged, slot, label, absences)
    this.joiningSlot = slot
    this.lookUpAgain()
  }

  /** -1: none. */
  get slotOfJoin(): number {
    return this.#join?.slot ?? -1
  }

  /** False: there is nothing to join. */
  joinMore(): boolean {
    const join = this.#join
    if (join === null) return false
    this.joiningSlot = -1
    join.step()
    if (join.isDone) this.#join = null
    else this.joiningSlot = join.slot
    // What it was aimed at may be joined in part.
    this.lookUpAgain()
    return true
  }

  /** Before the slot is taken as a whole. */
  finishJoin(slot: number): void {
    while (this.#join?.slot === slot) this.joinMore()
  }

  protected override joinAimed(): void {
    const join = this.#join
    if (join === null) return
    this.joiningSlot = -1
    join.use(this.name.text)
    this.joiningSlot = join.slot
  }

  // ---- slots that are watched

  /** Whoever watched the slot before has lost it. */
  watch(slot: number, watcher: SlotWatcher): void {
    this.showLoss(slot)
    this.#watchers.set(slot, watcher)
    this.isWatched = true
    this.lookUpAgain()
  }

  unwatch(slot: number, watcher: SlotWatcher): void {
    if (this.#watchers.get(slot) === watcher) this.#watchers.delete(slot)
    this.isWatched = this.#watchers.size > 0
  }

  /** To be called before the slot is changed otherwise than key by key. */
  showLoss(slot: number): void {
    this.#watchers.get(slot)?.lost()
  }

  protected override showUse(): void {
    this.#watchers.get(this.name.slot)?.used()
  }

  protected override showMade(): void {
    this.#watchers.get(this.name.slot)?.made()
  }

  /** Forgets the key, if it is there, and all that is counted of it. */
  drop(): void {
    const ref = this.find()
    if (ref === 0) return
    const state = this.state(ref)
    if (state !== undefined) this.#noteFields(state, never)
    if (this.isLive(ref)) this.size--
    if (this.dueMs(ref) !== never) this.expiring--
    this.residues.remove(this.name.slot, this.name.text)
    this.remove()
  }
}

/** Of a field by its owner; others come too early, and again. */
function fieldsLookMs(state: KeyState): number {
  return state.soonestFieldExpiryMs + ownExpiryGraceMs
}

/** Time for a TTL write under way to arrive before the key is deleted. */
const ownExpiryGraceMs = 1_000
const foreignExpiryGraceMs = 30_000
