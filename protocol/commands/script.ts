import { countedKeys, integer, key, multiple, noted, oneOf, optional, since, text, word } from './grammar.ts'
import type { CommandFlag, CommandTable, KeySpec } from './table.ts'

const noteOfKeys = (flags: string): string =>
  `We cannot tell how the keys will be used so we assume the worst, ${flags}`

const written = countedKeys(2, 'RW', 'access', 'update')
const read = countedKeys(2, 'RO', 'access')

/** What follows the script, its digest, or the function. */
const callArguments = [
  integer('numkeys'),
  optional(multiple(key())),
  optional(multiple(text('arg'))),
] as const

const effectNote =
  'Runs here only. Its effects arrive at the other clusters together: nobody sees a part of them.'
const slotDifference =
  'All keys that a script uses, named or not, must lie in one slot, unless `sharding` is off; a script that names none and uses none of another shard runs at the first shard. `redis.set_repl` takes `REPL_ALL` only.'
const readDifference = 'All keys that a script uses must lie in one slot, unless `sharding` is off.'

const callFlags: readonly CommandFlag[] = [
  'noscript',
  'stale',
  'skip_monitor',
  'no_mandatory_keys',
  'movablekeys',
]

const evaluation = (spec: KeySpec, isReadOnly: boolean) =>
  ({
    arity: -3,
    flags: isReadOnly ? ['readonly' as const, ...callFlags] : callFlags,
    categories: ['slow', 'scripting'],
    keys: [spec],
    request: 'slot',
    reply: 'single',
    geo: isReadOnly ? 'local' : 'effect',
    geoNote: isReadOnly ? 'Reads what this cluster has.' : effectNote,
    difference: isReadOnly ? readDifference : slotDifference,
    complexity: 'Depends on the script that is executed.',
  }) as const

const ofThisCluster = 'Scripts are known to the cluster that they were loaded into.'

export const scriptCommands = {
  EVAL: {
    ...evaluation(noted(noteOfKeys('RW and UPDATE'), written), false),
    since: '2.6.0',
    summary: 'Runs a script of Lua in one step.',
    args: [text('script'), ...callArguments],
  },
  EVALSHA: {
    ...evaluation(written, false),
    since: '2.6.0',
    summary: 'Runs a script that is known already, by its SHA-1.',
    args: [text('sha1'), ...callArguments],
  },
  EVALSHA_RO: {
    ...evaluation(read, true),
    since: '7.0.0',
    summary: 'Runs a script that is known already, by its SHA-1, and lets it write nothing.',
    args: [text('sha1'), ...callArguments],
  },
  EVAL_RO: {
    ...evaluation(noted(noteOfKeys('RO and ACCESS'), read), true),
    since: '7.0.0',
    summary: 'Runs a script of Lua and lets it write nothing.',
    args: [text('script'), ...callArguments],
  },
  FCALL: {
    ...evaluation(noted(noteOfKeys('RW and UPDATE'), written), false),
    complexity: 'Depends on the function that is executed.',
    since: '7.0.0',
    summary: 'Runs a function in one step.',
    args: [text('function'), ...callArguments],
  },
  FCALL_RO: {
    ...evaluation(noted(noteOfKeys('RO and ACCESS'), read), true),
    complexity: 'Depends on the function that is executed.',
    since: '7.0.0',
    summary: 'Runs a function that writes nothing.',
    args: [text('function'), ...callArguments],
  },
  SCRIPT: {
    arity: -2,
    flags: [],
    categories: ['slow'],
    keys: [],
    request: 'proxy',
    reply: 'single',
    geo: 'local',
    geoNote: ofThisCluster,
    since: '2.6.0',
    complexity: 'Depends on subcommand.',
    summary: 'Scripts that are known, and the one that runs.',
    args: [],
    help: [
      'DEBUG (YES|SYNC|NO)',
      '    Set the debug mode for subsequent scripts executed.',
      'EXISTS <sha1> [<sha1> ...]',
      '    Return information about the existence of the scripts in the script cache.',
      'FLUSH [ASYNC|SYNC]',
      '    Flush the Lua scripts cache. Very dangerous on replicas.',
      '    When called without the optional mode argument, the behavior is determined by the',
      '    lazyfree-lazy-user-flush configuration directive. Valid modes are:',
      '    * ASYNC: Asynchronously flush the scripts cache.',
      '    * SYNC: Synchronously flush the scripts cache.',
      'KILL',
      '    Kill the currently executing Lua script.',
      'LOAD <script>',
      '    Load a script into the scripts cache without executing it.',
    ],
    subcommands: {
      DEBUG: {
        arity: 3,
        flags: ['noscript'],
        categories: ['slow', 'scripting'],
        keys: [],
        request: 'proxy',
        reply: 'single',
        geo: 'local',
        geoNote: ofThisCluster,
        difference: 'There is no debugger: only `NO` is taken.',
        since: '3.2.0',
        complexity: 'O(1)',
        summary: 'Would let the next script be debugged.',
        args: [oneOf('mode', word('YES'), word('SYNC'), word('NO'))],
      },
      EXISTS: {
        arity: -3,
        flags: ['noscript'],
        categories: ['slow', 'scripting'],
        keys: [],
        tips: ['request_policy:all_shards', 'response_policy:agg_logical_and'],
        request: 'allShards',
        reply: 'everywhere',
        geo: 'local',
        geoNote: ofThisCluster,
        difference: 'A script counts as known when every shard knows it.',
        since: '2.6.0',
        complexity:
          'O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).',
        summary: 'Tells for each digest whether its script is known.',
        args: [multiple(text('sha1'))],
      },
      FLUSH: {
        arity: -2,
        flags: ['noscript'],
        categories: ['slow', 'scripting'],
        keys: [],
        tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
        request: 'allShards',
        reply: 'allOk',
        geo: 'local',
        geoNote: ofThisCluster,
        since: '2.6.0',
        history: [['6.2.0', 'Added the `ASYNC` and `SYNC` flushing mode modifiers.']],
        complexity: 'O(N) with N being the number of scripts in cache',
        summary: 'Forgets all scripts.',
        args: [optional(since('6.2.0', oneOf('async', word('ASYNC'), word('SYNC'))))],
      },
      HELP: {
        arity: 2,
        flags: ['loading', 'stale'],
        categories: ['slow', 'scripting'],
        keys: [],
        request: 'proxy',
        reply: 'single',
        geo: 'local',
        geoNote: ofThisCluster,
        since: '5.0.0',
        complexity: 'O(1)',
        summary: 'Prints what the subcommands do.',
        args: [],
      },
      KILL: {
        arity: 2,
        flags: ['noscript', 'allow_busy'],
        categories: ['slow', 'scripting'],
        keys: [],
        tips: ['request_policy:all_shards', 'response_policy:one_succeeded'],
        request: 'proxy',
        reply: 'single',
        geo: 'local',
        geoNote: ofThisCluster,
        since: '2.6.0',
        complexity: 'O(1)',
        summary: 'Stops the scripts that run, unless they have written something.',
        args: [],
      },
      LOAD: {
        arity: 3,
        flags: ['noscript', 'stale'],
        categories: ['slow', 'scripting'],
        keys: [],
        tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
        request: 'allShards',
        reply: 'same',
        geo: 'local',
        geoNote: ofThisCluster,
        since: '2.6.0',
        complexity: 'O(N) with N being the length in bytes of the script body.',
        summary: 'Makes a script known and returns its SHA-1.',
        args: [text('script')],
      },
    },
  },
} satisfies CommandTable
