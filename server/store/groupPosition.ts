/**
 * How far a consumer group has read in this cluster. The group that all clusters share says where it starts and what is
 * acknowledged anywhere (`server/crdt/streamGroup.ts`), what is local how far it has read itself (`localGroup.ts`).
 */
import { type Origin, originOf } from '#protocol/sync/stamp.ts'
import { greaterId, greatestId, lesserId, minId, previousId, type StreamId } from '#protocol/sync/streamId.ts'
import { type Cursors, noCursors, type Position } from '#server/crdt/groupChange.ts'
import type { StreamEntry } from '#server/crdt/streamBlock.ts'
import type { StreamGroupView, StreamView } from './views.ts'

const origins: readonly Origin[] = noCursors.map((_, origin) => origin)

/** Of a group that nobody has used here. */
export function startPosition(group: Pick<StreamGroupView, 'start'>): Position {
  return {
    lastDelivered: greatestId(origins.map((origin) => group.start(origin))),
    entriesRead: undefined,
    cursors: noCursors,
    since: noCursors,
    disregarded: noCursors,
  }
}

export function positionOf(group: StreamGroupView): Position {
  return group.local?.position ?? startPosition(group)
}

/** What others have acknowledged behind what is disregarded; undefined: nothing. */
function ackedElsewhere(group: StreamGroupView, origin: Origin): StreamId | undefined {
  const acked = group.ackedUpto(origin)
  return acked > (positionOf(group).disregarded[origin] ?? group.start(origin)) ? acked : undefined
}

/** Entries of the origin up to there are not given any more. */
export function cursorOf(group: StreamGroupView, origin: Origin): StreamId {
  const own = positionOf(group).cursors[origin] ?? group.start(origin)
  return greaterId(own, ackedElsewhere(group, origin) ?? minId)
}

/** As XINFO shows it. */
export function lastDeliveredOf(group: StreamGroupView): StreamId {
  const elsewhere = origins.map((origin) => ackedElsewhere(group, origin))
  return greatestId([positionOf(group).lastDelivered, ...elsewhere])
}

/** Entries that nobody has got here yet, in the order of their ids. */
export function newEntries(stream: StreamView, group: StreamGroupView): Iterable<StreamEntry> {
  return stream.rangeBehind((origin) => cursorOf(group, origin))
}

/** When the entries have been given, which are the next ones. */
export function positionBehind(
  stream: StreamView,
  group: StreamGroupView,
  entries: readonly StreamEntry[],
): Position {
  const position = positionOf(group)
  const cursors = [...position.cursors]
  const since = [...position.since]
  let lastDelivered = lastDeliveredOf(group)
  let { entriesRead } = position
  for (const { id, stamp } of entries) {
    const origin = originOf(stamp)
    since[origin] ??= cursorOf(group, origin)
    cursors[origin] = id
    if (entriesRead !== undefined && !hasTombstones(stream, id)) entriesRead++
    else if (stream.entriesAdded > 0 && id > lastDelivered) entriesRead = entriesUpto(stream, id)
    lastDelivered = greaterId(lastDelivered, id)
  }
  return { ...position, lastDelivered, entriesRead, cursors, since }
}

/** Somebody puts the group behind `cursors`; `shown` is the id of that. */
export function positionAt(
  group: StreamGroupView,
  shown: StreamId,
  cursors: Cursors,
  entriesRead: number | undefined,
): Position {
  const disregarded = origins.map((origin) => group.ackedUpto(origin))
  return { lastDelivered: shown, entriesRead, cursors, since: cursors, disregarded }
}

/** Nothing up to `id` is given any more. */
export function positionBeyond(group: StreamGroupView, id: StreamId): Position {
  const position = positionOf(group)
  const isAhead = (origin: Origin): boolean => cursorOf(group, origin) >= id
  return {
    ...position,
    lastDelivered: greaterId(position.lastDelivered, id),
    cursors: origins.map((origin) => greaterId(cursorOf(group, origin), id)),
    since: origins.map((origin) => (isAhead(origin) ? position.since[origin] : id)),
  }
}

