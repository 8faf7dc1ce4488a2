/** How late the event loop is: what a tick notices of turns that took too long. */
import type { Logger } from '#runtime/ports.ts'

/** A turn that was late by more is told. */
const lateWarnMs = 100

export class Lateness {
  readonly #logger: Logger
  #greatestMs = 0
  #greatestBeforeMs = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** The worst of the last two periods. */
  get recentMs(): number {
    return Math.max(this.#greatestMs, this.#greatestBeforeMs)
  }

  note(lateMs: number): void {
    if (lateMs > this.#greatestMs) this.#greatestMs = lateMs
    if (lateMs > lateWarnMs) this.#logger.warn({ lateMs }, 'a turn took too long')
  }

  nextPeriod(): void {
    this.#greatestBeforeMs = this.#greatestMs
    this.#greatestMs = 0
  }
}
