/** Steps for replies that differ by right: random choices, and what is told piece by piece. */
import { doubleText } from '#protocol/resp/double.ts'
import { decodeReply, isAggregate, isError, type Reply, show, textsOf } from './reply.ts'
import { nameOf, type Request, type Side } from './side.ts'
import { compareTrees, difference, type Step } from './step.ts'

/** What is picked from: `HGETALL` for a choice with values, `WITHSCORES` for one with scores. */
type Whole =
  | readonly ['SMEMBERS' | 'HKEYS' | 'HGETALL' | 'KEYS', string]
  | readonly ['ZRANGE', string, '0', '-1', ...'WITHSCORES'[]]

/** A random choice is right when it is one of the whole, and as large as Redis's. */
export function choice(whole: Whole, request: Request, distinct: boolean): Step {
  const paired = whole[0] === 'HGETALL' || whole.length > 4
  return {
    requests: [whole, request],
    judge(ownBytes, redisBytes) {
      const [from, own] = ownBytes.map(decodeReply) as [Reply, Reply]
      const redis = decodeReply(redisBytes[1] as Uint8Array)
      if (isError(own) || isError(redis)) return compareTrees(request, own, redis)
      const allowed = new Set(picksOf(from, paired))
      const picks = picksOf(own, paired)
      const right =
        own.mark === redis.mark &&
        own.isNull === redis.isNull &&
        own.items.length === redis.items.length &&
        picks.every((pick) => allowed.has(pick)) &&
        (!distinct || new Set(picks).size === picks.length)
      return right ? null : difference(request, show(own), show(redis))
    },
  }
}

/** With values: RESP2 tells them one after the other, RESP3 in pairs. */
function picksOf(reply: Reply, paired: boolean): string[] {
  if (!isAggregate(reply)) return reply.isNull ? [] : [show(reply)]
  const { items } = reply
  if (!paired || items[0] === undefined || isAggregate(items[0])) {
    return items.map((item) => (paired ? item.items : [item]).map(show).join())
  }
  const couples: string[] = []
  for (let i = 0; i < items.length; i += 2)
    couples.push(
      items
        .slice(i, i + 2)
        .map(show)
        .join(),
    )
  return couples
}

/** SPOP: what Antipode popped comes back, and what Redis popped goes there too. */
export function pop(key: string, request: Request): Step {
  return {
    ...choice(['SMEMBERS', key], request, true),
    async settle({ own }, [, ownPicked], [, redisPicked]) {
      const mine = poppedOf(ownPicked)
      const theirs = poppedOf(redisPicked)
      const back = mine.filter((member) => !theirs.includes(member))
      const gone = theirs.filter((member) => !mine.includes(member))
      // First back, so that the set, and with it its TTL, is never away.
      if (back.length > 0) {
        await own.send([
          ['SADD', key, ...back],
          ['SREM', key, ...gone],
        ])
      }
      return null
    },
  }
}

function poppedOf(reply: Reply | undefined): string[] {
  if (reply === undefined || isError(reply) || reply.isNull) return []
  return isAggregate(reply) ? textsOf(reply) : [reply.text]
}

/** A scan from its first call to its end: everything has to be told, in whatever order and pieces. */
export function scan(request: Request, cursorIndex: number, paired: boolean): Step {
  return {
    requests: [request],
    judge(ownBytes, redisBytes) {
      const own = decodeReply(ownBytes[0] as Uint8Array)
      const redis = decodeReply(redisBytes[0] as Uint8Array)
      if (!isError(own) && !isError(redis)) return null
      return compareTrees(request, own, redis)
    },
    async settle(sides, [own], [redis]) {
      if (own === undefined || redis === undefined || isError(own)) return null
      const mine = await scanOn(sides.own, request, cursorIndex, paired, own)
      const theirs = await scanOn(sides.redis, request, cursorIndex, paired, redis)
      return mine === theirs ? null : difference(request, mine, theirs)
    },
  }
}

const scanCallsMax = 20_000

async function scanOn(
  side: Side,
  request: Request,
  cursorIndex: number,
  paired: boolean,
  first: Reply,
): Promise<string> {
  const found = new Set<string>()
  let reply = first
  for (let calls = 0; calls < scanCallsMax; calls++) {
    const [cursor, part] = reply.items
    if (cursor === undefined || part === undefined) return `no scan reply: ${show(reply)}`
    if (nameOf(request) === 'ZSCAN') shortenScores(part)
    for (const element of picksOf(part, paired)) found.add(element)
    if (cursor.text === '0') return [...found].sort().join(' ')
    const next = [...request]
    next[cursorIndex] = cursor.text
    const [bytes] = await side.send([next])
    reply = decodeReply(bytes as Uint8Array)
  }
  return `the scan does not end: ${show(first)}`
}

/** Redis 7.0 prints 17 digits. */
function shortenScores({ items }: Reply): void {
  for (const [i, item] of items.entries()) {
    const score = Number(item.text)
    if (i % 2 === 1 && Number.isFinite(score)) item.text = doubleText(score + 0)
  }
}

