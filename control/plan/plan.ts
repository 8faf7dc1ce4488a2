/**
 * What to do next, given the processes that should run and those that do. Level-triggered: the same question may be
 * asked at any time and any number of times, and an answer that was lost or carried out twice does no harm.
 *
 * A process that ends is started again at once. One that ends again before it has served for `stableMs` has something
 * wrong with it, and each such end doubles the pause before the next start.
 */

export interface SupervisionPolicy {
  restartMinMs: number
  restartMaxMs: number
  stableMs: number
  silentMs: number
  drainMs: number
}

export interface DesiredProcess {
  id: string
  /** Those of rank 0 stop first when everything stops; the next rank begins when the one before is gone. */
  stopRank: number
  /** Whether it reports regularly, so that silence means that it hangs. */
  reports: boolean
}

export interface Desired {
  processes: readonly DesiredProcess[]
  /** Since when everything is to stop; null: it is to run. */
  stoppingSinceMs: number | null
}

/**
 * `uncertain`: an agent before this one was about to start it, and may have; it would report soon.
 * `stopping`: it was asked to end. `killed`: it was not asked, and the system will tell when it is gone.
 */
export type ProcessState = 'ended' | 'uncertain' | 'running' | 'stopping' | 'killed'

export interface ObservedProcess {
  id: string
  state: ProcessState
  /** Since when it is in this state. */
  sinceMs: number
  /** Last sign of life; of use while it runs. */
  reportedMs: number
  /** How often in a row it ended before it had served for `stableMs`. */
  earlyEnds: number
}

export type Step =
  | { do: 'start'; id: string }
  | { do: 'terminate'; id: string }
  | { do: 'kill'; id: string; because: 'silent' | 'slow to stop' }

export interface Plan {
  steps: Step[]
  /** When to ask again if nothing happens before; null: only when something happens. */
  againInMs: number | null
  /** Everything was to stop and has. */
  stopped: boolean
}

/** How long a process of which only the intention to start it is known may take to report. */
export const uncertainMs = 2_000

export function restartPauseMs(earlyEnds: number, policy: SupervisionPolicy): number {
  if (earlyEnds <= 1) return 0
  // The exponent is bounded, or the power would be infinite one day.
  return Math.min(policy.restartMaxMs, policy.restartMinMs * 2 ** Math.min(30, earlyEnds - 2))
}

export function plan(
  desired: Desired,
  observed: readonly ObservedProcess[],
  nowMs: number,
  policy: SupervisionPolicy,
): Plan {
  const result: Plan = { steps: [], againInMs: null, stopped: false }
  const seen = new Map(observed.map((process) => [process.id, process]))
  const wanted = new Map(desired.processes.map((process) => [process.id, process]))
  if (desired.stoppingSinceMs === null) {
    for (const process of desired.processes) planRunning(process, seen.get(process.id), nowMs, policy, result)
    for (const process of observed)
      if (!wanted.has(process.id)) planEnd(process, nowMs, policy.drainMs, result)
  } else planStop(wanted, observed, desired.stoppingSinceMs, nowMs, policy, result)
  return result
}

function planRunning(
  desired: DesiredProcess,
  observed: ObservedProcess | undefined,
  nowMs: number,
  policy: SupervisionPolicy,
  result: Plan,
): void {
  const { id } = desired
  const start = () => result.steps.push({ do: 'start', id })
  switch (observed?.state) {
    case undefined:
      start()
      break
    case 'uncertain':
      whenDue(observed.sinceMs + uncertainMs, nowMs, result, start)
      break
    case 'ended':
      whenDue(observed.sinceMs + restartPauseMs(observed.earlyEnds, policy), nowMs, result, start)
      break
    case 'running':
      if (!desired.reports) break
      whenDue(observed.reportedMs + policy.silentMs, nowMs, result, () =>
        result.steps.push({ do: 'kill', id, because: 'silent' }),
      )
      break
    case 'stopping':
    case 'killed':
      // Wanted again while it stops: it is started when it is gone.
      planEnd(observed, nowMs, policy.drainMs, result)
      break
  }
}

/** Asks a process to end and, when that takes too long, ends it. */
function planEnd(process: ObservedProcess, nowMs: number, withinMs: number, result: Plan): void {
  const { id, state, sinceMs } = process
  if (state === 'running') result.steps.push({ do: 'terminate', id })
  else if (state === 'stopping') {
    whenDue(sinceMs + withinMs, nowMs, result, () =>
      result.steps.push({ do: 'kill', id, because: 'slow to stop' }),
    )
  }
}

/** Stops rank after rank; each rank has an equal share of the time. What might have been started is waited for. */
function planStop(
  wanted: ReadonlyMap<string, DesiredProcess>,
  observed: readonly ObservedProcess[],
  sinceMs: number,
  nowMs: number,
  policy: SupervisionPolicy,
  result: Plan,
): void {
  const rankOf = (process: ObservedProcess) => wanted.get(process.id)?.stopRank ?? 0
  const living = observed.filter((process) => mayLive(process, nowMs, result))
  result.stopped = living.length === 0
  const rank = Math.min(...living.map(rankOf))
  const rankCount = 1 + Math.max(0, ...[...wanted.values()].map(({ stopRank }) => stopRank))
  const deadlineMs = sinceMs + (policy.drainMs * (rank + 1)) / rankCount
  for (const process of living) {
    if (rankOf(process) !== rank) continue
    if (process.state === 'running') result.steps.push({ do: 'terminate', id: process.id })
    else if (process.state === 'stopping') {
      whenDue(deadlineMs, nowMs, result, () =>
        result.steps.push({ do: 'kill', id: process.id, because: 'slow to stop' }),
      )
    }
  }
}

function mayLive({ state, sinceMs }: ObservedProcess, nowMs: number, result: Plan): boolean {
  if (state !== 'uncertain') return state !== 'ended'
  let lives = true
  whenDue(sinceMs + uncertainMs, nowMs, result, () => {
    lives = false
  })
  return lives
}

function whenDue(dueMs: number, nowMs: number, result: Plan, act: () => void): void {
  const waitMs = dueMs - nowMs
  if (waitMs <= 0) act()
  else result.againInMs = Math.min(result.againInMs ?? waitMs, waitMs)
}
