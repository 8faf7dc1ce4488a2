/**
 * Millions of keys written, overwritten, deleted and expired for minutes: does memory stay where it is, and does anybody wait?
 *
 * The mixture is such that seven of ten keys of the key space are there at any time; so many are there at the start, with the
 * same mixture of sizes. What memory does then is the server's doing, not that of a mixture that settles.
 */
import { type Flatness, flatGrowthMax, flatness, type Sample } from '#bench/figures/flatness.ts'
import type { Outcome, Plan, WeightedRequest } from '#bench/generator/plan.ts'
import { fillMixed, runLoad, startLoad } from '#bench/load/generated.ts'
import { formatNumber } from '#bench/report/number.ts'
import type { BudgetRow, Cell, Findings, LinePlot } from '#bench/report/result.ts'
import { askOnce, infoNumber } from '#bench/servers/client.ts'
import type { Server } from '#bench/servers/server.ts'
import { warmUpSeconds } from './mixed.ts'
import { settledResidentBytes } from './residentMemory.ts'
import type { Suite, SuiteOptions } from './suite.ts'

const key = 'key:{n}'
const sizesBytes = [8, 32, 64, 128, 256, 512]
const expiresMs = [500, 2_000, 10_000]

/** Each value is written with any of the sizes. */
const sets: WeightedRequest[] = sizesBytes.map((bytes) => ({
  weight: 70 / sizesBytes.length,
  args: ['SET', key, 'v'.repeat(bytes)],
}))

const churnMix: readonly WeightedRequest[] = [
  ...sets,
  ...expiresMs.flatMap((ms) => [
    { weight: 10 / expiresMs.length, args: ['SET', key, 'v'.repeat(32), 'PX', String(ms)] },
    { weight: 5 / expiresMs.length, args: ['PEXPIRE', key, String(ms)] },
  ]),
  { weight: 15, args: ['DEL', key] },
]
/** Of the key space: the part of the writes that leave a key. */
const livePart = 0.7

export interface ChurnWish {
  /** There at any time. */
  keys: number
  seconds: number
  /** Writes. */
  perSecond: number
  probesPerSecond: number
}

export interface Churn {
  /** Of the probes: GETs of keys drawn at random. */
  probes: Outcome
  writes: Outcome
  rss: Sample[]
  used: Sample[]
  residentBytes: { empty: number; filled: number; deleted: number }
  usedBytes: { empty: number; filled: number; deleted: number }
  expiredKeys: number
}

const sampleMs = 500
/** How long the server may take to give memory back. */
const returnMs = 30_000

const usedMemory = async (server: Server): Promise<number> =>
  infoNumber(await askOnce(server.port, 'INFO', 'memory'), 'used_memory')

/** `server` is empty and fresh; it is empty afterwards. */
export async function churn(server: Server, wish: ChurnWish, say: SuiteOptions['say']): Promise<Churn> {
  const { port } = server
  const space = Math.ceil(wish.keys / livePart)
  const empty = { resident: await settledResidentBytes(server), used: await usedMemory(server) }
  await fillMixed(port, sets, wish.keys)
  const filled = { resident: await settledResidentBytes(server), used: await usedMemory(server) }
  say(`${server.name}: ${wish.keys.toLocaleString('en-US')} keys, ${mebibytes(filled.resident)} MiB`)

  const keys: Plan['keys'] = { first: 0, count: space, order: 'random' }
  const timing = { until: { seconds: wish.seconds }, warmUpSeconds }
  // biome-ignore format: the two side by side
  const writing = startLoad({ port, connections: 8, mix: churnMix, keys, ...timing,
    pace: { type: 'open', perSecond: wish.perSecond } })
  // biome-ignore format: the two side by side
  const probing = startLoad({ port, connections: 8, mix: [{ weight: 1, args: ['GET', key] }], keys, ...timing,
    pace: { type: 'open', perSecond: wish.probesPerSecond }, windowSeconds: Math.max(1, wish.seconds / 120) })
  const [{ rss, used }, writes, probes] = await Promise.all([
    sample(server, wish.seconds, say),
    writing.outcome,
    probing.outcome,
  ])
  const expiredKeys = infoNumber(await askOnce(port, 'INFO', 'stats'), 'expired_keys')

  await deleteAll(port, space)
  const deleted = { resident: await settledResidentBytes(server, returnMs), used: await usedMemory(server) }
  return {
    probes,
    writes,
    rss,
    used,
    residentBytes: { empty: empty.resident, filled: filled.resident, deleted: deleted.resident },
    usedBytes: { empty: empty.used, filled: filled.used, deleted: deleted.used },
    expiredKeys,
  }
}

