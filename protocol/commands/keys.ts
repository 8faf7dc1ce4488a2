/** Where the keys of a request are. */
import type { CommandSpec } from './index.ts'
import type { KeyFlag, KeySpec } from './table.ts'

export interface KeyPlaces {
  readonly spec: KeySpec
  readonly positions: number[]
}

/** Text of the argument at `index`; asked only for those that count keys, and options. */
type ArgumentAt = (index: number) => string

/**
 * Indices of the key arguments, in order, as far as the request says where they are (it doesn't with a bad number of
 * keys): whoever runs the command finds the words for that. For the common case of one key look at `spec.onlyKey`.
 */
export function keyPositions(spec: CommandSpec, argumentCount: number, argumentAt: ArgumentAt): number[] {
  if (spec.onlyKey > 0) return spec.onlyKey < argumentCount ? [spec.onlyKey] : []
  const positions: number[] = []
  for (const keySpec of spec.keys) {
    const found = placesOf(keySpec, argumentCount, argumentAt)
    if (found === null && keySpec.find.kind !== 'counted' && !isEmptyRest(keySpec, argumentCount)) return []
    for (const position of found ?? []) positions.push(position)
  }
  return positions
}

/** The same, apart by key specification; null when the request doesn't say where its keys are. */
export function keyPlaces(
  spec: CommandSpec,
  argumentCount: number,
  argumentAt: ArgumentAt,
): KeyPlaces[] | null {
  const places: KeyPlaces[] = []
  for (const keySpec of spec.keys) {
    const positions = placesOf(keySpec, argumentCount, argumentAt)
    if (positions === null) return null
    places.push({ spec: keySpec, positions })
  }
  return places
}

/** Those of the specifications that the request does satisfy, whatever the others say. */
export function keyPlacesFound(
  spec: CommandSpec,
  argumentCount: number,
  argumentAt: ArgumentAt,
): KeyPlaces[] {
  return spec.keys.map((keySpec) => ({
    spec: keySpec,
    positions: placesOf(keySpec, argumentCount, argumentAt) ?? [],
  }))
}

/** Some flags depend on the options: SET reads the old value only with GET, BITFIELD may only read. */
export function flagsInUse(
  spec: CommandSpec,
  { flags }: KeySpec,
  argumentCount: number,
  argumentAt: ArgumentAt,
): readonly KeyFlag[] {
  if (!flags.includes('variable_flags')) return flags
  const words: string[] = []
  for (let i = 2; i < argumentCount; i++) words.push(argumentAt(i).toUpperCase())
  if (spec.name === 'SET') return words.includes('GET', 1) ? ['RW', 'access', 'update'] : ['OW', 'update']
  if (spec.name === 'BITFIELD' && onlyGets(words)) return ['RO', 'access']
  return flags.filter((flag) => flag !== 'variable_flags')
}

/** Operations of BITFIELD, well formed. */
function onlyGets(words: readonly string[]): boolean {
  let at = 0
  while (at < words.length) {
    const length = words[at] === 'GET' ? 3 : words[at] === 'OVERFLOW' ? 2 : Number.POSITIVE_INFINITY
    at += length
  }
  return at === words.length
}

/** Keys up to the last argument, of which there are none: PFMERGE without sources. */
const isEmptyRest = ({ begin, find }: KeySpec, argumentCount: number): boolean =>
  find.kind === 'range' && find.last === -1 && begin === argumentCount

const keyCountPattern = /^[1-9][0-9]{0,8}$/

function placesOf({ begin, find }: KeySpec, argumentCount: number, argumentAt: ArgumentAt): number[] | null {
  if (find.kind === 'unknown') return []
  if (find.kind === 'behind') return placesBehind(find.word, begin, argumentCount, argumentAt)
  if (find.kind === 'halfBehind') return firstHalfBehind(find.word, begin, argumentCount, argumentAt)
  if (find.kind === 'anywhere') return placeBehindLast(find, begin, argumentCount, argumentAt)
  let first = begin
  let last: number
  let step = 1
  if (find.kind === 'range') {
    last = find.last < 0 ? argumentCount + find.last : begin + find.last
    step = find.step
  } else {
    if (begin >= argumentCount) return null
    const text = argumentAt(begin)
    if (!keyCountPattern.test(text)) return null
    first = begin + 1
    last = begin + Number(text)
  }
  if (last >= argumentCount || last < first) return null
  const positions: number[] = []
  for (let position = first; position <= last; position += step) positions.push(position)
  return positions
}

/**
 * Of an option that is said twice both places: the command takes one of them. A word that is the value of another option
 * counts too, which can only lead to an error.
 */
function placesBehind(word: string, begin: number, argumentCount: number, argumentAt: ArgumentAt): number[] {
  const positions: number[] = []
  for (let i = begin; i < argumentCount - 1; i++) {
    if (argumentAt(i).toUpperCase() === word) positions.push(i + 1)
  }
  return positions
}

/** Without the word, or with nothing to halve, the request doesn't say. */
function firstHalfBehind(
  word: string,
  begin: number,
  argumentCount: number,
  argumentAt: ArgumentAt,
): number[] | null {
  let first = begin
  while (first < argumentCount && argumentAt(first).toUpperCase() !== word) first++
  first++
  const count = Math.floor((argumentCount - first) / 2)
  return count < 1 ? null : Array.from({ length: count }, (_, i) => first + i)
}

function placeBehindLast(
  { word, passed }: { word: string; passed: Readonly<Record<string, number>> },
  begin: number,
  argumentCount: number,
  argumentAt: ArgumentAt,
): number[] {
  let place: number | undefined
  for (let i = begin; i < argumentCount; i++) {
    const option = argumentAt(i).toUpperCase()
    if (option === word && i + 1 < argumentCount) place = ++i
    else i += Object.hasOwn(passed, option) ? (passed[option] ?? 0) : 0
  }
  return place === undefined ? [] : [place]
}
