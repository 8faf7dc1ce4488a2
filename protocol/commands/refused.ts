/**
 * The commands of Redis that are not here, and why: what clients are answered, and what the compatibility report says. By name, or
 * by container for all of its subcommands that have no row.
 */
import { errors } from '#protocol/resp/errors.ts'

interface Refused {
  /** Sentences: why, and what to do instead. */
  readonly why: string
  /** The words of Redis, where clients know them and ask in order to hear them. */
  readonly text?: string
}

const oneAddress: Refused = {
  why: 'A database has one address: the proxy finds the shard, and clients need no map of slots. As by a Redis without cluster support, clients are told so.',
  text: errors.clusterDisabled,
}
const oneDatabase: Refused = {
  why: 'A database has its own port and is number 0 of it. Use COPY or RENAME within it, and another database for other data.',
}
const internal: Refused = {
  why: 'Replicas of Redis and its clusters speak it among themselves. Other clusters are members of the database: see docs/members.md.',
}
const members: Refused = {
  why: 'What holds a database is its list of members, which are equal: `antipode member add` and `remove` change it.',
}
const modules: Refused = { why: 'There are no modules: MODULE LIST is empty.' }

const refused: Readonly<Record<string, Refused>> = {
  ASKING: oneAddress,
  CLUSTER: oneAddress,
  'CONFIG|REWRITE': {
    why: 'CONFIG SET changes what runs, and its values end with the processes. What is to last is written into the file of the node, under `limits` or `database`, and read at SIGHUP to the agent (docs/configuration.md).',
  },
  DEBUG: {
    why: 'It looks into Redis itself, or harms the process on purpose. OBJECT, MEMORY USAGE and CRDT.INFO tell of keys, INFO and LATENCY of the server.',
  },
  FAILOVER: { why: 'Members of a database are equal: no shard has replicas to fail over to.' },
  MIGRATE: {
    why: 'A server opens no connections for its clients. DUMP and RESTORE move single keys; members get everything by themselves.',
  },
  'MODULE|LOAD': modules,
  'MODULE|LOADEX': modules,
  'MODULE|UNLOAD': modules,
  MOVE: oneDatabase,
  PSYNC: internal,
  READONLY: oneAddress,
  READWRITE: oneAddress,
  REPLCONF: internal,
  REPLICAOF: members,
  'RESTORE-ASKING': {
    why: 'It is for nodes of a Redis cluster that move slots among themselves. Use RESTORE.',
  },
  SHUTDOWN: {
    why: 'The agent starts and stops the processes of a node, and would start them again: stop the agent.',
  },
  SLAVEOF: members,
  SWAPDB: oneDatabase,
  SYNC: internal,
  WAITAOF: {
    why: 'Whether a write is on the disk when it is answered is a setting of the database: with the persistence `always` it is. CRDT.WAIT waits for other clusters.',
  },
}

const refusedOf = (name: string): Refused | undefined => refused[name] ?? refused[name.split('|')[0] ?? '']

/** Names and containers that are refused, in upper case. */
export const refusedNames: readonly string[] = Object.keys(refused)

/** Why the command `name` (as in `CONFIG|REWRITE`) is not here; undefined: it is not one of these. */
export const whyRefused = (name: string): string | undefined => refusedOf(name)?.why

/** The error for a command without a row, `subcommand` empty when it has none; undefined: nobody knows such a command. */
export function refusal(command: string, subcommand: string): string | undefined {
  const upper = command.toUpperCase()
  const name = subcommand === '' ? upper : `${upper}|${subcommand.toUpperCase()}`
  const found = refusedOf(name)
  if (found === undefined) return undefined
  return found.text ?? errors.notHere(name.replace('|', ' '), found.why)
}
