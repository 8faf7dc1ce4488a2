import type { Published } from '#protocol/pubsub/messages.ts'
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import type { Answer, Heartbeat, Plan, StaleRun } from '#protocol/sync/message.ts'
import type { Origin } from '#protocol/sync/stamp.ts'
import type { Intake } from './intake.ts'
import type { Relays } from './relays.ts'

/** What an intake tells the replication it belongs to. */
export interface IntakeOwner {
  readonly own: Origin
  readonly relays: Relays
  readonly nowMs: number
  readonly runId: string
  readonly stale: boolean
  readonly staleRuns: readonly StaleRun[]
  readonly joinedStates: number
  /** Something of a slot is asked for, mostly as an operation waits for it. */
  asked(intake: Intake, slot: number, answer: Answer): void
  /** The source owes slot states: `sendStates` is to be called when it is its turn. */
  statesDue(intake: Intake): void
  /** All that came have been taken, or no more will come. */
  statesEnd(intake: Intake): void
  /** The vector of the slot has risen by operations that will never be records here. */
  merged(slot: number, sender: Origin): void
  /** The source has answered a subscribe. */
  planned(intake: Intake, plan: Plan): void
  /** `sourceRefusing` has changed. */
  sourceTurned(intake: Intake): void
  heard(intake: Intake, heartbeat: Heartbeat, proves: boolean): void
  refused(intake: Intake, reason: string): void
  /** A client of the source has published a message. */
  published(published: Published): void
}

export interface IntakeOptions {
  peer: Origin
  /** Which shard of the peer it is, for logs and acknowledgements. */
  sourceShard: number
  ranges: readonly SlotRange[]
  /** Bit o: operations of origin o are wanted. */
  origins: number
  /** Of one slot. */
  slotStateBytesMax: number
}
