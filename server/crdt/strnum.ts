/**
 * STRNUM, the value of a string or of a hash field: a register with a counter on top (`DESIGN.md`). A numeric text, or none,
 * is the base that the counter adds to; any other text shows alone and the counter is silent until the next reset. SET
 * resets the increments it saw, so that `SET 5 || SET 7 || INCR` is 8.
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import type { Amount } from './amount.ts'
import { addAmounts, formatAmount, parseAmount } from './amount.ts'
import { CountedRegister } from './countedRegister.ts'
import { isCounting, total } from './counter.ts'
import { Sibling } from './register.ts'

const strnumBytes = 80
/** Without its characters. */
const siblingBytes = 80
const entryBytes = 150

export class Strnum extends CountedRegister<Sibling, Amount> {
  /** On the heap, about. */
  get usedBytes(): number {
    let texts = 0
    for (const { text } of this.siblings) texts += siblingBytes + text.length
    return strnumBytes + texts + this.entries.length * entryBytes
  }

  /** undefined: absent. */
  shown(): string | undefined {
    const text = this.siblings.at(-1)?.text
    if (this.entries.length === 0 || !isCounting(this.entries)) return text
    const base = text === undefined ? 0 : parseAmount(text)
    return base === undefined ? text : formatAmount(addAmounts(base, total(this.entries)))
  }

  /** Of the write with this stamp, if it has not been covered. */
  textWrittenAt(stamp: Stamp): string | undefined {
    return this.siblings.find((sibling) => sibling.stamp === stamp)?.text
  }

  /** The same with `patch` in it from `offset` on, and zeros before that where it was shorter. */
  textPatched(stamp: Stamp, offset: number, patch: string): string | undefined {
    const text = this.textWrittenAt(stamp)
    if (text === undefined) return undefined
    return text.slice(0, offset).padEnd(offset, '\0') + patch + text.slice(offset + patch.length)
  }

  /** A TTL write has covered what `context` covers: those siblings no longer stand for "no TTL". */
  setTtlApart(context: VersionVector): void {
    for (const sibling of this.siblings) if (covers(context, sibling.stamp)) sibling.ttlApart = true
  }

  protected override joined(a: Sibling, b: Sibling): Sibling {
    return new Sibling(a.stamp, a.text, a.ttlApart || b.ttlApart)
  }
}

/** What is merged with a value that one side doesn't have. */
export const noStrnum = new Strnum()
