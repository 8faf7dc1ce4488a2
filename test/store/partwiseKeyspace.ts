/** Cuts slots in as many parts as it is asked for, however few keys they have: the index gives hundreds at a time. */
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { writeKeyOfPart } from '#server/store/slotState.ts'

export class PartwiseKeyspace extends Keyspace {
  override encodeSlotPart(slot: number, position: number, bytesWanted: number, writer: ByteWriter): number {
    const { tables } = this
    const end = writer.length + bytesWanted
    const keys: { at: number; ref: number }[] = []
    tables.index.forEach(slot, (ref) => {
      tables.aim(tables.nameOf(ref))
      const at = tables.name.hash >>> 0
      if (at >= position) keys.push({ at, ref })
    })
    keys.sort((a, b) => a.at - b.at)
    for (const [i, { at, ref }] of keys.entries()) {
      if (i > 0 && writer.length >= end) return at
      writeKeyOfPart(writer, tables, ref)
    }
    return 0
  }
}
