/** One life of a simulated process: its clock, its timers, and its end. After `kill` nothing of it runs any more. */
import type { Clock, Timers } from '#runtime/ports.ts'
import type { EventQueue } from './eventQueue.ts'

export const worldStartMs = Date.UTC(2026, 2, 1)

/** The wall clock of a node; it outlives processes, may be off, drift, and be stepped. */
export class SimClock {
  readonly #events: EventQueue
  offsetMs = 0
  /** Parts per million by which it runs too fast. */
  readonly driftPpm: number

  constructor(events: EventQueue, offsetMs = 0, driftPpm = 0) {
    this.#events = events
    this.offsetMs = offsetMs
    this.driftPpm = driftPpm
  }

  wallMs(): number {
    return Math.floor(worldStartMs + this.offsetMs + this.#events.nowMs * (1 + this.driftPpm / 1e6))
  }
}

export class SimProcess implements Clock, Timers {
  readonly name: string
  readonly events: EventQueue
  readonly #clock: SimClock
  /** Looks at the process after whatever happened to it. */
  afterRun: () => void = () => {}
  readonly #onKill: (() => void)[] = []
  #alive = true
  #turnEnd: (() => void)[] = []
  #ending = false

  constructor(name: string, events: EventQueue, clock: SimClock) {
    this.name = name
    this.events = events
    this.#clock = clock
  }

  get alive(): boolean {
    return this.#alive
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  monotonicMs(): number {
    return this.events.nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    // As in Node: no timer is shorter.
    return this.post(Math.max(1, delayMs), run)
  }

  /** Something from outside reaches the process in a while, if it still lives then. */
  post(delayMs: number, run: () => void): () => void {
    return this.events.after(delayMs, () => this.run(run))
  }

  atTurnEnd(run: () => void): void {
    this.#turnEnd.push(run)
    if (this.#ending) return
    this.#ending = true
    this.post(0, () => this.#endTurn())
  }

  /** Something happens to the process, if it still lives. */
  run(act: () => void): void {
    if (!this.#alive) return
    act()
    if (this.#alive) this.afterRun()
  }

  /** Its sockets, and whoever watches it, want to know. */
  onKill(act: () => void): void {
    this.#onKill.push(act)
  }

  kill(): void {
    if (!this.#alive) return
    this.#alive = false
    for (const act of this.#onKill) act()
  }

  #endTurn(): void {
    const ending = this.#turnEnd
    this.#turnEnd = []
    this.#ending = false
    for (const run of ending) run()
  }
}
