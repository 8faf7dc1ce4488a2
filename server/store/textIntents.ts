/** What commands change within strings, as part of a transaction. Handlers have looked at the key and its type, and checked bounds. */
import { copyBytes, grownCopy } from '#runtime/bytes/bytes.ts'
import { TypeBit } from '#server/crdt/keyState.ts'
import { HashIntents } from './hashIntents.ts'

const noBytes = new Uint8Array(0)

export type Expiry = { kind: 'clear' } | { kind: 'keep' } | { kind: 'at'; atMs: number }

export abstract class TextIntents extends HashIntents {
  /** Rule B1: where none shows the write itself stands for "none". */
  protected keepsTtl(expireAtMs: number): boolean {
    return expireAtMs !== Number.POSITIVE_INFINITY
  }

  /** SET of bytes, which must stay as they are until `finish`. */
  abstract setStringBytes(name: string, value: Uint8Array, expiry: Expiry): void

  /**
   * Whether a change of so many bytes is sent as a patch of the value: a long one that a single write left, in no conflict, with at most
   * one TTL write.
   */
  patches(name: string, changedBytes: number): boolean {
    const { tables } = this.keyspace
    const ref = tables.findText(name)
    if (ref === 0 || !tables.isLongText(ref) || tables.hasExpired(ref)) return false
    tables.readText(ref)
    return tables.textEnd - tables.textStart - changedBytes >= tables.patchedBytesMin
  }

  /**
   * APPEND, SETRANGE, SETBIT, BITFIELD: the bytes [start, end) from `offset` on, and zeros before them where the string was shorter. By
   * its meaning it is a write of the whole value that leaves the TTL. The bytes must stay as they are until `finish`.
   */
  patchString(name: string, offset: number, bytes: Uint8Array, start = 0, end = bytes.length): void {
    if (!this.patches(name, end - start)) {
      const value = grownCopy(this.keyspace.stringBytes(name) ?? noBytes, offset + end - start)
      copyBytes(value, offset, bytes, start, end)
      this.setStringBytes(name, value, { kind: 'keep' })
      return
    }
    const { tables } = this.keyspace
    this.open(name, TypeBit.string)
    const ref = tables.findText(name)
    const base = tables.stamp(ref)
    const keepsTtl = this.keepsTtl(tables.expireAt(ref))
    this.write((sink, stamp) => sink.patchText(stamp, name, base, keepsTtl, offset, bytes, start, end))
  }
}
