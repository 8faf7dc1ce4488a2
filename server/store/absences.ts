/**
 * What a slot that was sent without the portions which are equal lacks for two reasons. A key of a portion that came, one that was made
 * here since the slot was frozen, and one that was equal then and that an operation behind it has removed, the sender does not have: what
 * its label covers of them has been removed there. All other keys
 * that are not in what came are as they are here.
 */
import { readPortioning, writePortioning } from '#protocol/sync/digestMessage.ts'
import type { ByteReader } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { readTexts, writeTexts } from '#server/crdt/stateCodec.ts'
import { PortionSet, Portions } from './portions.ts'

export class Absences {
  /** Those of which all keys came. */
  readonly differing: PortionSet
  /** Of other portions. */
  readonly made: Set<string>

  constructor(differing: PortionSet, made: Set<string>) {
    this.differing = differing
    this.made = made
  }

  /** Of a key that is not in what came: the sender does not have it. */
  includes(name: string): boolean {
    return this.made.has(name) || this.differing.hasName(name)
  }

  encode(writer: ByteWriter): void {
    const { portions, bits } = this.differing
    writePortioning(writer, portions.portioning)
    writer.raw(bits)
    writeTexts(writer, [...this.made])
  }

  /** Throws `FormatError`. */
  static decode(reader: ByteReader): Absences {
    const portions = new Portions(readPortioning(reader))
    const differing = PortionSet.read(portions, reader.raw(Math.ceil(portions.count / 8)))
    return new Absences(differing, new Set(readTexts(reader)))
  }
}
