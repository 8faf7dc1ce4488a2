/**
 * Which members are heard. A member counts as silent when, for some of our slots, none of its shards has been heard for
 * `linkDownMs`; the other members are then asked to relay its operations, so that a cut between two clusters delays
 * nothing that a third one can carry.
 */
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import type { Origin } from '#protocol/sync/stamp.ts'
import { rangesCover } from './slotSet.ts'

interface HeardShard {
  ranges: readonly SlotRange[]
  heardMs: number
}

export class MemberWatch {
  readonly #ranges: readonly SlotRange[]
  readonly #linkDownMs: number
  readonly #startedMs: number
  readonly #heard = new Map<Origin, Map<number, HeardShard>>()

  constructor(ranges: readonly SlotRange[], linkDownMs: number, nowMs: number) {
    this.#ranges = ranges
    this.#linkDownMs = linkDownMs
    this.#startedMs = nowMs
  }

  heard(member: Origin, sourceShard: number, ranges: readonly SlotRange[], heardMs: number): void {
    let shards = this.#heard.get(member)
    if (shards === undefined) {
      shards = new Map()
      this.#heard.set(member, shards)
    }
    shards.set(sourceShard, { ranges, heardMs })
  }

  isSilent(member: Origin, nowMs: number): boolean {
    const limitMs = nowMs - this.#linkDownMs
    // Links take a moment to come up after a start.
    if (this.#startedMs > limitMs) return false
    const lively = [...(this.#heard.get(member)?.values() ?? [])].filter(({ heardMs }) => heardMs >= limitMs)
    return !rangesCover(
      this.#ranges,
      lively.map(({ ranges }) => ranges),
    )
  }
}
