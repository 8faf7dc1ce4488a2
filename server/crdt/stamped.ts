/**
 * The commonest field of a hash by far is one text, written once, in no conflict. It is held as text
 * and stamp, and becomes a full state only while it has to. The stamp lies in two small integers: a double field would be
 * a heap object of its own, per key.
 */
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import { originsMax } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'

/** Both halves fit 31 bits. `| 0` below tells the engine so: a field that once held a double stays one. */
const lowLimit = 2 ** 26

export class Stamped<Full> {
  /** A text stands for the state that one write leaves. */
  content: string | Full
  #high: number
  #low: number

  constructor(content: string | Full, stamp: Stamp) {
    this.content = content
    this.#high = Math.floor(stamp / lowLimit) | 0
    this.#low = (stamp - this.#high * lowLimit) | 0
  }

  /** Of that write; without meaning when the content is a full state. */
  get stamp(): Stamp {
    return this.#high * lowLimit + this.#low
  }

  set stamp(stamp: Stamp) {
    this.#high = Math.floor(stamp / lowLimit) | 0
    this.#low = (stamp - this.#high * lowLimit) | 0
  }

  get origin(): Origin {
    return this.#low % originsMax
  }

  coveredBy(context: VersionVector): boolean {
    return this.stamp <= (context[this.origin] as number)
  }
}
