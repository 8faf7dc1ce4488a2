/** One comparison: some requests for both sides, and a judge of the replies. */
import { geoCommands } from '#protocol/commands/geo.ts'
import { sortedSetCommands } from '#protocol/commands/sortedSet.ts'
import { doubleText } from '#protocol/resp/double.ts'
import { knownDifference } from './knownDifferences.ts'
import { decodeReply, isAggregate, isError, type Reply, show } from './reply.ts'
import { nameOf, type Request, type Side } from './side.ts'

export interface Sides {
  own: Side
  redis: Side
}

export interface Step {
  requests: Request[]
  /** What is wrong; null: nothing. */
  judge(own: Uint8Array[], redis: Uint8Array[]): string | null
  /**
   * Of steps after which the sides may differ with reason (they run alone): makes them equal again. May find something
   * wrong itself.
   */
  settle?(sides: Sides, own: Reply[], redis: Reply[]): Promise<string | null>
}

/** Requests whose replies have to be the same, by the rule of each command. */
export function plain(...requests: Request[]): Step {
  return {
    requests,
    judge(own, redis) {
      for (const [i, request] of requests.entries()) {
        const wrong = compare(request, own[i] as Uint8Array, redis[i] as Uint8Array)
        if (wrong !== null) return wrong
      }
      return null
    },
  }
}

/** How replies of a command compare; the others byte by byte. */
type Rule = (own: Reply, redis: Reply) => boolean

const sorted: Rule = (own, redis) =>
  own.mark === redis.mark && own.items.map(show).sort().join() === redis.items.map(show).sort().join()

const sortedPairs: Rule = (own, redis) => own.mark === redis.mark && pairs(own).join() === pairs(redis).join()

function pairs({ items }: Reply): string[] {
  const shown: string[] = []
  for (let i = 0; i < items.length; i += 2)
    shown.push(
      items
        .slice(i, i + 2)
        .map(show)
        .join(),
    )
  return shown.sort()
}

/** Between the two servers' clocks lies what a batch takes; negative replies are codes. */
const within =
  (tolerance: number): Rule =>
  (own, redis) => {
    const difference = Number(own.text) - Number(redis.text)
    return Number(own.text) > 0 && Number(redis.text) > 0 && Math.abs(difference) <= tolerance
  }

const clockToleranceMs = 5000
const seconds = within(clockToleranceMs / 1000)
const milliseconds = within(clockToleranceMs)
/** A command that only judges a condition is no use of a key here; a comparison takes less than so long. */
const conditionSecondsMax = 90
/** Redis shares small integers, and with them the time of their last use. */
const idle: Rule = (own, redis) => Number(own.text) <= Number(redis.text) + conditionSecondsMax

/** Redis 7.0 prints doubles with 17 digits, 7.2 the shortest ones that say the same. */
const doubles: Rule = (own, redis) => {
  if (own.mark !== redis.mark || own.isNull !== redis.isNull || own.items.length !== redis.items.length)
    return false
  if (isAggregate(own)) return own.items.every((item, i) => doubles(item, redis.items[i] as Reply))
  return (
    own.text === redis.text || (digits17.test(redis.text) && own.text === doubleText(Number(redis.text) + 0))
  )
}

const digits17 = /[.e]|[0-9]{16}|^-0$/

const doubleCommands = [...Object.keys(sortedSetCommands), ...Object.keys(geoCommands)]

const rules: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(doubleCommands.map((name) => [name, doubles])),
  KEYS: sorted,
  SMEMBERS: sorted,
  SINTER: sorted,
  SUNION: sorted,
  SDIFF: sorted,
  HKEYS: sorted,
  HVALS: sorted,
  HGETALL: sortedPairs,
  TTL: seconds,
  EXPIRETIME: seconds,
  PTTL: milliseconds,
  PEXPIRETIME: milliseconds,
  'OBJECT|IDLETIME': idle,
}

export function compare(request: Request, own: Uint8Array, redis: Uint8Array): string | null {
  return sameBytes(own, redis) ? null : compareTrees(request, decodeReply(own), decodeReply(redis))
}

export function compareTrees(request: Request, own: Reply, redis: Reply): string | null {
  if (show(own) === show(redis)) return null
  const rule = rules[nameOf(request)]
  if (rule !== undefined && own.mark === redis.mark && !isError(own) && rule(own, redis)) return null
  if (knownDifference(request, own, redis)) return null
  return difference(request, show(own), show(redis))
}

export function difference(request: Request, own: string, redis: string): string {
  return `${JSON.stringify(request)}\n  own:   ${own}\n  redis: ${redis}`
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** MULTI, the requests, EXEC. */
export function transaction(before: Request[], queued: Request[], end: 'EXEC' | 'DISCARD'): Step {
  const requests: Request[] = [...before, ['MULTI'], ...queued, [end]]
  return {
    requests,
    judge(own, redis) {
      const last = requests.length - 1
      for (const [i, request] of requests.slice(0, last).entries()) {
        const wrong = compare(request, own[i] as Uint8Array, redis[i] as Uint8Array)
        if (wrong !== null) return wrong
      }
      const ownEnd = decodeReply(own[last] as Uint8Array)
      const redisEnd = decodeReply(redis[last] as Uint8Array)
      if (!isAggregate(ownEnd) || ownEnd.text !== redisEnd.text) return compareTrees([end], ownEnd, redisEnd)
      const taken = requests.filter((_, i) => decodeReply(own[i] as Uint8Array).text === 'QUEUED')
      for (const [i, request] of taken.entries()) {
        const wrong = compareTrees(request, ownEnd.items[i] as Reply, redisEnd.items[i] as Reply)
        if (wrong !== null) return `in a transaction: ${wrong}`
      }
      return null
    },
  }
}
