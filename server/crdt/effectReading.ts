/** Bytes become effects again, foreign ones checked before anything is applied; `effect.ts` has the layout. */

import { type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { readAmount } from './amount.ts'
import { noResets } from './counter.ts'
import { amountCounters, readFrom, scoreCounters } from './counterCodec.ts'
import { Code, codeMask, type EffectSink, type FlushedKey, freshBit, resetsBit, restBit } from './effect.ts'
import { isHllCode, readHllEffect } from './hllEffect.ts'
import { allTypes, deleteWinsTypes, keepTtl, noRemovedCounters, type RemovedCounters } from './keyState.ts'
import { isListCode, readListEffect } from './listEffect.ts'
import { textBytesMax } from './register.ts'
import { Tag } from './score.ts'
import { readDouble, readExpireAt, readFlag, readTexts } from './stateCodec.ts'
import { isStreamCode, readStreamEffect } from './streamEffect.ts'

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

const isFlush = (kind: number): boolean =>
  kind === Code.flush || kind === Code.flushCounted || kind === Code.flushDeleting

/** The code and its flags are looked at in one place, so that an unknown combination is refused. */
function readEffect(reader: ByteReader, stamp: Stamp, sink: EffectSink, checkKey: KeyCheck): void {
  const kind = reader.u8()
  const keyStart = reader.skipText()
  const keyEnd = reader.at
  if (!isFlush(kind)) checkKey(reader.bytes, keyStart, keyEnd)
  if (kind === Code.setText || kind === Code.setTextExpiring) {
    readPlainText(reader, stamp, kind, keyStart, keyEnd, sink)
    return
  }
  const key = latin1(reader.bytes, keyStart, keyEnd)
  const fresh = (kind & freshBit) !== 0
  const resets = (kind & resetsBit) !== 0
  if (readApart(reader, stamp, kind, key, sink)) return
  switch (kind & codeMask) {
    case Code.setText:
    case Code.setTextKeepTtl:
    case Code.setTextExpiring:
      requireNo(fresh, kind)
      readSetText(reader, stamp, key, kind & codeMask, resets, sink)
      return
    case Code.patchText:
    case Code.patchTextKeepTtl:
      requireNo(fresh || resets, kind)
      readPatch(reader, stamp, key, (kind & codeMask) === Code.patchTextKeepTtl, sink)
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
      sink.setField(stamp, key, fresh, field, text, resets ? amountCounters.readResets(reader) : noResets)
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
      sink.removeFields(stamp, key, fields, resets ? amountCounters.readElementResets(reader) : [])
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
      sink.flush(stamp, readFlushedKeys(reader, checkKey, noDeletes, readCounters))
      return
    default:
      readScoreEffect(reader, stamp, kind, key, sink, checkKey)
  }
}

type ReadApart = (
  reader: ByteReader,
  stamp: Stamp,
  key: string,
  code: number,
  fresh: boolean,
  sink: EffectSink,
) => void

/** Of the types whose effects are read elsewhere; they reset no counters. */
function readOf(code: number): ReadApart | undefined {
  if (isListCode(code)) return readListEffect
  if (isStreamCode(code)) return readStreamEffect
  return isHllCode(code) ? readHllEffect : undefined
}

/** Those whose layout is in files of their own. False: it is none of them. */
function readApart(reader: ByteReader, stamp: Stamp, kind: number, key: string, sink: EffectSink): boolean {
  const code = kind & codeMask
  const fresh = (kind & freshBit) !== 0
  const read = readOf(code)
  if (read === undefined) return false
  requireNo((kind & resetsBit) !== 0, kind)
  read(reader, stamp, key, code, fresh, sink)
  return true
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
      sink.setScore(
        stamp,
        key,
        fresh,
        member,
        score,
        tag,
        resets ? scoreCounters.readResets(reader) : noResets,
      )
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
      sink.removeScores(stamp, key, members, resets ? scoreCounters.readElementResets(reader) : [])
      return
    }
    case Code.removeCounted:
      requireNo(fresh || resets, kind)
      readRemove(reader, stamp, key, readAllCounters, sink)
      return
    case Code.flushCounted:
      requireNo(fresh || resets || key !== '', kind)
      sink.flush(stamp, readFlushedKeys(reader, checkKey, noDeletes, readAllCounters))
      return
    case Code.flushDeleting:
      requireNo(fresh || resets || key !== '', kind)
      sink.flush(stamp, readFlushedKeys(reader, checkKey, readDeletes, readAllCounters))
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
  sink.setText(stamp, key, text, expireAtMs, resets ? amountCounters.readResets(reader) : noResets)
}

