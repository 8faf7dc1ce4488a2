/**
 * What the replicated types mean, told over the history alone: which operations there were, and which each of them had
 * seen. The production code is judged against this; none of it is used here.
 *
 * An operation is told as adds and kills. An add is live unless an operation that had seen it kills it; what shows follows
 * from the live adds. Nothing else: no state, no order of arrival, no merge.
 */
import { type Origin, originOf, type Stamp, stampStep } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { comparePaths, pathNamed } from './listOrder.ts'
import { type StreamAdd, type StreamKill, type StreamTold, streamOf } from './streamMeaning.ts'

export type TypeName = 'string' | 'hash' | 'set' | 'zset' | 'list' | 'stream' | 'hll'
export const typeNames: readonly TypeName[] = ['string', 'hash', 'set', 'zset', 'list', 'stream', 'hll']

export type ScoreTag = 'GT' | 'LT' | undefined

export type Add =
  /** A register write; `element` is the field, '' for a string, the name of the path in a list. */
  | { kind: 'write'; key: string; type: 'string' | 'hash' | 'list'; element: string; text: string }
  | { kind: 'increment'; key: string; type: 'string' | 'hash' | 'zset'; element: string; amount: number }
  | { kind: 'member'; key: string; type: 'set'; element: string }
  /** Of a hash field. A write of the field is one, too. */
  | { kind: 'fieldTtl'; key: string; type: 'hash'; element: string; expireAtMs: number }
  /** The register has at least this rank; 0 for an add that only makes the key. */
  | { kind: 'register'; key: string; type: 'hll'; element: string; rank: number }
  /** `tag`: it was written on that condition. */
  | { kind: 'score'; key: string; type: 'zset'; element: string; score: number; tag: ScoreTag }
  /** `implied`: a plain SET, which is a TTL write for as long as it is a write. */
  | { kind: 'ttl'; key: string; expireAtMs: number; implied: boolean }
  | StreamAdd

export type Kill =
  /** Without `element`: the whole typed state. */
  | { kind: 'state'; key: string; type: TypeName; element?: string }
  | { kind: 'ttl'; key: string }
  | { kind: 'fieldTtl'; key: string; element: string }
  | StreamKill

export interface Operation {
  stamp: Stamp
  /** What its origin had seen; own entry: its own earlier operations. */
  context: VersionVector
  adds: Add[]
  kills: Kill[]
}

/** What shows of a key, the states that another type hides included. */
export interface KeyView {
  type: TypeName | 'none'
  expireAtMs: number
  string: string | undefined
  hash: Record<string, string>
  /** When fields expire; without those that don't. */
  fieldExpiry: Record<string, number>
  set: string[]
  /** In its order. */
  zset: [member: string, score: number][]
  /** In order. */
  list: ListElement[]
  stream: StreamTold | undefined
  /** Registers and their ranks, ascending; undefined: there is none. */
  hll: [register: number, rank: number][] | undefined
}

export interface ListElement {
  /** Of its path. */
  name: string
  text: string
}

export interface Told<T> {
  operation: Operation
  what: T
}

const never = Number.POSITIVE_INFINITY

export const hasSeen = (context: VersionVector, stamp: Stamp): boolean =>
  stamp <= (context[originOf(stamp)] as number)

/** A context that also covers the origin's own operations below `stamp`. */
export function contextAt(vector: VersionVector, stamp: Stamp): VersionVector {
  const context = vector.slice()
  context[originOf(stamp)] = stamp - stampStep
  return context
}

/** Whether a kill is about the add; whether it comes to bear depends on who has seen whom. */
function concerns({ what: kill, operation: by }: Told<Kill>, { what: add, operation }: Told<Add>): boolean {
  switch (kill.kind) {
    case 'ttl':
      return add.kind === 'ttl'
    case 'fieldTtl':
      return add.kind === 'fieldTtl' && kill.element === add.element
    case 'entries':
      return add.kind === 'entry' && add.id === kill.id
    case 'marks':
      return add.kind === 'marks' && (!kill.own || originOf(by.stamp) === originOf(operation.stamp))
    case 'groups':
      return isOfGroup(add) && (kill.group === undefined || kill.group === add.group)
    case 'state':
      if (add.kind === 'ttl') return add.implied && kill.type === 'string'
      if (add.kind === 'entry' || add.kind === 'marks') return kill.type === 'stream'
      if (isOfGroup(add) || add.kind === 'deletion') return false
      return kill.type === add.type && (kill.element === undefined || kill.element === add.element)
  }
}

