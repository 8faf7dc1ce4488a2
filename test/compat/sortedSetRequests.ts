/** Random requests of the sorted set group. */
import { either, timeout } from './blockingRequests.ts'
import type { Make } from './generator.ts'
import { pickCount } from './hashRequests.ts'
import { cursor, scanWords } from './keyRequests.ts'
import { choice, lexRange, scan } from './randomSteps.ts'
import type { Request } from './side.ts'
import { plain, type Step } from './step.ts'
import type { Vocabulary } from './vocabulary.ts'

function pairs(v: Vocabulary, max: number): string[] {
  return v.some(max, () => [v.score(), v.element()]).flat()
}

function addWords(v: Vocabulary, incr: number): string[] {
  return v.shuffled([
    v.maybe(0.15, v.cased('NX')),
    v.maybe(0.12, v.cased('XX')),
    v.maybe(0.15, v.cased('GT')),
    v.maybe(0.15, v.cased('LT')),
    v.maybe(0.4, v.cased('CH')),
    v.maybe(incr, v.cased('INCR')),
  ])
}

function add(v: Vocabulary): Request | Step {
  const roll = v.below(100)
  if (roll >= 80) return anew(v)
  // Now and then so many that Redis changes the encoding.
  if (roll < 1) return ['ZADD', v.sortedKey(), ...manyPairs(v)]
  if (roll < 12) {
    const more = v.maybe(0.05, ...pairs(v, 1))
    return ['ZADD', v.sortedKey(), ...addWords(v, 1), v.increment(), v.element(), ...more]
  }
  const words = v.chance(0.4) ? addWords(v, 0) : []
  return ['ZADD', v.sortedKey(), ...words, ...pairs(v, 5), ...v.maybe(0.02, v.oddText())]
}

/** In place of what other types' commands may have left there; with one score for all, ranges by name mean something. */
function anew(v: Vocabulary): Step {
  const key = v.sortedKey()
  const equal = v.chance(0.4)
  const members = v.some(9, () => [equal ? '0' : String(v.below(10) / 2), v.element()]).flat()
  return plain(['DEL', key], ['ZADD', key, ...members])
}

function manyPairs(v: Vocabulary): string[] {
  return Array.from({ length: 200 }, (_, i) => [String(v.below(30)), `many${i}`]).flat()
}

function scoreBound(v: Vocabulary): string {
  const roll = v.below(20)
  if (roll === 0) return v.oddText()
  if (roll === 1)
    return v.pick(['(', '((1', '(nan', 'nan', ' 1', '1 ', '(\t2', '1\x00x', '-nan', '1e999', '0x1p-2'])
  if (roll < 6) return v.pick(['-inf', '+inf', 'inf', '(-inf', '(+inf', '(inf', '-Infinity'])
  const bound = v.chance(0.4) ? String(v.below(5)) : v.score()
  return v.chance(0.4) ? `(${bound}` : bound
}

function lexBound(v: Vocabulary): string {
  const roll = v.below(20)
  if (roll === 0) return v.pick(['+a', '-a', '+\x00', '-\x00b', '', 'a', ']a', v.oddText()])
  if (roll < 4) return v.pick(['-', '+'])
  return `${v.chance(0.5) ? '[' : '('}${v.element()}`
}

const rank = (v: Vocabulary): string => (v.chance(0.9) ? String(v.below(16) - 8) : v.offset())

type Bound = (v: Vocabulary) => string

function limit(v: Vocabulary, probability: number): string[] {
  const number = (): string => (v.chance(0.9) ? String(v.below(8) - 2) : v.offset())
  return v.maybe(probability, v.cased('LIMIT'), number(), ...v.maybe(0.98, number()))
}

/** Words of ZRANGE and ZRANGESTORE; which kind of bounds they ask for. */
function rangeWords(v: Vocabulary, by: 'rank' | 'score' | 'lex', scores: number): string[] {
  const kind = by === 'rank' ? [] : [v.cased(by === 'score' ? 'BYSCORE' : 'BYLEX')]
  return v.shuffled([
    kind,
    v.maybe(0.4, v.cased('REV')),
    limit(v, by === 'rank' ? 0.05 : 0.3),
    v.maybe(by === 'lex' ? 0.05 : scores, v.cased('WITHSCORES')),
    v.maybe(0.02, v.pick(['BYLEX', 'BYSCORE', 'REV', 'x'])),
  ])
}

const bounds = { rank, score: scoreBound, lex: lexBound } as const

function range(v: Vocabulary): Request | Step {
  const by = v.pick(['rank', 'rank', 'score', 'score', 'lex'] as const)
  const bound = bounds[by]
  const key = v.sortedKey()
  const request = ['ZRANGE', key, bound(v), bound(v), ...rangeWords(v, by, 0.5)]
  return by === 'lex' ? lexRange(key, request) : request
}

