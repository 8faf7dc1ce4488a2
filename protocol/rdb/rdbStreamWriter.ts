/** Streams as Redis 7.0 writes them; `rdbStream.ts` has the layout. */
import { isExact, minId, msOf, type StreamId, seqOf, wideMsOf, wideSeqOf } from '#protocol/sync/streamId.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { ListpackWriter } from './listpackWriter.ts'
import { Flag, type RdbEntry, type RdbGroup, type RdbStream } from './rdbStream.ts'
import { writeLength, writeMilliseconds, writeText, writeWide } from './rdbStringWriter.ts'

/** As Redis fills them by default. */
const nodeEntriesMax = 100
const nodeBytesMax = 4096

export function writeStream(writer: ByteWriter, stream: RdbStream): void {
  const { entries, lastId, maxDeletedId, entriesAdded, groups } = stream
  const nodes = nodesOf(entries)
  writeLength(writer, nodes.length)
  for (const node of nodes) writeNode(writer, node)
  writeWide(writer, BigInt(entries.length))
  writeId(writer, lastId)
  writeId(writer, entries[0]?.id ?? minId)
  writeId(writer, maxDeletedId)
  writeWide(writer, BigInt(entriesAdded))
  writeLength(writer, groups.length)
  for (const group of groups) writeGroup(writer, group)
}

/** Runs of entries, each for a listpack. */
function nodesOf(entries: readonly RdbEntry[]): RdbEntry[][] {
  const nodes: RdbEntry[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const entry of entries) {
    const node = nodes.at(-1)
    if (node === undefined || bytes >= nodeBytesMax || node.length >= nodeEntriesMax) {
      nodes.push([entry])
      bytes = 0
    } else node.push(entry)
    for (const text of entry.fields) bytes += text.length
  }
  return nodes
}

function writeNode(writer: ByteWriter, node: readonly RdbEntry[]): void {
  const [first] = node as [RdbEntry]
  const names = first.fields.filter((_, at) => at % 2 === 0)
  const listpack = new ListpackWriter()
  listpack.integer(node.length)
  listpack.integer(0)
  listpack.integer(names.length)
  for (const name of names) listpack.text(name)
  listpack.integer(0)
  for (const { id, fields } of node) {
    const same = fields.length === 2 * names.length && names.every((name, at) => name === fields[2 * at])
    listpack.integer(same ? Flag.sameFields : 0)
    writeDistance(listpack, first.id, id)
    if (!same) listpack.integer(fields.length / 2)
    for (let at = same ? 1 : 0; at < fields.length; at += same ? 2 : 1) listpack.text(fields[at] as string)
    listpack.integer(same ? names.length + 3 : fields.length + 4)
  }
  writeText(writer, first.id)
  writeText(writer, latin1(listpack.finish()))
}

function writeDistance(listpack: ListpackWriter, from: StreamId, id: StreamId): void {
  const exact = isExact(from) && isExact(id)
  listpack.integer(exact ? msOf(id) - msOf(from) : wideMsOf(id) - wideMsOf(from))
  listpack.integer(exact ? seqOf(id) - seqOf(from) : wideSeqOf(id) - wideSeqOf(from))
}

function writeId(writer: ByteWriter, id: StreamId): void {
  writeWide(writer, wideMsOf(id))
  writeWide(writer, wideSeqOf(id))
}

/** -1 in 64 bits. */
const unknown = 2n ** 64n - 1n

function writeGroup(writer: ByteWriter, { name, lastId, entriesRead, pending, consumers }: RdbGroup): void {
  writeText(writer, name)
  writeId(writer, lastId)
  writeWide(writer, entriesRead === undefined ? unknown : BigInt(entriesRead))
  writeLength(writer, pending.length)
  for (const { id, deliveredMs, deliveries } of pending) {
    writer.characters(id)
    writeMilliseconds(writer, deliveredMs)
    writeWide(writer, BigInt(deliveries))
  }
  writeLength(writer, consumers.length)
  const byConsumer = Map.groupBy(pending, ({ consumer }) => consumer)
  for (const consumer of consumers) {
    writeText(writer, consumer.name)
    writeMilliseconds(writer, consumer.seenMs)
    const own = byConsumer.get(consumer.name) ?? []
    writeLength(writer, own.length)
    for (const { id } of own) writer.characters(id)
  }
}
