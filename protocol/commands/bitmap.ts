import {
  behind,
  block,
  integer,
  key,
  keyAt,
  keysFrom,
  multiple,
  multipleWithToken,
  noted,
  oneOf,
  optional,
  since,
  text,
  word,
} from './grammar.ts'
import type { CommandTable } from './table.ts'

const reading = 'Reads what this cluster has; writes of other clusters show once they have arrived.'
const wholeValue =
  'Sets the whole resulting value and keeps the TTL: of two concurrent changes the later one wins, bits do not merge. What changes nothing is not sent.'
const shorter = 'The longest value has 24 bytes less than 512 MiB.'

const field = block('encoding_offset', text('encoding'), integer('offset'))

export const bitmapCommands = {
  BITCOUNT: {
    arity: -2,
    flags: ['readonly'],
    categories: ['read', 'bitmap', 'slow'],
    keys: [keyAt(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: reading,
    since: '2.6.0',
    history: [['7.0.0', 'Added the `BYTE|BIT` option.']],
    complexity: 'O(N)',
    summary: 'Counts the bits that are set in a string, or in a range of its bytes or bits.',
    args: [
      key(),
      optional(
        block(
          'index',
          integer('start'),
          integer('end'),
          since('7.0.0', optional(oneOf('index_unit', word('BYTE'), word('BIT')))),
        ),
      ),
    ],
  },
  BITFIELD: {
    arity: -2,
    flags: ['write', 'denyoom'],
    categories: ['write', 'bitmap', 'slow'],
    keys: [
      noted(
        'This command allows both access and modification of the key',
        keyAt(1, 'RW', 'access', 'update', 'variable_flags'),
      ),
    ],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote: wholeValue,
    difference:
      'The longest value has 24 bytes less than 512 MiB. With OVERFLOW SAT, a SET of a value far below what fits sets the least that fits; Redis 7 sets the greatest when the difference of the two exceeds 64 bits.',
    since: '3.2.0',
    complexity: 'O(1) for each subcommand specified',
    summary: 'Reads, writes and adds to integers of up to 64 bits that lie anywhere in a string.',
    args: [
      key(),
      optional(
        multiple(
          oneOf(
            'operation',
            behind('GET', field),
            block(
              'write',
              optional(behind('OVERFLOW', oneOf('wrap_sat_fail', word('WRAP'), word('SAT'), word('FAIL')))),
              oneOf(
                'write_operation',
                behind(
                  'SET',
                  block('encoding_offset_value', text('encoding'), integer('offset'), integer('value')),
                ),
                behind(
                  'INCRBY',
                  block(
                    'encoding_offset_increment',
                    text('encoding'),
                    integer('offset'),
                    integer('increment'),
                  ),
                ),
              ),
            ),
          ),
        ),
      ),
    ],
  },
  BITFIELD_RO: {
    arity: -2,
    flags: ['readonly', 'fast'],
    categories: ['read', 'bitmap', 'fast'],
    keys: [keyAt(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: reading,
    since: '6.0.0',
    complexity: 'O(1) for each subcommand specified',
    summary: 'Reads integers of up to 64 bits that lie anywhere in a string.',
    args: [key(), optional(multipleWithToken(behind('GET', field)))],
  },
  BITOP: {
    arity: -4,
    flags: ['write', 'denyoom'],
    categories: ['write', 'bitmap', 'slow'],
    keys: [keyAt(2, 'OW', 'update'), keysFrom(3, 1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote:
      'Computed from what this cluster has, and written as SET writes: of concurrent writes of the target the later one wins.',
    since: '2.6.0',
    complexity: 'O(N)',
    summary:
      'Combines strings bit by bit with AND, OR, XOR or NOT, puts the result at a key and returns its length.',
    args: [
      oneOf('operation', word('AND'), word('OR'), word('XOR'), word('NOT')),
      key('destkey', 0),
      multiple(key('key', 1)),
    ],
  },
  BITPOS: {
    arity: -3,
    flags: ['readonly'],
    categories: ['read', 'bitmap', 'slow'],
    keys: [keyAt(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: reading,
    since: '2.8.7',
    history: [['7.0.0', 'Added the `BYTE|BIT` option.']],
    complexity: 'O(N)',
    summary:
      'Finds the first bit that is set, or that is clear, in a string or a range of it; -1 if there is none.',
    args: [
      key(),
      integer('bit'),
      optional(
        block(
          'index',
          integer('start'),
          optional(
            block(
              'end_index',
              integer('end'),
              since('7.0.0', optional(oneOf('index_unit', word('BYTE'), word('BIT')))),
            ),
          ),
        ),
      ),
    ],
  },
  GETBIT: {
    arity: 3,
    flags: ['readonly', 'fast'],
    categories: ['read', 'bitmap', 'fast'],
    keys: [keyAt(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: reading,
    difference: shorter,
    since: '2.2.0',
    complexity: 'O(1)',
    summary: 'Gives one bit of a string; beyond its end all are 0.',
    args: [key(), integer('offset')],
  },
  SETBIT: {
    arity: 4,
    flags: ['write', 'denyoom'],
    categories: ['write', 'bitmap', 'slow'],
    keys: [keyAt(1, 'RW', 'access', 'update')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote: wholeValue,
    difference: shorter,
    since: '2.2.0',
    complexity: 'O(1)',
    summary: 'Sets or clears one bit of a string, which grows as needed, and returns what the bit was.',
    args: [key(), integer('offset'), integer('value')],
  },
} satisfies CommandTable
