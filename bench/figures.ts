/** Figures that redis-benchmark does not give: delay between clusters, memory, restart, pauses. */
import { spawn } from 'node:child_process'
import { Redis } from 'ioredis'
import { answers, type LabServer, type Server } from './servers.ts'

const connect = (port: number): Redis => {
  const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 20, maxRetriesPerRequest: null })
  client.on('error', () => {
    // Restarts break connections; ioredis dials again.
  })
  return client
}

const percentile = (figures: number[], part: number): number =>
  figures.toSorted((a, b) => a - b)[Math.min(figures.length - 1, Math.floor(figures.length * part))] as number

/** From before a SET is sent at cluster 1 until a GET at cluster 2 shows it, while cluster 1 is at about half of its speed. */
export async function visibilityDelay(
  lab: LabServer,
  samples: number,
): Promise<{ p50Ms: number; p99Ms: number }> {
  // biome-ignore format: option and value side by side
  const load = spawn('redis-benchmark', ['-p', String(lab.portOf(1)), '-t', 'set', '-c', '4', '-n', '100000000',
    '-r', '100000', '-d', '32', '-q'], { stdio: 'ignore' })
  const [writer, reader] = [connect(lab.portOf(1)), connect(lab.portOf(2))]
  const delaysMs: number[] = []
  for (let i = 0; i < samples; i++) {
    const startMs = performance.now()
    await writer.set('bench:delay', i)
    while ((await reader.get('bench:delay')) !== String(i)) {
      // Asks again at once: the delay is what is measured.
    }
    delaysMs.push(performance.now() - startMs)
  }
  load.kill()
  writer.disconnect()
  reader.disconnect()
  return { p50Ms: percentile(delaysMs, 0.5), p99Ms: percentile(delaysMs, 0.99) }
}

const value = 'v'.repeat(32)
const keyOf = (i: number): string => `key:${String(i).padStart(12, '0')}`

async function fill(client: Redis, from: number, to: number): Promise<void> {
  const batch = 1_000
  for (let i = from; i < to; i += batch) {
    const pipeline = client.pipeline()
    for (let j = i; j < Math.min(to, i + batch); j++) pipeline.set(keyOf(j), value)
    await pipeline.exec()
  }
}

/** Growth of resident memory by `count` keys of 16 bytes with values of 32, bytes per key. */
export async function memoryPerKey(server: Server, count: number): Promise<number> {
  const client = connect(server.port)
  const before = server.residentBytes()
  await fill(client, 0, count)
  client.disconnect()
  return (server.residentBytes() - before) / count
}

/** From the kill until the last of the data is served again. */
export async function restartTime(port: number, kill: () => Promise<void>): Promise<number> {
  const client = connect(port)
  const size = await client.dbsize()
  const startMs = performance.now()
  await kill()
  await answers(port)
  for (;;) {
    const now = await client.dbsize().catch(() => 0)
    if (now === size) break
  }
  const restartMs = performance.now() - startMs
  client.disconnect()
  return restartMs
}

/** p99.9 of the time that a PING-like GET takes while `writes` keys out of `keys` are overwritten, milliseconds. */
export async function churnPauses(lab: LabServer, keys: number, writes: number): Promise<number> {
  const [writer, prober] = [connect(lab.port), connect(lab.port)]
  await fill(writer, 0, keys)
  let running = true
  const probing = (async () => {
    const delaysMs: number[] = []
    while (running) {
      const startMs = performance.now()
      await prober.get(keyOf(0))
      delaysMs.push(performance.now() - startMs)
    }
    return delaysMs
  })()
  const batch = 50
  for (let i = 0; i < writes; i += batch) {
    const pipeline = writer.pipeline()
    for (let j = 0; j < batch; j++) pipeline.set(keyOf(Math.floor(Math.random() * keys)), value)
    await pipeline.exec()
  }
  running = false
  const delaysMs = await probing
  writer.disconnect()
  prober.disconnect()
  return percentile(delaysMs, 0.999)
}