const isOfGroup = (add: Add): add is Extract<Add, { kind: 'group' | 'acked' }> =>
  add.kind === 'group' || add.kind === 'acked'

/** A removal ends what it had seen; of groups and registers what had not seen it. */
function kills(kill: Told<Kill>, add: Told<Add>): boolean {
  if (kill.operation === add.operation || !concerns(kill, add)) return false
  return isOfGroup(add.what) || add.what.kind === 'register'
    ? !hasSeen(add.operation.context, kill.operation.stamp)
    : hasSeen(kill.operation.context, add.operation.stamp)
}

export class History {
  readonly operations: Operation[] = []
  readonly #adds: Map<string, Told<Add>[]> = new Map()
  readonly #kills: Map<string, Told<Kill>[]> = new Map()

  tell(operation: Operation): void {
    this.operations.push(operation)
    for (const what of operation.adds) listOf(this.#adds, what.key).push({ operation, what })
    for (const what of operation.kills) listOf(this.#kills, what.key).push({ operation, what })
  }

  /** The adds to `key` that are live for who has seen what `seen` covers (everything without it). */
  liveAdds(key: string, seen?: VersionVector): Told<Add>[] {
    const known = <T>({ operation }: Told<T>): boolean => seen === undefined || hasSeen(seen, operation.stamp)
    const all = (this.#kills.get(key) ?? []).filter(known)
    return (this.#adds.get(key) ?? []).filter((add) => known(add) && !all.some((kill) => kills(kill, add)))
  }

  view(key: string, seen?: VersionVector): KeyView {
    return viewOf(this.liveAdds(key, seen))
  }

  /** Whether there has ever been an element of this name. */
  hasElement(key: string, name: string): boolean {
    return (this.#adds.get(key) ?? []).some(
      ({ what }) => what.kind === 'write' && what.type === 'list' && what.element === name,
    )
  }

  /** Whether explicit TTL writes are live (rule D5 looks at it). */
  hasExplicitTtl(key: string, seen: VersionVector): boolean {
    return this.liveAdds(key, seen).some(({ what }) => what.kind === 'ttl' && !what.implied)
  }

  /** Whose TTL shows, of the key or of a field of it. */
  expiryOwner(key: string, seen: VersionVector, field?: string): Origin | undefined {
    const ttl = this.liveAdds(key, seen).flatMap(({ operation, what }) =>
      (what.kind === 'ttl' && field === undefined) || (what.kind === 'fieldTtl' && what.element === field)
        ? [{ stamp: operation.stamp, at: what.expireAtMs }]
        : [],
    )
    const longest = Math.max(...ttl.map(({ at }) => at))
    if (ttl.length === 0 || longest === never) return undefined
    return originOf(Math.max(...ttl.filter(({ at }) => at === longest).map(({ stamp }) => stamp)))
  }
}

function listOf<T>(map: Map<string, T[]>, key: string): T[] {
  let list = map.get(key)
  if (list === undefined) {
    list = []
    map.set(key, list)
  }
  return list
}

function viewOf(live: Told<Add>[]): KeyView {
  const elements = (type: TypeName): string[] =>
    [
      ...new Set(live.flatMap(({ what }) => (isElement(what) && what.type === type ? [what.element] : []))),
    ].sort()
  const ttl = live.flatMap(({ what }) => (what.kind === 'ttl' ? [what.expireAtMs] : []))
  const hash: Record<string, string> = {}
  const fieldExpiry: Record<string, number> = {}
  for (const field of elements('hash')) {
    hash[field] = shownText(live, 'hash', field)
    const times = live.flatMap(({ what }) =>
      what.kind === 'fieldTtl' && what.element === field ? [what.expireAtMs] : [],
    )
    if (times.length > 0 && !times.includes(never)) fieldExpiry[field] = Math.max(...times)
  }
  let type: TypeName | 'none' = 'none'
  let greatest = 0
  for (const { operation, what } of live) {
    if (!isData(what) || operation.stamp <= greatest) continue
    greatest = operation.stamp
    type = what.type
  }
  return {
    type,
    // TTL writes of a key that doesn't exist don't show (and may be forgotten).
    expireAtMs: ttl.length === 0 || type === 'none' ? never : Math.max(...ttl),
    string: elements('string').length === 0 ? undefined : shownText(live, 'string', ''),
    hash,
    fieldExpiry,
    set: elements('set'),
    zset: elements('zset')
      .map((member): [string, number] => [member, shownScore(live, member)])
      .sort(byScore),
    hll: registersOf(live),
    list: elements('list')
      .map((name) => ({ name, text: shownText(live, 'list', name) }))
      .sort((a, b) => comparePaths(pathNamed(a.name), pathNamed(b.name))),
    stream: streamOf(live.filter(isOfStream), (a, b) => hasSeen(a.operation.context, b.operation.stamp)),
  }
}

const isOfStream = (told: Told<Add>): told is Told<StreamAdd> =>
  ['entry', 'marks', 'deletion', 'group', 'acked'].includes(told.what.kind)

const isData = (add: Add): add is Exclude<Add, { kind: 'ttl' | 'fieldTtl' | 'deletion' | 'acked' }> =>
  add.kind !== 'ttl' && add.kind !== 'fieldTtl' && add.kind !== 'deletion' && add.kind !== 'acked'

/** Of the types that consist of elements with names. */
const isElement = (add: Add): add is Exclude<Add, StreamAdd | { kind: 'ttl' | 'fieldTtl' }> =>
  isData(add) && add.type !== 'stream'

function registersOf(live: Told<Add>[]): KeyView['hll'] {
  const ranks = new Map<number, number>()
  for (const { what } of live)
    if (what.kind === 'register')
      ranks.set(Number(what.element), Math.max(what.rank, ranks.get(Number(what.element)) ?? 0))
  if (ranks.size === 0) return undefined
  return [...ranks].filter(([, rank]) => rank > 0).sort(([a], [b]) => a - b)
}

/** Whether nothing of the key is to be seen any more: its own time has passed, or that of every field. */
export function hasExpired(view: KeyView, nowMs: number): boolean {
  if (view.type === 'none') return false
  return nowMs > view.expireAtMs || (view.type === 'hash' && unexpiredFields(view, nowMs).length === 0)
}

export const unexpiredFields = ({ hash, fieldExpiry }: KeyView, nowMs: number): string[] =>
  Object.keys(hash).filter((field) => nowMs <= (fieldExpiry[field] ?? never))

/** The last write, and on top of a number (or nothing) all increments. */
function shownText(live: Told<Add>[], type: TypeName, element: string): string {
  let text: string | undefined
  let last = 0
  let counting = false
  let sum = 0
  for (const { operation, what } of live) {
    if (what.kind === 'write' && what.type === type && what.element === element && operation.stamp > last) {
      last = operation.stamp
      text = what.text
    } else if (what.kind === 'increment' && what.type === type && what.element === element) {
      counting = true
      sum += what.amount
    }
  }
  if (text !== undefined && !isNumber(text)) return text
  if (!counting) return text ?? ''
  return String(Number(text ?? '0') + sum)
}

/**
 * All increments on top of a write: the greatest of concurrent ones if all were written with GT, the least if all with LT, else
 * the last. The generators make numbers that doubles hold exactly.
 */
function shownScore(live: Told<Add>[], member: string): number {
  const writes: { stamp: Stamp; score: number; tag: ScoreTag }[] = []
  let sum = 0
  for (const { operation, what } of live) {
    if (!isElement(what) || what.type !== 'zset' || what.element !== member) continue
    if (what.kind === 'increment') sum += what.amount
    else if (what.kind === 'score') writes.push({ stamp: operation.stamp, score: what.score, tag: what.tag })
  }
  if (writes.length === 0) return sum
  const scores = writes.map(({ score }) => score)
  if (writes.every(({ tag }) => tag === 'GT')) return Math.max(...scores) + sum
  if (writes.every(({ tag }) => tag === 'LT')) return Math.min(...scores) + sum
  const last = Math.max(...writes.map(({ stamp }) => stamp))
  return (writes.find(({ stamp }) => stamp === last)?.score ?? 0) + sum
}

const byScore = (a: [string, number], b: [string, number]): number => a[1] - b[1] || (a[0] < b[0] ? -1 : 1)

/** The generators make numbers that doubles hold exactly, so plain arithmetic serves here. */
export const isNumber = (text: string): boolean => /^-?[0-9]+(\.[0-9]+)?$/.test(text)
