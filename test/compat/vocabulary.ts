/**
 * What random requests are made of. Few keys, so that commands meet each other's data; each type has its own, and now and
 * then a command gets one of another's. Keys carry one tag, because a cluster wants the keys of a command in one slot.
 */
import { SeededRandom } from '#test/seed.ts'
import type { Request } from './side.ts'

const stringKeys = ['{t}s1', '{t}s2', '{t}s3', '{t}s4', '{t}\x00\xff\r\n']
const bitmapKeys = ['{t}b1', '{t}b2', '{t}b3']
const hashKeys = ['{t}h1', '{t}h2', '{t}h3', '{t}h4']
const setKeys = ['{t}z1', '{t}z2', '{t}z3', '{t}z4', '{t}z5']
const sortedKeys = ['{t}r1', '{t}r2', '{t}r3', '{t}r4']
const geoKeys = ['{t}g1', '{t}g2', '{t}g3']
const listKeys = ['{t}l1', '{t}l2', '{t}l3', '{t}l4']
const streamKeys = ['{t}x1', '{t}x2', '{t}x3', '{t}x4']
const hllKeys = ['{t}p1', '{t}p2', '{t}p3', '{t}p4']
const otherKeys = ['{t}none', '{t}new']
/** In slots of their own; only for commands with one key, and those that a cluster splits. */
const looseKeys = ['', 'o1', 'o2', '{o3', 'o4}{}', '\x00']

/** Never taken for a number, or for one that is out of range. */
const oddTexts = [
  '',
  'abc',
  '1.5',
  '9223372036854775808',
  '-9223372036854775809',
  '99999999999999999999999',
  '-',
  ' 1',
  '1 ',
  '01',
  '-0',
  '+5',
  '1e3',
  '0x10',
  '1\x00',
  'nx',
  'GT',
  'WithValues',
  'limit',
  'MATCH',
]

/** Sums of stored numbers stay within the bounds of both sides. */
const storedOddTexts = oddTexts.filter((text) => text.length < 15)

/** Within what counters of both sides take; sums of a few of them too. */
const integers = [0, 1, -1, 2, 7, -7, 10, 100, 255, 1000, -32769, 65536, 2 ** 31, -(2 ** 31), 2 ** 40]

/** No scores, or such as only look odd. */
const oddScores = [
  'nan',
  '-nan',
  '1e400',
  '-1e400',
  '1e-400',
  '0x',
  '0x1.8p1',
  '(1',
  '+5.',
  '.',
  'e5',
  '-.5e1',
  'infinit',
  '0e999',
]

const letters = 'abcdefgh'

export class Vocabulary extends SeededRandom {
  /** All keys carry the tag: what a transaction in a clustered database needs. */
  oneSlot = false
  readonly #startSeconds: number
  #times = 0

  constructor(seed: number, startMs: number) {
    super(seed)
    this.#startSeconds = Math.floor(startMs / 1000)
  }

  stringKey(): string {
    return this.#key(stringKeys)
  }

  /** Also keys of other strings. */
  bitmapKey(): string {
    return this.chance(0.7) ? this.#key(bitmapKeys) : this.stringKey()
  }

  hashKey(): string {
    return this.#key(hashKeys)
  }

  setKey(): string {
    return this.#key(setKeys)
  }

  sortedKey(): string {
    return this.#key(sortedKeys)
  }

  geoKey(): string {
    return this.#key(geoKeys)
  }

  listKey(): string {
    return this.#key(listKeys)
  }

  streamKey(): string {
    return this.#key(streamKeys)
  }

  hllKey(): string {
    return this.#key(hllKeys)
  }

  /** Never of another group. */
  ownHllKey(): string {
    return this.pick(hllKeys)
  }

  /** With the tag. */
  anyKey(): string {
    const kinds = [
      stringKeys,
      hashKeys,
      setKeys,
      sortedKeys,
      geoKeys,
      listKeys,
      streamKeys,
      bitmapKeys,
      otherKeys,
    ]
    return this.pick(this.pick(kinds))
  }

  /** Also keys in other slots. */
  looseKey(): string {
    return !this.oneSlot && this.chance(0.3) ? this.pick(looseKeys) : this.anyKey()
  }

