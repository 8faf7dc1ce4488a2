/** What INFO says of the other clusters (section `crdt`) and of the clock (section `clock`). */
import type { ClockFigures, ShardInfo } from '#protocol/frames/admin.ts'
import type { InfoFacts, InfoField } from './info.ts'

const sum = (shards: readonly ShardInfo[], figure: (shard: ShardInfo) => number): number =>
  shards.reduce((total, shard) => total + figure(shard), 0)

export function crdtFields({ host, shards, missingShards }: InfoFacts): InfoField[] {
  const { database } = host.config
  const refused = shards.find(({ writesRefused }) => writesRefused !== null)?.writesRefused ?? ''
  return [
    ['crdt_guid', database.guid],
    ['crdt_cluster_id', database.clusterId],
    ['crdt_slots', '0-16383'],
    ['crdt_causal_consistency', database.causalConsistency ? 1 : 0],
    ['crdt_stale', shards.some(({ stale }) => stale) ? 1 : 0],
    ['crdt_writes_refused', refused],
    ['crdt_intake_paused', shards.some(({ memory }) => memory.intakePaused) ? 1 : 0],
    ['crdt_shards_missing', missingShards.join(',')],
    ['crdt_effect_reqs', sum(shards, ({ sync }) => sync.appliedRecords)],
    ['crdt_merge_reqs', sum(shards, ({ sync }) => sync.mergedSlotStates)],
    ['crdt_ovc_filtered_effect_reqs', sum(shards, ({ sync }) => sync.duplicateRecords)],
    ['crdt_held_records', sum(shards, ({ sync }) => sync.heldRecords)],
    ['crdt_held_bytes', sum(shards, ({ sync }) => sync.heldBytes)],
    ['crdt_hold_overflows', sum(shards, ({ sync }) => sync.holdOverflows)],
    ['crdt_gc_pending', sum(shards, ({ residues }) => residues)],
    ...database.members
      .filter(({ clusterId }) => clusterId !== database.clusterId)
      .map(
        ({ clusterId, name }): InfoField => [`crdt_member_${clusterId}`, memberText(clusterId, name, shards)],
      ),
  ]
}

/** Of one other cluster, over all our shards: the worst of each figure. */
function memberText(clusterId: number, name: string, shards: readonly ShardInfo[]): string {
  const members = shards.flatMap(({ sync }) =>
    sync.members.filter((member) => member.clusterId === clusterId),
  )
  const feeds = shards.flatMap(({ sync }) => sync.feeds.filter(({ peer }) => peer === clusterId))
  const intakes = shards.flatMap(({ sync }) => sync.intakes.filter(({ peer }) => peer === clusterId))
  const isComplete = members.length === shards.length && shards.length > 0
  const figures: readonly (readonly [string, string | number])[] = [
    ['name', name],
    ['connected', isComplete && members.every(({ connected }) => connected) ? 1 : 0],
    ['caught_up', isComplete && members.every(({ caughtUp }) => caughtUp) ? 1 : 0],
    ['heard_ms_ago', Math.max(0, ...intakes.map(({ heardAgoMs }) => Math.round(heardAgoMs)))],
    [
      'slot_states_left',
      intakes.reduce((left, one) => left + one.slotStatesPlanned - one.slotStatesTaken, 0),
    ],
    ['feeds', feeds.length],
    ['behind_bytes', feeds.reduce((bytes, { behindBytes }) => bytes + behindBytes, 0)],
    ['inflight_bytes', feeds.reduce((bytes, { inflightBytes }) => bytes + inflightBytes, 0)],
    ['slot_states_owed', feeds.reduce((owed, { slotStatesOwed }) => owed + slotStatesOwed, 0)],
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
