/**
 * Streams as RDB values (`rdb.c`, `t_stream.c`). Entries lie in listpacks of some hundred; the first one of a listpack names the
 * fields, and those called alike have values only:
 *
 *     stream := count | (first id 16 bytes text | listpack text)* | length | last id | [first id | deleted id | added] | groups
 *     listpack := entries | deleted ones | fields | name* | 0 | entry*
 *     entry := flags | ms - first ms | seq - first seq | (fields | (name | value)* , or value*) | elements of the entry
 *     group := name | last id | [entries read] | count | (id 16 bytes | time | deliveries)* | consumers
 *     consumer := name | seen | [active] | count | id 16 bytes*
 *
 * What is in brackets has come with later versions.
 */
import {
  idBytes,
  idFromBytes,
  idFromText,
  idOf,
  isExact,
  minId,
  msOf,
  type StreamId,
  seqOf,
  wideId,
  wideMsOf,
  wideSeqOf,
} from '#protocol/sync/streamId.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { readListpack } from './listpack.ts'
import type { RdbReader } from './rdbReader.ts'

export interface RdbStream {
  readonly type: 'stream'
  /** Ascending. */
  readonly entries: readonly RdbEntry[]
  readonly lastId: StreamId
  readonly entriesAdded: number
  readonly maxDeletedId: StreamId
  readonly groups: readonly RdbGroup[]
}

export interface RdbEntry {
  readonly id: StreamId
  /** Names and values in turn. */
  readonly fields: readonly string[]
}

export interface RdbGroup {
  readonly name: string
  /** Delivered last. */
  readonly lastId: StreamId
  /** undefined: not known. */
  readonly entriesRead: number | undefined
  /** Ascending by id; whoever has got one is among the consumers. */
  readonly pending: readonly RdbDelivery[]
  readonly consumers: readonly RdbConsumer[]
}

export interface RdbDelivery {
  readonly id: StreamId
  readonly consumer: string
  readonly deliveredMs: number
  readonly deliveries: number
}

export interface RdbConsumer {
  readonly name: string
  readonly seenMs: number
  /** undefined: never, or not known. */
  readonly activeMs: number | undefined
}

/** Of an entry. */
export const Flag = { deleted: 1, sameFields: 2 } as const
/** In place of a number. */
const unknown = -1n

/** What the versions of the encoding hold. */
export interface StreamForm {
  readonly counts: boolean
  readonly activeTimes: boolean
}

export function readStream(reader: RdbReader, { counts, activeTimes }: StreamForm): RdbStream {
  const entries: RdbEntry[] = []
  for (let left = reader.count(); left > 0; left--) readNode(reader, entries)
  const length = numberOf(reader.wide())
  if (length !== entries.length) throw new FormatError(`${entries.length} entries in a stream of ${length}`)
  let lastId = readId(reader)
  const last = entries.at(-1)
  if (last !== undefined && last.id > lastId) lastId = last.id
  if (counts) readId(reader)
  const maxDeletedId = counts ? readId(reader) : minId
  const entriesAdded = counts ? numberOf(reader.wide()) : length
  const stream: RdbStream = { type: 'stream', entries, lastId, maxDeletedId, entriesAdded, groups: [] }
  const groups: RdbGroup[] = []
  for (let left = reader.count(); left > 0; left--) {
    const group = readGroup(reader, counts, activeTimes)
    if (groups.some(({ name }) => name === group.name)) throw new FormatError('a group twice')
    groups.push(counts ? group : { ...group, entriesRead: entriesReadUpto(group.lastId, stream) })
  }
  return { ...stream, groups }
}

/** What can be told of the time before it was counted: nothing has been deleted since then. */
function entriesReadUpto(id: StreamId, { entries, lastId }: RdbStream): number | undefined {
  const [first] = entries
  if (first === undefined) return 0
  if (id === lastId) return entries.length
  if (id > lastId || id > first.id) return undefined
  return id === first.id ? 1 : 0
}

