/** Reads and writes mixed, which redis-benchmark can't. */
import { median } from '#bench/figures/median.ts'
import type { Plan } from '#bench/generator/plan.ts'
import { fill, runLoad } from '#bench/load/generated.ts'
import { cpuPerRequest, type Rate } from '#bench/load/rate.ts'
import type { Server } from '#bench/servers/server.ts'
import { cpuTable, type RateRow, rateLine, throughputTable } from './rateTables.ts'
import { keySpace, roundsOf, type Suite } from './suite.ts'

const value = 'v'.repeat(32)
/** Connections. */
export const mixClients = 50
export const mixFillArgs = ['SET', 'key:{n}', value]

/** Of the load generator. */
export const warmUpSeconds = 0.5

/** Nine GETs to one SET. */
const mix: Plan['mix'] = [
  { weight: 9, args: ['GET', 'key:{n}'] },
  { weight: 1, args: mixFillArgs },
]

export const mixPlan = (server: Server, pace: Plan['pace'], seconds: number): Plan => ({
  port: server.port,
  connections: mixClients,
  mix,
  keys: { first: 0, count: keySpace, order: 'random' },
  pace,
  until: { seconds },
  warmUpSeconds,
})

async function mixedRate(server: Server, pipeline: number, seconds: number): Promise<Rate> {
  const before = server.cpu()
  const { requests, perSecond, latency } = await runLoad(
    mixPlan(server, { type: 'closed', pipeline }, seconds),
  )
  return { ...latency, perSecond, cpu: cpuPerRequest(before, server.cpu(), requests) }
}

export const mixedSuite: Suite = {
  name: 'mixed',
  title: 'Mixed load',
  description: `Nine GETs to one SET, drawn at random over ${keySpace.toLocaleString('en-US')} keys with values of 32 bytes; ${mixClients} connections of our own load generator, which costs more than redis-benchmark: compare within this table.`,
  async run(stage, options) {
    const servers = await stage.three()
    const names = servers.map(({ name }) => name)
    const { rounds } = roundsOf(options)
    const seconds = options.isQuick ? 0.5 : 2
    for (const server of servers) await fill(server.port, mixFillArgs, keySpace)
    const rows: RateRow[] = []
    for (const pipeline of [1, 16, 64]) {
      const runs = servers.map((): Rate[] => [])
      for (let round = 0; round < rounds; round++) {
        for (const [at, server] of servers.entries())
          runs[at]?.push(await mixedRate(server, pipeline, seconds))
      }
      const row = { label: `-P ${pipeline}`, rates: runs.map(middleRun) }
      options.say(`90/10 GET/SET ${rateLine(names, row)}`)
      rows.push(row)
    }
    const title = '90/10 GET/SET'
    return {
      budgets: [],
      tables: [throughputTable(title, names, rows), cpuTable(title, names, rows)],
      plots: [],
    }
  },
}

/** The run whose throughput is the median of an odd number of runs. */
function middleRun(runs: readonly Rate[]): Rate | null {
  const middle = median(runs.map(({ perSecond }) => perSecond))
  return runs.find(({ perSecond }) => perSecond === middle) ?? null
}
