/**
 * Which members are heard. A member counts as silent when, for some of our slots, none of its shards has been heard for
 * a few heartbeats; the other members are then asked to relay its operations, so that a cut between two clusters delays
 * nothing that a third one can carry.
 */
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import type { Origin } from '#protocol/sync/stamp.ts'
import { rangesCover } from './slotSet.ts'

/** So many heartbeats of a member that is there don't get lost one after another. */
const silentHeartbeats = 3

export interface WatchTimings {
  heartbeatMs: number
  linkDownMs: number
}

interface HeardShard {
  ranges: readonly SlotRange[]
  heardMs: number
}

export class MemberWatch {
  readonly #ranges: readonly SlotRange[]
  timings: WatchTimings
  readonly #startedMs: number
  readonly #heard = new Map<Origin, Map<number, HeardShard>>()

  constructor(ranges: readonly SlotRange[], timings: WatchTimings, nowMs: number) {
    this.#ranges = ranges
    this.timings = timings
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
    const { heartbeatMs, linkDownMs } = this.timings
    // Links take a moment to come up after a start.
    if (nowMs - this.#startedMs < linkDownMs) return false
    const limitMs = nowMs - Math.min(linkDownMs, silentHeartbeats * heartbeatMs)
    const lively = [...(this.#heard.get(member)?.values() ?? [])].filter(({ heardMs }) => heardMs >= limitMs)
    return !rangesCover(
      this.#ranges,
      lively.map(({ ranges }) => ranges),
    )
  }
}
