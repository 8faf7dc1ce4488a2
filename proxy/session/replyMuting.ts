/** CLIENT REPLY: which replies a client does not want. */

export type ReplyMode = 'on' | 'off' | 'skip'

export class ReplyMuting {
  #isOff = false
  /** So many replies are not sent. */
  #skipped = 0

  get isOn(): boolean {
    return this.#isOff || this.#skipped > 0
  }

  set(mode: ReplyMode): void {
    // SKIP is not answered either.
    if (mode !== 'skip') this.#isOff = mode === 'off'
    else if (!this.#isOff) this.#skipped = 2
    if (mode === 'on') this.#skipped = 0
  }

  /** A reply is not sent. */
  pass(): void {
    if (!this.#isOff) this.#skipped--
  }
}
