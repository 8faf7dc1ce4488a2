import { key, keyAt, keysFrom, multiple, noted, optional, text } from './grammar.ts'
import type { CommandTable } from './table.ts'

const notChanged =
  'Only the count that is kept with the registers is written, which is no change to anybody: watched keys stay untouched, and of a string that spells a HyperLogLog without having become one nothing is written.'

export const hyperLogLogCommands = {
  PFADD: {
    arity: -2,
    flags: ['write', 'denyoom', 'fast'],
    categories: ['write', 'hyperloglog', 'fast'],
    keys: [keyAt(1, 'RW', 'insert')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote:
      'Additions of all clusters are united. A concurrent DEL wins: it also takes what it had not seen.',
    since: '2.8.9',
    complexity: 'O(1) to add every element.',
    summary:
      'Adds elements to a HyperLogLog, which begins with the first one; returns 1 if the estimate may have changed.',
    args: [key(), optional(multiple(text('element')))],
  },
  PFCOUNT: {
    arity: -2,
    flags: ['readonly'],
    categories: ['read', 'hyperloglog', 'slow'],
    keys: [
      noted(
        'RW because it may change the internal representation of the key, and propagate to replicas',
        keysFrom(1, 1, 'RW', 'access'),
      ),
    ],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: 'Reads what this cluster has; writes of other clusters show once they have arrived.',
    difference: notChanged,
    since: '2.8.9',
    complexity:
      'O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.',
    summary: 'Estimates how many different elements were added to a HyperLogLog, or to several together.',
    args: [multiple(key())],
  },
  PFDEBUG: {
    arity: 3,
    flags: ['write', 'denyoom', 'admin'],
    categories: ['write', 'hyperloglog', 'admin', 'slow', 'dangerous'],
    keys: [keyAt(2, 'RW', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote: 'GETREG and TODENSE make the registers dense, in all clusters.',
    isSystem: true,
    since: '2.8.9',
    complexity: 'N/A',
    summary: 'Looks into a HyperLogLog: its registers, the runs of a sparse one, its encoding.',
    args: [text('subcommand'), key()],
  },
  PFMERGE: {
    arity: -2,
    flags: ['write', 'denyoom'],
    categories: ['write', 'hyperloglog', 'slow'],
    keys: [keyAt(1, 'RW', 'access', 'insert'), keysFrom(2, 1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote:
      'The registers that rise are sent: they unite with what other clusters add to the destination. A concurrent DEL of it wins.',
    since: '2.8.9',
    complexity: 'O(N) to merge N HyperLogLogs, but with high constant times.',
    summary: 'Unites HyperLogLogs into the first one, which is made if it is missing.',
    args: [key('destkey'), optional(multiple(key('sourcekey', 1)))],
  },
  PFSELFTEST: {
    arity: 1,
    flags: ['admin'],
    categories: ['hyperloglog', 'admin', 'slow', 'dangerous'],
    keys: [],
    request: 'allShards',
    reply: 'allOk',
    geo: 'local',
    geoNote: 'Tests the shards of this cluster.',
    difference: 'A short test: a shard has other things to do.',
    isSystem: true,
    since: '2.8.9',
    complexity: 'N/A',
    summary: 'Tests that registers keep their values and that estimates are good.',
    args: [],
  },
} satisfies CommandTable
