/** All commands: the rows of every group, joined, with what routing needs worked out once. */
import { aclCommands } from './acl.ts'
import { bitmapCommands } from './bitmap.ts'
import { connectionCommands } from './connection.ts'
import { crdtCommands } from './crdt.ts'
import { functionCommands } from './function.ts'
import { geoCommands } from './geo.ts'
import { hashCommands } from './hash.ts'
import { hyperLogLogCommands } from './hyperLogLog.ts'
import { keyCommands } from './key.ts'
import { listCommands } from './list.ts'
import { monitoringCommands } from './monitoring.ts'
import { NameTable } from './nameTable.ts'
import { pubsubCommands } from './pubsub.ts'
import { scriptCommands } from './script.ts'
import { serverCommands } from './server.ts'
import { setCommands } from './set.ts'
import { sortedSetCommands } from './sortedSet.ts'
import { streamCommands } from './stream.ts'
import { stringCommands } from './string.ts'
import type {
  CommandGroup,
  CommandRow,
  CommandTable,
  GeoPolicy,
  KeySpec,
  ReplyPolicy,
  RequestPolicy,
} from './table.ts'
import { transactionCommands } from './transaction.ts'

export const commandGroups: readonly { readonly group: CommandGroup; readonly table: CommandTable }[] = [
  { group: 'string', table: stringCommands },
  { group: 'bitmap', table: bitmapCommands },
  { group: 'generic', table: keyCommands },
  { group: 'hash', table: hashCommands },
  { group: 'set', table: setCommands },
  { group: 'sorted-set', table: sortedSetCommands },
  { group: 'geo', table: geoCommands },
  { group: 'list', table: listCommands },
  { group: 'stream', table: streamCommands },
  { group: 'hyperloglog', table: hyperLogLogCommands },
  { group: 'transactions', table: transactionCommands },
  { group: 'pubsub', table: pubsubCommands },
  { group: 'scripting', table: { ...scriptCommands, ...functionCommands } },
  { group: 'connection', table: connectionCommands },
  { group: 'server', table: { ...serverCommands, ...monitoringCommands, ...aclCommands } },
  { group: 'crdt', table: crdtCommands },
]

/** A row and what follows from it. One class for all, so that the hot path sees one shape. */
export class CommandSpec {
  /** Its place among all commands and subcommands; another one in another release. */
  readonly index: number
  /** In upper case; a subcommand's is `OBJECT|ENCODING`. */
  readonly name: string
  /** As error texts and `COMMAND` print it. */
  readonly lowerName: string
  readonly group: CommandGroup
  readonly row: CommandRow
  readonly arity: number
  readonly request: RequestPolicy
  readonly reply: ReplyPolicy
  readonly geo: GeoPolicy
  readonly keys: readonly KeySpec[]
  readonly isWrite: boolean
  /** It runs a script, which calls other commands. */
  readonly runsScript: boolean
  /** It may change what is replicated: a write, or what runs others. */
  readonly mayWrite: boolean
  /** It may be answered later, when what it waits for has come; see `mayBlock` for one request. */
  readonly isBlocking: boolean
  /** Index of the only key; 0: it has none or several, see `keyPositions`. */
  readonly onlyKey: number
  /** The range of keys as `COMMAND INFO` tells it; zeros when there is none or it depends on the arguments. */
  readonly firstKey: number
  readonly lastKey: number
  readonly keyStep: number
  /** In table order; empty when it is no container. */
  readonly subcommands: readonly CommandSpec[]
  readonly #bySubcommand: NameTable<CommandSpec> | null
  static #count = 0

  constructor(name: string, group: CommandGroup, row: CommandRow) {
    this.index = CommandSpec.#count++
    this.name = name
    this.lowerName = name.toLowerCase()
    this.group = group
    this.row = row
    this.arity = row.arity
    this.request = row.request
    this.reply = row.reply
    this.geo = row.geo
    this.keys = row.keys.filter(({ flags }) => !flags.includes('not_key'))
    this.isWrite = row.flags.includes('write')
    this.runsScript = group === 'scripting' && this.keys.length > 0
    this.mayWrite = this.isWrite || (this.runsScript && row.geo === 'effect')
    this.isBlocking = row.flags.includes('blocking')
    const ranges = row.keys.filter((spec) => spec.find.kind === 'range')
    this.firstKey = ranges[0]?.begin ?? 0
    this.lastKey = lastOf(ranges)
    this.keyStep = ranges[0]?.find.kind === 'range' ? ranges[0].find.step : 0
    this.onlyKey = this.keys.length === 1 && this.firstKey === this.lastKey ? this.firstKey : 0
    const rows = Object.entries(row.subcommands ?? {})
    this.subcommands = rows.map(([sub, subRow]) => new CommandSpec(`${name}|${sub}`, group, subRow))
    this.#bySubcommand =
      rows.length === 0
        ? null
        : new NameTable(rows.map(([sub], i) => [sub, this.subcommands[i] as CommandSpec]))
  }

  get isContainer(): boolean {
    return this.subcommands.length > 0
  }

  get isSubcommand(): boolean {
    return this.name.includes('|')
  }

  /** Whether a request of so many arguments, the name included, has neither too few nor too many. */
  accepts(argumentCount: number): boolean {
    return this.arity >= 0 ? argumentCount === this.arity : argumentCount >= -this.arity
  }

  /** Whether a request may be answered later. */
  mayBlock(request: { readonly argumentCount: number; text(i: number): string }): boolean {
    const { blocksWith } = this.row
    if (!this.isBlocking || blocksWith === undefined) return this.isBlocking
    for (let i = 1; i < request.argumentCount; i++)
      if (request.text(i).toUpperCase() === blocksWith) return true
    return false
  }

  /** The subcommand that is the bytes [start, end), in any letter case. */
  subcommand(bytes: Uint8Array, start: number, end: number): CommandSpec | undefined {
    return this.#bySubcommand?.find(bytes, start, end)
  }
}

function lastOf(ranges: readonly KeySpec[]): number {
  let last = 0
  for (const { begin, find } of ranges) {
    if (find.kind !== 'range') continue
    if (find.last < 0) return find.last
    last = Math.max(last, begin + find.last)
  }
  return last
}

/** Every command, by upper-case name, in the order of the groups; subcommands are inside their container. */
export const commands: ReadonlyMap<string, CommandSpec> = new Map(
  commandGroups.flatMap(({ group, table }) =>
    Object.entries(table).map(([name, row]) => [name, new CommandSpec(name, group, row)] as const),
  ),
)

/** Commands and subcommands together: their indices are below it. */
export const commandCount = [...commands.values()].reduce((sum, spec) => sum + 1 + spec.subcommands.length, 0)

const byName = new NameTable([...commands])

/** The command whose name is the bytes [start, end), in any letter case. */
export function lookup(bytes: Uint8Array, start: number, end: number): CommandSpec | undefined {
  return byName.find(bytes, start, end)
}

/** By text such as `get`, `OBJECT|encoding`. */
export function commandNamed(name: string): CommandSpec | undefined {
  const upper = name.toUpperCase()
  const bar = upper.indexOf('|')
  if (bar < 0) return commands.get(upper)
  return commands.get(upper.slice(0, bar))?.subcommands.find((spec) => spec.name === upper)
}
