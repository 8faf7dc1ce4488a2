/**
 * Bytes of counters, for slot states and effects, whatever they add up. Versioned as `stateCodec.ts` is; every count, stamp and
 * sum is checked when read.
 *
 *     increment := varint (last - from) | sum       `last` being known
 *     reset     := last f64 | increment
 *     baseline  := last f64 | sum | stamp f64
 */
import { readStamp } from '#protocol/sync/record.ts'
import { originOf, type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type Amount, readAmount, writeAmount } from './amount.ts'
import { type CounterEntry, type CounterReset, type ElementReset, noResets } from './counter.ts'
import { readCount, readDouble, requireAscending } from './stateCodec.ts'

class CounterCodec<Sum extends Amount> {
  readonly #writeSum: (writer: ByteWriter, sum: Sum) => void
  readonly #readSum: (reader: ByteReader) => Sum

  constructor(writeSum: (writer: ByteWriter, sum: Sum) => void, readSum: (reader: ByteReader) => Sum) {
    this.#writeSum = writeSum
    this.#readSum = readSum
  }

  writeIncrement(writer: ByteWriter, last: Stamp, from: Stamp, sum: Sum): void {
    writer.varint((last - from) / stampStep)
    this.#writeSum(writer, sum)
  }

  writeReset(writer: ByteWriter, { last, from, sum }: CounterReset<Sum>): void {
    writer.f64(last)
    this.writeIncrement(writer, last, from, sum)
  }

  readReset(reader: ByteReader): CounterReset<Sum> {
    const last = readStamp(reader)
    const from = readFrom(reader, last)
    return { last, from, sum: this.#readSum(reader) }
  }

  /** Of an entry that has one. */
  writeBaseline(writer: ByteWriter, entry: CounterEntry<Sum>): void {
    writer.f64(entry.resetLast)
    this.#writeSum(writer, entry.resetSum as Sum)
    writer.f64(entry.resetStamp)
  }

  readBaseline(reader: ByteReader, entry: CounterEntry<Sum>): void {
    entry.resetLast = readStamp(reader)
    entry.resetSum = this.#readSum(reader)
    entry.resetStamp = readStamp(reader)
    if (originOf(entry.resetLast) !== entry.origin) throw new FormatError('baseline of another origin')
  }

  /** count u8, then each. */
  writeResets(writer: ByteWriter, resets: readonly CounterReset<Sum>[]): void {
    writer.u8(resets.length)
    for (const reset of resets) this.writeReset(writer, reset)
  }

  readResets(reader: ByteReader): readonly CounterReset<Sum>[] {
    const count = readCount(reader)
    if (count === 0) return noResets
    const resets: CounterReset<Sum>[] = []
    for (let left = count; left > 0; left--) resets.push(this.readReset(reader))
    requireAscending(resets.map((reset) => originOf(reset.last)))
    return resets
  }

  /** count varint, then name and resets of each. */
  writeElementResets(writer: ByteWriter, all: readonly ElementReset<Sum>[]): void {
    writer.varint(all.length)
    for (const { element, resets } of all) {
      writer.text(element)
      this.writeResets(writer, resets)
    }
  }

  readElementResets(reader: ByteReader): ElementReset<Sum>[] {
    const all: ElementReset<Sum>[] = []
    for (let count = reader.varint(); count > 0; count--) {
      const element = reader.text()
      all.push({ element, resets: this.readResets(reader) })
    }
    return all
  }
}

/** Of strings and of hashes' fields. */
export const amountCounters = new CounterCodec<Amount>(writeAmount, readAmount)
/** Of sorted sets' members. */
export const scoreCounters = new CounterCodec<number>((writer, sum) => writer.f64(sum), readDouble)

/** Since when an entry has added, of one whose last stamp is known. */
export function readFrom(reader: ByteReader, last: Stamp): Stamp {
  const from = last - reader.varint() * stampStep
  if (from <= 0) throw new FormatError('counter entry from before the epoch')
  return from
}
