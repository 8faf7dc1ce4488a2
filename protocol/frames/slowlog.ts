/** Slow requests, as shards tell proxies of them, and as the workers of a node tell each other. */
import { areTexts, isJsonObject } from '#runtime/jsonObject.ts'

/** Of an entry, as in Redis. */
const argumentsMax = 32
const argumentBytesMax = 128

const timesEachBelowUs = 1000

/** When so little is slow already, every command is timed by itself, those too that can't take long. -1: nothing is slow. */
export const timesEach = (slowerThanUs: number): boolean =>
  slowerThanUs >= 0 && slowerThanUs < timesEachBelowUs

/** A request as a scanner shows it. */
interface ScannedRequest {
  readonly argumentCount: number
  start(index: number): number
  endOf(index: number): number
  text(index: number): string
}

export interface SlowRequest {
  /** When it ended, by the wall clock of the node. */
  wallMs: number
  durationUs: number
  arguments: readonly string[]
}

export interface SlowlogEntry extends SlowRequest {
  id: number
  /** Address and name of who asked. */
  client: string
  clientName: string
}

/** The arguments of a request, cut as Redis cuts them. */
export function cutArguments(request: ScannedRequest): string[] {
  const { argumentCount } = request
  const whole = argumentCount > argumentsMax ? argumentsMax - 1 : argumentCount
  const cut: string[] = []
  for (let i = 0; i < whole; i++) {
    const more = request.endOf(i) - request.start(i) - argumentBytesMax
    if (more <= 0) cut.push(request.text(i))
    else cut.push(`${request.text(i).slice(0, argumentBytesMax)}... (${more} more bytes)`)
  }
  if (whole < argumentCount) cut.push(`... (${argumentCount - whole} more arguments)`)
  return cut
}

/** Null: it is none. */
export function readSlowRequest(value: unknown): SlowRequest | null {
  if (!isJsonObject(value)) return null
  const { wallMs, durationUs } = value
  const texts = value['arguments']
  if (typeof wallMs !== 'number' || typeof durationUs !== 'number' || !areTexts(texts)) return null
  return { wallMs, durationUs, arguments: texts }
}

/** None when they are not what a worker tells. */
export function readSlowlog(answer: unknown): SlowlogEntry[] {
  const entries = isJsonObject(answer) ? answer['entries'] : undefined
  return Array.isArray(entries) ? entries.filter(isEntry) : []
}

const isEntry = (value: unknown): value is SlowlogEntry =>
  readSlowRequest(value) !== null &&
  isJsonObject(value) &&
  typeof value['id'] === 'number' &&
  typeof value['client'] === 'string' &&
  typeof value['clientName'] === 'string'
