/** Throughput and CPU time of servers side by side, as tables and plots: what several suites show. */
import { type CpuMicros, type Rate, totalMicros } from '#bench/load/rate.ts'
import { formatNumber, formatRatio } from '#bench/report/number.ts'
import type { BarPlot, Cell, Table } from '#bench/report/result.ts'

export interface RateRow {
  /** What was measured. */
  label: string
  /** One for each server, ours first. */
  rates: readonly (Rate | null)[]
}

/** Thousands of requests a second and CPU time for each, and how many times those of the others our rates are. */
export function throughputTable(title: string, servers: readonly string[], rows: readonly RateRow[]): Table {
  const others = servers.slice(1)
  return {
    title: `${title}: thousand requests a second, CPU microseconds a request`,
    columns: [
      '',
      ...servers.flatMap((name) => [`${name} k/s`, 'us']),
      ...others.map((name) => `against ${name}`),
    ],
    rows: rows.map(({ label, rates }) => [
      label,
      ...rates.flatMap((rate): Cell[] =>
        rate === null ? [notYet, null] : [rate.perSecond / 1000, totalMicros(rate)],
      ),
      ...rates.slice(1).map((rate) => ratioCell(rates[0] ?? null, rate)),
    ]),
  }
}

const notYet = 'not supported yet'

function ratioCell(own: Rate | null, other: Rate | null): Cell {
  return own === null || other === null ? null : formatRatio(own.perSecond, other.perSecond)
}

/** User + system time of each process that a server is made of; of several their sum before them. */
export function cpuTable(title: string, servers: readonly string[], rows: readonly RateRow[]): Table {
  const kinds = servers.map((_, at) => busyKinds(rows, at))
  const isSingle = (at: number) => kinds[at]?.length === 1
  return {
    title: `${title}: CPU microseconds a request by process, user + system`,
    isDetail: true,
    columns: [
      '',
      ...servers.flatMap((name, at) =>
        isSingle(at) ? [name] : [name, ...(kinds[at] ?? []).map((kind) => `· ${kind}`)],
      ),
    ],
    rows: rows.map(({ label, rates }) => [
      label,
      ...rates.flatMap((rate, at) => {
        const parts = (kinds[at] ?? []).map((kind) => cpuCell(rate?.cpu.get(kind)))
        return isSingle(at) ? parts : [rate && totalMicros(rate), ...parts]
      }),
    ]),
  }
}

/** Kinds of processes that did something for a request. */
function busyKinds(rows: readonly RateRow[], at: number): string[] {
  const kinds = new Set<string>()
  for (const { rates } of rows) {
    for (const [kind, { user, system }] of rates[at]?.cpu ?? []) if (user + system > 0.01) kinds.add(kind)
  }
  return [...kinds]
}

const cpuCell = (cpu: CpuMicros | undefined): Cell =>
  cpu === undefined ? null : `${formatNumber(cpu.user)} + ${formatNumber(cpu.system)}`

export const throughputPlot = (
  name: string,
  title: string,
  servers: readonly string[],
  rows: readonly RateRow[],
): BarPlot => ({
  type: 'bars',
  name,
  title,
  unit: 'thousand requests a second',
  categories: rows.map(({ label }) => label),
  series: servers.map((server, at) => ({
    name: server,
    values: rows.map(({ rates }) => (rates[at] == null ? null : rates[at].perSecond / 1000)),
  })),
})

/** A line of progress. */
export const rateLine = (servers: readonly string[], { label, rates }: RateRow): string =>
  `${label}: ${rates
    .map((rate, at) =>
      rate === null
        ? `${servers[at]} ${notYet}`
        : `${servers[at]} ${formatNumber(rate.perSecond / 1000)}k/s ${formatNumber(totalMicros(rate))} us`,
    )
    .join(' | ')}`
