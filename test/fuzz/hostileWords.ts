/** What no program means to send: arguments of every kind that a server has to look at twice. */
import type { SeededRandom } from '#test/seed.ts'

const numbers = [
  ...[
    '0',
    '-0',
    '1',
    '-1',
    '2',
    '3',
    '5',
    '7',
    '10',
    '63',
    '64',
    '65',
    '100',
    '128',
    '255',
    '256',
    '1000',
    '16384',
    '-2',
    '-100',
  ],
  ...['2147483647', '2147483648', '-2147483648', '-2147483649', '4294967295', '4294967296', '1048576'],
  ...['9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740993'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809'],
  ...['18446744073709551615', '18446744073709551616', '340282366920938463463374607431768211456'],
]

const fractions = [
  'nan',
  '-nan',
  'inf',
  '+inf',
  '-inf',
  'infinity',
  '1e308',
  '1e309',
  '-1e308',
  '5e-324',
  '1e-400',
  '0.1',
  '-0.5',
  '1.',
]

const oddities = [
  ...[
    '',
    ' ',
    '\0',
    '\r\n',
    '\n',
    '"',
    "'",
    '\\',
    '*',
    '$',
    '-',
    '+',
    '(',
    '[',
    '(1',
    '[a',
    '[',
    '-inf',
    '{',
    '{}',
    '{t}',
    '}{',
  ],
  ...[
    '0x10',
    '1e3',
    '01',
    ' 1',
    '1 ',
    '1\0',
    '+1',
    '1_000',
    '--1',
    '1-',
    '-1-1',
    '0-0',
    '1-1',
    '0-18446744073709551615',
  ],
  ...[
    '*1\r\n$4\r\nPING\r\n',
    '+OK\r\n',
    '-ERR\r\n',
    '$-1\r\n',
    '\xff\xfe',
    '\xc3\x28',
    '%s%n%d',
    '../../x',
    '__proto__',
    'constructor',
    'toString',
  ],
  ...[
    'u64',
    'i64',
    'i65',
    'u0',
    '#0',
    '#9223372036854775807',
    '~',
    '=',
    '>',
    '%',
    '*?*?*?*?*?*?b',
    '[^',
    '[a-',
    '\\\\\\',
  ],
]

/** Every word that some option of some command has. */
const optionWords = [
  ...[
    'NX',
    'XX',
    'GT',
    'LT',
    'CH',
    'INCR',
    'GET',
    'EX',
    'PX',
    'EXAT',
    'PXAT',
    'KEEPTTL',
    'WITHSCORES',
    'WITHSCORE',
    'WITHVALUES',
    'LIMIT',
  ],
  ...[
    'BYSCORE',
    'BYLEX',
    'REV',
    'MATCH',
    'COUNT',
    'TYPE',
    'NOVALUES',
    'WEIGHTS',
    'AGGREGATE',
    'MAX',
    'MIN',
    'SUM',
    'LEFT',
    'RIGHT',
    'BEFORE',
  ],
  ...[
    'AFTER',
    'STORE',
    'STOREDIST',
    'BY',
    'ASC',
    'DESC',
    'ALPHA',
    'MAXLEN',
    'MINID',
    'NOMKSTREAM',
    'STREAMS',
    'BLOCK',
    'GROUP',
    'NOACK',
  ],
  ...[
    'JUSTID',
    'FORCE',
    'IDLE',
    'TIME',
    'RETRYCOUNT',
    'LASTID',
    'REPLACE',
    'ABSTTL',
    'FREQ',
    'IDLETIME',
    'RANK',
    'FROMMEMBER',
    'FROMLONLAT',
  ],
  ...[
    'BYRADIUS',
    'BYBOX',
    'WITHCOORD',
    'WITHDIST',
    'WITHHASH',
    'BIT',
    'BYTE',
    'AND',
    'NOT',
    'OVERFLOW',
    'WRAP',
    'SAT',
    'FAIL',
    'SET',
    'INCRBY',
  ],
  ...['m', 'km', 'ft', 'ASYNC', 'SYNC', 'AUTH', 'SETNAME', 'ID', 'ADDR', 'SKIPME', 'yes', 'no', 'on', 'off'],
]

const longBytesMax = 20_000

/** Keys by what they mostly hold; all in one slot, and some in others. */
const keys = Array.from({ length: 3 }, (_, i) =>
  ['s', 'b', 'h', 'z', 'r', 'g', 'l', 'x', 'p'].map((type) => `{t}${type}${i + 1}`),
).flat()
const looseKeys = ['', 'o1', 'o2', 'o3', '{t', '{}', '{}a', '\0', '{t}\0\xff\r\n', 'x'.repeat(500)]

export class HostileWords {
  readonly random: SeededRandom

  constructor(random: SeededRandom) {
    this.random = random
  }

  key(): string {
    const roll = this.random.below(20)
    if (roll === 0) return this.any()
    return this.random.pick(roll < 3 ? looseKeys : keys)
  }

  /** Mostly small, so that something comes of it. */
  integer(): string {
    const roll = this.random.below(10)
    if (roll < 5) return String(this.random.below(8) - 1)
    return roll < 9 ? this.random.pick(numbers) : this.any()
  }

  double(): string {
    const roll = this.random.below(10)
    if (roll < 4) return String((this.random.below(400) - 200) / 4)
    return roll < 9 ? this.random.pick(roll < 7 ? fractions : numbers) : this.any()
  }

  /** For a time-out of a client that waits: seconds or milliseconds, short ones mostly. */
  waiting(): string {
    return this.random.chance(0.8) ? this.random.pick(['0.001', '0.01', '1', '5', '0']) : this.double()
  }

  text(): string {
    const roll = this.random.below(10)
    if (roll < 4) return this.random.pick(['a', 'b', 'c', 'd', 'member', 'field'])
    return roll < 6 ? this.random.pick(numbers) : this.any()
  }

  any(): string {
    const roll = this.random.below(12)
    if (roll < 4) return this.random.pick(oddities)
    if (roll < 6) return this.random.pick(optionWords)
    if (roll < 7) return this.random.pick(fractions)
    if (roll < 9) return this.random.pick(numbers)
    if (roll < 10) return this.random.pick(keys)
    return roll < 11 ? this.binary(this.random.below(40)) : this.long()
  }

  binary(length: number): string {
    return Array.from({ length }, () => String.fromCharCode(this.random.below(256))).join('')
  }

  long(): string {
    return this.random
      .pick(['x', '\0', '9', '*', '[', '{', '(', '\xff'])
      .repeat(this.random.below(longBytesMax))
  }
}
