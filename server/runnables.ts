/** The commands that this shard can run, and how they fared. */
import { type CommandSpec, commands } from '#protocol/commands/index.ts'
import { NameTable } from '#protocol/commands/nameTable.ts'
import { commandIn } from '#protocol/commands/request.ts'
import { Durations } from '#protocol/frames/durations.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { Handler } from '#server/commands/context.ts'
import { handlers } from '#server/commands/index.ts'
import { tellsMisses } from '#server/commands/keyEvents.ts'

export class Runnable {
  readonly spec: CommandSpec
  readonly handler: Handler
  readonly isWrite: boolean
  /** CLIENT TRACKING remembers its keys. What scripts read is remembered as they call it. */
  readonly isRead: boolean
  /** It runs others. */
  readonly isScript: boolean
  /** It is refused when memory is short. */
  readonly needsMemory: boolean
  /** Scripts may call it. */
  readonly isForScripts: boolean
  /** That a key which it reads is not there is an event. */
  readonly tellsMisses: boolean
  /** It is about all shards. */
  readonly concernsAll: boolean
  /** How long it takes may depend on data, so that each call is looked at by itself. */
  readonly isTimedAlone: boolean
  /** Its work is done in slices. */
  readonly flushes: boolean
  calls = 0
  microseconds = 0
  rejectedCalls = 0
  failedCalls = 0
  readonly durations = new Durations()

  constructor(spec: CommandSpec, handler: Handler) {
    this.spec = spec
    this.handler = handler
    this.isWrite = spec.isWrite
    this.isRead = spec.row.flags.includes('readonly') && !spec.runsScript
    this.isScript = spec.runsScript
    this.needsMemory = spec.row.flags.includes('denyoom')
    this.isForScripts = !spec.row.flags.includes('noscript')
    this.tellsMisses = tellsMisses(spec)
    this.concernsAll = spec.request === 'allShards' || spec.request === 'cursor'
    this.isTimedAlone = !spec.row.flags.includes('fast') && !spec.row.complexity.startsWith('O(1)')
    this.flushes = spec.name === 'FLUSHALL' || spec.name === 'FLUSHDB'
  }

  reset(): void {
    this.calls = 0
    this.microseconds = 0
    this.rejectedCalls = 0
    this.failedCalls = 0
    this.durations.clear()
  }
}

export class Runnables {
  readonly #bySpec = new Map<CommandSpec, Runnable>()
  /** Those that are no subcommands, by name. */
  readonly #named: NameTable<Runnable>

  constructor() {
    for (const spec of commands.values()) this.#register(spec)
    this.#named = new NameTable(
      [...commands].flatMap(([name, spec]) => {
        const runnable = spec.isContainer ? undefined : this.#bySpec.get(spec)
        return runnable === undefined ? [] : [[name, runnable] as const]
      }),
    )
  }

  get all(): Iterable<Runnable> {
    return this.#bySpec.values()
  }

  of(spec: CommandSpec): Runnable | undefined {
    return this.#bySpec.get(spec)
  }

  /** The command that the scanner has found, when it is known and has the right number of arguments. */
  found(scanner: RequestScanner): Runnable | null {
    const named = this.#named.find(scanner.bytes, scanner.start(0), scanner.endOf(0))
    if (named !== undefined) return named.spec.accepts(scanner.argumentCount) ? named : null
    const spec = commandIn(scanner)
    if (spec === undefined || !spec.accepts(scanner.argumentCount)) return null
    return this.#bySpec.get(spec) ?? null
  }

  #register(spec: CommandSpec): void {
    const handler = handlers[spec.name]
    if (handler !== undefined) this.#bySpec.set(spec, new Runnable(spec, handler))
    for (const subcommand of spec.subcommands) this.#register(subcommand)
  }
}
