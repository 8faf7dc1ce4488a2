/**
 * Random requests of the stream group. What depends on the clock is left out of ids, and of how long an entry has been pending: that
 * is either nothing or very long.
 */
import type { Make } from './generator.ts'
import { deletedAfterDifference } from './randomSteps.ts'
import type { Request } from './side.ts'
import { plain, type Step } from './step.ts'
import type { Vocabulary } from './vocabulary.ts'

const groups = ['g1', 'g2']
const consumers = ['alice', 'bob', 'carol']
/** Redis cuts blocks at 100 entries, from which on what is approximate depends on the past. */
const addsMax = 80
const longMs = 100_000_000
const recentMax = 20

const group = (v: Vocabulary): string => (v.chance(0.95) ? v.pick(groups) : v.pick(['', 'none', '\xff\x00']))
const consumer = (v: Vocabulary): string => v.pick(consumers)

/** Ids rise with each request, so that most XADDs succeed; ranges are about the last of them. */
class Ids {
  ms = 1
  readonly adds = new Map<string, number>()
  /** What was asked for last, by key. */
  readonly recent = new Map<string, string[]>()

  note(key: string, id: string): void {
    const recent = this.recent.get(key) ?? []
    this.recent.set(key, recent)
    if (recent.push(id) > recentMax) recent.shift()
  }
}

const idsOf = new WeakMap<Vocabulary, Ids>()

function ids(v: Vocabulary): Ids {
  const known = idsOf.get(v) ?? new Ids()
  idsOf.set(v, known)
  return known
}

const oddIds = [
  '-',
  '+',
  '$',
  '>',
  '*',
  '1-',
  '-1',
  '1--1',
  '1-+2',
  '1-01',
  '1-*',
  '*-1',
  '0-0',
  '0-*',
  '0',
  '(1',
  '1-2-3',
  '18446744073709551615',
  '18446744073709551616',
  '18446744073709551615-18446744073709551615',
  '5-18446744073709551616',
  '1-\x00',
  '1\x00-1',
  '  7-3',
  '9007199254740993-9007199254740993',
]

function oddId(v: Vocabulary): string {
  return v.chance(0.7) ? v.pick(oddIds) : v.oddText()
}

/** Of an entry that may be there. */
function knownId(v: Vocabulary, key = ''): string {
  if (v.chance(0.03)) return oddId(v)
  const recent = ids(v).recent.get(key)
  if (recent !== undefined && v.chance(0.8)) return v.pick(recent)
  const ms = Math.max(0, ids(v).ms - v.below(40))
  return v.chance(0.15) ? String(ms) : `${ms}-${v.below(3)}`
}

/** Not `*`, for which the two clocks give different ones (`generated`). */
function newId(v: Vocabulary, key: string): string {
  const roll = v.below(60)
  if (roll < 2) {
    const id = roll === 0 ? v.pick(oddIds) : knownId(v)
    if (id !== '*') return id
  }
  const { ms } = ids(v)
  if (v.chance(0.6)) ids(v).ms++
  if (v.chance(0.3)) return v.chance(0.5) ? `${ms}-*` : String(ms)
  const id = `${ms}-${v.below(3)}`
  ids(v).note(key, id)
  return id
}

function bound(v: Vocabulary, key: string): string {
  const roll = v.below(20)
  if (roll < 4) return '-'
  if (roll < 8) return '+'
  return v.chance(0.25) ? `(${knownId(v, key)}` : knownId(v, key)
}

const fields = (v: Vocabulary): string[] =>
  v.chance(0.5)
    ? ['f', String(v.below(100)), ...v.maybe(0.5, 'g', v.letters(v.below(6)))]
    : v.some(3, () => [v.letters(1 + v.below(3)), v.bytes(v.below(8))]).flat()

const count = (v: Vocabulary, probability: number): string[] =>
  v.maybe(
    probability,
    v.cased('COUNT'),
    v.chance(0.9) ? String(1 + v.below(6)) : v.pick(['0', '-1', '9223372036854775807', v.oddText()]),
  )

