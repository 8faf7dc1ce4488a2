/** The compatibility report: what there is of Redis's commands, where it differs, and what is missing and why. */
import { type CommandSpec, commandNamed, commands } from '#protocol/commands/index.ts'
import { cell, pageLinkOf } from './commands.ts'
import { type RedisCommand, redisCommands } from './redisCommands.ts'

const notYet = 'Not here yet.'
const internal = 'Of Redis itself, not for clients.'

/** Why a command is missing: by name, by container, or by group. */
export const missingReasons: Readonly<Record<string, string>> = {
  pubsub: notYet,
  scripting: notYet,
  cluster: 'A database has one address: the proxy finds the shard, and clients need no map of slots.',
  ACL: 'There is one user, `default`, with a password or without.',
  CLIENT: 'Client-side caching is not here yet.',
  CONFIG: 'Settings are in the file of the node; CONFIG SET lasts until the process ends.',
  DEBUG: internal,
  FAILOVER: 'Members of a database are equal: no shard has replicas to fail over to.',
  LATENCY: notYet,
  LOLWUT: internal,
  MIGRATE: 'DUMP and RESTORE move single keys; members get everything by themselves.',
  MODULE: 'There are no modules.',
  MONITOR: notYet,
  MOVE: 'A database is number 0 of its own port.',
  PSYNC: internal,
  REPLCONF: internal,
  REPLICAOF: 'What holds a database is a setting of the database, the same at every member.',
  'RESTORE-ASKING': internal,
  ROLE: notYet,
  SHUTDOWN: 'The agent starts and stops processes.',
  SLAVEOF: 'What holds a database is a setting of the database, the same at every member.',
  SLOWLOG: notYet,
  SWAPDB: 'A database is number 0 of its own port.',
  SYNC: internal,
  WAIT: 'Members acknowledge asynchronously; `INFO crdt` says how far each is.',
  WAITAOF: 'Whether a write is durable when it is answered is a setting, `persistence`.',
}

interface Line {
  readonly command: RedisCommand
  /** undefined: it is missing. */
  readonly spec: CommandSpec | undefined
}

export function reasonOf({ name, group }: RedisCommand): string | undefined {
  return missingReasons[name] ?? missingReasons[name.split('|')[0] ?? ''] ?? missingReasons[group]
}

/** A container that is a command, too, such as COMMAND, is counted by its subcommands alone. */
const lines: readonly Line[] = redisCommands.map((command) => ({ command, spec: commandNamed(command.name) }))

const differs = ({ spec }: Line): boolean => spec?.row.difference !== undefined
const isMissing = ({ spec }: Line): boolean => spec === undefined

export function compatibilityPage(): string {
  const groups = [...new Set(lines.map(({ command }) => command.group))]
  const own = [...commands.values()]
    .filter(({ group }) => group === 'crdt')
    .flatMap((spec) => spec.subcommands)
  const count = (test: (line: Line) => boolean) => lines.filter(test).length
  return `${[
    '# Compatibility with Redis',
    '',
    `Of the ${lines.length} commands of Redis 7.2 and the hash-field TTLs of 7.4 (subcommands counted one by one, their containers not) ${count((line) => !isMissing(line))} are here, ${count(differs)} of them with a difference; ${count(isMissing)} are missing.`,
    'What is here is compared with redis-server 7.0 reply by reply (`test/compat`), and with the documentation where it came later. Beside them there are ' +
      `${own.length} of our own ([CRDT](commands/crdt.md)).`,
    '',
    'Written from the command table (`protocol/commands`) and the list of Redis’s commands (`control/docs/redisCommands.ts`) by `npm run docs`: changes go there.',
    '',
    '| group | commands | here | of these with a difference | missing |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...groups.map(countsOf),
    ...groups.flatMap(sectionOf),
  ].join('\n')}\n`
}

const inGroup = (group: string): Line[] => lines.filter(({ command }) => command.group === group)

function countsOf(group: string): string {
  const all = inGroup(group)
  const missing = all.filter(isMissing).length
  return `| [${group}](#${group}) | ${all.length} | ${all.length - missing} | ${all.filter(differs).length} | ${missing} |`
}

function sectionOf(group: string): string[] {
  const all = inGroup(group)
  const missing = all.filter(isMissing)
  const different = all.filter(differs)
  const same = all.filter((line) => !isMissing(line) && !differs(line))
  return [
    '',
    `## ${group}`,
    ...(same.length > 0 ? ['', `As in Redis: ${same.map(linked).join(', ')}.`] : []),
    ...(different.length > 0 ? ['', '| differs | how and why |', '| --- | --- |'] : []),
    ...different.map((line) => `| ${linked(line)} | ${cell(line.spec?.row.difference ?? '')} |`),
    ...(missing.length > 0 ? ['', '| missing | why |', '| --- | --- |', ...reasons(missing)] : []),
  ]
}

/** One row for all that are missing for one reason. */
function reasons(missing: readonly Line[]): string[] {
  const byReason = Map.groupBy(missing, ({ command }) => reasonOf(command) ?? '')
  return [...byReason].map(([reason, all]) => `| ${all.map(linked).join(', ')} | ${cell(reason)} |`)
}

const displayName = ({ name }: RedisCommand): string => name.replace('|', ' ')

const linked = ({ command, spec }: Line): string =>
  spec === undefined ? displayName(command) : `[${displayName(command)}](commands/${pageLinkOf(spec)})`
