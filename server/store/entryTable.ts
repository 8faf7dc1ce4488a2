/**
 * Names and their entries: what a key is, as bytes of the arena or as a state on the heap, read and written by whoever has
 * aimed at its name. Nothing is counted here but memory; `SlotTables` knows what a key means.
 *
 * Refs of entries are good until the next write or compaction.
 */

import { type Origin, originOf, type Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { copyBytes, latin1, writeLatin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import {
  foldSign,
  readU56,
  readVarint,
  u56Bytes,
  unfoldSign,
  varint,
  varintBytes,
  writeU56,
  writeVarint,
} from '#runtime/bytes/packedNumbers.ts'
import { addAmounts, formatAmount, parseAmount, parseInteger } from '#server/crdt/amount.ts'
import { CounterEntry } from '#server/crdt/counter.ts'
import { HllState } from '#server/crdt/hll.ts'
import { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import { KeyState, type KeyType, TypeBit } from '#server/crdt/keyState.ts'
import { Sibling } from '#server/crdt/register.ts'
import { Strnum } from '#server/crdt/strnum.ts'
import { noTtlWrites, type TtlWrite, type TtlWrites } from '#server/crdt/ttl.ts'
import { AccessClock } from './access.ts'
import { Arena, type Ref } from './arena.ts'
import {
  accessOf,
  baseApartBit,
  basedBit,
  Kind,
  kindOf,
  nameLengthAt,
  originAt,
  type PackedKind,
  setAccess,
  setStamp,
  stampOf,
  sumMax,
  timedBit,
} from './entry.ts'
import { KeyIndex } from './keyIndex.ts'
import { KeyName } from './keyName.ts'
import type { ListElements } from './listRanges.ts'
import { PackedElements, packHash, packSet } from './packedElements.ts'
import { PackedList, packList } from './packedList.ts'
import { PackedScores, packScores } from './packedScores.ts'
import { type PackLimits, packedBytesMax, packLimits, repackLimits } from './packedValue.ts'

const never = Number.POSITIVE_INFINITY
/** A cell of the index, at its usual load. */
const indexBytesPerKey = 8
/** Blocks that one step of the compaction looks at. */
const compactBlocks = 64

export class EntryTable {
  /** What an access is written down as. */
  readonly accessClock: AccessClock = new AccessClock()
  /** The name that is aimed at. */
  readonly name: KeyName
  readonly index: KeyIndex
  /** Where `readName` and `readText` have found what they looked for. */
  textBytes: Uint8Array = new Uint8Array(0)
  textStart = 0
  textEnd = 0
  /** What the effect of `addToCounter` carries. */
  counterFrom: Stamp = 0
  counterSum = 0
  readonly #arena = new Arena()
  /** Of `name`; undefined: not looked up yet. */
  #found: Ref | undefined = undefined
  /** States on the heap, by the number that their entries hold, and what each was counted with. */
  readonly #states: (KeyState | undefined)[] = []
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
    this.name = new KeyName(hashSeed)
    this.#movedName = new KeyName(hashSeed)
    this.index = new KeyIndex(this.#arena, new KeyName(hashSeed))
  }

  // ---- memory

  /** Of all keys: entries, index, states on the heap. */
  get usedBytes(): number {
    return this.#arena.usedBytes + this.#heapBytes
  }

  /** Of one key. */
  bytesOf(ref: Ref): number {
    const state = this.state(ref)
    return this.#arena.sizeBytes(ref) + indexBytesPerKey + (state === undefined ? 0 : state.usedBytes)
  }

  /** Taken from the system for entries and index, used or not. */
  get reservedBytes(): number {
    return this.#arena.chunkBytes + this.#arena.largeBytes
  }

  /** Whether nearly all that entries can take, 16 GiB without those above 8 KiB, is taken from the system. */
  get isNearlyFull(): boolean {
    return this.#arena.isNearlyFull
  }

  /** A small step towards giving unused memory back; false: there is nothing to do. */
  compact(): boolean {
    this.#found = undefined
    return this.#arena.compact(compactBlocks, this.#moved)
  }

  #onMoved(from: Ref, to: Ref): void {
    const bytes = this.#arena.bytes(to)
    const at = this.#arena.offset(to)
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

  // ---- look-up

  aim(name: string): void {
    if (this.name.aimAtText(name)) this.#found = undefined
  }

  /** The bytes must stay as they are while the name is used. */
  aimAt(bytes: Uint8Array, start: number, end: number): void {
    this.name.aim(bytes, start, end)
    this.#found = undefined
  }

  slotOf(name: string): number {
    this.aim(name)
    return this.name.slot
  }

  /** The entry of the name that is aimed at; 0: there is none. */
  find(): Ref {
    this.#found ??= this.index.find(this.name)
    return this.#found
  }

  findText(name: string): Ref {
    this.aim(name)
    return this.find()
  }

  nameOf(ref: Ref): string {
    this.readName(ref)
    return latin1(this.textBytes, this.textStart, this.textEnd)
  }

  /** The bytes of its name, in the same place as those of a text. */
  readName(ref: Ref): void {
    const bytes = this.#arena.bytes(ref)
    readVarint(bytes, this.#arena.offset(ref) + nameLengthAt)
    this.textBytes = bytes
    this.textStart = varint.end
    this.textEnd = varint.end + varint.value
  }

  // ---- what an entry says

  /** A value of `Kind`. */
  kind(ref: Ref): number {
    return kindOf(this.#arena.bytes(ref), this.#arena.offset(ref))
  }

  /** Whether the entry is one write, a text with or without a TTL. */
  isText(ref: Ref): boolean {
    return kindOf(this.#arena.bytes(ref), this.#arena.offset(ref)) === Kind.text
  }

  /** A text without a TTL: by far the most. */
  isPlainText(ref: Ref): boolean {
    return this.#arena.bytes(ref)[this.#arena.offset(ref)] === Kind.text
  }

  isCounter(ref: Ref): boolean {
    return kindOf(this.#arena.bytes(ref), this.#arena.offset(ref)) === Kind.counter
  }

  /** Whether it is a counter that only this origin adds to. */
  isCounterOf(ref: Ref, origin: Origin): boolean {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    return kindOf(bytes, at) === Kind.counter && originAt(bytes, at) === origin
  }

  /** What shows, if it is live. */
  typeOf(ref: Ref): KeyType | undefined {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    switch (kindOf(bytes, at)) {
      case Kind.hash:
        return 'hash'
      case Kind.set:
        return 'set'
      case Kind.zset:
        return 'zset'
      case Kind.list:
        return 'list'
      case Kind.hll:
        return 'hll'
      case Kind.state:
        return this.#states[stampOf(bytes, at)]?.visibleType()
      default:
        return 'string'
    }
  }

  /** The elements of a packed hash or set; undefined: it is neither. */
  packed(ref: Ref): PackedElements | undefined {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    const kind = kindOf(bytes, at)
    if (kind !== Kind.hash && kind !== Kind.set) return undefined
    readVarint(bytes, valueAt(bytes, at))
    return new PackedElements(kind === Kind.hash, bytes, varint.end, varint.end + varint.value)
  }

  /** The members of a packed sorted set; undefined: it is none. */
  packedScores(ref: Ref): PackedScores | undefined {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    if (kindOf(bytes, at) !== Kind.zset) return undefined
    readVarint(bytes, valueAt(bytes, at))
    return new PackedScores(bytes, varint.end, varint.end + varint.value)
  }

  /** Whether it is a hash, set, sorted set, list or HyperLogLog that lies in the entry. */
  isPacked(ref: Ref): boolean {
    return this.kind(ref) >= Kind.hash
  }

  /** The elements of a packed list; undefined: it is none. */
  packedList(ref: Ref): PackedList | undefined {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    if (kindOf(bytes, at) !== Kind.list) return undefined
    readVarint(bytes, valueAt(bytes, at))
    return new PackedList(bytes, varint.end, varint.end + varint.value)
  }

  /** Of a HyperLogLog, shown or hidden: to be looked at, counted and outdated. */
  registers(ref: Ref): HyperLogLog | undefined {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    return kindOf(bytes, at) === Kind.hll
      ? HyperLogLog.over(registersAt(bytes, at))
      : this.state(ref)?.hll?.payload
  }

  /** Of a list, shown or hidden. */
  listElements(ref: Ref): ListElements | undefined {
    return this.packedList(ref) ?? this.state(ref)?.list
  }

  /** Whether TTL writes belong to the key, which for a text are part of its one write. */
  hasTtl(ref: Ref): boolean {
    return isTimed(this.#arena.bytes(ref), this.#arena.offset(ref))
  }

  /** The state on the heap; undefined: the entry is all there is. */
  state(ref: Ref): KeyState | undefined {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    return kindOf(bytes, at) === Kind.state ? this.#states[stampOf(bytes, at)] : undefined
  }

  isLive(ref: Ref): boolean {
    const state = this.state(ref)
    return state === undefined || state.live
  }

  /** Of the one write of a text. */
  stamp(ref: Ref): Stamp {
    return stampOf(this.#arena.bytes(ref), this.#arena.offset(ref))
  }

  coveredBy(ref: Ref, context: VersionVector): boolean {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    return stampOf(bytes, at) <= (context[originAt(bytes, at)] as number)
  }

  access(ref: Ref): number {
    return accessOf(this.#arena.bytes(ref), this.#arena.offset(ref))
  }

  setAccess(ref: Ref, access: number): void {
    setAccess(this.#arena.bytes(ref), this.#arena.offset(ref), access)
  }

  touch(ref: Ref): void {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    setAccess(bytes, at, this.accessClock.touched(accessOf(bytes, at)))
  }

  /** Infinity: no TTL. */
  expireAt(ref: Ref): number {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    if (kindOf(bytes, at) === Kind.state) return this.state(ref)?.expireAtMs() ?? never
    if (!isTimed(bytes, at) || standsForNoTtl(bytes, at)) return never
    const body = bodyAt(bytes, at)
    return kindOf(bytes, at) === Kind.text ? readU56(bytes, body) : orNever(readU56(bytes, body + u56Bytes))
  }

  /** Whose TTL shows; undefined without a finite one. */
  expiryOwner(ref: Ref): Origin | undefined {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    if (kindOf(bytes, at) === Kind.state) return this.state(ref)?.expiryOwner()
    if (this.expireAt(ref) === never) return undefined
    return kindOf(bytes, at) === Kind.text ? originAt(bytes, at) : originOf(readU56(bytes, bodyAt(bytes, at)))
  }

  /** Finds the bytes of a text: `textBytes` from `textStart` to `textEnd`. */
  readText(ref: Ref): void {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    readVarint(bytes, valueAt(bytes, at))
    this.textBytes = bytes
    this.textStart = varint.end
    this.textEnd = varint.end + varint.value
  }

  text(ref: Ref): string {
    this.readText(ref)
    return latin1(this.textBytes, this.textStart, this.textEnd)
  }

  /** What a counter shows. */
  counterText(ref: Ref): string {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    const sumAt = valueAt(bytes, at) + u56Bytes
    const sum = unfoldSign(readU56(bytes, sumAt))
    if (((bytes[at] as number) & basedBit) === 0) return formatAmount(sum)
    readVarint(bytes, sumAt + 2 * u56Bytes)
    const text = latin1(bytes, varint.end, varint.end + varint.value)
    const base = parseAmount(text)
    return base === undefined ? text : formatAmount(addAmounts(base, sum))
  }

  /** A copy of what the entry says, or the state on the heap itself: to be changed and then settled. */
  stateOf(ref: Ref): KeyState {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    switch (kindOf(bytes, at)) {
      case Kind.text:
        return KeyState.ofText(this.text(ref), stampOf(bytes, at), this.expireAt(ref))
      case Kind.counter:
        return this.#counter(ref)
      case Kind.hash:
      case Kind.set:
      case Kind.zset:
      case Kind.list:
      case Kind.hll:
        return this.#unpacked(ref)
      default:
        return this.#states[stampOf(bytes, at)] as KeyState
    }
  }

  #unpacked(ref: Ref): KeyState {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    const state = new KeyState()
    const kind = kindOf(bytes, at)
    if (kind === Kind.hash) state.hash = this.packed(ref)?.toHash()
    else if (kind === Kind.set) state.set = this.packed(ref)?.toSet()
    else if (kind === Kind.zset) state.zset = this.packedScores(ref)?.toSortedSet()
    else if (kind === Kind.list) state.list = this.packedList(ref)?.toList()
    else state.hll = HllState.of(HyperLogLog.over(registersAt(bytes, at).slice()), stampOf(bytes, at))
    state.ttl = ttlOf(bytes, at)
    return state
  }

  #counter(ref: Ref): KeyState {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    const head = bytes[at] as number
    const fromAt = valueAt(bytes, at)
    const sum = unfoldSign(readU56(bytes, fromAt + u56Bytes))
    const string = new Strnum()
    string.entries = [new CounterEntry(readU56(bytes, fromAt), stampOf(bytes, at), sum)]
    if ((head & basedBit) !== 0) {
      const baseAt = fromAt + 2 * u56Bytes
      readVarint(bytes, baseAt + u56Bytes)
      const text = latin1(bytes, varint.end, varint.end + varint.value)
      string.siblings = [new Sibling(readU56(bytes, baseAt), text, (head & baseApartBit) !== 0)]
    }
    const state = new KeyState()
    state.string = string
    state.ttl = ttlOf(bytes, at)
    return state
  }

  // ---- writing the entry of the name that is aimed at

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
    const kind = timed ? Kind.text | timedBit : Kind.text
    let at = this.#place(kind, stamp, varintBytes(length) + length + (timed ? u56Bytes : 0))
    if (timed) {
      writeU56(this.#bytes, at, expireAtMs)
      at += u56Bytes
    }
    return writeVarint(this.#bytes, at, length)
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
    const [ttl] = ref === 0 ? noTtlWrites : ttlOf(this.#arena.bytes(ref), this.#arena.offset(ref))
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
    const number = known ? this.stamp(ref) : (this.#freeStates.pop() ?? this.#states.length)
    if (!known) {
      this.#place(Kind.state, number, 0)
      this.#states[number] = state
      this.#stateBytes[number] = 0
    } else this.touch(ref)
    const { usedBytes } = state
    this.#heapBytes += usedBytes - (this.#stateBytes[number] as number)
    this.#stateBytes[number] = usedBytes
  }

  /**
   * Makes the entry ready for a body of so many bytes and returns where it begins in `#bytes`. What the entry said
   * before is gone.
   */
  #place(kind: number, stamp: Stamp, bodyBytes: number): number {
    const { name } = this
    const arena = this.#arena
    const nameBytes = name.end - name.start
    const sizeBytes = nameLengthAt + varintBytes(nameBytes) + nameBytes + bodyBytes
    const old = this.find()
    if (old !== 0) this.#releaseState(old)
    const { accessClock } = this
    const access = old === 0 ? accessClock.fresh() : accessClock.touched(this.access(old))
    let ref = old
    if (old === 0 || !arena.suits(old, sizeBytes)) {
      ref = arena.allocate(sizeBytes)
      const bytes = arena.bytes(ref)
      const nameAt = writeVarint(bytes, arena.offset(ref) + nameLengthAt, nameBytes)
      copyBytes(bytes, nameAt, name.bytes, name.start, name.end)
      if (old === 0) this.index.insert(name.slot, name.hash, ref)
      else {
        this.index.replace(name.slot, name.hash, old, ref)
        arena.free(old)
      }
      this.#found = ref
    }
    const bytes = arena.bytes(ref)
    const at = arena.offset(ref)
    bytes[at] = kind
    setStamp(bytes, at, stamp)
    setAccess(bytes, at, access)
    this.#bytes = bytes
    return at + sizeBytes - bodyBytes
  }

  #releaseState(ref: Ref): void {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
    if (kindOf(bytes, at) !== Kind.state) return
    const number = stampOf(bytes, at)
    this.#states[number] = undefined
    this.#heapBytes -= this.#stateBytes[number] as number
    this.#freeStates.push(number)
  }

  /** The key is gone, with all it held. */
  remove(): void {
    const ref = this.find()
    if (ref === 0) return
    this.#releaseState(ref)
    this.index.remove(this.name.slot, this.name.hash, ref)
    this.#arena.free(ref)
    this.#found = 0
  }

  /** What a counter would show with so much more; NaN when that is not a sum of small integers. */
  sumWith(ref: Ref, amount: number): number {
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
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
    const bytes = this.#arena.bytes(ref)
    const at = this.#arena.offset(ref)
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
    else if (!this.#pack(state)) this.#putState(state)
  }
}

/** Of a packed HyperLogLog. */
function registersAt(bytes: Uint8Array, at: number): Uint8Array {
  readVarint(bytes, valueAt(bytes, at))
  return bytes.subarray(varint.end, varint.end + varint.value)
}

/** False: there are too many of them, or deletes are remembered. */
function packRegisters(into: ByteWriter, { payload, deletes }: HllState, limits: PackLimits): boolean {
  if (payload === undefined || deletes.length > 0 || payload.length > limits.bytesMax) return false
  into.clear()
  payload.writeTo(into)
  return true
}

/** 0 stands for "none" in TTL writes: no key expires in 1970. */
const orNever = (expireAtMs: number): number => (expireAtMs === 0 ? never : expireAtMs)

const isTimed = (bytes: Uint8Array, at: number): boolean => ((bytes[at] as number) & timedBit) !== 0

/** A text that a counter stands on is itself the TTL write "none", unless its write left the TTL apart. */
const standsForNoTtl = (bytes: Uint8Array, at: number): boolean =>
  ((bytes[at] as number) & (basedBit | baseApartBit)) === basedBit

/** The TTL writes of what is no text: one at most. */
function ttlOf(bytes: Uint8Array, at: number): TtlWrites {
  if (!isTimed(bytes, at)) return noTtlWrites
  const body = bodyAt(bytes, at)
  return [{ stamp: readU56(bytes, body), expireAtMs: orNever(readU56(bytes, body + u56Bytes)) }]
}

/** Returns the offset behind it. */
function writeTtl(bytes: Uint8Array, at: number, { stamp, expireAtMs }: TtlWrite): number {
  writeU56(bytes, at, stamp)
  writeU56(bytes, at + u56Bytes, expireAtMs === never ? 0 : expireAtMs)
  return at + 2 * u56Bytes
}

/** Where what follows the name begins. */
function bodyAt(bytes: Uint8Array, at: number): number {
  readVarint(bytes, at + nameLengthAt)
  return varint.end + varint.value
}

/** Where what follows the TTL begins. */
function valueAt(bytes: Uint8Array, at: number): number {
  const body = bodyAt(bytes, at)
  if (!isTimed(bytes, at)) return body
  return body + (kindOf(bytes, at) === Kind.text ? u56Bytes : 2 * u56Bytes)
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
