/** The memory limit and what INFO says of memory, with real processes. */
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from './lab.ts'
import { until } from './until.ts'

const mebibyte = 1024 * 1024

/** Fields of INFO as numbers. */
async function info(client: Redis, ...sections: string[]): Promise<(name: string) => number> {
  const text = String(await client.call('INFO', ...sections))
  return (name) => Number(new RegExp(`^${name}:(.*)\r$`, 'm').exec(text)?.[1])
}

const pause = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs))

/** SETs of 16 + 32 bytes in pipelines. One that is refused because eviction is late is tried again. */
async function load(client: Redis, name: string, count: number): Promise<void> {
  const batch = 1000
  for (let from = 0; from < count; from += batch) {
    let left = Array.from({ length: batch }, (_, i) => from + i)
    const deadlineMs = performance.now() + 20_000
    while (left.length > 0 && performance.now() < deadlineMs) {
      const pipeline = client.pipeline()
      for (const i of left)
        pipeline.set(`${name}:${String(i).padStart(15 - name.length, '0')}`, `${i}`.padEnd(32, 'v'))
      const results = (await pipeline.exec()) ?? []
      for (const [error] of results) if (error !== null) expect(error.message).toMatch(/^OOM /)
      left = left.filter((_, i) => results[i]?.[0] !== null)
      if (left.length > 0) await pause(5)
    }
    expect(left).toEqual([])
  }
}

describe('used_memory', () => {
  /**
   * How far the growth of `used_memory` may be from that of the shard's RSS, as a part of the latter, in a process that has
   * served for a while. V8's heap (compiled code, the young generation) grows and shrinks by up to 6 MB besides, whatever the
   * data is, so there is enough of it for that to be a small part. Once in its life the young generation also takes a step of 13 MB, at any
   * time: it is measured twice, and one of the two is free of that.
   */
  const growthErrorMax = 0.07
  const firstKeys = 200_000
  const keys = 1_800_000
  let lab: Lab

  beforeAll(async () => {
    lab = await Lab.up({ clusters: 1, shards: 1 })
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  it('grows as RSS does', async () => {
    const client = lab.client(1)
    await load(client, 'first', firstKeys)
    await pause(1000)
    const errors: number[] = []
    let atEnd = await info(client, 'memory')
    for (const name of ['k', 'l']) {
      const atStart = atEnd
      await load(client, name, keys)
      await pause(2000)
      atEnd = await info(client, 'memory')
      const [used, resident, dataset] = ['used_memory', 'used_memory_rss', 'used_memory_dataset'].map(
        (field) => atEnd(field) - atStart(field),
      ) as [number, number, number]
      console.log(`${keys} keys: used_memory grew by ${used}, used_memory_rss by ${resident}`)
      errors.push(Math.abs(used - resident) / resident)
      expect(dataset / keys).toBeGreaterThan(48)
    }
    expect(Math.min(...errors)).toBeLessThan(growthErrorMax)
    expect(atEnd('used_memory_peak')).toBeGreaterThanOrEqual(atEnd('used_memory'))
    expect(atEnd('used_memory')).toBe(
      atEnd('used_memory_startup') + atEnd('mem_replication_backlog') + atEnd('used_memory_dataset'),
    )
    expect(Number(await client.memory('USAGE', 'k:00000000000007'))).toBeGreaterThan(48)
  })
})

describe('a memory limit', () => {
  const memorySizeBytes = 4 * mebibyte
  let lab: Lab

  beforeAll(async () => {
    lab = await Lab.up({
      settings: [`database.memory_size=${memorySizeBytes}`, 'database.eviction_policy=allkeys-lru'],
    })
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  it('makes both clusters evict, and they stay equal', async () => {
    const clients = [lab.client(1), lab.client(2)]
    await Promise.all(clients.map((client, i) => load(client, `c${i}`, 20_000)))
    for (const client of clients) {
      await until(async () => {
        const field = await info(client, 'memory')
        return field('used_memory_dataset') <= memorySizeBytes * 0.81
      }, '80 % of the limit')
    }
    await lab.settle()
    const evicted = await Promise.all(
      clients.map(async (client) => (await info(client, 'stats'))('evicted_keys')),
    )
    const [one = 0, other = 0] = await Promise.all(clients.map((client) => client.dbsize()))
    expect(one).toBe(other)
    expect(one).toBeGreaterThan(1000)
    // A key may have been evicted by both.
    expect(40_000 - one).toBeLessThanOrEqual(evicted.reduce((sum, count) => sum + count, 0))
  })

  it('is changed while the database runs, and refuses where nothing is evicted', async () => {
    const client = lab.client(1)
    expect(await client.config('GET', 'maxmemory')).toEqual(['maxmemory', String(memorySizeBytes)])
    expect(await client.config('SET', 'maxmemory-policy', 'noeviction')).toBe('OK')
    await client.config('SET', 'maxmemory', '1mb')
    await expect(client.set('more', 'v')).rejects.toThrow(
      "OOM command not allowed when used memory > 'maxmemory'.",
    )
    expect(String(await client.call('MEMORY', 'DOCTOR'))).toContain('at its memory limit')
    expect(String(await client.call('INFO', 'crdt'))).toContain('crdt_intake_paused:1')
    // The other cluster is not limited by this one; what it writes arrives when there is room again.
    await lab.client(2).set('from 2', 'v')
    await client.config('SET', 'maxmemory', '0')
    await until(async () => (await client.get('from 2')) === 'v', 'the write of cluster 2')
    expect(await client.set('more', 'v')).toBe('OK')
    await lab.settle()
  })
})
