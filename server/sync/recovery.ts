/**
 * Getting lost data back. A shard whose data is lost is STALE (rules A11-A15, D1): it has given operations and acknowledgements
 * to the peers that it doesn't know any more. It takes no writes until every member has answered a stale subscribe and
 * everything in the answers is applied here; it asks for the operations of all origins, its own among them. Who answers it
 * first fences its former life (`Replication.fence`). If one of those who answer is itself STALE, all others are asked once more, because what it
 * relayed to them before its own loss may not be in their answers; with the question they are told of that loss, and
 * fence it too.
 *
 * A cluster that joins gets its data in the same way: it has no former life.
 */
import type { SlotRange } from '#protocol/slots/slotMap.ts'
import type { Plan, StaleRun } from '#protocol/sync/message.ts'
import { type ClusterId, clusterOfOrigin, type Origin, originOfCluster } from '#protocol/sync/stamp.ts'
import type { Intake } from './intake.ts'
import { rangesCover } from './slotSet.ts'

export class Recovery {
  readonly #own: Origin
  readonly #ranges: readonly SlotRange[]
  readonly #intakes: ReadonlySet<Intake>
  #stale: boolean
  /** Stale runs of other members that have answered while this shard is stale. */
  readonly #staleRuns = new Map<string, StaleRun>()
  /** The last time that lost data came back slot states were among it. */
  withStates = false

  constructor(own: Origin, ranges: readonly SlotRange[], intakes: ReadonlySet<Intake>, stale: boolean) {
    this.#own = own
    this.#ranges = ranges
    this.#intakes = intakes
    this.#stale = stale
  }

  get stale(): boolean {
    return this.#stale
  }

  get staleRuns(): readonly StaleRun[] {
    return [...this.#staleRuns.values()]
  }

  /** A member has answered. */
  planned(intake: Intake, plan: Plan): void {
    if (!this.#stale || !plan.stale || this.#staleRuns.has(plan.runId)) return
    this.#staleRuns.set(plan.runId, { clusterId: clusterOfOrigin(intake.peer), runId: plan.runId })
    for (const other of this.#intakes) if (other.peer !== intake.peer) other.subscribe()
  }

  /** Whether all that these members had when they were last asked is applied here. */
  haveAnswered(members: readonly ClusterId[]): boolean {
    return this.covers(members, ({ caughtUp }) => caughtUp)
  }

  /** Whether it holds for channels of each of these members, for all slots. */
  covers(members: readonly ClusterId[], holds: (intake: Intake) => boolean): boolean {
    for (const member of members.map(originOfCluster)) {
      if (member === this.#own) continue
      const found = [...this.#intakes].filter((intake) => intake.peer === member && holds(intake))
      const ranges = found.map((intake) => intake.ranges)
      if (!rangesCover(this.#ranges, ranges)) return false
    }
    return true
  }

  /** True: with the answers of these members, which are all, it has just ended. */
  ends(members: readonly ClusterId[]): boolean {
    if (!this.#stale || !this.haveAnswered(members)) return false
    this.#stale = false
    this.withStates = [...this.#intakes].some(({ slotStatesTaken }) => slotStatesTaken > 0)
    this.#staleRuns.clear()
    return true
  }
}
