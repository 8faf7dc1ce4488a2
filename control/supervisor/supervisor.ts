/**
 * Keeps the wanted processes running: carries out what `control/plan` says, again and again. It takes over processes
 * that an earlier supervisor started; of those it learns the end by looking, not from the system.
 */
import {
  type DesiredProcess,
  type ObservedProcess,
  type Plan,
  type ProcessState,
  plan,
  type Step,
  type SupervisionPolicy,
} from '#control/plan/plan.ts'
import type { Clock, Logger, Timers } from '#runtime/ports.ts'
import type { PidRecord } from './pidFile.ts'
import type { EndText, ProcessHost, ProcessSpec } from './processHost.ts'

/** How often an adopted process is looked at. */
const adoptedLookMs = 100

export interface WantedProcess extends ProcessSpec, DesiredProcess {}

/** A process as the outside may see it. */
export interface ProcessFacts {
  id: string
  state: ProcessState | 'starting'
  pid: number | null
  /** Starts by this supervisor, beyond the first. */
  restarts: number
  sinceMs: number
  lastEnd: EndText | null
}

interface Entry {
  id: string
  state: ProcessState
  record: PidRecord | null
  sinceMs: number
  /** It was started or taken over. */
  startedMs: number
  reportedMs: number
  /** It has come to us since it was started or taken over. */
  claimed: boolean
  /** Since when it serves. */
  readyMs: number | null
  earlyEnds: number
  starts: number
  /** Started by an earlier supervisor. */
  adopted: boolean
  lastEnd: EndText | null
}

export interface SupervisorPorts {
  host: ProcessHost
  clock: Clock
  timers: Timers
  logger: Logger
}

export class Supervisor {
  policy: SupervisionPolicy
  readonly #ports: SupervisorPorts
  readonly #entries = new Map<string, Entry>()
  #wanted: readonly WantedProcess[] = []
  #stoppingSinceMs: number | null = null
  #onStopped: (() => void) | null = null
  #cancelTimer: () => void = () => {}

  constructor(policy: SupervisionPolicy, ports: SupervisorPorts) {
    this.policy = policy
    this.#ports = ports
  }

  /** Takes over what an earlier supervisor has left. Call it first. */
  adopt(): void {
    const { host, logger } = this.#ports
    for (const record of host.records()) {
      const entry = this.#entry(record.id)
      if (record.pid === 0) this.#enter(entry, 'uncertain')
      else if (host.isAlive(record)) {
        this.#take(entry, record)
        logger.info({ process: record.id, pid: record.pid }, 'took over a running process')
      } else host.forget(record.id)
    }
  }

  /** Sets what is to run. Processes that run and are not in the list are stopped. */
  want(processes: readonly WantedProcess[]): void {
    this.#wanted = processes
    for (const { id, reports } of processes) {
      const entry = this.#entries.get(id)
      if (!reports && entry?.state === 'running') entry.readyMs ??= entry.startedMs
    }
    this.reconcile()
  }

