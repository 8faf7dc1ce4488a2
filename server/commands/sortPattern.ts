/**
 * The patterns behind BY and GET of SORT: the element takes the place of the first `*`, and what that names is a string, or
 * with `->field` behind it a field of a hash. `#` is the element itself.
 */
import { slotOfKey } from '#protocol/slots/crc16.ts'
import type { Keyspace } from '#server/store/keyspace.ts'

const element = '#'
const arrow = '->'

export class SortPattern {
  readonly #isElement: boolean
  /** -1: it names nothing. */
  readonly #starAt: number
  readonly #before: string
  readonly #after: string
  /** null: the key is a string. */
  readonly #field: string | null

  constructor(text: string) {
    this.#isElement = text === element
    this.#starAt = text.indexOf('*')
    // A name that ends with an arrow is a name.
    const arrowAt = text.indexOf(arrow, this.#starAt + 1)
    const hasField = this.#starAt >= 0 && arrowAt >= 0 && arrowAt + arrow.length < text.length
    const nameEnd = hasField ? arrowAt : text.length
    this.#before = text.slice(0, this.#starAt)
    this.#after = text.slice(this.#starAt + 1, nameEnd)
    this.#field = hasField ? text.slice(arrowAt + arrow.length) : null
  }

  /** Nothing depends on the element: as BY it leaves all in the order in which they are. */
  get isConstant(): boolean {
    return this.#starAt < 0
  }

  /** Whether all keys that it can name lie in the slot: a hash tag before the `*` sees to that. */
  staysIn(slot: number): boolean {
    if (this.isConstant) return true
    const open = this.#before.indexOf('{')
    const close = this.#before.indexOf('}', open + 1)
    return open >= 0 && close > open + 1 && slotOfKey(this.#before) === slot
  }

  /** What it says of an element; undefined: there is no such thing. */
  of(db: Keyspace, text: string): string | undefined {
    if (this.#isElement) return text
    if (this.isConstant) return undefined
    const key = this.#before + text + this.#after
    const type = db.use(key)
    if (this.#field === null) return type === 'string' ? db.string(key) : undefined
    return type === 'hash' ? db.hash(key)?.get(this.#field) : undefined
  }
}