/** Approximate only where nothing is to go, or all: else it depends on Redis's blocks. */
function trimWords(v: Vocabulary, probability: number): string[] {
  const roll = v.below(30)
  if (!v.chance(probability)) return []
  if (roll === 0) return [v.cased('MAXLEN'), v.oddText()]
  if (roll === 1) return ['MINID', oddId(v)]
  if (roll === 2) return ['MAXLEN', '5', 'MINID', '3']
  if (roll === 3) return ['MAXLEN', ...v.maybe(0.5, '='), '5', 'LIMIT', '2']
  if (roll === 4) return ['LIMIT', v.pick(['0', '5', '-1'])]
  if (roll === 5) return ['MAXLEN', '~', '1000', 'LIMIT', v.pick(['0', '5', '-1', 'x'])]
  if (roll < 8) return [v.cased('MAXLEN'), '~', '1000']
  if (roll < 10) return ['MINID', '~', '1']
  const operator = v.maybe(0.3, '=')
  return v.chance(0.6)
    ? [v.cased('MAXLEN'), ...operator, String(v.below(25))]
    : [v.cased('MINID'), ...operator, knownId(v)]
}

function add(v: Vocabulary): Request | Step {
  const key = v.streamKey()
  const { adds } = ids(v)
  const known = (adds.get(key) ?? 0) + 1
  if (known > addsMax || v.chance(0.02)) {
    adds.set(key, 0)
    return anew(v, key)
  }
  adds.set(key, known)
  const roll = v.below(50)
  if (roll === 0) return generated(v, key)
  if (roll === 1) return blocks(v)
  const words = v.shuffled([trimWords(v, 0.15), v.maybe(0.1, v.cased('NOMKSTREAM'))])
  return ['XADD', key, ...words, newId(v, key), ...fields(v), ...v.maybe(0.02, 'odd')]
}

function anew(v: Vocabulary, key: string): Step {
  const end = v.pick<Request>([
    ['DEL', key],
    ['UNLINK', key],
    ['DEL', key],
    ['SET', key, 'no stream'],
  ])
  return plain(
    end,
    ...(end[0] === 'SET'
      ? [
          ['XLEN', key],
          ['XADD', key, '*', 'a', 'b'],
          ['DEL', key],
        ]
      : []),
  )
}

/** Behind an id of the future, what `*` gives is known. */
function generated(v: Vocabulary, key: string): Step {
  ids(v).adds.set(key, addsMax)
  const future = '5000000000000'
  return plain(
    ['XADD', key, `${future}-${v.pick(['5', '*', '18446744073709551615'])}`, ...fields(v)],
    ['XADD', key, '*', ...fields(v)],
    ['XADD', key, '*', ...fields(v)],
    ['XADD', key, future, ...fields(v)],
    ['DEL', key],
  )
}

/** Enough entries for several of Redis's blocks. */
function blocks(v: Vocabulary): Step {
  const key = '{t}blocks'
  const size = 150 + v.below(200)
  const entries = Array.from({ length: size }, (_, i): Request => ['XADD', key, `${i + 1}-0`, 'f', 'v'])
  const limit = (): string[] => v.maybe(0.4, 'LIMIT', v.pick(['0', '50', '100', '150', '250']))
  const trims = v.some(
    3,
    (): Request =>
      v.chance(0.5)
        ? ['XTRIM', key, 'MAXLEN', '~', String(v.below(size + 20)), ...limit()]
        : ['XTRIM', key, 'MINID', '~', String(v.below(size + 20)), ...limit()],
  )
  return plain(
    ['DEL', key],
    ...entries,
    ...trims,
    ['XLEN', key],
    ['XRANGE', key, '-', '+', 'COUNT', '1'],
    ['DEL', key],
  )
}

function range(name: string): Make {
  return (v) => {
    const key = v.streamKey()
    return [name, key, bound(v, key), bound(v, key), ...count(v, 0.4), ...v.maybe(0.02, 'COUNT')]
  }
}

/** Those that make a consumer since 7.2, whatever comes of it: it is there before. */
const withConsumer =
  (make: (v: Vocabulary, key: string, name: string, who: string) => Request): Make =>
  (v): Step => {
    const [key, name, who] = [v.streamKey(), group(v), consumer(v)]
    return plain(['XGROUP', 'CREATECONSUMER', key, name, who], make(v, key, name, who))
  }

