/** The consumer groups of a stream, by name (`streamGroup.ts`). */
import type { Stamp } from '#protocol/sync/stamp.ts'
import type { StreamId } from '#protocol/sync/streamId.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { StreamGroup } from './streamGroup.ts'

const groupBytes = 600

export class StreamGroups {
  readonly #groups: Map<string, StreamGroup> = new Map()

  get size(): number {
    return this.#groups.size
  }

  get usedBytes(): number {
    let bytes = this.#groups.size * groupBytes
    for (const { local } of this.#groups.values()) bytes += local?.usedBytes ?? 0
    return bytes
  }

  greatest(): Stamp {
    let greatest = 0
    for (const { created } of this.#groups.values()) greatest = Math.max(greatest, created.at(-1) ?? 0)
    return greatest
  }

  /** By name. */
  all(): Iterable<StreamGroup> {
    return [...this.#groups.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get(name: string): StreamGroup | undefined {
    return this.#groups.get(name)
  }

  create(stamp: Stamp, name: string, starts: readonly StreamId[]): void {
    const group = this.#groups.get(name)
    if (group === undefined) this.#groups.set(name, new StreamGroup(name, [stamp], starts))
    else group.create(stamp, starts)
  }

  destroy(name: string): void {
    this.#groups.delete(name)
  }

  clear(): void {
    this.#groups.clear()
  }

  // ---- merge

  merge(other: StreamGroups): void {
    for (const theirs of other.#groups.values()) {
      const mine = this.#groups.get(theirs.name)
      if (mine === undefined) this.#groups.set(theirs.name, theirs)
      else mine.merge(theirs)
    }
  }

  // ---- codec: count varint | (name text | group)*

  encode(writer: ByteWriter): void {
    writer.varint(this.#groups.size)
    for (const group of this.#groups.values()) {
      writer.text(group.name)
      group.encode(writer)
    }
  }

  decode(reader: ByteReader): void {
    for (let count = reader.varint(); count > 0; count--) {
      const name = reader.text()
      if (this.#groups.has(name)) throw new FormatError('a group twice')
      this.#groups.set(name, StreamGroup.decode(reader, name))
    }
  }

  digest(take: (write: (writer: ByteWriter) => void) => void): void {
    for (const group of this.#groups.values())
      take((writer) => {
        writer.text(group.name)
        group.encode(writer)
      })
  }
}