  /** A process says that it is there. Whether it may be believed: false for a second process of one id. */
  claim(id: string, record: PidRecord): boolean {
    const entry = this.#entry(id)
    if (entry.record?.pid === record.pid) {
      entry.claimed = true
      entry.reportedMs = this.#nowMs()
      return true
    }
    if (entry.record !== null) {
      this.#ports.logger.error(
        { process: id, pid: record.pid, known: entry.record?.pid },
        'a second process of this name has reported; it is not accepted',
      )
      return false
    }
    this.#take(entry, record)
    entry.claimed = true
    this.#ports.logger.warn({ process: id, pid: record.pid }, 'took over a process that was not recorded')
    this.reconcile()
    return true
  }

  /** A process gave a sign of life. */
  reported(id: string): void {
    const entry = this.#entries.get(id)
    if (entry !== undefined) entry.reportedMs = this.#nowMs()
  }

  /** A process serves. */
  ready(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.readyMs !== null) return
    entry.readyMs = this.#nowMs()
    this.#ports.logger.info(
      { process: id, afterMs: Math.round(entry.readyMs - entry.sinceMs) },
      'process is ready',
    )
  }

  /** Stops everything, then calls `done`. */
  stop(done: () => void): void {
    this.#stoppingSinceMs ??= this.#nowMs()
    this.#onStopped = done
    this.reconcile()
  }

  /** Looks at once whether an adopted process still lives: its connection has ended. */
  look(): void {
    for (const entry of this.#entries.values()) {
      if (!entry.adopted || entry.record === null || this.#ports.host.isAlive(entry.record)) continue
      this.#ended(entry, 'found gone')
    }
    this.reconcile()
  }

  /** Those that are wanted in their order, then others that still run. */
  processes(): ProcessFacts[] {
    const places = new Map(this.#wanted.map(({ id }, place) => [id, place]))
    const placeOf = ({ id }: Entry) => places.get(id) ?? places.size
    const entries = [...this.#entries.values()].sort((a, b) => placeOf(a) - placeOf(b))
    return entries.map(({ id, state, record, starts, sinceMs, lastEnd, readyMs }) => ({
      id,
      state: state === 'running' && readyMs === null ? 'starting' : state,
      pid: record?.pid ?? null,
      restarts: Math.max(0, starts - 1),
      sinceMs,
      lastEnd,
    }))
  }

  reconcile(): void {
    this.#cancelTimer()
    let next = this.#plan()
    // Every step changes the state that it was planned for, so this ends.
    while (next.steps.length > 0) {
      for (const step of next.steps) this.#carryOut(step)
      next = this.#plan()
    }
    if (next.stopped) {
      const done = this.#onStopped
      this.#onStopped = null
      done?.()
      return
    }
    const { againInMs } = next
    const watches = [...this.#entries.values()].some(({ adopted }) => adopted)
    const waitMs = watches ? Math.min(adoptedLookMs, againInMs ?? adoptedLookMs) : againInMs
    if (waitMs !== null) this.#cancelTimer = this.#ports.timers.after(waitMs, () => this.look())
  }

  #plan(): Plan {
    const desired = { processes: this.#wanted, stoppingSinceMs: this.#stoppingSinceMs }
    const nowMs = this.#nowMs()
    const observed = [...this.#entries.values()].map((entry): ObservedProcess => {
      // A process that has come and does not serve yet may read for long, and tells nothing meanwhile.
      const prepares = entry.claimed && entry.readyMs === null
      return { ...entry, reportedMs: prepares ? nowMs : entry.reportedMs }
    })
    return plan(desired, observed, nowMs, this.policy)
  }

  #carryOut(step: Step): void {
    const { host, logger } = this.#ports
    const entry = this.#entry(step.id)
    if (step.do === 'start') {
      this.#start(entry)
      return
    }
    const facts = { process: entry.id, pid: entry.record?.pid }
    if (step.do === 'kill') logger.warn({ ...facts, because: step.because }, 'killing a process')
    this.#enter(entry, step.do === 'kill' ? 'killed' : 'stopping')
    if (entry.record !== null) host.signal(entry.record, step.do === 'kill' ? 'SIGKILL' : 'SIGTERM')
  }

  #start(entry: Entry): void {
    const spec = this.#wanted.find(({ id }) => id === entry.id)
    if (spec === undefined) return
    entry.starts++
    entry.adopted = false
    const record = this.#ports.host.start(spec, (how) => {
      if (entry.record !== record) return
      this.#ended(entry, how)
      this.reconcile()
    })
    entry.record = record
    entry.startedMs = this.#nowMs()
    entry.reportedMs = entry.startedMs
    entry.claimed = false
    entry.readyMs = spec.reports ? null : entry.startedMs
    this.#enter(entry, 'running')
    this.#ports.logger.info({ process: entry.id, pid: record.pid, starts: entry.starts }, 'started a process')
  }

  #ended(entry: Entry, how: EndText): void {
    const { logger, host } = this.#ports
    const nowMs = this.#nowMs()
    const facts = {
      process: entry.id,
      pid: entry.record?.pid,
      how,
      livedMs: Math.round(nowMs - entry.startedMs),
    }
    const wanted = this.#stoppingSinceMs === null && entry.state === 'running'
    if (wanted) {
      const servedMs = entry.readyMs === null ? 0 : nowMs - entry.readyMs
      entry.earlyEnds = servedMs >= this.policy.stableMs ? 0 : entry.earlyEnds + 1
      logger.warn({ ...facts, earlyEnds: entry.earlyEnds }, 'a process ended')
    } else {
      entry.earlyEnds = 0
      logger.info(facts, 'a process stopped')
    }
    host.forget(entry.id)
    entry.lastEnd = how
    entry.record = null
    entry.adopted = false
    entry.readyMs = null
    this.#enter(entry, 'ended')
  }

  #take(entry: Entry, record: PidRecord): void {
    entry.record = record
    entry.adopted = true
    entry.startedMs = this.#nowMs()
    entry.reportedMs = entry.startedMs
    entry.starts = Math.max(1, entry.starts)
    this.#enter(entry, 'running')
  }

  #enter(entry: Entry, state: ProcessState): void {
    entry.state = state
    entry.sinceMs = this.#nowMs()
  }

  #entry(id: string): Entry {
    let entry = this.#entries.get(id)
    if (entry === undefined) {
      entry = {
        id,
        state: 'ended',
        record: null,
        sinceMs: this.#nowMs(),
        startedMs: this.#nowMs(),
        reportedMs: this.#nowMs(),
        claimed: false,
        readyMs: null,
        earlyEnds: 0,
        starts: 0,
        adopted: false,
        lastEnd: null,
      }
      this.#entries.set(id, entry)
    }
    return entry
  }

  #nowMs(): number {
    return this.#ports.clock.monotonicMs()
  }
}
