import { expect, test } from 'vitest'
import { BlockPool, noBlock } from '#server/store/blockPool.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

test('lists are stacks, however their blocks lie between each other', () => {
  const random = new SeededRandom(seedFromEnv())
  const pool = new BlockPool(2, 5)
  const lists = Array.from({ length: 40 }, () => ({ head: noBlock, content: [] as number[] }))
  for (let step = 0; step < 200_000; step++) {
    const list = random.pick(lists)
    if (list.head !== noBlock && random.chance(0.45)) {
      pool.top(list.head)
      const { words, at } = pool
      if (words[at] !== list.content.pop()) expect({ step }).toBeUndefined()
      if (words[at + 1] !== ~(words[at] ?? 0) >>> 0) expect({ step }).toBeUndefined()
      list.head = pool.pop(list.head)
    } else {
      const value = random.below(2 ** 32)
      list.head = pool.push(list.head)
      pool.words[pool.at] = value
      pool.words[pool.at + 1] = ~value
      list.content.push(value)
    }
    if ((list.head === noBlock) !== (list.content.length === 0)) expect({ step }).toBeUndefined()
  }
})

test('memory that is not used is given back, but for one chunk', () => {
  const pool = new BlockPool(1, 14)
  const perChunk = 256 * 14
  let head = noBlock
  for (let at = 0; at < 20 * perChunk; at++) head = pool.push(head)
  expect(pool.sizeBytes).toBe(20 * pool.chunkBytes)
  for (let at = 0; at < 15 * perChunk; at++) head = pool.pop(head)
  expect(pool.sizeBytes).toBe(6 * pool.chunkBytes)
  // The places of those that were given back are taken again: blocks keep small numbers.
  for (let at = 0; at < 10 * perChunk; at++) head = pool.push(head)
  expect(pool.sizeBytes).toBe(15 * pool.chunkBytes)
  expect(head).toBeLessThan(20 * 256)
  expect(pool.dismantle(10)).toBe(true)
  expect(pool.sizeBytes).toBeGreaterThanOrEqual(5 * pool.chunkBytes)
  expect(pool.sizeBytes).toBeLessThan(15 * pool.chunkBytes)
  while (pool.dismantle(10));
  expect(pool.sizeBytes).toBe(0)
})
