/** The effects of streams, as `effect.ts` has the others; what follows the key there is written and read here. */
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import { minId, type StreamId } from '#protocol/sync/streamId.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readByOrigin, readOrigin, readTexts, writeByOrigin, writeTexts } from './stateCodec.ts'
import type { NewEntry } from './stream.ts'
import { readStreamId, writeStreamId } from './streamIdCodec.ts'
import { readMarks, type StreamMarks, writeMarks } from './streamRegister.ts'

export interface StreamEffectSink {
  /** XADD, or several at once. `marks` are the origin's own from now on. */
  addEntries(
    stamp: Stamp,
    key: string,
    fresh: boolean,
    marks: StreamMarks,
    entries: readonly NewEntry[],
  ): void
  /** XSETID: in place of the marks of all origins. */
  setMarks(stamp: Stamp, key: string, fresh: boolean, marks: StreamMarks): void
  /** XDEL. */
  removeEntries(stamp: Stamp, key: string, ids: readonly StreamId[]): void
  /** XTRIM: up to and with `upto`. */
  trimEntries(stamp: Stamp, key: string, upto: StreamId): void
  /** `starts` by origin of the entries. */
  createGroup(stamp: Stamp, key: string, fresh: boolean, group: string, starts: readonly StreamId[]): void
  destroyGroup(stamp: Stamp, key: string, group: string): void
  /** All entries of `origin` behind `from`, up to and with `upto`, are acknowledged. */
  acknowledge(stamp: Stamp, key: string, group: string, origin: Origin, from: StreamId, upto: StreamId): void
}

export const StreamCode = {
  addEntries: 30,
  setMarks: 31,
  removeEntries: 32,
  trimEntries: 33,
  createGroup: 34,
  destroyGroup: 35,
  acknowledge: 36,
} as const

export const isStreamCode = (code: number): boolean =>
  code >= StreamCode.addEntries && code <= StreamCode.acknowledge

/** marks | count varint | (id | fields texts)* */
export function writeEntriesBody(writer: ByteWriter, marks: StreamMarks, entries: readonly NewEntry[]): void {
  writeMarks(writer, marks)
  writer.varint(entries.length)
  for (const { id, fields } of entries) {
    writeStreamId(writer, id)
    writeTexts(writer, fields)
  }
}

/** count varint | id* */
export function writeIdsBody(writer: ByteWriter, ids: readonly StreamId[]): void {
  writer.varint(ids.length)
  for (const id of ids) writeStreamId(writer, id)
}

/** group text | starts */
export function writeGroupBody(writer: ByteWriter, group: string, starts: readonly StreamId[]): void {
  writer.text(group)
  writeStarts(writer, starts)
}

/** By origin, for those whose entries don't start at 0-0. */
export function writeStarts(writer: ByteWriter, starts: readonly StreamId[]): void {
  const later = starts.map((start) => (start === minId ? undefined : start))
  writeByOrigin(writer, later, writeStreamId)
}

export function readStarts(reader: ByteReader): StreamId[] {
  const later = readByOrigin(reader, readStreamId)
  if (later.includes(minId)) throw new FormatError('a start at 0-0 in the long form')
  return later.map((start) => start ?? minId)
}

/** group text | origin u8 | from id | upto id */
export function writeAcknowledgementBody(
  writer: ByteWriter,
  group: string,
  origin: Origin,
  from: StreamId,
  upto: StreamId,
): void {
  writer.text(group)
  writer.u8(origin)
  writeStreamId(writer, from)
  writeStreamId(writer, upto)
}

export function readStreamEffect(
  reader: ByteReader,
  stamp: Stamp,
  key: string,
  code: number,
  fresh: boolean,
  sink: StreamEffectSink,
): void {
  switch (code) {
    case StreamCode.addEntries: {
      const marks = readMarks(reader)
      sink.addEntries(stamp, key, fresh, marks, readEntries(reader, marks.lastId))
      return
    }
    case StreamCode.setMarks:
      sink.setMarks(stamp, key, fresh, readMarks(reader))
      return
    case StreamCode.createGroup: {
      const group = reader.text()
      sink.createGroup(stamp, key, fresh, group, readStarts(reader))
      return
    }
    default:
      if (fresh) throw new FormatError(`fresh with effect code ${code}`)
      readLaterEffect(reader, stamp, key, code, sink)
  }
}

/** Of a key that exists. */
function readLaterEffect(
  reader: ByteReader,
  stamp: Stamp,
  key: string,
  code: number,
  sink: StreamEffectSink,
): void {
  switch (code) {
    case StreamCode.removeEntries: {
      const ids: StreamId[] = []
      for (let count = reader.varint(); count > 0; count--) ids.push(readStreamId(reader))
      sink.removeEntries(stamp, key, ids)
      return
    }
    case StreamCode.trimEntries:
      sink.trimEntries(stamp, key, readStreamId(reader))
      return
    case StreamCode.destroyGroup:
      sink.destroyGroup(stamp, key, reader.text())
      return
    default: {
      const group = reader.text()
      const origin = readOrigin(reader)
      const from = readStreamId(reader)
      const upto = readStreamId(reader)
      if (upto <= from) throw new FormatError('an interval of ids that ends before it begins')
      sink.acknowledge(stamp, key, group, origin, from, upto)
    }
  }
}

function readEntries(reader: ByteReader, lastId: StreamId): NewEntry[] {
  const entries: NewEntry[] = []
  let last = minId
  for (let count = reader.varint(); count > 0; count--) {
    const id = readStreamId(reader)
    if (id <= last || id > lastId) throw new FormatError('entries out of order')
    last = id
    entries.push({ id, fields: readFields(reader) })
  }
  return entries
}

export function readFields(reader: ByteReader): string[] {
  const fields = readTexts(reader)
  if (fields.length === 0 || fields.length % 2 === 1) throw new FormatError('fields of an entry')
  return fields
}
