/**
 * Millions of keys written, overwritten, deleted and expired for minutes: does memory stay where it is, and does anybody wait?
 *
 * The mixture is such that seven of ten keys of the key space are there at any time; so many are there at the start, with the
 * same mixture of sizes. What memory does then is the server's doing, not that of a mixture that settles.
 */
import { type Flatness, flatGrowthMax, flatness, type Sample } from '#bench/figures/flatness.ts'
import type { Outcome, Plan, WeightedRequest } from '#bench/generator/plan.ts'
import { fill, fillMixed, startLoad } from '#bench/load/generated.ts'
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

interface MemoryUse {
  residentBytes: number
  /** `used_memory` of INFO. */
  usedBytes: number
}

export interface Churn {
  /** Of the probes: GETs of keys drawn at random. */
  probes: Outcome
  writes: Outcome
  rss: Sample[]
  used: Sample[]
  empty: MemoryUse
  filled: MemoryUse
  expiredKeys: number
}

const samplesOfRun = 240
const sampleMinMs = 200

const usedMemory = async (server: Server): Promise<number> =>
  infoNumber(await askOnce(server.port, 'INFO', 'memory'), 'used_memory')

const memoryUse = async (server: Server): Promise<MemoryUse> => ({
  residentBytes: await settledResidentBytes(server),
  usedBytes: await usedMemory(server),
})

const keySpaceOf = ({ keys }: ChurnWish): number => Math.ceil(keys / livePart)

/** `server` is empty and fresh. */
export async function churn(server: Server, wish: ChurnWish, say: SuiteOptions['say']): Promise<Churn> {
  const { port } = server
  const empty = await memoryUse(server)
  await fillMixed(port, sets, wish.keys)
  const filled = await memoryUse(server)
  say(`${server.name}: ${wish.keys.toLocaleString('en-US')} keys, ${mebibytes(filled.residentBytes)} MiB`)

  const keys: Plan['keys'] = { first: 0, count: keySpaceOf(wish), order: 'random' }
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
  return { probes, writes, rss, used, empty, filled, expiredKeys }
}

/** Key by key, as clients would; what memory is left a while later. */
async function deleteAll(server: Server, wish: ChurnWish, laterSeconds: number): Promise<MemoryUse> {
  const { port } = server
  await fill(port, ['DEL', key], keySpaceOf(wish))
  const left = await askOnce(port, 'DBSIZE')
  if (left !== ':0\r\n') throw new Error(`DBSIZE is ${left.trim()} when everything is deleted`)
  await new Promise((resolve) => setTimeout(resolve, laterSeconds * 1000))
  return await memoryUse(server)
}

async function sample(
  server: Server,
  seconds: number,
  say: SuiteOptions['say'],
): Promise<{ rss: Sample[]; used: Sample[] }> {
  const samples = { rss: [] as Sample[], used: [] as Sample[] }
  const pauseMs = Math.max(sampleMinMs, (seconds * 1000) / samplesOfRun)
  const startMs = performance.now()
  const passed = () => (performance.now() - startMs) / 1000
  let told = 0
  while (passed() < seconds) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
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

const memoryPlot = (runs: readonly ChurnAndDelete[]): LinePlot => ({
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

interface ChurnAndDelete {
  name: string
  run: Churn
  deleted: MemoryUse
}

async function churnAndDelete(
  server: Server,
  wish: ChurnWish,
  { isQuick, say }: SuiteOptions,
): Promise<ChurnAndDelete> {
  const run = await churn(server, wish, say)
  return { name: server.name, run, deleted: await deleteAll(server, wish, isQuick ? 3 : 30) }
}

function churnCells({ name, run, deleted }: ChurnAndDelete): Cell[] {
  const { probes, writes, empty, filled } = run
  return [
    name,
    writes.perSecond,
    run.expiredKeys,
    probes.latency.p50Ms,
    probes.latency.p99Ms,
    probes.latency.p999Ms,
    probes.latency.maxMs,
    mebibytes(empty.residentBytes),
    mebibytes(filled.residentBytes),
    mebibytes(peakBytes(run)),
    mebibytes(deleted.residentBytes),
    percent(returnedPart(run, deleted)),
    mebibytes(empty.usedBytes),
    mebibytes(filled.usedBytes),
    mebibytes(deleted.usedBytes),
  ]
}

const peakBytes = ({ rss }: Churn): number => Math.max(...rss.map(({ value }) => value))

/** Of what resident memory grew by at most, when everything is deleted. */
const returnedPart = (run: Churn, deleted: MemoryUse): number =>
  (peakBytes(run) - deleted.residentBytes) / (peakBytes(run) - run.empty.residentBytes)

export const churnSuite: Suite = {
  name: 'churn',
  title: 'Churn',
  description: `SET with ${sizesBytes[0]} to ${sizesBytes.at(-1)} bytes (70 %), SET with a TTL of ${expiresMs.join(', ')} ms (10 %), PEXPIRE (5 %), DEL (15 %) of random keys at a fixed rate, \`everysec\`; meanwhile ${probesPerSecond.toLocaleString('en-US')} GETs a second, whose latencies count from when each was due. Memory counts as flat when the median of its samples in the last quarter of the run is at most ${percent(flatGrowthMax)} above that in the second. Then every key is deleted; *returned* is the part of the growth from the empty server to the peak that has been given back half a minute later. redis-server (append-only file, \`everysec\`) does the same for a fifth of the time.`,
  async run(stage, options): Promise<Findings> {
    const keys = options.keys ?? (options.isQuick ? 300_000 : 3_000_000)
    const seconds = 60 * (options.minutes ?? (options.isQuick ? 0.2 : 3))
    const wish = { keys, seconds, perSecond: options.perSecond ?? 20_000, probesPerSecond }
    const lab = await stage.lab({ name: 'Antipode', clusters: 1, persistence: 'everysec' })
    const own = await churnAndDelete(lab, wish, options)
    options.say(`all deleted: ${percent(returnedPart(own.run, own.deleted))} of the growth has returned`)
    await stage.stop(lab)
    const redis = await stage.redis({ appendOnly: true })
    const shorter = { ...wish, seconds: Math.max(5, seconds / 5) }
    const other = await churnAndDelete(redis, shorter, options)
    await stage.stop(redis)
    return {
      budgets: [
        pauseRow(keys, own.run.probes),
        flatRow('resident memory of the shard', flatness(own.run.rss)),
        flatRow('used_memory', flatness(own.run.used)),
      ],
      tables: [
        {
          title: `${keys.toLocaleString('en-US')} keys for ${formatNumber(Math.round(seconds))} seconds; memory in MiB, latencies of the GETs in ms`,
          columns: churnColumns,
          rows: [churnCells(own), churnCells(other)],
        },
      ],
      plots: [memoryPlot([own, other]), latencyPlot(own.run)],
    }
  },
}
