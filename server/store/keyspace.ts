/**
 * The keys of one shard: what handlers read, and how delivered effects and slot states get in. Local writes come by a
 * `Transaction`. Handlers don't know how values lie.
 */

import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { includesSlot, type SlotRange } from '#protocol/slots/slotMap.ts'
import type { RecordPart } from '#protocol/sync/record.ts'
import { type Origin, originsMax } from '#protocol/sync/stamp.ts'
import { emptyVector, type SlotVectors, type VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Random } from '#runtime/ports.ts'
import { readEffects } from '#server/crdt/effectReading.ts'
import { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import { type HasWrite, lacksBase } from '#server/crdt/patchBases.ts'
import type { AccessClock } from './access.ts'
import { Applier } from './applier.ts'
import type { Ref } from './arena.ts'
import { EffectEvents } from './effectEvents.ts'
import { encodingOf } from './encoding.ts'
import { Expiries } from './expiries.ts'
import { applyGroupRecord } from './groupRecord.ts'
import type { KeyEvents } from './keyEvents.ts'
import { SlotParts } from './slotParts.ts'
import { SlotTables, type TouchListener } from './slotTables.ts'
import { UnexpiredFields } from './unexpired.ts'
import type { HashView, ListView, SetView, SortedSetView, StreamView, VisibleType } from './views.ts'

export interface KeyspaceOptions {
  origin: Origin
  ranges: readonly SlotRange[]
  /** Of the hash by which keys are found; not known to clients. */
  hashSeed?: number
  /** See `textIntents.ts`; for tests, which have no long ones. */
  patchedBytesMin?: number
}

/** Draws of a random key before the first visible one is taken. */
const randomDrawsMax = 100

export class Keyspace extends SlotParts {
  readonly origin: Origin
  readonly ranges: readonly SlotRange[]
  /** For `server/store` only. */
  readonly tables: SlotTables
  /** False: reads don't count as accesses (CLIENT NO-TOUCH). */
  touching = true
  readonly #applier: Applier
  readonly #expiries: Expiries
  readonly #context: VersionVector = emptyVector()

  constructor(options: KeyspaceOptions) {
    super()
    this.origin = options.origin
    this.ranges = options.ranges
    this.tables = new SlotTables(options.origin, options.hashSeed ?? 0)
    this.tables.patchedBytesMin = options.patchedBytesMin ?? this.tables.patchedBytesMin
    this.#applier = new Applier(this.tables)
    this.#expiries = new Expiries(this.tables)
  }

  /** Wall clock of the running step, set by the shard; decides what has expired. */
  get nowMs(): number {
    return this.tables.nowMs
  }

  set nowMs(nowMs: number) {
    this.tables.setNow(nowMs)
  }

  /** Told the name of every key that an effect or a merge may have changed, local or remote. */
  get onTouched(): TouchListener | undefined {
    return this.tables.onTouched
  }

  set onTouched(listener: TouchListener | undefined) {
    this.tables.onTouched = listener
  }

  /** What happens to keys is told here. */
  get events(): KeyEvents {
    return this.tables.events
  }

  /** What is touched now is touched by a FLUSHALL here. */
  get isFlushing(): boolean {
    return this.tables.isFlushing
  }

  get vectors(): SlotVectors {
    return this.tables.vectors
  }

  /** Keys with live state (DBSIZE): those that have expired but are not deleted yet count. */
  get size(): number {
    return this.tables.size
  }

  /** Keys with a TTL. */
  get expiring(): number {
    return this.tables.expiring
  }

  /** Keys that hold something which outlives a delete (`residues.ts`). */
  get residues(): number {
    return this.tables.residues.size
  }

  /** Memory of all keys: names, values, metadata and index. */
  get usedBytes(): number {
    return this.tables.usedBytes + this.stagedBytes
  }

  /** Whether no keys should come in any more, however much memory there is (`arena.ts`). */
  get isNearlyFull(): boolean {
    return this.tables.isNearlyFull
  }

  /** What is remembered of TTLs besides; it does not go with the keys, but when their time has come. */
  get expiryBytes(): number {
    return this.#expiries.usedBytes
  }

  /** Of one key, with its share of the index. */
  memoryUsage(name: string): number | undefined {
    const ref = this.#visible(name)
    return ref === 0 ? undefined : this.tables.bytesOf(ref)
  }

  /**
   * Visits up to `count` keys at a random place, with `volatileOnly` such as have a TTL; expired ones are among them as long
   * as they take memory. `expireAtMs` is Infinity without a TTL.
   */
  sampleKeys(
    random: Random,
    count: number,
    volatileOnly: boolean,
    visit: (name: string, access: number, expireAtMs: number) => void,
  ): void {
    const { tables } = this
    tables.sample(random, count, volatileOnly, (ref) =>
      visit(tables.nameOf(ref), tables.access(ref), tables.expireAt(ref)),
    )
  }

  /** A small step towards giving unused memory back; false: there is nothing to do. */
  compact(): boolean {
    return this.tables.compact()
  }

  // ---- what handlers read. A key that has expired is not there, whether deleted yet or not.

  #visible(name: string): Ref {
    this.tables.aim(name)
    return this.#aimed()
  }

  /** For who wants to read the key. */
  #sought(name: string): Ref {
    const ref = this.#visible(name)
    if (ref === 0) this.events.noteMissed(name)
    return ref
  }

  /** The entry that is aimed at; 0: there is none to be seen. */
  #aimed(): Ref {
    const { tables } = this
    const ref = tables.find()
    if (ref === 0 || tables.isPlainText(ref)) return ref
    return !tables.isLive(ref) || tables.hasExpired(ref) ? 0 : ref
  }

  /** As an access. */
  #read(name: string): Ref {
    const ref = this.#sought(name)
    if (ref !== 0 && this.touching) this.tables.touch(ref)
    return ref
  }

  /** Doesn't count as an access. */
  type(name: string): VisibleType {
    const ref = this.#sought(name)
    return ref === 0 ? 'none' : this.#shownType(ref)
  }

  /** For who doesn't want to read the key. */
  has(name: string): boolean {
    return this.#visible(name) !== 0
  }

  /** A HyperLogLog is a string to all commands but its own. */
  #shownType(ref: Ref): VisibleType {
    const type = this.tables.typeOf(ref) ?? 'none'
    return type === 'hll' ? 'string' : type
  }

  /** This and what else gives a value throw `ReplyError(errors.wrongType)`. */
  string(name: string): string | undefined {
    const ref = this.#read(name)
    return ref === 0 ? undefined : this.#stringAt(ref)
  }

  /**
   * The bytes [start, end) of a string, or as many as there are: good until the next write, nearly always without a copy.
   * undefined: no such key.
   */
  stringBytes(name: string, start = 0, end = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    const ref = this.#read(name)
    if (ref === 0) return undefined
    const { tables } = this
    if (!tables.holdsText(ref)) return bytesOf((this.#stringAt(ref) ?? '').slice(start, end))
    tables.readText(ref)
    const { textBytes, textStart, textEnd } = tables
    return textBytes.subarray(Math.min(textEnd, textStart + start), Math.min(textEnd, textStart + end))
  }

  #stringAt(ref: Ref): string | undefined {
    const { tables } = this
    if (tables.holdsText(ref)) return tables.text(ref)
    if (tables.isCounter(ref)) return tables.counterText(ref)
    this.#requireType(ref, 'string')
    const registers = this.#registersAt(ref)
    return registers === undefined ? tables.state(ref)?.string?.shown() : registers.text
  }

  /**
   * Writes the value of the key named by [start, end) of `bytes` as a bulk string, or null. False: nothing is written, the key
   * has another type.
   */
  replyWithString(bytes: Uint8Array, start: number, end: number, reply: ReplyWriter): boolean {
    const { tables } = this
    tables.aimAt(bytes, start, end)
    const ref = this.#aimed()
    if (ref === 0) {
      if (this.events.tellsMisses) this.#sought(latin1(bytes, start, end))
      reply.null()
      return true
    }
    if (this.touching) tables.touch(ref)
    if (tables.holdsText(ref)) {
      tables.readText(ref)
      reply.bulkBytes(tables.textBytes, tables.textStart, tables.textEnd)
    } else {
      if (this.#shownType(ref) !== 'string') return false
      reply.bulk(this.#stringAt(ref) ?? '')
    }
    return true
  }

  #requireType(ref: Ref, type: VisibleType): void {
    if (this.#shownType(ref) !== type) throw new ReplyError(errors.wrongType)
  }

  /** For who is about to write a value of `type`: throws unless the key has such a one, or none. A refusal is an access, too. */
  requireWritable(name: string, type: VisibleType): void {
    const ref = this.#visible(name)
    if (ref === 0 || this.#shownType(ref) === type) return
    if (this.touching) this.tables.touch(ref)
    throw new ReplyError(errors.wrongType)
  }

  /** Of a key that is a HyperLogLog; undefined for all others, also for strings that spell one. Doesn't count as an access. */
  registers(name: string): HyperLogLog | undefined {
    const ref = this.#visible(name)
    return ref === 0 ? undefined : this.#registersAt(ref)
  }

  /** Of a string, too, that only spells one: its registers may be unsound. Throws `ReplyError` unless there is one, or no key. */
  hyperLogLog(name: string): HyperLogLog | undefined {
    const ref = this.#read(name)
    if (ref === 0) return undefined
    this.#requireType(ref, 'string')
    const registers = this.#registersAt(ref) ?? HyperLogLog.of(this.tables.spellingOf(ref))
    if (registers === undefined) throw new ReplyError(errors.notHyperLogLog)
    return registers
  }

  #registersAt(ref: Ref): HyperLogLog | undefined {
    return this.tables.typeOf(ref) === 'hll' ? this.tables.registers(ref) : undefined
  }

  hash(name: string): HashView | undefined {
    const ref = this.#read(name)
    if (ref === 0) return undefined
    this.#requireType(ref, 'hash')
    const packed = this.tables.packed(ref)
    if (packed !== undefined) return packed
    const hash = this.tables.state(ref)?.hash
    return hash !== undefined && hash.soonestExpiryMs < this.nowMs
      ? new UnexpiredFields(hash, this.nowMs)
      : hash
  }

  set(name: string): SetView | undefined {
    const ref = this.#read(name)
    if (ref === 0) return undefined
    this.#requireType(ref, 'set')
    return this.tables.packed(ref) ?? this.tables.state(ref)?.set
  }

  sortedSet(name: string): SortedSetView | undefined {
    const ref = this.#read(name)
    if (ref === 0) return undefined
    this.#requireType(ref, 'zset')
    return this.tables.packedScores(ref) ?? this.tables.state(ref)?.zset
  }

  list(name: string): ListView | undefined {
    const ref = this.#read(name)
    if (ref === 0) return undefined
    this.#requireType(ref, 'list')
    return this.tables.listElements(ref)
  }

  stream(name: string): StreamView | undefined {
    const ref = this.#read(name)
    if (ref === 0) return undefined
    this.#requireType(ref, 'stream')
    return this.tables.state(ref)?.stream
  }

  /** undefined: no such key; Infinity: no TTL. */
  expireAtMs(name: string): number | undefined {
    const ref = this.#sought(name)
    return ref === 0 ? undefined : this.tables.expireAt(ref)
  }

  /** When a visible key, or a field of it, is there no more; Infinity: not by itself. A field may be gone already and not deleted yet. */
  nextExpiryMs(name: string): number {
    const ref = this.#visible(name)
    if (ref === 0) return Number.POSITIVE_INFINITY
    const { tables } = this
    return Math.min(tables.expireAt(ref), tables.state(ref)?.soonestFieldExpiryMs ?? Number.POSITIVE_INFINITY)
  }

  /** As `type`, and counts as an access; what gives or writes a value counts by itself. */
  use(name: string): VisibleType {
    const ref = this.#read(name)
    return ref === 0 ? 'none' : this.#shownType(ref)
  }

  /** Counts as an access, `touching` or not; false: no such key. */
  touch(name: string): boolean {
    const ref = this.#sought(name)
    if (ref !== 0) this.tables.touch(ref)
    return ref !== 0
  }

  /** As if the last access lay so long back; without effect while accesses are recorded by frequency. */
  setIdleSeconds(name: string, seconds: number): void {
    this.#setAccess(name, this.accessClock.ofIdleSeconds(seconds))
  }

  /** As if the key was used so often; without effect while accesses are recorded by time. */
  setFrequency(name: string, counter: number): void {
    this.#setAccess(name, this.accessClock.ofFrequency(counter))
  }

  #setAccess(name: string, access: number | undefined): void {
    const ref = this.#visible(name)
    if (ref !== 0 && access !== undefined) this.tables.setAccess(ref, access)
  }

  /** What is kept of accesses: how often keys are used, or when they were last (`access.ts`). */
  get accessClock(): AccessClock {
    return this.tables.accessClock
  }

  /** Whole seconds since the last access; of use while accesses are recorded by time. */
  idleSeconds(name: string): number | undefined {
    const ref = this.#visible(name)
    return ref === 0 ? undefined : this.accessClock.idleSeconds(this.tables.access(ref))
  }

  /** Of use while accesses are recorded by frequency. */
  frequency(name: string): number | undefined {
    const ref = this.#visible(name)
    return ref === 0 ? undefined : this.accessClock.frequency(this.tables.access(ref))
  }

  /** Redis's name of the representation; a function of the present content. */
  encoding(name: string): string | undefined {
    const ref = this.#visible(name)
    return ref === 0 ? undefined : encodingOf(this.tables, ref)
  }

  randomKey(random: Random): string | undefined {
    const { tables } = this
    for (let draw = 0; draw < randomDrawsMax; draw++) {
      const ref = tables.index.random(random)
      if (ref === 0) return undefined
      if (tables.isLive(ref) && !tables.hasExpired(ref)) return tables.nameOf(ref)
    }
    // Nearly all have expired, or are residues.
    for (const slot of tables.index.occupied()) for (const name of this.keysInSlot(slot)) return name
    return undefined
  }

  /** Visible keys of the slot. */
  keysInSlot(slot: number): string[] {
    const names: string[] = []
    this.tables.index.forEach(slot, (ref) => {
      if (this.tables.isLive(ref) && !this.tables.hasExpired(ref)) names.push(this.tables.nameOf(ref))
    })
    return names
  }

  /** Slots that hold anything, ascending. */
  occupiedSlots(): IterableIterator<number> {
    this.tables.finishJoin(this.tables.slotOfJoin)
    return this.tables.index.occupied()
  }

  /** Keys of the slot, those that only hold residues included. */
  slotSize(slot: number): number {
    return this.tables.index.sizeOf(slot)
  }

  /**
   * Visits about `count` keys of the slot from `position` (0 at the start, below 2^32) on, the visible ones, and returns
   * where to go on, 0 when the slot is done. A key that is there during the whole scan is visited at least once.
   */
  scan(slot: number, position: number, count: number, visit: (key: string) => void): number {
    const { tables } = this
    return tables.index.scan(slot, position, count, (ref) => {
      if (tables.isLive(ref) && !tables.hasExpired(ref)) visit(tables.nameOf(ref))
    })
  }

  // ---- replication

  /**
   * Applies the effects of a part that may be delivered, then raises the slot's vector. Foreign bytes are checked before
   * (`checkEffects`): half a part applied could not be taken back.
   */
  apply(part: RecordPart, bytes: Uint8Array): void {
    const { slot, origin } = part
    this.requireDeliverable(part)
    this.#context.set(part.context)
    this.#applier.aim(slot, origin, this.#context)
    const sink = this.events.classes === 0 ? this.#applier : new EffectEvents(this.tables, this.#applier)
    readEffects(bytes, part.effectsStart, part.effectsEnd, part.first, part.last, sink)
    this.vectors.set(slot, origin, part.last)
  }

  /** Whether the part patches a text that has gone on: its result has to come as state. */
  lacksBase({ effectsStart, effectsEnd, first, last }: RecordPart, bytes: Uint8Array): boolean {
    const has: HasWrite = (key, stamp) => this.tables.holdsWrite(this.tables.findText(key), stamp)
    return lacksBase(bytes, effectsStart, effectsEnd, first, last, has)
  }

  /** What the log holds of a consumer group: changes that are this cluster's own. Throws `FormatError`. */
  applyGroupChanges(slot: number, bytes: Uint8Array, start: number, end: number): void {
    applyGroupRecord(this.tables, slot, new ByteReader(bytes, start, end))
  }

  /** The gate's business, looked at from this side of the border too. */
  protected requireDeliverable(part: RecordPart): void {
    const { slot, origin, last, previous, context } = part
    const applied = this.vectors.get(slot, origin)
    let deliverable = last > applied && previous <= applied && includesSlot(this.ranges, slot)
    for (let o = 0; o < originsMax; o++) {
      if (o !== origin && (context[o] as number) > this.vectors.get(slot, o)) deliverable = false
    }
    // The facts are gathered only when they are needed: this runs for each record.
    if (!deliverable) {
      const facts = { slot, origin, last, previous, applied, context: [...context] }
      invariant(false, 'a part continues its chain, and its context has been applied', facts)
    }
  }

  /**
   * Up to about `limit` keys whose expiry, or that of some of their fields, this cluster is to send now: of its own TTL after
   * 1 s, of another's after 30 s (`Transaction.deleteDue`). Those of a slot come together. A key that is not deleted then
   * comes again. The work of a call is bounded: fewer keys than `limit`, or none, doesn't mean that there are no more
   * (`hasDueExpiries`).
   */
  dueExpiries(limit: number): string[] {
    return this.#expiries.due(limit)
  }

  get hasDueExpiries(): boolean {
    return this.#expiries.hasMore
  }

  /** A step of freeing what is remembered of TTLs that are gone; true: more is to be done at once. */
  tidyExpiries(): boolean {
    return this.#expiries.tidy()
  }
}
