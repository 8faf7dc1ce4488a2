/**
 * Steps for searches by distance. Sines differ between libraries in the last bit, so stored distances do; and members at one
 * distance come in whatever order the sorting leaves them, of which COUNT may take any.
 */
import { decodeReply, isAggregate, isError, type Reply, show, textsOf } from './reply.ts'
import { nameOf, type Request, type Side } from './side.ts'
import { compareTrees, difference, plain, type Step } from './step.ts'

/** A search whose replies differ is right when the distances, one by one, are the same. */
export function geoSearch(request: Request): Step {
  const exact = plain(request)
  return {
    requests: [request, [...request, 'WITHDIST']],
    judge(own, redis) {
      const wrong = exact.judge(own.slice(0, 1), redis.slice(0, 1))
      if (wrong === null) return null
      const [mine, theirs] = [own[1], redis[1]].map((bytes) => distancesOf(decodeReply(bytes as Uint8Array)))
      return mine === theirs && mine !== undefined ? null : wrong
    },
  }
}

/** undefined: the reply is no list of members with distances. */
function distancesOf(reply: Reply): string | undefined {
  if (isError(reply) || !isAggregate(reply)) return undefined
  return reply.items.map(({ items }) => items[1]?.text).join(' ')
}

/** What was stored has to have the size that Redis has, and nearly its scores; then Redis gets what Antipode has. */
export function geoStore(request: Request): Step {
  const target = targetOf(request)
  const storesDistances = request.some((word) => word.toUpperCase() === 'STOREDIST')
  return {
    ...plain(request),
    async settle({ own, redis }, [reply]) {
      if (reply?.mark !== ':') return null
      const [mine, theirs] = await Promise.all([scoresOf(own, target), scoresOf(redis, target)])
      if (show(mine) === show(theirs)) return null
      if (isError(mine) || isError(theirs)) return compareTrees(request, mine, theirs)
      const [texts, others] = [flat(mine), flat(theirs)]
      const alike = !storesDistances || texts.every((text, i) => i % 2 === 0 || isNear(text, others[i]))
      if (texts.length !== others.length || !alike) return difference(request, show(mine), show(theirs))
      const pairs = texts.flatMap((text, i) => (i % 2 === 0 ? [texts[i + 1] as string, text] : []))
      await redis.send([
        ['DEL', target],
        ['ZADD', target, ...pairs],
      ])
      return null
    },
  }
}

/** The key behind the last STORE or STOREDIST of GEORADIUS, the first one of GEOSEARCHSTORE. */
function targetOf(request: Request): string {
  if (nameOf(request) === 'GEOSEARCHSTORE') return request[1] ?? ''
  const last = request.findLastIndex((word) => /^store(dist)?$/i.test(word))
  return request[last + 1] ?? ''
}

async function scoresOf(side: Side, key: string): Promise<Reply> {
  const [reply] = await side.send([['ZRANGE', key, '0', '-1', 'WITHSCORES']])
  return decodeReply(reply as Uint8Array)
}

/** Member, score, member, ... */
function flat(reply: Reply): string[] {
  return reply.items.flatMap((item) => (isAggregate(item) ? textsOf(item) : [item.text]))
}

function isNear(a: string, b: string | undefined): boolean {
  const [x, y] = [Number(a), Number(b)]
  return a === b || x === y || Math.abs(x - y) <= 1e-9 * Math.max(1, Math.abs(x))
}
