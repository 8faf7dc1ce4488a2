/** What a feed is to send to who has subscribed: for every slot nothing, the log or the state. */
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import { type Origin, originOf, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import type { LocalShard } from './localShard.ts'

export interface Subscriber {
  ranges: readonly SlotRange[]
  /** Bit o: operations of origin o are wanted. */
  origins: number
  /** What it has of a slot; one that is missing is empty. */
  have: ReadonlyMap<number, VersionVector>
}

/** Returns where in the log to begin; `owe` is told of the slots whose state has to be sent, as the log doesn't reach back. */
export function planSlots(shard: LocalShard, subscriber: Subscriber, owe: (slot: number) => void): number {
  const { log } = shard
  /** Per origin, what the subscriber has at least in each slot that will be served from the log. */
  const least = emptyVector().fill(Number.POSITIVE_INFINITY)
  for (const slot of shard.vectors.occupied(subscriber.ranges)) {
    const lacked = lackedOrigins(shard, subscriber, slot)
    const have = subscriber.have.get(slot)
    if (lacked.some((origin) => log.floor(slot, origin) > (have?.[origin] ?? 0))) owe(slot)
    else for (const origin of lacked) least[origin] = Math.min(least[origin] as number, have?.[origin] ?? 0)
  }
  let next = log.end
  for (let origin = 0; origin < originsMax; origin++) {
    const stamp = least[origin] as number
    if (stamp !== Number.POSITIVE_INFINITY) next = Math.min(next, log.firstPositionAbove(origin, stamp))
  }
  return next
}

/** All operations of the shard's own up to there the subscriber has, by what it said. */
export function ownStampAt(shard: LocalShard, subscriber: Subscriber): Stamp {
  const own = originOf(shard.lastStamp)
  let least = shard.lastStamp
  for (const slot of shard.vectors.occupied(subscriber.ranges)) {
    const stamp = subscriber.have.get(slot)?.[own] ?? 0
    if (shard.vectors.get(slot, own) > stamp) least = Math.min(least, stamp)
  }
  return least
}

/** Of those wanted. */
function lackedOrigins({ vectors }: LocalShard, { origins, have }: Subscriber, slot: number): Origin[] {
  const lacked: Origin[] = []
  for (let origin = 0; origin < originsMax; origin++) {
    if ((origins & (1 << origin)) === 0) continue
    if (vectors.get(slot, origin) > (have.get(slot)?.[origin] ?? 0)) lacked.push(origin)
  }
  return lacked
}
