/** Runs redis-benchmark, and reads what it prints. */
import { spawn } from 'node:child_process'

export interface BenchmarkRun {
  port: number
  args: readonly string[]
  clients: number
  pipeline: number
  requests: number
  /** `__rand_int__` is below this. */
  keys: number
}

export interface BenchmarkFigures {
  perSecond: number
  p50Ms: number
  p99Ms: number
  p999Ms: number
  maxMs: number
}

/** Throws when a reply is an error or the server hangs up. */
export async function redisBenchmark(run: BenchmarkRun): Promise<BenchmarkFigures> {
  // biome-ignore format: option and value side by side
  const child = spawn('redis-benchmark', ['-p', String(run.port), '-c', String(run.clients), '-P', String(run.pipeline),
    '-n', String(run.requests), '-r', String(run.keys), '--precision', '3', ...run.args],
    { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let complaints = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString('latin1')
  })
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString('latin1')
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`redis-benchmark ${run.args[0]} on port ${run.port}: ${complaints.trim()}`)
  return parseFigures(output)
}

/**
 * Of the report without `--csv`, whose percentiles reach further: after lines that overwrite each other (`\r`) comes a table
 * `99.902% <= 1.711 milliseconds (cumulative count 99908)` of percentiles, whose steps halve towards 100.
 */
export function parseFigures(output: string): BenchmarkFigures {
  const report = output.slice(output.indexOf('Latency by percentile distribution'))
  const percentiles = report.slice(0, report.indexOf('Cumulative distribution'))
  const steps = [...percentiles.matchAll(/^([\d.]+)% <= ([\d.]+) milliseconds/gm)].map(([, part, ms]) => ({
    percent: Number(part),
    ms: Number(ms),
  }))
  const perSecond = Number(/throughput summary: ([\d.]+) requests per second/.exec(report)?.[1])
  const summary = /avg\s+min\s+p50\s+p95\s+p99\s+max\s+([\d. ]+)/.exec(report)?.[1]?.trim().split(/\s+/) ?? []
  const [, , p50Ms, , p99Ms, maxMs] = summary.map(Number)
  const p999Ms = steps.find(({ percent }) => percent >= 99.9)?.ms
  if (
    !(perSecond > 0) ||
    p50Ms === undefined ||
    p99Ms === undefined ||
    maxMs === undefined ||
    p999Ms === undefined
  )
    throw new Error(`redis-benchmark reported no figures: ${output.slice(-500)}`)
  return { perSecond, p50Ms, p99Ms, p999Ms, maxMs }
}
