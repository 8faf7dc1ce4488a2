/**
 * Changes of what a consumer group is in this cluster (`localGroup.ts`), and their bytes:
 *
 *     change   := 1 | consumer text | seen varint | active varint    made, or seen; active: 0 never, else + 1
 *               | 2 | consumer text                                  gone, with all that is pending for it
 *               | 3 | consumer text | delivered varint | times varint | count varint | entry*
 *               | 4 | count varint | entry*                          not pending any more
 *               | 5 | last id | read varint | cursors * 3              position; read: 0 unknown, else + 1
 *     entry    := id | origin u8
 *     cursors  := mask u8 of origins | id*
 *
 * Each says how something is from now on, never by how much it differs: a replay may begin on a state that is later than it
 * and ends with the same one. They are the content of the log's local records, and what snapshots keep is told
 * in them as well.
 */

import { originsMax } from '#protocol/sync/stamp.ts'
import type { StreamId } from '#protocol/sync/streamId.ts'
import { type ByteReader, FormatError } from '#runtime/bytes/byteReader.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { EntryName } from './pendingList.ts'
import { readByOrigin, readOrigin, writeByOrigin } from './stateCodec.ts'
import { readStreamId, writeStreamId } from './streamIdCodec.ts'

/** By the origin of entries; undefined: as the group says that all clusters share. */
export type Cursors = readonly (StreamId | undefined)[]

/** How far a group has read in this cluster. */
export interface Position {
  /** The greatest id delivered, or where somebody has put the group. */
  readonly lastDelivered: StreamId
  /** Entries that came before, as Redis counts them; undefined: it isn't known. */
  readonly entriesRead: number | undefined
  /** Entries up to there are not given any more. */
  readonly cursors: Cursors
  /** All entries behind there, up to the cursor, have been given to somebody here, unless they were acknowledged elsewhere. */
  readonly since: Cursors
  /** Acknowledged elsewhere up to there, as known when somebody put the group somewhere: that doesn't count any more. */
  readonly disregarded: Cursors
}

export const noCursors: Cursors = new Array<undefined>(originsMax).fill(undefined)

export interface GroupChangeSink {
  setConsumer(name: string, seenMs: number, activeMs: number): void
  removeConsumer(name: string): void
  /** The entries are pending for the consumer, delivered so many times. */
  deliver(consumer: string, deliveredMs: number, count: number, entries: readonly EntryName[]): void
  /** The entries are not pending. */
  forget(entries: readonly EntryName[]): void
  setPosition(position: Position): void
}

const Code = { consumer: 1, noConsumer: 2, deliver: 3, forget: 4, position: 5 } as const

export class GroupChangeWriter implements GroupChangeSink {
  readonly #writer: ByteWriter

  constructor(writer: ByteWriter) {
    this.#writer = writer
  }

  setConsumer(name: string, seenMs: number, activeMs: number): void {
    this.#writer.u8(Code.consumer)
    this.#writer.text(name)
    this.#writer.varint(seenMs)
    this.#writer.varint(activeMs + 1)
  }

  removeConsumer(name: string): void {
    this.#writer.u8(Code.noConsumer)
    this.#writer.text(name)
  }

  deliver(consumer: string, deliveredMs: number, count: number, entries: readonly EntryName[]): void {
    this.#writer.u8(Code.deliver)
    this.#writer.text(consumer)
    this.#writer.varint(deliveredMs)
    this.#writer.varint(count)
    this.#entries(entries)
  }

  forget(entries: readonly EntryName[]): void {
    this.#writer.u8(Code.forget)
    this.#entries(entries)
  }

  setPosition({ lastDelivered, entriesRead, cursors, since, disregarded }: Position): void {
    this.#writer.u8(Code.position)
    writeStreamId(this.#writer, lastDelivered)
    this.#writer.varint(entriesRead === undefined ? 0 : entriesRead + 1)
    for (const ids of [cursors, since, disregarded]) writeByOrigin(this.#writer, ids, writeStreamId)
  }

  #entries(entries: readonly EntryName[]): void {
    this.#writer.varint(entries.length)
    for (const { id, origin } of entries) {
      writeStreamId(this.#writer, id)
      this.#writer.u8(origin)
    }
  }
}

/** Everything up to the end of the reader. Throws `FormatError`, and may have told some changes then. */
export function readGroupChanges(reader: ByteReader, sink: GroupChangeSink): void {
  while (!reader.atEnd) readChange(reader, sink)
}

function readChange(reader: ByteReader, sink: GroupChangeSink): void {
  const code = reader.u8()
  switch (code) {
    case Code.consumer:
      sink.setConsumer(reader.text(), reader.varint(), reader.varint() - 1)
      break
    case Code.noConsumer:
      sink.removeConsumer(reader.text())
      break
    case Code.deliver:
      sink.deliver(reader.text(), reader.varint(), reader.varint(), readEntries(reader))
      break
    case Code.forget:
      sink.forget(readEntries(reader))
      break
    case Code.position:
      sink.setPosition(readPosition(reader))
      break
    default:
      throw new FormatError(`change ${code} of a consumer group`)
  }
}

function readPosition(reader: ByteReader): Position {
  const lastDelivered = readStreamId(reader)
  const read = reader.varint()
  const cursors = readByOrigin(reader, readStreamId)
  const since = readByOrigin(reader, readStreamId)
  const disregarded = readByOrigin(reader, readStreamId)
  return { lastDelivered, entriesRead: read === 0 ? undefined : read - 1, cursors, since, disregarded }
}

function readEntries(reader: ByteReader): EntryName[] {
  const entries: EntryName[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const id = readStreamId(reader)
    entries.push({ id, origin: readOrigin(reader) })
  }
  return entries
}