function storeRange(v: Vocabulary): Request | Step {
  const by = v.pick(['rank', 'score', 'score', 'lex'] as const)
  const bound = bounds[by]
  const key = v.sortedKey()
  const target = target1(v)
  const request = ['ZRANGESTORE', target, key, bound(v), bound(v), ...rangeWords(v, by, 0.03)]
  return by === 'lex' ? lexRange(key, request, target) : request
}

const target1 = (v: Vocabulary): string => (v.chance(0.8) ? v.sortedKey() : v.anyKey())

const ranged =
  (name: string, bound: Bound): Make =>
  (v) => [
    name,
    v.sortedKey(),
    bound(v),
    bound(v),
    ...v.shuffled([
      v.maybe(0.5, v.cased('WITHSCORES')),
      limit(v, name.endsWith('BYSCORE') ? 0.4 : 0.02),
      v.maybe(0.02, v.pick(['REV', 'BYSCORE', 'x'])),
    ]),
  ]

const lexRanged =
  (name: string): Make =>
  (v) => {
    const key = v.sortedKey()
    const words = v.shuffled([limit(v, 0.3), v.maybe(0.03, 'WITHSCORES')])
    return lexRange(key, [name, key, lexBound(v), lexBound(v), ...words])
  }

const bounded =
  (name: string, bound: Bound): Make =>
  (v) => [name, v.sortedKey(), bound(v), bound(v), ...v.maybe(0.02, 'x')]

function removeByLex(v: Vocabulary): Step {
  const key = v.sortedKey()
  return lexRange(key, ['ZREMRANGEBYLEX', key, lexBound(v), lexBound(v)], key)
}

function countByLex(v: Vocabulary): Step {
  const key = v.sortedKey()
  return lexRange(key, ['ZLEXCOUNT', key, lexBound(v), lexBound(v)])
}

/** Sorted sets, and now and then sets. */
const operand = (v: Vocabulary): string => (v.chance(0.2) ? v.setKey() : v.sortedKey())

function operands(v: Vocabulary): string[] {
  const keys = v.some(4, () => operand(v))
  const count = v.chance(0.93)
    ? String(keys.length)
    : v.pick(['0', '-1', '99', '9223372036854775807', v.oddText()])
  return [count, ...keys]
}

const weight = (v: Vocabulary): string =>
  v.chance(0.95) ? v.pick(['1', '2', '-1', '0.5', '0', '3', 'inf', '-inf', '1e2']) : v.oddText()

function algebraWords(v: Vocabulary, keyCount: number, scores: number): string[] {
  const weightCount = v.chance(0.97) ? keyCount : v.below(6)
  return v.shuffled([
    v.maybe(0.4, v.cased('WEIGHTS'), ...Array.from({ length: weightCount }, () => weight(v))),
    v.maybe(
      0.4,
      v.cased('AGGREGATE'),
      v.cased(v.pick(['SUM', 'MIN', 'MAX', 'MAX', v.chance(0.1) ? 'AVG' : 'MIN'])),
    ),
    v.maybe(scores, v.cased('WITHSCORES')),
    v.maybe(0.02, v.oddText()),
  ])
}

const algebra =
  (name: string, weighted: boolean): Make =>
  (v) => {
    const keys = operands(v)
    if (weighted || v.chance(0.03)) return [name, ...keys, ...algebraWords(v, keys.length - 1, 0.5)]
    return [name, ...keys, ...v.maybe(0.5, v.cased('WITHSCORES')), ...v.maybe(0.02, v.oddText())]
  }

const stored =
  (name: string, weighted: boolean): Make =>
  (v) => {
    const keys = operands(v)
    const words = weighted || v.chance(0.03) ? algebraWords(v, keys.length - 1, 0.03) : []
    return [name, target1(v), ...keys, ...words]
  }

function intersectionSize(v: Vocabulary): Request {
  const limited = v.maybe(0.5, v.cased('LIMIT'), v.chance(0.8) ? String(v.below(4)) : v.integerArgument())
  return ['ZINTERCARD', ...operands(v), ...limited, ...v.maybe(0.03, v.oddText())]
}

const popCount = (v: Vocabulary): string =>
  v.chance(0.85) ? String(v.below(5)) : v.pick(['-1', '9223372036854775807', '0', v.oddText()])

const popEnd =
  (name: string): Make =>
  (v) => [name, v.sortedKey(), ...v.maybe(0.6, popCount(v)), ...v.maybe(0.02, '1')]

