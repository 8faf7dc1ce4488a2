/**
 * A consumer group as clusters share it: where it starts, for the entries of each origin, and what is acknowledged.
 * Consumers, and what they have been given, belong to one cluster: `localGroup.ts` has them, and nothing here encodes,
 * merges or digests them.
 *
 * - Of concurrent XGROUP CREATEs the lesser start counts: nothing is skipped.
 * - A cluster tells of the entries of an origin that it has acknowledged everything from one id up to another; one such
 *   interval is kept for each pair. What follows the start without a gap is acknowledged.
 */
import { readStamp } from '#protocol/sync/record.ts'
import { type Origin, originOf, originsMax, type Stamp } from '#protocol/sync/stamp.ts'
import { lesserId, type StreamId } from '#protocol/sync/streamId.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { LocalGroup } from './localGroup.ts'
import { readOrigin, requireAscending } from './stateCodec.ts'
import { readStarts, writeStarts } from './streamEffect.ts'
import { readStreamId, writeStreamId } from './streamIdCodec.ts'

/** The entries of an origin behind `from`, up to and with `upto`. */
export interface AckedInterval {
  readonly stamp: Stamp
  readonly from: StreamId
  readonly upto: StreamId
}

export class StreamGroup {
  readonly name: string
  /** The XGROUP CREATEs that made it, ascending. Whoever remembers one that isn't there any more remembers another group. */
  created: readonly Stamp[]
  /** What it is in this cluster alone; goes with it. */
  local: LocalGroup | undefined = undefined
  /** By origin. */
  readonly #starts: StreamId[]
  /** By origin of the entries and, within that, by the origin that acknowledged. */
  readonly #acked: Map<number, AckedInterval> = new Map()

  constructor(name: string, created: readonly Stamp[], starts: readonly StreamId[]) {
    this.name = name
    this.created = created
    this.#starts = [...starts]
  }

  /** Entries of `origin` up to here are not for the group. */
  start(origin: Origin): StreamId {
    return this.#starts[origin] as StreamId
  }

  get starts(): readonly StreamId[] {
    return this.#starts
  }

  /** The entries of `origin` up to here need not be given to anybody: they are acknowledged, or before the start. */
  ackedUpto(origin: Origin): StreamId {
    let upto = this.start(origin)
    for (let again = true; again; ) {
      again = false
      for (let by = 0; by < originsMax; by++) {
        const interval = this.#acked.get(origin * originsMax + by)
        if (interval === undefined || interval.from > upto || interval.upto <= upto) continue
        upto = interval.upto
        again = true
      }
    }
    return upto
  }

  /** What `by` has told of the entries of `origin`. */
  toldOf(origin: Origin, by: Origin): AckedInterval | undefined {
    return this.#acked.get(origin * originsMax + by)
  }

  create(stamp: Stamp, starts: readonly StreamId[]): void {
    if (!this.created.includes(stamp)) this.created = [...this.created, stamp].sort((a, b) => a - b)
    for (const [origin, start] of starts.entries()) this.#starts[origin] = lesserId(this.start(origin), start)
  }

  /** What the origin of its stamp says of the entries of `origin`, in place of what it has said before. */
  acknowledge(origin: Origin, interval: AckedInterval): void {
    const place = origin * originsMax + originOf(interval.stamp)
    if ((this.#acked.get(place)?.stamp ?? 0) < interval.stamp) this.#acked.set(place, interval)
  }

  merge(other: StreamGroup): void {
    for (const stamp of other.created) this.create(stamp, other.starts)
    for (const [place, interval] of other.#acked) this.acknowledge(Math.floor(place / originsMax), interval)
  }

  // ---- codec: stamps | starts | count u8 | (origin of the entries u8 | interval)*, in the order of places

  encode(writer: ByteWriter): void {
    writer.u8(this.created.length)
    for (const stamp of this.created) writer.f64(stamp)
    writeStarts(writer, this.#starts)
    writer.u8(this.#acked.size)
    for (const [place, { stamp, from, upto }] of [...this.#acked].sort((a, b) => a[0] - b[0])) {
      writer.u8(Math.floor(place / originsMax))
      writer.f64(stamp)
      writeStreamId(writer, from)
      writeStreamId(writer, upto)
    }
  }

  static decode(reader: ByteReader, name: string): StreamGroup {
    const created: Stamp[] = []
    for (let count = reader.u8(); count > 0; count--) created.push(readStamp(reader))
    requireAscending(created)
    if (created.length === 0) throw new FormatError('a group that nobody has created')
    const group = new StreamGroup(name, created, readStarts(reader))
    for (let count = reader.u8(); count > 0; count--) {
      const origin = readOrigin(reader)
      const stamp = readStamp(reader)
      const from = readStreamId(reader)
      group.acknowledge(origin, { stamp, from, upto: readStreamId(reader) })
    }
    return group
  }
}
