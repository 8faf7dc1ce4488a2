/** How long a cluster that lacks everything takes to get it as slot states, and how long clients wait meanwhile, at both ends. */
import type { Percentiles } from '#bench/figures/histogram.ts'
import { fill, type GeneratedLoad, startLoad } from '#bench/load/generated.ts'
import { formatNumber } from '#bench/report/number.ts'
import type { BudgetRow, Cell, Findings } from '#bench/report/result.ts'
import { askOnce, askUntil, infoNumber } from '#bench/servers/client.ts'
import type { LabServer } from '#bench/servers/lab.ts'
import type { Suite } from './suite.ts'

const key = 'key:{n}'
const value = 'v'.repeat(32)
const secondsMax = 60
const p999MsMax = 30
const getsPerSecond = 1_000
const setsPerSecond = 500
/** Longer than any sync takes: it is stopped when that is over. */
const loadSeconds = 600
/** Of the probes: not counted. */
const warmUpSeconds = 1
const giveUpMs = 5 * 60_000
/** INFO asks all shards: who polls it is a client, too. */
const lookEveryMs = 200
/** All in one hash slot. */
const slotKey = '{slot}:{n}'

interface Shape {
  title: string
  fill(port: number): Promise<void>
  /** What a probe reads and writes. */
  probe: string
  keys: number
  isBudgeted: boolean
}

const shapes = (keys: number): readonly Shape[] => {
  const few = Math.round(keys / 10)
  return [
    {
      title: `${keys.toLocaleString('en-US')} keys`,
      fill: (port) => fill(port, ['SET', key, value], keys),
      probe: key,
      keys,
      isBudgeted: true,
    },
    {
      title: `${few.toLocaleString('en-US')} keys in one slot`,
      fill: async (port) => {
        await fill(port, ['SET', slotKey, value], few)
        await pushOut(port)
      },
      probe: slotKey,
      keys: few,
      isBudgeted: true,
    },
    {
      title: `a sorted set of ${few.toLocaleString('en-US')} members`,
      fill: async (port) => {
        await fill(port, ['ZADD', 'scores', '{n}', 'member:{n}'], few)
        await pushOut(port)
      },
      probe: 'probe:{n}',
      keys: 1_000,
      isBudgeted: false,
    },
  ]
}

/** So much is written behind it that the log's window does not reach back to what was written before. */
async function pushOut(port: number): Promise<void> {
  await fill(port, ['SET', 'behind:{n}', 'b'.repeat(4096)], 20_000)
}

interface FullSync {
  title: string
  isBudgeted: boolean
  seconds: number
  states: number
  /** At the cluster that gives, and at the one that takes. */
  gives: Percentiles
  takes: Percentiles
}

function startProbes(port: number, { probe, keys }: Shape): GeneratedLoad {
  return startLoad({
    port,
    connections: 8,
    mix: [
      { weight: getsPerSecond, args: ['GET', probe] },
      { weight: setsPerSecond, args: ['SET', probe, value] },
    ],
    keys: { first: 0, count: keys, order: 'random' },
    pace: { type: 'open', perSecond: getsPerSecond + setsPerSecond },
    until: { seconds: loadSeconds },
    warmUpSeconds,
  })
}

const mergesOf = async (port: number): Promise<number> =>
  infoNumber(await askOnce(port, 'INFO', 'crdt'), 'crdt_merge_reqs')

async function fullSync(lab: LabServer, shape: Shape): Promise<FullSync> {
  const [giver, taker] = [lab.portOf(1), lab.portOf(2)]
  await lab.setLink('cut')
  await shape.fill(giver)
  const before = await mergesOf(taker)
  const probes = [startProbes(giver, shape), startProbes(taker, shape)]
  await new Promise((resolve) => setTimeout(resolve, warmUpSeconds * 1000))
  const startMs = performance.now()
  await lab.setLink('heal')
  const isDone = (info: string) =>
    infoNumber(info, 'crdt_merge_reqs') > before && /^crdt_replica_1:.*state=in-sync/m.test(info)
  await askUntil(taker, ['INFO', 'crdt'], isDone, giveUpMs, lookEveryMs)
  const seconds = (performance.now() - startMs) / 1000
  for (const probe of probes) probe.stop()
  const [gives, takes] = await Promise.all(probes.map(({ outcome }) => outcome))
  if (gives === undefined || takes === undefined) throw new Error('no probes')
  const states = (await mergesOf(taker)) - before
  const { title, isBudgeted } = shape
  return { title, isBudgeted, seconds, states, gives: gives.latency, takes: takes.latency }
}

const rowsOf = ({ title, seconds, gives, takes }: FullSync): BudgetRow[] => [
  {
    what: `full sync of ${title}`,
    budget: `${secondsMax} s`,
    measured: `${formatNumber(seconds)} s`,
    isMet: seconds <= secondsMax,
  },
  {
    what: `GET and SET during the full sync of ${title}, p99.9`,
    budget: `${p999MsMax} ms`,
    measured: `${formatNumber(gives.p999Ms)} ms where it comes from, ${formatNumber(takes.p999Ms)} ms where it goes`,
    isMet: Math.max(gives.p999Ms, takes.p999Ms) <= p999MsMax,
  },
]

const latencyCells = ({ p50Ms, p99Ms, p999Ms, maxMs }: Percentiles): Cell[] => [p50Ms, p99Ms, p999Ms, maxMs]

export const fullSyncSuite: Suite = {
  name: 'fullsync',
  title: 'Full synchronisation',
  description: `Two clusters whose link is cut; one is filled until the window of its log no longer reaches back. Then the link is mended, and the other gets slot states, until it has caught up. Meanwhile ${getsPerSecond.toLocaleString('en-US')} GETs and ${setsPerSecond} SETs a second of random keys at each cluster, whose latencies count from when each was due. Beside many keys: as many in one hash slot as a tenth of them, and a sorted set of so many members.`,
  async run(stage, options): Promise<Findings> {
    const keys = options.keys ?? (options.isQuick ? 300_000 : 3_000_000)
    const runs: FullSync[] = []
    for (const shape of shapes(keys)) {
      const lab = await stage.lab({ name: shape.title, clusters: 2, persistence: 'everysec' })
      const run = await fullSync(lab, shape)
      await stage.stop(lab)
      runs.push(run)
      options.say(
        `${run.title}: ${formatNumber(run.seconds)} s, p99.9 ${formatNumber(run.gives.p999Ms)} and ${formatNumber(run.takes.p999Ms)} ms`,
      )
    }
    return {
      budgets: runs.filter(({ isBudgeted }) => isBudgeted).flatMap(rowsOf),
      tables: [
        {
          title: 'Full sync, and latencies in ms where it comes from and where it goes',
          columns: [
            '',
            'seconds',
            'slot states',
            'from: p50',
            'p99',
            'p99.9',
            'longest',
            'to: p50',
            'p99',
            'p99.9',
            'longest',
          ],
          rows: runs.map(({ title, seconds, states, gives, takes }): Cell[] => [
            title,
            seconds,
            states,
            ...latencyCells(gives),
            ...latencyCells(takes),
          ]),
        },
      ],
      plots: [],
    }
  },
}
