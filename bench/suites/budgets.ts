/** The budgets: what the design promises, as ratios of one run. The default. */
import { measuredCommands } from '#bench/load/commands.ts'
import { Contest, type Rate } from '#bench/load/rate.ts'
import { formatNumber, formatRatio } from '#bench/report/number.ts'
import type { BudgetRow, Findings } from '#bench/report/result.ts'
import type { Stage } from '#bench/servers/stage.ts'
import { pauseBudget } from './churn.ts'
import { memoryPerKey, plainString } from './memory.ts'
import { commandRates } from './rates.ts'
import { cpuTable, type RateRow, throughputTable } from './rateTables.ts'
import { delayBudget, setCost, startPair } from './replication.ts'
import { restartBudget } from './restart.ts'
import type { Suite, SuiteOptions } from './suite.ts'

/** What the throughput must at least be, times that of the other, by requests in flight. */
const rateBudgets = [
  { pipeline: 1, nutcracker: 1.0, redis: 0.6 },
  { pipeline: 16, nutcracker: 1.5, redis: 0.6 },
  { pipeline: 64, nutcracker: 2.0, redis: 0.6 },
] as const

async function rateFindings(stage: Stage, options: SuiteOptions): Promise<Findings> {
  const servers = await stage.three()
  const contest = new Contest(servers)
  const names = servers.map(({ name }) => name)
  const commands = measuredCommands.filter(({ isBudgeted }) => isBudgeted)
  const findings: Findings = { budgets: [], tables: [], plots: [] }
  for (const { pipeline, nutcracker, redis } of rateBudgets) {
    const rows = await commandRates(contest, commands, pipeline, options)
    findings.budgets.push(
      ratioRow(`\`-P ${pipeline}\` against nutcracker + redis-server`, nutcracker, rows, 1),
      ratioRow(`\`-P ${pipeline}\` against redis-server`, redis, rows, 2),
    )
    findings.tables.push({ ...throughputTable(`-P ${pipeline}`, names, rows), isDetail: true })
    findings.tables.push(cpuTable(`-P ${pipeline}`, names, rows))
  }
  for (const server of servers.toReversed()) await stage.stop(server)
  return findings
}

/** The worst command decides; commands that aren't there yet are told and don't count. */
function ratioRow(what: string, budget: number, rows: readonly RateRow[], other: number): BudgetRow {
  const ratios = rows.map(({ label, rates }) => ({ label, ratio: ratioOf(rates[0], rates[other]) }))
  const texts = ratios.map(({ label, ratio }) => `${label} ${ratio === null ? 'not yet' : ratio.toFixed(2)}`)
  return {
    what,
    budget: `${budget.toFixed(1)} x`,
    measured: texts.join(', '),
    isMet: ratios.every(({ ratio }) => ratio === null || ratio >= budget),
  }
}

const ratioOf = (own: Rate | null | undefined, other: Rate | null | undefined): number | null =>
  own && other ? own.perSecond / other.perSecond : null

/** Memory, then restart, with the same data; then pauses, in a fresh server. */
async function dataRows(stage: Stage, options: SuiteOptions): Promise<BudgetRow[]> {
  const count = options.isQuick ? plainString.count / 10 : plainString.count
  const redis = await stage.redis({ appendOnly: true })
  const lab = await stage.lab({ name: 'Antipode', clusters: 1, persistence: 'everysec' })
  const kind = { ...plainString, count }
  const { wholeBytes: own } = await memoryPerKey(lab, kind)
  const { wholeBytes: other } = await memoryPerKey(redis, kind)
  const memory: BudgetRow = {
    what: `memory per key, ${count.toLocaleString('en-US')} keys of 16 + 32 bytes`,
    budget: '1.0 x',
    measured: `${formatRatio(own, other)} (${formatNumber(own)} bytes, ${formatNumber(other)} bytes)`,
    isMet: own <= other,
  }
  const restart = await restartBudget(lab, redis, count)
  await stage.stop(lab)
  await stage.stop(redis)
  const fresh = await stage.lab({ name: 'Antipode', clusters: 1, persistence: 'everysec' })
  return [memory, restart, await pauseBudget(fresh, options)]
}

export const budgetsSuite: Suite = {
  name: 'budgets',
  title: 'Budgets',
  description:
    'What the design promises, in one run, as ratios against redis-server alone and behind nutcracker: redis-benchmark, 50 clients, values of 32 bytes, one node, one shard, no persistence unless said. In a row of several commands the worst decides.',
  async run(stage, options) {
    const rates = await rateFindings(stage, options)
    const show = (row: BudgetRow): BudgetRow => {
      options.say(`${row.what}: ${row.measured}`)
      return row
    }
    const pair = await startPair(stage)
    const cost = show(await setCost(pair, options))
    const delay = show(await delayBudget(pair.pair, options))
    await stage.stop(pair.pair)
    await stage.stop(pair.alone)
    const data = (await dataRows(stage, options)).map(show)
    return { ...rates, budgets: [...rates.budgets, cost, delay, ...data] }
  },
}
