/** Latencies at a fixed rate and at saturation. */
import type { Percentiles } from '#bench/figures/histogram.ts'
import { medianOf } from '#bench/figures/median.ts'
import { getCommand, setCommand } from '#bench/load/commands.ts'
import { fill, runLoad } from '#bench/load/generated.ts'
import { Contest } from '#bench/load/rate.ts'
import type { Cell, Findings, Table } from '#bench/report/result.ts'
import { cellText } from '#bench/report/table.ts'
import type { Server } from '#bench/servers/server.ts'
import { mixClients, mixFillArgs, mixPlan } from './mixed.ts'
import { keySpace, roundsOf, type Suite, type SuiteOptions } from './suite.ts'

const fixedRates = [2_000, 10_000, 20_000] as const

const latencyColumns = ['', 'server', 'p50 ms', 'p99 ms', 'p99.9 ms', 'longest ms']

const latencyCells = (label: string, server: string, runs: readonly Omit<Percentiles, 'count'>[]): Cell[] => [
  label,
  server,
  medianOf(runs, ({ p50Ms }) => p50Ms),
  medianOf(runs, ({ p99Ms }) => p99Ms),
  medianOf(runs, ({ p999Ms }) => p999Ms),
  medianOf(runs, ({ maxMs }) => maxMs),
]

async function fixedRateTable(servers: readonly Server[], options: SuiteOptions): Promise<Table> {
  const { rounds } = roundsOf(options)
  const seconds = options.isQuick ? 0.5 : 4
  const rows: Cell[][] = []
  for (const server of servers) await fill(server.port, mixFillArgs, keySpace)
  for (const perSecond of fixedRates) {
    const runs = servers.map((): Percentiles[] => [])
    for (let round = 0; round < rounds; round++) {
      for (const [at, server] of servers.entries()) {
        const { latency } = await runLoad(mixPlan(server, { type: 'open', perSecond }, seconds))
        runs[at]?.push(latency)
      }
    }
    for (const [at, { name }] of servers.entries()) {
      const cells = latencyCells(`${perSecond.toLocaleString('en-US')}/s`, name, runs[at] ?? [])
      options.say(cells.map(cellText).join(' '))
      rows.push(cells)
    }
  }
  return { title: 'At a fixed rate, nine GETs to one SET', columns: latencyColumns, rows }
}

async function saturationTable(servers: readonly Server[], options: SuiteOptions): Promise<Table> {
  const contest = new Contest(servers)
  const rows: Cell[][] = []
  for (const command of [getCommand(32), setCommand(32)]) {
    for (const pipeline of [1, 16]) {
      const rates = await contest.rates({
        command,
        clients: mixClients,
        pipeline,
        keys: keySpace,
        ...roundsOf(options),
      })
      for (const [at, { name }] of servers.entries()) {
        const rate = rates[at]
        if (rate) rows.push(latencyCells(`${command.title} -P ${pipeline}`, name, [rate]))
      }
    }
  }
  return { title: `At saturation, redis-benchmark with ${mixClients} clients`, columns: latencyColumns, rows }
}

export const latencySuite: Suite = {
  name: 'latency',
  title: 'Latency',
  description: `At a fixed rate a request's latency counts from when it was due, whatever the server did meanwhile; ${mixClients} connections. At saturation each client waits for its reply before it asks again, so the figures follow from the throughput.`,
  async run(stage, options): Promise<Findings> {
    const servers = await stage.three()
    const tables = [await fixedRateTable(servers, options), await saturationTable(servers, options)]
    return { budgets: [], tables, plots: [] }
  },
}
