/**
 * What a shard does unasked: every tick a little of everything, and slices of long work (expiry, eviction, a flush) with
 * pauses in between for as long as there is more to do.
 */
import type { LatencyEventName, LatencyLog } from '#protocol/frames/latency.ts'
import type { Clock, Timers } from '#runtime/ports.ts'
import type { Log } from '#server/log/log.ts'
import type { LossMark } from '#server/log/lossMark.ts'
import type { Snapshots } from '#server/log/snapshots.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Replication } from '#server/sync/replication.ts'
import type { Admin } from './admin.ts'
import type { Execution } from './execution.ts'
import { type Expiry, expiryRestMs } from './expiry.ts'
import type { WriteGates } from './gates.ts'
import type { Lateness } from './lateness.ts'
import type { Link } from './link.ts'
import type { Memory } from './memory.ts'
import type { Requests } from './requests.ts'
import type { Tracking } from './tracking.ts'

const tickMs = 50
const housekeepingMs = 1000
/** Of each tick. */
const compactSliceMs = 1

export interface ChoresParts {
  clock: Clock
  timers: Timers
  db: Keyspace
  log: Log
  execution: Execution
  latency: LatencyLog
  requests: Requests
  expiry: Expiry
  memory: Memory
  gates: WriteGates
  snapshots: Snapshots
  lossMark: LossMark
  lateness: Lateness
  replication: Replication
  admin: Admin
  tracking: Tracking
  /** Before stamps are given. */
  renewLease(nowMs: number): void
  /** Something was written: the turn needs an end. */
  needTurnEnd(): void
  /** There is a reply in the link's outbox. */
  answered(link: Link): void
  isStopped(): boolean
}

export class Chores {
  readonly #parts: ChoresParts
  /** The next slice of expiry doesn't wait for a tick. */
  #isExpiring = false
  #isEvicting = false
  #tickDueMs = 0
  #housekeepingDueMs = 0

  constructor(parts: ChoresParts) {
    this.#parts = parts
  }

  start(): void {
    this.#tickDueMs = this.#parts.clock.monotonicMs() + tickMs
    this.#after(tickMs, () => {
      this.#tick()
      this.start()
    })
  }

  /** Whether there is more to do is seen at the end of that turn. */
  evictSoon(): void {
    if (this.#isEvicting) return
    this.#isEvicting = true
    const { execution, clock, gates, memory, renewLease, needTurnEnd } = this.#parts
    this.#after(0, () => {
      this.#isEvicting = false
      execution.beginStep()
      renewLease(clock.wallMs())
      if (gates.refusal === null) this.#timed('eviction-cycle', () => memory.evict())
      needTurnEnd()
    })
  }

  /** The next slice of a FLUSHALL. */
  flush(): void {
    const { requests, execution, gates, answered, needTurnEnd } = this.#parts
    const more = requests.flush(gates.refusal, answered)
    needTurnEnd()
    if (!more) return
    this.#after(0, () => {
      if (!requests.isFlushing) return
      execution.beginStep()
      this.flush()
    })
  }

  #after(delayMs: number, run: () => void): void {
    const { timers, isStopped } = this.#parts
    timers.after(delayMs, () => {
      if (!isStopped()) run()
    })
  }

  #tick(): void {
    const { clock, lateness, execution, gates, memory, tracking, snapshots, replication } = this.#parts
    const { renewLease, needTurnEnd } = this.#parts
    const nowMs = clock.monotonicMs()
    lateness.note(Math.floor(nowMs - this.#tickDueMs))
    execution.beginStep()
    renewLease(clock.wallMs())
    tracking.expire()
    if (!this.#isExpiring) this.#expire()
    if (gates.refusal === null) this.#timed('eviction-cycle', () => memory.evict())
    this.#compact()
    snapshots.tick()
    if (nowMs >= this.#housekeepingDueMs) {
      this.#housekeepingDueMs = nowMs + housekeepingMs
      this.#keepHouse()
    }
    // So that the lag that INFO tells is not older than a tick.
    replication.wantApplied()
    replication.tick()
    needTurnEnd()
  }

  #timed(event: LatencyEventName, run: () => void): void {
    const { latency, clock } = this.#parts
    const startMs = clock.monotonicMs()
    run()
    latency.note(event, clock.monotonicMs() - startMs, clock.wallMs())
  }

  /** Gives memory that deletes have left behind back to the system, a little at a time. */
  #compact(): void {
    const { clock, db } = this.#parts
    const endMs = clock.monotonicMs() + compactSliceMs
    while (db.compact() && clock.monotonicMs() < endMs);
  }

  #keepHouse(): void {
    const { replication, admin, lossMark, log, memory, expiry, lateness, db, snapshots } = this.#parts
    admin.measureRate()
    lossMark.durable(log.synced)
    log.fitBacklog(memory.sizeBytes)
    expiry.sample()
    lateness.nextPeriod()
    if (replication.stale) return
    db.dropResidues(
      replication.acknowledgements,
      (slot) => !replication.inTransfer(slot) && !snapshots.isCutting(slot),
    )
  }

  #expire(): void {
    const { expiry, gates, execution, needTurnEnd } = this.#parts
    this.#timed('expire-cycle', () => {
      this.#isExpiring = expiry.run(gates.refusal === null)
    })
    needTurnEnd()
    if (!this.#isExpiring) return
    this.#after(expiryRestMs, () => {
      execution.beginStep()
      this.#expire()
    })
  }
}
