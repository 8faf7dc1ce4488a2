/** What a replica shows, in the words of the history that judges it. */
import { maxId, minId, msOf } from '#protocol/sync/streamId.ts'
import type { HashState } from '#server/crdt/hash.ts'
import type { HllState } from '#server/crdt/hll.ts'
import type { ListState } from '#server/crdt/list.ts'
import type { StreamState } from '#server/crdt/stream.ts'
import type { ListElements } from '#server/store/listRanges.ts'
import { hasExpired, type KeyView, unexpiredFields } from './history.ts'
import { nameOf, pathOf } from './listOrder.ts'
import type { Replica } from './replica.ts'

const never = Number.POSITIVE_INFINITY

class Fault extends Error {}

/** As `expect`, without its cost. */
export function must(holds: boolean, message: () => string): void {
  if (!holds) throw new Fault(message())
}

/** The id of an element that a replica has just made. */
export function madeAt(replica: Replica, key: string, index: number): readonly number[] {
  const { tables } = replica.keyspace
  return tables.listElements(tables.findText(key))?.idAt(index) ?? []
}

/** Through each way to look at a list; `view` is what is read from where it lies. */
function elementsOf(list: ListState | undefined, view: ListElements | undefined): KeyView['list'] {
  if (list === undefined || view === undefined) return []
  const texts = [...list.range(0, list.size)]
  must(
    view.size === list.size && [...view.range(0, view.size)].join() === texts.join(),
    () => 'a list is another where it lies',
  )
  must(
    [...view.rangeReversed(0, list.size)].reverse().join() === texts.join(),
    () => 'a list is another backwards',
  )
  must(
    texts.every((text, index) => view.at(index) === text),
    () => 'a list is another by index',
  )
  return texts.map((text, index) => ({ name: nameOf(pathOf(view.idAt(index))), text }))
}

function registersOf(hll: HllState | undefined): KeyView['hll'] {
  if (hll?.payload === undefined) return undefined
  const registers: [number, number][] = []
  hll.payload.eachRank((index, rank) => registers.push([index, rank]))
  return registers
}

function fieldExpiryOf(hash: HashState | undefined): KeyView['fieldExpiry'] {
  const expiry: KeyView['fieldExpiry'] = {}
  for (const field of hash?.fields() ?? []) {
    const atMs = hash?.expireAtMs(field) ?? never
    if (atMs !== never) expiry[field] = atMs
  }
  return expiry
}

/** Through each way to look at a stream. */
function streamOf(stream: StreamState | undefined): KeyView['stream'] {
  if (stream === undefined || !stream.live) return undefined
  const all = [...stream.range(minId, maxId)]
  must(stream.size === all.length, () => `a stream of ${all.length} entries says ${stream.size}`)
  const reversed = [...stream.rangeReversed(minId, maxId)].reverse()
  must(JSON.stringify(reversed) === JSON.stringify(all), () => 'a stream is another backwards')
  must(
    all.every(({ id }, position) => stream.idAt(position) === id) && stream.idAt(all.length) === undefined,
    () => 'a stream is another by position',
  )
  const byOrigin = stream.origins().flatMap((origin) => [...stream.rangeOf(origin, minId, maxId)])
  must(byOrigin.length === all.length, () => 'a stream is another by origin')
  return {
    entries: all.map(({ id, fields }) => [msOf(id), fields[1] ?? '']),
    lastId: msOf(stream.lastId),
    added: stream.entriesAdded,
    maxDeletedId: msOf(stream.maxDeletedId),
    groups: [...stream.groups()].map((group) => ({
      name: group.name,
      created: [...group.created],
      starts: group.starts.map(msOf),
      acked: group.starts.map((_, origin) => msOf(group.ackedUpto(origin))),
    })),
  }
}

/** What the production state says, hidden states included, whether expired or not. */
export function productionView(replica: Replica, key: string): KeyView {
  const { tables } = replica.keyspace
  const found = tables.findText(key)
  const none: KeyView = {
    type: 'none',
    expireAtMs: never,
    string: undefined,
    hash: {},
    fieldExpiry: {},
    set: [],
    zset: [],
    list: [],
    stream: undefined,
    hll: undefined,
  }
  if (found === 0) return none
  const content = tables.stateOf(found)
  const type = content.visibleType() ?? 'none'
  return {
    type,
    expireAtMs: type === 'none' ? none.expireAtMs : content.expireAtMs(),
    string: content.string?.shown(),
    hash: Object.fromEntries([...(content.hash?.entries() ?? [])].sort()),
    fieldExpiry: fieldExpiryOf(content.hash),
    set: [...(content.set?.members() ?? [])].sort(),
    zset: [...(content.zset?.range(0, content.zset.size) ?? [])],
    list: elementsOf(content.list, tables.listElements(found)),
    stream: streamOf(content.stream),
    hll: registersOf(content.hll),
  }
}

/** What commands see: not what has expired. */
export function checkVisible(replica: Replica, key: string, view: KeyView): void {
  const { keyspace } = replica
  const expired = hasExpired(view, keyspace.nowMs)
  const type = keyspace.type(key)
  const told = view.type === 'hll' ? 'string' : view.type
  must(type === (expired ? 'none' : told), () => `${key} shows as ${type}, expired: ${expired}`)
  if (type !== 'hash') return
  const hash = keyspace.hash(key)
  const fields = unexpiredFields(view, keyspace.nowMs).sort()
  const shown = [...(hash?.fields() ?? [])].sort()
  must(
    shown.join() === fields.join() && hash?.size === fields.length,
    () => `fields ${shown}, told ${fields}`,
  )
  must(
    fields.every((field) => hash?.has(field) && hash.get(field) === view.hash[field]),
    () => 'other texts',
  )
}

export const textOf = (view: KeyView): string =>
  JSON.stringify([
    view.type,
    String(view.expireAtMs),
    view.string,
    Object.entries(view.hash).sort(),
    Object.entries(view.fieldExpiry).sort(),
    view.set,
    view.zset,
    view.list,
    view.stream,
    view.hll,
  ])