function read(v: Vocabulary): Request {
  const keys = v.some(3, () => v.streamKey())
  const from = keys.map((key) => (v.chance(0.15) ? '$' : knownId(v, key)))
  return [
    'XREAD',
    ...v.shuffled([
      count(v, 0.5),
      v.maybe(0.02, v.oddText()),
      v.maybe(0.01, 'NOACK'),
      v.maybe(0.01, 'GROUP', 'g', 'c'),
    ]),
    v.cased('STREAMS'),
    ...keys,
    ...from.slice(v.chance(0.02) ? 1 : 0),
  ]
}

function readGroup(v: Vocabulary): Step {
  const [name, who] = [group(v), consumer(v)]
  const keys = v.some(2, () => v.streamKey())
  const from = keys.map((key) =>
    v.chance(0.75) ? '>' : v.chance(0.9) ? v.pick(['0', knownId(v, key)]) : v.pick(['$', 'x']),
  )
  const words = v.shuffled([
    v.maybe(0.98, v.cased('GROUP'), name, who),
    count(v, 0.6),
    v.maybe(0.1, v.cased('NOACK')),
    v.maybe(0.01, v.oddText()),
  ])
  return plain(...keys.map((key): Request => ['XGROUP', 'CREATECONSUMER', key, name, who]), [
    'XREADGROUP',
    ...words,
    v.cased('STREAMS'),
    ...keys,
    ...from,
  ])
}

const idle = (v: Vocabulary): string =>
  v.chance(0.9) ? v.pick(['0', '0', String(longMs / 2)]) : v.pick(['-1', '9223372036854775807', v.oddText()])

function claimWords(v: Vocabulary): string[] {
  return v.shuffled([
    v.maybe(0.2, v.cased('IDLE'), v.pick(['0', String(longMs), '-5', v.chance(0.1) ? v.oddText() : '0'])),
    v.maybe(
      0.1,
      v.cased('TIME'),
      v.pick(['1000', '99999999999999', '-1', v.chance(0.1) ? v.oddText() : '1']),
    ),
    v.maybe(0.15, v.cased('RETRYCOUNT'), v.pick(['0', '7', '-1', v.chance(0.1) ? v.oddText() : '3'])),
    v.maybe(0.3, v.cased('FORCE')),
    v.maybe(0.3, v.cased('JUSTID')),
    v.maybe(0.05, v.cased('LASTID'), knownId(v)),
    v.maybe(0.02, v.oddText()),
  ])
}

const entriesRead = (v: Vocabulary): string[] =>
  v.maybe(0.15, v.cased('ENTRIESREAD'), v.chance(0.9) ? String(v.below(30) - 1) : v.pick(['-2', v.oddText()]))

const groupStart = (v: Vocabulary): string => v.pick(['0', '0', '$', knownId(v)])

/** A stream that a group made, and that never had an entry, goes with its last group: here it gets one. */
function createGroup(v: Vocabulary): Request | Step {
  const key = v.streamKey()
  const request: Request = [
    'XGROUP',
    'CREATE',
    key,
    group(v),
    groupStart(v),
    ...entriesRead(v),
    ...v.maybe(0.02, v.oddText()),
  ]
  if (v.chance(0.6)) return request
  ids(v).ms++
  return plain([...request, v.cased('MKSTREAM')], ['XADD', key, `${ids(v).ms}-*`, ...fields(v)])
}

function pendingOf(v: Vocabulary): Request {
  const key = v.streamKey()
  const words = v.chance(0.3)
    ? []
    : [
        ...v.maybe(0.3, v.cased('IDLE'), idle(v)),
        bound(v, key),
        bound(v, key),
        v.chance(0.95) ? String(v.below(8)) : v.pick(['-1', v.oddText()]),
        ...v.maybe(0.4, consumer(v)),
      ]
  return ['XPENDING', key, group(v), ...words, ...v.maybe(0.02, v.oddText())]
}

