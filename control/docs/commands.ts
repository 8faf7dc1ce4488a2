/** The pages about commands, written from the table: one for each group, and one that lists all. */
import { type CommandSpec, commandGroups, commands } from '#protocol/commands/index.ts'
import type { CommandGroup, GeoPolicy, RequestPolicy } from '#protocol/commands/table.ts'
import { syntaxOf } from './syntax.ts'

interface GroupPage {
  readonly file: string
  readonly title: string
  readonly lead: string
}

const groupPages: Readonly<Record<CommandGroup, GroupPage>> = {
  string: {
    file: 'string.md',
    title: 'Strings and counters',
    lead: 'A string is a register: of concurrent writes the later one stays. Its increments are a counter on top of it: those of all clusters add up.',
  },
  bitmap: {
    file: 'bitmap.md',
    title: 'Bitmaps',
    lead: 'A bitmap is a string: the whole of it is one register. Bits that two clusters set at the same time do not merge; the later write stays.',
  },
  scripting: {
    file: 'scripting.md',
    title: 'Scripts',
    lead: 'Scripts run in the shard that owns their keys, in one step. What they write arrives at the other clusters together; the scripts themselves do not.',
  },
  generic: {
    file: 'key.md',
    title: 'Keys',
    lead: 'Deleting takes away what the deleting cluster had seen, and nothing else. The longest of concurrent times to live wins.',
  },
  hash: {
    file: 'hash.md',
    title: 'Hashes',
    lead: 'Fields merge one by one. Each value behaves as a string does: a register with a counter on top.',
  },
  set: {
    file: 'set.md',
    title: 'Sets',
    lead: 'Members merge one by one; an add wins over a removal that had not seen it.',
  },
  'sorted-set': {
    file: 'sortedset.md',
    title: 'Sorted sets',
    lead: 'Members merge one by one; an add wins over a removal that had not seen it. A score behaves as a string does: a register with a counter on top.',
  },
  geo: {
    file: 'geo.md',
    title: 'Geography',
    lead: 'Points are members of a sorted set, whose scores tell where they are: what holds for sorted sets holds for them.',
  },
  list: {
    file: 'list.md',
    title: 'Lists',
    lead: 'Elements merge one by one and keep their order: what was pushed later stands further out. Removing takes away what was seen. A command that waits for an element is woken by those of other clusters, too.',
  },
  stream: {
    file: 'stream.md',
    title: 'Streams',
    lead: 'Entries of all clusters stay, in the order of their ids. Consumer groups are shared; consumers, and what has been delivered to them, belong to one cluster.',
  },
  hyperloglog: {
    file: 'hyperloglog.md',
    title: 'HyperLogLogs',
    lead: 'What all clusters add is united. A delete wins over additions that had not seen it. To other commands a HyperLogLog is a string: GET gives the bytes that Redis gives (which clusters may spell differently for the same registers), SET to such bytes replaces it, and any other write (APPEND, SETBIT, a SET to something else) makes a plain string of it, of which the whole is one register. A string of such bytes becomes a HyperLogLog with the first element that PFADD or PFMERGE brings.',
  },
  transactions: {
    file: 'transaction.md',
    title: 'Transactions',
    lead: 'A transaction runs whole in one cluster, and its effects arrive whole at the others.',
  },
  pubsub: {
    file: 'pubsub.md',
    title: 'Messages to subscribers',
    lead: 'A message reaches the subscribers of every cluster that is linked, once each, whichever proxy they are connected to. It comes behind what its shard wrote before it. Nothing keeps messages: whoever is not there, or is cut off, misses them.',
  },
  connection: { file: 'connection.md', title: 'Connection', lead: 'What belongs to one client.' },
  server: { file: 'server.md', title: 'Server', lead: 'What belongs to the database or to this cluster.' },
  crdt: {
    file: 'crdt.md',
    title: 'Replicated state',
    lead: 'A look at what the clusters exchange. Redis has nothing like it.',
  },
}

const generated = 'Written from the command table (`protocol/commands`) by `npm run docs`: changes go there.'

const geoWords: Readonly<Record<GeoPolicy, string>> = {
  effect: 'sent to every cluster',
  local: 'this cluster only',
  refused: 'refused when there are several clusters',
}

