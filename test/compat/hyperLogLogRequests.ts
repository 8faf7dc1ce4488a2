/** Random requests of the HyperLogLog group, and what other commands see of its values. */
import { ranked } from '#server/crdt/elementHash.ts'
import { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import type { Make } from './generator.ts'
import type { Request } from './side.ts'
import { plain, type Step } from './step.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Some registers, sparse or dense, with or without a value that is too large for sparse ones. */
function bytesOfOne(v: Vocabulary): string {
  const registers = HyperLogLog.empty()
  if (v.chance(0.2)) registers.toDense()
  const count = v.pick([0, 1, 5, 100, 3000])
  registers.raise(
    Array.from({ length: count }, () => ranked(v.below(16384), 1 + v.below(v.chance(0.01) ? 51 : 9))),
  )
  // Redis keeps the count with a string, too; here it is known already.
  registers.count()
  return registers.text
}

function elements(v: Vocabulary): string[] {
  const roll = v.below(100)
  if (roll < 5) return Array.from({ length: v.pick([200, 2000]) }, () => v.bytes(1 + v.below(20)))
  if (roll < 12) return []
  return v.some(6, () => (v.chance(0.5) ? v.element() : String(v.below(3000))))
}

/** Damage to the runs or the header of a sparse one. */
function damaged(v: Vocabulary, key: string): Request[] {
  const bytes = v.pick(['\x00', '\x40', '\x7f\xff', '\x80', '\x90\x00', 'x'])
  const damage = v.pick<Request>([
    ['APPEND', key, bytes],
    ['SETRANGE', key, String(16 + v.below(4)), bytes],
    ['SETRANGE', key, v.pick(['0', '4', '15']), v.pick(['H', '\x01', '\x00', '\x02'])],
    ['SETBIT', key, String(v.below(200)), v.pick(['0', '1'])],
  ])
  const look = v.pick<Request>([
    ['PFADD', key, v.element()],
    ['PFCOUNT', key, '{t}p2'],
    ['PFMERGE', '{t}p2', key],
    ['PFDEBUG', 'DECODE', key],
    ['PFDEBUG', 'TODENSE', key],
  ])
  return [['DEL', key], ['PFADD', key, ...elements(v)], damage, look, ['GET', key], ['DEL', key]]
}

/** What a string can do. */
function asString(v: Vocabulary): Request {
  const key = v.hllKey()
  return v.pick<Request>([
    ['GET', key],
    ['STRLEN', key],
    ['GETRANGE', key, v.offset(), '100'],
    ['BITCOUNT', key],
    ['MGET', key, v.hllKey()],
    ['TYPE', key],
    ['OBJECT', 'ENCODING', key],
    ['INCR', key],
    ['HGET', key, 'f'],
    ['SETNX', key, bytesOfOne(v)],
    ['COPY', key, v.hllKey(), ...v.maybe(0.7, 'REPLACE')],
    ['RENAME', key, v.hllKey()],
    ['EXPIRE', key, String(v.seconds())],
    ['PERSIST', key],
    ['DEL', key],
    ['GETDEL', key],
    ['SET', key, v.chance(0.8) ? bytesOfOne(v) : v.value(), ...v.maybe(0.3, 'KEEPTTL')],
    ['GETSET', key, bytesOfOne(v)],
  ])
}

function count(v: Vocabulary): Request | Step {
  if (v.chance(0.3)) return asString(v)
  if (v.chance(0.1)) return plain(...damaged(v, '{t}p-damaged'))
  // Of one key Redis keeps the count. Here it does not where that is a string which spells a HyperLogLog and has not become
  // one, as BITOP makes them: so one key alone is of those that only commands of this file write.
  return ['PFCOUNT', ...(v.chance(0.7) ? [v.ownHllKey()] : [v.hllKey(), ...v.some(3, () => v.hllKey())])]
}

const merge: Make = (v) => ['PFMERGE', v.hllKey(), ...v.maybe(0.9, ...v.some(3, () => v.hllKey()))]

const debug: Make = (v) => {
  const subcommand = v.chance(0.02)
    ? 'GETREG'
    : v.pick(['ENCODING', 'DECODE', 'DECODE', 'ENCODING', v.chance(0.3) ? 'TODENSE' : 'DECODE', 'nosuch'])
  return ['PFDEBUG', v.cased(subcommand), v.hllKey()]
}

const selfTested = new WeakSet<Vocabulary>()

/** Once: it takes redis-server more than a second. */
const selfTest: Make = (v) => {
  if (selfTested.has(v)) return ['PFADD', v.hllKey(), ...elements(v)]
  selfTested.add(v)
  return ['PFSELFTEST']
}

export const hyperLogLogRequests: Readonly<Record<string, Make>> = {
  PFADD: (v) => ['PFADD', v.hllKey(), ...elements(v)],
  PFCOUNT: count,
  PFDEBUG: debug,
  PFMERGE: merge,
  PFSELFTEST: selfTest,
}
