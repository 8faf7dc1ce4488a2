/** Elements of a table in pieces, cut while it changes: what is there all the time is in one of them. */
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { ElementRef, ElementTable } from './elementTable.ts'

/** Where a piece begins. */
export interface ElementPosition {
  readonly order: number
  readonly hash: number
}

const piece = new ByteWriter()
const pieceBytesKept = 1024 * 1024

/**
 * Writes `count varint | element*`: those from `from` on, until there are about so many bytes. Returns where the next piece begins;
 * undefined: there is none. `encodeMore` writes what the table itself doesn't have, for the
 * positions [start, end) of this piece, and says how many elements that are.
 */
export function encodeElements<Full>(
  writer: ByteWriter,
  table: ElementTable<Full>,
  from: ElementPosition | undefined,
  bytesWanted: number,
  encode: (into: ByteWriter, ref: ElementRef) => void,
  encodeMore?: (into: ByteWriter, start: number, end: number) => number,
): ElementPosition | undefined {
  const { order } = table
  // A table that was made anew under another order has nothing that was met in the old one, or all of it.
  const start = from?.order === order ? from.hash : 0
  const into = piece.bytes.length > pieceBytesKept ? new ByteWriter() : piece
  into.clear()
  let count = 0
  const hash = table.walk(start, (ref) => {
    encode(into, ref)
    count++
    return into.length < bytesWanted
  })
  if (encodeMore !== undefined) count += encodeMore(into, start, hash === 0 ? Number.POSITIVE_INFINITY : hash)
  writer.varint(count)
  writer.raw(into.bytes, 0, into.length)
  return hash === 0 ? undefined : { order, hash }
}
