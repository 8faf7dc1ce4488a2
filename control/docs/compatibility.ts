/** The compatibility report: what there is of Redis's commands, where it differs, and what is missing and why. */
import { type CommandSpec, commandNamed, commands } from '#protocol/commands/index.ts'
import { whyRefused } from '#protocol/commands/refused.ts'
import { cell, pageLinkOf } from './commands.ts'
import { type RedisCommand, redisCommands } from './redisCommands.ts'

interface Line {
  readonly command: RedisCommand
  /** undefined: it is missing. */
  readonly spec: CommandSpec | undefined
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
    'A client that sends what is missing is told the reason that is given here. Written from the command table and its list of what is refused (`protocol/commands`) and the list of Redis’s commands (`control/docs/redisCommands.ts`) by `npm run docs`: changes go there.',
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
  const byReason = Map.groupBy(missing, ({ command }) => whyRefused(command.name) ?? '')
  return [...byReason].map(([reason, all]) => `| ${all.map(linked).join(', ')} | ${cell(reason)} |`)
}

const displayName = ({ name }: RedisCommand): string => name.replace('|', ' ')

const linked = ({ command, spec }: Line): string =>
  spec === undefined ? displayName(command) : `[${displayName(command)}](commands/${pageLinkOf(spec)})`
