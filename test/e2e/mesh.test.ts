/**
 * Three clusters of which two can't reach each other: what one of them writes gets to the other over the third, within a second, and
 * nothing counts twice when they can again.
 */
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab } from './lab.ts'

const withinMs = 1_000
const askMs = 5

/** Milliseconds until `client` shows it. */
async function shown(client: Redis, key: string, value: string): Promise<number> {
  const startMs = performance.now()
  while ((await client.get(key)) !== value) {
    if (performance.now() - startMs > 20 * withinMs) throw new Error(`${key} does not come`)
    await new Promise((resolve) => setTimeout(resolve, askMs))
  }
  return performance.now() - startMs
}

describe.each([
  { name: 'asked for', settings: [] },
  { name: 'offered', settings: ['database.causal_consistency=true'] },
])('with the link between two of three cut, operations $name', ({ settings }) => {
  let lab: Lab
  let clients: [Redis, Redis, Redis]

  beforeAll(async () => {
    lab = await Lab.up({ clusters: 3, shards: 1, settings })
    clients = [lab.client(1), lab.client(2), lab.client(3)]
    for (const [i, client] of clients.entries()) await client.set(`up:${i}`, 'yes')
    await lab.settle()
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  test('come over the third within a second, and count once', async () => {
    const [a, b, c] = clients
    await lab.cut(1, 3)
    await Promise.all(Array.from({ length: 300 }, () => a.incr('{k}count')))
    await a.set('{k}cause', 'yes')
    await shown(b, '{k}cause', 'yes')
    await b.incrby('{k}count', 1_000)
    await b.set('{k}effect', 'yes')
    const effectMs = await shown(c, '{k}effect', 'yes')
    expect(await c.get('{k}cause')).toBe('yes')
    expect(await c.get('{k}count')).toBe('1300')
    await a.set('alone', 'yes')
    const aloneMs = await shown(c, 'alone', 'yes')
    await c.incrby('{k}count', 50_000)
    await a.incr('{k}count')
    const settleStartMs = performance.now()
    await lab.settle()
    const settledMs = performance.now() - settleStartMs
    console.log(
      `effect ${effectMs.toFixed(0)} ms, alone ${aloneMs.toFixed(0)} ms, all equal ${settledMs.toFixed(0)} ms`,
    )
    expect(Math.max(effectMs, aloneMs)).toBeLessThan(withinMs)
    await lab.heal()
    await Promise.all(Array.from({ length: 100 }, () => a.incr('{k}count')))
    await lab.settle()
    for (const client of clients) expect(await client.get('{k}count')).toBe('51401')
  }, 120_000)
})
