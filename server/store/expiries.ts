/**
 * Which keys are to be deleted because their TTL has passed. The wheel brings up (slot, hash) pairs; here the keys behind
 * them are looked at: most are due, some have got another TTL since (which has an entry of its own) or are gone. Every call
 * does a bounded amount of work.
 */
import { slotCount } from '#protocol/slots/crc16.ts'
import { DueSlots } from './dueSlots.ts'
import type { SlotTables } from './slotTables.ts'

/** A key whose DEL was not sent when it was due comes again after this. */
const retryMs = 1_000
/** Of one call: entries that the wheel moves, entries whose keys are looked at, keys that a rebuild visits. */
const movesMax = 4_096
const looksMax = 256
const rebuiltKeysMax = 1_024

export class Expiries {
  readonly #tables: SlotTables
  readonly #raised: DueSlots = new DueSlots()
  /** The latest time at which one of them was raised. */
  #raisedMs = 0
  /** The wheel may have more to raise. */
  #isRaising = false
  /** What `due` gave last, with the number of fields that were due. */
  #given: Map<string, number> = new Map()
  /** Where a rebuild goes on. */
  #slot = 0
  #position = 0

  constructor(tables: SlotTables) {
    this.#tables = tables
  }

  /** Outside the JavaScript heap. */
  get usedBytes(): number {
    return this.#tables.wheel.usedBytes + this.#raised.usedBytes
  }

  /** `due` may have more to give at once. */
  get hasMore(): boolean {
    return this.#isRaising || this.#raised.size > 0
  }

  /**
   * Keys to be deleted now, about `limit` of them, those of one slot one after the other. First everything that is due is
   * raised, in slices: only then is it known what lies in one slot.
   */
  due(limit: number): string[] {
    this.#checkGiven()
    const { nowMs, wheel } = this.#tables
    this.#raisedMs = this.#raised.size === 0 ? nowMs : Math.max(nowMs, this.#raisedMs)
    this.#isRaising = wheel.take(nowMs, this.#raise, movesMax) === movesMax
    if (this.#isRaising) return []
    for (let looks = 0; looks < looksMax && this.#given.size < limit; looks++) {
      const hash = this.#raised.pop()
      if (hash < 0) break
      this.#look(this.#raised.slot, hash)
    }
    return [...this.#given.keys()]
  }

  /**
   * A step of freeing what entries that nobody needs hold: each new TTL of a key leaves the entry of the old one behind,
   * and so does a delete. True: more is to be done at once.
   */
  tidy(): boolean {
    const { wheel, size, expiring, expiringHashes } = this.#tables
    if (wheel.giveBack()) return true
    if (!wheel.isRebuilding) {
      if (!wheel.needsRebuild(size, expiring + expiringHashes)) return false
      wheel.beginRebuild()
      this.#slot = 0
    }
    this.#rebuild()
    return true
  }

  readonly #raise = (slot: number, hash: number): void => this.#raised.add(slot, hash)

  /** What nobody has deleted is to come again; at once, when some of its fields have been. */
  #checkGiven(): void {
    const tables = this.#tables
    for (const [name, dueFields] of this.#given) {
      const ref = tables.findText(name)
      const lookMs = ref === 0 ? Number.POSITIVE_INFINITY : tables.lookMs(ref)
      if (lookMs === Number.POSITIVE_INFINITY) continue
      const left = dueFields === 0 ? 0 : tables.dueFields(ref).length
      const isUnderWay = left > 0 && left < dueFields
      tables.schedule(Math.max(lookMs, tables.nowMs + (isUnderWay ? 0 : retryMs)))
    }
    this.#given.clear()
  }

  #look(slot: number, hash: number): void {
    const tables = this.#tables
    if (tables.slotOfJoin === slot) this.#joinKeys(slot, hash)
    tables.index.byHash(slot, hash | 0, (ref) => {
      const lookMs = tables.lookMs(ref)
      if (lookMs <= tables.nowMs) this.#given.set(tables.nameOf(ref), tables.dueFields(ref).length)
      // The clock was set back since: this is the entry of the present TTL.
      else if (lookMs <= this.#raisedMs) tables.scheduleEntry(ref, lookMs)
    })
  }

  /** They may have another TTL by what they are still to be joined with. */
  #joinKeys(slot: number, hash: number): void {
    const names: string[] = []
    this.#tables.index.byHash(slot, hash | 0, (ref) => names.push(this.#tables.nameOf(ref)))
    for (const name of names) this.#tables.findText(name)
  }

  #rebuild(): void {
    const tables = this.#tables
    let visited = 0
    while (visited < rebuiltKeysMax && this.#slot < slotCount) {
      const slot = this.#slot
      this.#position = tables.index.scan(slot, this.#position, rebuiltKeysMax - visited, (ref) => {
        visited++
        const lookMs = tables.lookMs(ref)
        if (lookMs !== Number.POSITIVE_INFINITY) tables.scheduleEntry(ref, lookMs)
      })
      visited++
      if (this.#position === 0) this.#slot++
    }
    if (this.#slot === slotCount) tables.wheel.endRebuild()
  }
}
