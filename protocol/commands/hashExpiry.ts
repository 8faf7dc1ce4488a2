/** When fields of hashes expire: setting, asking, taking back. */
import {
  behind,
  block,
  integer,
  key,
  keyAt,
  multiple,
  oneOf,
  optional,
  text,
  value,
  word,
} from './grammar.ts'
import type { CommandTable } from './table.ts'

const longestWins =
  'Of concurrent TTL changes of a field the longest wins; HPERSIST and HSET count as for ever. An expired field is hidden at once everywhere, and deleted as HDEL does by the cluster whose TTL it was.'
const reading = 'Reads what this cluster has; writes of other clusters show once they have arrived.'
const latest = 'The latest expiry is 2^49 ms since 1970 (about the year 19800) instead of 2^48.'
const perField = 'O(N) where N is the number of specified fields'

const fields = behind('FIELDS', block('fields', integer('numfields'), multiple(text('field'))))
const condition = optional(oneOf('condition', word('NX'), word('XX'), word('GT'), word('LT')))

export const hashExpiryCommands = {
  HEXPIRE: {
    arity: -6,
    flags: ['write', 'denyoom', 'fast'],
    categories: ['write', 'hash', 'fast'],
    keys: [keyAt(1, 'RW', 'update')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote: longestWins,
    difference: latest,
    since: '7.4.0',
    complexity: perField,
    summary:
      'Gives fields of a hash a TTL in seconds; tells of each whether it was set (1), not (0), deleted (2) or is not there (-2).',
    args: [key(), integer('seconds'), condition, fields],
  },
  HEXPIREAT: {
    arity: -6,
    flags: ['write', 'denyoom', 'fast'],
    categories: ['write', 'hash', 'fast'],
    keys: [keyAt(1, 'RW', 'update')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote: longestWins,
    difference: latest,
    since: '7.4.0',
    complexity: perField,
    summary:
      'Lets fields of a hash expire at a point in time, in seconds since 1970; answers as HEXPIRE does.',
    args: [key(), value('unix-time-seconds', 'unix-time'), condition, fields],
  },
  HEXPIRETIME: {
    arity: -5,
    flags: ['readonly', 'fast'],
    categories: ['read', 'hash', 'fast'],
    keys: [keyAt(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: reading,
    since: '7.4.0',
    complexity: perField,
    summary:
      'Tells when fields of a hash expire, in seconds since 1970; -1 without a TTL, -2 without the field.',
    args: [key(), fields],
  },
  HPERSIST: {
    arity: -5,
    flags: ['write', 'fast'],
    categories: ['write', 'hash', 'fast'],
    keys: [keyAt(1, 'RW', 'update')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote: longestWins,
    since: '7.4.0',
    complexity: perField,
    summary:
      'Takes the TTL off fields of a hash; tells of each whether it had one (1), had none (-1) or is not there (-2).',
    args: [key(), fields],
  },
  HPEXPIRE: {
    arity: -6,
    flags: ['write', 'denyoom', 'fast'],
    categories: ['write', 'hash', 'fast'],
    keys: [keyAt(1, 'RW', 'update')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote: longestWins,
    difference: latest,
    since: '7.4.0',
    complexity: perField,
    summary: 'Gives fields of a hash a TTL in milliseconds; answers as HEXPIRE does.',
    args: [key(), integer('milliseconds'), condition, fields],
  },
  HPEXPIREAT: {
    arity: -6,
    flags: ['write', 'denyoom', 'fast'],
    categories: ['write', 'hash', 'fast'],
    keys: [keyAt(1, 'RW', 'update')],
    request: 'slot',
    reply: 'single',
    geo: 'effect',
    geoNote: longestWins,
    difference: latest,
    since: '7.4.0',
    complexity: perField,
    summary:
      'Lets fields of a hash expire at a point in time, in milliseconds since 1970; answers as HEXPIRE does.',
    args: [key(), value('unix-time-milliseconds', 'unix-time'), condition, fields],
  },
  HPEXPIRETIME: {
    arity: -5,
    flags: ['readonly', 'fast'],
    categories: ['read', 'hash', 'fast'],
    keys: [keyAt(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: reading,
    since: '7.4.0',
    complexity: perField,
    summary:
      'Tells when fields of a hash expire, in milliseconds since 1970; -1 without a TTL, -2 without the field.',
    args: [key(), fields],
  },
  HPTTL: {
    arity: -5,
    flags: ['readonly', 'fast'],
    categories: ['read', 'hash', 'fast'],
    keys: [keyAt(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: reading,
    since: '7.4.0',
    complexity: perField,
    summary:
      'Tells how many milliseconds fields of a hash have left; -1 without a TTL, -2 without the field.',
    args: [key(), fields],
  },
  HTTL: {
    arity: -5,
    flags: ['readonly', 'fast'],
    categories: ['read', 'hash', 'fast'],
    keys: [keyAt(1, 'RO', 'access')],
    request: 'slot',
    reply: 'single',
    geo: 'local',
    geoNote: reading,
    since: '7.4.0',
    complexity: perField,
    summary: 'Tells how many seconds fields of a hash have left; -1 without a TTL, -2 without the field.',
    args: [key(), fields],
  },
} satisfies CommandTable