/** `numkeys key [key ...] MIN|MAX [COUNT count]`. */
function several(v: Vocabulary): string[] {
  const keys = v.some(3, () => v.sortedKey())
  const count = v.chance(0.93) ? String(keys.length) : v.pick(['0', '-1', '99', v.oddText()])
  const end = v.chance(0.97) ? v.cased(v.pick(['MIN', 'MAX'])) : v.oddText()
  const counts = v.maybe(0.5, v.cased('COUNT'), popCount(v))
  return [count, ...keys, end, ...counts, ...v.maybe(0.03, 'COUNT', '1')]
}

/** For ever, with something to have: unless the key is of another type, which is an error at once. */
const found =
  (make: (v: Vocabulary, key: string) => Request): Make =>
  (v): Step => {
    const key = v.sortedKey()
    return plain(['ZADD', key, String(v.below(9)), v.element()], make(v, key))
  }

const blockingPop = (name: string): Make =>
  either(
    found((v, key) => [name, key, v.sortedKey(), '0']),
    (v) => [name, ...v.some(3, () => v.sortedKey()), timeout(v)],
  )

function randomMember(v: Vocabulary): Step {
  const key = v.sortedKey()
  if (v.chance(0.2)) return choice(['ZRANGE', key, '0', '-1'], ['ZRANDMEMBER', key], true)
  const count = pickCount(v)
  const distinct = !count.startsWith('-')
  if (v.chance(0.4)) return choice(['ZRANGE', key, '0', '-1'], ['ZRANDMEMBER', key, count], distinct)
  const word = v.chance(0.95) ? v.cased('WITHSCORES') : v.oddText()
  const request = ['ZRANDMEMBER', key, count, word, ...v.maybe(0.03, 'x')]
  return choice(['ZRANGE', key, '0', '-1', 'WITHSCORES'], request, distinct)
}

const oneMember =
  (name: string): Make =>
  (v) => [name, v.sortedKey(), v.element()]

export const sortedSetRequests: Readonly<Record<string, Make>> = {
  BZMPOP: either(
    found((v, key) => ['BZMPOP', '0', '2', key, v.sortedKey(), 'MIN', ...v.maybe(0.5, 'COUNT', '2')]),
    (v) => ['BZMPOP', timeout(v), ...several(v)],
  ),
  BZPOPMAX: blockingPop('BZPOPMAX'),
  BZPOPMIN: blockingPop('BZPOPMIN'),
  ZADD: add,
  ZCARD: (v) => ['ZCARD', v.sortedKey()],
  ZCOUNT: bounded('ZCOUNT', scoreBound),
  ZDIFF: algebra('ZDIFF', false),
  ZDIFFSTORE: stored('ZDIFFSTORE', false),
  ZINCRBY: (v) => ['ZINCRBY', v.sortedKey(), v.increment(), v.element()],
  ZINTER: algebra('ZINTER', true),
  ZINTERCARD: intersectionSize,
  ZINTERSTORE: stored('ZINTERSTORE', true),
  ZLEXCOUNT: countByLex,
  ZMPOP: (v) => ['ZMPOP', ...several(v)],
  ZMSCORE: (v) => ['ZMSCORE', v.sortedKey(), ...v.elements()],
  ZPOPMAX: popEnd('ZPOPMAX'),
  ZPOPMIN: popEnd('ZPOPMIN'),
  ZRANDMEMBER: randomMember,
  ZRANGE: range,
  ZRANGEBYLEX: lexRanged('ZRANGEBYLEX'),
  ZRANGEBYSCORE: ranged('ZRANGEBYSCORE', scoreBound),
  ZRANGESTORE: storeRange,
  ZRANK: oneMember('ZRANK'),
  ZREM: (v) => ['ZREM', v.sortedKey(), ...v.elements()],
  ZREMRANGEBYLEX: removeByLex,
  ZREMRANGEBYRANK: bounded('ZREMRANGEBYRANK', rank),
  ZREMRANGEBYSCORE: bounded('ZREMRANGEBYSCORE', scoreBound),
  ZREVRANGE: ranged('ZREVRANGE', rank),
  ZREVRANGEBYLEX: lexRanged('ZREVRANGEBYLEX'),
  ZREVRANGEBYSCORE: ranged('ZREVRANGEBYSCORE', scoreBound),
  ZREVRANK: oneMember('ZREVRANK'),
  ZSCAN: (v) => scan(['ZSCAN', v.sortedKey(), cursor(v), ...scanWords(v)], 2, true),
  ZSCORE: oneMember('ZSCORE'),
  ZUNION: algebra('ZUNION', true),
  ZUNIONSTORE: stored('ZUNIONSTORE', true),
}