/** A payload is right when Redis restores the value from it; and that of Redis is restored here. */
export function dump(key: string, request: Request): Step {
  return {
    requests: [request],
    judge(ownBytes, redisBytes) {
      const own = decodeReply(ownBytes[0] as Uint8Array)
      const redis = decodeReply(redisBytes[0] as Uint8Array)
      const wrong = own.isNull !== redis.isNull || own.mark !== redis.mark
      return wrong ? difference(request, show(own), show(redis)) : null
    },
    async settle({ own, redis }, [ownPayload], [redisPayload]) {
      if (ownPayload === undefined || redisPayload === undefined || ownPayload.isNull) return null
      return (
        (await restored(redis, key, request, ownPayload)) ?? (await restored(own, key, request, redisPayload))
      )
    },
  }
}

/** Restores the payload at the side beside the key that it was dumped from; what differs, if anything. */
async function restored(side: Side, key: string, request: Request, payload: Reply): Promise<string | null> {
  const copy = '{t}dumped'
  const [answer, type] = await side.send([
    ['RESTORE', copy, '0', payload.text, 'REPLACE'],
    ['TYPE', key],
  ])
  const answered = decodeReply(answer as Uint8Array)
  if (answered.text !== 'OK') return difference(request, show(payload), show(answered))
  const read = readRequest(decodeReply(type as Uint8Array).text)
  const [dumped, original] = await side.send([read(copy), read(key), ['DEL', copy]])
  return compareTrees(read(key), decodeReply(dumped as Uint8Array), decodeReply(original as Uint8Array))
}

export function readRequest(type: string): (key: string) => Request {
  if (type === 'hash') return (key) => ['HGETALL', key]
  if (type === 'zset') return (key) => ['ZRANGE', key, '0', '-1', 'WITHSCORES']
  if (type === 'list') return (key) => ['LRANGE', key, '0', '-1']
  return type === 'set' ? (key) => ['SMEMBERS', key] : (key) => ['GET', key]
}

/**
 * A float sum: Redis's 80-bit floats leave noise behind the fifteenth digit or so. Redis then gets the text that Antipode
 * has.
 */
export function floatSum(request: Request, store: (text: string) => Request): Step {
  return {
    requests: [request],
    judge(ownBytes, redisBytes) {
      const own = decodeReply(ownBytes[0] as Uint8Array)
      const redis = decodeReply(redisBytes[0] as Uint8Array)
      return own.mark === redis.mark && nearlyEqual(own.text, redis.text)
        ? null
        : compareTrees(request, own, redis)
    },
    async settle({ redis }, [own], [theirs]) {
      if (own?.mark === '$' && theirs?.mark === '$' && own.text !== theirs.text)
        await redis.send([store(own.text)])
      return null
    },
  }
}

/**
 * A range by name, which means something only where all scores are equal: else just the kind of the reply is compared, and
 * the key that was `written` goes away on both sides.
 */
export function lexRange(key: string, request: Request, written?: string): Step {
  let meaningful = true
  const step: Step = {
    requests: [['ZRANGE', key, '0', '-1', 'WITHSCORES'], request],
    judge(ownBytes, redisBytes) {
      const [scored, own] = ownBytes.map(decodeReply) as [Reply, Reply]
      const redis = decodeReply(redisBytes[1] as Uint8Array)
      const scores = picksOf(scored, true).map((pair) => pair.slice(pair.lastIndexOf('"', pair.length - 2)))
      meaningful = isError(scored) || new Set(scores).size < 2
      if (meaningful || isError(own) || isError(redis)) return compareTrees(request, own, redis)
      return own.mark === redis.mark ? null : difference(request, show(own), show(redis))
    },
  }
  if (written === undefined) return step
  return {
    ...step,
    async settle({ own, redis }) {
      if (!meaningful) await Promise.all([own, redis].map((side) => side.send([['DEL', written]])))
      return null
    },
  }
}

/** Longer numbers are beyond doubles. */
const doubleDigitsMax = 300
/** Both sides agree in so many digits. */
const equalDigits = 14

function nearlyEqual(a: string, b: string): boolean {
  if (Math.max(a.length, b.length) > doubleDigitsMax) return nearlyEqualIntegers(a, b)
  const [x, y] = [Number(a), Number(b)]
  return Math.abs(x - y) <= 10 ** -equalDigits * Math.max(1, Math.abs(x))
}

/** What is behind the point of such numbers is far below what counts. */
function nearlyEqualIntegers(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => (/^-?[0-9]+/.exec(text) ?? [])[0])
  if (x === undefined || y === undefined) return false
  const magnitude = (value: bigint): bigint => (value < 0n ? -value : value)
  return magnitude(BigInt(x) - BigInt(y)) * 10n ** BigInt(equalDigits) <= magnitude(BigInt(x))
}

/** After a difference that is known, the key goes away on both sides. */
export function deletedAfterDifference(step: Step, key: string): Step {
  return {
    ...step,
    async settle(sides, own, redis) {
      const wrong = (await step.settle?.(sides, own, redis)) ?? null
      const differs = own.some((reply, i) => isError(reply) !== isError(redis[i] as Reply))
      if (differs) await Promise.all([sides.own.send([['DEL', key]]), sides.redis.send([['DEL', key]])])
      return wrong
    },
  }
}
