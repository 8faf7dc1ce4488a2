import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { globMatches } from '#protocol/commands/globPattern.ts'
import { RealRedis } from '#test/realRedis.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const redis: { server?: RealRedis } = {}
beforeAll(async () => {
  redis.server = await RealRedis.start()
})
afterAll(() => redis.server?.stop())

const patternPieces = [
  'a',
  'b',
  '*',
  '?',
  '[',
  ']',
  '^',
  '-',
  '\\',
  '[ab]',
  '[^a]',
  '[a-c]',
  '[c-a]',
  '\xff',
  '**',
]
const textPieces = ['a', 'b', 'c', '-', '^', '[', ']', '\\', '\xff', '*']

function some(random: SeededRandom, pieces: readonly string[], atLeast: number): string {
  return Array.from({ length: atLeast + random.below(6) }, () => random.pick(pieces)).join('')
}

describe('globMatches', () => {
  it('matches what KEYS of redis-server matches', async () => {
    const random = new SeededRandom(seedFromEnv())
    const texts = [...new Set(Array.from({ length: 300 }, () => some(random, textPieces, 1)))]
    const server = redis.server as RealRedis
    await server.request('MSET', ...texts.flatMap((text) => [text, '']))
    for (let round = 0; round < 500; round++) {
      const pattern = some(random, patternPieces, 0)
      // redis-parser reads texts as UTF-8: only how many match is compared, and each alone where that differs.
      const theirs = (await server.request('KEYS', pattern)) as string[]
      const ours = texts.filter((text) => globMatches(pattern, text))
      expect(ours.length, `KEYS ${JSON.stringify(pattern)}`).toBe(theirs.length)
    }
  })

  it('takes no longer for stars behind stars', () => {
    const startMs = performance.now()
    expect(globMatches(`${'a*'.repeat(40)}b`, 'a'.repeat(10_000))).toBe(false)
    expect(performance.now() - startMs).toBeLessThan(2000)
  })
})
