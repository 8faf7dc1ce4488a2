/**
 * Operations that a peer misses and asks for, found in the window of the log.
 *
 * There is no index of single operations. All that is asked for until a scan begins is looked for in one pass, from the first chunk
 * of the log that can hold any of it; what is asked for meanwhile waits for the next one. A pass is cut into turns by the feed.
 */
import type { Need } from '#protocol/sync/message.ts'
import type { RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { originsMax } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import type { LocalLog } from './localShard.ts'

interface Gap {
  have: VersionVector
  wanted: VersionVector
}

export class Missing {
  readonly #log: LocalLog
  #asked = new Map<number, Gap>()
  #sought = new Map<number, Gap>()
  /** The pass has come so far, and ends there. */
  position = 0
  #end = 0

  constructor(log: LocalLog) {
    this.#log = log
  }

  /** Whether the window holds all of it; then it is looked for. */
  ask({ slot, have, wanted }: Need): boolean {
    for (let origin = 0; origin < originsMax; origin++) {
      const stamp = have[origin] as number
      if ((wanted[origin] as number) > stamp && this.#log.floor(slot, origin) > stamp) return false
    }
    this.#asked.set(slot, { have, wanted })
    return true
  }

  /** What was asked for later replaces this; nothing is looked for any more. */
  clear(): void {
    this.#asked.clear()
    this.#sought.clear()
  }

  /** Whether there is anything to look for, up to `end`; begins the next pass when one is due. */
  seeks(): boolean {
    if (this.#sought.size > 0 && this.position < this.#end) return true
    this.#sought.clear()
    if (this.#asked.size === 0) return false
    this.#sought = this.#asked
    this.#asked = new Map()
    this.#end = this.#log.shippable
    this.position = this.#end
    for (const { have, wanted } of this.#sought.values()) {
      for (let origin = 0; origin < originsMax; origin++) {
        const stamp = have[origin] as number
        if ((wanted[origin] as number) <= stamp) continue
        this.position = Math.min(this.position, this.#log.firstPositionAbove(origin, stamp))
      }
    }
    return this.position < this.#end
  }

  get end(): number {
    return this.#end
  }

  /** Whether anything of the record that was just read is missing there. */
  wants({ parts, partCount }: RecordReader): boolean {
    for (let i = 0; i < partCount; i++) {
      const { slot, origin, last } = parts[i] as RecordPart
      const gap = this.#sought.get(slot)
      if (gap === undefined) continue
      if (last > (gap.have[origin] as number) && last <= (gap.wanted[origin] as number)) return true
    }
    return false
  }

  /** The window has moved past the pass: these are the slots that it was for. */
  giveUp(): number[] {
    const slots = [...this.#sought.keys()]
    this.#sought.clear()
    return slots
  }
}
