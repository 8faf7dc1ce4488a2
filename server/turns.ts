/**
 * Turns of a shard, and their end: what the turn has done goes into the log, then the replies may leave, at once or when the log is
 * durable up to them. Durability rests on this order. When the log can't be written the replies to the turn's writes are
 * turned into errors: the change is in memory and will be logged when the disk works again, but nobody was told so.
 */
import type { LatencyLog } from '#protocol/frames/latency.ts'
import type { Clock, Timers } from '#runtime/ports.ts'
import type { Log } from '#server/log/log.ts'
import type { Replication } from '#server/sync/replication.ts'
import type { CommandTiming } from './commandTiming.ts'
import type { WriteGates } from './gates.ts'
import type { Link } from './link.ts'
import type { Notifications } from './notifications.ts'
import type { Tracking } from './tracking.ts'

/** So many bytes for the log don't wait for the turn's end. */
const earlyLogBytes = 4 * 1024 * 1024

export interface TurnParts {
  log: Log
  gates: WriteGates
  timing: CommandTiming
  tracking: Tracking
  notifications: Notifications
  latency: LatencyLog
  clock: Clock
  timers: Timers
  /** Null before the shard is open. */
  replication(): Replication | null
  /** Stamps leave the process with the log; false: they must not. */
  coverStamps(): boolean
  /** What is to be done before a turn ends. */
  beforeEnd(): void
}

export class Turns {
  readonly #parts: TurnParts
  /** With something to seal or send. */
  readonly #busyLinks = new Set<Link>()
  readonly #end = (): void => {
    this.#parts.beforeEnd()
    this.commit()
  }
  #endsSoon = false
  #isStopped = false

  constructor(parts: TurnParts) {
    this.#parts = parts
  }

  /** There is something in the link's outbox. */
  hasOutput(link: Link): void {
    this.#busyLinks.add(link)
    this.needEnd()
  }

  /** Something has been done that others are to hear of. */
  needEnd(): void {
    if (this.#endsSoon || this.#isStopped) return
    this.#endsSoon = true
    this.#parts.timers.atTurnEnd(this.#end)
  }

  /** No turn ends any more by itself. */
  stop(): void {
    this.#isStopped = true
  }

  forget(link: Link): void {
    this.#busyLinks.delete(link)
  }

  /** The link's outbox or what the log has not got may have become too large to wait for the turn's end. */
  commitIfFull(link: Link): void {
    const { log } = this.#parts
    if (link.outbox.isFull || log.end - log.written > earlyLogBytes) this.commitEarly(link)
  }

  commitEarly(link: Link): void {
    // Who is told of a slow request is told before its reply leaves.
    this.#parts.timing.end()
    this.#busyLinks.add(link)
    this.commit()
  }

  commit(): void {
    const { log, gates, tracking, notifications, replication, coverStamps } = this.#parts
    // Feeds that have something to say while this turn ends say it now, not in another one.
    this.#endsSoon = true
    tracking.deliverAll()
    const isLogged = coverStamps() && this.#flushLog()
    if (isLogged) notifications.send()
    else for (const link of this.#busyLinks) link.outbox.refuseUnlogged(gates.unloggedText)
    const position = log.persistence === 'always' ? log.written : 0
    for (const link of this.#busyLinks) link.outbox.seal(position)
    replication()?.pump()
    for (const link of this.#busyLinks) link.release(log.synced)
    this.#busyLinks.clear()
    this.#endsSoon = false
  }

  #flushLog(): boolean {
    const { log, latency, clock } = this.#parts
    if (latency.thresholdMs === 0 || log.end === log.written) return log.flush()
    const startMs = clock.monotonicMs()
    const isLogged = log.flush()
    latency.note('aof-write', clock.monotonicMs() - startMs, clock.wallMs())
    return isLogged
  }
}