const requestWords: Readonly<Record<RequestPolicy, string>> = {
  proxy: 'Answered by the proxy.',
  transaction: 'Kept by the proxy until EXEC; then all of it runs on one shard.',
  slot: 'Runs on the shard that owns the slot of its keys; keys in several slots are an error (`CROSSSLOT`), unless `sharding` is off.',
  anyShard: 'Runs on one shard.',
  perKey: 'Its keys may lie in several slots.',
  allShards: 'Runs on every shard.',
  cursor: 'Goes through the shards one after the other.',
  waited: 'Answered by the proxy, after asking the shards that the client has written to.',
  subscription: 'Answered by the proxy, when every shard knows of it.',
  gathered: 'Answered by the proxy, after asking every shard.',
}

/** Content by path, from the root of the project. */
export function commandPages(): Map<string, string> {
  const pages = new Map([['docs/commands/README.md', listPage()]])
  for (const { group } of commandGroups) {
    pages.set(`docs/commands/${groupPages[group].file}`, groupPage(group))
  }
  return pages
}

function inGroup(group: CommandGroup): CommandSpec[] {
  return [...commands.values()]
    .filter((spec) => spec.group === group)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function listPage(): string {
  const lines = [
    '# Commands',
    '',
    'Facts of a command (arguments, flags, key positions, ACL categories) are those of Redis 7.2; `COMMAND INFO` and `COMMAND DOCS` tell them to clients.',
    'The pages say what a command means across clusters, and where it is different from Redis.',
    'Keys of one command lie in one hash slot, as in a Redis cluster: a hash tag (`{user:7}:name`) keeps them together. A database with `sharding = false` has one shard and no such limit.',
    '',
    generated,
  ]
  for (const { group } of commandGroups) {
    const { file, title, lead } = groupPages[group]
    lines.push(
      '',
      `## [${title}](${file})`,
      '',
      lead,
      '',
      '| command | across clusters | |',
      '| --- | --- | --- |',
    )
    for (const spec of inGroup(group).flatMap(described)) {
      const name = displayName(spec)
      lines.push(`| [${name}](${pageLinkOf(spec)}) | ${geoWords[spec.geo]} | ${cell(spec.row.summary)} |`)
    }
  }
  return `${lines.join('\n')}\n`
}

function groupPage(group: CommandGroup): string {
  const { title, lead } = groupPages[group]
  const lines = [`# ${title}`, '', lead, '', generated]
  for (const spec of inGroup(group).flatMap(described)) lines.push('', ...commandLines(spec))
  return `${lines.join('\n')}\n`
}

/** A container shows its subcommands instead of itself, unless it does something on its own. */
function described(spec: CommandSpec): CommandSpec[] {
  if (!spec.isContainer) return [spec]
  return spec.arity === -1 ? [spec, ...spec.subcommands] : [...spec.subcommands]
}

function commandLines(spec: CommandSpec): string[] {
  const { summary, since, complexity, deprecated, geoNote, difference, history } = spec.row
  const source = spec.group === 'crdt' ? 'Antipode' : 'Redis'
  const lines = [`## ${displayName(spec)}`, '', '```', syntaxOf(spec), '```', '', summary, '']
  lines.push(`- Across clusters (${geoWords[spec.geo]}): ${geoNote}`)
  if (difference !== undefined) lines.push(`- Different from Redis: ${difference}`)
  lines.push(`- ${requestWords[spec.request]}`)
  lines.push(`- Since ${source} ${since}. ${complexity.replace(/\.$/, '')}.`)
  if (deprecated !== undefined) {
    lines.push(
      `- Deprecated since ${source} ${deprecated.since}: use ${deprecated.replacedBy.replaceAll('!', '')}.`,
    )
  }
  for (const [version, change] of history ?? []) lines.push(`- ${source} ${version}: ${change}`)
  return lines
}

function displayName(spec: CommandSpec): string {
  return spec.name.replace('|', ' ')
}

/** Where the pages tell of a command, from their folder on. */
export function pageLinkOf(spec: CommandSpec): string {
  return `${groupPages[spec.group].file}#${anchorOf(spec)}`
}

function anchorOf(spec: CommandSpec): string {
  return displayName(spec).toLowerCase().replaceAll(' ', '-')
}

export function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