  #key(own: readonly string[]): string {
    return this.chance(0.88) ? this.pick(own) : this.anyKey()
  }

  /** A field or a member. */
  element(): string {
    if (this.chance(0.8)) return this.pick(['f1', 'f2', 'f3', 'a', 'b', 'c', 'd', 'e', '1', '2', '30'])
    return this.chance(0.5) ? this.value() : String(this.below(40))
  }

  elements(max = 5): string[] {
    return this.some(max, () => this.element())
  }

  /** One or more. */
  some<T>(max: number, make: () => T): T[] {
    return Array.from({ length: 1 + this.below(max) }, make)
  }

  value(): string {
    switch (this.below(8)) {
      case 0:
      case 1:
        return this.integer()
      case 2:
        return this.fraction4()
      case 3:
        return this.bytes(this.below(12))
      case 4:
        return this.chance(0.1) ? this.letters(20_000) : this.bytes(this.below(200))
      case 5:
        return this.chance(0.3) ? this.storedOddText() : ''
      default:
        return this.letters(this.below(30))
    }
  }

  /** To be put behind or into another value: two long numbers would make one beyond the bounds. */
  part(): string {
    const value = this.value()
    return /^[0-9]{4,}$/.test(value) ? this.letters(4) : value
  }

  /** A text that is no number, or no more than 15 characters of one. */
  storedOddText(): string {
    return this.pick(storedOddTexts)
  }

  letters(length: number): string {
    return this.#textOf(length, () => letters.charCodeAt(this.below(letters.length)))
  }

  bytes(length: number): string {
    return this.#textOf(length, () => this.below(256))
  }

  #textOf(length: number, code: () => number): string {
    let text = ''
    for (let i = 0; i < length; i++) text += String.fromCharCode(code())
    return text
  }

  integer(): string {
    return String(this.chance(0.7) ? this.below(20) - 5 : this.pick(integers))
  }

  /** As a number argument: mostly one, else a text that is none. */
  integerArgument(): string {
    return this.chance(0.93) ? this.integer() : this.oddText()
  }

  /** Into a text of a few bytes; any 64 bits. */
  offset(): string {
    const roll = this.below(20)
    if (roll === 0) return this.pick(['9223372036854775807', '-9223372036854775808', '-9223372036854775807'])
    if (roll === 1) return this.oddText()
    return String(this.below(40) - 15)
  }

  /** Of a sorted set. */
  score(): string {
    const roll = this.below(40)
    if (roll === 0) return this.oddText()
    if (roll === 1) return this.pick(oddScores)
    if (roll < 5)
      return this.pick(['inf', '+inf', '-inf', 'Infinity', '0.1', '-3.3', '1e17', '5e-324', '1e300'])
    if (roll < 12) return this.increment()
    return String(this.below(roll < 20 ? 3 : 20))
  }

  /** Of a score. */
  increment(): string {
    const roll = this.below(30)
    if (roll === 0) return this.pick(['inf', '-inf', '1e300', '-1e308', '5e-324', ...oddScores])
    if (roll < 10) return this.fraction4()
    return roll < 20
      ? String((this.below(200) - 100) / 2)
      : this.pick(['1', '-1', '2', '0', '0.1', '-0.3', '1e3', '0x10'])
  }

  oddText(): string {
    return this.pick(oddTexts)
  }

  /** Decimal with up to four digits behind the point. */
  fraction4(): string {
    return String((this.below(200_000) - 100_000) / 10 ** this.below(5))
  }

  /** Seconds from now. All are different by more than a run takes, so that GT and LT have one answer on both sides. */
  seconds(): number {
    this.#times++
    return 1000 * (1 + ((this.#times * 7919) % 100_003))
  }

  /** The time argument of commands with such a unit: in the future, or past, or none. */
  time(unitMs: 1 | 1000, relative: boolean): string {
    const scale = 1000 / unitMs
    const roll = this.below(30)
    if (roll === 0) return this.oddText()
    if (roll === 1) return relative ? '9223372036854775807' : '9223372036854775808'
    if (roll === 2) return '-9223372036854775808'
    if (roll < 5) return relative ? this.pick(['0', '-1', '-1000']) : this.pick(['0', '1', '-1', '1000000'])
    return String((this.seconds() + (relative ? 0 : this.#startSeconds)) * scale)
  }

  /** A word in some letter case. */
  cased(word: string): string {
    const roll = this.below(6)
    if (roll < 3) return word
    return roll < 5 ? word.toLowerCase() : `${word.charAt(0)}${word.slice(1).toLowerCase()}`
  }

  /** Glob patterns, odd ones too. */
  pattern(): string {
    return this.pick([
      '*',
      '{t}*',
      '*[12]',
      '?t?s?',
      '*z*',
      '[',
      '[^',
      '\\',
      '**',
      '*\x00*',
      '[a-\xff]*',
      'o?',
      '*[^0-5]',
    ])
  }

  maybe(probability: number, ...request: string[]): string[] {
    return this.chance(probability) ? request : []
  }

  shuffled(parts: readonly Request[]): string[] {
    const rest = [...parts]
    const words: string[] = []
    while (rest.length > 0) words.push(...(rest.splice(this.below(rest.length), 1)[0] ?? []))
    return words
  }
}
