/** Applies the effects of streams; the rest is in `applier.ts`. */
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { StreamId } from '#protocol/sync/streamId.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import type { NewEntry, StreamState } from '#server/crdt/stream.ts'
import type { StreamEffectSink } from '#server/crdt/streamEffect.ts'
import type { StreamMarks } from '#server/crdt/streamRegister.ts'

export abstract class StreamApplier implements StreamEffectSink {
  /** The key's stream, which may not be there yet; the context covers what the effect's origin had seen. */
  protected abstract changeStream(
    stamp: Stamp,
    name: string,
    fresh: boolean,
    change: (stream: StreamState, context: VersionVector) => void,
  ): void

  addEntries(
    stamp: Stamp,
    name: string,
    fresh: boolean,
    marks: StreamMarks,
    entries: readonly NewEntry[],
  ): void {
    this.changeStream(stamp, name, fresh, (stream) => stream.add(stamp, marks, entries))
  }

  setMarks(stamp: Stamp, name: string, fresh: boolean, marks: StreamMarks): void {
    this.changeStream(stamp, name, fresh, (stream, context) => stream.setMarks(context, stamp, marks))
  }

  removeEntries(stamp: Stamp, name: string, ids: readonly StreamId[]): void {
    this.changeStream(stamp, name, false, (stream, context) => stream.removeIds(context, ids))
  }

  trimEntries(stamp: Stamp, name: string, upto: StreamId): void {
    this.changeStream(stamp, name, false, (stream, context) => stream.trim(context, upto))
  }

  createGroup(stamp: Stamp, name: string, fresh: boolean, group: string, starts: readonly StreamId[]): void {
    this.changeStream(stamp, name, fresh, (stream, context) =>
      stream.createGroup(context, stamp, group, starts),
    )
  }

  destroyGroup(stamp: Stamp, name: string, group: string): void {
    this.changeStream(stamp, name, false, (stream) => stream.destroyGroup(stamp, group))
  }

  acknowledge(
    stamp: Stamp,
    name: string,
    group: string,
    origin: Origin,
    from: StreamId,
    upto: StreamId,
  ): void {
    const interval = { stamp, from, upto }
    this.changeStream(stamp, name, false, (stream, context) =>
      stream.acknowledge(context, group, origin, interval),
    )
  }
}
