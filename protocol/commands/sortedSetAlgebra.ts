import { behind, countedKeys, integer, key, keyAt, multiple, oneOf, optional, word } from './grammar.ts'
import type { CommandTable } from './table.ts'

export const sortedSetAlgebraCommands = {
  ZDIFF: {
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    categories: ['read', 'sortedset', 'slow'],
    keys: [countedKeys(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: 'Reads what this cluster has; writes of other clusters show once they have arrived.',
    since: '6.2.0',
    complexity:
      'O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.',
    summary: 'Lists the members of the first sorted set that are in none of the others.',
    args: [integer('numkeys'), multiple(key()), optional(word('WITHSCORES'))],
  },
  ZDIFFSTORE: {
    arity: -4,
    flags: ['write', 'denyoom', 'movablekeys'],
    categories: ['write', 'sortedset', 'slow'],
    keys: [keyAt(1, 'OW', 'update'), countedKeys(2, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote:
      'Runs here once; the destination gets the computed elements. A concurrent add to the destination stays as well.',
    since: '6.2.0',
    complexity:
      'O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.',
    summary: 'Writes the result of ZDIFF to a key, in place of what is there, and returns its size.',
    args: [key('destination'), integer('numkeys'), multiple(key('key', 1))],
  },
  ZINTER: {
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    categories: ['read', 'sortedset', 'slow'],
    keys: [countedKeys(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: 'Reads what this cluster has; writes of other clusters show once they have arrived.',
    since: '6.2.0',
    complexity:
      'O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.',
    summary:
      'Lists the members that all of the sorted sets have, their scores weighted and summed up or compared.',
    args: [
      integer('numkeys'),
      multiple(key()),
      optional(multiple(behind('WEIGHTS', integer('weight')))),
      optional(behind('AGGREGATE', oneOf('aggregate', word('SUM'), word('MIN'), word('MAX')))),
      optional(word('WITHSCORES')),
    ],
  },
  ZINTERCARD: {
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    categories: ['read', 'sortedset', 'slow'],
    keys: [countedKeys(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: 'Reads what this cluster has; writes of other clusters show once they have arrived.',
    since: '7.0.0',
    complexity:
      'O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.',
    summary: 'Counts the members that all of the sorted sets have, up to a limit if one is given.',
    args: [integer('numkeys'), multiple(key()), optional(behind('LIMIT', integer('limit')))],
  },
  ZINTERSTORE: {
    arity: -4,
    flags: ['write', 'denyoom', 'movablekeys'],
    categories: ['write', 'sortedset', 'slow'],
    keys: [keyAt(1, 'OW', 'update'), countedKeys(2, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote:
      'Runs here once; the destination gets the computed elements. A concurrent add to the destination stays as well.',
    since: '2.0.0',
    complexity:
      'O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.',
    summary: 'Writes the result of ZINTER to a key, in place of what is there, and returns its size.',
    args: [
      key('destination'),
      integer('numkeys'),
      multiple(key('key', 1)),
      optional(multiple(behind('WEIGHTS', integer('weight')))),
      optional(behind('AGGREGATE', oneOf('aggregate', word('SUM'), word('MIN'), word('MAX')))),
    ],
  },
  ZUNION: {
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    categories: ['read', 'sortedset', 'slow'],
    keys: [countedKeys(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: 'Reads what this cluster has; writes of other clusters show once they have arrived.',
    since: '6.2.0',
    complexity:
      'O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.',
    summary: 'Lists the members of all of the sorted sets, their scores weighted and summed up or compared.',
    args: [
      integer('numkeys'),
      multiple(key()),
      optional(multiple(behind('WEIGHTS', integer('weight')))),
      optional(behind('AGGREGATE', oneOf('aggregate', word('SUM'), word('MIN'), word('MAX')))),
      optional(word('WITHSCORES')),
    ],
  },
  ZUNIONSTORE: {
    arity: -4,
    flags: ['write', 'denyoom', 'movablekeys'],
    categories: ['write', 'sortedset', 'slow'],
    keys: [keyAt(1, 'OW', 'update'), countedKeys(2, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote:
      'Runs here once; the destination gets the computed elements. A concurrent add to the destination stays as well.',
    since: '2.0.0',
    complexity:
      'O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.',
    summary: 'Writes the result of ZUNION to a key, in place of what is there, and returns its size.',
    args: [
      key('destination'),
      integer('numkeys'),
      multiple(key('key', 1)),
      optional(multiple(behind('WEIGHTS', integer('weight')))),
      optional(behind('AGGREGATE', oneOf('aggregate', word('SUM'), word('MIN'), word('MAX')))),
    ],
  },
} satisfies CommandTable
