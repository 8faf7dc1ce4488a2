/** What a shard's replication is given when it starts. */
import type { Published } from '#protocol/pubsub/messages.ts'
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import type { ClusterId } from '#protocol/sync/stamp.ts'
import type { Clock, Logger, Timers } from '#runtime/ports.ts'
import type { DeliveryRule } from './gate.ts'
import type { Intake } from './intake.ts'
import type { Membership } from './membership.ts'

export interface SyncLimits {
  /** Sent on a channel and not acknowledged yet; at most one message more. */
  linkInflightBytesMax: number
  /** Records that wait for an operation they depend on, of all channels. */
  holdQueueBytesMax: number
}

export interface SyncTimings {
  heartbeatMs: number
  /** Without a heartbeat for so long, or for that of several, a member counts as cut off and the others relay its operations. */
  linkDownMs: number
  /** A record held for longer asks its sender for what holds it up. */
  holdMs: number
  /** Operations whose stamp is further ahead of the wall clock are held. */
  futureHoldMs: number
}

export interface ReplicationOptions {
  clusterId: ClusterId
  membership: Membership
  ranges: readonly SlotRange[]
  /** Of this process; another one after every start. */
  runId: string
  /**
   * The data was lost, or has never been here because the cluster joins: it must come from the members before anything may
   * be written.
   */
  stale: boolean
  /** Peers are told of operations of other clusters, too. */
  causalConsistency: boolean
  limits: SyncLimits
  timings: SyncTimings
}

export interface ReplicationPorts {
  clock: Clock
  timers: Timers
  logger: Logger
  /** All members have answered: from now on writes may be accepted. */
  onRecovered(): void
  /** What members are known to have applied, or who is one, has changed. */
  onProgress(): void
  /** A client of a member has published a message. */
  onPublished(published: Published): void
}

/** What the simulation varies: sizes, and parts that it replaces by wrong ones to see that it notices. */
export interface ReplicationVariations {
  slotStatePartBytes?: number
  /** What is cut of a slot in one step. */
  cutBytes?: number
  /** Steps of taking slot states in one slice, and the pause between slices. */
  workSteps?: number
  workPauseMs?: number
  slotStateBytesMax?: number
  delivery?: DeliveryRule
  newIntake?: (...of: ConstructorParameters<typeof Intake>) => Intake
}

/** What the shard does with a channel that is open. */
export interface ChannelEnd {
  receive(bytes: Uint8Array, start: number, end: number): void
  /** The other side, or the connection, is gone. */
  closed(): void
}
