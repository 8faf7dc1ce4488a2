/**
 * What the proxy processes of a database at one node (its workers) ask each other, so that a client sees one server whichever
 * of them it is connected to: the JSON of `admin` and `adminReply` frames. Both ends are of one node and one release.
 */

import { areTexts, isCount, isJsonObject, type JsonObject } from '#runtime/jsonObject.ts'
import type { AclLogEntry } from './aclLog.ts'
import type { LatencyAnswer } from './latency.ts'
import type { SlowlogEntry } from './slowlog.ts'

export type WorkerQuestion =
  /** Answered with the news of who is asked. The first question on every link, and sent again when something changes. */
  | { what: 'news'; news: WorkerNews }
  | { what: 'clients'; choice: ClientChoice }
  | { what: 'kill'; choice: ClientChoice }
  | { what: 'figures'; histograms?: boolean }
  | { what: 'resetStats' }
  /** Answered when the worker knows the list of this version, or has waited for it in vain. */
  | { what: 'users'; version: number }
  | { what: 'libraries'; version: number }
  /** For one of its clients (CLIENT TRACKING with REDIRECT). */
  | { what: 'invalidate'; client: number; invalidations: readonly Invalidation[] }
  | { what: 'aclLog' }
  | { what: 'resetAclLog' }
  | { what: 'slowlog' }
  | { what: 'resetSlowlog' }
  | { what: 'latency' }
  | { what: 'resetLatency'; events: readonly string[] }
  /** Lines for clients that monitor. */
  | { what: 'monitored'; lines: string }

/** Lists that the agent keeps, and all workers know. */
export type KeptListName = 'users' | 'libraries'

/** Keys that have changed; null: all may have. */
export type Invalidation = readonly string[] | null

export type WorkerAnswer<Question extends WorkerQuestion['what']> = {
  news: { news: WorkerNews }
  clients: { clients: ListedClient[] }
  kill: { killed: number }
  figures: { figures: WorkerFigures }
  resetStats: Readonly<Record<string, never>>
  users: { isInForce: boolean }
  libraries: { isInForce: boolean }
  /** Whether there is such a client. */
  invalidate: { found: boolean }
  aclLog: { entries: readonly AclLogEntry[] }
  resetAclLog: Readonly<Record<string, never>>
  slowlog: { entries: readonly SlowlogEntry[] }
  resetSlowlog: Readonly<Record<string, never>>
  latency: LatencyAnswer
  resetLatency: { reset: readonly string[] }
  monitored: Readonly<Record<string, never>>
}[Question]

/** What a worker tells of itself without being asked, and what all are to agree on. Taking the same news twice changes nothing. */
export interface WorkerNews {
  clients: number
  /** Clients that monitor. */
  monitors: number
  /** Whether it takes connections on the database's port. */
  isListening: boolean
  ids: ReservedIds
  pause: SharedPause
  /** What CONFIG SET has changed, of workers and of shards. */
  settings: Readonly<Record<string, SharedSetting>>
  shardSettings: Readonly<Record<string, SharedSetting>>
}

/** Client ids that were given, or may be soon. */
export interface ReservedIds {
  /** Between two ids of the teller; 0: it was not always the same. */
  step: number
  /** By worker, of all that the teller has heard of: no id above has been given by it. */
  upTo: readonly number[]
}

/**
 * Of two versions all workers keep the same: the greater count, then the greater worker. A change takes the next
 * count above all that its worker has seen.
 */
export interface Version {
  count: number
  worker: number
}

export interface SharedPause extends Version {
  mode: 'none' | 'write' | 'all'
  /** By the wall clock of the machine, which all workers share. */
  untilWallMs: number
}

export type SettingValue = number | string

export interface SharedSetting extends Version {
  value: SettingValue
  /** What the configuration said when it was changed: another configuration ends the change. */
  over: SettingValue
}

/** What a client must be to be listed or killed; absent: anything. */
export interface ClientChoice {
  ids?: readonly number[]
  /** `address:port`. */
  address?: string
  localAddress?: string
  type?: string
  ageSeconds?: number
  /** Name of the user that it is logged in as. */
  user?: string
  /** The id of who asks, when it is to be left out. */
  exceptId?: number
}

export interface ListedClient {
  id: number
  /** As CLIENT LIST shows it. */
  line: string
}

