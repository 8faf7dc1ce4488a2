/** What INFO says of the other clusters (section `crdt`) and of the clock (section `clock`). */
import type { ClockFigures, MemberFigures, ShardInfo } from '#protocol/frames/admin.ts'
import type { LinkTraffic } from '#protocol/frames/compressedFrame.ts'
import { greatest, sum } from './figures.ts'
import type { InfoFacts, InfoField } from './info.ts'

export function crdtFields({ host, proxies, shards, missingShards }: InfoFacts): InfoField[] {
  const { database } = host.config
  const refused = shards.find(({ writesRefused }) => writesRefused !== null)?.writesRefused ?? ''
  const peers = database.members.filter(
    ({ clusterId, state }) => clusterId !== database.clusterId && state !== 'removed',
  )
  const members = shards.flatMap(({ sync }) => sync.members)
  const released = shards.some(({ sync }) => sync.recoveredWithStates)
  return [
    ['crdt_guid', database.guid],
    ['crdt_config_version', database.epoch ?? 0],
    ['crdt_cluster_id', database.clusterId],
    ['crdt_replid', shards.map(({ runId }) => runId).join(',')],
    ['crdt_slots', '0-16383'],
    ['crdt_clock', greatest(shards, ({ clock }) => clock.lastStamp)],
    ['crdt_ovc', vectorText(shards, ({ sync }) => sync.observed, Math.max)],
    ['crdt_causal_consistency', database.causalConsistency ? 1 : 0],
    ['crdt_peers', peers.length],
    ['crdt_peers_in_sync', peers.filter(({ clusterId }) => stateOf(clusterId, shards) === 'in-sync').length],
    ['crdt_stale', shards.some(({ stale }) => stale) ? 1 : 0],
    ['crdt_stale_released_with_merge', released ? 1 : 0],
    ['crdt_writes_refused', refused],
    ['crdt_intake_paused', shards.some(({ memory }) => memory.intakePaused) ? 1 : 0],
    ['crdt_shards_missing', missingShards.join(',')],
    ['crdt_sync_full', sum(members, ({ fullSyncs }) => fullSyncs)],
    ['crdt_sync_partial_ok', sum(members, ({ partialSyncs }) => partialSyncs)],
    ['crdt_sync_partial-err', sum(members, ({ failedPartialSyncs }) => failedPartialSyncs)],
    ['crdt_effect_reqs', sum(shards, ({ sync }) => sync.appliedRecords)],
    ['crdt_merge_reqs', sum(shards, ({ sync }) => sync.mergedSlotStates)],
    ['crdt_merge_compared', sum(shards, ({ sync }) => sync.comparedSlotStates)],
    ['crdt_ovc_filtered_effect_reqs', sum(shards, ({ sync }) => sync.duplicateRecords)],
    ['crdt_held_records', sum(shards, ({ sync }) => sync.heldRecords)],
    ['crdt_held_bytes', sum(shards, ({ sync }) => sync.heldBytes)],
    ['crdt_held_ms', greatest(members, ({ heldMs }) => heldMs)],
    ['crdt_hold_overflows', sum(shards, ({ sync }) => sync.holdOverflows)],
    ['crdt_gc_pending', sum(shards, ({ residues }) => residues)],
    ['crdt_gc_attempted', sum(shards, ({ residuesJudged }) => residuesJudged)],
    ['crdt_gc_collected', sum(shards, ({ residuesForgotten }) => residuesForgotten)],
    ['crdt_gc_gvc_min', vectorText(shards, ({ sync }) => sync.leastApplied, Math.min)],
    ...peers.map(
      ({ clusterId, name }): InfoField => [
        `crdt_replica_${clusterId}`,
        replicaText(clusterId, name, shards, {
          sent: proxies.sentTo[clusterId],
          pulled: pulledOf(clusterId, host),
        }),
      ],
    ),
  ]
}

/** A stamp for each cluster of which there is any, joined over the shards. */
function vectorText(
  shards: readonly ShardInfo[],
  vectorOf: (shard: ShardInfo) => Readonly<Record<number, number>>,
  join: (...stamps: number[]) => number,
): string {
  const vectors = shards.map(vectorOf)
  const clusters = new Set(vectors.flatMap((vector) => Object.keys(vector).map(Number)))
  return [...clusters]
    .sort((a, b) => a - b)
    .map((id) => `${id}:${join(...vectors.map((vector) => vector[id] ?? 0))}`)
    .join(' ')
}

const membersOf = (clusterId: number, shards: readonly ShardInfo[]): MemberFigures[] =>
  shards.flatMap(({ sync }) => sync.members.filter((member) => member.clusterId === clusterId))

