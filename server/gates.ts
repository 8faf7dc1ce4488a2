/**
 * Why writes are refused, when they are. Reads always go on: what is here is right, it just may not be added to. The first
 * reason in the order below is the one that is told.
 *
 * - This cluster is not, or not yet, or not much longer a member of the database.
 * - The data was lost: an operation of this shard now could take a place in a chain that a lost one has.
 * - The clock is off: its stamps would win every conflict, or lose every one.
 * - The disk takes nothing: what is answered with OK could be gone after a crash.
 */

import type { MemberState } from '#protocol/sync/member.ts'
import type { DiskError } from '#runtime/ports.ts'

/** What the clock monitor says of this node's clock. */
export interface ClockVerdict {
  state: 'ok' | 'degraded' | 'gated'
  offsetMs: number
  source: string
  degradedMs: number
  gateMs: number
}

export const trustedClock: ClockVerdict = {
  state: 'ok',
  offsetMs: 0,
  source: '',
  degradedMs: 100,
  gateMs: 1000,
}

export class WriteGates {
  readonly #shardIndex: number
  /** The error that a write gets now; null: writes are taken. Looked at for each write. */
  refusal: string | null = null
  #member: MemberState = 'active'
  #stale = false
  #clock: ClockVerdict = trustedClock
  #logFailure: DiskError | null = null
  #leaseFailure: DiskError | null = null

  constructor(shardIndex: number) {
    this.#shardIndex = shardIndex
  }

  get clock(): ClockVerdict {
    return this.#clock
  }

  get diskFails(): boolean {
    return this.#logFailure !== null || this.#leaseFailure !== null
  }

  setMember(state: MemberState): void {
    this.#member = state
    this.#judge()
  }

  setStale(stale: boolean): void {
    this.#stale = stale
    this.#judge()
  }

  setClock(clock: ClockVerdict): void {
    this.#clock = clock
    this.#judge()
  }

  setLogFailure(failure: DiskError | null): void {
    this.#logFailure = failure
    this.#judge()
  }

  setLeaseFailure(failure: DiskError | null): void {
    this.#leaseFailure = failure
    this.#judge()
  }

  /** What a write gets that was executed but could not be logged. */
  get unloggedText(): string {
    return `${this.#diskText()}; this write is not durable yet and may be lost`
  }

  #judge(): void {
    if (this.#member !== 'active') this.refusal = memberTexts[this.#member]
    else if (this.#stale) this.refusal = staleText
    else if (this.#clock.state === 'gated') this.refusal = clockText(this.#clock)
    else if (this.diskFails) this.refusal = `${this.#diskText()}; writes are refused until it works again`
    else this.refusal = null
  }

  #diskText(): string {
    const failure = this.#logFailure ?? this.#leaseFailure
    const what = this.#logFailure === null ? 'the clock lease' : 'the log'
    // One line: it is an error reply.
    const message = failure?.message.replace(/[\r\n]+/g, ' ') ?? ''
    const advice = failure?.code === 'ENOSPC' ? 'free space on its disk' : 'check its disk'
    return `MISCONF Errors writing ${what} of shard ${this.#shardIndex}: ${message}; ${advice}`
  }
}

const memberTexts: Readonly<Record<Exclude<MemberState, 'active'>, string>> = {
  joining:
    'JOINING this cluster joins the database and is getting its data from the other members; writes are refused until it has them',
  removing: 'REMOVING this cluster is being removed from the database; write to another member',
  removed:
    'REMOVED this cluster was removed from the database; what it has can be read, but not be written, until it is purged',
}

const staleText =
  'STALE this shard lost its data and is getting it back from its peers; writes are refused until all of them have answered'

function clockText({ offsetMs, source, gateMs }: ClockVerdict): string {
  const from = source === '' ? 'its reference' : source.replace(/[\r\n]+/g, ' ')
  return `CLOCKSKEW clock is off by ${Math.round(Math.abs(offsetMs))} ms from ${from}; writes are refused until it is within ${gateMs} ms`
}
