/**
 * The times to live of a hash's fields: of each field the TTL writes that no later write has covered (`ttl.ts`), and when it
 * expires by them. Few hashes have any; those have one of these beside their fields.
 *
 * Which fields have passed is asked often, so their times lie in a heap. A time that is no longer a field's is passed over
 * when it comes up; when most are such, the heap is built anew.
 */
import { noTtlWrites, type TtlWrites } from './ttl.ts'

interface FieldTtl {
  writes: TtlWrites
  /** Infinity: it doesn't, or there is no such field. */
  expireAtMs: number
  /** The field has no value: a write that is under way may still need the TTL. */
  isGhost: boolean
}

interface Hint {
  readonly atMs: number
  readonly name: string
}

const never = Number.POSITIVE_INFINITY
const ttlBytes = 300
/** Hints above twice the fields, before the heap is built anew. */
const excessMax = 64

export class FieldTtls {
  /** Fields without a value. */
  ghosts = 0
  readonly #fields: Map<string, FieldTtl> = new Map()
  /** No hint is before its parent, at half its place. */
  #hints: Hint[] = []

  get size(): number {
    return this.#fields.size
  }

  /** On the heap, about. */
  get usedBytes(): number {
    return this.#fields.size * ttlBytes
  }

  names(): IterableIterator<string> {
    return this.#fields.keys()
  }

  has(name: string): boolean {
    return this.#fields.has(name)
  }

  writes(name: string): TtlWrites {
    return this.#fields.get(name)?.writes ?? noTtlWrites
  }

  /** Infinity: never. */
  expireAtMs(name: string): number {
    return this.#fields.get(name)?.expireAtMs ?? never
  }

  /** Without writes the field is forgotten. */
  set(name: string, writes: TtlWrites, expireAtMs: number, isGhost: boolean): void {
    const old = this.#fields.get(name)
    if (old?.isGhost) this.ghosts--
    if (writes.length === 0) {
      this.#fields.delete(name)
      return
    }
    if (isGhost) this.ghosts++
    this.#fields.set(name, { writes, expireAtMs, isGhost })
    if (expireAtMs !== never && expireAtMs !== old?.expireAtMs) this.#hint({ atMs: expireAtMs, name })
  }

  forgetGhosts(): void {
    if (this.ghosts === 0) return
    for (const [name, { isGhost }] of this.#fields) if (isGhost) this.#fields.delete(name)
    this.ghosts = 0
  }

  /** When the first field expires; Infinity: none does. */
  soonestMs(): number {
    for (;;) {
      const first = this.#hints[0]
      if (first === undefined) return never
      if (this.#isTrue(first)) return first.atMs
      this.#removeFirst()
    }
  }

  /** Fields whose time has passed. */
  passed(nowMs: number): Set<string> {
    const names = new Set<string>()
    this.#visit(0, nowMs, names)
    return names
  }

  /** Whether a field that expires has not yet. */
  hasUnpassed(nowMs: number): boolean {
    for (const { expireAtMs, isGhost } of this.#fields.values())
      if (!isGhost && nowMs <= expireAtMs) return true
    return false
  }

  #visit(at: number, nowMs: number, names: Set<string>): void {
    const hint = this.#hints[at]
    if (hint === undefined || nowMs <= hint.atMs) return
    if (this.#isTrue(hint)) names.add(hint.name)
    this.#visit(2 * at + 1, nowMs, names)
    this.#visit(2 * at + 2, nowMs, names)
  }

  #isTrue({ atMs, name }: Hint): boolean {
    return this.#fields.get(name)?.expireAtMs === atMs
  }

  #hint(hint: Hint): void {
    if (this.#hints.length >= 2 * this.#fields.size + excessMax) {
      const kept = this.#hints.filter((old) => this.#isTrue(old))
      this.#hints = []
      for (const old of kept) this.#push(old)
    }
    this.#push(hint)
  }

  #push(hint: Hint): void {
    const hints = this.#hints
    let at = hints.length
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = hints[parentAt] as Hint
      if (parent.atMs <= hint.atMs) break
      hints[at] = parent
      at = parentAt
    }
    hints[at] = hint
  }

  #removeFirst(): void {
    const hints = this.#hints
    const hint = hints.pop()
    if (hint === undefined || hints.length === 0) return
    let at = 0
    for (;;) {
      let childAt = 2 * at + 1
      const right = hints[childAt + 1]
      if (right !== undefined && right.atMs < (hints[childAt] as Hint).atMs) childAt++
      const child = hints[childAt]
      if (child === undefined || child.atMs >= hint.atMs) break
      hints[at] = child
      at = childAt
    }
    hints[at] = hint
  }
}
