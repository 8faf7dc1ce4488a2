/** How often each kind of error was replied, by its code, as INFO errorstats tells it. */

/** Kinds that are told apart; the rest are one. Scripts make codes up. */
const kindsMax = 128
const others = 'OTHER'
/** Of a code. */
const lengthMax = 64

export class ErrorCounts {
  total = 0
  readonly #byCode = new Map<string, number>()

  get all(): Record<string, number> {
    return Object.fromEntries(this.#byCode)
  }

  /** `text` starts with its code. */
  count(text: string): void {
    this.total++
    const space = text.indexOf(' ')
    const code = text.slice(0, space < 0 ? lengthMax : Math.min(space, lengthMax))
    const kind = this.#byCode.has(code) || this.#byCode.size < kindsMax ? code : others
    this.#byCode.set(kind, (this.#byCode.get(kind) ?? 0) + 1)
  }

  clear(): void {
    this.total = 0
    this.#byCode.clear()
  }
}
