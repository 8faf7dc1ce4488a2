/** What the workers of a node count, and their sum: INFO speaks of all of them. */
import { joinedHistograms } from '#protocol/frames/durations.ts'
import type { LatencyAnswer } from '#protocol/frames/latency.ts'
import type { WorkerFigures } from '#protocol/frames/worker.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import { greatest } from './figures.ts'

const none: CallFigures = { calls: 0, rejectedCalls: 0, failedCalls: 0, microseconds: 0 }

type CallFigures = WorkerFigures['commandCalls'][string]

/** By lower-case name. */
class CommandCalls {
  readonly #byName = new Map<string, CallFigures>()

  add(name: string, added: Partial<CallFigures>): void {
    const before = this.#byName.get(name) ?? none
    this.#byName.set(name, {
      calls: before.calls + (added.calls ?? 0),
      rejectedCalls: before.rejectedCalls + (added.rejectedCalls ?? 0),
      failedCalls: before.failedCalls + (added.failedCalls ?? 0),
      microseconds: before.microseconds + (added.microseconds ?? 0),
    })
  }

  get all(): WorkerFigures['commandCalls'] {
    return Object.fromEntries(this.#byName)
  }
}

export function figuresOf(host: SessionHost, histograms: boolean): WorkerFigures {
  const { counters } = host
  const listed = host.clients.list()
  const commandCalls = new CommandCalls()
  for (const [{ lowerName }, { count: calls, failed: failedCalls, microseconds }] of counters.calls)
    commandCalls.add(lowerName, { calls, failedCalls, microseconds: Math.round(microseconds) })
  for (const [{ lowerName }, rejectedCalls] of counters.rejectedCalls)
    commandCalls.add(lowerName, { rejectedCalls })
  const { residentBytes, cpuUserMs, cpuSystemMs } = host.process()
  return {
    clients: listed.length,
    trackingClients: host.tracking.count,
    inputBytesMax: greatest(listed, ({ inputBytes }) => inputBytes),
    unreadBytesMax: greatest(listed, ({ unreadBytes }) => unreadBytes),
    connectionsReceived: counters.connectionsReceived,
    connectionsRejected: counters.connectionsRejected,
    tlsClients: listed.filter(({ isTls }) => isTls).length,
    tlsConnectionsReceived: counters.tlsConnectionsReceived,
    tlsHandshakesFailed: counters.tlsHandshakesFailed,
    commands: counters.commands,
    waitingClients: listed.filter(({ waits }) => waits.current !== null).length,
    waitingForEver: listed.filter(({ waits }) => waits.current?.isForEver).length,
    inputBytes: counters.inputBytes,
    outputBytes: counters.outputBytes,
    commandsPerSecond: counters.perSecond('commands'),
    inputBytesPerSecond: counters.perSecond('inputBytes'),
    outputBytesPerSecond: counters.perSecond('outputBytes'),
    residentBytes,
    cpuUserMs,
    cpuSystemMs,
    sentTo: Object.fromEntries([...host.traffic].map(({ clusterId, sent }) => [clusterId, { ...sent }])),
    commandCalls: commandCalls.all,
    errors: counters.errors.all,
    histograms: histograms ? histogramsOf(host) : {},
  }
}

/** Of the commands that this worker answers itself. */
function histogramsOf({ counters }: SessionHost): Record<string, readonly number[]> {
  const histograms: Record<string, readonly number[]> = {}
  for (const [{ lowerName }, { durations }] of counters.calls) {
    const { counts } = durations
    if (counts.length > 0) histograms[lowerName] = counts
  }
  return histograms
}

export const latencyOf = (host: SessionHost): LatencyAnswer => ({
  events: host.observation.latency.all,
  histograms: histogramsOf(host),
})

type SummedFigure = Exclude<keyof WorkerFigures, ApartFigure>
const apart: readonly string[] = ['commandCalls', 'sentTo', 'errors', 'histograms'] satisfies ApartFigure[]
type ApartFigure = 'commandCalls' | 'sentTo' | 'errors' | 'histograms'
const greatestOf: ReadonlySet<string> = new Set<SummedFigure>(['inputBytesMax', 'unreadBytesMax'])

export function sumOf(own: WorkerFigures, others: readonly WorkerFigures[]): WorkerFigures {
  const commandCalls = new CommandCalls()
  const total = { ...own }
  for (const other of others) {
    for (const name of Object.keys(other) as SummedFigure[])
      if (!apart.includes(name)) total[name] = combined(name, total[name], other[name])
  }
  for (const figures of [own, ...others]) {
    for (const [name, calls] of Object.entries(figures.commandCalls)) commandCalls.add(name, calls)
  }
  const all = [own, ...others]
  return {
    ...total,
    sentTo: sentByAll(all),
    commandCalls: commandCalls.all,
    errors: summedErrors(all),
    histograms: Object.fromEntries(joinedHistograms(all.map(({ histograms }) => histograms))),
  }
}

/** By code. */
export function summedErrors(
  all: readonly { readonly errors: Readonly<Record<string, number>> }[],
): Record<string, number> {
  // Scripts make codes up: they may be any property's name.
  const sum = new Map<string, number>()
  for (const { errors } of all)
    for (const [code, count] of Object.entries(errors)) sum.set(code, (sum.get(code) ?? 0) + count)
  return Object.fromEntries(sum)
}

function sentByAll(workers: readonly WorkerFigures[]): WorkerFigures['sentTo'] {
  const sum: Record<number, { bytes: number; rawBytes: number }> = {}
  for (const { sentTo } of workers) {
    for (const [clusterId, { bytes, rawBytes }] of Object.entries(sentTo)) {
      const before = sum[Number(clusterId)] ?? { bytes: 0, rawBytes: 0 }
      sum[Number(clusterId)] = { bytes: before.bytes + bytes, rawBytes: before.rawBytes + rawBytes }
    }
  }
  return sum
}

const combined = (name: SummedFigure, one: number, other: number): number =>
  greatestOf.has(name) ? Math.max(one, other) : one + other
