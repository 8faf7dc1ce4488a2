/** Entries as commands give them. */
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { formatId, type StreamId } from '#protocol/sync/streamId.ts'
import type { StreamEntry } from '#server/crdt/streamBlock.ts'

/** Pending, but deleted from the stream. */
export interface GoneEntry {
  readonly id: StreamId
  readonly fields: undefined
}

export function replyEntry(reply: ReplyWriter, { id, fields }: StreamEntry | GoneEntry): void {
  reply.array(2)
  reply.bulk(formatId(id))
  if (fields === undefined) reply.nullArray()
  else reply.bulks(fields)
}

export function replyEntries(reply: ReplyWriter, entries: readonly (StreamEntry | GoneEntry)[]): void {
  reply.array(entries.length)
  for (const entry of entries) replyEntry(reply, entry)
}

/** The first `count`. */
export function firstOf<T>(all: Iterable<T>, count: number): T[] {
  const found: T[] = []
  if (count <= 0) return found
  for (const one of all) if (found.push(one) >= count) break
  return found
}

/** A COUNT: what is below 0 counts as 0. */
export const countOf = (value: number | bigint): number => Math.max(0, Number(value))
