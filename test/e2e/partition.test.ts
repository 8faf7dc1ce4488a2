/** Long and short cuts with many writes on both sides, ended by the log or, when it is too short, by slot states. */
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { Lab } from './lab.ts'

/** The five minutes are a matter of patience: `CUT_SECONDS=300` waits them out. */
const cutSeconds = Number(process.env['CUT_SECONDS'] ?? 10)
const batch = 500

/** Returns how many increments were among the writes. */
async function write(client: Redis, side: string, writes: number, random: SeededRandom): Promise<number> {
  let increments = 0
  for (let done = 0; done < writes; done += batch) {
    const pipeline = client.pipeline()
    for (let i = 0; i < batch; i++) {
      const key = random.below(5_000)
      const kind = random.below(5)
      if (kind === 0) pipeline.set(`s:${key}`, `${side}${done + i}`)
      else if (kind === 1) pipeline.sadd(`set:${key}`, `${side}${random.below(20)}`)
      else if (kind === 2) pipeline.hset(`h:${key}`, `f${random.below(10)}`, `${side}${i}`)
      else if (kind === 3) pipeline.del(`s:${key}`)
      else {
        pipeline.incr('count:all')
        increments++
      }
    }
    const replies = await pipeline.exec()
    for (const [error] of replies ?? []) if (error) throw error
  }
  return increments
}

/** Cuts, writes on both sides for at least `seconds`, heals, and checks that the clusters are equal and nothing is lost. */
async function diverge(lab: Lab, writes: number, seconds: number, seed: number): Promise<void> {
  const startMs = performance.now()
  await lab.cut(1, 2)
  const counts = await Promise.all([
    write(lab.client(1), 'a', writes, new SeededRandom(seed)),
    write(lab.client(2), 'b', writes, new SeededRandom(seed + 1)),
  ])
  const restMs = seconds * 1000 - (performance.now() - startMs)
  if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs))
  await lab.heal()
  await lab.settle(60_000)
  const total = String((counts[0] ?? 0) + (counts[1] ?? 0))
  expect(await lab.client(1).get('count:all')).toBe(total)
  expect(await lab.client(2).get('count:all')).toBe(total)
}

/** Slot states that cluster 1 has taken. */
async function slotStatesTaken(lab: Lab): Promise<number> {
  const info = await lab.client(1).info('crdt')
  return Number(/crdt_merge_reqs:(\d+)/.exec(info)?.[1])
}

describe.each([
  { name: 'the log reaches back', settings: [], takesStates: false },
  { name: 'the log is too short', settings: ['limits.backlog_bytes_max=65536'], takesStates: true },
])('a cut with 100,000 writes on both sides, $name', ({ settings, takesStates }) => {
  let lab: Lab
  const seed = seedFromEnv()

  beforeAll(async () => {
    lab = await Lab.up({ settings })
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  it('ends with equal clusters', async () => {
    await diverge(lab, 100_000, cutSeconds, seed)
    expect((await slotStatesTaken(lab)) > 0).toBe(takesStates)
  }, 600_000)
})