/** Key by key, as clients would. */
async function deleteAll(port: number, space: number): Promise<void> {
  await runLoad({
    port,
    connections: 4,
    mix: [{ weight: 1, args: ['DEL', key] }],
    keys: { first: 0, count: space, order: 'inTurn' },
    pace: { type: 'closed', pipeline: 50 },
    until: { requests: space },
  })
  const left = await askOnce(port, 'DBSIZE')
  if (left !== ':0\r\n') throw new Error(`DBSIZE is ${left.trim()} when everything is deleted`)
}

async function sample(
  server: Server,
  seconds: number,
  say: SuiteOptions['say'],
): Promise<{ rss: Sample[]; used: Sample[] }> {
  const samples = { rss: [] as Sample[], used: [] as Sample[] }
  const startMs = performance.now()
  const passed = () => (performance.now() - startMs) / 1000
  let told = 0
  while (passed() < seconds) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(sampleMs, (seconds * 1000) / 20)))
    samples.rss.push({ seconds: passed(), value: server.residentBytes() })
    samples.used.push({ seconds: passed(), value: await usedMemory(server) })
    if (passed() - told < 30) continue
    told = passed()
    say(`  ${Math.round(told)} s: ${mebibytes(samples.rss.at(-1)?.value ?? 0)} MiB resident`)
  }
  return samples
}

const mebibytes = (bytes: number): string => formatNumber(Math.round(bytes / 1024 ** 2))
const percent = (part: number): string => `${(part * 100).toFixed(1)} %`

const probesPerSecond = 1_000
const pauseMaxMs = 20

/** The pauses of a minute of it, for the table of budgets. */
export async function pauseBudget(server: Server, options: SuiteOptions): Promise<BudgetRow> {
  const keys = options.keys ?? (options.isQuick ? 300_000 : 3_000_000)
  const seconds = options.isQuick ? 5 : 60
  const { probes } = await churn(
    server,
    { keys, seconds, perSecond: options.perSecond ?? 20_000, probesPerSecond },
    options.say,
  )
  return pauseRow(keys, probes)
}

const pauseRow = (keys: number, { latency }: Outcome): BudgetRow => ({
  what: `GET under churn at ${keys.toLocaleString('en-US')} keys, p99.9`,
  budget: `${pauseMaxMs} ms`,
  measured: `${formatNumber(latency.p999Ms)} ms (p50 ${formatNumber(latency.p50Ms)}, p99 ${formatNumber(latency.p99Ms)}, longest ${formatNumber(latency.maxMs)})`,
  isMet: latency.p999Ms <= pauseMaxMs,
})

const flatRow = (what: string, { secondQuarter, lastQuarter, growth, isFlat }: Flatness): BudgetRow => ({
  what: `${what}: median of the last quarter against that of the second`,
  budget: `+${percent(flatGrowthMax)}`,
  measured: `${growth < 0 ? '' : '+'}${percent(growth)} (${mebibytes(secondQuarter)} MiB, then ${mebibytes(lastQuarter)} MiB)`,
  isMet: isFlat,
})

const memoryPlot = (runs: readonly { name: string; run: Churn }[]): LinePlot => ({
  type: 'lines',
  name: 'churn-memory',
  title: 'Memory under churn',
  unit: 'MiB',
  xTitle: 'seconds',
  series: runs.flatMap(({ name, run }) => [
    { name: `${name}, resident`, points: run.rss.map(toPoint) },
    { name: `${name}, used_memory`, points: run.used.map(toPoint) },
  ]),
})

const toPoint = ({ seconds, value }: Sample): readonly [number, number] => [seconds, value / 1024 ** 2]

