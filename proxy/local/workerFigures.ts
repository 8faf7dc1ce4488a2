/** What the workers of a node count, and their sum: INFO speaks of all of them. */
import type { WorkerFigures } from '#protocol/frames/worker.ts'
import type { SessionHost } from '#proxy/session/host.ts'

type CallFigures = WorkerFigures['commandCalls'][string]

/** By lower-case name. */
class CommandCalls {
  readonly #byName = new Map<string, CallFigures>()

  add(name: string, { calls, rejectedCalls }: CallFigures): void {
    const before = this.#byName.get(name) ?? { calls: 0, rejectedCalls: 0 }
    this.#byName.set(name, {
      calls: before.calls + calls,
      rejectedCalls: before.rejectedCalls + rejectedCalls,
    })
  }

  get all(): WorkerFigures['commandCalls'] {
    return Object.fromEntries(this.#byName)
  }
}

export function figuresOf(host: SessionHost): WorkerFigures {
  const { counters } = host
  const listed = host.clients.list()
  const commandCalls = new CommandCalls()
  for (const [{ lowerName }, calls] of counters.calls)
    commandCalls.add(lowerName, { calls, rejectedCalls: 0 })
  for (const [{ lowerName }, rejectedCalls] of counters.rejectedCalls)
    commandCalls.add(lowerName, { calls: 0, rejectedCalls })
  const { residentBytes, cpuUserMs, cpuSystemMs } = host.process()
  return {
    clients: listed.length,
    inputBytesMax: greatest(listed.map(({ inputBytes }) => inputBytes)),
    unreadBytesMax: greatest(listed.map(({ unreadBytes }) => unreadBytes)),
    connectionsReceived: counters.connectionsReceived,
    connectionsRejected: counters.connectionsRejected,
    commands: counters.commands,
    inputBytes: counters.inputBytes,
    outputBytes: counters.outputBytes,
    commandsPerSecond: counters.perSecond('commands'),
    inputBytesPerSecond: counters.perSecond('inputBytes'),
    outputBytesPerSecond: counters.perSecond('outputBytes'),
    residentBytes,
    cpuUserMs,
    cpuSystemMs,
    commandCalls: commandCalls.all,
  }
}

type SummedFigure = Exclude<keyof WorkerFigures, 'commandCalls'>
const greatestOf: ReadonlySet<string> = new Set<SummedFigure>(['inputBytesMax', 'unreadBytesMax'])

export function sumOf(own: WorkerFigures, others: readonly WorkerFigures[]): WorkerFigures {
  const commandCalls = new CommandCalls()
  const total = { ...own }
  for (const other of others) {
    for (const name of Object.keys(other) as (keyof WorkerFigures)[])
      if (name !== 'commandCalls') total[name] = combined(name, total[name], other[name])
  }
  for (const figures of [own, ...others]) {
    for (const [name, calls] of Object.entries(figures.commandCalls)) commandCalls.add(name, calls)
  }
  return { ...total, commandCalls: commandCalls.all }
}

const combined = (name: SummedFigure, one: number, other: number): number =>
  greatestOf.has(name) ? Math.max(one, other) : one + other

/** `Math.max` with so many arguments overflows the stack. */
const greatest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0)
