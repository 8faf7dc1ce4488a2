/** Snapshots as a user meets them: asked for, told of in INFO, and read at the next start. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from './lab.ts'
import { patiently } from './patiently.ts'

/** Of the files of all shards of a node that end with `extension`. */
function filesOf(lab: Lab, extension: string): string[] {
  return readdirSync(lab.directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => /shard-\d+\/\d+\.\w+$/.test(path) && path.endsWith(extension))
    .map((path) => join(lab.directory, path))
}

const bytesOf = (paths: readonly string[]): number =>
  paths.reduce((sum, path) => sum + statSync(path).size, 0)

describe('snapshots', () => {
  let lab: Lab

  beforeAll(async () => {
    lab = await Lab.up({ clusters: 1, shards: 2 })
  })

  afterAll(async () => {
    expect(await lab.down()).toBe(0)
  })

  it('make the log short, and a start brings everything back', async () => {
    const client = lab.client(1, { retryStrategy: () => 20, maxRetriesPerRequest: null })
    for (let round = 0; round < 20; round++) {
      const pipeline = client.pipeline()
      for (let i = 0; i < 500; i++) pipeline.set(`key:${i}`, `value ${round} of ${i} ${'x'.repeat(50)}`)
      await pipeline.incr('n').sadd('s', round).hset('h', `f${round}`, round).exec()
    }
    const started = Number(await client.call('LASTSAVE'))
    const before = bytesOf(filesOf(lab, '.log'))
    expect(before).toBeGreaterThan(900_000)
    expect(await client.call('SAVE')).toBe('OK')
    expect(Number(await client.call('LASTSAVE'))).toBeGreaterThanOrEqual(started)
    expect(filesOf(lab, '.snapshot')).toHaveLength(2)
    const deadlineMs = performance.now() + 5000
    while (bytesOf([...filesOf(lab, '.log'), ...filesOf(lab, '.snapshot')]) > before / 10) {
      expect(performance.now()).toBeLessThan(deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const info = await client.info('persistence')
    expect(info).toContain('rdb_saves:1\r\n')
    expect(info).toContain('rdb_changes_since_last_save:0\r\n')
    await client.incr('n')
    const digests = await lab.digests()
    await lab.lab('kill', 1, 'shard')
    expect(await patiently(() => lab.digests())).toEqual(digests)
    expect(await client.get('n')).toBe('21')
    expect(await client.get('key:499')).toBe(`value 19 of 499 ${'x'.repeat(50)}`)
    expect([await client.scard('s'), await client.hlen('h'), await client.dbsize()]).toEqual([20, 20, 503])
    expect(await client.call('BGSAVE')).toBe('Background saving started')
  })
})
