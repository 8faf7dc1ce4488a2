/** Logs of every format version that was ever released must be read for ever; see `writeFixture.ts`. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isSegmentName, logVersion } from '#server/log/blockFormat.ts'
import { leaseFile } from '#server/log/lease.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { TestShard } from '#test/shard/testShard.ts'
import { members } from '#test/shard/twoClusters.ts'

interface Expected {
  position: number
  replies: [string[], string][]
}

const root = join(import.meta.dirname, '..', 'fixtures', 'log')
const versions = readdirSync(root)

test('there is a log of each version', () => {
  expect(versions.sort()).toEqual(Array.from({ length: logVersion }, (_, i) => `v${i + 1}`))
})

test.each(versions)('a log of format %s is read', (version) => {
  const directory = join(root, version)
  const expected = JSON.parse(readFileSync(join(directory, 'expected.json'), 'utf8')) as Expected
  const disk = new FaultyDisk()
  for (const name of readdirSync(directory)) {
    if (isSegmentName(name) || name === leaseFile) disk.replace(name, readFileSync(join(directory, name)))
  }
  expect(disk.list().filter(isSegmentName).length).toBeGreaterThan(2)
  const shard = new TestShard({ disk, initialised: true, database: { members } })
  expect(shard.shard.log.end).toBe(expected.position)
  expect(expected.replies.map(([words]) => [words, shard.run(...words)])).toEqual(expected.replies)
})
