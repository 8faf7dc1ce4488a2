/** Random requests of the geo group. */
import type { Make } from './generator.ts'
import { geoSearch, geoStore } from './geoSteps.ts'
import type { Request } from './side.ts'
import { plain, type Step } from './step.ts'
import type { Vocabulary } from './vocabulary.ts'

/** A member: few names, so that searches and distances find theirs. */
const place = (v: Vocabulary): string =>
  v.chance(0.9) ? v.pick(['a', 'b', 'c', 'd', 'e', 'f1']) : v.element()

/** Places near each other, the corners of the map, and any. */
function point(v: Vocabulary): string[] {
  const roll = v.below(20)
  if (roll === 0)
    return v.pick([
      ['181', '0'],
      ['0', '86'],
      ['-180.1', '1'],
      ['inf', '0'],
      ['1e300', '-1e300'],
      ['x', '1'],
    ])
  if (roll === 1)
    return v.pick([
      ['180', '85.05112878'],
      ['-180', '-85.05112878'],
      ['180', '0'],
      ['0', '0'],
      ['-0', '-0'],
    ])
  return roll < 14 ? nearPoint(v) : [degrees(v, 0, 180), degrees(v, 0, 85)]
}

const nearPoint = (v: Vocabulary): string[] => [degrees(v, 13, 5), degrees(v, 38, 5)]

const degrees = (v: Vocabulary, middle: number, range: number): string =>
  String(middle + (v.below(2_000_001) - 1_000_000) * 1e-6 * range)

function add(v: Vocabulary): Request | Step {
  if (v.chance(0.3)) return anew(v)
  const words = v.shuffled([
    v.maybe(0.1, v.cased('NX')),
    v.maybe(0.1, v.cased('XX')),
    v.maybe(0.2, v.cased('CH')),
  ])
  const points = v.some(6, () => [...point(v), place(v)]).flat()
  return ['GEOADD', v.geoKey(), ...words, ...points, ...v.maybe(0.02, v.oddText())]
}

/** In place of what is there. */
function anew(v: Vocabulary): Step {
  const key = v.geoKey()
  const points = v.some(9, () => [...nearPoint(v), place(v)]).flat()
  return plain(['DEL', key], ['GEOADD', key, ...points])
}

const unit = (v: Vocabulary): string =>
  v.chance(0.97) ? v.cased(v.pick(['M', 'KM', 'KM', 'FT', 'MI'])) : v.oddText()

const length = (v: Vocabulary): string =>
  v.chance(0.95)
    ? v.pick(['0', '1', '50', '200', '1000', '2000.5', '5000', '10000', '30000', '1e6', '250000'])
    : v.pick(['-1', 'inf', '1e308', v.oddText()])

const commonWords = (v: Vocabulary): Request[] => [
  v.maybe(0.3, v.cased('WITHDIST')),
  v.maybe(0.3, v.cased('WITHCOORD')),
  v.maybe(0.3, v.cased('WITHHASH')),
  sorting(v),
  v.maybe(0.02, v.oddText()),
]

const sorting = (v: Vocabulary): string[] => [
  ...v.maybe(0.5, v.cased(v.pick(['ASC', 'DESC']))),
  ...v.maybe(
    0.3,
    v.cased('COUNT'),
    v.chance(0.9) ? String(1 + v.below(6)) : v.integerArgument(),
    ...v.maybe(0.3, v.cased('ANY')),
  ),
  ...v.maybe(0.02, v.cased('ANY')),
]

const isSorted = (request: Request): boolean => request.some((word) => /^(asc|desc|count)$/i.test(word))
const hasInexactScores = (request: Request): boolean => request.some((word) => /^storedist$/i.test(word))

/** Members at one distance may come in any order, and the last digits of distances may differ. */
function read(request: Request): Request | Step {
  return isSorted(request) ? geoSearch(request) : request
}

function stored(request: Request): Request | Step {
  return isSorted(request) || hasInexactScores(request) ? geoStore(request) : request
}

const radius =
  (name: string, where: (v: Vocabulary) => string[], stores: number): Make =>
  (v) => {
    const around = [name, v.geoKey(), ...where(v), length(v), unit(v)]
    if (!v.chance(stores)) return read([...around, ...v.shuffled(commonWords(v))])
    const targets = v.chance(0.05) ? [targetOf(v), targetOf(v)] : [targetOf(v)]
    const words = v.shuffled([
      ...targets.map((target) => [v.cased(v.pick(['STORE', 'STOREDIST'])), target]),
      v.maybe(0.05, v.cased('WITHDIST')),
      sorting(v),
    ])
    return stored([...around, ...words])
  }

const targetOf = (v: Vocabulary): string => (v.chance(0.4) ? v.geoKey() : v.anyKey())

const centre = (v: Vocabulary): string[] =>
  v.chance(0.5) ? [v.cased('FROMMEMBER'), place(v)] : [v.cased('FROMLONLAT'), ...point(v)]

const extent = (v: Vocabulary): string[] =>
  v.chance(0.5)
    ? [v.cased('BYRADIUS'), length(v), unit(v)]
    : [v.cased('BYBOX'), length(v), length(v), unit(v)]

const searchWords = (v: Vocabulary): Request[] => [
  v.chance(0.98) ? centre(v) : [],
  v.chance(0.98) ? extent(v) : [],
  v.chance(0.02) ? centre(v) : [],
  v.chance(0.02) ? extent(v) : [],
]

function search(v: Vocabulary): Request | Step {
  return read([v.cased('GEOSEARCH'), v.geoKey(), ...v.shuffled([...searchWords(v), ...commonWords(v)])])
}

function searchStore(v: Vocabulary): Request | Step {
  const target = targetOf(v)
  const words = [...searchWords(v), sorting(v), v.maybe(0.4, v.cased('STOREDIST')), v.maybe(0.03, 'WITHHASH')]
  return stored([v.cased('GEOSEARCHSTORE'), target, v.geoKey(), ...v.shuffled(words)])
}

const members =
  (name: string): Make =>
  (v) => [name, v.geoKey(), ...v.some(5, () => place(v))]

export const geoRequests: Readonly<Record<string, Make>> = {
  GEOADD: add,
  GEODIST: (v) => [
    'GEODIST',
    v.geoKey(),
    place(v),
    place(v),
    ...v.maybe(0.6, unit(v)),
    ...v.maybe(0.02, 'm'),
  ],
  GEOHASH: members('GEOHASH'),
  GEOPOS: members('GEOPOS'),
  GEORADIUS: radius('GEORADIUS', point, 0.3),
  GEORADIUSBYMEMBER: radius('GEORADIUSBYMEMBER', (v) => [place(v)], 0.3),
  GEORADIUSBYMEMBER_RO: radius('GEORADIUSBYMEMBER_RO', (v) => [place(v)], 0.03),
  GEORADIUS_RO: radius('GEORADIUS_RO', point, 0.03),
  GEOSEARCH: search,
  GEOSEARCHSTORE: searchStore,
}
