/**
 * Effects: what a command did, as data. They are what the log holds and peers apply; they can't fail and hold no condition.
 * An effect removes "what its origin had seen", which the record's context says, so no dots are listed.
 *
 *     effects := effect*
 *     effect  := delta varint | kind u8 | key text | body        (stamp = the previous effect's + delta * 8; the first's delta is 0)
 *     kind    := code | fresh 0x80 | resets 0x40
 *
 * `fresh` (rule A4): the key did not exist at the origin, so the effect begins by ending the TTL writes that its context
 * covers. `resets` (rule A1): the live counters that the effect removes follow; of an increment of a score, which removes
 * nothing: its rest. A flush has an empty key.
 *
 * One command is one stamp, which several effects may share; a transaction is several. Effects of a part in order see
 * each other: for an effect with stamp s, everything of its origin below s is covered.
 */

import { type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { type Amount, readAmount, writeAmount } from './amount.ts'
import { type CounterReset, noResets } from './counter.ts'
import type { FieldReset } from './hash.ts'
import { allTypes, keepTtl, noRemovedCounters, type RemovedCounters } from './keyState.ts'
import type { IdRange } from './list.ts'
import {
  isListCode,
  ListCode,
  type ListEffectSink,
  readListEffect,
  writeElementBody,
  writeRemovalBody,
} from './listEffect.ts'
import type { ListId, Side } from './listId.ts'
import { Tag } from './score.ts'
import {
  readDouble,
  readMemberResets,
  readScoreResets,
  writeMemberResets,
  writeScoreResets,
} from './scoreCodec.ts'
import type { MemberReset } from './sortedSet.ts'
import {
  readExpireAt,
  readFlag,
  readResets,
  readTexts,
  writeExpireAt,
  writeResets,
  writeTexts,
} from './stateCodec.ts'

export interface FlushedKey {
  readonly key: string
  readonly counters: RemovedCounters
}

/** Who takes effects: the writer of bytes, the keyspace, a check that keeps nothing. */
export interface EffectSink extends ListEffectSink {
  /**
   * `setText` of a text without resets whose TTL isn't kept, key and text being ranges of `bytes`. False: the sink wants it
   * by `setText`. Nearly all effects are of this form.
   */
  setOnlyBytes(
    stamp: Stamp,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    textStart: number,
    textEnd: number,
    expireAtMs: number,
  ): boolean
  /** `expireAtMs`: a time, Infinity for none, or `keepTtl`. */
  setText(stamp: Stamp, key: string, text: string, expireAtMs: number, resets: readonly CounterReset[]): void
  increment(stamp: Stamp, key: string, fresh: boolean, from: Stamp, sum: Amount): void
  setField(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    field: string,
    text: string,
    resets: readonly CounterReset[],
  ): void
  /** `creates`: the field did not exist at the origin, as `fresh` says of the key. */
  incrementField(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    field: string,
    creates: boolean,
    from: Stamp,
    sum: Amount,
  ): void
  writeFieldTtl(stamp: Stamp, key: string, fields: readonly string[], expireAtMs: number): void
  removeFields(stamp: Stamp, key: string, fields: readonly string[], resets: readonly FieldReset[]): void
  addMembers(stamp: Stamp, key: string, fresh: boolean, members: readonly string[]): void
  removeMembers(stamp: Stamp, key: string, members: readonly string[]): void
  setScore(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    member: string,
    score: number,
    tag: Tag,
    resets: readonly CounterReset<number>[],
  ): void
  incrementScore(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    member: string,
    from: Stamp,
    sum: number,
    rest: number,
  ): void
  removeScores(stamp: Stamp, key: string, members: readonly string[], resets: readonly MemberReset[]): void
  /** `types`: bits of the types that go; `endsTtl`: and the TTL, as DEL does. */
  remove(stamp: Stamp, key: string, types: number, endsTtl: boolean, counters: RemovedCounters): void
  writeTtl(stamp: Stamp, key: string, expireAtMs: number): void
  /** All keys of the slot; `keys` are those with live counters. */
  flush(stamp: Stamp, keys: readonly FlushedKey[]): void
}

const Code = {
  setText: 1,
  setTextKeepTtl: 2,
  setTextExpiring: 3,
  increment: 4,
  setField: 5,
  incrementField: 6,
  removeFields: 7,
  addMembers: 8,
  removeMembers: 9,
  remove: 10,
  writeTtl: 11,
  flush: 12,
  setScore: 13,
  setScoreGreater: 14,
  setScoreLess: 15,
  incrementScore: 16,
  removeScores: 17,
  /** `remove` and `flush` with counters of sorted sets, which came later. */
  removeCounted: 18,
  flushCounted: 19,
  incrementNewField: 46,
  writeFieldTtl: 47,
} as const
// 20 to 23 are those of lists (`listEffect.ts`).

const freshBit = 0x80
const resetsBit = 0x40
/** An increment resets nothing; of a score it may have a rest. */
const restBit = resetsBit
const codeMask = 0x3f

const noBytes = new Uint8Array(0)

export class EffectWriter implements EffectSink {
  readonly #writer = new ByteWriter()
  #last: Stamp = 0
  /** The effects end with the bytes [#tailStart, #tailEnd) of it, which nearly always go to the record from there. */
  #tail: Uint8Array = noBytes
  #tailStart = 0
  #tailEnd = 0

  get length(): number {
    return this.#writer.length + this.#tailEnd - this.#tailStart
  }

  get capacityBytes(): number {
    return this.#writer.bytes.length
  }

  clear(): void {
    this.#writer.clear()
    this.#last = 0
    this.#dropTail()
  }

  /** Appends the effects to `writer`. What `setOnlyBytes` was given must still be as it was. */
  writeTo(writer: ByteWriter): void {
    writer.raw(this.#writer.bytes, 0, this.#writer.length)
    writer.raw(this.#tail, this.#tailStart, this.#tailEnd)
  }

  #dropTail(): void {
    this.#tail = noBytes
    this.#tailStart = 0
    this.#tailEnd = 0
  }

  /** Of the next effect. */
  #beginStamp(stamp: Stamp): ByteWriter {
    const writer = this.#writer
    if (this.#tailEnd > 0) {
      writer.raw(this.#tail, this.#tailStart, this.#tailEnd)
      this.#dropTail()
    }
    writer.varint(this.#last === 0 ? 0 : (stamp - this.#last) / stampStep)
    this.#last = stamp
    return writer
  }

  #begin(stamp: Stamp, kind: number, key: string): ByteWriter {
    const writer = this.#beginStamp(stamp)
    writer.u8(kind)
    writer.text(key)
    return writer
  }

  #beginBytes(stamp: Stamp, kind: number, bytes: Uint8Array, keyStart: number, keyEnd: number): ByteWriter {
    const writer = this.#beginStamp(stamp)
    writer.u8(kind)
    writer.varint(keyEnd - keyStart)
    writer.raw(bytes, keyStart, keyEnd)
    return writer
  }

  setOnlyBytes(
    stamp: Stamp,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    textStart: number,
    textEnd: number,
    expireAtMs: number,
  ): boolean {
    const timed = expireAtMs !== Number.POSITIVE_INFINITY
    const writer = this.#beginBytes(
      stamp,
      timed ? Code.setTextExpiring : Code.setText,
      bytes,
      keyStart,
      keyEnd,
    )
    this.#plainText(writer, bytes, textStart, textEnd, expireAtMs)
    return true
  }

  #plainText(
    writer: ByteWriter,
    bytes: Uint8Array,
    textStart: number,
    textEnd: number,
    expireAtMs: number,
  ): void {
    writer.varint(textEnd - textStart)
    if (expireAtMs !== Number.POSITIVE_INFINITY) {
      writer.raw(bytes, textStart, textEnd)
      writer.varint(expireAtMs)
    } else {
      this.#tail = bytes
      this.#tailStart = textStart
      this.#tailEnd = textEnd
    }
  }

  /** `setText` without resets whose TTL isn't kept; the text must stay as it is until `writeTo`. */
  setTextBytes(stamp: Stamp, key: string, text: Uint8Array, expireAtMs: number): void {
    const timed = expireAtMs !== Number.POSITIVE_INFINITY
    const writer = this.#begin(stamp, timed ? Code.setTextExpiring : Code.setText, key)
    this.#plainText(writer, text, 0, text.length, expireAtMs)
  }

  /** `increment` of a key that isn't fresh, which is a range of `bytes`. */
  incrementBytes(
    stamp: Stamp,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    from: Stamp,
    sum: number,
  ): void {
    writeIncrement(this.#beginBytes(stamp, Code.increment, bytes, keyStart, keyEnd), stamp, from, sum)
  }

  setText(
    stamp: Stamp,
    key: string,
    text: string,
    expireAtMs: number,
    resets: readonly CounterReset[],
  ): void {
    const code =
      expireAtMs === Number.POSITIVE_INFINITY
        ? Code.setText
        : expireAtMs === keepTtl
          ? Code.setTextKeepTtl
          : Code.setTextExpiring
    const writer = this.#begin(stamp, resets.length > 0 ? code | resetsBit : code, key)
    writer.text(text)
    if (code === Code.setTextExpiring) writer.varint(expireAtMs)
    if (resets.length > 0) writeResets(writer, resets)
  }

  increment(stamp: Stamp, key: string, fresh: boolean, from: Stamp, sum: Amount): void {
    const writer = this.#begin(stamp, fresh ? Code.increment | freshBit : Code.increment, key)
    writeIncrement(writer, stamp, from, sum)
  }

  setField(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    field: string,
    text: string,
    resets: readonly CounterReset[],
  ): void {
    const kind = Code.setField | (fresh ? freshBit : 0) | (resets.length > 0 ? resetsBit : 0)
    const writer = this.#begin(stamp, kind, key)
    writer.text(field)
    writer.text(text)
    if (resets.length > 0) writeResets(writer, resets)
  }

  incrementField(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    field: string,
    creates: boolean,
    from: Stamp,
    sum: Amount,
  ): void {
    const code = creates ? Code.incrementNewField : Code.incrementField
    const writer = this.#begin(stamp, fresh ? code | freshBit : code, key)
    writer.text(field)
    writeIncrement(writer, stamp, from, sum)
  }

  writeFieldTtl(stamp: Stamp, key: string, fields: readonly string[], expireAtMs: number): void {
    const writer = this.#begin(stamp, Code.writeFieldTtl, key)
    writeTexts(writer, fields)
    writeExpireAt(writer, expireAtMs)
  }

  removeFields(stamp: Stamp, key: string, fields: readonly string[], resets: readonly FieldReset[]): void {
    const kind = resets.length > 0 ? Code.removeFields | resetsBit : Code.removeFields
    const writer = this.#begin(stamp, kind, key)
    writeTexts(writer, fields)
    if (resets.length > 0) writeFieldResets(writer, resets)
  }

  addMembers(stamp: Stamp, key: string, fresh: boolean, members: readonly string[]): void {
    writeTexts(this.#begin(stamp, fresh ? Code.addMembers | freshBit : Code.addMembers, key), members)
  }

  removeMembers(stamp: Stamp, key: string, members: readonly string[]): void {
    writeTexts(this.#begin(stamp, Code.removeMembers, key), members)
  }

  setScore(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    member: string,
    score: number,
    tag: Tag,
    resets: readonly CounterReset<number>[],
  ): void {
    const kind = (Code.setScore + tag) | (fresh ? freshBit : 0) | (resets.length > 0 ? resetsBit : 0)
    const writer = this.#begin(stamp, kind, key)
    writer.text(member)
    writer.f64(score)
    if (resets.length > 0) writeScoreResets(writer, resets)
  }

  incrementScore(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    member: string,
    from: Stamp,
    sum: number,
    rest: number,
  ): void {
    const kind = Code.incrementScore | (fresh ? freshBit : 0) | (rest !== 0 ? restBit : 0)
    const writer = this.#begin(stamp, kind, key)
    writer.text(member)
    writer.varint((stamp - from) / stampStep)
    writer.f64(sum)
    if (rest !== 0) writer.f64(rest)
  }

  removeScores(stamp: Stamp, key: string, members: readonly string[], resets: readonly MemberReset[]): void {
    const kind = resets.length > 0 ? Code.removeScores | resetsBit : Code.removeScores
    const writer = this.#begin(stamp, kind, key)
    writeTexts(writer, members)
    if (resets.length > 0) writeMemberResets(writer, resets)
  }

  pushElements(stamp: Stamp, key: string, fresh: boolean, side: Side, values: readonly string[]): void {
    const code = side === -1 ? ListCode.pushLeft : ListCode.pushRight
    writeTexts(this.#begin(stamp, fresh ? code | freshBit : code, key), values)
  }

  writeElement(stamp: Stamp, key: string, id: ListId, text: string): void {
    writeElementBody(this.#begin(stamp, ListCode.writeElement, key), id, text)
  }

  removeElements(stamp: Stamp, key: string, ranges: readonly IdRange[]): void {
    writeRemovalBody(this.#begin(stamp, ListCode.removeElements, key), ranges)
  }

  remove(stamp: Stamp, key: string, types: number, endsTtl: boolean, counters: RemovedCounters): void {
    const counted = counters.scores.length > 0
    const kind = counted
      ? Code.removeCounted
      : counters === noRemovedCounters
        ? Code.remove
        : Code.remove | resetsBit
    const writer = this.#begin(stamp, kind, key)
    writer.u8(types)
    writer.u8(endsTtl ? 1 : 0)
    if (kind !== Code.remove) writeCounters(writer, counters, counted)
  }

  writeTtl(stamp: Stamp, key: string, expireAtMs: number): void {
    writeExpireAt(this.#begin(stamp, Code.writeTtl, key), expireAtMs)
  }

  flush(stamp: Stamp, keys: readonly FlushedKey[]): void {
    const counted = keys.some(({ counters }) => counters.scores.length > 0)
    const writer = this.#begin(stamp, counted ? Code.flushCounted : Code.flush, '')
    writer.varint(keys.length)
    for (const { key, counters } of keys) {
      writer.text(key)
      writeCounters(writer, counters, counted)
    }
  }
}

function writeIncrement(writer: ByteWriter, stamp: Stamp, from: Stamp, sum: Amount): void {
  writer.varint((stamp - from) / stampStep)
  writeAmount(writer, sum)
}

function writeFieldResets(writer: ByteWriter, resets: readonly FieldReset[]): void {
  writer.varint(resets.length)
  for (const reset of resets) {
    writer.text(reset.field)
    writeResets(writer, reset.resets)
  }
}

/** `counted`: with those of sorted sets. */
function writeCounters(writer: ByteWriter, counters: RemovedCounters, counted: boolean): void {
  writeResets(writer, counters.string)
  writeFieldResets(writer, counters.fields)
  if (counted) writeMemberResets(writer, counters.scores)
}

/** Shown the range of each key; may throw. */
export type KeyCheck = (bytes: Uint8Array, start: number, end: number) => void

const anyKey: KeyCheck = () => {}

/** Hands the effects [start, end), whose stamps run from `first` to `last`, to `sink`. Throws `FormatError`. */
export function readEffects(
  bytes: Uint8Array,
  start: number,
  end: number,
  first: Stamp,
  last: Stamp,
  sink: EffectSink,
  checkKey: KeyCheck = anyKey,
): void {
  const reader = new ByteReader(bytes, start, end)
  let stamp = first
  let atFirst = true
  while (!reader.atEnd) {
    const delta = reader.varint()
    if (atFirst && delta !== 0) throw new FormatError('the first effect has the first stamp')
    atFirst = false
    stamp += delta * stampStep
    if (stamp > last) throw new FormatError(`effect with a stamp above ${last}`)
    readEffect(reader, stamp, sink, checkKey)
  }
  if (atFirst || stamp !== last) throw new FormatError('the last effect has the last stamp')
}

/** The code and its flags are looked at in one place, so that an unknown combination is refused. */
function readEffect(reader: ByteReader, stamp: Stamp, sink: EffectSink, checkKey: KeyCheck): void {
  const kind = reader.u8()
  const keyStart = reader.skipText()
  const keyEnd = reader.at
  if (kind !== Code.flush && kind !== Code.flushCounted) checkKey(reader.bytes, keyStart, keyEnd)
  if (kind === Code.setText || kind === Code.setTextExpiring) {
    readPlainText(reader, stamp, kind, keyStart, keyEnd, sink)
    return
  }
  const key = latin1(reader.bytes, keyStart, keyEnd)
  const fresh = (kind & freshBit) !== 0
  const resets = (kind & resetsBit) !== 0
  if (isListCode(kind & codeMask)) {
    requireNo(resets, kind)
    readListEffect(reader, stamp, key, kind & codeMask, fresh, sink)
    return
  }
  switch (kind & codeMask) {
    case Code.setText:
    case Code.setTextKeepTtl:
    case Code.setTextExpiring:
      requireNo(fresh, kind)
      readSetText(reader, stamp, key, kind & codeMask, resets, sink)
      return
    case Code.increment: {
      requireNo(resets, kind)
      const from = readFrom(reader, stamp)
      sink.increment(stamp, key, fresh, from, readAmount(reader))
      return
    }
    case Code.setField: {
      const field = reader.text()
      const text = reader.text()
      sink.setField(stamp, key, fresh, field, text, resets ? readResets(reader) : noResets)
      return
    }
    case Code.incrementField:
    case Code.incrementNewField:
      requireNo(resets, kind)
      readIncrementField(reader, stamp, key, fresh, (kind & codeMask) === Code.incrementNewField, sink)
      return
    case Code.writeFieldTtl: {
      requireNo(fresh || resets, kind)
      const fields = readTexts(reader)
      sink.writeFieldTtl(stamp, key, fields, readExpireAt(reader))
      return
    }
    case Code.removeFields: {
      requireNo(fresh, kind)
      const fields = readTexts(reader)
      sink.removeFields(stamp, key, fields, resets ? readFieldResets(reader) : [])
      return
    }
    case Code.addMembers:
      requireNo(resets, kind)
      sink.addMembers(stamp, key, fresh, readTexts(reader))
      return
    case Code.removeMembers:
      requireNo(fresh || resets, kind)
      sink.removeMembers(stamp, key, readTexts(reader))
      return
    case Code.remove:
      requireNo(fresh, kind)
      readRemove(reader, stamp, key, resets ? readCounters : withoutCounters, sink)
      return
    case Code.writeTtl:
      requireNo(fresh || resets, kind)
      sink.writeTtl(stamp, key, readExpireAt(reader))
      return
    case Code.flush:
      requireNo(fresh || resets || key !== '', kind)
      sink.flush(stamp, readFlushedKeys(reader, checkKey, readCounters))
      return
    default:
      readScoreEffect(reader, stamp, kind, key, sink, checkKey)
  }
}

function readIncrementField(
  reader: ByteReader,
  stamp: Stamp,
  key: string,
  fresh: boolean,
  creates: boolean,
  sink: EffectSink,
): void {
  const field = reader.text()
  const from = readFrom(reader, stamp)
  sink.incrementField(stamp, key, fresh, field, creates, from, readAmount(reader))
}

/** Those that came with sorted sets. */
function readScoreEffect(
  reader: ByteReader,
  stamp: Stamp,
  kind: number,
  key: string,
  sink: EffectSink,
  checkKey: KeyCheck,
): void {
  const fresh = (kind & freshBit) !== 0
  const resets = (kind & resetsBit) !== 0
  const code = kind & codeMask
  switch (code) {
    case Code.setScore:
    case Code.setScoreGreater:
    case Code.setScoreLess: {
      const member = reader.text()
      const score = readDouble(reader)
      const tag = code === Code.setScore ? Tag.none : code === Code.setScoreGreater ? Tag.greater : Tag.less
      sink.setScore(stamp, key, fresh, member, score, tag, resets ? readScoreResets(reader) : noResets)
      return
    }
    case Code.incrementScore: {
      const member = reader.text()
      const from = readFrom(reader, stamp)
      const sum = readDouble(reader)
      const rest = (kind & restBit) === 0 ? 0 : readDouble(reader)
      sink.incrementScore(stamp, key, fresh, member, from, sum, rest)
      return
    }
    case Code.removeScores: {
      requireNo(fresh, kind)
      const members = readTexts(reader)
      sink.removeScores(stamp, key, members, resets ? readMemberResets(reader) : [])
      return
    }
    case Code.removeCounted:
      requireNo(fresh || resets, kind)
      readRemove(reader, stamp, key, readAllCounters, sink)
      return
    case Code.flushCounted:
      requireNo(fresh || resets || key !== '', kind)
      sink.flush(stamp, readFlushedKeys(reader, checkKey, readAllCounters))
      return
    default:
      throw new FormatError(`effect kind ${kind}`)
  }
}

function requireNo(present: boolean, kind: number): void {
  if (present) throw new FormatError(`effect kind ${kind}`)
}

function readPlainText(
  reader: ByteReader,
  stamp: Stamp,
  code: number,
  keyStart: number,
  keyEnd: number,
  sink: EffectSink,
): void {
  const textStart = reader.skipText()
  const textEnd = reader.at
  const { bytes } = reader
  const expireAtMs = code === Code.setText ? Number.POSITIVE_INFINITY : reader.varint()
  if (sink.setOnlyBytes(stamp, bytes, keyStart, keyEnd, textStart, textEnd, expireAtMs)) return
  const key = latin1(bytes, keyStart, keyEnd)
  sink.setText(stamp, key, latin1(bytes, textStart, textEnd), expireAtMs, noResets)
}

function readSetText(
  reader: ByteReader,
  stamp: Stamp,
  key: string,
  code: number,
  resets: boolean,
  sink: EffectSink,
): void {
  const text = reader.text()
  let expireAtMs = code === Code.setText ? Number.POSITIVE_INFINITY : keepTtl
  if (code === Code.setTextExpiring) expireAtMs = reader.varint()
  sink.setText(stamp, key, text, expireAtMs, resets ? readResets(reader) : noResets)
}

function readRemove(
  reader: ByteReader,
  stamp: Stamp,
  key: string,
  readRemoved: (reader: ByteReader) => RemovedCounters,
  sink: EffectSink,
): void {
  const types = reader.u8()
  if ((types & ~allTypes) !== 0) throw new FormatError(`types ${types}`)
  const endsTtl = readFlag(reader)
  sink.remove(stamp, key, types, endsTtl, readRemoved(reader))
}

function readFrom(reader: ByteReader, stamp: Stamp): Stamp {
  const from = stamp - reader.varint() * stampStep
  if (from <= 0) throw new FormatError('counter entry from before the epoch')
  return from
}

function readFieldResets(reader: ByteReader): FieldReset[] {
  const resets: FieldReset[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const field = reader.text()
    resets.push({ field, resets: readResets(reader) })
  }
  return resets
}

const withoutCounters = (): RemovedCounters => noRemovedCounters

function readCounters(reader: ByteReader): RemovedCounters {
  const string = readResets(reader)
  return { string, fields: readFieldResets(reader), scores: [] }
}

function readAllCounters(reader: ByteReader): RemovedCounters {
  return { ...readCounters(reader), scores: readMemberResets(reader) }
}

function readFlushedKeys(
  reader: ByteReader,
  checkKey: KeyCheck,
  readRemoved: (reader: ByteReader) => RemovedCounters,
): FlushedKey[] {
  const keys: FlushedKey[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const start = reader.skipText()
    checkKey(reader.bytes, start, reader.at)
    const key = latin1(reader.bytes, start, reader.at)
    keys.push({ key, counters: readRemoved(reader) })
  }
  return keys
}

const nothing = (): void => {}

const check: EffectSink = {
  setOnlyBytes: () => true,
  setText: nothing,
  increment: nothing,
  setField: nothing,
  incrementField: nothing,
  writeFieldTtl: nothing,
  removeFields: nothing,
  addMembers: nothing,
  removeMembers: nothing,
  setScore: nothing,
  incrementScore: nothing,
  removeScores: nothing,
  pushElements: nothing,
  writeElement: nothing,
  removeElements: nothing,
  remove: nothing,
  writeTtl: nothing,
  flush: nothing,
}

/** Throws `FormatError` when the effects can't be applied. To be called before a foreign record is: applying is not undone. */
export function checkEffects(
  bytes: Uint8Array,
  start: number,
  end: number,
  first: Stamp,
  last: Stamp,
  checkKey?: KeyCheck,
): void {
  readEffects(bytes, start, end, first, last, check, checkKey)
}
