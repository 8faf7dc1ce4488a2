/** Random requests of SORT and SORT_RO. */
import { latin1 } from '#runtime/bytes/bytes.ts'
import type { Make } from './generator.ts'
import { deletedAfterDifference } from './randomSteps.ts'
import { decodeReply, isAggregate, type Reply, textsOf } from './reply.ts'
import type { Request } from './side.ts'
import { compareTrees, plain, type Step } from './step.ts'
import type { Vocabulary } from './vocabulary.ts'

/** They name strings, hashes, keys of other types, and nothing. */
const patterns = [
  '{t}w*',
  '{t}w*',
  '{t}s*',
  '{t}h*->f1',
  '{t}h*->a',
  '{t}h*->',
  '{t}z*',
  '{t}*1->f2',
  '{t}no*',
]
const constants = ['nosort', '', '#', '{t}s1', '{t}h1->f1']

const sorted = (v: Vocabulary): string =>
  v.chance(0.95) ? v.pick([v.listKey(), v.setKey(), v.sortedKey()]) : v.anyKey()

/** So that there is something that compares as numbers. */
function numbers(v: Vocabulary, key: string): Request[] {
  const weights = ['1', '2', '3', '7', '30'].flatMap((name) =>
    v.chance(0.6) ? [`{t}w${name}`, v.chance(0.98) ? v.integer() : v.value()] : [],
  )
  const number = (): string => (v.chance(0.95) ? v.pick(['1', '2', '3', '7', '30', '-1', '2.5']) : v.score())
  return [
    ['DEL', key],
    [key.startsWith('{t}l') ? 'RPUSH' : 'SADD', key, ...v.some(8, number)],
    ...(weights.length > 0 ? [['MSET', ...weights]] : []),
  ]
}

/** Both in one step, so that nothing comes between. */
function preceded(first: readonly Request[], step: Step): Step {
  const { requests, judge, settle } = step
  const count = first.length
  const both: Step = {
    requests: [...first, ...requests],
    judge: (own, redis) => plain(...first).judge(own, redis) ?? judge(own.slice(count), redis.slice(count)),
  }
  if (settle === undefined) return both
  return { ...both, settle: (sides, own, redis) => settle(sides, own.slice(count), redis.slice(count)) }
}

const bound = (v: Vocabulary): string => (v.chance(0.9) ? String(v.below(12) - 2) : v.offset())

interface Words {
  by: string | undefined
  alpha: boolean
  limit: string[]
  order: string[]
  gets: string[]
  store: string | undefined
}

function wordsOf(v: Vocabulary, stores: boolean): Words {
  return {
    by: v.chance(0.5) ? v.pick(v.chance(0.7) ? patterns : constants) : undefined,
    alpha: v.chance(0.5),
    limit: v.maybe(0.4, v.cased('LIMIT'), bound(v), bound(v)),
    order: v.maybe(0.5, v.cased(v.pick(['ASC', 'DESC', 'DESC']))),
    gets: v.chance(0.4) ? v.some(3, () => v.pick([...patterns, ...constants, '#'])) : [],
    store: stores && v.chance(0.3) ? (v.chance(0.8) ? v.listKey() : v.anyKey()) : undefined,
  }
}

function written(v: Vocabulary, name: string, key: string, words: Words, gets: readonly string[]): Request {
  const parts = [
    words.by === undefined ? [] : [v.cased('BY'), words.by],
    words.alpha ? [v.cased('ALPHA')] : [],
    words.limit,
    words.order,
    gets.flatMap((pattern) => [v.cased('GET'), pattern]),
    words.store === undefined ? [] : [v.cased('STORE'), words.store],
  ]
  return [name, key, ...v.shuffled(parts)]
}

/**
 * 7.0 refuses all numbers after one that no double can hold, whosesoever it was, until a score is read; and those of a small
 * sorted set if one of its scores is such.
 */
function inNumberOrder(key: string, request: Request, store: string | undefined): Step {
  const scoreRead: Request = ['ZADD', '{t}none', 'XX', '1', 'a']
  const exact = plain(request)
  const step: Step = {
    requests: [['ZRANGE', key, '0', '-1', 'WITHSCORES'], scoreRead, request],
    judge(own, redis) {
      const wrong = exact.judge(own.slice(2), redis.slice(2))
      const hasTinyScore = /e-3/.test(latin1(own[0] as Uint8Array))
      const refused = /scores can't be converted/.test(latin1(redis[2] as Uint8Array))
      return hasTinyScore && refused ? null : wrong
    },
  }
  return store === undefined ? step : deletedAfterDifference(step, store)
}

const sort =
  (name: string): Make =>
  (v) => {
    const words = wordsOf(v, name === 'SORT')
    if (v.chance(0.6)) return sortOf(v, name, sorted(v), words)
    const key = v.pick([v.listKey(), v.setKey()])
    const made = sortOf(v, name, key, words)
    return preceded(numbers(v, key), 'judge' in made ? made : plain(made))
  }

function sortOf(v: Vocabulary, name: string, key: string, words: Words): Request | Step {
  const request = [...written(v, name, key, words, words.gets), ...v.maybe(0.01, v.oddText())]
  const byPattern = words.by?.includes('*') === true
  // Numbers have an order, and of equal ones the elements.
  if (!words.alpha && (words.by === undefined || byPattern)) return inNumberOrder(key, request, words.store)
  // What is stored is in the order of bytes.
  if (words.alpha && words.by === undefined && words.store !== undefined) return request
  const options = written(v, name, key, { ...words, store: undefined }, [])
  const weights = [...options, 'GET', byPattern ? (words.by ?? '') : '#']
  return looselyOrdered(key, request, weights, words.store)
}

/**
 * Where elements have one weight, or the order of a set, or a NUL (7.0 compares with `strcoll`, which ends there), each side
 * has an order of its own. Then the replies are of one length, and, if that says something, of the same weights.
 */
function looselyOrdered(key: string, request: Request, weights: Request, store: string | undefined): Step {
  const exact = plain(request)
  return {
    requests: [['TYPE', key], ['SORT', key, 'BY', 'nosort'], weights, request],
    judge(own, redis) {
      const wrong = exact.judge(own.slice(3), redis.slice(3))
      if (wrong === null) return null
      const [type, elements, mine, reply] = own.map(decodeReply) as [Reply, Reply, Reply, Reply]
      const [, , theirs, redisReply] = redis.map(decodeReply) as [Reply, Reply, Reply, Reply]
      const hasLists = isAggregate(reply) && isAggregate(redisReply)
      if (!hasLists || reply.items.length !== redisReply.items.length) return wrong
      const isSorted = weights.at(-1) !== '#'
      if (!isSorted && type.text === 'set') return null
      const compared = [...textsOf(elements), ...textsOf(mine)]
      if (compared.some((text) => text.includes('\0'))) return null
      return isSorted && compareTrees(weights, mine, theirs) === null ? null : wrong
    },
    async settle({ own, redis }) {
      if (store !== undefined) await Promise.all([own, redis].map((side) => side.send([['DEL', store]])))
      return null
    },
  }
}

export const sortRequests: Readonly<Record<string, Make>> = {
  SORT: sort('SORT'),
  SORT_RO: sort('SORT_RO'),
}
