/** Random requests of the string group. */
import type { Make } from './generator.ts'
import { deletedAfterDifference, floatSum } from './randomSteps.ts'
import type { Request } from './side.ts'
import { plain, type Step } from './step.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Around the bounds of both sides. */
const hugeIntegers = [
  '1',
  '-1',
  '288230376151711744',
  '-288230376151711745',
  '576460752303423488',
  '-576460752303423488',
  '576460752303423489',
  '4611686018427387904',
  '9223372036854775807',
  '-9223372036854775808',
]

function increment(v: Vocabulary, name: string): Request | Step {
  const key = v.stringKey()
  if (v.chance(0.95)) return [name, key, v.integerArgument()]
  const [base, amount] = [v.pick(hugeIntegers), v.pick(hugeIntegers)]
  return plain(['SET', key, base], [name, key, amount], ['DEL', key])
}

/** The same in a field. */
export function incrementField(v: Vocabulary): Request | Step {
  const [key, field] = [v.hashKey(), v.element()]
  if (v.chance(0.95)) return ['HINCRBY', key, field, v.integerArgument()]
  const [base, amount] = [v.pick(hugeIntegers), v.pick(hugeIntegers)]
  return plain(['DEL', key], ['HSET', key, field, base], ['HINCRBY', key, field, amount], ['DEL', key])
}

function incrementFloat(v: Vocabulary): Step {
  const key = v.stringKey()
  const request = ['INCRBYFLOAT', key, floatArgument(v)]
  return deletedAfterDifference(
    floatSum(request, (text) => ['SET', key, text, 'KEEPTTL']),
    key,
  )
}

export function floatArgument(v: Vocabulary): string {
  if (v.chance(0.6)) return v.fraction4()
  return v.chance(0.5)
    ? v.integer()
    : v.pick(['inf', '-Infinity', 'nan', '.5', '5.', '1e-3', '-1E2', '0x1p4', v.storedOddText()])
}

const past = (text: string): boolean => Number(text) < 1e9

function set(v: Vocabulary): Request | Step {
  const key = v.looseKey()
  const relative = v.chance(0.7)
  const unitMs = v.chance(0.5) ? 1 : 1000
  const word = relative ? (unitMs === 1 ? 'PX' : 'EX') : unitMs === 1 ? 'PXAT' : 'EXAT'
  const time = v.time(unitMs, relative)
  const words = v.shuffled([
    v.maybe(0.25, v.cased('NX')),
    v.maybe(0.25, v.cased('XX')),
    v.maybe(0.3, v.cased('GET')),
    v.maybe(0.2, v.cased('KEEPTTL')),
    v.maybe(0.3, v.cased(word), time),
    v.maybe(0.03, v.oddText()),
  ])
  const request = ['SET', key, v.value(), ...(v.chance(0.5) ? [] : words)]
  // Redis keeps what has expired already until somebody looks.
  return !relative && past(time) && request.length > 3 ? plain(request, ['EXISTS', key]) : request
}

function getWithTtl(v: Vocabulary): Request {
  const relative = v.chance(0.7)
  const unitMs = v.chance(0.5) ? 1 : 1000
  const word = relative ? (unitMs === 1 ? 'PX' : 'EX') : unitMs === 1 ? 'PXAT' : 'EXAT'
  const words = v.shuffled([
    v.maybe(0.4, v.cased(word), v.time(unitMs, relative)),
    v.maybe(0.3, v.cased('PERSIST')),
    v.maybe(0.05, v.oddText()),
  ])
  return ['GETEX', v.stringKey(), ...words]
}

function lcs(v: Vocabulary): Request {
  const words = v.shuffled([
    v.maybe(0.5, v.cased('IDX')),
    v.maybe(0.3, v.cased('LEN')),
    v.maybe(0.4, v.cased('WITHMATCHLEN')),
    v.maybe(0.3, v.cased('MINMATCHLEN'), v.integerArgument()),
    v.maybe(0.03, v.oddText()),
  ])
  return ['LCS', v.stringKey(), v.stringKey(), ...words]
}

const pairs = (v: Vocabulary): string[] => v.some(4, () => [v.anyKey(), v.value()]).flat()

function appendOrReset(v: Vocabulary): Request {
  // Values must not grow for ever.
  return v.chance(0.1) ? ['SET', v.stringKey(), v.value()] : ['APPEND', v.stringKey(), v.part()]
}

export const stringRequests: Readonly<Record<string, Make>> = {
  APPEND: appendOrReset,
  DECR: (v) => ['DECR', v.stringKey()],
  DECRBY: (v) => increment(v, 'DECRBY'),
  GET: (v) => ['GET', v.looseKey()],
  GETDEL: (v) => ['GETDEL', v.stringKey()],
  GETEX: getWithTtl,
  GETRANGE: (v) => ['GETRANGE', v.stringKey(), v.offset(), v.offset()],
  GETSET: (v) => ['GETSET', v.stringKey(), v.value()],
  INCR: (v) => ['INCR', v.stringKey()],
  INCRBY: (v) => increment(v, 'INCRBY'),
  INCRBYFLOAT: incrementFloat,
  LCS: lcs,
  MGET: (v) => ['MGET', ...v.some(5, () => v.looseKey())],
  MSET: (v) => ['MSET', ...v.some(4, () => [v.looseKey(), v.value()]).flat()],
  MSETNX: (v) => ['MSETNX', ...pairs(v)],
  PSETEX: (v) => ['PSETEX', v.stringKey(), v.time(1, true), v.value()],
  SET: set,
  SETEX: (v) => ['SETEX', v.stringKey(), v.time(1000, true), v.value()],
  SETNX: (v) => ['SETNX', v.looseKey(), v.value()],
  SETRANGE: (v) => [
    'SETRANGE',
    v.stringKey(),
    v.chance(0.9) ? String(v.below(30) - 2) : v.offset(),
    v.part(),
  ],
  STRLEN: (v) => ['STRLEN', v.stringKey()],
  SUBSTR: (v) => ['SUBSTR', v.stringKey(), v.offset(), v.offset()],
}
