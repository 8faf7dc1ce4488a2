/** Who may speak to a shard, and which sync channels make sense. Each answers with the reason against it, or null. */
import type { ChannelOpening, Hello } from '#protocol/frames/hello.ts'
import { syncVersion } from '#protocol/sync/message.ts'
import { type MemberFacts, membershipOf } from '#server/sync/membership.ts'
import { rangesCover } from '#server/sync/slotSet.ts'

/** Proxies of this node, and this cluster's own syncer; a peer's syncer comes through a proxy. */
export function helloRefusal(hello: Hello, database: { guid: string; clusterId: number }): string | null {
  if (hello.role === 'proxy') return null
  if (hello.role !== 'syncer') return `a ${hello.role} has no business here`
  if (hello.syncVersion !== syncVersion) return `sync version ${hello.syncVersion}, this is ${syncVersion}`
  if (hello.guid === database.guid && hello.clusterId === database.clusterId) return null
  return 'a syncer of another database or cluster'
}

interface ChannelEndFacts {
  index: number
  ranges: readonly { first: number; last: number }[]
  clusterId: number
  /** This cluster included. */
  members: readonly MemberFacts[]
}

export function channelRefusal(opening: ChannelOpening, facts: ChannelEndFacts): string | null {
  const { index, ranges, clusterId, members } = facts
  const { role, peer, shard } = opening
  const membership = membershipOf(members, clusterId)
  if (peer === clusterId || !membership.members.includes(peer))
    return `cluster ${peer} is no other member of the database`
  if (membership.blocked.includes(peer)) return `cluster ${peer} is being removed from the database`
  if (opening.ranges.length === 0 || !rangesCover(opening.ranges, [ranges]))
    return `shard ${index} doesn't own all these hash slots`
  return role === 'feed' && shard !== index ? `this is shard ${index}, not shard ${shard}` : null
}
