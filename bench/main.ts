/**
 * `npm run bench`: the budgets, as ratios against real servers measured side by side in one run. Absolute figures belong to
 * the machine; the ratios, and CPU time per request, travel better. `--quick` takes a tenth of the requests.
 */
import { parseArgs } from 'node:util'
import { churnPauses, memoryPerKey, restartTime, visibilityDelay } from './figures.ts'
import { measure, median, type Rate } from './load.ts'
import { type Server, startLab, startNutcracker, startRedis } from './servers.ts'

const { values: options } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const scale = options.quick ? 0.1 : 1
const rounds = 3
const pipelines = [1, 16, 64] as const
const tests = ['get', 'set', 'incr', 'hset', 'sadd'] as const

interface Row {
  what: string
  budget: string
  measured: string
  met: boolean
}

const rows: Row[] = []

function report(what: string, budget: string, measured: string, met: boolean): void {
  rows.push({ what, budget, measured, met })
  console.log(`${met ? 'met ' : 'MISS'}  ${what}: ${measured} (budget ${budget})`)
}

/** Median of the rounds, the servers taking turns so that a noisy minute hits all of them. */
async function sideBySide(servers: Server[], test: string, pipeline: number): Promise<Rate[]> {
  const requests = Math.round((pipeline === 1 ? 100_000 : 600_000) * scale)
  const rates = servers.map((): Rate[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, server] of servers.entries())
      rates[i]?.push(await measure(server, test, pipeline, requests))
  }
  return rates.map((list) => ({
    perSecond: median(list.map(({ perSecond }) => perSecond)),
    cpuMicros: median(list.map(({ cpuMicros }) => cpuMicros)),
  }))
}

const ratio = (one: number, other: number): string => `${(one / other).toFixed(2)} x`
const rate = (value: Rate): string =>
  `${Math.round(value.perSecond / 1000)}k/s ${value.cpuMicros.toFixed(1)} us`

async function requestRates(): Promise<void> {
  const redis = await startRedis()
  const nutcracker = await startNutcracker(redis)
  const lab = await startLab('antipode', 1, 'none')
  const budgets = { 1: 1.0, 16: 1.5, 64: 2.0 } as const
  for (const pipeline of pipelines) {
    const perTest: { test: string; toProxy: number; toRedis: number }[] = []
    for (const test of tests) {
      const [own, proxied, plain] = await sideBySide([lab, nutcracker, redis], test, pipeline)
      if (!own || !proxied || !plain) throw new Error('a rate is missing')
      console.log(
        `      ${test} -P ${pipeline}: ${rate(own)} | nutcracker ${rate(proxied)} | redis ${rate(plain)}`,
      )
      perTest.push({
        test,
        toProxy: own.perSecond / proxied.perSecond,
        toRedis: own.perSecond / plain.perSecond,
      })
    }
    const list = (pick: (row: (typeof perTest)[number]) => number) =>
      perTest.map((row) => `${row.test} ${pick(row).toFixed(2)}`).join(', ')
    const worst = (pick: (row: (typeof perTest)[number]) => number) => Math.min(...perTest.map(pick))
    const [toProxy, toRedis] = [worst((row) => row.toProxy), worst((row) => row.toRedis)]
    const [proxyBudget, redisBudget] = [budgets[pipeline], 0.6]
    report(
      `-P ${pipeline} against nutcracker + redis-server`,
      `${proxyBudget} x`,
      list((row) => row.toProxy),
      toProxy >= proxyBudget,
    )
    report(
      `-P ${pipeline} against redis-server`,
      `${redisBudget} x`,
      list((row) => row.toRedis),
      toRedis >= redisBudget,
    )
  }
  await lab.stop()
  await nutcracker.stop()
  await redis.stop()
}

async function replicationCost(): Promise<void> {
  const alone = await startLab('without a peer', 1, 'none')
  const pair = await startLab('with a peer, everysec', 2, 'everysec')
  const [plain, replicated] = await sideBySide([alone, pair], 'set', 16)
  if (!plain || !replicated) throw new Error('a rate is missing')
  report(
    'SET with a peer over TLS and everysec, against without (-P 16)',
    '0.7 x',
    `${ratio(replicated.perSecond, plain.perSecond)} (${rate(replicated)} | ${rate(plain)})`,
    replicated.perSecond >= 0.7 * plain.perSecond,
  )
  const { p50Ms, p99Ms } = await visibilityDelay(pair, Math.round(5_000 * scale))
  report(
    'write until readable at the peer, under load',
    'p50 2 ms, p99 10 ms',
    `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`,
    p50Ms <= 2 && p99Ms <= 10,
  )
  await pair.stop()
  await alone.stop()
}

async function data(): Promise<void> {
  const keys = Math.round(1_000_000 * scale)
  const redis = await startRedis('--appendonly', 'yes')
  const lab = await startLab('antipode', 1, 'everysec')
  const [own, other] = [await memoryPerKey(lab, keys), await memoryPerKey(redis, keys)]
  report(
    'memory per key of 16 + 32 bytes',
    '1.0 x',
    `${ratio(own, other)} (${own.toFixed(0)} | ${other.toFixed(0)} B)`,
    own <= other,
  )
  const ownRestartMs = await restartTime(lab.port, () => lab.kill(1, 'shard'))
  const otherRestartMs = await restartTime(redis.port, () => redis.restart())
  report(
    `restart with ${keys} keys`,
    '2 x',
    `${ratio(ownRestartMs, otherRestartMs)} (${ownRestartMs.toFixed(0)} | ${otherRestartMs.toFixed(0)} ms)`,
    ownRestartMs <= 2 * otherRestartMs,
  )
  const pauseMs = await churnPauses(lab, 3 * keys, Math.round(1_000_000 * scale))
  report(`pause under churn at ${3 * keys} keys, p99.9`, '20 ms', `${pauseMs.toFixed(1)} ms`, pauseMs <= 20)
  await lab.stop()
  await redis.stop()
}

await requestRates()
await replicationCost()
await data()
console.log(`\n| what | at least | measured | |\n| --- | --- | --- | --- |`)
for (const { what, budget, measured, met } of rows)
  console.log(`| ${what} | ${budget} | ${measured} | ${met ? 'met' : 'missed'} |`)
