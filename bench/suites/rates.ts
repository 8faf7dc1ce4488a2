/** Throughput: by command, by number of clients, by size of the value. */
import { getCommand, type MeasuredCommand, measuredCommands, setCommand } from '#bench/load/commands.ts'
import { Contest, type RateWish } from '#bench/load/rate.ts'
import type { Findings } from '#bench/report/result.ts'
import type { Stage } from '#bench/servers/stage.ts'
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
  const rows: RateRow[] = []
  for (const command of commands) {
    const wish = { command, clients: defaultClients, pipeline, keys: keySpace }
    rows.push(await rateRow(contest, wish, command.title, options))
  }
  return rows
}

async function rateRow(
  contest: Contest,
  wish: Omit<RateWish, 'rounds' | 'seconds'>,
  label: string,
  options: SuiteOptions,
): Promise<RateRow> {
  const names = contest.servers.map(({ name }) => name)
  const row = { label, rates: await contest.rates({ ...wish, ...roundsOf(options) }) }
  options.say(`-P ${wish.pipeline} ${rateLine(names, row)}`)
  return row
}

/** Tables and a plot, called `plotTitle`, for each depth of pipelining. */
async function ratesByPipeline(
  stage: Stage,
  suite: Suite,
  plotTitle: string,
  pipelines: readonly number[],
  rowsAt: (contest: Contest, pipeline: number) => Promise<RateRow[]>,
): Promise<Findings> {
  const contest = new Contest(await stage.three())
  const names = contest.servers.map(({ name }) => name)
  const findings: Findings = { budgets: [], tables: [], plots: [] }
  for (const pipeline of pipelines) {
    const rows = await rowsAt(contest, pipeline)
    const title = `-P ${pipeline}`
    findings.tables.push(throughputTable(title, names, rows), cpuTable(title, names, rows))
    findings.plots.push(throughputPlot(`${suite.name}-${pipeline}`, `${plotTitle}, ${title}`, names, rows))
  }
  return findings
}

export const ratesSuite: Suite = {
  name: 'rates',
  title: 'Throughput by command',
  description: `redis-benchmark, ${defaultClients} clients, values of 32 bytes, ${keySpace.toLocaleString('en-US')} random keys or elements; one node, one shard, no persistence. Medians of rounds in which the servers take turns.`,
  run(stage, options) {
    return ratesByPipeline(stage, this, 'Throughput', pipelines, (contest, pipeline) =>
      commandRates(contest, measuredCommands, pipeline, options),
    )
  },
}

const clientCounts = [1, 50, 500] as const

export const clientsSuite: Suite = {
  name: 'clients',
  title: 'Throughput by number of clients',
  description: `redis-benchmark with ${clientCounts.join(', ')} connections, values of 32 bytes, ${keySpace.toLocaleString('en-US')} random keys; no persistence.`,
  run(stage, options) {
    return ratesByPipeline(stage, this, 'Throughput by clients', [1, 16], async (contest, pipeline) => {
      const rows: RateRow[] = []
      for (const clients of clientCounts) {
        for (const command of [getCommand(32), setCommand(32)]) {
          const label = `${command.title}, ${clients} client${clients === 1 ? '' : 's'}`
          rows.push(await rateRow(contest, { command, clients, pipeline, keys: keySpace }, label, options))
        }
      }
      return rows
    })
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
  run(stage, options) {
    return ratesByPipeline(
      stage,
      this,
      'Throughput by size of the value',
      [1, 16],
      async (contest, pipeline) => {
        const rows: RateRow[] = []
        for (const bytes of valueSizes) {
          await contest.flush()
          for (const command of [getCommand(bytes), setCommand(bytes)]) {
            const keys = Math.min(keySpace, Math.floor(valuesBytesMax / bytes))
            const requestsMax = Math.floor(movedBytesMax / bytes)
            const wish = { command, clients: defaultClients, pipeline, keys, requestsMax }
            rows.push(await rateRow(contest, wish, `${command.title} ${sizeText(bytes)}`, options))
          }
        }
        return rows
      },
    )
  },
}
