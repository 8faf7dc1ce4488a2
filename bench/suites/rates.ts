/** Throughput: by command, by number of clients, by size of the value. */
import { getCommand, type MeasuredCommand, measuredCommands, setCommand } from '#bench/load/commands.ts'
import { Contest } from '#bench/load/rate.ts'
import type { Findings } from '#bench/report/result.ts'
import { cpuTable, type RateRow, rateLine, throughputPlot, throughputTable } from './rateTables.ts'
import { keySpace, roundsOf, type Suite, type SuiteOptions } from './suite.ts'

const defaultClients = 50
const pipelines = [1, 16, 64] as const

/** One row for each command, in one depth of pipelining. */
export async function commandRates(
  contest: Contest,
  commands: readonly MeasuredCommand[],
  pipeline: number,
  options: SuiteOptions,
): Promise<RateRow[]> {
  const names = contest.servers.map(({ name }) => name)
  const rows: RateRow[] = []
  for (const command of commands) {
    const wish = { command, clients: defaultClients, pipeline, keys: keySpace, ...roundsOf(options) }
    const row = { label: command.title, rates: await contest.rates(wish) }
    options.say(`-P ${pipeline} ${rateLine(names, row)}`)
    rows.push(row)
  }
  return rows
}

export const ratesSuite: Suite = {
  name: 'rates',
  title: 'Throughput by command',
  description: `redis-benchmark, ${defaultClients} clients, values of 32 bytes, ${keySpace.toLocaleString('en-US')} random keys or elements; one node, one shard, no persistence. Medians of rounds in which the servers take turns.`,
  async run(stage, options) {
    const contest = new Contest(await stage.three())
    const names = contest.servers.map(({ name }) => name)
    const findings: Findings = { budgets: [], tables: [], plots: [] }
    for (const pipeline of pipelines) {
      const rows = await commandRates(contest, measuredCommands, pipeline, options)
      const title = `-P ${pipeline}`
      findings.tables.push(throughputTable(title, names, rows), cpuTable(title, names, rows))
      findings.plots.push(throughputPlot(`rates-${pipeline}`, `Throughput, ${title}`, names, rows))
    }
    return findings
  },
}

const clientCounts = [1, 50, 500] as const

export const clientsSuite: Suite = {
  name: 'clients',
  title: 'Throughput by number of clients',
  description: `redis-benchmark with ${clientCounts.join(', ')} connections, values of 32 bytes, ${keySpace.toLocaleString('en-US')} random keys; no persistence.`,
  async run(stage, options) {
    const contest = new Contest(await stage.three())
    const names = contest.servers.map(({ name }) => name)
    const findings: Findings = { budgets: [], tables: [], plots: [] }
    for (const pipeline of [1, 16]) {
      const rows: RateRow[] = []
      for (const clients of clientCounts) {
        for (const command of [getCommand(32), setCommand(32)]) {
          const wish = { command, clients, pipeline, keys: keySpace, ...roundsOf(options) }
          const label = `${command.title}, ${clients} client${clients === 1 ? '' : 's'}`
          const row = { label, rates: await contest.rates(wish) }
          options.say(`-P ${pipeline} ${rateLine(names, row)}`)
          rows.push(row)
        }
      }
      const title = `-P ${pipeline}`
      findings.tables.push(throughputTable(title, names, rows), cpuTable(title, names, rows))
      findings.plots.push(
        throughputPlot(`clients-${pipeline}`, `Throughput by clients, ${title}`, names, rows),
      )
    }
    return findings
  },
}

const kibibyte = 1024
const valueSizes = [32, 256, kibibyte, 4 * kibibyte, 16 * kibibyte, 64 * kibibyte] as const
/** All values of a size together take no more than this, and neither does what one round moves. */
const valuesBytesMax = 16 * kibibyte ** 2
const movedBytesMax = 512 * kibibyte ** 2

const sizeText = (bytes: number): string => (bytes < kibibyte ? `${bytes} B` : `${bytes / kibibyte} KiB`)

export const sizesSuite: Suite = {
  name: 'sizes',
  title: 'Throughput by size of the value',
  description: `redis-benchmark, GET and SET with values of ${sizeText(valueSizes[0])} to ${sizeText(valueSizes.at(-1) ?? 0)}; ${defaultClients} clients. Fewer keys where the values are large, so that all take 16 MiB at most.`,
  async run(stage, options) {
    const contest = new Contest(await stage.three())
    const names = contest.servers.map(({ name }) => name)
    const findings: Findings = { budgets: [], tables: [], plots: [] }
    for (const pipeline of [1, 16]) {
      const rows: RateRow[] = []
      for (const bytes of valueSizes) {
        await contest.flush()
        for (const command of [getCommand(bytes), setCommand(bytes)]) {
          const keys = Math.min(keySpace, Math.floor(valuesBytesMax / bytes))
          const requestsMax = Math.floor(movedBytesMax / bytes)
          const wish = { command, clients: defaultClients, pipeline, keys, requestsMax, ...roundsOf(options) }
          const row = { label: `${command.title} ${sizeText(bytes)}`, rates: await contest.rates(wish) }
          options.say(`-P ${pipeline} ${rateLine(names, row)}`)
          rows.push(row)
        }
      }
      const title = `-P ${pipeline}`
      findings.tables.push(throughputTable(title, names, rows), cpuTable(title, names, rows))
      findings.plots.push(
        throughputPlot(`sizes-${pipeline}`, `Throughput by size of the value, ${title}`, names, rows),
      )
    }
    return findings
  },
}
