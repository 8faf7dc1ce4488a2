/** How late the event loop is: what a tick notices of turns that took too long. */
import type { Logger } from '#runtime/ports.ts'

/** A turn that was late by more is told. */
const lateWarnMs = 100

export class Lateness {
  readonly #logger: Logger
  readonly #onLate: (lateMs: number) => void
  #greatestMs = 0
  #greatestBeforeMs = 0

  constructor(logger: Logger, onLate: (lateMs: number) => void) {
    this.#logger = logger
    this.#onLate = onLate
  }

  /** The worst of the last two periods. */
  get recentMs(): number {
    return Math.max(this.#greatestMs, this.#greatestBeforeMs)
  }

  note(lateMs: number): void {
    this.#onLate(lateMs)
    if (lateMs > this.#greatestMs) this.#greatestMs = lateMs
    if (lateMs > lateWarnMs) this.#logger.warn({ lateMs }, 'a turn took too long')
  }

  nextPeriod(): void {
    this.#greatestBeforeMs = this.#greatestMs
    this.#greatestMs = 0
  }
}
