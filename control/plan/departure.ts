/**
 * How the members of a database part with one of them: what the coordinator knows, and what it asks next. Pure; the answers
 * come from the shards (`server/sync/membership.ts` has the steps and why they are so).
 *
 * In order, the member itself reports what it has, for it writes no more. Forced, every survivor reports what it has of the
 * member, after it has blocked it, and F is the greatest of it per slot. Then all are asked whether they have F exactly, in
 * sweeps: it is done when every one said yes in the same sweep, and none has started again since its report (rule A15).
 */
import type { Stamp } from '#protocol/sync/stamp.ts'

/** Of all shards of a cluster together. */
export interface DepartureReport {
  /** Run ids of the shards: other ones mean that what they said before is void. */
  runs: string
  /** By slot; null: some shard can't say yet. */
  slots: ReadonlyMap<number, Stamp> | null
}

export interface DepartureReached {
  runs: string
  reached: boolean
}

export type DepartureStep =
  | { ask: 'report'; of: readonly number[] }
  | { ask: 'reached'; of: readonly number[]; final: ReadonlyMap<number, Stamp> }
  | { ask: 'nothing'; final: ReadonlyMap<number, Stamp> }

export class Departure {
  readonly #reporters: readonly number[]
  readonly #witnesses: readonly number[]
  readonly #reports = new Map<number, DepartureReport>()
  readonly #reached = new Set<number>()
  #final: ReadonlyMap<number, Stamp> | null = null

  /** Cluster ids: whose reports make F, and who must have it. */
  constructor(reporters: readonly number[], witnesses: readonly number[]) {
    this.#reporters = reporters
    this.#witnesses = witnesses
  }

  /** Without answers to the last step it is the same again. */
  get step(): DepartureStep {
    const { final } = this
    if (final === null) return { ask: 'report', of: this.#reporters.filter((id) => !this.#reports.has(id)) }
    const of = this.#witnesses.filter((id) => !this.#reached.has(id))
    return of.length === 0 ? { ask: 'nothing', final } : { ask: 'reached', of, final }
  }

  /** Null: not everybody has reported. */
  get final(): ReadonlyMap<number, Stamp> | null {
    if (this.#final === null && this.#reporters.every((id) => this.#reports.has(id)))
      this.#final = greatest([...this.#reports.values()])
    return this.#final
  }

  takeReport(clusterId: number, report: DepartureReport): void {
    if (report.slots !== null && this.#reporters.includes(clusterId)) this.#reports.set(clusterId, report)
  }

  takeReached(clusterId: number, { runs, reached }: DepartureReached): void {
    const report = this.#reports.get(clusterId)
    if (report !== undefined && this.hasRestarted(report.runs, runs)) {
      this.#startOver()
      return
    }
    if (reached) this.#reached.add(clusterId)
    // What the only one who knows reported is not the end of it.
    else if (this.#reporters.length === 1 && report !== undefined) this.#startOver()
    else this.#reached.clear()
  }

  protected hasRestarted(before: string, now: string): boolean {
    return before !== now
  }

  #startOver(): void {
    this.#reports.clear()
    this.#reached.clear()
    this.#final = null
  }
}

function greatest(reports: readonly DepartureReport[]): ReadonlyMap<number, Stamp> {
  const final = new Map<number, Stamp>()
  for (const { slots } of reports) {
    for (const [slot, stamp] of slots ?? []) if (stamp > (final.get(slot) ?? 0)) final.set(slot, stamp)
  }
  return final
}