function readPatch(reader: ByteReader, stamp: Stamp, key: string, keepsTtl: boolean, sink: EffectSink): void {
  const age = reader.varint()
  if (age === 0 || age >= stamp) throw new FormatError('a patch of a write that is not older')
  const offset = reader.varint()
  const start = reader.skipText()
  const end = reader.at
  if (offset + end - start > textBytesMax) throw new FormatError(`a patch beyond ${textBytesMax} bytes`)
  sink.patchText(stamp, key, stamp - age, keepsTtl, offset, reader.bytes, start, end)
}

function readRemove(
  reader: ByteReader,
  stamp: Stamp,
  key: string,
  readRemoved: (reader: ByteReader) => RemovedCounters,
  sink: EffectSink,
): void {
  const types = reader.u8()
  if ((types & ~(allTypes | deleteWinsTypes)) !== 0) throw new FormatError(`types ${types}`)
  const endsTtl = readFlag(reader)
  sink.remove(stamp, key, types, endsTtl, readRemoved(reader))
}

const withoutCounters = (): RemovedCounters => noRemovedCounters

function readCounters(reader: ByteReader): RemovedCounters {
  const string = amountCounters.readResets(reader)
  return { string, fields: amountCounters.readElementResets(reader), scores: [] }
}

function readAllCounters(reader: ByteReader): RemovedCounters {
  return { ...readCounters(reader), scores: scoreCounters.readElementResets(reader) }
}

const noDeletes = (): number => 0

function readDeletes(reader: ByteReader): number {
  const types = reader.u8()
  if ((types & ~deleteWinsTypes) !== 0) throw new FormatError(`deletes ${types}`)
  return types
}

function readFlushedKeys(
  reader: ByteReader,
  checkKey: KeyCheck,
  readTypes: (reader: ByteReader) => number,
  readRemoved: (reader: ByteReader) => RemovedCounters,
): FlushedKey[] {
  const keys: FlushedKey[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const start = reader.skipText()
    checkKey(reader.bytes, start, reader.at)
    const key = latin1(reader.bytes, start, reader.at)
    const deletes = readTypes(reader)
    keys.push({ key, deletes, counters: readRemoved(reader) })
  }
  return keys
}

const nothing = (): void => {}
/** Whether the check has met a patch. */
let patches = false

/** Takes everything and keeps nothing. */
export const noSink: EffectSink = {
  setOnlyBytes: () => true,
  setText: nothing,
  patchText: () => {
    patches = true
  },
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
  addEntries: nothing,
  setMarks: nothing,
  removeEntries: nothing,
  trimEntries: nothing,
  createGroup: nothing,
  destroyGroup: nothing,
  acknowledge: nothing,
  raiseRegisters: nothing,
  joinRegisters: nothing,
  remove: nothing,
  writeTtl: nothing,
  flush: nothing,
}

/**
 * Throws `FormatError` when the effects can't be applied. To be called before a foreign record is: applying is not undone.
 * Returns whether there are patches among them, which also need what they patch (`patchBases.ts`).
 */
export function checkEffects(
  bytes: Uint8Array,
  start: number,
  end: number,
  first: Stamp,
  last: Stamp,
  checkKey?: KeyCheck,
): boolean {
  patches = false
  readEffects(bytes, start, end, first, last, noSink, checkKey)
  return patches
}
