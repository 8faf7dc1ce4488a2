/**
 * Joins a whole slot that has been staged apart with the slot's own keys, a few at a time, while the slot is read and written.
 *
 * The slot's vector includes the label from the first moment, so every key must look joined from then on: a key is joined
 * before it is used, whoever uses it first (`EntryTable.find` sees to that), and the others in the background. Nothing waits,
 * and no write can have a context that is narrower than what it was shown. A key that is joined again with nothing
 * on the other side stays as it is: whatever came to it since is above the label. A large key is joined in several steps in the background;
 * who uses it in between waits for the rest of it.
 *
 * What takes a slot as a whole (a cut of it, a flush, another state) must wait for the end, or bring it about (`finish`).
 */
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { includes } from '#protocol/sync/versionVector.ts'
import type { Absences } from './absences.ts'
import type { Ref } from './arena.ts'
import { watchJoin } from './joinEvents.ts'
import { ForeignKey, joiningKey } from './slotState.ts'
import type { SlotTables } from './slotTables.ts'

const never = Number.POSITIVE_INFINITY
/** Of the empty text that stands for a key of the other side that has been joined; no write has it. */
const joinedStamp = 0

export class SlotJoin {
  readonly slot: number
  readonly #tables: SlotTables
  readonly #staged: SlotTables
  /** What the slot had seen before. */
  readonly #own: VersionVector
  readonly #label: VersionVector
  /** undefined: what is not staged is absent on the other side. */
  readonly #absences: Absences | undefined
  /** Keys that are only here and have been joined before their turn. */
  readonly #used = new Set<string>()
  /** Where in the slot it goes on: first among the own keys, then among those staged. */
  #position = 0
  #ownKeysDone = false
  #isScanned = false
  /** Met, and not looked at yet. */
  #names: string[] = []
  /** The key that is being joined in steps. */
  #running: { name: string; steps: Generator<void> } | null = null

  constructor(
    tables: SlotTables,
    staged: SlotTables,
    slot: number,
    label: VersionVector,
    absences?: Absences,
  ) {
    this.slot = slot
    this.#absences = absences
    this.#tables = tables
    this.#staged = staged
    this.#own = tables.vectors.of(slot).slice()
    this.#label = label
    const floor = staged.deleteFloors.of(slot)
    tables.vectors.raise(slot, label)
    if (floor === undefined) return
    tables.deleteFloors.raiseTo(slot, floor)
    // What is here has seen less than what the other side has forgotten: it has all of it, less what was deleted.
    if (!includes(this.#own, floor)) this.#voidDeleteWins()
  }

  get isDone(): boolean {
    return this.#isScanned && this.#names.length === 0 && this.#running === null
  }

  /** Joins the key, unless it has been. What the tables are aimed at is the key then. */
  use(name: string): void {
    const isRunning = this.#running?.name === name
    const steps = isRunning ? this.#running?.steps : this.#joining(name)
    while (steps?.next().done === false);
    if (isRunning) this.#running = null
    this.#tables.aim(name)
  }

  /** Joins some keys more, those of a bucket of the index, or some elements of a large one. */
  step(): void {
    if (this.#names.length === 0 && this.#running === null) this.#scan()
    while (this.#running !== null || this.#names.length > 0) {
      this.#running ??= this.#begun(this.#names.pop() as string)
      if (this.#running.steps.next().done === false) return
      this.#running = null
    }
  }

  #scan(): void {
    const { index } = this.#ownKeysDone ? this.#staged : this.#tables
    const tables = this.#ownKeysDone ? this.#staged : this.#tables
    const names = this.#names
    this.#position = index.scan(this.slot, this.#position, 1, (ref) => names.push(tables.nameOf(ref)))
    if (this.#position > 0) return
    if (this.#ownKeysDone) this.#isScanned = true
    else this.#ownKeysDone = true
  }

  #begun(name: string): { name: string; steps: Generator<void> } {
    return { name, steps: this.#joining(name) }
  }

  *#joining(name: string): Generator<void> {
    const staged = this.#staged.findText(name)
    if (staged === 0) {
      if (this.#isEqual(name) || this.#used.has(name)) return
      this.#used.add(name)
      yield* joiningKey(this.#tables, name, this.#own, undefined, this.#label)
      return
    }
    if (this.#staged.isText(staged) && this.#staged.stamp(staged) === joinedStamp) return
    const theirs = foreignKey(this.#staged, staged)
    yield* joiningKey(this.#tables, name, this.#own, theirs, this.#label)
    this.#staged.aim(name)
    this.#staged.putText(joinedStamp, '', never)
  }

  /** Of a key that is not staged. */
  #isEqual(name: string): boolean {
    return this.#absences?.includes(name) === false
  }

  #voidDeleteWins(): void {
    const tables = this.#tables
    const names: string[] = []
    tables.index.forEach(this.slot, (ref) => {
      if (
        tables.state(ref)?.hll !== undefined ||
        tables.state(ref)?.stream !== undefined ||
        tables.isPacked(ref)
      )
        names.push(tables.nameOf(ref))
    })
    for (const name of names) {
      // Both sides hold the same.
      if (this.#staged.findText(name) === 0 && this.#isEqual(name)) continue
      const watch = watchJoin(tables, name)
      const ref = tables.findText(name)
      const wasLive = tables.isLive(ref)
      const wasDueMs = tables.dueMs(ref)
      const state = tables.stateOf(ref)
      state.clearDeleteWins()
      tables.settle(state, wasLive, wasDueMs, 0)
      watch?.tell()
    }
  }
}

function foreignKey(tables: SlotTables, ref: Ref): ForeignKey {
  if (!tables.isText(ref)) return new ForeignKey(0, '', never, tables.stateOf(ref))
  return new ForeignKey(tables.stamp(ref), tables.text(ref), tables.expireAt(ref))
}
