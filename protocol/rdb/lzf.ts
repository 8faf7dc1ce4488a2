/**
 * Decompression of LZF, by which Redis shortens strings in RDB values. A control byte below 32 is followed by that many
 * literals and one more; any other one is a copy from what has been written: 3 bits of length, 5 bits of distance, both
 * continued in the bytes behind it.
 */
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { allocate } from '#runtime/bytes/bytes.ts'

/** Three bytes can't stand for more. */
const ratioMax = 264 / 2

/** The bytes [start, end) decompressed, which must make `length`. Throws `FormatError`. */
export function decompress(bytes: Uint8Array, start: number, end: number, length: number): Uint8Array {
  // Before there is memory for what a few bytes claim to hold.
  if (length > (end - start) * ratioMax) throw new FormatError('compressed text is too short for its length')
  const out = allocate(length)
  let to = 0
  let at = start
  const next = (): number => {
    if (at >= end) throw new FormatError('compressed text ends too early')
    return bytes[at++] as number
  }
  while (at < end) {
    const control = next()
    if (control < 32) {
      const count = control + 1
      if (at + count > end || to + count > length)
        throw new FormatError('literals beyond the compressed text')
      out.set(bytes.subarray(at, at + count), to)
      at += count
      to += count
      continue
    }
    const high = control >>> 5
    const count = (high === 7 ? 7 + next() : high) + 2
    let from = to - ((control & 31) * 256 + next()) - 1
    if (from < 0 || to + count > length) throw new FormatError('copy beyond the compressed text')
    // Byte by byte: a copy may overlap what it writes.
    for (let copied = 0; copied < count; copied++) out[to++] = out[from++] as number
  }
  if (to !== length) throw new FormatError(`compressed text of ${to} bytes, not ${length}`)
  return out
}
