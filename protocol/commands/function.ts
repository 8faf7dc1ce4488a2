/** FUNCTION and its subcommands; FCALL is beside EVAL. */
import { behind, oneOf, optional, text, word } from './grammar.ts'
import type { CommandTable } from './table.ts'

const libraryNote =
  'Libraries belong to the cluster that they were loaded into: load them at each. What functions write is sent to all.'

const row = {
  categories: ['slow', 'scripting'],
  keys: [],
  request: 'proxy',
  reply: 'single',
  geo: 'local',
  geoNote: libraryNote,
  since: '7.0.0',
  args: [],
} as const

const change = {
  ...row,
  categories: ['write', 'slow', 'scripting'],
  tips: ['request_policy:all_shards', 'response_policy:all_succeeded'],
  request: 'gathered',
} as const

const perFunction = 'O(N) where N is the number of functions'

export const functionCommands = {
  FUNCTION: {
    ...row,
    arity: -2,
    flags: [],
    categories: ['slow'],
    complexity: 'Depends on subcommand.',
    summary: 'Libraries of functions, and the one that runs.',
    help: [
      'LOAD [REPLACE] <FUNCTION CODE>',
      '    Create a new library with the given library name and code.',
      'DELETE <LIBRARY NAME>',
      '    Delete the given library.',
      'LIST [LIBRARYNAME PATTERN] [WITHCODE]',
      '    Return general information on all the libraries:',
      '    * Library name',
      '    * The engine used to run the Library',
      '    * Library description',
      '    * Functions list',
      '    * Library code (if WITHCODE is given)',
      '    It also possible to get only function that matches a pattern using LIBRARYNAME argument.',
      'STATS',
      '    Return information about the current function running:',
      '    * Function name',
      '    * Command used to run the function',
      '    * Duration in MS that the function is running',
      '    If no function is running, return nil',
      '    In addition, returns a list of available engines.',
      'KILL',
      '    Kill the current running function.',
      'FLUSH [ASYNC|SYNC]',
      '    Delete all the libraries.',
      '    When called without the optional mode argument, the behavior is determined by the',
      '    lazyfree-lazy-user-flush configuration directive. Valid modes are:',
      '    * ASYNC: Asynchronously flush the libraries.',
      '    * SYNC: Synchronously flush the libraries.',
      'DUMP',
      '    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command',
      'RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]',
      '    Restore the libraries represented by the given payload, it is possible to give a restore policy to',
      '    control how to handle existing libraries (default APPEND):',
      '    * FLUSH: delete all existing libraries.',
      '    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.',
      '    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old',
      '      libraries with the new libraries (notice that even on this option there is a chance of failure',
      '      in case of functions name collision with another library).',
    ],
    subcommands: {
      DELETE: {
        ...change,
        arity: 3,
        flags: ['noscript', 'write'],
        complexity: 'O(1)',
        summary: 'Deletes a library with its functions.',
        args: [text('library-name')],
      },
      DUMP: {
        ...row,
        arity: 2,
        flags: ['noscript'],
        complexity: perFunction,
        summary: 'All libraries as one payload, which RESTORE takes here and in a Redis.',
      },
      FLUSH: {
        ...change,
        arity: -2,
        flags: ['noscript', 'write'],
        complexity: 'O(N) where N is the number of functions deleted',
        summary: 'Deletes all libraries.',
        args: [optional(oneOf('async', word('ASYNC'), word('SYNC')))],
      },
      HELP: {
        ...row,
        arity: 2,
        flags: ['loading', 'stale'],
        complexity: 'O(1)',
        summary: 'Prints what the subcommands do.',
      },
      KILL: {
        ...row,
        arity: 2,
        flags: ['allow_busy', 'noscript'],
        tips: ['request_policy:all_shards', 'response_policy:one_succeeded'],
        complexity: 'O(1)',
        summary: 'Stops the functions that run, unless they have written something.',
      },
      LIST: {
        ...row,
        arity: -2,
        flags: ['noscript'],
        tips: ['nondeterministic_output_order'],
        complexity: perFunction,
        summary: 'Libraries and their functions.',
        args: [optional(behind('LIBRARYNAME', text('library-name-pattern'))), optional(word('WITHCODE'))],
      },
      LOAD: {
        ...change,
        arity: -3,
        flags: ['denyoom', 'noscript', 'write'],
        complexity: 'O(1) (considering compilation time is redundant)',
        summary: 'Makes a library of code, known to all shards and kept over restarts.',
        args: [optional(word('REPLACE')), text('function-code')],
      },
      RESTORE: {
        ...change,
        arity: -3,
        flags: ['denyoom', 'noscript', 'write'],
        complexity: 'O(N) where N is the number of functions on the payload',
        summary: 'Makes the libraries of a payload of DUMP.',
        args: [
          text('serialized-value'),
          optional(oneOf('policy', word('FLUSH'), word('APPEND'), word('REPLACE'))),
        ],
      },
      STATS: {
        ...row,
        arity: 2,
        flags: ['allow_busy', 'noscript'],
        tips: ['nondeterministic_output', 'request_policy:all_shards', 'response_policy:special'],
        request: 'gathered',
        complexity: 'O(1)',
        summary: 'The function that runs, and how many there are.',
        difference: 'Of several shards that run a function the first one is shown.',
      },
    },
  },
} satisfies CommandTable
