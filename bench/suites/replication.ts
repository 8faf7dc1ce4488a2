/** What a peer costs, and how long a write takes to it. */
import { Histogram, type Percentiles } from '#bench/figures/histogram.ts'
import { compileTemplate, stampTemplate } from '#bench/generator/template.ts'
import { measuredCommands, setCommand } from '#bench/load/commands.ts'
import { startLoad } from '#bench/load/generated.ts'
import { Contest } from '#bench/load/rate.ts'
import { formatNumber } from '#bench/report/number.ts'
import type { BudgetRow, Cell, Table } from '#bench/report/result.ts'
import { cellText } from '#bench/report/table.ts'
import { Client } from '#bench/servers/client.ts'
import type { LabServer } from '#bench/servers/lab.ts'
import type { Stage } from '#bench/servers/stage.ts'
import { cpuTable, type RateRow, rateLine } from './rateTables.ts'
import { keySpace, roundsOf, type Suite, type SuiteOptions } from './suite.ts'

const clients = 50

interface Pair {
  alone: LabServer
  /** Two clusters. */
  pair: LabServer
}

export async function startPair(stage: Stage): Promise<Pair> {
  return {
    alone: await stage.lab({ name: 'alone', clusters: 1, persistence: 'none' }),
    pair: await stage.lab({ name: 'with a peer', clusters: 2, persistence: 'everysec' }),
  }
}

/** SET with 16 requests in flight; the budget. */
export async function setCost({ alone, pair }: Pair, options: SuiteOptions): Promise<BudgetRow> {
  const contest = new Contest([alone, pair])
  const wish = { command: setCommand(32), clients, pipeline: 16, keys: keySpace, ...roundsOf(options) }
  const [plain, replicated] = await contest.rates(wish)
  if (!plain || !replicated) throw new Error('SET is not supported')
  const ratio = replicated.perSecond / plain.perSecond
  return {
    what: 'SET with a peer over TLS and `everysec`, against without (`-P 16`)',
    budget: '0.7 x',
    measured: `${ratio.toFixed(2)} x (${formatNumber(replicated.perSecond / 1000)}k/s, ${formatNumber(plain.perSecond / 1000)}k/s)`,
    isMet: ratio >= 0.7,
  }
}

/** Between two of its writes. */
const pauseMs = 2
const delayKey = 'bench:delay:{n}'

/**
 * From before a SET is sent at cluster 1 until a GET at cluster 2 shows it. Cluster 2 is asked again at once: the delay has
 * the resolution of a round trip.
 */
