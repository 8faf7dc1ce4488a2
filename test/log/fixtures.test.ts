/** Logs and snapshots of every format version that was ever released must be read for ever; see `writeFixture.ts`. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RecordKind, RecordReader } from '#protocol/sync/record.ts'
import { isSegmentName, segmentKind } from '#server/log/blockFormat.ts'
import { leaseFile } from '#server/log/lease.ts'
import { isSnapshotName, snapshotKind } from '#server/log/snapshotFormat.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { TestShard } from '#test/shard/testShard.ts'
import { members } from '#test/shard/twoClusters.ts'

interface Expected {
  position: number
  replies: [string[], string][]
}

const root = join(import.meta.dirname, '..', 'fixtures')
const versionsOf = (kind: string) => readdirSync(join(root, kind)).sort()
const upTo = (version: number) => Array.from({ length: version }, (_, i) => `v${i + 1}`)

test('there is a log and a snapshot of each version', () => {
  expect(versionsOf('log')).toEqual(upTo(segmentKind.version))
  expect(versionsOf('snapshot')).toEqual(upTo(snapshotKind.version))
})

function diskOf(directory: string): FaultyDisk {
  const disk = new FaultyDisk()
  for (const name of readdirSync(directory)) {
    if (isSegmentName(name) || isSnapshotName(name) || name === leaseFile)
      disk.replace(name, readFileSync(join(directory, name)))
  }
  return disk
}

test('states are in the log in several parts each', () => {
  const { read } = RecordReader.prototype
  const parts: boolean[] = []
  RecordReader.prototype.read = function (this: RecordReader, ...of) {
    const end = read.apply(this, of)
    if (this.kind === RecordKind.slotPart) parts.push(this.isFirst, this.isLast)
    return end
  }
  try {
    const disk = diskOf(join(root, 'slotParts', `v${segmentKind.version}`))
    new TestShard({ disk, initialised: true, database: { members } })
  } finally {
    RecordReader.prototype.read = read
  }
  // The first of two, and the last.
  expect(parts).toEqual([true, false, false, true])
})

test.each([
  ...versionsOf('slotParts').map((version) => ['slotParts', version] as const),
  ...versionsOf('log').map((version) => ['log', version] as const),
  ...versionsOf('snapshot').map((version) => ['snapshot', version] as const),
])('a %s of format %s is read', (kind, version) => {
  const directory = join(root, kind, version)
  const expected = JSON.parse(readFileSync(join(directory, 'expected.json'), 'utf8')) as Expected
  const disk = diskOf(directory)
  expect(disk.list().filter(isSnapshotName)).toHaveLength(kind === 'snapshot' ? 1 : 0)
  expect(disk.list().filter(isSegmentName).length).toBeGreaterThan(kind === 'log' ? 2 : 0)
  const shard = new TestShard({ disk, initialised: true, database: { members } })
  expect(shard.shard.log.end).toBe(expected.position)
  expect(expected.replies.map(([words]) => [words, shard.run(...words)])).toEqual(expected.replies)
})
