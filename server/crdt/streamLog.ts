/**
 * The entries that one origin has added to a stream, in the order of their ids. That is the order of their stamps, too: an
 * origin gives each entry an id above all that are alive there, and what is alive elsewhere of its entries is part of that.
 * So what a context covers is the front of a log, and DEL and XTRIM cut it off.
 */
import { readStamp } from '#protocol/sync/record.ts'
import { type Origin, originOf, type Stamp } from '#protocol/sync/stamp.ts'
import { maxId, minId, type StreamId } from '#protocol/sync/streamId.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { writeTexts } from './stateCodec.ts'
import { type EntryCursor, StreamBlock, type StreamEntry } from './streamBlock.ts'
import { readFields } from './streamEffect.ts'
import { readStreamId, writeStreamId } from './streamIdCodec.ts'

/** Of a merge in steps: looked at, and removed. */
const stepEntries = 512
const stepRemovals = 64

export class StreamLog {
  size = 0
  /** On the heap and beside it. */
  usedBytes = 0
  #blocks: StreamBlock[] = []

  /** Of the last entry. */
  get lastId(): StreamId {
    for (const entry of this.rangeReversed(minId, maxId)) return entry.id
    return minId
  }

  /** Nearly always behind all that are there. */
  add(entry: StreamEntry): void {
    const last = this.#blocks.at(-1)
    if (last === undefined || (entry.id > last.lastId && entry.stamp >= last.lastStamp)) this.#append(entry)
    else this.#insert(entry)
  }

