/** A hash some of whose fields have expired, as clients see it: without them, whether they are deleted yet or not. */
import type { Random } from '#runtime/ports.ts'
import type { HashState } from '#server/crdt/hash.ts'
import type { HashView } from './views.ts'

/** Draws of a random field before the first visible one is taken. */
const drawsMax = 64

export class UnexpiredFields implements HashView {
  readonly #hash: HashState
  readonly #nowMs: number

  constructor(hash: HashState, nowMs: number) {
    this.#hash = hash
    this.#nowMs = nowMs
  }

  #shows(field: string): boolean {
    return this.#nowMs <= this.#hash.expireAtMs(field)
  }

  get size(): number {
    return this.#hash.size - this.#hash.passed(this.#nowMs).size
  }

  get(field: string): string | undefined {
    return this.#shows(field) ? this.#hash.get(field) : undefined
  }

  has(field: string): boolean {
    return this.#shows(field) && this.#hash.has(field)
  }

  expireAtMs(field: string): number {
    return this.#hash.expireAtMs(field)
  }

  *entries(): IterableIterator<[string, string]> {
    for (const entry of this.#hash.entries()) if (this.#shows(entry[0])) yield entry
  }

  *fields(): IterableIterator<string> {
    for (const field of this.#hash.fields()) if (this.#shows(field)) yield field
  }

  randomField(random: Random): string {
    for (let draw = 0; draw < drawsMax; draw++) {
      const field = this.#hash.randomField(random)
      if (this.#shows(field)) return field
    }
    // Nearly all have expired.
    for (const field of this.fields()) return field
    return ''
  }

  scan(position: number, count: number, visit: (field: string, value: string) => void): number {
    return this.#hash.scan(position, count, (field, value) => {
      if (this.#shows(field)) visit(field, value)
    })
  }
}
