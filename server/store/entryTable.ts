/**
 * Names and their entries: what a key is, as bytes of the arena or as a state on the heap, read and written by whoever has
 * aimed at its name. Nothing is counted here but memory; `SlotTables` knows what a key means.
 *
 * Refs of entries are good until the next write or compaction.
 */

import type { Stamp } from '#protocol/sync/stamp.ts'

import { copyBytes, grownCopy, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import {
  fixedVarintBytes,
  foldSign,
  readU56,
  readVarint,
  u56Bytes,
  unfoldSign,
  varint,
  varintBytes,
  writeFixedVarint,
  writeU56,
  writeVarint,
} from '#runtime/bytes/packedNumbers.ts'
import { parseInteger } from '#server/crdt/amount.ts'
import type { HllState } from '#server/crdt/hll.ts'
import { type KeyState, TypeBit } from '#server/crdt/keyState.ts'
import { textBytesMax } from '#server/crdt/register.ts'
import { noTtlWrites, type TtlWrite } from '#server/crdt/ttl.ts'
import type { Ref } from './arena.ts'
import {
  accessOf,
  baseApartBit,
  basedBit,
  bodyAt,
  Kind,
  kindOf,
  nameLengthAt,
  type PackedKind,
  setAccess,
  setStamp,
  stampOf,
  sumMax,
  timedBit,
  ttlOf,
  valueAt,
  writeTtl,
} from './entry.ts'
import { EntryReader } from './entryReader.ts'
import { KeyName } from './keyName.ts'
import { packHash, packSet } from './packedElements.ts'
import { packList } from './packedList.ts'
import { packScores } from './packedScores.ts'
import { type PackLimits, packedBytesMax, packLimits, repackLimits } from './packedValue.ts'

const never = Number.POSITIVE_INFINITY
/** A cell of the index, at its usual load. */
const indexBytesPerKey = 8
/** Blocks that one step of the compaction looks at. */
const compactBlocks = 64

export class EntryTable extends EntryReader {
  /** What a patch of a text has to spare (`textIntents.ts`), and from when on a text is a long one. */
  patchedBytesMin = 16 * 1024
  /** What the effect of `addToCounter` carries. */
  counterFrom: Stamp = 0
  counterSum = 0
  /** What each of the states was counted with. */
  readonly #stateBytes: number[] = []
  readonly #freeStates: number[] = []
  #heapBytes = 0
  readonly #elements = new ByteWriter(packedBytesMax)
  /** Of the entry that is being written. */
  #bytes: Uint8Array = new Uint8Array(0)
  readonly #moved = (from: Ref, to: Ref): void => this.#onMoved(from, to)
  /** To find the cell of an entry that has moved. */
  readonly #movedName: KeyName

  constructor(hashSeed: number) {
    super(hashSeed)
    this.#movedName = new KeyName(hashSeed)
  }

  // ---- memory

  /** Of all keys: entries, index, states on the heap. */
  get usedBytes(): number {
    return this.arena.usedBytes + this.#heapBytes
  }

  /** Of one key. */
  bytesOf(ref: Ref): number {
    const state = this.state(ref)
    return this.arena.sizeBytes(ref) + indexBytesPerKey + (state === undefined ? 0 : state.usedBytes)
  }

  /** Taken from the system for entries and index, used or not. */
  get reservedBytes(): number {
    return this.arena.chunkBytes + this.arena.largeBytes
  }

  /** Whether nearly all that entries can take, 16 GiB without those above 8 KiB, is taken from the system. */
  get isNearlyFull(): boolean {
    return this.arena.isNearlyFull
  }

  /** A small step towards giving unused memory back; false: there is nothing to do. */
  compact(): boolean {
    this.found = undefined
    return this.arena.compact(compactBlocks, this.#moved)
  }

  #onMoved(from: Ref, to: Ref): void {
    const bytes = this.arena.bytes(to)
    const at = this.arena.offset(to)
    const kind = kindOf(bytes, at)
    if (kind === Kind.bucket || kind === Kind.directory) {
      this.index.moved(from, to)
      return
    }
    readVarint(bytes, at + nameLengthAt)
    const name = this.#movedName
    name.aim(bytes, varint.end, varint.end + varint.value)
    this.index.replace(name.slot, name.hash, from, to)
  }

  // ---- writing the entry of the name that is aimed at

  /** It was not there before. */
  protected showMade(): void {}

  /** The key is one write of these bytes; without a TTL `expireAtMs` is Infinity. */
  putBytes(stamp: Stamp, bytes: Uint8Array, start: number, end: number, expireAtMs: number): void {
    const at = this.#placeText(stamp, end - start, expireAtMs)
    copyBytes(this.#bytes, at, bytes, start, end)
  }

  putText(stamp: Stamp, text: string, expireAtMs: number): void {
    const at = this.#placeText(stamp, text.length, expireAtMs)
    writeLatin1(this.#bytes, at, text)
  }

  /** Returns where the text is to be written. */
  #placeText(stamp: Stamp, length: number, expireAtMs: number): number {
    const timed = expireAtMs !== never
    if (length >= this.patchedBytesMin)
      return this.#placeLongText(stamp, length, timed ? { stamp, expireAtMs } : undefined)
    const kind = timed ? Kind.text | timedBit : Kind.text
    let at = this.#place(kind, stamp, varintBytes(length) + length + (timed ? u56Bytes : 0))
    if (timed) {
      writeU56(this.#bytes, at, expireAtMs)
      at += u56Bytes
    }
    return writeVarint(this.#bytes, at, length)
  }

  #placeLongText(stamp: Stamp, length: number, ttl: TtlWrite | undefined): number {
    const headBytes = 2 * u56Bytes + fixedVarintBytes
    const kind = ttl === undefined ? Kind.longText : Kind.longText | timedBit
    const at = this.#place(kind, stamp, headBytes + length, headBytes + textBytesMax)
    if (ttl !== undefined) writeTtl(this.#bytes, at, ttl)
    return writeFixedVarint(this.#bytes, at + 2 * u56Bytes, length)
  }

  /**
   * Puts the bytes [start, end) into the text that is aimed at, from `offset` on, and zeros before them where it was shorter: a write
   * at `stamp`. The TTL of a long text stays, or goes. A long text is changed where it lies.
   */
  patchText(
    stamp: Stamp,
    keepsTtl: boolean,
    offset: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const ref = this.find()
    this.readText(ref)
    const length = this.textEnd - this.textStart
    const patchedLength = Math.max(length, offset + end - start)
    if (patchedLength > length && !(ref < 0 && this.isLongText(ref))) {
      const [ttl] = keepsTtl ? ttlOf(this.arena.bytes(ref), this.arena.offset(ref)) : noTtlWrites
      const value = grownCopy(this.textBytes.subarray(this.textStart, this.textEnd), patchedLength)
      copyBytes(value, offset, bytes, start, end)
      const at =
        ttl === undefined
          ? this.#placeText(stamp, patchedLength, never)
          : this.#placeLongText(stamp, patchedLength, ttl)
      copyBytes(this.#bytes, at, value, 0, patchedLength)
      return
    }
    if (patchedLength > length) this.#growText(ref, patchedLength, offset)
    const text = this.arena.bytes(ref)
    copyBytes(text, this.textStart + offset, bytes, start, end)
    const at = this.arena.offset(ref)
    if (!keepsTtl) text[at] = (text[at] as number) & ~timedBit
    setStamp(text, at, stamp)
    setAccess(text, at, this.accessClock.touched(accessOf(text, at)))
  }

  /** The long text that is aimed at has this TTL write, and no other. */
  putTtl(stamp: Stamp, expireAtMs: number): void {
    const ref = this.find()
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    bytes[at] = (bytes[at] as number) | timedBit
    writeTtl(bytes, bodyAt(bytes, at), { stamp, expireAtMs })
    setAccess(bytes, at, this.accessClock.touched(accessOf(bytes, at)))
  }

  /** False: the state is not a long text in no conflict with one TTL write. */
  #putApart({ string, ttl, presentTypes }: KeyState): boolean {
    const sibling = string?.siblings[0]
    if (sibling === undefined || presentTypes !== TypeBit.string || ttl.length !== 1) return false
    if (!sibling.ttlApart || string?.siblings.length !== 1 || string.entries.length > 0) return false
    const { stamp, text } = sibling
    if (text.length < this.patchedBytesMin) return false
    const at = this.#placeLongText(stamp, text.length, ttl[0])
    writeLatin1(this.#bytes, at, text)
    return true
  }

  /** Of the long text that `readText` has found; with zeros up to `offset`, and anything behind that. */
  #growText(ref: Ref, length: number, offset: number): void {
    const { textStart, textEnd } = this
    this.arena.extend(ref, textStart + length, textStart + textBytesMax)
    const bytes = this.arena.bytes(ref)
    writeFixedVarint(bytes, textStart - fixedVarintBytes, length)
    if (offset > textEnd - textStart) bytes.fill(0, textEnd, textStart + offset)
  }

  #putCounter(state: KeyState): void {
    const [entry] = state.string?.entries ?? []
    const [base] = state.string?.siblings ?? []
    const [ttl] = state.ttl
    if (entry === undefined) return
    const baseBytes = base === undefined ? 0 : u56Bytes + varintBytes(base.text.length) + base.text.length
    const ttlBytes = ttl === undefined ? 0 : 2 * u56Bytes
    const kind =
      Kind.counter |
      (base === undefined ? 0 : basedBit) |
      (base?.ttlApart ? baseApartBit : 0) |
      (ttl === undefined ? 0 : timedBit)
    let at = this.#place(kind, entry.last, 2 * u56Bytes + baseBytes + ttlBytes)
    const bytes = this.#bytes
    if (ttl !== undefined) at = writeTtl(bytes, at, ttl)
    writeU56(bytes, at, entry.from)
    writeU56(bytes, at + u56Bytes, foldSign(entry.sum as number))
    if (base === undefined) return
    at += 2 * u56Bytes
    writeU56(bytes, at, base.stamp)
    at = writeVarint(bytes, at + u56Bytes, base.text.length)
    writeLatin1(bytes, at, base.text)
  }

  /** The key is a hash, set, sorted set or list of these elements; its TTL stays as it is when there is an entry. */
  putPacked(kind: PackedKind, elements: ByteWriter): void {
    const ref = this.find()
    const [ttl] = ref === 0 ? noTtlWrites : ttlOf(this.arena.bytes(ref), this.arena.offset(ref))
    this.#putElements(kind, 0, elements, ttl)
  }

  #putElements(kind: number, stamp: Stamp, elements: ByteWriter, ttl: TtlWrite | undefined): void {
    const { length } = elements
    const ttlBytes = ttl === undefined ? 0 : 2 * u56Bytes
    const head = ttl === undefined ? kind : kind | timedBit
    let at = this.#place(head, stamp, ttlBytes + varintBytes(length) + length)
    const bytes = this.#bytes
    if (ttl !== undefined) at = writeTtl(bytes, at, ttl)
    at = writeVarint(bytes, at, length)
    copyBytes(bytes, at, elements.bytes, 0, length)
  }

  /** False: the state is not a small hash, set, sorted set, list or HyperLogLog in no conflict. */
  #pack(state: KeyState): boolean {
    if (state.ttl.length > 1) return false
    const ref = this.find()
    const limits = ref !== 0 && this.kind(ref) === Kind.state ? repackLimits : packLimits
    const kind = this.#packElements(state, limits)
    const stamp = state.hll?.greatest ?? 0
    if (kind !== undefined) this.#putElements(kind, stamp, this.#elements, state.ttl[0])
    return kind !== undefined
  }

  /** Of the only type there is. */
  #packElements(state: KeyState, limits: PackLimits): number | undefined {
    const { hash, set, zset, list, hll } = state
    const into = this.#elements
    switch (state.presentTypes) {
      case TypeBit.hash:
        return hash !== undefined && packHash(into, hash, limits) ? Kind.hash : undefined
      case TypeBit.set:
        return set !== undefined && packSet(into, set, limits) ? Kind.set : undefined
      case TypeBit.zset:
        return zset !== undefined && packScores(into, zset, limits) ? Kind.zset : undefined
      case TypeBit.list:
        return list !== undefined && packList(into, list, limits) ? Kind.list : undefined
      case TypeBit.hll:
        return hll !== undefined && packRegisters(into, hll, limits) ? Kind.hll : undefined
      default:
        return undefined
    }
  }

  #putState(state: KeyState): void {
    const ref = this.find()
    const known = ref !== 0 && this.state(ref) === state
    const number = known ? this.stamp(ref) : (this.#freeStates.pop() ?? this.states.length)
    if (!known) {
      this.#place(Kind.state, number, 0)
      this.states[number] = state
      this.#stateBytes[number] = 0
    } else this.touch(ref)
    const { usedBytes } = state
    this.#heapBytes += usedBytes - (this.#stateBytes[number] as number)
    this.#stateBytes[number] = usedBytes
  }

  /**
   * Makes the entry ready for a body of so many bytes, which may grow to `bodyBytesMax`, and returns where it begins in `#bytes`.
   * What the entry said before is gone.
   */
  #place(kind: number, stamp: Stamp, bodyBytes: number, bodyBytesMax = 0): number {
    const { name } = this
    const arena = this.arena
    const nameBytes = name.end - name.start
    const headBytes = nameLengthAt + varintBytes(nameBytes) + nameBytes
    const sizeBytes = headBytes + bodyBytes
    const old = this.find()
    if (old !== 0) this.#releaseState(old)
    const { accessClock } = this
    const access = old === 0 ? accessClock.fresh() : accessClock.touched(this.access(old))
    let ref = old
    if (old === 0 || !arena.suits(old, sizeBytes)) {
      ref = arena.allocate(sizeBytes, headBytes + Math.max(bodyBytes, bodyBytesMax))
      const bytes = arena.bytes(ref)
      const nameAt = writeVarint(bytes, arena.offset(ref) + nameLengthAt, nameBytes)
      copyBytes(bytes, nameAt, name.bytes, name.start, name.end)
      if (old === 0) {
        this.index.insert(name.slot, name.hash, ref)
        if (this.isWatched) this.showMade()
      } else {
        this.index.replace(name.slot, name.hash, old, ref)
        arena.free(old)
      }
      this.found = ref
    }
    const bytes = arena.bytes(ref)
    const at = arena.offset(ref)
    bytes[at] = kind
    setStamp(bytes, at, stamp)
    setAccess(bytes, at, access)
    this.#bytes = bytes
    return at + headBytes
  }

  #releaseState(ref: Ref): void {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    if (kindOf(bytes, at) !== Kind.state) return
    const number = stampOf(bytes, at)
    this.states[number] = undefined
    this.#heapBytes -= this.#stateBytes[number] as number
    this.#freeStates.push(number)
  }

  /** The key is gone, with all it held. */
  remove(): void {
    const ref = this.find()
    if (ref === 0) return
    this.#releaseState(ref)
    this.index.remove(this.name.slot, this.name.hash, ref)
    this.arena.free(ref)
    this.found = 0
  }

  /** What a counter would show with so much more; NaN when that is not a sum of small integers. */
  sumWith(ref: Ref, amount: number): number {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    const sumAt = valueAt(bytes, at) + u56Bytes
    const sum = unfoldSign(readU56(bytes, sumAt)) + amount
    if (Math.abs(sum) >= sumMax) return Number.NaN
    if (((bytes[at] as number) & basedBit) === 0) return sum
    readVarint(bytes, sumAt + 2 * u56Bytes)
    const base = parseInteger(latin1(bytes, varint.end, varint.end + varint.value))
    return typeof base === 'number' && Math.abs(base) < sumMax ? base + sum : Number.NaN
  }

  /** Adds in place what `sumWith` has found possible. `counterFrom` and `counterSum` are what the effect carries then. */
  addToCounter(ref: Ref, stamp: Stamp, amount: number): void {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    const fromAt = valueAt(bytes, at)
    const sum = unfoldSign(readU56(bytes, fromAt + u56Bytes)) + amount
    setStamp(bytes, at, stamp)
    setAccess(bytes, at, this.accessClock.touched(accessOf(bytes, at)))
    writeU56(bytes, fromAt + u56Bytes, foldSign(sum))
    this.counterFrom = readU56(bytes, fromAt)
    this.counterSum = sum
  }

  /** Keeps the state as small as it can be. */
  tidy(state: KeyState): void {
    if (state.nothing) {
      this.remove()
      return
    }
    const write = state.onlyWrite
    if (write !== undefined) this.putText(write.stamp, write.text, state.expireAtMs())
    else if (isSimpleCounter(state)) this.#putCounter(state)
    else if (!this.#putApart(state) && !this.#pack(state)) this.#putState(state)
  }
}

/** False: there are too many of them, or deletes are remembered. */
function packRegisters(into: ByteWriter, { payload, deletes }: HllState, limits: PackLimits): boolean {
  if (payload === undefined || deletes.length > 0 || payload.length > limits.bytesMax) return false
  into.clear()
  payload.writeTo(into)
  return true
}

/** One cluster's increments, over nothing or one text, and at most one TTL write. */
function isSimpleCounter({ string, presentTypes, ttl }: KeyState): boolean {
  if (string === undefined || presentTypes !== TypeBit.string || ttl.length > 1) return false
  const [entry] = string.entries
  return (
    entry !== undefined &&
    string.entries.length === 1 &&
    string.siblings.length <= 1 &&
    entry.live &&
    entry.resetLast === 0 &&
    typeof entry.sum === 'number' &&
    Math.abs(entry.sum) < sumMax
  )
}
