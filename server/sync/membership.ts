/**
 * What a shard knows of the members of its database, and the figures by which members part with one (rules A10, A15, D15).
 *
 * A member goes in four steps, which the agents drive; a shard only answers for its slots:
 *
 *     PREPARE   forced: every survivor blocks the member. Nothing comes from it any more; what it sent and is held here, and
 *               what it acknowledged, is forgotten. In order: the member itself takes no writes any more.
 *     REPORT    per slot, the last operation of the member that was applied here. Only once it is blocked: what is
 *               reported before could be outrun by what still comes. In order: the member reports, for itself.
 *     COMMIT    F, per slot the greatest of the reports, is told to all. Survivors ask each other for the member's operations,
 *               as they do for any member that is silent, so whoever is behind catches up, from the log or by slot states.
 *     DONE      a survivor has F exactly. When all have, nothing of the member can change anywhere, and it is left out of
 *               what acknowledgements are waited for.
 *
 * A report holds for one run of a shard: one that starts again may have lost what it reported, so all report again.
 */
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import type { MemberState } from '#protocol/sync/member.ts'
import { type ClusterId, type Origin, originOfCluster, type Stamp } from '#protocol/sync/stamp.ts'
import type { SlotVectors } from '#protocol/sync/versionVector.ts'

export interface MemberFacts {
  clusterId: ClusterId
  /** Absent: active. */
  state?: MemberState
  /** Removed without its help. */
  forced?: boolean
}

export interface Membership {
  /** Whose acknowledgements count, this cluster included: all but those that have been removed. */
  members: readonly ClusterId[]
  /** Members that are being forced out: they are not listened to. */
  blocked: readonly ClusterId[]
  /** Were members once; their operations stay. */
  removed: readonly ClusterId[]
  /** This cluster is on its way out and takes no writes. */
  leaving: boolean
}

export function membershipOf(facts: readonly MemberFacts[], own: ClusterId): Membership {
  const ids = (holds: (member: MemberFacts) => boolean) =>
    facts.filter(holds).map((member) => member.clusterId)
  const self = facts.find((member) => member.clusterId === own)
  // Who has been removed is alone with what it had.
  const isOut = self?.state === 'removed'
  return {
    members: isOut ? [own] : ids(({ state }) => state !== 'removed'),
    blocked: ids(({ state, forced }) => state === 'removing' && forced === true),
    removed: ids(({ state, clusterId }) => state === 'removed' && clusterId !== own),
    leaving: self?.state === 'removing',
  }
}

/** By slot, the last stamp of one origin; slots without any are left out. */
export type SlotStamps = ReadonlyMap<number, Stamp>

export function finalStamps(vectors: SlotVectors, ranges: readonly SlotRange[], origin: Origin): SlotStamps {
  const stamps = new Map<number, Stamp>()
  for (const { first, last } of ranges) {
    for (let slot = first; slot <= last; slot++) {
      const stamp = vectors.get(slot, origin)
      if (stamp > 0) stamps.set(slot, stamp)
    }
  }
  return stamps
}

/** By origin, the last stamp in any slot; 0: none. */
export function lastStamps(
  vectors: SlotVectors,
  ranges: readonly SlotRange[],
  members: readonly ClusterId[],
): Map<Origin, Stamp> {
  const stamps = new Map<Origin, Stamp>()
  for (const origin of members.map(originOfCluster)) {
    let greatest = 0
    for (const { first, last } of ranges) {
      for (let slot = first; slot <= last; slot++) greatest = Math.max(greatest, vectors.get(slot, origin))
    }
    stamps.set(origin, greatest)
  }
  return stamps
}

export function hasReached(
  vectors: SlotVectors,
  ranges: readonly SlotRange[],
  origin: Origin,
  final: SlotStamps,
): boolean {
  for (const { first, last } of ranges) {
    for (let slot = first; slot <= last; slot++)
      if (vectors.get(slot, origin) !== (final.get(slot) ?? 0)) return false
  }
  return true
}