export async function visibilityDelay(lab: LabServer, samples: number): Promise<Percentiles> {
  const [writer, reader] = [await Client.connect(lab.portOf(1)), await Client.connect(lab.portOf(2))]
  const [set, get] = [compileTemplate(['SET', delayKey, 'x']), compileTemplate(['GET', delayKey])]
  const first = Math.floor(Math.random() * 1e9)
  const delays = new Histogram()
  for (let i = 0; i < samples; i++) {
    stampTemplate(set, set.bytes, 0, first + i)
    stampTemplate(get, get.bytes, 0, first + i)
    const startMs = performance.now()
    await writer.askBytes(set.bytes)
    while ((await reader.askBytes(get.bytes)) === '$-1\r\n') {
      // Not there yet.
    }
    delays.record(performance.now() - startMs)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  writer.close()
  reader.close()
  return delays.percentiles()
}

/** The same while cluster 1 takes SETs at half of the rate that it can take from 50 clients, one request in flight each. */
export async function visibilityDelayUnderLoad(
  lab: LabServer,
  options: SuiteOptions,
): Promise<{ delay: Percentiles; perSecond: number }> {
  const wish = { command: setCommand(32), clients, pipeline: 1, keys: keySpace, ...roundsOf(options) }
  const [most] = await new Contest([lab]).rates(wish)
  const perSecond = Math.round((most?.perSecond ?? 0) / 2)
  const load = startLoad({
    port: lab.port,
    connections: clients,
    mix: [{ weight: 1, args: ['SET', 'key:{n}', 'v'.repeat(32)] }],
    keys: { first: 0, count: keySpace, order: 'random' },
    pace: { type: 'open', perSecond },
    until: { seconds: 3_600 },
  })
  const delay = await Promise.race([
    visibilityDelay(lab, delaySamples(options)),
    load.outcome.then(() => Promise.reject(new Error('the load has ended'))),
  ])
  load.stop()
  await load.outcome
  return { delay, perSecond }
}

const delaySamples = ({ isQuick }: SuiteOptions): number => (isQuick ? 200 : 2_000)

export async function delayBudget(lab: LabServer, options: SuiteOptions): Promise<BudgetRow> {
  const { delay, perSecond } = await visibilityDelayUnderLoad(lab, options)
  return {
    what: `write until readable at the peer, under half load (${formatNumber(perSecond)} SET/s)`,
    budget: 'p50 2 ms, p99 10 ms',
    measured: `p50 ${formatNumber(delay.p50Ms)} ms, p99 ${formatNumber(delay.p99Ms)} ms`,
    isMet: delay.p50Ms <= 2 && delay.p99Ms <= 10,
  }
}

export const replicationSuite: Suite = {
  name: 'replication',
  title: 'Replication',
  description:
    'Writes with a peer cluster attached over TLS and `everysec`, with `everysec` alone, and with neither. The peer runs on the same cores, so its work is part of the cost. The delay counts from before a SET is sent at one cluster until a GET at the other shows it.',
  async run(stage, options) {
    const { alone, pair } = await startPair(stage)
    const logged = await stage.lab({ name: 'everysec', clusters: 1, persistence: 'everysec' })
    const contest = new Contest([pair, logged, alone])
    const names = contest.servers.map(({ name }) => name)
    const rows: RateRow[] = []
    for (const command of measuredCommands.filter((each) => each.isBudgeted && each.title !== 'GET')) {
      for (const pipeline of [1, 16]) {
        const wish = { command, clients, pipeline, keys: keySpace, ...roundsOf(options) }
        const row = { label: `${command.title} -P ${pipeline}`, rates: await contest.rates(wish) }
        options.say(rateLine(names, row))
        rows.push(row)
      }
    }
    return {
      budgets: [],
      tables: [costTable(names, rows), cpuTable('Writes', names, rows), await delayTable(pair, options)],
      plots: [],
    }
  },
}

const costTable = (names: readonly string[], rows: readonly RateRow[]): Table => ({
  title: 'Writes: thousand requests a second, and as part of those without peer and log',
  columns: ['', ...names, ...names.slice(0, 2)],
  rows: rows.map(({ label, rates }) => {
    const [, , plain] = rates
    const part = (at: number): Cell => {
      const rate = rates[at]
      return rate && plain ? `${(rate.perSecond / plain.perSecond).toFixed(2)} x` : null
    }
    return [
      label,
      ...rates.map((rate) => (rate === null ? 'not supported yet' : rate.perSecond / 1000)),
      part(0),
      part(1),
    ]
  }),
})

async function delayTable(pair: LabServer, options: SuiteOptions): Promise<Table> {
  const idle = await visibilityDelay(pair, delaySamples(options))
  const { delay, perSecond } = await visibilityDelayUnderLoad(pair, options)
  const row = (label: string, { p50Ms, p99Ms, p999Ms, maxMs }: Percentiles): Cell[] => [
    label,
    p50Ms,
    p99Ms,
    p999Ms,
    maxMs,
  ]
  const rows = [row('idle', idle), row(`${formatNumber(perSecond)} SET/s`, delay)]
  for (const cells of rows) options.say(`delay ${cells.map(cellText).join(' ')}`)
  return {
    title: 'Until a write is readable at the peer, milliseconds',
    columns: ['', 'p50', 'p99', 'p99.9', 'longest'],
    rows,
  }
}