/** Mostly above all ids; else below the last one, as Redis allows where no entry is above. */
function setId(v: Vocabulary): Step {
  const key = v.streamKey()
  ids(v).ms += 2
  const marks = v.shuffled([
    v.maybe(0.3, v.cased('ENTRIESADDED'), v.chance(0.9) ? String(v.below(200)) : v.pick(['-1', v.oddText()])),
    v.maybe(
      0.3,
      v.cased('MAXDELETEDID'),
      v.chance(0.9) ? knownId(v) : v.pick(['0-0', '99999999999999', oddId(v)]),
    ),
    v.maybe(0.02, v.oddText()),
  ])
  const emptied: Request[] = v.chance(0.1) ? [['XTRIM', key, 'MAXLEN', '0']] : []
  const above = v.chance(0.95) ? String(ids(v).ms) : v.pick(['x', '-', '-1', '', '*', '1-*'])
  const id = emptied.length > 0 || v.chance(0.1) ? knownId(v, key) : above
  return deletedAfterDifference(plain(...emptied, ['XSETID', key, id, ...marks]), key)
}

function life(v: Vocabulary): Request {
  const key = v.streamKey()
  return v.pick<Request>([
    ['TYPE', key],
    ['EXISTS', key],
    ['OBJECT', 'ENCODING', key],
    ['PERSIST', key],
    ['XLEN', key],
    ['TOUCH', key],
    ['GET', key],
    ['LPUSH', '{t}l1', 'a'],
  ])
}

export const streamRequests: Readonly<Record<string, Make>> = {
  XACK: (v) => {
    const key = v.streamKey()
    return ['XACK', key, group(v), ...v.some(5, () => knownId(v, key))]
  },
  XADD: add,
  XAUTOCLAIM: withConsumer((v, key, name, who) => [
    'XAUTOCLAIM',
    key,
    name,
    who,
    idle(v),
    v.chance(0.6) ? '0' : bound(v, key),
    ...v.shuffled([
      v.maybe(
        0.5,
        v.cased('COUNT'),
        v.chance(0.9) ? String(1 + v.below(4)) : v.pick(['0', '-1', v.oddText()]),
      ),
      v.maybe(0.3, v.cased('JUSTID')),
      v.maybe(0.02, v.oddText()),
    ]),
  ]),
  XCLAIM: withConsumer((v, key, name, who) => [
    'XCLAIM',
    key,
    name,
    who,
    idle(v),
    ...v.some(4, () => knownId(v, key)),
    ...claimWords(v),
  ]),
  XDEL: (v) => {
    const key = v.streamKey()
    return ['XDEL', key, ...v.some(3, () => knownId(v, key))]
  },
  'XGROUP|CREATE': createGroup,
  'XGROUP|CREATECONSUMER': (v) => ['XGROUP', 'CREATECONSUMER', v.streamKey(), group(v), consumer(v)],
  'XGROUP|DELCONSUMER': (v) => ['XGROUP', 'DELCONSUMER', v.streamKey(), group(v), consumer(v)],
  'XGROUP|DESTROY': (v) => ['XGROUP', 'DESTROY', v.streamKey(), group(v)],
  'XGROUP|SETID': (v) => [
    'XGROUP',
    'SETID',
    v.streamKey(),
    group(v),
    v.chance(0.9) ? groupStart(v) : oddId(v),
    ...entriesRead(v),
    ...v.maybe(0.02, v.oddText()),
  ],
  'XINFO|CONSUMERS': (v) => ['XINFO', v.cased('CONSUMERS'), v.streamKey(), group(v)],
  'XINFO|GROUPS': (v) => ['XINFO', v.cased('GROUPS'), v.streamKey()],
  'XINFO|STREAM': (v) => [
    'XINFO',
    'STREAM',
    v.streamKey(),
    ...v.maybe(0.5, v.cased('FULL'), ...v.maybe(0.6, v.cased('COUNT'), String(v.below(6) - 1))),
    ...v.maybe(0.02, v.oddText()),
  ],
  XLEN: life,
  XPENDING: pendingOf,
  XRANGE: range('XRANGE'),
  XREAD: read,
  XREADGROUP: readGroup,
  XREVRANGE: range('XREVRANGE'),
  XSETID: setId,
  XTRIM: (v) => ['XTRIM', v.streamKey(), ...trimWords(v, 0.97), ...v.maybe(0.03, v.oddText())],
}

/** Redis tells those who watch of some of them; here who watches a stream hears of what is replicated. */
export const quietStreamWrites: readonly string[] = [
  'XACK',
  'XGROUP|CREATE',
  'XGROUP|CREATECONSUMER',
  'XGROUP|DELCONSUMER',
  'XGROUP|DESTROY',
  'XGROUP|SETID',
  'XTRIM',
]
