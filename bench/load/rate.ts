/** Throughput and CPU time of servers side by side. */
import { medianOf } from '#bench/figures/median.ts'
import { askOnce, supports } from '#bench/servers/client.ts'
import type { CpuTime } from '#bench/servers/processes.ts'
import type { Server } from '#bench/servers/server.ts'
import type { MeasuredCommand } from './commands.ts'
import { fill } from './generated.ts'
import { type BenchmarkFigures, redisBenchmark } from './redisBenchmark.ts'

/** CPU time for each request, microseconds. */
export interface CpuMicros {
  user: number
  system: number
}

export interface Rate extends BenchmarkFigures {
  /** By kind of process. */
  cpu: ReadonlyMap<string, CpuMicros>
}

export interface RateWish {
  command: MeasuredCommand
  clients: number
  pipeline: number
  /** Key space. */
  keys: number
  rounds: number
  /** Of each round. */
  seconds: number
  /** No round has more. */
  requestsMax?: number
}

/** Length of the first run, which warms up and says how many requests a round takes. */
const pilotSecondsMax = 0.25
const pilotRequests = 2_000

/** Servers side by side: they take turns, so that a noisy minute hits all of them. */
export class Contest {
  readonly servers: readonly Server[]
  /** What is there already, by server. */
  readonly #filled = new Map<Server, Set<string>>()

  constructor(servers: readonly Server[]) {
    this.servers = servers
  }

  /** Medians of the rounds, for each server; null for one that doesn't know the command. */
  async rates(wish: RateWish): Promise<(Rate | null)[]> {
    const runs: { server: Server; requests: number; rates: Rate[] }[] = []
    for (const server of this.servers)
      runs.push({ server, requests: await this.#prepare(server, wish), rates: [] })
    for (let round = 0; round < wish.rounds; round++) {
      for (const { server, requests, rates } of runs)
        if (requests > 0) rates.push(await measure(server, wish, requests))
    }
    return runs.map(({ rates }) => (rates.length === 0 ? null : medianRate(rates)))
  }

  /** Empties all servers. */
  async flush(): Promise<void> {
    for (const server of this.servers) {
      // nutcracker has no FLUSHALL; what is overwritten there takes no more memory.
      if (!isNutcracker(server)) await askOnce(server.port, 'FLUSHALL')
    }
    this.#filled.clear()
  }

  /** Returns the requests of a round, 0 when the server doesn't know the command. */
  async #prepare(server: Server, wish: RateWish): Promise<number> {
    const { command, keys, seconds, requestsMax = Number.POSITIVE_INFINITY } = wish
    if (!(await knows(server, command))) return 0
    await this.#fill(server, command, keys)
    const pilotSeconds = Math.min(pilotSecondsMax, seconds)
    let requests = Math.min(requestsMax, pilotRequests)
    for (;;) {
      const { perSecond } = await benchmark(server, wish, requests)
      // What was done in an instant says little about the rate.
      if (requests >= requestsMax || requests >= (perSecond * pilotSeconds) / 2)
        return Math.min(requestsMax, Math.ceil(perSecond * seconds))
      requests = Math.min(requestsMax, Math.max(requests * 2, Math.ceil(perSecond * pilotSeconds)))
    }
  }

  async #fill(server: Server, { needs }: MeasuredCommand, keys: number): Promise<void> {
    const filled = this.#filled.get(server) ?? new Set()
    this.#filled.set(server, filled)
    if (needs === undefined || filled.has(needs.join())) return
    await fill(server.port, needs, keys)
    filled.add(needs.join())
  }
}

const isNutcracker = (server: Server): boolean => server.cpu().has('nutcracker')

/** nutcracker doesn't know COMMAND; the table has only what it can do. */
const knows = async (server: Server, { args: [name = ''] }: MeasuredCommand): Promise<boolean> =>
  isNutcracker(server) || (await supports(server.port, name))

const benchmark = (server: Server, wish: RateWish, requests: number): Promise<BenchmarkFigures> => {
  const { command, clients, pipeline, keys } = wish
  return redisBenchmark({ port: server.port, args: command.args, clients, pipeline, keys, requests })
}

async function measure(server: Server, wish: RateWish, requests: number): Promise<Rate> {
  const before = server.cpu()
  const figures = await benchmark(server, wish, requests)
  return { ...figures, cpu: cpuPerRequest(before, server.cpu(), requests) }
}

export function cpuPerRequest(
  before: ReadonlyMap<string, CpuTime>,
  after: ReadonlyMap<string, CpuTime>,
  requests: number,
): Map<string, CpuMicros> {
  const perRequest = new Map<string, CpuMicros>()
  for (const [kind, end] of after) {
    const start = before.get(kind) ?? { totalMs: 0, userMs: 0, systemMs: 0 }
    const total = ((end.totalMs - start.totalMs) * 1000) / requests
    const [userMs, systemMs] = [end.userMs - start.userMs, end.systemMs - start.systemMs]
    const ticksMs = userMs + systemMs
    // Less than a tick is anybody's; let it be the user's.
    const systemPart = ticksMs > 0 ? systemMs / ticksMs : 0
    perRequest.set(kind, { user: total * (1 - systemPart), system: total * systemPart })
  }
  return perRequest
}

function medianRate(rates: readonly Rate[]): Rate {
  const kinds = [...(rates[0]?.cpu.keys() ?? [])]
  return {
    perSecond: medianOf(rates, ({ perSecond }) => perSecond),
    p50Ms: medianOf(rates, ({ p50Ms }) => p50Ms),
    p99Ms: medianOf(rates, ({ p99Ms }) => p99Ms),
    p999Ms: medianOf(rates, ({ p999Ms }) => p999Ms),
    maxMs: medianOf(rates, ({ maxMs }) => maxMs),
    cpu: new Map(kinds.map((kind) => [kind, medianCpu(rates.map(({ cpu }) => cpu.get(kind)))])),
  }
}

const medianCpu = (runs: readonly (CpuMicros | undefined)[]): CpuMicros => ({
  user: medianOf(runs, (run) => run?.user ?? 0),
  system: medianOf(runs, (run) => run?.system ?? 0),
})

/** Of all processes of one server. */
export const totalMicros = ({ cpu }: Pick<Rate, 'cpu'>): number =>
  [...cpu.values()].reduce((sum, { user, system }) => sum + user + system, 0)
