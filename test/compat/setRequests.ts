/** Random requests of the set group. */
import type { Make } from './generator.ts'
import { pickCount } from './hashRequests.ts'
import { cursor, scanWords } from './keyRequests.ts'
import { choice, pop, scan } from './randomSteps.ts'
import type { Request } from './side.ts'
import type { Step } from './step.ts'
import type { Vocabulary } from './vocabulary.ts'

function add(v: Vocabulary): Request {
  if (v.chance(0.01)) return ['SADD', v.setKey(), ...Array.from({ length: 600 }, (_, i) => String(i))]
  return ['SADD', v.setKey(), ...v.elements(6)]
}

function randomMember(v: Vocabulary): Step {
  const key = v.setKey()
  if (v.chance(0.2)) return choice(['SMEMBERS', key], ['SRANDMEMBER', key], true)
  const count = pickCount(v)
  const request = ['SRANDMEMBER', key, count, ...v.maybe(0.03, 'x')]
  return choice(['SMEMBERS', key], request, !count.startsWith('-'))
}

function popMember(v: Vocabulary): Step {
  const key = v.setKey()
  const count = v.chance(0.8) ? String(v.below(5)) : v.pick(['-1', '9223372036854775807', v.oddText()])
  return pop(key, ['SPOP', key, ...v.maybe(0.6, count), ...v.maybe(0.02, '1')])
}

function intersectionSize(v: Vocabulary): Request {
  const sets = v.some(4, () => v.setKey())
  const count = v.chance(0.9)
    ? String(sets.length)
    : v.pick(['0', '-1', '99', '9223372036854775807', v.oddText()])
  const limit = v.maybe(0.5, v.cased('LIMIT'), v.chance(0.8) ? String(v.below(4)) : v.integerArgument())
  return ['SINTERCARD', count, ...sets, ...limit, ...v.maybe(0.03, v.oddText())]
}

const oneKey =
  (name: string): Make =>
  (v) => [name, v.setKey()]
const sets =
  (name: string): Make =>
  (v) => [name, ...v.some(4, () => v.setKey())]
const stored =
  (name: string): Make =>
  (v) => [name, v.chance(0.8) ? v.setKey() : v.anyKey(), ...v.some(3, () => v.setKey())]

export const setRequests: Readonly<Record<string, Make>> = {
  SADD: add,
  SCARD: oneKey('SCARD'),
  SDIFF: sets('SDIFF'),
  SDIFFSTORE: stored('SDIFFSTORE'),
  SINTER: sets('SINTER'),
  SINTERCARD: intersectionSize,
  SINTERSTORE: stored('SINTERSTORE'),
  SISMEMBER: (v) => ['SISMEMBER', v.setKey(), v.element()],
  SMEMBERS: oneKey('SMEMBERS'),
  SMISMEMBER: (v) => ['SMISMEMBER', v.setKey(), ...v.elements()],
  SMOVE: (v) => ['SMOVE', v.setKey(), v.setKey(), v.element()],
  SPOP: popMember,
  SRANDMEMBER: randomMember,
  SREM: (v) => ['SREM', v.setKey(), ...v.elements()],
  SSCAN: (v) => scan(['SSCAN', v.setKey(), cursor(v), ...scanWords(v)], 2, false),
  SUNION: sets('SUNION'),
  SUNIONSTORE: stored('SUNIONSTORE'),
}
