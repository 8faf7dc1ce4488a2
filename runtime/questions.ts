/** Questions on their way over a link, each with a number that its answer brings back. */
export class Questions {
  readonly #withinMs: number
  readonly #startTimer: (run: () => void, delayMs: number) => unknown
  readonly #waiting = new Map<number, (answer: unknown) => void>()
  #last = 0

  constructor(withinMs: number, startTimer: (run: () => void, delayMs: number) => unknown) {
    this.#withinMs = withinMs
    this.#startTimer = startTimer
  }

  /** Returns the number; `answered` is called once, with null when no answer comes in time. */
  ask(answered: (answer: unknown) => void): number {
    const id = ++this.#last
    this.#waiting.set(id, answered)
    this.#startTimer(() => this.answer(id, null), this.#withinMs)
    return id
  }

  answer(id: number, answer: unknown): void {
    const answered = this.#waiting.get(id)
    this.#waiting.delete(id)
    answered?.(answer)
  }
}
