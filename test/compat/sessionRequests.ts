/** Random requests that a proxy answers, or keeps for a transaction. */
import type { Make } from './generator.ts'
import type { Vocabulary } from './vocabulary.ts'

/** As is, and with too many or wrong arguments. */
const odd =
  (...request: string[]): Make =>
  (v) => [...request, ...v.maybe(0.2, v.oddText())]

const name = (v: Vocabulary): string =>
  v.pick(['me', '', 'two words', 'a\nb', '~tilde', '\x00', 'ünï', v.letters(70)])

export const sessionRequests: Readonly<Record<string, Make>> = {
  AUTH: (v) => ['AUTH', ...v.some(3, () => v.pick(['default', 'secret', 'nobody', '']))],
  'CLIENT|GETNAME': odd('CLIENT', 'GETNAME'),
  'CLIENT|NO-EVICT': (v) => ['CLIENT', 'NO-EVICT', v.pick(['on', 'OFF', 'maybe', ''])],
  'CLIENT|SETNAME': (v) => ['CLIENT', v.cased('SETNAME'), name(v), ...v.maybe(0.1, 'x')],
  'CLIENT|KILL': (v) => [
    'CLIENT',
    'KILL',
    ...v.pick([
      ['1.2.3.4:5'],
      ['ID', '0'],
      ['ID', 'x'],
      ['ID', '99999'],
      ['TYPE', 'nosuch'],
      ['ADDR', '1.2.3.4:5', 'SKIPME', 'perhaps'],
      ['ADDR', '1.2.3.4:5', 'SKIPME', 'no'],
      ['USER', 'nobody'],
      ['nosuch', 'x'],
      [],
    ]),
  ],
  'CLIENT|REPLY': (v) => ['CLIENT', 'REPLY', v.pick(['on', 'nosuch', ''])],
  'CLIENT|PAUSE': (v) => [
    'CLIENT',
    'PAUSE',
    v.pick(['-1', 'x', '1.5']),
    ...v.maybe(0.5, v.pick(['ALL', 'WRITE', 'x'])),
  ],
  'CLIENT|UNBLOCK': (v) => [
    'CLIENT',
    'UNBLOCK',
    ...v.pick([
      ['99999'],
      ['99999', 'error'],
      ['99999', 'TIMEOUT'],
      ['x'],
      ['-1'],
      ['1.5'],
      [],
      ['99999', 'nosuch'],
    ]),
  ],
  'CLIENT|UNPAUSE': odd('CLIENT', 'UNPAUSE'),
  'CLIENT|nosuch': (v) => ['CLIENT', v.letters(5)],
  DISCARD: odd('DISCARD'),
  ECHO: (v) => ['ECHO', v.value(), ...v.maybe(0.1, 'x')],
  EXEC: odd('EXEC'),
  HELLO: (v) =>
    v.pick([
      ['HELLO', '1'],
      ['HELLO', '4'],
      ['HELLO', 'x'],
      ['HELLO', '3', 'AUTH', 'nobody', 'x'],
      ['HELLO', '3', 'AUTH', 'default'],
      ['HELLO', '3', 'nosuch'],
      ['HELLO', '3', 'SETNAME'],
      ['HELLO', '3', 'SETNAME', 'two words'],
    ]),
  PING: (v) => ['PING', ...v.maybe(0.5, v.value()), ...v.maybe(0.1, 'x')],
  'COMMAND|GETKEYS': (v) => [
    'COMMAND',
    'GETKEYS',
    ...v.pick([
      ['MSET', 'a', '1', 'b', '2'],
      ['SINTERCARD', '2', 'a', 'b', 'LIMIT', '1'],
      ['SINTERCARD', 'x', 'a'],
      ['SINTERCARD', '3', 'a'],
      ['GET'],
      ['NOSUCH', 'a'],
      ['PING'],
      ['OBJECT', 'ENCODING', 'a'],
      ['OBJECT', 'NOSUCH', 'a'],
      ['SUNIONSTORE', 'a', 'b', 'c'],
    ]),
  ],
  'COMMAND|GETKEYSANDFLAGS': (v) => [
    'COMMAND',
    'GETKEYSANDFLAGS',
    ...v.pick([
      ['SORT', 'a', 'BY', 'store', 'GET', 'b*', 'LIMIT', '0', '1', 'STORE', 'c'],
      ['sort', 'a', 'store', 'b', 'STORE', 'c'],
      ['SORT_RO', 'a', 'GET', 'b*'],
      ['SORT', 'a'],
      ['SET', 'a', 'b', 'GET'],
      ['LMOVE', 'a', 'b', 'LEFT', 'RIGHT'],
      ['BLMPOP', '0', '2', 'a', 'b', 'LEFT'],
      ['BLMPOP', '0', 'x', 'a', 'LEFT'],
      ['BITFIELD', 'a', 'GET', 'u8', '0'],
      ['GEOSEARCHSTORE', 'a', 'b', 'FROMMEMBER', 'm', 'BYRADIUS', '1', 'm'],
      ['MIGHTY', 'a'],
      ['DEL'],
    ]),
  ],
  'COMMAND|LIST': (v) => [
    'COMMAND',
    'LIST',
    ...v.pick([
      ['x'],
      ['FILTERBY'],
      ['FILTERBY', 'nosuch', 'x'],
      ['filterby', 'MODULE', 'x'],
      ['FILTERBY', 'PATTERN', 'sort_r?'],
    ]),
  ],
  'COMMAND|nosuch': (v) => ['COMMAND', v.letters(4)],
  'CONFIG|nosuch': (v) => ['CONFIG', v.letters(4)],
  'CONFIG|GET': (v) => ['CONFIG', 'GET', v.pick(['nosuch', 'NOSUCH*', 'n?such'])],
  'CONFIG|SET': (v) => [
    'CONFIG',
    'SET',
    ...v.pick([
      ['nosuch', '1'],
      ['nosuch'],
      ['maxclients', '1', 'odd'],
      ['maxmemory', v.pick(['x', '-1', '1.5', '1tb', 'mb1'])],
      ['maxmemory', '1', 'maxmemory', '2'],
      ['maxmemory-policy', v.pick(['lru', '', 'allkeys'])],
      ['maxmemory-samples', v.pick(['', 'x', '1.5'])],
    ]),
  ],
  'MEMORY|HELP': odd('MEMORY', 'HELP'),
  'MEMORY|PURGE': odd('MEMORY', 'PURGE'),
  'MEMORY|nosuch': (v) => ['MEMORY', v.letters(4)],
  'MEMORY|STATS': () => ['MEMORY', 'STATS', 'x'],
  'OBJECT|HELP': odd('OBJECT', 'HELP'),
  'XGROUP|HELP': odd('XGROUP', 'HELP'),
  'XINFO|HELP': odd('XINFO', 'HELP'),
  TIME: () => ['TIME', 'x'],
  SELECT: (v) => ['SELECT', v.pick(['0', '0', '1', '-1', 'x', '', '00', '99999999999999999999'])],
  UNWATCH: odd('UNWATCH'),
  // With keys only just before a transaction, see `generator.ts`.
  WATCH: () => ['WATCH'],
}
