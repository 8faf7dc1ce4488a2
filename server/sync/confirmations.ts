/**
 * What a peer has applied of this shard's own operations, told by the peer itself as soon as it is true: the intake's end of
 * `askApplied` and `applied`, and of `askRelayed` and `appliedAt` (`relays.ts`). CRDT.WAIT rests on it, and what INFO says of the lag.
 * The feed's end is in `appliedQuestions.ts`.
 *
 * It says less than a heartbeat does, and sooner. A heartbeat also promises that nothing older of its sender can still come, so
 * it waits behind what is held, and residues go by it (rules A7, A8); an `applied` promises only that operations are applied and
 * durable at its sender. It enters neither the acknowledgements nor a version vector.
 */
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import { originOf, type Stamp } from '#protocol/sync/stamp.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import type { LocalLog } from './localShard.ts'
import { rangesName } from './slotSet.ts'

/**
 * Of what waits at an intake: the oldest, which others must not put off, and the newest, which stands for all between.
 */
const waitingMax = 2
/** A feed asks about so many runs of slots at most. */
const askedRangesMax = 1024

interface Confirmed {
  stamp: Stamp
  /** The log here must be durable up to there. */
  position: number
}

/** Questions about one run of operations that can't be answered yet. */
export class Confirmations {
  #asked: Stamp[] = []
  /** What they ask for is applied. */
  #applied: Confirmed[] = []

  /** An answer waits for the log. */
  get awaitsLog(): boolean {
    return this.#applied.length > 0
  }

  ask(stamp: Stamp): void {
    this.#asked = [...this.#asked.slice(0, waitingMax - 1), stamp]
  }

  /** The greatest stamp that may be confirmed now; 0: none. It is not given again. */
  take(log: LocalLog, isApplied: (stamp: Stamp) => boolean): Stamp {
    while (this.#asked[0] !== undefined && isApplied(this.#asked[0])) {
      const applied = { stamp: this.#asked[0], position: log.end }
      this.#asked.shift()
      this.#applied = [...this.#applied.slice(0, waitingMax - 1), applied]
    }
    let confirmed = 0
    while (this.#applied[0] !== undefined && this.#applied[0].position <= log.shippable) {
      confirmed = this.#applied[0].stamp
      this.#applied.shift()
    }
    return confirmed
  }
}

/** What is applied and durable: the operations that the stamp's origin issued in these slots up to it. */
export interface AppliedHere {
  readonly stamp: Stamp
  readonly ranges: readonly SlotRange[]
}

/** All that a feed has asked, by whose operations and which slots it is about. */
export class Answers {
  readonly #asked = new Map<string, { ranges: readonly SlotRange[]; confirmations: Confirmations }>()

  /** An answer waits for the log. */
  get awaitsLog(): boolean {
    for (const { confirmations } of this.#asked.values()) if (confirmations.awaitsLog) return true
    return false
  }

  ask(stamp: Stamp, ranges: readonly SlotRange[]): void {
    const name = rangesName(originOf(stamp), ranges)
    let asked = this.#asked.get(name)
    if (asked === undefined) {
      if (this.#asked.size === askedRangesMax)
        throw new FormatError('too many questions about what is applied')
      asked = { ranges, confirmations: new Confirmations() }
      this.#asked.set(name, asked)
    }
    asked.confirmations.ask(stamp)
  }

  /** What may be confirmed now. */
  *take(log: LocalLog, isApplied: (stamp: Stamp) => boolean): Generator<AppliedHere> {
    for (const { ranges, confirmations } of this.#asked.values()) {
      const stamp = confirmations.take(log, isApplied)
      if (stamp > 0) yield { stamp, ranges }
    }
  }

  clear(): void {
    this.#asked.clear()
  }
}
