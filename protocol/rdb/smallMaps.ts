/** Two more compact encodings: sets of integers (`intset.c`), and the hashes of Redis before 2.6 (`zipmap.c`). */
import { ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { readIntegerText } from './packedIntegers.ts'

/** width u32 (2, 4, 8) | count u32 | integers, ascending. Throws `FormatError`. */
export function readIntset(bytes: Uint8Array): string[] {
  const reader = new ByteReader(bytes)
  const width = reader.u32()
  const count = reader.u32()
  if (width !== 2 && width !== 4 && width !== 8) throw new FormatError(`integers of ${width} bytes in a set`)
  if (count * width !== reader.end - reader.at) throw new FormatError('set of integers of another length')
  const members: string[] = []
  while (!reader.atEnd) members.push(readIntegerText(reader, width))
  return members
}

const zipmapEnd = 255
const longLength = 254

/** count u8 | (length | field | length | spare u8 | value | spare bytes)* | 255. Throws `FormatError`. */
export function readZipmap(bytes: Uint8Array): string[] {
  const reader = new ByteReader(bytes)
  reader.skip(1)
  const entries: string[] = []
  for (;;) {
    const fieldLength = reader.u8()
    if (fieldLength === zipmapEnd) break
    entries.push(latin1(reader.raw(longer(reader, fieldLength))))
    const valueLength = longer(reader, reader.u8())
    const spare = reader.u8()
    entries.push(latin1(reader.raw(valueLength)))
    reader.skip(spare)
  }
  if (!reader.atEnd) throw new FormatError('bytes behind a hash')
  return entries
}

function longer(reader: ByteReader, first: number): number {
  if (first === zipmapEnd) throw new FormatError('hash that ends in a field')
  return first === longLength ? reader.u32() : first
}
