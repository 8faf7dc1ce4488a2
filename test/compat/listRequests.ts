/** Random requests of the list group. Those that block find data, or wait for a moment only. */
import { either, timeout } from './blockingRequests.ts'
import type { Make } from './generator.ts'
import type { Request } from './side.ts'
import { plain, type Step } from './step.ts'
import type { Vocabulary } from './vocabulary.ts'

function push(name: string): Make {
  return (v) => {
    const key = v.listKey()
    if (v.chance(0.01)) return [name, key, ...Array.from({ length: 600 }, (_, i) => String(i % 50))]
    return [name, key, ...v.elements(6)]
  }
}

function pop(name: string): Make {
  return (v) => {
    const count = v.chance(0.8)
      ? String(v.below(5))
      : v.pick(['-1', '200', '9223372036854775807', v.oddText()])
    return [name, v.listKey(), ...v.maybe(0.4, count), ...v.maybe(0.02, '1')]
  }
}

const side = (v: Vocabulary): string =>
  v.chance(0.96) ? v.cased(v.pick(['LEFT', 'RIGHT'])) : v.pick(['UP', 'LEFTY', '', 'LEF'])

/** Far beyond both ends, too. */
const place = (v: Vocabulary): string => (v.chance(0.85) ? String(v.below(24) - 10) : v.offset())

function insert(v: Vocabulary): Request {
  const where = v.chance(0.95) ? v.cased(v.pick(['BEFORE', 'AFTER'])) : v.oddText()
  return ['LINSERT', v.listKey(), where, v.element(), v.element()]
}

const count = (v: Vocabulary): string =>
  v.chance(0.9)
    ? String(v.below(9) - 4)
    : v.pick(['9223372036854775807', '-9223372036854775808', '-9223372036854775807', v.oddText()])

/** -2^63, which 7.2 refuses, is missing: 7.0 takes it. */
const rank = (v: Vocabulary): string =>
  v.chance(0.9)
    ? String(v.below(9) - 4)
    : v.pick(['9223372036854775807', '-9223372036854775807', v.oddText()])

function position(v: Vocabulary): Request {
  const options = v.shuffled([
    v.maybe(0.5, v.cased('RANK'), rank(v)),
    v.maybe(0.5, v.cased('COUNT'), v.chance(0.9) ? String(v.below(4)) : count(v)),
    v.maybe(0.4, v.cased('MAXLEN'), v.chance(0.9) ? String(v.below(8)) : count(v)),
    v.maybe(0.02, v.oddText()),
    v.maybe(0.02, v.cased('RANK'), '1'),
  ])
  return ['LPOS', v.listKey(), v.element(), ...options]
}

/** `numkeys key [key ...] LEFT|RIGHT [COUNT count]`. */
function several(v: Vocabulary): string[] {
  const lists = v.some(4, () => v.listKey())
  const keyCount = v.chance(0.92)
    ? String(lists.length)
    : v.pick(['0', '-1', '99', '9223372036854775807', v.oddText()])
  const taken = v.chance(0.85)
    ? String(1 + v.below(4))
    : v.pick(['0', '-1', '9223372036854775807', v.oddText()])
  return [
    keyCount,
    ...lists,
    side(v),
    ...v.maybe(0.6, v.cased('COUNT'), taken),
    ...v.maybe(0.02, v.pick(['COUNT', 'x'])),
    ...v.maybe(0.02, 'COUNT', '1'),
  ]
}

/** For ever, with something to have: unless the key is of another type, which is an error at once. */
const found =
  (make: (v: Vocabulary, key: string) => Request): Make =>
  (v): Step => {
    const key = v.listKey()
    return plain(['RPUSH', key, ...v.elements()], make(v, key))
  }

const blockingPop = (name: string): Make =>
  either(
    found((v, key) => [name, key, v.listKey(), '0']),
    (v) => [name, ...v.some(3, () => v.listKey()), timeout(v)],
  )

export const listRequests: Readonly<Record<string, Make>> = {
  BLMOVE: either(
    found((v, key) => ['BLMOVE', key, v.listKey(), side(v), side(v), '0']),
    (v) => ['BLMOVE', v.listKey(), v.listKey(), side(v), side(v), timeout(v)],
  ),
  BLMPOP: either(
    found((v, key) => ['BLMPOP', '0', '2', key, v.listKey(), side(v), ...v.maybe(0.5, 'COUNT', '2')]),
    (v) => ['BLMPOP', timeout(v), ...several(v)],
  ),
  BLPOP: blockingPop('BLPOP'),
  BRPOP: blockingPop('BRPOP'),
  BRPOPLPUSH: either(
    found((v, key) => ['BRPOPLPUSH', key, v.listKey(), '0']),
    (v) => ['BRPOPLPUSH', v.listKey(), v.listKey(), timeout(v)],
  ),
  LINDEX: (v) => ['LINDEX', v.listKey(), place(v)],
  LINSERT: insert,
  LLEN: (v) => ['LLEN', v.listKey()],
  LMOVE: (v) => ['LMOVE', v.listKey(), v.listKey(), side(v), side(v)],
  LMPOP: (v) => ['LMPOP', ...several(v)],
  LPOP: pop('LPOP'),
  LPOS: position,
  LPUSH: push('LPUSH'),
  LPUSHX: push('LPUSHX'),
  LRANGE: (v) => ['LRANGE', v.listKey(), place(v), place(v)],
  LREM: (v) => ['LREM', v.listKey(), count(v), v.element()],
  LSET: (v) => ['LSET', v.listKey(), place(v), v.element()],
  LTRIM: (v) => ['LTRIM', v.listKey(), v.chance(0.7) ? String(v.below(3)) : place(v), place(v)],
  RPOP: pop('RPOP'),
  RPOPLPUSH: (v) => ['RPOPLPUSH', v.listKey(), v.listKey()],
  RPUSH: push('RPUSH'),
  RPUSHX: push('RPUSHX'),
}
