/**
 * What commands write to streams, as part of a transaction. Handlers have looked at the stream and its type, and chosen ids.
 */
import { type Origin, originsMax } from '#protocol/sync/stamp.ts'
import { minId, type StreamId } from '#protocol/sync/streamId.ts'
import { invariant } from '#runtime/invariant.ts'
import { TypeBit } from '#server/crdt/keyState.ts'
import type { NewEntry, StreamState } from '#server/crdt/stream.ts'
import type { StreamMarks } from '#server/crdt/streamRegister.ts'
import { Intents } from './intents.ts'

/** Where a group begins: behind an id, or behind all that this cluster has seen. */
export type GroupStart = StreamId | 'end'

export abstract class StreamIntents extends Intents {
  /** XADD, and more entries at once. Their ids ascend, and are above the stream's last one. */
  streamAdd(name: string, entries: readonly NewEntry[]): void {
    const [first, last] = [entries[0], entries.at(-1)]
    if (first === undefined || last === undefined) return
    const fresh = this.open(name, TypeBit.stream)
    const stream = this.#streamOf(name)
    if (first.id <= (stream?.lastId ?? minId)) invariant(false, 'a new entry has a greater id than all')
    const added = (stream?.addedBy(this.keyspace.origin) ?? 0) + entries.length
    const marks = { lastId: last.id, added, maxDeletedId: stream?.maxDeletedId ?? minId }
    this.write((sink, stamp) => sink.addEntries(stamp, name, fresh, marks, entries))
  }

  /** XDEL. Returns how many entries are gone: more than ids, where several have one id. */
  streamDelete(name: string, ids: readonly StreamId[]): number {
    const stream = this.keyspace.stream(name)
    if (stream === undefined) return 0
    const present = [...new Set(ids)].filter((id) => !isEmpty(stream.range(id, id)))
    if (present.length === 0) return 0
    return this.#removing(name, () => this.write((sink, stamp) => sink.removeEntries(stamp, name, present)))
  }

  /** XTRIM: all entries up to and with `upto`. Returns how many are gone. */
  streamTrim(name: string, upto: StreamId): number {
    const stream = this.keyspace.stream(name)
    if (stream === undefined || isEmpty(stream.range(minId, upto))) return 0
    return this.#removing(name, () => this.write((sink, stamp) => sink.trimEntries(stamp, name, upto)))
  }

  #removing(name: string, remove: () => void): number {
    this.open(name, TypeBit.stream)
    const before = this.#streamOf(name)?.size ?? 0
    remove()
    return before - (this.#streamOf(name)?.size ?? 0)
  }

  /** XSETID, of a stream that may not be there yet. The last id is not below the one that shows. */
  streamSetMarks(name: string, marks: StreamMarks): void {
    const fresh = this.open(name, TypeBit.stream)
    if (marks.lastId < (this.#streamOf(name)?.lastId ?? minId))
      invariant(false, 'the last id of a stream does not fall')
    this.write((sink, stamp) => sink.setMarks(stamp, name, fresh, marks))
  }

  /** XGROUP CREATE; the group isn't there, the stream needn't be. */
  streamCreateGroup(name: string, group: string, start: GroupStart): void {
    const fresh = this.open(name, TypeBit.stream)
    const starts = this.startsOf(this.#streamOf(name), start)
    this.write((sink, stamp) => sink.createGroup(stamp, name, fresh, group, starts))
  }

  /** "Behind all" is said for each origin: what another cluster adds meanwhile may have a lesser id and is new all the same. */
  protected startsOf(stream: StreamState | undefined, start: GroupStart): StreamId[] {
    const origins = Array.from({ length: originsMax }, (_, origin) => origin)
    return origins.map((origin) => (start === 'end' ? (stream?.lastIdOf(origin) ?? minId) : start))
  }

  /** XGROUP DESTROY; false: there is no such group. */
  streamDestroyGroup(name: string, group: string): boolean {
    if (this.keyspace.stream(name)?.group(group) === undefined) return false
    this.open(name, TypeBit.stream)
    this.write((sink, stamp) => sink.destroyGroup(stamp, name, group))
    return true
  }

  /**
   * Tells all that this cluster has acknowledged the entries of `origin` behind `from`, up to and with `upto`; in place of
   * what it told of them before. The group is there.
   */
  streamAcknowledge(name: string, group: string, origin: Origin, from: StreamId, upto: StreamId): void {
    this.open(name, TypeBit.stream)
    this.write((sink, stamp) => sink.acknowledge(stamp, name, group, origin, from, upto))
  }

  #streamOf(name: string): StreamState | undefined {
    return this.onHeap(name)?.stream
  }
}

function isEmpty(entries: Iterable<unknown>): boolean {
  for (const _ of entries) return false
  return true
}
