/**
 * The consumer groups of a stream, by name (`streamGroup.ts`). A delete wins over groups that it has not seen
 * (`deleteWins.ts`): XGROUP DESTROY over the group's, and the DEL of the key over all.
 */
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { StreamId } from '#protocol/sync/streamId.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import {
  type DeleteStamps,
  DeleteWins,
  maySurvive,
  mergeDeletes,
  noDeletes,
  readDeletes,
  seesDeletes,
  withDelete,
  withoutForgotten,
  writeDeletes,
} from './deleteWins.ts'
import { readFlag } from './stateCodec.ts'
import { type AckedInterval, StreamGroup } from './streamGroup.ts'

/** Heap of one. */
const groupBytes = 540

export class StreamGroups {
  readonly #groups: Map<string, DeleteWins<StreamGroup>> = new Map()
  /** Of the key. */
  #deletes: DeleteStamps = noDeletes

  get usedBytes(): number {
    let bytes = this.#groups.size * groupBytes
    for (const { payload } of this.#groups.values()) bytes += payload?.local?.usedBytes ?? 0
    return bytes
  }

  get size(): number {
    return this.#groups.size
  }

  // ---- what shows

  get live(): boolean {
    for (const group of this.#groups.values()) if (group.live) return true
    return false
  }

  greatest(): Stamp {
    let greatest = 0
    for (const group of this.#groups.values()) greatest = Math.max(greatest, group.greatest)
    return greatest
  }

  /** By name. */
  all(): StreamGroup[] {
    const groups = [...this.#groups.values()].flatMap(({ payload }) => payload ?? [])
    return groups.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get(name: string): StreamGroup | undefined {
    return this.#groups.get(name)?.payload
  }

  // ---- apply

  create(context: VersionVector, stamp: Stamp, name: string, starts: readonly StreamId[]): void {
    if (!maySurvive(context, stamp, this.#deletes)) return
    this.#of(name).add(context, stamp, (group) => {
      group?.create(stamp, starts)
      return group ?? new StreamGroup(name, [stamp], starts)
    })
  }

  /** An add to the group as its creation is: one that was deleted meanwhile is not acknowledged either. */
  acknowledge(context: VersionVector, name: string, origin: Origin, interval: AckedInterval): void {
    const group = this.#groups.get(name)
    if (group?.payload === undefined) return
    const { stamp } = interval
    if (!maySurvive(context, stamp, this.#deletes) || !maySurvive(context, stamp, group.deletes)) return
    group.payload.acknowledge(origin, interval)
  }

  destroy(stamp: Stamp, name: string): void {
    this.#of(name).delete(stamp)
  }

  deleteAll(stamp: Stamp): void {
    this.#deletes = withDelete(this.#deletes, stamp)
    this.clear()
  }

  #of(name: string): DeleteWins<StreamGroup> {
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = new DeleteWins()
      this.#groups.set(name, group)
    }
    return group
  }

  // ---- deletes

  get hasDeletes(): boolean {
    if (this.#deletes.length > 0) return true
    for (const { deletes } of this.#groups.values()) if (deletes.length > 0) return true
    return false
  }

  forgetDeletes(mayForget: (stamp: Stamp) => boolean): void {
    this.#deletes = withoutForgotten(this.#deletes, mayForget)
    for (const group of this.#groups.values()) group.forget(mayForget)
    this.#dropEmpty()
  }

  /** What is here has been deleted elsewhere. */
  clear(): void {
    for (const group of this.#groups.values()) group.clear()
    this.#dropEmpty()
  }

  #dropEmpty(): void {
    for (const [name, group] of this.#groups) if (group.nothing) this.#groups.delete(name)
  }

  // ---- merge

  /** `other` may not be used afterwards. */
  merge(own: VersionVector, other: StreamGroups, label: VersionVector): void {
    if (!seesDeletes(own, other.#deletes)) this.clear()
    if (!seesDeletes(label, this.#deletes)) other.clear()
    this.#deletes = mergeDeletes(this.#deletes, other.#deletes)
    for (const name of new Set([...this.#groups.keys(), ...other.#groups.keys()])) {
      this.#of(name).merge(own, other.#of(name), label, (mine, theirs) => {
        mine.merge(theirs)
        return mine
      })
    }
    this.#dropEmpty()
  }

  // ---- codec: deletes | count varint | (name text | live u8 | [group] | deletes)*

  encode(writer: ByteWriter): void {
    writeDeletes(writer, this.#deletes)
    writer.varint(this.#groups.size)
    for (const [name, { payload, deletes }] of this.#groups) {
      writer.text(name)
      writer.u8(payload === undefined ? 0 : 1)
      payload?.encode(writer)
      writeDeletes(writer, deletes)
    }
  }

  decode(reader: ByteReader): void {
    this.#deletes = readDeletes(reader)
    for (let count = reader.varint(); count > 0; count--) {
      const name = reader.text()
      if (this.#groups.has(name)) throw new FormatError('a group twice')
      const group = this.#of(name)
      if (readFlag(reader)) {
        group.payload = StreamGroup.decode(reader, name)
        group.greatest = group.payload.created.at(-1) ?? 0
      }
      group.deletes = readDeletes(reader)
      if (group.nothing) throw new FormatError('nothing of a group')
    }
  }

  /** What shows: deletes are forgotten by each in its time. */
  digest(take: (write: (writer: ByteWriter) => void) => void): void {
    for (const group of this.all())
      take((writer) => {
        writer.text(group.name)
        group.encode(writer)
      })
  }
}
