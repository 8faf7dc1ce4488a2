/**
 * What a feed tells its peer of operations that it doesn't send (`causal_consistency`): the latest of each other origin in each slot,
 * by its stamp alone. Who has it, which is nearly always so, ignores that; who lacks it asks (`missing.ts`). So whatever two links
 * bring is carried over one, and nobody has to know how far behind the other is.
 */
import { offeredMax } from '#protocol/sync/message.ts'
import { RecordKind, type RecordPart, RecordReader } from '#protocol/sync/record.ts'
import { type Origin, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import type { LocalLog } from './localShard.ts'

/** So much of the log is looked at in one turn. */
const scanBytesMax = 1024 * 1024

export class Offers {
  readonly #log: LocalLog
  readonly #reader = new RecordReader()
  /** The log has been offered up to here. */
  #position = 0

  constructor(log: LocalLog) {
    this.#log = log
  }

  /** From now on. */
  begin(): void {
    this.#position = this.#log.end
  }

  /** Of the log before `end`; `isOffered`: the operations of which slot and origin the peer should hear of. */
  take(end: number, isOffered: (slot: number, origin: Origin) => boolean): { slot: number; stamp: Stamp }[] {
    const log = this.#log
    const from = Math.max(this.#position, log.start)
    const to = Math.min(end, log.shippable, from + scanBytesMax)
    if (from >= to) return []
    const latest = new Map<number, Stamp>()
    const reader = this.#reader
    this.#position = log.walk(from, to, (bytes, start, recordEnd) => {
      reader.read(bytes, start, recordEnd)
      if (reader.kind !== RecordKind.operations) return true
      for (let i = 0; i < reader.partCount && latest.size < offeredMax; i++) {
        const { slot, origin, last } = reader.parts[i] as RecordPart
        if (isOffered(slot, origin)) latest.set(slot * originsMax + origin, last)
      }
      return latest.size < offeredMax
    })
    return [...latest].map(([key, stamp]) => ({ slot: Math.floor(key / originsMax), stamp }))
  }
}
