/** What the expiry wheel has brought up and nobody has looked at yet, by slot: so that what goes together is deleted together. */
import { slotCount } from '#protocol/slots/crc16.ts'
import { Bitmap } from './bitmap.ts'
import { BlockPool, noBlock } from './blockPool.ts'

/** A block is 64 bytes. */
const blockEntries = 14

export class DueSlots {
  /** Of the entry that `pop` gave last; it goes on there until the slot is empty. */
  slot = 0
  size = 0
  readonly #pool: BlockPool = new BlockPool(1, blockEntries)
  readonly #heads: Int32Array = new Int32Array(slotCount).fill(noBlock)
  readonly #occupied: Bitmap = new Bitmap(slotCount)

  get usedBytes(): number {
    return this.#pool.sizeBytes
  }

  add(slot: number, hash: number): void {
    const pool = this.#pool
    const head = this.#heads[slot] as number
    this.#heads[slot] = pool.push(head)
    pool.words[pool.at] = hash
    if (head === noBlock) this.#occupied.add(slot)
    this.size++
  }

  /** The hash of an entry of `slot`, which it sets; -1: there is none. */
  pop(): number {
    if (this.size === 0) return -1
    let slot = this.#occupied.next(this.slot)
    if (slot < 0) slot = this.#occupied.next(0)
    const pool = this.#pool
    const head = this.#heads[slot] as number
    pool.top(head)
    const hash = pool.words[pool.at] as number
    const left = pool.pop(head)
    this.#heads[slot] = left
    if (left === noBlock) this.#occupied.delete(slot)
    this.slot = slot
    this.size--
    return hash
  }
}
