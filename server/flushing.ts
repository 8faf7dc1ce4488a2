/**
 * FLUSHALL in slices. A slot is flushed by one small effect, but freeing its keys takes time, and a shard has thousands of
 * slots: the work is cut at `sliceMs`, and other commands run in between. To them the flush happened at once: before a
 * command touches a slot that is still to be flushed, that slot is flushed.
 */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import type { Clock } from '#runtime/ports.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Execution } from './execution.ts'

const sliceMs = 5

export class Flushing {
  readonly #execution: Execution
  readonly #db: Keyspace
  readonly #clock: Clock
  /** The keys of a command lie in one slot. */
  readonly #sharded: boolean
  readonly #pending = new Set<number>()

  constructor(execution: Execution, db: Keyspace, clock: Clock, sharded: boolean) {
    this.#execution = execution
    this.#db = db
    this.#clock = clock
    this.#sharded = sharded
  }

  get active(): boolean {
    return this.#pending.size > 0
  }

  /** All slots that hold something now are to be flushed. */
  begin(): void {
    for (const slot of this.#db.occupiedSlots()) if (this.#db.slotSize(slot) > 0) this.#pending.add(slot)
  }

  /** Writes are refused from now on: what is not flushed yet stays. */
  abandon(): void {
    this.#pending.clear()
  }

  /** Works for one slice. True: it is done. */
  proceed(): boolean {
    const endMs = this.#clock.monotonicMs() + sliceMs
    for (const slot of this.#pending) {
      this.#flush(slot)
      if (this.#clock.monotonicMs() >= endMs) break
    }
    return !this.active
  }

  /** Before a command runs: flushes what it may look at. */
  precede(spec: CommandSpec | undefined, slot: number): void {
    if (spec?.request === 'slot' && (this.#sharded || spec.onlyKey > 0)) this.#precedeSlot(slot)
    else this.#precedeAll()
  }

  /** The same for a command of several keys, of which `key` is one. */
  precedeKey(key: string): void {
    if (this.#sharded) this.#precedeSlot(slotOfKey(key))
    else this.#precedeAll()
  }

  #precedeSlot(slot: number): void {
    if (this.#pending.has(slot)) this.#flush(slot)
  }

  #precedeAll(): void {
    for (const pending of this.#pending) this.#flush(pending)
  }

  #flush(slot: number): void {
    this.#pending.delete(slot)
    this.#execution.change((transaction) => transaction.flushSlot(slot))
  }
}
