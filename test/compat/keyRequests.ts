/** Random requests of the key group, and those about the whole database. */
import { intset, rdb, rdbText, sealed, ziplist } from '#test/commands/payloads.ts'
import type { Make } from './generator.ts'
import { choice, deletedAfterDifference, dump, scan } from './randomSteps.ts'
import type { Request } from './side.ts'
import { plain, type Step } from './step.ts'
import type { Vocabulary } from './vocabulary.ts'

function expire(name: string, unitMs: 1 | 1000, relative: boolean): Make {
  return (v) => {
    const words = v.shuffled([
      v.maybe(0.15, v.cased('NX')),
      v.maybe(0.15, v.cased('XX')),
      v.maybe(0.15, v.cased('GT')),
      v.maybe(0.15, v.cased('LT')),
      v.maybe(0.02, v.oddText()),
    ])
    const key = v.looseKey()
    // Beyond Antipode's last time.
    const far = String(1e16 / unitMs)
    if (v.chance(0.01)) return deletedAfterDifference(plain([name, key, far, ...words]), key)
    return [name, key, v.time(unitMs, relative), ...words]
  }
}

const keys =
  (name: string): Make =>
  (v) => [name, ...v.some(4, () => v.looseKey())]
const oneKey =
  (name: string): Make =>
  (v) => [name, v.looseKey()]

function copy(v: Vocabulary): Request {
  const words = v.shuffled([
    v.maybe(0.5, v.cased('REPLACE')),
    v.maybe(0.2, v.cased('DB'), v.pick(['0', '0', '1', '-1', '2147483648', v.oddText()])),
    v.maybe(0.03, v.oddText()),
  ])
  return ['COPY', v.anyKey(), v.anyKey(), ...words]
}

export const scanWords = (v: Vocabulary): string[] =>
  v.shuffled([
    v.maybe(0.4, v.cased('MATCH'), v.pattern()),
    v.maybe(0.5, v.cased('COUNT'), v.chance(0.9) ? String(1 + v.below(40)) : v.integerArgument()),
    v.maybe(0.02, v.oddText()),
  ])

/** Mostly the start; else what is no cursor, or what is one in an odd form. */
export const cursor = (v: Vocabulary): string =>
  v.chance(0.93) ? '0' : v.pick(['', '+0', '-0', 'abc', '1x', ' 0', '18446744073709551616', '-'])

function scanKeys(v: Vocabulary): Step {
  const type = v.maybe(0.3, v.cased('TYPE'), v.pick(['string', 'SET', 'hash', 'Zset', 'list', 'nosuch']))
  return scan(['SCAN', cursor(v), ...scanWords(v), ...type], 1, false)
}

function dumpKey(v: Vocabulary): Step {
  const key = v.looseKey()
  return dump(key, ['DUMP', key])
}

/** What there is to restore, sound or not. */
const payloads = [
  sealed('\x00\x01a'),
  sealed('\x00\xc1\x10\x27'),
  rdb(4, '\x02', rdbText('f1'), rdbText('v'), rdbText('f2'), rdbText('12')),
  rdb(2, '\x02', rdbText('m1'), rdbText('7')),
  rdb(13, rdbText(ziplist(['f1', 5, 'f3', 'text', 'f4', -70_000]))),
  rdb(11, rdbText(intset(2, [-3, 7, 300]))),
  rdb(3, '\x02', rdbText('m1'), '\x031.5', rdbText('m2'), '\xfe'),
  rdb(12, rdbText(ziplist(['m3', '-0.25', 'm1', 5]))),
  rdb(1, '\x02', rdbText('e1'), '\xc0\x07'),
  rdb(10, rdbText(ziplist(['e1', 5, 'e1', 'e2']))),
  rdb(99, '\x01a'),
  rdb(4, '\x00'),
  sealed('\x00\x01a', 99),
  'no payload at all',
  '',
]

function restore(v: Vocabulary): Request {
  const ttl = v.pick(['0', '0', '0', '100000', '-1', '', 'x', '1.5'])
  const options = v.shuffled([
    v.maybe(0.6, v.cased('REPLACE')),
    v.maybe(0.2, v.cased('ABSTTL')),
    // Redis keeps 24 bits of it, and what of larger ones these are has no meaning.
    v.maybe(0.1, v.cased('IDLETIME'), v.pick(['0', '7', '1000', '16000000', '-1', v.oddText()])),
    v.maybe(0.1, v.cased('FREQ'), v.pick(['0', '5', '255', '256', '-1', 'x'])),
    v.maybe(0.02, v.oddText()),
  ])
  return ['RESTORE', v.looseKey(), ttl, v.pick(payloads), ...options]
}

const object =
  (subcommand: string): Make =>
  (v) => ['OBJECT', v.cased(subcommand), v.looseKey()]

export const keyRequests: Readonly<Record<string, Make>> = {
  COPY: copy,
  DEL: keys('DEL'),
  DUMP: dumpKey,
  EXISTS: keys('EXISTS'),
  EXPIRE: expire('EXPIRE', 1000, true),
  EXPIREAT: expire('EXPIREAT', 1000, false),
  EXPIRETIME: oneKey('EXPIRETIME'),
  KEYS: (v) => ['KEYS', v.pattern()],
  'OBJECT|ENCODING': object('ENCODING'),
  'OBJECT|FREQ': object('FREQ'),
  'OBJECT|IDLETIME': object('IDLETIME'),
  'OBJECT|REFCOUNT': object('REFCOUNT'),
  PERSIST: oneKey('PERSIST'),
  PEXPIRE: expire('PEXPIRE', 1, true),
  PEXPIREAT: expire('PEXPIREAT', 1, false),
  PEXPIRETIME: oneKey('PEXPIRETIME'),
  PTTL: oneKey('PTTL'),
  RANDOMKEY: () => choice(['KEYS', '*'], ['RANDOMKEY'], true),
  RENAME: (v) => ['RENAME', v.anyKey(), v.anyKey()],
  RESTORE: restore,
  RENAMENX: (v) => ['RENAMENX', v.anyKey(), v.anyKey()],
  SCAN: scanKeys,
  TOUCH: keys('TOUCH'),
  TTL: oneKey('TTL'),
  TYPE: oneKey('TYPE'),
  UNLINK: keys('UNLINK'),
}

const memoryUsage: Make = (v) => {
  const samples = v.maybe(0.4, v.cased('SAMPLES'), v.chance(0.8) ? String(v.below(9)) : v.integerArgument())
  return ['MEMORY', v.cased('USAGE'), v.looseKey(), ...samples, ...v.maybe(0.05, v.oddText())]
}

export const serverRequests: Readonly<Record<string, Make>> = {
  DBSIZE: () => ['DBSIZE'],
  // Mostly refused, or there would never be much to flush.
  FLUSHALL: (v) => ['FLUSHALL', v.chance(0.1) ? 'ASYNC' : v.oddText()],
  'MEMORY|USAGE': memoryUsage,
  FLUSHDB: (v) => ['FLUSHDB', ...(v.chance(0.1) ? [v.cased('SYNC')] : ['SYNC', 'ASYNC'])],
}
