/**
 * A run of a stream's entries as bytes (`streamLog.ts`). Ids and stamps are told from the block's first ones on, and an entry
 * whose fields are called like those of the first has values only, so that a usual entry takes its values and some
 * six bytes more.
 *
 *     entry := length varint | id | stamp - first stamp varint | fields          (length: of what follows it)
 *     id    := ms - first ms varint | seq varint, or in a wide block the 16 bytes
 *     fields := 0 | value text*                                                   named as the block's first entry
 *             | count + 1 varint | (name text | value text)*
 */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { idBytes, idFromBytes, idOf, isExact, msOf, type StreamId, seqOf } from '#protocol/sync/streamId.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

export interface StreamEntry {
  readonly id: StreamId
  readonly stamp: Stamp
  /** Names and values in turn. */
  readonly fields: readonly string[]
}

/** A block takes no more entries, or bytes before its last entry. */
const blockEntriesMax = 128
const blockBytesMax = 4096
/** Heap of an empty block. */
const blockBytes = 640

const scratch = new ByteWriter()

export class StreamBlock {
  count = 0
  readonly firstId: StreamId
  /** What is removed later leaves these as they are: bounds, not entries. */
  lastId: StreamId
  lastStamp: Stamp
  readonly #firstStamp: Stamp
  readonly #firstMs: number
  readonly #wide: boolean
  readonly #names: readonly string[]
  #bytes: ByteWriter = new ByteWriter(64)

  constructor(first: StreamEntry) {
    const { id, stamp, fields } = first
    this.firstId = id
    this.lastId = id
    this.lastStamp = stamp
    this.#firstStamp = stamp
    this.#firstMs = msOf(id)
    this.#wide = !isExact(id)
    this.#names = fields.filter((_, at) => at % 2 === 0)
    this.append(first)
  }

  get usedBytes(): number {
    return blockBytes + this.#bytes.bytes.length
  }

  /** Whether another entry with this id may be appended. */
  mayTake(id: StreamId): boolean {
    return this.count < blockEntriesMax && this.#bytes.length < blockBytesMax && (this.#wide || isExact(id))
  }

  /** Behind all that are there. */
  append({ id, stamp, fields }: StreamEntry): void {
    scratch.clear()
    if (this.#wide) scratch.characters(id)
    else {
      scratch.varint(msOf(id) - this.#firstMs)
      scratch.varint(seqOf(id))
    }
    scratch.varint(stamp - this.#firstStamp)
    this.#writeFields(fields)
    this.#bytes.varint(scratch.length)
    this.#bytes.raw(scratch.bytes, 0, scratch.length)
    this.lastId = id
    this.lastStamp = stamp
    this.count++
  }

  #writeFields(fields: readonly string[]): void {
    const names = this.#names
    const same = fields.length === 2 * names.length && names.every((name, at) => name === fields[2 * at])
    scratch.varint(same ? 0 : fields.length / 2 + 1)
    for (let at = same ? 1 : 0; at < fields.length; at += same ? 2 : 1) scratch.text(fields[at] as string)
  }

  /** Gives back what the block has reserved and won't need. */
  seal(): void {
    const exact = new ByteWriter(this.#bytes.length)
    exact.raw(this.#bytes.bytes, 0, this.#bytes.length)
    this.#bytes = exact
  }

  cursor(): EntryCursor {
    return new EntryCursor(this.#bytes, this.#firstMs, this.#firstStamp, this.#wide, this.#names)
  }

  /** Removes the entries that lie at [start, end) of the bytes. */
  cut(start: number, end: number, count: number): void {
    const { bytes, length } = this.#bytes
    bytes.copyWithin(start, end, length)
    this.#bytes.length = length - (end - start)
    this.count -= count
  }
}

/** Goes through the entries of a block from the first to the last, which must stay as they are meanwhile. */
export class EntryCursor {
  /** Of the entry that `next` has stepped on: where it begins and ends. */
  start = 0
  end = 0
  stamp: Stamp = 0
  readonly #reader: ByteReader
  readonly #firstMs: number
  readonly #firstStamp: Stamp
  readonly #wide: boolean
  readonly #names: readonly string[]
  #ms = 0
  #seq = 0
  #idAt = 0
  #fieldsAt = 0

  constructor(
    bytes: ByteWriter,
    firstMs: number,
    firstStamp: Stamp,
    wide: boolean,
    names: readonly string[],
  ) {
    this.#reader = new ByteReader(bytes.bytes, 0, bytes.length)
    this.#firstMs = firstMs
    this.#firstStamp = firstStamp
    this.#wide = wide
    this.#names = names
  }

  /** Steps on the next entry; false: there is none. */
  next(): boolean {
    const reader = this.#reader
    this.start = this.end
    reader.at = this.end
    if (reader.atEnd) return false
    const length = reader.varint()
    this.end = reader.at + length
    if (this.#wide) {
      this.#idAt = reader.at
      reader.skip(idBytes)
    } else {
      this.#ms = this.#firstMs + reader.varint()
      this.#seq = reader.varint()
    }
    this.stamp = this.#firstStamp + reader.varint()
    this.#fieldsAt = reader.at
    return true
  }

  /** Steps on the entry that begins there. */
  seek(start: number): void {
    this.end = start
    this.next()
  }

  get id(): StreamId {
    return this.#wide ? idFromBytes(this.#reader.bytes, this.#idAt) : idOf(this.#ms, this.#seq)
  }

  /** Less than 0: the entry's id is less than `id`. */
  compare(id: StreamId): number {
    if (this.#wide) return this.id < id ? -1 : this.id === id ? 0 : 1
    // Beyond 2^53 the doubles of `id` are not exact, but greater than what is here.
    return this.#ms - msOf(id) || this.#seq - seqOf(id)
  }

  get entry(): StreamEntry {
    return { id: this.id, stamp: this.stamp, fields: this.fields }
  }

  get fields(): string[] {
    const reader = this.#reader
    reader.at = this.#fieldsAt
    const fields: string[] = []
    let left = reader.varint()
    if (left === 0) {
      for (const name of this.#names) fields.push(name, reader.text())
      return fields
    }
    while (--left > 0) fields.push(reader.text(), reader.text())
    return fields
  }
}
