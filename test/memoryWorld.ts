/**
 * Time and event-loop turns by hand, for tests of one or a few state machines. Nothing happens until `settle` or
 * `advance` is called, and then always in the same order.
 */
import type { Clock, Timers } from '#runtime/ports.ts'

interface Timer {
  dueMs: number
  run: () => void
}

const tasksMax = 1_000_000

export class MemoryWorld implements Clock, Timers {
  /** Wall clock minus monotonic clock; a test may step it. */
  wallOffsetMs = Date.UTC(2026, 0, 1)
  #nowMs = 0
  #timers: Timer[] = []
  #tasks: (() => void)[] = []
  #turnEnd: (() => void)[] = []

  wallMs(): number {
    return Math.floor(this.#nowMs + this.wallOffsetMs)
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  atTurnEnd(run: () => void): void {
    this.#turnEnd.push(run)
  }

  /** Something that the outside does: runs in the next `settle`, before the turn's end. */
  post(task: () => void): void {
    this.#tasks.push(task)
  }

  /** Runs turns until nothing is left to do at this time. */
  settle(): void {
    for (let count = 0; this.#tasks.length > 0 || this.#turnEnd.length > 0; count++) {
      if (count > tasksMax) throw new Error('the world does not come to rest')
      const task = this.#tasks.shift()
      if (task !== undefined) {
        task()
        continue
      }
      const ending = this.#turnEnd
      this.#turnEnd = []
      for (const run of ending) run()
    }
  }

  /** Work that is running takes time. */
  spend(durationMs: number): void {
    this.#nowMs += durationMs
  }

  /** Lets `durationMs` pass, timer by timer. */
  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs
    this.settle()
    for (;;) {
      const next = this.#timers.reduce<Timer | null>(
        (first, timer) => (first === null || timer.dueMs < first.dueMs ? timer : first),
        null,
      )
      if (next === null || next.dueMs > endMs) break
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      this.#timers = this.#timers.filter((timer) => timer !== next)
      next.run()
      this.settle()
    }
    this.#nowMs = Math.max(this.#nowMs, endMs)
  }

  get timerCount(): number {
    return this.#timers.length
  }
}