function readNode(reader: RdbReader, entries: RdbEntry[]): void {
  const first = rawId(reader.string())
  const items = readListpack(reader.blob())
  let at = 0
  const next = (): string => {
    const item = items[at++]
    if (item === undefined) throw new FormatError('an entry cut short')
    return item
  }
  const count = countOf(next()) + countOf(next())
  const names: string[] = []
  for (let left = countOf(next()); left > 0; left--) names.push(next())
  next()
  for (let left = count; left > 0; left--) {
    const flags = countOf(next())
    const id = idBehind(first, next(), next())
    const fields: string[] = []
    if ((flags & Flag.sameFields) !== 0) for (const name of names) fields.push(name, next())
    else for (let pairs = countOf(next()); pairs > 0; pairs--) fields.push(next(), next())
    next()
    if ((flags & Flag.deleted) !== 0) continue
    if (id <= (entries.at(-1)?.id ?? minId)) throw new FormatError('entries out of order')
    if (fields.length === 0) throw new FormatError('an entry without fields')
    entries.push({ id, fields })
  }
  if (at !== items.length) throw new FormatError('elements behind the entries')
}

function countOf(text: string): number {
  const count = Number(text)
  if (!Number.isSafeInteger(count) || count < 0) throw new FormatError('a count that is none')
  return count
}

const integer = /^-?[0-9]+$/

function idBehind(first: StreamId, ms: string, seq: string): StreamId {
  if (!integer.test(ms) || !integer.test(seq)) throw new FormatError('a distance of ids that is no number')
  const [sumMs, sumSeq] = [msOf(first) + Number(ms), seqOf(first) + Number(seq)]
  const fits = (sum: number): boolean => sum >= 0 && Number.isSafeInteger(sum)
  if (isExact(first) && fits(sumMs) && fits(sumSeq)) return idOf(sumMs, sumSeq)
  // Distances wrap around.
  const wrapped = (from: bigint, distance: string): bigint => BigInt.asUintN(64, from + BigInt(distance))
  return wideId(wrapped(wideMsOf(first), ms), wrapped(wideSeqOf(first), seq))
}

function rawId(text: string): StreamId {
  const id = idFromText(text)
  if (id === undefined) throw new FormatError('an id of another size')
  return id
}

function readId(reader: RdbReader): StreamId {
  const ms = reader.wide()
  return wideId(ms, reader.wide())
}

function numberOf(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new FormatError('a count beyond 2^53')
  return Number(value)
}

function readGroup(reader: RdbReader, counts: boolean, activeTimes: boolean): RdbGroup {
  const name = reader.string()
  const lastId = readId(reader)
  const read = counts ? BigInt.asIntN(64, reader.wide()) : unknown
  const entriesRead = read < 0n ? undefined : numberOf(read)
  const deliveries = new Map<StreamId, Omit<RdbDelivery, 'id' | 'consumer'>>()
  for (let left = reader.count(); left > 0; left--) {
    const id = idFromBytes(reader.raw(idBytes), 0)
    if (deliveries.has(id)) throw new FormatError('a delivery twice')
    const deliveredMs = Math.max(0, reader.milliseconds())
    deliveries.set(id, { deliveredMs, deliveries: numberOf(reader.wide()) })
  }
  const consumers = new Map<string, RdbConsumer>()
  const pending: RdbDelivery[] = []
  for (let left = reader.count(); left > 0; left--) {
    const consumer = reader.string()
    if (consumers.has(consumer)) throw new FormatError('a consumer twice')
    const seenMs = Math.max(0, reader.milliseconds())
    const activeMs = activeTimes ? reader.milliseconds() : seenMs
    consumers.set(consumer, { name: consumer, seenMs, activeMs: activeMs < 0 ? undefined : activeMs })
    for (let ids = reader.count(); ids > 0; ids--) {
      const id = idFromBytes(reader.raw(idBytes), 0)
      const delivery = deliveries.get(id)
      if (delivery === undefined)
        throw new FormatError('a delivery to a consumer that the group does not know')
      deliveries.delete(id)
      pending.push({ id, consumer, ...delivery })
    }
  }
  if (deliveries.size > 0) throw new FormatError('a delivery to nobody')
  pending.sort((a, b) => (a.id < b.id ? -1 : 1))
  return { name, lastId, entriesRead, pending, consumers: [...consumers.values()] }
}
