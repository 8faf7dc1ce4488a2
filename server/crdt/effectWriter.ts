/** Effects become bytes; `effect.ts` has the layout. */

import { type Origin, type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import type { StreamId } from '#protocol/sync/streamId.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { Amount } from './amount.ts'
import type { CounterReset, ElementReset } from './counter.ts'
import { amountCounters, scoreCounters } from './counterCodec.ts'
import { Code, type EffectSink, type FlushedKey, freshBit, resetsBit, restBit } from './effect.ts'
import type { Ranked } from './elementHash.ts'
import { HllCode, writeRanked } from './hllEffect.ts'
import type { HyperLogLog } from './hyperLogLog.ts'
import { keepTtl, noRemovedCounters, type RemovedCounters } from './keyState.ts'
import type { IdRange } from './list.ts'
import { ListCode, writeElementBody, writeRemovalBody } from './listEffect.ts'
import type { ListId, Side } from './listId.ts'
import type { Tag } from './score.ts'
import { writeExpireAt, writeTexts } from './stateCodec.ts'
import type { NewEntry } from './stream.ts'
import {
  StreamCode,
  writeAcknowledgementBody,
  writeEntriesBody,
  writeGroupBody,
  writeIdsBody,
} from './streamEffect.ts'
import { writeStreamId } from './streamIdCodec.ts'
import { type StreamMarks, writeMarks } from './streamRegister.ts'

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

  #beginFresh(stamp: Stamp, code: number, key: string, fresh: boolean): ByteWriter {
    return this.#begin(stamp, fresh ? code | freshBit : code, key)
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
    amountCounters.writeIncrement(
      this.#beginBytes(stamp, Code.increment, bytes, keyStart, keyEnd),
      stamp,
      from,
      sum,
    )
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
    if (resets.length > 0) amountCounters.writeResets(writer, resets)
  }

  /** The bytes must stay as they are until `writeTo`. */
  patchText(
    stamp: Stamp,
    key: string,
    base: Stamp,
    keepsTtl: boolean,
    offset: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const writer = this.#begin(stamp, keepsTtl ? Code.patchTextKeepTtl : Code.patchText, key)
    writer.varint(stamp - base)
    writer.varint(offset)
    this.#plainText(writer, bytes, start, end, Number.POSITIVE_INFINITY)
  }

  increment(stamp: Stamp, key: string, fresh: boolean, from: Stamp, sum: Amount): void {
    const writer = this.#beginFresh(stamp, Code.increment, key, fresh)
    amountCounters.writeIncrement(writer, stamp, from, sum)
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
    if (resets.length > 0) amountCounters.writeResets(writer, resets)
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
    const writer = this.#beginFresh(stamp, code, key, fresh)
    writer.text(field)
    amountCounters.writeIncrement(writer, stamp, from, sum)
  }

  writeFieldTtl(stamp: Stamp, key: string, fields: readonly string[], expireAtMs: number): void {
    const writer = this.#begin(stamp, Code.writeFieldTtl, key)
    writeTexts(writer, fields)
    writeExpireAt(writer, expireAtMs)
  }

  removeFields(stamp: Stamp, key: string, fields: readonly string[], resets: readonly ElementReset[]): void {
    const kind = resets.length > 0 ? Code.removeFields | resetsBit : Code.removeFields
    const writer = this.#begin(stamp, kind, key)
    writeTexts(writer, fields)
    if (resets.length > 0) amountCounters.writeElementResets(writer, resets)
  }

  addMembers(stamp: Stamp, key: string, fresh: boolean, members: readonly string[]): void {
    writeTexts(this.#beginFresh(stamp, Code.addMembers, key, fresh), members)
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
    if (resets.length > 0) scoreCounters.writeResets(writer, resets)
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
    scoreCounters.writeIncrement(writer, stamp, from, sum)
    if (rest !== 0) writer.f64(rest)
  }

  removeScores(
    stamp: Stamp,
    key: string,
    members: readonly string[],
    resets: readonly ElementReset<number>[],
  ): void {
    const kind = resets.length > 0 ? Code.removeScores | resetsBit : Code.removeScores
    const writer = this.#begin(stamp, kind, key)
    writeTexts(writer, members)
    if (resets.length > 0) scoreCounters.writeElementResets(writer, resets)
  }

  pushElements(stamp: Stamp, key: string, fresh: boolean, side: Side, values: readonly string[]): void {
    const code = side === -1 ? ListCode.pushLeft : ListCode.pushRight
    writeTexts(this.#beginFresh(stamp, code, key, fresh), values)
  }

  writeElement(stamp: Stamp, key: string, id: ListId, text: string): void {
    writeElementBody(this.#begin(stamp, ListCode.writeElement, key), id, text)
  }

  removeElements(stamp: Stamp, key: string, ranges: readonly IdRange[]): void {
    writeRemovalBody(this.#begin(stamp, ListCode.removeElements, key), ranges)
  }

  addEntries(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    marks: StreamMarks,
    entries: readonly NewEntry[],
  ): void {
    writeEntriesBody(this.#beginFresh(stamp, StreamCode.addEntries, key, fresh), marks, entries)
  }

  setMarks(stamp: Stamp, key: string, fresh: boolean, marks: StreamMarks): void {
    writeMarks(this.#beginFresh(stamp, StreamCode.setMarks, key, fresh), marks)
  }

  removeEntries(stamp: Stamp, key: string, ids: readonly StreamId[]): void {
    writeIdsBody(this.#begin(stamp, StreamCode.removeEntries, key), ids)
  }

  trimEntries(stamp: Stamp, key: string, upto: StreamId): void {
    writeStreamId(this.#begin(stamp, StreamCode.trimEntries, key), upto)
  }

  createGroup(stamp: Stamp, key: string, fresh: boolean, group: string, starts: readonly StreamId[]): void {
    writeGroupBody(this.#beginFresh(stamp, StreamCode.createGroup, key, fresh), group, starts)
  }

  destroyGroup(stamp: Stamp, key: string, group: string): void {
    this.#begin(stamp, StreamCode.destroyGroup, key).text(group)
  }

  acknowledge(
    stamp: Stamp,
    key: string,
    group: string,
    origin: Origin,
    from: StreamId,
    upto: StreamId,
  ): void {
    const writer = this.#begin(stamp, StreamCode.acknowledge, key)
    writeAcknowledgementBody(writer, group, origin, from, upto)
  }

  raiseRegisters(stamp: Stamp, key: string, fresh: boolean, values: readonly Ranked[], dense: boolean): void {
    const code = dense ? HllCode.raiseDenseRegisters : HllCode.raiseRegisters
    writeRanked(this.#beginFresh(stamp, code, key, fresh), values)
  }

  joinRegisters(stamp: Stamp, key: string, fresh: boolean, registers: HyperLogLog): void {
    this.#beginFresh(stamp, HllCode.joinRegisters, key, fresh).text(registers.text)
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
    const deleting = keys.some(({ deletes }) => deletes !== 0)
    const code = deleting ? Code.flushDeleting : counted ? Code.flushCounted : Code.flush
    const writer = this.#begin(stamp, code, '')
    writer.varint(keys.length)
    for (const { key, counters, deletes } of keys) {
      writer.text(key)
      if (deleting) writer.u8(deletes)
      writeCounters(writer, counters, counted || deleting)
    }
  }
}

/** `counted`: with those of sorted sets. */
function writeCounters(writer: ByteWriter, counters: RemovedCounters, counted: boolean): void {
  amountCounters.writeResets(writer, counters.string)
  amountCounters.writeElementResets(writer, counters.fields)
  if (counted) scoreCounters.writeElementResets(writer, counters.scores)
}
