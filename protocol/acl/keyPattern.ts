/** A pattern of keys or channels that a selector allows. */
import { globMatches } from '#protocol/commands/globPattern.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'

export class Pattern {
  readonly text: string
  /** The bytes before the only `*`, which is the last one; -1: the pattern says more than that. */
  readonly #prefixLength: number

  constructor(text: string) {
    this.text = text
    this.#prefixLength = /^[^*?[\\]*\*$/.test(text) ? text.length - 1 : -1
  }

  /** Whether it matches the bytes [start, end). Of no bytes only the empty pattern, as Redis has it: a star does not. */
  matches(bytes: Uint8Array, start: number, end: number): boolean {
    if (start === end) return this.text === ''
    const length = this.#prefixLength
    if (length < 0) return globMatches(this.text, latin1(bytes, start, end))
    if (end - start < length) return false
    for (let i = 0; i < length; i++) if (bytes[start + i] !== this.text.charCodeAt(i)) return false
    return true
  }
}

export interface KeyAccess {
  readonly reads: boolean
  readonly writes: boolean
}

export class KeyPattern implements KeyAccess {
  readonly pattern: Pattern
  readonly reads: boolean
  readonly writes: boolean

  constructor(pattern: Pattern, { reads, writes }: KeyAccess) {
    this.pattern = pattern
    this.reads = reads
    this.writes = writes
  }

  /** As a rule; a star alone would mean `allkeys`, behind which there may be no more patterns. */
  get text(): string {
    const { reads, writes } = this
    const isUsual = reads && writes && this.pattern.text !== '*'
    const access = isUsual ? '' : `%${reads ? 'R' : ''}${writes ? 'W' : ''}`
    return `${access}~${this.pattern.text}`
  }

  allows({ reads, writes }: KeyAccess): boolean {
    return (this.reads || !reads) && (this.writes || !writes)
  }
}
