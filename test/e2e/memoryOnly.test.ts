/** Without persistence a killed shard has lost its data, and gets it back from its peers before it takes writes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from './lab.ts'

describe('persistence none', () => {
  let lab: Lab

  beforeAll(async () => {
    lab = await Lab.up({ persistence: 'none', shards: 1 })
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  it('a killed shard comes back with what its peers have, and counts on correctly', async () => {
    const client = lab.client(1)
    for (let i = 0; i < 100; i++) await client.pipeline().incr('n').sadd('s', i).exec()
    await lab.settle()
    await lab.lab('kill', 1, 'shard')
    const deadlineMs = performance.now() + 20_000
    for (;;) {
      const answer = await client.incr('n').then(String, (error: Error) => error.message)
      if (answer === '101') break
      expect(answer).toMatch(/^(STALE|UNAVAILABLE|LOADING)/)
      expect(performance.now()).toBeLessThan(deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await lab.settle()
    expect(await lab.client(2).get('n')).toBe('101')
    expect(await client.scard('s')).toBe(100)
  })
})
