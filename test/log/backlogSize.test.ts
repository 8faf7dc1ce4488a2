/** How much of the log is kept in memory. */
import { describe, expect, test } from 'vitest'
import { autoBacklogBytesMax, autoBacklogBytesMin, backlogBytesOf } from '#server/log/backlogSize.ts'
import { memoryInUseBytes } from '#test/memoryInUse.ts'
import { TestShard } from '#test/shard/testShard.ts'
import { pair } from '#test/shard/twoClusters.ts'

const mebibyte = 1024 * 1024
const gibibyte = 1024 * mebibyte

describe('auto', () => {
  test('is a hundredth of the shard, between a floor and a ceiling', () => {
    expect(backlogBytesOf('auto', 0, true)).toBe(64 * mebibyte)
    expect(backlogBytesOf('auto', 6 * gibibyte, true)).toBe(64 * mebibyte)
    expect(backlogBytesOf('auto', 10 * gibibyte, true)).toBe(Math.floor(gibibyte / 10))
    expect(backlogBytesOf('auto', 100 * gibibyte, true)).toBe(250 * mebibyte)
  })

  test('follows the database while it runs', () => {
    const { a, connect } = pair({ limits: { backlogBytesMax: 'auto' } })
    connect()
    const { backlog } = a.shard.log
    expect(backlog.bytesMax).toBe(autoBacklogBytesMin)
    const sized = (memorySizeBytes: number) => {
      a.shard.configure({ ...a.options, database: { ...a.options.database, memorySizeBytes } })
      a.world.advance(2000)
      return backlog.bytesMax
    }
    expect(sized(10 * gibibyte)).toBe(Math.floor(gibibyte / 10))
    expect(sized(1000 * gibibyte)).toBe(autoBacklogBytesMax)
    expect(sized(0)).toBe(autoBacklogBytesMin)
    expect(a.shard.status().log.backlogBytesMax).toBe(autoBacklogBytesMin)
  })

  test('of a database that nobody else has is small', () => {
    expect(backlogBytesOf('auto', 100 * gibibyte, false)).toBe(mebibyte)
    const alone = new TestShard({ limits: { backlogBytesMax: 'auto' } })
    alone.world.advance(2000)
    expect(alone.shard.log.backlog.bytesMax).toBe(mebibyte)
  })
})

describe('a size that is given', () => {
  test('is kept, whatever the database', () => {
    expect(backlogBytesOf(5000, 100 * gibibyte, true)).toBe(5000)
    expect(backlogBytesOf(5000, 0, false)).toBe(5000)
    expect(backlogBytesOf(gibibyte, 0, true)).toBe(gibibyte)
    expect(backlogBytesOf(gibibyte, 0, false)).toBe(mebibyte)
  })

  test.each([1, 250])('%i MiB: memory stays below, however much is written', async (size) => {
    const bytesMax = size * mebibyte
    const { a } = pair({ limits: { backlogBytesMax: bytesMax } })
    const value = 'v'.repeat(bytesMax / 100)
    const { backlog } = a.shard.log
    const before = await memoryInUseBytes()
    let most = 0
    for (let i = 0; i < 130; i++) {
      a.run('SET', 'k', value)
      // The disk here is in memory, too.
      a.disk.files.clear()
      most = Math.max(most, backlog.sizeBytes)
    }
    expect(backlog.start).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(bytesMax * 1.02)
    expect(most).toBeGreaterThan(bytesMax * 0.9)
    expect((await memoryInUseBytes()) - before).toBeLessThan(bytesMax * 1.1 + 4 * mebibyte)
  })

  test('is changed while the shard runs, and the window is cut down to it', () => {
    const { a } = pair({ limits: { backlogBytesMax: mebibyte } })
    for (let i = 0; i < 50; i++) a.run('SET', `k${i}`, 'v'.repeat(10_000))
    expect(a.shard.log.backlog.sizeBytes).toBeGreaterThan(500_000)
    a.shard.configure({ ...a.options, limits: { ...a.options.limits, backlogBytesMax: 100_000 } })
    a.run('SET', 'k', 'v')
    // Chunks go as a whole.
    expect(a.shard.log.backlog.sizeBytes).toBeLessThan(100_000 + mebibyte / 16)
  })
})
