/**
 * A stream: entries that all stay until somebody removes them, in the order of their ids; of entries with the same id, which
 * clusters may have given at the same time, the earlier first. Each entry is an add of its own, so XADD wins over a concurrent
 * DEL, and nothing is kept of what is removed. The entries of an origin lie in a log of their own (`streamLog.ts`), as
 * consumer groups read them; what else a stream knows is in registers, one an origin (`streamRegister.ts`).
 *
 * XDEL names ids, XTRIM a greatest id; both take what their context covers, all entries with such an id.
 */
import { type Origin, originOf, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { greaterId, greatestId, maxId, minId, nextId, type StreamId } from '#protocol/sync/streamId.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { mergeSorted } from '#runtime/mergeSorted.ts'
import { readByOrigin, writeByOrigin } from './stateCodec.ts'
import type { StreamEntry } from './streamBlock.ts'
import type { AckedInterval, StreamGroup } from './streamGroup.ts'
import { StreamGroups } from './streamGroups.ts'
import { StreamLog, writeEntry } from './streamLog.ts'
import { readRegister, type StreamMarks, type StreamRegister, writeRegister } from './streamRegister.ts'

/** An entry to be, whose stamp is its operation's. */
export interface NewEntry {
  readonly id: StreamId
  /** Names and values in turn. */
  readonly fields: readonly string[]
}

/** Entries up to this position are found by going there. */
const walkedMax = 1_000

/** Behind which entry of which origin's. */
export interface StreamPosition {
  readonly origin: Origin
  readonly after: StreamId
}
/** Heap of an empty stream. */
const streamBytes = 850
const registerBytes = 100

export class StreamState {
  /** By origin. */
  #logs: (StreamLog | undefined)[] = new Array(originsMax).fill(undefined)
  #registers: (StreamRegister | undefined)[] = new Array(originsMax).fill(undefined)
  readonly #groups: StreamGroups = new StreamGroups()

  get usedBytes(): number {
    let bytes = streamBytes + this.#groups.usedBytes
    for (let origin = 0; origin < originsMax; origin++) {
      bytes += this.#logs[origin]?.usedBytes ?? 0
      if (this.#registers[origin] !== undefined) bytes += registerBytes
    }
    return bytes
  }

  // ---- what shows

  /** Entries. */
  get size(): number {
    let size = 0
    for (const log of this.#logs) size += log?.size ?? 0
    return size
  }

  /** No entry outlives all registers: what covers them covers all that was added before them. */
  get live(): boolean {
    return this.#groups.live || this.#registers.some((register) => register !== undefined)
  }

  /** Neither value nor residue. */
  get nothing(): boolean {
    return !this.live && !this.hasDeletes
  }

  /** The greatest live stamp. */
  greatest(): Stamp {
    let greatest = this.#groups.greatest()
    for (const register of this.#registers) greatest = Math.max(greatest, register?.stamp ?? 0)
    return greatest
  }

  /** The greatest id ever given; 0-0: none. */
  get lastId(): StreamId {
    return greatestId(this.#registers.map((register) => register?.lastId))
  }

  /** The greatest id of the entries of one origin that have been seen here. */
  lastIdOf(origin: Origin): StreamId {
    const log = this.#logs[origin]?.lastId ?? minId
    return greaterId(log, this.#registers[origin]?.lastId ?? minId)
  }

  get entriesAdded(): number {
    let added = 0
    for (const register of this.#registers) added += register?.added ?? 0
    return added
  }

  get maxDeletedId(): StreamId {
    return greatestId(this.#registers.map((register) => register?.maxDeletedId))
  }

  /** Of one origin, as it wrote it last: what its next write goes on from. */
  addedBy(origin: Origin): number {
    return this.#registers[origin]?.added ?? 0
  }

  /** Entries with ids in [from, to], ascending. */
  range(from: StreamId, to: StreamId): IterableIterator<StreamEntry> {
    return mergeSorted(
      this.#logs.flatMap((log) => (log === undefined ? [] : [log.range(from, to)])),
      inOrder,
    )
  }

  /** The same from the last to the first. */
  rangeReversed(from: StreamId, to: StreamId): IterableIterator<StreamEntry> {
    return mergeSorted(
      this.#logs.flatMap((log) => (log === undefined ? [] : [log.rangeReversed(from, to)])),
      (a, b) => (a.id === b.id ? a.stamp > b.stamp : a.id > b.id),
    )
  }

  /** Entries behind the id that `cursor` tells for their origin, ascending. */
  rangeBehind(cursor: (origin: Origin) => StreamId): IterableIterator<StreamEntry> {
    const sources = this.#logs.flatMap((log, origin) => {
      const first = log === undefined ? undefined : nextId(cursor(origin))
      return log === undefined || first === undefined ? [] : [log.range(first, maxId)]
    })
    return mergeSorted(sources, inOrder)
  }

  /** Those of one origin. */
  rangeOf(origin: Origin, from: StreamId, to: StreamId): IterableIterator<StreamEntry> {
    return this.#logs[origin]?.range(from, to) ?? [].values()
  }

  /** Origins that have entries. */
  origins(): Origin[] {
    return this.#logs.flatMap((log, origin) => (log === undefined ? [] : [origin]))
  }

  /** How many entries have lesser ids. */
  countBelow(id: StreamId): number {
    let count = 0
    for (const log of this.#logs) count += log?.countBelow(id) ?? 0
    return count
  }

  /** Of the entry at `position`, counted from 0 in the order of `range`; undefined: there is none. */
  idAt(position: number): StreamId | undefined {
    if (position < 0 || position >= this.size) return undefined
    // XADD MAXLEN takes one or a hundred away each time.
    const bounds = position < walkedMax ? [minId] : this.#logs.flatMap((log) => log?.bounds() ?? []).sort()
    let low = 0
    let high = bounds.length
    while (low + 1 < high) {
      const middle = (low + high) >>> 1
      if (this.countBelow(bounds[middle] as StreamId) <= position) low = middle
      else high = middle
    }
    const from = bounds[low] as StreamId
    let left = position - this.countBelow(from)
    for (const { id } of this.range(from, maxId)) if (left-- === 0) return id
    return undefined
  }

  /** Groups held, those that are gone and leave a delete to remember included. */
  get heldGroups(): number {
    return this.#groups.size
  }

  groups(): Iterable<StreamGroup> {
    return this.#groups.all()
  }

  group(name: string): StreamGroup | undefined {
    return this.#groups.get(name)
  }

  // ---- apply

  /** XADD, or many at once; `marks` are the origin's own from now on. The ids ascend, from above all that are there. */
  add(stamp: Stamp, marks: StreamMarks, entries: readonly NewEntry[]): void {
    const origin = originOf(stamp)
    for (const { id, fields } of entries) {
      this.#logs[origin] ??= new StreamLog()
      this.#logs[origin]?.add({ id, stamp, fields })
    }
    this.#mark(stamp, marks)
  }

  #mark(stamp: Stamp, marks: StreamMarks): void {
    const origin = originOf(stamp)
    // Not of an operation that is applied again.
    if ((this.#registers[origin]?.stamp ?? 0) < stamp) this.#registers[origin] = { ...marks, stamp }
  }

  /** XSETID: these marks are in place of all that `context` covers. */
  setMarks(context: VersionVector, stamp: Stamp, marks: StreamMarks): void {
    this.#removeRegisters(context)
    this.#mark(stamp, marks)
  }

  #removeRegisters(context: VersionVector): void {
    for (let origin = 0; origin < originsMax; origin++) {
      const register = this.#registers[origin]
      if (register !== undefined && covers(context, register.stamp)) this.#registers[origin] = undefined
    }
  }

  /** XDEL. What is known to be deleted is known to the registers that `context` covers. */
  removeIds(context: VersionVector, ids: readonly StreamId[]): void {
    for (let origin = 0; origin < originsMax; origin++) {
      const log = this.#logs[origin]
      for (const id of ids) log?.remove(id, context[origin] as Stamp)
      this.#dropEmptyLog(origin)
    }
    const greatest = ids.reduce(greaterId, minId)
    for (let origin = 0; origin < originsMax; origin++) {
      const register = this.#registers[origin]
      if (register === undefined || !covers(context, register.stamp)) continue
      this.#registers[origin] = { ...register, maxDeletedId: greaterId(register.maxDeletedId, greatest) }
    }
  }

  /** XTRIM: entries with ids up to `upto`. */
  trim(context: VersionVector, upto: StreamId): void {
    for (let origin = 0; origin < originsMax; origin++) {
      this.#logs[origin]?.trim(upto, context[origin] as Stamp)
      this.#dropEmptyLog(origin)
    }
  }

  #dropEmptyLog(origin: Origin): void {
    if (this.#logs[origin]?.size === 0) this.#logs[origin] = undefined
  }

  createGroup(context: VersionVector, stamp: Stamp, name: string, starts: readonly StreamId[]): void {
    this.#groups.create(context, stamp, name, starts)
  }

  destroyGroup(stamp: Stamp, name: string): void {
    this.#groups.destroy(stamp, name)
  }

  acknowledge(context: VersionVector, name: string, origin: Origin, interval: AckedInterval): void {
    this.#groups.acknowledge(context, name, origin, interval)
  }

  /** Entries and marks that `context` covers, and all groups. */
  delete(context: VersionVector, stamp: Stamp): void {
    this.trim(context, maxId)
    this.#removeRegisters(context)
    this.#groups.deleteAll(stamp)
  }

  /** Stamps of deletes that unseen groups lose to. */
  get hasDeletes(): boolean {
    return this.#groups.hasDeletes
  }

  forgetDeletes(mayForget: (stamp: Stamp) => boolean): void {
    this.#groups.forgetDeletes(mayForget)
  }

  /** What groups are here have been deleted elsewhere. */
  clearGroups(): void {
    this.#groups.clear()
  }

  // ---- merge

  /** Joins `other`, labelled `label`, into this one, which `own` labels, in steps. `other` may not be used afterwards. */
  *merging(own: VersionVector, other: StreamState, label: VersionVector): Generator<void> {
    for (let origin = 0; origin < originsMax; origin++) {
      const mine = this.#logs[origin]
      const theirs = other.#logs[origin]
      if (mine !== undefined || theirs !== undefined) {
        const seen: [Stamp, Stamp] = [own[origin] as Stamp, label[origin] as Stamp]
        this.#logs[origin] = yield* StreamLog.merging(
          mine ?? new StreamLog(),
          seen[0],
          theirs ?? new StreamLog(),
          seen[1],
        )
        this.#dropEmptyLog(origin)
      }
      this.#registers[origin] = mergedRegister(this.#registers[origin], own, other.#registers[origin], label)
    }
    this.#groups.merge(own, other.#groups, label)
  }

  // ---- codec: registers by origin | logs by origin | groups

  encode(writer: ByteWriter): void {
    writeByOrigin(writer, this.#registers, writeRegister)
    writeByOrigin(writer, this.#logs, (into, log) => log.encode(into))
    this.#groups.encode(writer)
  }

  /** As `encode`, without the entries. */
  encodeHead(writer: ByteWriter): void {
    writeByOrigin(writer, this.#registers, writeRegister)
    writeByOrigin<StreamLog>(writer, [], (into, log) => log.encode(into))
    this.#groups.encode(writer)
  }

  /** As `encode`, some entries and nothing else: without `from` the first ones. Returns behind which one the others are. */
  encodePiece(
    writer: ByteWriter,
    from: StreamPosition | undefined,
    bytesWanted: number,
  ): StreamPosition | undefined {
    writeByOrigin<StreamRegister>(writer, [], writeRegister)
    const piece = new ByteWriter()
    let origin = from?.origin ?? 0
    let after = from?.after ?? minId
    while (origin < originsMax && this.#logs[origin] === undefined) {
      origin++
      after = minId
    }
    const next = this.#logs[origin]?.encodePiece(piece, after, bytesWanted)
    // A log without entries is not written.
    const hasEntries = piece.length > 0 && piece.bytes[0] !== 0
    writer.u8(hasEntries ? 1 << origin : 0)
    if (hasEntries) writer.raw(piece.bytes, 0, piece.length)
    new StreamGroups().encode(writer)
    if (next !== undefined) return { origin, after: next }
    return origin + 1 < originsMax ? { origin: origin + 1, after: minId } : undefined
  }

  /** Puts the entries of `other` in the place of the same ones here; it has nothing else. */
  takeFrom(other: StreamState): void {
    for (let origin = 0; origin < originsMax; origin++) {
      const theirs = other.#logs[origin]
      const mine = this.#logs[origin]
      if (theirs !== undefined && mine !== undefined) mine.takeFrom(theirs)
      else this.#logs[origin] = mine ?? theirs
    }
  }

  static decode(reader: ByteReader): StreamState {
    const stream = new StreamState()
    stream.#registers = readByOrigin(reader, readRegisterOf)
    stream.#logs = readByOrigin(reader, StreamLog.decode)
    stream.#groups.decode(reader)
    return stream
  }

  /** One digest an entry, a register and what groups consist of, in no order. */
  digest(take: (write: (writer: ByteWriter) => void) => void): void {
    for (const register of this.#registers) {
      if (register !== undefined) take((writer) => writeRegister(writer, register))
    }
    for (const entry of this.range(minId, maxId)) take((writer) => writeEntry(writer, entry))
    this.#groups.digest(take)
  }
}

function readRegisterOf(reader: ByteReader, origin: Origin): StreamRegister {
  const register = readRegister(reader)
  if (originOf(register.stamp) !== origin) throw new FormatError('the register of another origin')
  return register
}

/** The greater stamp of two; of one, whether the other side has not seen it. Of the same write what has been deleted since. */
function mergedRegister(
  mine: StreamRegister | undefined,
  own: VersionVector,
  theirs: StreamRegister | undefined,
  label: VersionVector,
): StreamRegister | undefined {
  if (mine !== undefined && mine.stamp === theirs?.stamp)
    return { ...mine, maxDeletedId: greaterId(mine.maxDeletedId, theirs.maxDeletedId) }
  const ours = mine === undefined || covers(label, mine.stamp) ? undefined : mine
  return ours ?? (theirs === undefined || covers(own, theirs.stamp) ? undefined : theirs)
}

const inOrder = (a: StreamEntry, b: StreamEntry): boolean => (a.id === b.id ? a.stamp < b.stamp : a.id < b.id)
