/**
 * Which channels there are between two clusters: one for each pair of a shard here and a shard there that own hash slots in
 * common. Clusters may cut the slots differently; the channel then carries what both share.
 */
import type { HelloShard } from '#protocol/frames/hello.ts'
import { overlap, type SlotRange } from '#protocol/slots/slotMap.ts'

export interface Pairing {
  /** Indices in the cluster of each. */
  localShard: number
  remoteShard: number
  ranges: SlotRange[]
}

export function pairings(local: readonly HelloShard[], remote: readonly HelloShard[]): Pairing[] {
  const found: Pairing[] = []
  for (const here of local) {
    for (const there of remote) {
      const ranges = overlap(here.ranges, there.ranges)
      if (ranges.length > 0) found.push({ localShard: here.index, remoteShard: there.index, ranges })
    }
  }
  return found
}