function stateOf(clusterId: number, shards: readonly ShardInfo[]): string {
  const members = membersOf(clusterId, shards)
  if (members.some(({ stale }) => stale)) return 'stale'
  if (members.length < shards.length || members.length === 0) return 'out-of-sync'
  if (!members.every(({ connected }) => connected)) return 'out-of-sync'
  return members.every(({ caughtUp }) => caughtUp) ? 'in-sync' : 'syncing'
}

const nothing: LinkTraffic = { bytes: 0, rawBytes: 0 }

const pulledOf = (clusterId: number, { pulled }: InfoFacts['host']): LinkTraffic | undefined =>
  pulled.find((peer) => peer.clusterId === clusterId)

/** Of one other cluster, over all our shards: sums, and of what is no count the worst. */
function replicaText(
  clusterId: number,
  name: string,
  shards: readonly ShardInfo[],
  { sent = nothing, pulled = nothing }: { sent: LinkTraffic | undefined; pulled: LinkTraffic | undefined },
): string {
  const members = membersOf(clusterId, shards)
  const feeds = shards.flatMap(({ sync }) => sync.feeds.filter(({ peer }) => peer === clusterId))
  const intakes = shards.flatMap(({ sync }) => sync.intakes.filter(({ peer }) => peer === clusterId))
  const isCovered = members.length === shards.length && members.every(({ connected }) => connected)
  const lags = members.map(({ lagOperations }) => lagOperations)
  const figures: readonly (readonly [string, string | number])[] = [
    ['name', name],
    ['state', stateOf(clusterId, shards)],
    ['shards', new Set(intakes.map(({ sourceShard }) => sourceShard)).size],
    ['slot_coverage', isCovered ? 1 : 0],
    ['lag_ms', greatest(members, ({ lagMs }) => lagMs)],
    ['lag_ops', lags.reduce((all, lag) => all + lag, 0)],
    ['max_ops_lag', Math.max(0, ...lags)],
    ['min_ops_lag', lags.length === 0 ? 0 : Math.min(...lags)],
    ['behind_ms', greatest(members, ({ behindMs }) => behindMs)],
    ['heard_ms_ago', greatest(intakes, ({ heardAgoMs }) => Math.round(heardAgoMs))],
    ['held_records', sum(members, ({ heldRecords }) => heldRecords)],
    ['held_ms', greatest(members, ({ heldMs }) => heldMs)],
    ['sync_full', sum(members, ({ fullSyncs }) => fullSyncs)],
    ['sync_partial_ok', sum(members, ({ partialSyncs }) => partialSyncs)],
    ['sync_partial-err', sum(members, ({ failedPartialSyncs }) => failedPartialSyncs)],
    [
      'slot_states_left',
      intakes.reduce((left, one) => left + one.slotStatesPlanned - one.slotStatesTaken, 0),
    ],
    ['intake_paused', intakes.some(({ refusing }) => refusing) ? 1 : 0],
    ['slot_states_owed', sum(feeds, ({ slotStatesOwed }) => slotStatesOwed)],
    ['backlog_bytes', sum(feeds, ({ behindBytes }) => behindBytes)],
    ['inflight_bytes', sum(feeds, ({ inflightBytes }) => inflightBytes)],
    ['received_bytes', sum(members, ({ receivedBytes }) => receivedBytes)],
    ['ingress_bytes', pulled.bytes],
    ['ingress_bytes_decompressed', pulled.rawBytes],
    ['egress_bytes', sent.bytes],
    ['egress_bytes_decompressed', sent.rawBytes],
  ]
  return figures.map(([figure, value]) => `${figure}=${value}`).join(',')
}

const severity: Readonly<Record<ClockFigures['state'], number>> = { ok: 0, degraded: 1, gated: 2 }

export function clockFields({ shards }: InfoFacts): InfoField[] {
  const clocks = shards.map(({ clock }) => clock)
  const [first, ...others] = clocks
  if (first === undefined) return []
  const worst = others.reduce(
    (found, clock) => (severity[clock.state] > severity[found.state] ? clock : found),
    first,
  )
  return [
    ['clock_state', worst.state],
    ['clock_offset_ms', worst.offsetMs],
    ['clock_source', worst.source],
    ['clock_degraded_ms', worst.degradedMs],
    ['clock_gate_ms', worst.gateMs],
    ['clock_stamps_ahead_ms', Math.max(...clocks.map(({ aheadMs }) => Math.round(aheadMs)))],
    ['clock_lease_left_ms', Math.min(...clocks.map(({ leaseLeftMs }) => Math.round(leaseLeftMs)))],
  ]
}
