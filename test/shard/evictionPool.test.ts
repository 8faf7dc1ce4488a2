import { expect, test } from 'vitest'
import { EvictionPool, poolSize } from '#server/evictionPool.ts'

const takeAll = (pool: EvictionPool): string[] => {
  const names: string[] = []
  for (let name = pool.takeBest(); name !== undefined; name = pool.takeBest()) names.push(name)
  return names
}

test('the best candidate comes first, whenever it was found', () => {
  const pool = new EvictionPool()
  for (const score of [3, 9, 1, 7, -5, Number.NEGATIVE_INFINITY]) pool.add(`k${score}`, score)
  expect(pool.takeBest()).toBe('k9')
  pool.add('k8', 8)
  expect(takeAll(pool)).toEqual(['k8', 'k7', 'k3', 'k1', 'k-5', 'k-Infinity'])
  expect(pool.takeBest()).toBeUndefined()
})

test('a full pool keeps its best', () => {
  const pool = new EvictionPool()
  for (let score = 0; score < 3 * poolSize; score++)
    pool.add(`k${(score * 7) % (3 * poolSize)}`, (score * 7) % (3 * poolSize))
  const names = takeAll(pool)
  expect(names).toEqual(Array.from({ length: poolSize }, (_, i) => `k${3 * poolSize - 1 - i}`))
})

test('a key that is found again has its new score, once', () => {
  const pool = new EvictionPool()
  pool.add('a', 5)
  pool.add('b', 3)
  pool.add('a', 1)
  expect(takeAll(pool)).toEqual(['b', 'a'])
})

test('nothing is left after clear', () => {
  const pool = new EvictionPool()
  pool.add('a', 5)
  pool.clear()
  expect(takeAll(pool)).toEqual([])
})