  #append(entry: StreamEntry): void {
    const last = this.#blocks.at(-1)
    if (last?.mayTake(entry.id)) {
      const before = last.usedBytes
      last.append(entry)
      this.usedBytes += last.usedBytes - before
    } else {
      if (last !== undefined) this.#seal(last)
      const block = new StreamBlock(entry)
      this.#blocks.push(block)
      this.usedBytes += block.usedBytes
    }
    this.size++
  }

  /**
   * A snapshot may hold later operations already of those that are replayed on it, or what they have left. So an entry can
   * be there, or be dead: when one that came later has a lesser id. Then it is left out.
   */
  #insert(entry: StreamEntry): void {
    const at = Math.max(0, this.#blockOf(entry.id))
    const old = this.#blocks[at] as StreamBlock
    const entries: StreamEntry[] = []
    for (const cursor = old.cursor(); cursor.next(); ) entries.push(cursor.entry)
    const found = entries.findIndex(({ id }) => id >= entry.id)
    const place = found === -1 ? entries.length : found
    const previousStamp = entries[place - 1]?.stamp ?? this.#blocks[at - 1]?.lastStamp ?? 0
    if (entries[place]?.id === entry.id || previousStamp > entry.stamp) return
    entries.splice(place, 0, entry)
    const blocks = blocksOf(entries)
    this.#blocks.splice(at, 1, ...blocks)
    for (const block of blocks) this.usedBytes += block.usedBytes
    this.usedBytes -= old.usedBytes
    this.size++
  }

  #seal(block: StreamBlock): void {
    const before = block.usedBytes
    block.seal()
    this.usedBytes += block.usedBytes - before
  }

  // ---- reading

  /** Entries with ids in [from, to], ascending. */
  *range(from: StreamId, to: StreamId): IterableIterator<StreamEntry> {
    for (const cursor of this.#cursors(this.#blockOf(from))) {
      if (cursor.compare(from) < 0) continue
      if (cursor.compare(to) > 0) return
      yield cursor.entry
    }
  }

  /** The same from the last to the first. */
  *rangeReversed(from: StreamId, to: StreamId): IterableIterator<StreamEntry> {
    for (let at = this.#blockOf(to); at >= 0; at--) {
      const block = this.#blocks[at] as StreamBlock
      if (block.lastId < from) return
      const starts: number[] = []
      const cursor = block.cursor()
      while (cursor.next())
        if (cursor.compare(from) >= 0 && cursor.compare(to) <= 0) starts.push(cursor.start)
      for (let last = starts.length - 1; last >= 0; last--) {
        cursor.seek(starts[last] as number)
        yield cursor.entry
      }
    }
  }

  /** All entries, from the block at `from` on. */
  *#cursors(from: number): IterableIterator<EntryCursor> {
    for (let at = Math.max(0, from); at < this.#blocks.length; at++) {
      const cursor = (this.#blocks[at] as StreamBlock).cursor()
      while (cursor.next()) yield cursor
    }
  }

  entries(): IterableIterator<EntryCursor> {
    return this.#cursors(0)
  }

  /** How many entries have lesser ids. */
  countBelow(id: StreamId): number {
    const at = this.#blockOf(id)
    let count = 0
    for (let before = 0; before < at; before++) count += (this.#blocks[before] as StreamBlock).count
    const cursor = this.#blocks[at]?.cursor()
    while (cursor?.next() && cursor.compare(id) < 0) count++
    return count
  }

  /** Ids among which the entries lie, a block of them at most between two. */
  bounds(): StreamId[] {
    return this.#blocks.map(({ firstId }) => firstId)
  }

  /** The last block that begins at or before `id`; -1: none does. */
  #blockOf(id: StreamId): number {
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#blocks[middle] as StreamBlock).firstId <= id) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  // ---- removal

  /** Removes the entry with this id, if its stamp is at most `covered`. */
  remove(id: StreamId, covered: Stamp): void {
    const at = this.#blockOf(id)
    const block = this.#blocks[at]
    if (block === undefined) return
    const cursor = block.cursor()
    while (cursor.next()) {
      const order = cursor.compare(id)
      if (order < 0) continue
      if (order === 0 && cursor.stamp <= covered) this.#cut(at, cursor.start, cursor.end, 1)
      return
    }
  }

  /** Removes the entries with ids up to `upto` whose stamps are at most `covered`. */
  trim(upto: StreamId, covered: Stamp): void {
    let gone = 0
    for (const block of this.#blocks) {
      if (block.lastId > upto || block.lastStamp > covered) break
      this.size -= block.count
      this.usedBytes -= block.usedBytes
      gone++
    }
    if (gone > 0) this.#blocks.splice(0, gone)
    const first = this.#blocks[0]
    if (first === undefined || first.firstId > upto) return
    let count = 0
    let end = 0
    const cursor = first.cursor()
    while (cursor.next() && cursor.compare(upto) <= 0 && cursor.stamp <= covered) {
      count++
      end = cursor.end
    }
    if (count > 0) this.#cut(0, 0, end, count)
  }

  #cut(at: number, start: number, end: number, count: number): void {
    const block = this.#blocks[at] as StreamBlock
    this.size -= count
    if (count < block.count) {
      block.cut(start, end, count)
      return
    }
    this.usedBytes -= block.usedBytes
    this.#blocks.splice(at, 1)
  }

  // ---- merge

  /**
   * The join of two logs of one origin: of which each side has seen all up to its stamp. Whoever has seen more has all
   * entries; of those that the other has seen as well, one that only one side has is removed. Neither may be used afterwards.
   */
  static *merging(mine: StreamLog, own: Stamp, theirs: StreamLog, label: Stamp): Generator<void, StreamLog> {
    const ahead = own >= label ? mine : theirs
    const behind = own >= label ? theirs : mine
    yield* ahead.#retain(behind, Math.min(own, label))
    return ahead
  }

  /** Removes what has a stamp up to `seen` and isn't in `other`. */
  *#retain(other: StreamLog, seen: Stamp): Generator<void> {
    const gone: StreamId[] = []
    /** So many at the front go without one between that stays. */
    let front = 0
    let met = 0
    const theirs = other.entries()
    let their = theirs.next()
    for (const cursor of this.entries()) {
      if (cursor.stamp > seen) break
      const { id } = cursor
      while (!their.done && their.value.compare(id) < 0) their = theirs.next()
      if (their.done || their.value.compare(id) !== 0) {
        gone.push(id)
        if (met === front) front++
      }
      met++
      if (met % stepEntries === 0) yield
    }
    if (front > 0) this.trim(gone[front - 1] as StreamId, seen)
    for (let at = front; at < gone.length; at++) {
      this.remove(gone[at] as StreamId, seen)
      if (at % stepRemovals === 0) yield
    }
  }

  // ---- codec: count varint | entry*

  encode(writer: ByteWriter): void {
    writer.varint(this.size)
    for (const cursor of this.entries()) writeEntry(writer, cursor.entry)
  }

  /** As `encode`, some entries: those behind `after`. Returns behind which one the others are. */
  encodePiece(writer: ByteWriter, after: StreamId, bytesWanted: number): StreamId | undefined {
    const piece = new ByteWriter()
    let count = 0
    let next: StreamId | undefined
    let last = after
    for (const cursor of this.#cursors(this.#blockOf(after))) {
      if (cursor.compare(after) <= 0) continue
      if (piece.length >= bytesWanted) {
        next = last
        break
      }
      writeEntry(piece, cursor.entry)
      count++
      last = cursor.id
    }
    writer.varint(count)
    writer.raw(piece.bytes, 0, piece.length)
    return next
  }

  /** Puts the entries of `other` in the place of all that lies between its first and its last. */
  takeFrom(other: StreamLog): void {
    const first = other.#blocks[0]?.firstId
    if (first === undefined) return
    const last = other.lastId
    const start = Math.max(0, this.#blockOf(first))
    let end = start
    const before: StreamEntry[] = []
    const behind: StreamEntry[] = []
    for (; end < this.#blocks.length; end++) {
      const block = this.#blocks[end] as StreamBlock
      if (block.firstId > last) break
      this.size -= block.count
      this.usedBytes -= block.usedBytes
      for (const cursor = block.cursor(); cursor.next(); ) {
        if (cursor.compare(first) < 0) before.push(cursor.entry)
        else if (cursor.compare(last) > 0) behind.push(cursor.entry)
      }
    }
    const blocks = [...blocksOf(before), ...other.#blocks, ...blocksOf(behind)]
    this.#blocks.splice(start, end - start, ...blocks)
    for (const block of blocks) {
      this.size += block.count
      this.usedBytes += block.usedBytes
    }
  }

  static decode(reader: ByteReader, origin: Origin): StreamLog {
    const log = new StreamLog()
    let last: StreamEntry | undefined
    for (let count = reader.varint(); count > 0; count--) {
      const id = readStreamId(reader)
      const stamp = readStamp(reader)
      const entry = { id, stamp, fields: readFields(reader) }
      const inOrder = last === undefined || (id > last.id && stamp >= last.stamp)
      if (!inOrder || originOf(stamp) !== origin) throw new FormatError('entries out of order')
      log.add(entry)
      last = entry
    }
    if (log.size === 0) throw new FormatError('a log without entries')
    return log
  }
}

function blocksOf(entries: readonly StreamEntry[]): StreamBlock[] {
  const blocks: StreamBlock[] = []
  for (const entry of entries) {
    const last = blocks.at(-1)
    if (last?.mayTake(entry.id)) last.append(entry)
    else blocks.push(new StreamBlock(entry))
  }
  return blocks
}

/** id | stamp f64 | fields texts */
export function writeEntry(writer: ByteWriter, { id, stamp, fields }: StreamEntry): void {
  writeStreamId(writer, id)
  writer.f64(stamp)
  writeTexts(writer, fields)
}
