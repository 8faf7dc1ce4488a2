/** The effects of lists, as `effect.ts` has the others; what follows the key there is written and read here. */
import type { Stamp } from '#protocol/sync/stamp.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { IdRange } from './list.ts'
import { compareIds, type ListId, readId, type Side, writeId } from './listId.ts'
import { readFlag, readTexts } from './stateCodec.ts'

export interface ListEffectSink {
  /** The ids follow from stamp, side and order (`pushedId`). */
  pushElements(stamp: Stamp, key: string, fresh: boolean, side: Side, values: readonly string[]): void
  /** A register write, of an element that may be new. */
  writeElement(stamp: Stamp, key: string, id: ListId, text: string): void
  removeElements(stamp: Stamp, key: string, ranges: readonly IdRange[]): void
}

export const ListCode = { pushLeft: 20, pushRight: 21, writeElement: 22, removeElements: 23 } as const

export const isListCode = (code: number): boolean =>
  code >= ListCode.pushLeft && code <= ListCode.removeElements

export function writeElementBody(writer: ByteWriter, id: ListId, text: string): void {
  writeId(writer, id)
  writer.text(text)
}

/** count varint, then each: single u8, id | (from, to). */
export function writeRemovalBody(writer: ByteWriter, ranges: readonly IdRange[]): void {
  writer.varint(ranges.length)
  for (const { from, to } of ranges) {
    const single = compareIds(from, to) === 0
    writer.u8(single ? 1 : 0)
    writeId(writer, from)
    if (!single) writeId(writer, to)
  }
}

export function readListEffect(
  reader: ByteReader,
  stamp: Stamp,
  key: string,
  code: number,
  fresh: boolean,
  sink: ListEffectSink,
): void {
  if (code === ListCode.pushLeft || code === ListCode.pushRight) {
    sink.pushElements(stamp, key, fresh, code === ListCode.pushLeft ? -1 : 1, readTexts(reader))
    return
  }
  if (fresh) throw new FormatError(`fresh with effect code ${code}`)
  if (code === ListCode.writeElement) {
    const id = readId(reader)
    sink.writeElement(stamp, key, id, reader.text())
  } else sink.removeElements(stamp, key, readRanges(reader))
}

function readRanges(reader: ByteReader): IdRange[] {
  const ranges: IdRange[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const single = readFlag(reader)
    const from = readId(reader)
    const to = single ? from : readId(reader)
    if (!single && compareIds(from, to) >= 0)
      throw new FormatError('a range of ids that ends before it begins')
    ranges.push({ from, to })
  }
  return ranges
}
