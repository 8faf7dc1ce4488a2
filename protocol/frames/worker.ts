/**
 * What the proxy processes of a database at one node (its workers) ask each other, so that a client sees one server whichever
 * of them it is connected to: the JSON of `admin` and `adminReply` frames. Both ends are of one node and one release.
 */
import { isJsonObject, type JsonObject } from '#runtime/jsonObject.ts'

export type WorkerQuestion =
  /** Answered with the news of who is asked. The first question on every link, and sent again when something changes. */
  | { what: 'news'; news: WorkerNews }
  | { what: 'clients'; choice: ClientChoice }
  | { what: 'kill'; choice: ClientChoice }
  | { what: 'figures' }
  | { what: 'resetStats' }

export type WorkerAnswer<Question extends WorkerQuestion['what']> = {
  news: { news: WorkerNews }
  clients: { clients: ListedClient[] }
  kill: { killed: number }
  figures: { figures: WorkerFigures }
  resetStats: Readonly<Record<string, never>>
}[Question]

/** What a worker tells of itself without being asked, and what all are to agree on. Taking the same news twice changes nothing. */
export interface WorkerNews {
  clients: number
  /** Whether it takes connections on the database's port. */
  isListening: boolean
  ids: ReservedIds
  pause: SharedPause
  /** What CONFIG SET has changed. */
  settings: Readonly<Record<string, SharedSetting>>
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

export interface SharedSetting extends Version {
  value: number
  /** What the configuration said when it was changed: another configuration ends the change. */
  over: number
}

/** What a client must be to be listed or killed; absent: anything. */
export interface ClientChoice {
  ids?: readonly number[]
  /** `address:port`. */
  address?: string
  localAddress?: string
  type?: string
  ageSeconds?: number
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
  inputBytesMax: number
  unreadBytesMax: number
  connectionsReceived: number
  connectionsRejected: number
  commands: number
  inputBytes: number
  outputBytes: number
  commandsPerSecond: number
  inputBytesPerSecond: number
  outputBytesPerSecond: number
  residentBytes: number
  cpuUserMs: number
  cpuSystemMs: number
  /** Of commands that the worker answered or refused itself, by lower-case name. */
  commandCalls: Readonly<Record<string, { calls: number; rejectedCalls: number }>>
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
    case 'figures':
    case 'resetStats':
      return { what }
    default:
      return `unknown question ${String(what).slice(0, 64)}`
  }
}

/** Null: not what a worker tells. */
export function readWorkerNews(value: unknown): WorkerNews | null {
  if (!isJsonObject(value)) return null
  const { clients, isListening, ids, pause, settings } = value
  if (!isCount(clients) || typeof isListening !== 'boolean' || !isJsonObject(ids)) return null
  const { step, upTo } = ids
  if (!isCount(step) || !Array.isArray(upTo) || !upTo.every(isCount)) return null
  if (!isJsonObject(pause) || !isVersion(pause) || !isJsonObject(settings)) return null
  const { mode, untilWallMs, count, worker } = pause
  if ((mode !== 'none' && mode !== 'write' && mode !== 'all') || typeof untilWallMs !== 'number') return null
  const read: Record<string, SharedSetting> = {}
  for (const [name, entry] of Object.entries(settings)) {
    if (!isJsonObject(entry) || !isVersion(entry) || !isCount(entry['value']) || !isCount(entry['over']))
      return null
    const { value: set, over } = entry
    read[name] = { count: entry.count, worker: entry.worker, value: set, over }
  }
  return {
    clients,
    isListening,
    ids: { step, upTo },
    pause: { mode, untilWallMs, count, worker },
    settings: read,
  }
}

function choiceOf(value: unknown): ClientChoice | null {
  if (!isJsonObject(value)) return null
  const { ids, address, localAddress, type, ageSeconds, exceptId } = value
  if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => typeof id === 'number'))) return null
  for (const text of [address, localAddress, type])
    if (text !== undefined && typeof text !== 'string') return null
  for (const figure of [ageSeconds, exceptId])
    if (figure !== undefined && typeof figure !== 'number') return null
  return value
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isVersion = (value: JsonObject): value is JsonObject & Version =>
  isCount(value['count']) && isCount(value['worker'])
