/**
 * What the entries of a shard's keys say (`entry.ts` has their bytes), and which key is looked at. `entryTable.ts` writes them, and has an eye
 * on memory.
 */

import { type Origin, originOf, type Stamp } from '#protocol/sync/stamp.ts'
import { covers, type VersionVector } from '#protocol/sync/versionVector.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { readU56, readVarint, u56Bytes, unfoldSign, varint } from '#runtime/bytes/packedNumbers.ts'
import { addAmounts, formatAmount, parseAmount } from '#server/crdt/amount.ts'
import { CounterEntry } from '#server/crdt/counter.ts'
import { HllState } from '#server/crdt/hll.ts'
import { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import { KeyState, type KeyType } from '#server/crdt/keyState.ts'
import { Sibling } from '#server/crdt/register.ts'
import { Strnum } from '#server/crdt/strnum.ts'
import { noTtlWrites, type TtlWrites } from '#server/crdt/ttl.ts'
import { AccessClock } from './access.ts'
import { Arena, type Ref } from './arena.ts'
import {
  accessOf,
  baseApartBit,
  basedBit,
  bodyAt,
  isTimed,
  Kind,
  kindOf,
  nameLengthAt,
  originAt,
  orNever,
  setAccess,
  stampOf,
  standsForNoTtl,
  ttlOf,
  valueAt,
} from './entry.ts'
import { KeyIndex } from './keyIndex.ts'
import { KeyName } from './keyName.ts'
import type { ListElements } from './listRanges.ts'
import { PackedElements } from './packedElements.ts'
import { PackedList } from './packedList.ts'
import { PackedScores } from './packedScores.ts'

const never = Number.POSITIVE_INFINITY

export class EntryReader {
  /** What an access is written down as. */
  readonly accessClock: AccessClock = new AccessClock()
  /** The name that is aimed at. */
  readonly name: KeyName
  readonly index: KeyIndex
  /** Where `readName` and `readText` have found what they looked for. */
  textBytes: Uint8Array = new Uint8Array(0)
  textStart = 0
  textEnd = 0
  protected readonly arena: Arena = new Arena()
  /** A key of this slot is joined with what waits for it before it is used; -1: nothing waits. */
  protected joiningSlot = -1
  /** Somebody wants to know before keys of some slots are used. */
  protected isWatched = false
  /** Of `name`; undefined: not looked up yet. */
  protected found: Ref | undefined = undefined
  /** States on the heap, by the number that their entries hold. */
  protected readonly states: (KeyState | undefined)[] = []

  constructor(hashSeed: number) {
    this.name = new KeyName(hashSeed)
    this.index = new KeyIndex(this.arena, new KeyName(hashSeed))
  }

  // ---- look-up

  protected joinAimed(): void {}

  /** The key is about to be used. */
  protected showUse(): void {}

  /** What was found may be another entry now. */
  protected lookUpAgain(): void {
    this.found = undefined
  }

  aim(name: string): void {
    if (this.name.aimAtText(name)) this.found = undefined
  }

  /** The bytes must stay as they are while the name is used. */
  aimAt(bytes: Uint8Array, start: number, end: number): void {
    this.name.aim(bytes, start, end)
    this.found = undefined
  }

  slotOf(name: string): number {
    this.aim(name)
    return this.name.slot
  }

  /** The entry of the name that is aimed at; 0: there is none. */
  find(): Ref {
    if (this.found === undefined) {
      if (this.name.slot === this.joiningSlot) this.joinAimed()
      if (this.isWatched) this.showUse()
      this.found = this.index.find(this.name)
    }
    return this.found
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
    const bytes = this.arena.bytes(ref)
    readVarint(bytes, this.arena.offset(ref) + nameLengthAt)
    this.textBytes = bytes
    this.textStart = varint.end
    this.textEnd = varint.end + varint.value
  }

  // ---- what an entry says

  /** A value of `Kind`. */
  kind(ref: Ref): number {
    return kindOf(this.arena.bytes(ref), this.arena.offset(ref))
  }

  /** Whether the entry is one write, a text with or without a TTL. */
  isText(ref: Ref): boolean {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    const kind = kindOf(bytes, at)
    if (kind !== Kind.longText) return kind === Kind.text
    return !isTimed(bytes, at) || readU56(bytes, bodyAt(bytes, at)) === stampOf(bytes, at)
  }

  /** Whether it is a text, perhaps with a TTL write of its own. */
  holdsText(ref: Ref): boolean {
    const kind = kindOf(this.arena.bytes(ref), this.arena.offset(ref))
    return kind === Kind.text || kind === Kind.longText
  }

  /** Whether it is a text whose TTL can be changed where it lies. */
  isLongText(ref: Ref): boolean {
    return kindOf(this.arena.bytes(ref), this.arena.offset(ref)) === Kind.longText
  }

  /** A text without a TTL: by far the most. */
  isPlainText(ref: Ref): boolean {
    const head = this.arena.bytes(ref)[this.arena.offset(ref)]
    return head === Kind.text || head === Kind.longText
  }

  isCounter(ref: Ref): boolean {
    return kindOf(this.arena.bytes(ref), this.arena.offset(ref)) === Kind.counter
  }

  /** Whether it is a counter that only this origin adds to. */
  isCounterOf(ref: Ref, origin: Origin): boolean {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    return kindOf(bytes, at) === Kind.counter && originAt(bytes, at) === origin
  }

  /** What shows, if it is live. */
  typeOf(ref: Ref): KeyType | undefined {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
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
        return this.states[stampOf(bytes, at)]?.visibleType()
      default:
        return 'string'
    }
  }

  /** The elements of a packed hash or set; undefined: it is neither. */
  packed(ref: Ref): PackedElements | undefined {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    const kind = kindOf(bytes, at)
    if (kind !== Kind.hash && kind !== Kind.set) return undefined
    readVarint(bytes, valueAt(bytes, at))
    return new PackedElements(kind === Kind.hash, bytes, varint.end, varint.end + varint.value)
  }

  /** The members of a packed sorted set; undefined: it is none. */
  packedScores(ref: Ref): PackedScores | undefined {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    if (kindOf(bytes, at) !== Kind.zset) return undefined
    readVarint(bytes, valueAt(bytes, at))
    return new PackedScores(bytes, varint.end, varint.end + varint.value)
  }

  /** Whether it is a hash, set, sorted set, list or HyperLogLog that lies in the entry. */
  isPacked(ref: Ref): boolean {
    return this.kind(ref) >= Kind.hash && !this.isLongText(ref)
  }

  /** The elements of a packed list; undefined: it is none. */
  packedList(ref: Ref): PackedList | undefined {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    if (kindOf(bytes, at) !== Kind.list) return undefined
    readVarint(bytes, valueAt(bytes, at))
    return new PackedList(bytes, varint.end, varint.end + varint.value)
  }

  /** Of a HyperLogLog, shown or hidden: to be looked at, counted and outdated. */
  registers(ref: Ref): HyperLogLog | undefined {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
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
    return isTimed(this.arena.bytes(ref), this.arena.offset(ref))
  }

  /** The state on the heap; undefined: the entry is all there is. */
  state(ref: Ref): KeyState | undefined {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    return kindOf(bytes, at) === Kind.state ? this.states[stampOf(bytes, at)] : undefined
  }

  isLive(ref: Ref): boolean {
    const state = this.state(ref)
    return state === undefined || state.live
  }

  /** Of the one write of a text. */
  stamp(ref: Ref): Stamp {
    return stampOf(this.arena.bytes(ref), this.arena.offset(ref))
  }

  /** Whether the write of a text with this stamp is there, shown or not. */
  holdsWrite(ref: Ref, stamp: Stamp): boolean {
    if (ref === 0 || this.isPacked(ref)) return false
    if (this.holdsText(ref)) return this.stamp(ref) === stamp
    return this.stateOf(ref).string?.textWrittenAt(stamp) !== undefined
  }

  /** Of a text: all that the entry says, its TTL write too. */
  coveredBy(ref: Ref, context: VersionVector): boolean {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    if (stampOf(bytes, at) > (context[originAt(bytes, at)] as number)) return false
    if (kindOf(bytes, at) !== Kind.longText || !isTimed(bytes, at)) return true
    return covers(context, readU56(bytes, bodyAt(bytes, at)))
  }

  /** Whether it is a text of which `context` covers nothing, with `withTtl` not of its TTL either. */
  isBeyond(ref: Ref, context: VersionVector, withTtl: boolean): boolean {
    if (!this.holdsText(ref) || covers(context, this.stamp(ref))) return false
    if (!withTtl) return true
    const [ttl] = this.isLongText(ref) ? ttlOf(this.arena.bytes(ref), this.arena.offset(ref)) : noTtlWrites
    return ttl === undefined || !covers(context, ttl.stamp)
  }

  access(ref: Ref): number {
    return accessOf(this.arena.bytes(ref), this.arena.offset(ref))
  }

  setAccess(ref: Ref, access: number): void {
    setAccess(this.arena.bytes(ref), this.arena.offset(ref), access)
  }

  touch(ref: Ref): void {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    setAccess(bytes, at, this.accessClock.touched(accessOf(bytes, at)))
  }

  /** Infinity: no TTL. */
  expireAt(ref: Ref): number {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    if (kindOf(bytes, at) === Kind.state) return this.state(ref)?.expireAtMs() ?? never
    if (!isTimed(bytes, at) || standsForNoTtl(bytes, at)) return never
    const body = bodyAt(bytes, at)
    return kindOf(bytes, at) === Kind.text ? readU56(bytes, body) : orNever(readU56(bytes, body + u56Bytes))
  }

  /** Of a text: the write that left it may be the one of its TTL, too. */
  textTtl(ref: Ref): TtlWrites {
    if (this.isLongText(ref)) return ttlOf(this.arena.bytes(ref), this.arena.offset(ref))
    const expireAtMs = this.expireAt(ref)
    return expireAtMs === never ? noTtlWrites : [{ stamp: this.stamp(ref), expireAtMs }]
  }

  /** Whose TTL shows; undefined without a finite one. */
  expiryOwner(ref: Ref): Origin | undefined {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    if (kindOf(bytes, at) === Kind.state) return this.state(ref)?.expiryOwner()
    if (this.expireAt(ref) === never) return undefined
    return kindOf(bytes, at) === Kind.text ? originAt(bytes, at) : originOf(readU56(bytes, bodyAt(bytes, at)))
  }

  /** Finds the bytes of a text: `textBytes` from `textStart` to `textEnd`. */
  readText(ref: Ref): void {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    readVarint(bytes, valueAt(bytes, at))
    this.textBytes = bytes
    this.textStart = varint.end
    this.textEnd = varint.end + varint.value
  }

  text(ref: Ref): string {
    this.readText(ref)
    return latin1(this.textBytes, this.textStart, this.textEnd)
  }

  /** The string that shows, if it may spell a HyperLogLog: a long one isn't read to find that it doesn't. */
  spellingOf(ref: Ref): string {
    if (!this.holdsText(ref)) return this.stateOf(ref).string?.shown() ?? ''
    this.readText(ref)
    const end = Math.min(this.textEnd, this.textStart + HyperLogLog.magic.length)
    return latin1(this.textBytes, this.textStart, end) === HyperLogLog.magic ? this.text(ref) : ''
  }

  /** What a counter shows. */
  counterText(ref: Ref): string {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
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
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
    switch (kindOf(bytes, at)) {
      case Kind.text:
        return KeyState.ofText(this.text(ref), stampOf(bytes, at), this.expireAt(ref))
      case Kind.longText: {
        const state = KeyState.ofText(this.text(ref), stampOf(bytes, at), never)
        state.ttl = ttlOf(bytes, at)
        for (const sibling of state.string?.siblings ?? []) sibling.ttlApart = isTimed(bytes, at)
        return state
      }
      case Kind.counter:
        return this.#counter(ref)
      case Kind.hash:
      case Kind.set:
      case Kind.zset:
      case Kind.list:
      case Kind.hll:
        return this.#unpacked(ref)
      default:
        return this.states[stampOf(bytes, at)] as KeyState
    }
  }

  #unpacked(ref: Ref): KeyState {
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
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
    const bytes = this.arena.bytes(ref)
    const at = this.arena.offset(ref)
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
}

/** Of a packed HyperLogLog. */
function registersAt(bytes: Uint8Array, at: number): Uint8Array {
  readVarint(bytes, valueAt(bytes, at))
  return bytes.subarray(varint.end, varint.end + varint.value)
}
