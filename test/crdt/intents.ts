/**
 * Commands as the random tests give them: run on the production code as a handler would, and told to the history as what
 * they mean. Which of the two is right is the test's question, so the meaning is derived from the history's own view of
 * the replica, never from the replica.
 */
import { slotOfKey } from '#protocol/slots/crc16.ts'
import type { Origin, Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import { amountFromInteger, parseAmount } from '#server/crdt/amount.ts'
import { ranked } from '#server/crdt/elementHash.ts'
import { HyperLogLog, rising } from '#server/crdt/hyperLogLog.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Transaction } from '#server/store/transaction.ts'
import { type ListIntent, ofList, ofScores, removedScoreMax } from './elementMeanings.ts'
import {
  type Add,
  type History,
  hasExpired,
  isNumber,
  type KeyView,
  type Kill,
  type ScoreTag,
  type TypeName,
  typeNames,
  unexpiredFields,
} from './history.ts'
import { isStrictlyBetween, nameOf, type Path, pathNamed, pathOf, pushedPath } from './listOrder.ts'
import { isOfStream, known, ofStream, type StreamIntent } from './streamMeaning.ts'
import { runOnStream } from './streamRun.ts'
import { patched, runOnString, type StringIntent } from './strings.ts'

export type Intent =
  | StringIntent
  | { command: 'increment'; key: string; amount: number }
  | { command: 'delete'; key: string }
  | { command: 'expire'; key: string; expireAtMs: number }
  /** The DEL of an expired key, sent by its owner or, when that is silent, by anybody. */
  | { command: 'deleteExpired'; key: string }
  | { command: 'flush'; key: string }
  | { command: 'hashSet'; key: string; field: string; text: string }
  | { command: 'hashIncrement'; key: string; field: string; amount: number }
  | { command: 'hashDelete'; key: string; fields: string[] }
  | { command: 'hashExpire'; key: string; fields: string[]; expireAtMs: number }
  /** The HDEL of expired fields, as `deleteExpired`. */
  | { command: 'hashDeleteExpired'; key: string; fields: string[] }
  | { command: 'setAdd'; key: string; members: string[] }
  | { command: 'setRemove'; key: string; members: string[] }
  | { command: 'zsetAdd'; key: string; member: string; score: number; tag: ScoreTag }
  | { command: 'zsetIncrement'; key: string; member: string; amount: number }
  | { command: 'zsetRemove'; key: string; members: string[] }
  /** ZREMRANGEBYSCORE from 0 to `removedScoreMax`. */
  | { command: 'zsetRemoveRange'; key: string }
  | { command: 'hllAdd'; key: string; values: [register: number, rank: number][] }
  /** SET to the bytes of a HyperLogLog, with KEEPTTL or without. */
  | { command: 'hllSet'; key: string; values: [register: number, rank: number][]; keep: boolean }
  | ListIntent
  | StreamIntent

type ElementIntent = Exclude<
  Extract<Intent, { command: `hash${string}` | `setAdd` | `setRemove` | `zset${string}` | 'hllAdd' }>,
  { command: 'hashDeleteExpired' }
>

export interface Meaning {
  adds: Add[]
  kills: Kill[]
  /** What the write must leave as it was: rule D5. */
  keepsTtl: boolean
  /** What the new elements of a list are called, known when the operation has its stamp. */
  pushes?: { side: 'left' | 'right'; values: string[] }
  inserts?: { index: number; left: string | undefined; right: string | undefined; text: string }
}

const never = Number.POSITIVE_INFINITY

/** What the replica `origin`, which has seen `seen`, does on the intent at `nowMs`; undefined: a handler would refuse it, or do nothing. */
export class Meanings {
  readonly #history: History
  readonly #keys: readonly string[]

  constructor(history: History, keys: readonly string[]) {
    this.#history = history
    this.#keys = keys
  }

  of(intent: Intent, seen: VersionVector, nowMs: number, origin: Origin): Meaning | undefined {
    const view = this.#history.view(intent.key, seen)
    const expired = hasExpired(view, nowMs)
    const visible = expired ? 'none' : view.type
    const meaning: Meaning = { adds: [], kills: [], keepsTtl: false }
    const { key } = intent
    if (isOfStream(intent)) {
      if (visible !== 'none' && visible !== 'stream') return undefined
      const shown = visible === 'none' ? undefined : view.stream
      if (!ofStream(intent, meaning, shown, known(this.#history, shown, key, seen, origin))) return undefined
      this.#open(meaning, key, 'stream', view, expired, seen)
      return meaning
    }
    switch (intent.command) {
      case 'set':
        this.#setText(meaning, intent, never, view, expired)
        break
      case 'setExpiring':
        this.#setText(meaning, intent, intent.expireAtMs, view, expired)
        break
      case 'setKeepTtl':
        if (visible === 'none' || view.expireAtMs === never)
          this.#setText(meaning, intent, never, view, expired)
        else {
          meaning.kills.push(...killLive(key, view))
          meaning.adds.push({ kind: 'write', key, type: 'string', element: '', text: intent.text })
          meaning.keepsTtl = true
        }
        break
      case 'patch': {
        if (visible !== 'none' && visible !== 'string') return undefined
        const text = patched(visible === 'none' ? '' : (view.string ?? ''), intent)
        return this.of({ command: 'setKeepTtl', key, text }, seen, nowMs, origin)
      }
      case 'hllSet':
        if (visible !== 'hll') {
          const command = intent.keep ? 'setKeepTtl' : 'set'
          return this.of({ command, key, text: bytesOf(intent.values) }, seen, nowMs, origin)
        }
        if (intent.keep) this.#open(meaning, key, 'hll', view, expired, seen)
        else killKey(meaning, key, view)
        // What shows goes as well.
        meaning.kills.push(...killLive(key, view))
        addRegisters(meaning, key, intent.values)
        break
      case 'increment':
        if (!isCountable(visible, 'string', view.string)) return undefined
        this.#open(meaning, key, 'string', view, expired, seen)
        meaning.adds.push({ kind: 'increment', key, type: 'string', element: '', amount: intent.amount })
        break
      case 'delete':
        if (visible === 'none') return undefined
        killKey(meaning, key, view)
        break
      case 'deleteExpired':
        if (!expired) return undefined
        killKey(meaning, key, view)
        break
      case 'flush':
        for (const other of this.#keys)
          if (slotOfKey(other) === slotOfKey(key)) killKey(meaning, other, this.#history.view(other, seen))
        if (!this.#anyKey(key, seen)) return undefined
        break
      case 'hashDeleteExpired':
        if (!this.#deleteExpiredFields(meaning, key, intent.fields, view, nowMs)) return undefined
        this.#open(meaning, key, 'hash', view, false, seen)
        break
      case 'expire':
        if (visible === 'none') return undefined
        meaning.kills.push({ kind: 'ttl', key })
        meaning.adds.push({ kind: 'ttl', key, expireAtMs: intent.expireAtMs, implied: false })
        break
      case 'listPush':
      case 'listPop':
      case 'listSet':
      case 'listInsert':
      case 'listRemove':
      case 'listTrim':
        if (visible !== 'none' && visible !== 'list') return undefined
        if (!ofList(intent, meaning, visible === 'list' ? view.list : [])) return undefined
        this.#open(meaning, key, 'list', view, expired, seen)
        break
      default:
        return this.#ofElements(intent, meaning, view, seen, nowMs) ? meaning : undefined
    }
    return meaning
  }

  /**
   * Completes the meaning of an operation with the names of the elements that it has made. Of an insertion it takes the path
   * that the replica has chosen, if only it is a new one and lies between the neighbours (the rule is for `listId.test.ts`).
   */
  name(meaning: Meaning, key: string, stamp: Stamp, made: (index: number) => readonly number[]): void {
    const write = (path: Path, text: string): void => {
      const name = nameOf(path)
      if (this.#history.hasElement(key, name)) throw new Error(`path ${name} is used twice`)
      meaning.adds.push({ kind: 'write', key, type: 'list', element: name, text })
    }
    const { pushes, inserts } = meaning
    for (const [number, value] of pushes?.values.entries() ?? [])
      write(pushedPath(pushes?.side ?? 'right', stamp, number), value)
    if (inserts === undefined) return
    const path = pathOf(made(inserts.index))
    const [left, right] = [inserts.left, inserts.right].map((name) =>
      name === undefined ? undefined : pathNamed(name),
    )
    if (!isStrictlyBetween(left, path, right))
      throw new Error(`${nameOf(path)} is not between its neighbours`)
    write(path, inserts.text)
  }

  #ofElements(
    intent: ElementIntent,
    meaning: Meaning,
    view: KeyView,
    seen: VersionVector,
    nowMs: number,
  ): boolean {
    const { key } = intent
    const expired = hasExpired(view, nowMs)
    const type = typeNames.find((name) => intent.command.startsWith(name)) as TypeName
    const visible = expired ? 'none' : view.type
    const becomesOne = type === 'hll' && visible === 'string' && speltBy(view.string ?? '') !== undefined
    if (visible !== 'none' && visible !== type && !becomesOne) return false
    switch (intent.command) {
      case 'hashSet':
        meaning.kills.push({ kind: 'state', key, type: 'hash', element: intent.field })
        meaning.adds.push(
          { kind: 'write', key, type: 'hash', element: intent.field, text: intent.text },
          { kind: 'fieldTtl', key, type: 'hash', element: intent.field, expireAtMs: never },
        )
        break
      case 'hashIncrement': {
        const { field, amount } = intent
        const shows = visible === 'hash' && unexpiredFields(view, nowMs).includes(field)
        if (shows && !isCountable(visible, 'hash', view.hash[field])) return false
        if (!shows) meaning.kills.push({ kind: 'fieldTtl', key, element: field })
        if (view.hash[field] !== undefined && !shows)
          meaning.kills.push({ kind: 'state', key, type: 'hash', element: field })
        meaning.adds.push({ kind: 'increment', key, type: 'hash', element: field, amount })
        break
      }
      case 'hashDelete': {
        const shown = visible === 'hash' ? unexpiredFields(view, nowMs) : []
        const present = intent.fields.filter((field) => shown.includes(field))
        if (present.length === 0) return false
        for (const element of present) meaning.kills.push({ kind: 'state', key, type: 'hash', element })
        break
      }
      case 'hashExpire': {
        const shown = visible === 'hash' ? unexpiredFields(view, nowMs) : []
        if (!intent.fields.every((field) => shown.includes(field))) return false
        for (const element of intent.fields) {
          meaning.kills.push({ kind: 'fieldTtl', key, element })
          meaning.adds.push({ kind: 'fieldTtl', key, type: 'hash', element, expireAtMs: intent.expireAtMs })
        }
        break
      }
      case 'setAdd':
        for (const element of intent.members) {
          meaning.kills.push({ kind: 'state', key, type: 'set', element })
          meaning.adds.push({ kind: 'member', key, type: 'set', element })
        }
        break
      case 'setRemove': {
        const present = intent.members.filter((member) => visible === 'set' && view.set.includes(member))
        if (present.length === 0) return false
        for (const element of present) meaning.kills.push({ kind: 'state', key, type: 'set', element })
        break
      }
      case 'hllAdd': {
        const shown = visible === 'hll' ? view.hll : becomesOne ? speltBy(view.string ?? '') : undefined
        const ranks = new Map(shown)
        const risen = intent.values.filter(([register, rank]) => {
          if (rank <= (ranks.get(register) ?? 0)) return false
          ranks.set(register, rank)
          return true
        })
        if (shown !== undefined && risen.length === 0) return false
        if (visible !== 'hll') addRegisters(meaning, key, shown ?? [])
        if (visible === 'hll') addRanks(meaning, key, risen)
        else addRanks(meaning, key, intent.values)
        break
      }
      default:
        if (!ofScores(intent, meaning, visible === 'zset' ? view.zset : [])) return false
    }
    this.#open(meaning, key, type, view, expired, seen)
    return true
  }

  /** Of the hash that shows. */
  #deleteExpiredFields(
    meaning: Meaning,
    key: string,
    fields: readonly string[],
    view: KeyView,
    nowMs: number,
  ): boolean {
    const shown = unexpiredFields(view, nowMs)
    const isExpired = (field: string) => view.hash[field] !== undefined && !shown.includes(field)
    if (view.type !== 'hash' || fields.length === 0 || !fields.every(isExpired)) return false
    for (const element of fields) meaning.kills.push({ kind: 'state', key, type: 'hash', element })
    return true
  }

  #anyKey(key: string, seen: VersionVector): boolean {
    return this.#keys.some(
      (other) => slotOfKey(other) === slotOfKey(key) && this.#history.view(other, seen).type !== 'none',
    )
  }

  #setText(
    meaning: Meaning,
    intent: { key: string; text: string },
    expireAtMs: number,
    view: KeyView,
    expired: boolean,
  ): void {
    const { key, text } = intent
    if (expired) killKey(meaning, key, view)
    else meaning.kills.push(...killLive(key, view), { kind: 'ttl', key })
    meaning.adds.push({ kind: 'write', key, type: 'string', element: '', text })
    meaning.adds.push({ kind: 'ttl', key, expireAtMs, implied: expireAtMs === never })
  }

  /** What a write of one type does besides: DEL of what has expired, FRESH, cleanup of what is hidden (rules A4, B2, D5). */
  #open(
    meaning: Meaning,
    key: string,
    type: TypeName,
    view: KeyView,
    expired: boolean,
    seen: VersionVector,
  ): void {
    if (expired) killKey(meaning, key, view)
    else if (view.type === 'none') meaning.kills.push({ kind: 'ttl', key })
    else {
      meaning.keepsTtl = true
      const others = killLive(key, view).filter((kill) =>
        kill.kind === 'state' ? kill.type !== type : type !== 'stream',
      )
      meaning.kills.push(...others)
      const losesString = type !== 'string' && view.string !== undefined
      if (losesString && view.expireAtMs === never && this.#history.hasExplicitTtl(key, seen)) {
        meaning.kills.push({ kind: 'ttl', key })
        meaning.adds.push({ kind: 'ttl', key, expireAtMs: never, implied: false })
      }
    }
  }
}

type Ranks = readonly (readonly [register: number, rank: number])[]

/** Also without registers it is one. */
function addRegisters(meaning: Meaning, key: string, ranks: Ranks): void {
  addRanks(meaning, key, [[0, 0], ...ranks])
}

function addRanks(meaning: Meaning, key: string, ranks: Ranks): void {
  for (const [register, rank] of ranks)
    meaning.adds.push({ kind: 'register', key, type: 'hll', element: String(register), rank })
}

function bytesOf(ranks: Ranks): string {
  const registers = HyperLogLog.empty()
  registers.raise(ranks.map(([register, rank]) => ranked(register, rank)))
  return registers.text
}

function speltBy(text: string): [number, number][] | undefined {
  const ranks: [number, number][] = []
  HyperLogLog.of(text)?.eachRank((register, rank) => ranks.push([register, rank]))
  return HyperLogLog.isSpeltBy(text) ? ranks : undefined
}

/** Of a hash without fields, a write of another type doesn't end the TTLs that a field under way may still need. */
const killLive = (key: string, view: KeyView): Kill[] =>
  killTypes(key, view).filter(
    (kill) => kill.kind !== 'state' || kill.type !== 'hash' || Object.keys(view.hash).length > 0,
  )

/**
 * A delete of a HyperLogLog takes what it doesn't know of, so it is one only where there is something to delete. So do groups end
 * only where there is a stream.
 */
const killTypes = (key: string, view: KeyView): Kill[] => [
  ...typeNames
    .filter((type) => type !== 'hll' || view.hll !== undefined)
    .map((type): Kill => ({ kind: 'state', key, type })),
  ...(view.stream === undefined ? [] : [{ kind: 'groups', key } as const]),
]

function killKey(meaning: Meaning, key: string, view: KeyView): void {
  meaning.kills.push(...killTypes(key, view), { kind: 'ttl', key })
}

function isCountable(visible: TypeName | 'none', type: TypeName, text: string | undefined): boolean {
  if (visible === 'none') return true
  return visible === type && (text === undefined || isNumber(text))
}

/** Runs the intent as a handler does after its checks; returns the reply that the command would give, if it gives the value. */
export function run(db: Keyspace, write: Transaction, intent: Intent): string | undefined {
  switch (intent.command) {
    case 'set':
    case 'setKeepTtl':
    case 'setExpiring':
    case 'patch':
      return runOnString(db, write, intent)
    case 'increment':
      return write.increment(intent.key, amountOf(intent.amount))
    case 'delete':
    case 'deleteExpired':
      write.delete(intent.key)
      return undefined
    case 'expire':
      write.expire(intent.key, intent.expireAtMs)
      return undefined
    case 'flush':
      write.flushSlot(slotOfKey(intent.key))
      return undefined
    case 'hashSet':
      write.hashSet(intent.key, intent.field, intent.text)
      return undefined
    case 'hashIncrement':
      return write.hashIncrement(intent.key, intent.field, amountOf(intent.amount))
    case 'hashDelete':
      write.hashDelete(intent.key, intent.fields)
      return undefined
    case 'hashExpire':
      write.hashExpire(intent.key, intent.fields, intent.expireAtMs)
      return undefined
    case 'hashDeleteExpired':
      write.deleteDue(intent.key)
      return undefined
    case 'setAdd':
      write.setAdd(intent.key, intent.members)
      return undefined
    case 'setRemove':
      write.setRemove(intent.key, intent.members)
      return undefined
    case 'zsetAdd':
      write.zsetAdd(intent.key, intent.member, intent.score, intent.tag)
      return undefined
    case 'zsetIncrement':
      return String(write.zsetIncrement(intent.key, intent.member, intent.amount))
    case 'zsetRemove':
      write.zsetRemove(intent.key, intent.members)
      return undefined
    case 'zsetRemoveRange': {
      const sortedSet = db.sortedSet(intent.key)
      const first = sortedSet?.countBelow(0, false) ?? 0
      const end = sortedSet?.countBelow(removedScoreMax, true) ?? 0
      write.zsetRemove(
        intent.key,
        [...(sortedSet?.range(first, end) ?? [])].map(([member]) => member),
      )
      return undefined
    }
    case 'hllAdd': {
      const values = intent.values.map(([register, rank]) => ranked(register, rank))
      write.hllRaise(intent.key, rising(db.hyperLogLog(intent.key), values))
      return undefined
    }
    case 'hllSet':
      write.setString(intent.key, bytesOf(intent.values), { kind: intent.keep ? 'keep' : 'clear' })
      return undefined
    case 'listPush':
      return String(write.listPush(intent.key, intent.side, intent.values))
    case 'listPop':
      return write.listPop(intent.key, intent.side, intent.count).join()
    case 'listSet':
      write.listSet(intent.key, intent.index, intent.text)
      return undefined
    case 'listInsert':
      return String(write.listInsert(intent.key, intent.index, intent.text))
    case 'listRemove':
      write.listRemove(intent.key, intent.indexes)
      return undefined
    case 'listTrim':
      write.listTrim(intent.key, intent.start, intent.end)
      return undefined
    default:
      return runOnStream(db, write, intent)
  }
}

const amountOf = (value: number) =>
  Number.isInteger(value) ? amountFromInteger(value) : (parseAmount(String(value)) ?? 0)

/** What `run` must return, by what shows before and after it. */
export function replyOf(intent: Intent, before: KeyView, after: KeyView): string | undefined {
  switch (intent.command) {
    case 'hashIncrement':
      return after.hash[intent.field]
    case 'zsetIncrement':
      return String(after.zset.find(([member]) => member === intent.member)?.[1])
    case 'listPush':
    case 'listInsert':
      return String(after.list.length)
    case 'listPop': {
      const list = intent.side === 'left' ? before.list : [...before.list].reverse()
      return list
        .slice(0, intent.count)
        .map(({ text }) => text)
        .join()
    }
    case 'streamDelete':
    case 'streamTrim':
      return String((before.stream?.entries.length ?? 0) - (after.stream?.entries.length ?? 0))
    default:
      return after.string
  }
}
