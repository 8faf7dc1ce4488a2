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
  /** What `due` gave last. */
  #given: Set<string> = new Set()
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
    return [...this.#given]
  }

  /**
   * A step of freeing what entries that nobody needs hold: each new TTL of a key leaves the entry of the old one behind,
   * and so does a delete. True: more is to be done at once.
   */
  tidy(): boolean {
    const { wheel, size, expiring } = this.#tables
    if (wheel.giveBack()) return true
    if (!wheel.isRebuilding) {
      if (!wheel.needsRebuild(size, expiring)) return false
      wheel.beginRebuild()
      this.#slot = 0
    }
    this.#rebuild()
    return true
  }

  readonly #raise = (slot: number, hash: number): void => this.#raised.add(slot, hash)

  /** Nobody has deleted it: it is to come again. */
  #checkGiven(): void {
    const tables = this.#tables
    for (const name of this.#given) {
      const ref = tables.findText(name)
      const dueMs = ref === 0 ? Number.POSITIVE_INFINITY : tables.dueMs(ref)
      if (dueMs !== Number.POSITIVE_INFINITY) tables.schedule(Math.max(dueMs, tables.nowMs + retryMs))
    }
    this.#given.clear()
  }

  #look(slot: number, hash: number): void {
    const tables = this.#tables
    tables.index.byHash(slot, hash | 0, (ref) => {
      const dueMs = tables.dueMs(ref)
      if (dueMs <= tables.nowMs) this.#given.add(tables.nameOf(ref))
      // The clock was set back since: this is the entry of the present TTL.
      else if (dueMs <= this.#raisedMs) tables.scheduleEntry(ref, dueMs)
    })
  }

  #rebuild(): void {
    const tables = this.#tables
    let visited = 0
    while (visited < rebuiltKeysMax && this.#slot < slotCount) {
      const slot = this.#slot
      this.#position = tables.index.scan(slot, this.#position, rebuiltKeysMax - visited, (ref) => {
        visited++
        const dueMs = tables.dueMs(ref)
        if (dueMs !== Number.POSITIVE_INFINITY) tables.scheduleEntry(ref, dueMs)
      })
      visited++
      if (this.#position === 0) this.#slot++
    }
    if (this.#slot === slotCount) tables.wheel.endRebuild()
  }
}