export interface WorkerFigures {
  clients: number
  trackingClients: number
  inputBytesMax: number
  unreadBytesMax: number
  connectionsReceived: number
  connectionsRejected: number
  tlsClients: number
  tlsConnectionsReceived: number
  tlsHandshakesFailed: number
  commands: number
  /** Clients that wait for other clusters, and those of them that wait for ever. */
  waitingClients: number
  waitingForEver: number
  inputBytes: number
  outputBytes: number
  commandsPerSecond: number
  inputBytesPerSecond: number
  outputBytesPerSecond: number
  residentBytes: number
  cpuUserMs: number
  cpuSystemMs: number
  /** By cluster id, what was sent to syncers of other clusters: on the link, and before compression. */
  sentTo: Readonly<Record<number, { bytes: number; rawBytes: number }>>
  /** Of commands that the worker answered or refused itself, by lower-case name. */
  commandCalls: Readonly<
    Record<string, { calls: number; rejectedCalls: number; failedCalls: number; microseconds: number }>
  >
  /** Error replies, by their code. */
  errors: Readonly<Record<string, number>>
  /** Of the same commands, when they were asked for. */
  histograms: Readonly<Record<string, readonly number[]>>
}

/** What a frame asks, or an error text. What acts on its own (news, kills) is checked field by field. */
export function readWorkerQuestion(value: unknown): WorkerQuestion | string {
  if (!isJsonObject(value)) return 'a question that is no JSON object'
  const { what } = value
  switch (what) {
    case 'news': {
      const news = readWorkerNews(value['news'])
      return news === null ? 'news that lack their fields' : { what, news }
    }
    case 'clients':
    case 'kill': {
      const choice = choiceOf(value['choice'])
      return choice === null ? 'a choice of clients that makes no sense' : { what, choice }
    }
    case 'users':
    case 'libraries': {
      const { version } = value
      return isCount(version) ? { what, version } : 'a version that is none'
    }
    case 'resetLatency': {
      const { events } = value
      return areTexts(events) ? { what, events } : 'names of events that are none'
    }
    case 'monitored': {
      const { lines } = value
      return typeof lines === 'string' ? { what, lines } : 'lines that are none'
    }
    case 'invalidate': {
      const { client, invalidations } = value
      return isCount(client) && Array.isArray(invalidations) && invalidations.every(isInvalidation)
        ? { what, client, invalidations }
        : 'an invalidation that makes no sense'
    }
    case 'figures':
      return { what, histograms: value['histograms'] === true }
    case 'slowlog':
    case 'resetSlowlog':
    case 'latency':
    case 'resetStats':
    case 'aclLog':
    case 'resetAclLog':
      return { what }
    default:
      return `unknown question ${String(what).slice(0, 64)}`
  }
}

/** Null: not what a worker tells. */
export function readWorkerNews(value: unknown): WorkerNews | null {
  if (!isJsonObject(value)) return null
  const { clients, monitors, isListening, ids, pause } = value
  if (!isCount(clients) || !isCount(monitors) || typeof isListening !== 'boolean' || !isJsonObject(ids))
    return null
  const { step, upTo } = ids
  if (!isCount(step) || !Array.isArray(upTo) || !upTo.every(isCount)) return null
  if (!isJsonObject(pause) || !isVersion(pause)) return null
  const { mode, untilWallMs, count, worker } = pause
  if ((mode !== 'none' && mode !== 'write' && mode !== 'all') || typeof untilWallMs !== 'number') return null
  const settings = readSharedSettings(value['settings'])
  const shardSettings = readSharedSettings(value['shardSettings'])
  if (settings === null || shardSettings === null) return null
  return {
    clients,
    monitors,
    isListening,
    ids: { step, upTo },
    pause: { mode, untilWallMs, count, worker },
    settings,
    shardSettings,
  }
}

function readSharedSettings(value: unknown): Record<string, SharedSetting> | null {
  if (!isJsonObject(value)) return null
  const settings: Record<string, SharedSetting> = {}
  for (const [name, entry] of Object.entries(value)) {
    if (!isJsonObject(entry) || !isVersion(entry)) return null
    const { value: set, over } = entry
    if (!isSettingValue(set) || !isSettingValue(over)) return null
    settings[name] = { count: entry.count, worker: entry.worker, value: set, over }
  }
  return settings
}

function choiceOf(value: unknown): ClientChoice | null {
  if (!isJsonObject(value)) return null
  const { ids, address, localAddress, type, user, ageSeconds, exceptId } = value
  if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => typeof id === 'number'))) return null
  for (const text of [address, localAddress, type, user])
    if (text !== undefined && typeof text !== 'string') return null
  for (const figure of [ageSeconds, exceptId])
    if (figure !== undefined && typeof figure !== 'number') return null
  return value
}

const isInvalidation = (value: unknown): value is Invalidation => value === null || areTexts(value)
/** Some may be negative. */
const isSettingValue = (value: unknown): value is SettingValue =>
  typeof value === 'string' || Number.isSafeInteger(value)
const isVersion = (value: JsonObject): value is JsonObject & Version =>
  isCount(value['count']) && isCount(value['worker'])
