/** Load from `redis-benchmark`, and its figures. */
import { spawn } from 'node:child_process'
import type { Server } from './servers.ts'

export interface Rate {
  /** Requests a second as the client saw them. */
  perSecond: number
  /** CPU time of the server's processes per request, microseconds. */
  cpuMicros: number
}

const clients = 50
const valueBytes = 32

/** Runs one test of redis-benchmark (`get`, `set`, ...) with `pipeline` requests in flight per client. */
export async function measure(
  server: Server,
  test: string,
  pipeline: number,
  requests: number,
): Promise<Rate> {
  const before = server.cpuMs()
  const perSecond = await redisBenchmark(server.port, test, pipeline, requests)
  return { perSecond, cpuMicros: ((server.cpuMs() - before) * 1000) / requests }
}

async function redisBenchmark(
  port: number,
  test: string,
  pipeline: number,
  requests: number,
): Promise<number> {
  // biome-ignore format: option and value side by side
  const child = spawn('redis-benchmark', ['-p', String(port), '-t', test, '-P', String(pipeline), '-c', String(clients),
    '-n', String(requests), '-d', String(valueBytes), '-r', '100000', '--csv'])
  const output = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    child.once('error', reject)
    child.once('close', () => resolve(text))
  })
  const rate = Number(/^"[^"]+","([\d.]+)"/m.exec(output.split('\n').slice(1).join('\n'))?.[1])
  if (!(rate > 0)) throw new Error(`redis-benchmark -t ${test} on port ${port} gave no rate: ${output}`)
  return rate
}

/** The middle of an odd number of figures. */
export const median = (figures: number[]): number =>
  figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] as number
