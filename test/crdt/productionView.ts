/** What a replica says of a key, to be compared with what the history tells. */
import type { HashState } from '#server/crdt/hash.ts'
import { hasExpired, type KeyView, unexpiredFields } from './history.ts'
import type { Replica } from './replica.ts'

const never = Number.POSITIVE_INFINITY

class Fault extends Error {}

/** As `expect`, without its cost. */
export function must(holds: boolean, message: () => string): void {
  if (!holds) throw new Fault(message())
}

function fieldExpiryOf(hash: HashState | undefined): Record<string, number> {
  const expiry: Record<string, number> = {}
  for (const field of hash?.fields() ?? []) {
    const atMs = hash?.expireAtMs(field) ?? never
    if (atMs !== never) expiry[field] = atMs
  }
  return expiry
}

/** What the production state says, hidden states included, whether expired or not. */
export function productionView(replica: Replica, key: string): KeyView {
  const { tables } = replica.keyspace
  const found = tables.findText(key)
  const none: KeyView = {
    type: 'none',
    expireAtMs: Number.POSITIVE_INFINITY,
    string: undefined,
    hash: {},
    fieldExpiry: {},
    set: [],
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
  }
}

/** What commands see: not what has expired. */
export function checkVisible(replica: Replica, key: string, view: KeyView): void {
  const { keyspace } = replica
  const expired = hasExpired(view, keyspace.nowMs)
  const type = keyspace.type(key)
  must(type === (expired ? 'none' : view.type), () => `${key} shows as ${type}, expired: ${expired}`)
  if (type !== 'hash') return
  const hash = keyspace.hash(key)
  const told = unexpiredFields(view, keyspace.nowMs).sort()
  const shown = [...(hash?.fields() ?? [])].sort()
  must(shown.join() === told.join() && hash?.size === told.length, () => `fields ${shown}, told ${told}`)
  must(
    told.every((field) => hash?.has(field) && hash.get(field) === view.hash[field]),
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
  ])