const latencyPlot = ({ probes }: Churn): LinePlot => ({
  type: 'lines',
  name: 'churn-latency',
  title: 'Latency of a GET under churn',
  unit: 'ms',
  xTitle: 'seconds',
  limit: { name: `${pauseMaxMs} ms`, value: pauseMaxMs },
  series: [
    { name: 'p50', points: probes.windows.map(({ seconds, p50Ms }) => [seconds, p50Ms] as const) },
    { name: 'p99', points: probes.windows.map(({ seconds, p99Ms }) => [seconds, p99Ms] as const) },
    { name: 'longest', points: probes.windows.map(({ seconds, maxMs }) => [seconds, maxMs] as const) },
  ],
})

const churnColumns = [
  '',
  'writes/s',
  'expired keys',
  'p50',
  'p99',
  'p99.9',
  'longest',
  'resident, empty',
  'filled',
  'peak',
  'all deleted',
  'returned',
  'used, empty',
  'filled',
  'all deleted',
]

function churnCells(name: string, run: Churn): Cell[] {
  const { probes, writes, residentBytes: resident, usedBytes: used } = run
  return [
    name,
    writes.perSecond,
    run.expiredKeys,
    probes.latency.p50Ms,
    probes.latency.p99Ms,
    probes.latency.p999Ms,
    probes.latency.maxMs,
    mebibytes(resident.empty),
    mebibytes(resident.filled),
    mebibytes(peakBytes(run)),
    mebibytes(resident.deleted),
    percent(returnedPart(run)),
    mebibytes(used.empty),
    mebibytes(used.filled),
    mebibytes(used.deleted),
  ]
}

const peakBytes = ({ rss }: Churn): number => Math.max(...rss.map(({ value }) => value))

/** Of what resident memory grew by at most, when everything is deleted. */
const returnedPart = (run: Churn): number =>
  (peakBytes(run) - run.residentBytes.deleted) / (peakBytes(run) - run.residentBytes.empty)

export const churnSuite: Suite = {
  name: 'churn',
  title: 'Churn',
  description: `SET with ${sizesBytes[0]} to ${sizesBytes.at(-1)} bytes (70 %), SET with a TTL of ${expiresMs.join(', ')} ms (10 %), PEXPIRE (5 %), DEL (15 %) of random keys at a fixed rate, \`everysec\`; meanwhile ${probesPerSecond.toLocaleString('en-US')} GETs a second, whose latencies count from when each was due. Memory counts as flat when the median of its samples in the last quarter of the run is at most ${percent(flatGrowthMax)} above that in the second. Then every key is deleted; *returned* is the part of the growth from the empty server to the peak that is given back within half a minute. redis-server (append-only file, \`everysec\`) does the same for a fifth of the time.`,
  async run(stage, options): Promise<Findings> {
    const keys = options.keys ?? (options.isQuick ? 300_000 : 3_000_000)
    const seconds = 60 * (options.minutes ?? (options.isQuick ? 0.2 : 2))
    const wish = { keys, seconds, perSecond: options.perSecond ?? 20_000, probesPerSecond }
    const lab = await stage.lab({ name: 'Antipode', clusters: 1, persistence: 'everysec' })
    const own = await churn(lab, wish, options.say)
    await stage.stop(lab)
    const redis = await stage.redis({ appendOnly: true })
    const other = await churn(redis, { ...wish, seconds: Math.max(5, seconds / 5) }, options.say)
    await stage.stop(redis)
    options.say(`all deleted: ${percent(returnedPart(own))} of the growth has returned`)
    return {
      budgets: [
        pauseRow(keys, own.probes),
        flatRow('resident memory of the shard', flatness(own.rss)),
        flatRow('used_memory', flatness(own.used)),
      ],
      tables: [
        {
          title: `${keys.toLocaleString('en-US')} keys for ${formatNumber(Math.round(seconds))} seconds; memory in MiB, latencies of the GETs in ms`,
          columns: churnColumns,
          rows: [churnCells('Antipode', own), churnCells('redis-server', other)],
        },
      ],
      plots: [
        memoryPlot([
          { name: 'Antipode', run: own },
          { name: 'redis-server', run: other },
        ]),
        latencyPlot(own),
      ],
    }
  },
}
