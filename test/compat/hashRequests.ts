/** Random requests of the hash group. */
import type { Make } from './generator.ts'
import { cursor, scanWords } from './keyRequests.ts'
import { choice, deletedAfterDifference, floatSum, scan } from './randomSteps.ts'
import type { Request } from './side.ts'
import type { Step } from './step.ts'
import { floatArgument, incrementField } from './stringRequests.ts'
import type { Vocabulary } from './vocabulary.ts'

function set(v: Vocabulary): Request {
  // Now and then so many that Redis changes the encoding.
  const count = v.chance(0.01) ? 200 : 1 + v.below(4)
  const pairs: string[] = []
  for (let i = 0; i < count; i++) pairs.push(count > 100 ? `many${i}` : v.element(), v.value())
  return [v.chance(0.8) ? 'HSET' : 'HMSET', v.hashKey(), ...pairs]
}

function incrementFloat(v: Vocabulary): Step {
  const key = v.hashKey()
  const field = v.element()
  const request = ['HINCRBYFLOAT', key, field, floatArgument(v)]
  return deletedAfterDifference(
    floatSum(request, (text) => ['HSET', key, field, text]),
    key,
  )
}

/** Of HRANDFIELD and SRANDMEMBER. */
export const pickCount = (v: Vocabulary): string =>
  v.chance(0.85)
    ? String(v.below(20) - 8)
    : v.pick(['1000000', '9223372036854775807', '-9223372036854775808', '0', v.oddText()])

function randomField(v: Vocabulary): Step {
  const key = v.hashKey()
  if (v.chance(0.2)) return choice(['HKEYS', key], ['HRANDFIELD', key], true)
  const count = pickCount(v)
  const distinct = !count.startsWith('-')
  if (v.chance(0.4)) return choice(['HKEYS', key], ['HRANDFIELD', key, count], distinct)
  const word = v.chance(0.95) ? v.cased('WITHVALUES') : v.oddText()
  return choice(['HGETALL', key], ['HRANDFIELD', key, count, word, ...v.maybe(0.03, 'x')], distinct)
}

const oneKey =
  (name: string): Make =>
  (v) => [name, v.hashKey()]
const oneField =
  (name: string): Make =>
  (v) => [name, v.hashKey(), v.element()]
const fields =
  (name: string): Make =>
  (v) => [name, v.hashKey(), ...v.elements()]

export const hashRequests: Readonly<Record<string, Make>> = {
  HDEL: fields('HDEL'),
  HEXISTS: oneField('HEXISTS'),
  HGET: oneField('HGET'),
  HGETALL: oneKey('HGETALL'),
  HINCRBY: incrementField,
  HINCRBYFLOAT: incrementFloat,
  HKEYS: oneKey('HKEYS'),
  HLEN: oneKey('HLEN'),
  HMGET: fields('HMGET'),
  HMSET: (v) => ['HMSET', v.hashKey(), v.element(), v.value(), ...v.maybe(0.1, v.element())],
  HRANDFIELD: randomField,
  HSCAN: (v) => scan(['HSCAN', v.hashKey(), cursor(v), ...scanWords(v)], 2, true),
  HSET: set,
  HSETNX: (v) => ['HSETNX', v.hashKey(), v.element(), v.value()],
  HSTRLEN: oneField('HSTRLEN'),
  HVALS: oneKey('HVALS'),
}
