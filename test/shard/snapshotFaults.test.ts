/**
 * The same life of a shard again and again, with two snapshots and all that they remove, while the first, second, ... disk call
 * fails, once or from then on; then the process is killed or the power is cut. Whatever failed: the next start finds all
 * that was promised, and nothing that was not asked for.
 */
import { expect, test } from 'vitest'
import type { Random } from '#runtime/ports.ts'
import { DiskError } from '#runtime/ports.ts'
import { isSegmentName } from '#server/log/blockFormat.ts'
import { isSnapshotName } from '#server/log/snapshotFormat.ts'
import { SnapshotWriter } from '#server/log/snapshotWriter.ts'
import { LogRefusal } from '#server/log/windowedFile.ts'
import type { ShardVariations } from '#server/shardOptions.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { PartwiseKeyspace } from '#test/store/partwiseKeyspace.ts'
import { TestShard } from './testShard.ts'

/** A removal is durable when the directory is, which nobody waits for: a power cut may bring the file back. */
class ReappearingDisk extends FaultyDisk {
  readonly #removed: FaultyDisk['files'] = new Map()

  override remove(name: string): void {
    const file = this.files.get(name)
    super.remove(name)
    if (file !== undefined && (isSegmentName(name) || isSnapshotName(name))) this.#removed.set(name, file)
  }

  override afterPowerCut(random: Random): FaultyDisk {
    const removed = [...this.#removed].filter(([name]) => !this.files.has(name) && random.below(2) === 0)
    const left = super.afterPowerCut(random)
    const back = new FaultyDisk(new Map(removed)).afterPowerCut(random)
    for (const [name, file] of back.files) left.files.set(name, file)
    return left
  }
}

const variations: ShardVariations = {
  segmentBytesMax: 900,
  newKeyspace: (options) => new PartwiseKeyspace(options),
  snapshots: { sizes: { sliceMs: 1, sliceBytes: 40 } },
}

/** What the clients of a life know: increments sent, and those that were answered with success. */
interface Tally {
  sent: number
  answered: number
}

const keys = Array.from({ length: 6 }, (_, i) => `{k}${i}`)

/** Runs until something ends the process; undefined: it did not even start. */
function live(disk: FaultyDisk, random: SeededRandom, changes: ShardVariations = {}): Tally | undefined {
  const tally: Tally = { sent: 0, answered: 0 }
  let shard: TestShard
  try {
    shard = new TestShard({
      disk,
      database: { persistence: 'always' },
      variations: { ...variations, ...changes },
    })
  } catch (error) {
    if (error instanceof DiskError) return undefined
    throw error
  }
  const tags: number[] = []
  for (let step = 0; step < 60 && shard.fatal.length === 0; step++) {
    if (step === 15 || step === 40) shard.proxy.ask({ what: 'snapshot' })
    if (step === 58) shard.world.advance(6000)
    const writes = 1 + random.below(2)
    for (let i = 0; i < writes; i++) {
      tally.sent++
      tags.push(shard.proxy.send('INCR', random.pick(keys)))
    }
    if (step % 7 === 0) shard.proxy.send('SET', 'text', 'x'.repeat(60))
    shard.world.settle()
    if (disk.slow && random.chance(0.5)) disk.finishSyncs()
    shard.world.advance(2)
  }
  for (const tag of tags) if (shard.proxy.reply(tag)?.startsWith(':')) tally.answered++
  shard.shard.stop()
  return tally
}

/** The sum of all counters. */
function sumOf(disk: FaultyDisk): number {
  const shard = new TestShard({ disk, initialised: true, database: { persistence: 'always' }, variations })
  const sum = keys.reduce((total, key) => total + Number(shard.run('INCRBY', key, '0').slice(1)), 0)
  // A second start finds what the first one left.
  shard.world.advance(1000)
  const again = shard.restart({ database: { persistence: 'always' }, variations })
  expect(keys.reduce((total, key) => total + Number(again.run('INCRBY', key, '0').slice(1)), 0)).toBe(sum)
  return sum
}

function check(tally: Tally | undefined, sum: number): void {
  expect(sum).toBeGreaterThanOrEqual(tally?.answered ?? 0)
  expect(sum).toBeLessThanOrEqual(tally?.sent ?? 0)
}

interface Failing {
  failAt: number
  failsOn: boolean
  slow: boolean
}

/** Lives once, with the call failing, and starts again after a kill and after power cuts. Throws what is wrong then. */
function liveAndStart(
  { failAt, failsOn, slow }: Failing,
  seed: number,
  changes: ShardVariations = {},
): number {
  const random = new SeededRandom(seed)
  const disk = new ReappearingDisk()
  Object.assign(disk, { failAt, failsOn, slow, tornFraction: random.fraction() })
  Object.assign(disk, { code: random.pick(['ENOSPC', 'EIO']) })
  const tally = live(disk, random, changes)
  const promised = tally !== undefined && tally.answered === tally.sent
  const killed = sumOf(disk.afterKill())
  check(tally, killed)
  for (let cut = 0; cut < 2; cut++) check(tally, sumOf(disk.afterPowerCut(random)))
  return promised && failAt === Number.POSITIVE_INFINITY ? disk.calls : 0
}

test.each([
  [false, false],
  [false, true],
  [true, false],
  [true, true],
])('a disk call fails, again and again from then on: %s, slow syncs: %s', (failsOn, slow) => {
  const seed = seedFromEnv()
  const calls = liveAndStart({ failAt: Number.POSITIVE_INFINITY, failsOn, slow: false }, seed)
  expect(calls).toBeGreaterThan(150)
  for (let failAt = 0; failAt <= calls; failAt++) {
    try {
      liveAndStart({ failAt, failsOn, slow }, seed + failAt)
    } catch (error) {
      throw new Error(`call ${failAt}, seed ${seed + failAt}: ${error}`, { cause: error })
    }
  }
})

test('a good life takes two snapshots and removes what they replace', () => {
  const disk = new FaultyDisk()
  live(disk, new SeededRandom(1))
  const names = [...disk.files.keys()]
  expect(names.filter(isSnapshotName)).toHaveLength(1)
  expect(names.filter(isSegmentName).length).toBeLessThan(4)
})

/** Counts as durable at once, so that what it replaces is removed. */
class Unsynced extends SnapshotWriter {
  protected override syncFile(then: (() => void) | null): void {
    then?.()
  }
}

test('a fault is found: the log before a snapshot is removed before the snapshot is durable', () => {
  const snapshots: ShardVariations['snapshots'] = {
    ...variations.snapshots,
    newWriter: (...of) => new Unsynced(...of),
  }
  const run = (seed: number) =>
    liveAndStart({ failAt: 40 + seed, failsOn: true, slow: true }, seed, { snapshots })
  expect(() => {
    for (let seed = 1; seed <= 300; seed++) run(seed)
  }).toThrow(LogRefusal)
})
