/**
 * A slot as it was when its digests were begun, while it goes on being read and written: the keys are copied before they are used for
 * the first time (`SlotTables.watch`), and those that are made are noted, as they were not there.
 *
 * A peer that is told the digests sends the portions that differ. The others it has, as they were then: this is what its operations
 * (the tail of its cut) are replayed on, and what is joined with the slot in the end. So where nothing was used here and nothing
 * came, nothing is copied and nothing is joined: a join of equal states changes nothing. Where a key was used, its state of then has to be
 * kept, as what came to it since may be known to the peer, and have been removed there.
 *
 * What changes the slot as a whole (another state that is joined, a flush) ends it: it is void, and the slot has to be asked for anew.
 */

import type { Portioning } from '#protocol/sync/digestMessage.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Absences } from './absences.ts'
import type { Ref } from './arena.ts'
import { PortionDigests, PortionSet, Portions } from './portions.ts'
import { loadPart, writeKey } from './slotState.ts'
import type { SlotTables, SlotWatcher } from './slotTables.ts'
import { walkSlot } from './slotWalk.ts'

export class FrozenSlot {
  readonly #slot: number
  readonly #tables: SlotTables
  /** What was copied, and then what the peer has sent; null: nothing yet. */
  #made: SlotTables | null = null
  readonly #newCopies: () => SlotTables
  readonly #digests: PortionDigests
  /** Keys whose state of then is in `#copies`, or is that they were not there. */
  readonly #kept = new Set<string>()
  /** Where the digests have got to; Infinity: all keys are in them. */
  #position = 0
  #differing: PortionSet | null = null
  #isVoid = false
  #hasEnded = false
  /** Kept since the slot's keys have begun to be logged. */
  #late: string[] | null = null
  readonly #writer = new ByteWriter()
  /** Of the slot itself, and of the copies. */
  readonly #watchers: readonly [SlotWatcher, SlotWatcher]

  constructor(tables: SlotTables, slot: number, portioning: Portioning, newCopies: () => SlotTables) {
    this.#slot = slot
    this.#tables = tables
    this.#newCopies = newCopies
    this.#digests = new PortionDigests(new Portions(portioning))
    const lost = () => {
      this.#isVoid = true
      // Keys may be shown in the middle of a change from now on.
      this.end()
    }
    this.#watchers = [
      { used: () => this.#use(), made: () => this.#make(), lost },
      { used: () => this.#fetch(), made: () => {}, lost },
    ]
    tables.watch(slot, this.#watchers[0])
  }

  /** Made late: there are several slots at once of which nothing is ever copied. */
  get #copies(): SlotTables {
    if (this.#made === null) {
      this.#made = this.#newCopies()
      if (!this.#hasEnded) this.#made.watch(this.#slot, this.#watchers[1])
    }
    return this.#made
  }

  get isVoid(): boolean {
    return this.#isVoid
  }

  /** All digests, when they are made. */
  get digests(): Uint8Array | null {
    return this.#position === Number.POSITIVE_INFINITY ? this.#digests.encode() : null
  }

  /** Makes digests of more keys, in a step of about so many bytes. */
  step(bytesWanted: number): void {
    if (this.#position === Number.POSITIVE_INFINITY) return
    const tables = this.#tables
    const next = walkSlot(tables, this.#slot, this.#position, bytesWanted, (ref) => {
      if (this.#kept.size > 0 && this.#kept.has(tables.nameOf(ref))) return 0
      return this.#digests.add(tables, ref)
    })
    this.#position = next === 0 ? Number.POSITIVE_INFINITY : next
  }

  /** The peer sends the keys of these portions; throws `FormatError`. */
  differ(bits: Uint8Array): void {
    this.#differing = PortionSet.read(this.#digests.portions, bits)
    const names: string[] = []
    const copies = this.#copies
    copies.index.forEach(this.#slot, (ref) => names.push(copies.nameOf(ref)))
    for (const name of names) {
      if (!this.#isSent(name)) continue
      copies.aim(name)
      copies.drop()
    }
  }

  /** When what came is whole: also of those that were kept and that an operation of the peer's has removed. */
  get absences(): Absences {
    const differing = this.#differing ?? new PortionSet(this.#digests.portions)
    const made = new Set<string>()
    for (const name of this.#kept)
      if (!this.#isSent(name) && this.#copies.findText(name) === 0) made.add(name)
    return new Absences(differing, made)
  }

  /** Keys that are copied from now on are shown by `takeLate`. */
  noteLate(): void {
    this.#late ??= []
  }

  /** Writes them as `encodePart` does. */
  writeLate(writer: ByteWriter): void {
    const copies = this.#copies
    for (const name of this.#late ?? []) {
      const ref = copies.findText(name)
      if (ref !== 0) writeKey(writer, copies, ref)
    }
  }

  /** The slot may change unnoticed from now on. */
  end(): void {
    this.#hasEnded = true
    this.#tables.unwatch(this.#slot, this.#watchers[0])
    this.#made?.unwatch(this.#slot, this.#watchers[1])
  }

  #isSent(name: string): boolean {
    return this.#differing?.hasName(name) === true
  }

  /** The key that the tables are aimed at is about to be used. */
  #use(): void {
    const { index, name } = this.#tables
    const ref = index.find(name)
    if (ref !== 0 && !this.#kept.has(name.text) && !this.#isSent(name.text)) {
      this.#keep(name.text, ref, name.hash >>> 0)
      this.#late?.push(name.text)
    }
  }

  /** The one that the tables are aimed at is new. */
  #make(): void {
    const { text } = this.#tables.name
    if (this.#kept.has(text) || this.#isSent(text)) return
    this.#kept.add(text)
  }

  /** An operation of the peer's is about to use the key that the copies are aimed at. */
  #fetch(): void {
    const { index, name } = this.#copies
    if (index.find(name) !== 0 || this.#kept.has(name.text) || this.#isSent(name.text)) return
    const { text } = name
    const tables = this.#tables
    tables.aim(text)
    const ref = tables.index.find(tables.name)
    if (ref === 0) return
    this.#keep(text, ref, tables.name.hash >>> 0)
    this.#copies.aim(text)
  }

  #keep(name: string, ref: Ref, hash: number): void {
    this.#kept.add(name)
    if (hash >= this.#position) this.#digests.add(this.#tables, ref)
    // It comes from the peer.
    if (this.#digests.isSpoilt(this.#digests.portions.ofName(name))) return
    const copied = this.#writer
    copied.clear()
    writeKey(copied, this.#tables, ref)
    loadPart(this.#copies, this.#slot, emptyVector(), new ByteReader(copied.bytes, 0, copied.length), true)
  }
}