/**
 * What may be told of the entries of `origin` now that `acked` of them are not pending any more: that all in (from, upto] are
 * acknowledged. undefined: one before them is pending, or it has been told.
 */
export function newlyAcknowledged(
  stream: StreamView,
  group: StreamGroupView,
  origin: Origin,
  by: Origin,
  acked: readonly StreamId[],
): { from: StreamId; upto: StreamId } | undefined {
  const { cursors, since } = positionOf(group)
  const [from, cursor] = [since[origin], cursors[origin]]
  if (from === undefined || cursor === undefined) return undefined
  const pending = group.local?.firstPendingOf(origin)
  const upto = pending === undefined ? cursor : lesserId(cursor, lastBefore(stream, origin, pending, acked))
  const told = group.toldOf(origin, by)
  if (upto <= from) return undefined
  if (told === undefined || from < told.from || told.upto < from) return { from, upto }
  // It goes on from what was told before, also by a shard that has lost its own part of the group since.
  return upto > told.upto ? { from: told.from, upto } : undefined
}

/** The last entry before the first that is pending; 0-0: it is not behind one that has just been acknowledged. */
function lastBefore(
  stream: StreamView,
  origin: Origin,
  pending: StreamId,
  acked: readonly StreamId[],
): StreamId {
  let last = greatestId(acked.filter((id) => id < pending))
  if (last === minId) return minId
  // Some behind it may have been acknowledged before.
  for (const { id } of stream.rangeOf(origin, last, previousId(pending) ?? minId)) last = id
  return last
}

// ---- how many entries came before, as Redis counts them (XINFO's `entries-read` and `lag`)

/** Whether an entry at or behind `id` may have been deleted. */
function hasTombstones(stream: StreamView, id: StreamId): boolean {
  const { size, maxDeletedId } = stream
  return size > 0 && maxDeletedId !== minId && id <= maxDeletedId && firstIdOf(stream) <= maxDeletedId
}

/** Entries ever added up to `id`; undefined: nobody knows. */
function entriesUpto(stream: StreamView, id: StreamId): number | undefined {
  const { size, lastId, entriesAdded, maxDeletedId } = stream
  if (entriesAdded === 0) return 0
  if (size === 0 && id <= lastId) return entriesAdded
  if (id >= lastId) return id === lastId ? entriesAdded : undefined
  const first = firstIdOf(stream)
  if (maxDeletedId !== minId && maxDeletedId >= first) return undefined
  if (id < first) return entriesAdded - size
  return id === first ? entriesAdded - size + 1 : undefined
}

/** 0-0: there is no entry. */
export function firstIdOf(stream: StreamView): StreamId {
  for (const { id } of stream.range(minId, stream.lastId)) return id
  return minId
}

/** Entries that the group has not got yet; undefined: nobody knows. */
export function lagOf(stream: StreamView, group: StreamGroupView): number | undefined {
  const { entriesAdded } = stream
  if (entriesAdded === 0) return 0
  const shown = lastDeliveredOf(group)
  // What arrives late is below what has been delivered: it can't be told from the ids.
  const isLate = (origin: Origin): boolean =>
    cursorOf(group, origin) < stream.lastIdOf(origin) && stream.lastIdOf(origin) <= shown
  if (stream.origins().length > 1 && stream.origins().some(isLate)) return undefined
  const { entriesRead } = positionOf(group)
  if (entriesRead !== undefined && !hasTombstones(stream, shown)) return entriesAdded - entriesRead
  const upto = entriesUpto(stream, shown)
  return upto === undefined ? undefined : entriesAdded - upto
}

/** Of each origin the cursor behind the entry that was last seen from it. */
export const endCursors = (stream: StreamView | undefined): Cursors =>
  origins.map((origin) => stream?.lastIdOf(origin) ?? minId)

export const cursorsAt = (id: StreamId): Cursors => origins.map(() => id)
