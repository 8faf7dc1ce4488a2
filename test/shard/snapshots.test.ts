/** Snapshots of a shard: when they are taken, what they replace, what a start makes of them. */
import { describe, expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { isSegmentName } from '#server/log/blockFormat.ts'
import { leaseFile } from '#server/log/lease.ts'
import { isSnapshotName } from '#server/log/snapshotFormat.ts'
import { SnapshotWriter } from '#server/log/snapshotWriter.ts'
import { LogRefusal } from '#server/log/windowedFile.ts'
import type { FaultyDisk } from '#test/faultyDisk.ts'
import { PartwiseKeyspace } from '#test/store/partwiseKeyspace.ts'
import { type ShardChanges, TestShard } from './testShard.ts'
import { carry, member, open, pair } from './twoClusters.ts'

const inParts: ShardChanges['variations'] = {
  newKeyspace: (options) => new PartwiseKeyspace(options),
  snapshots: { sizes: { sliceMs: 1, sliceBytes: 1 } },
}

const ask = (test: TestShard, question: unknown, waitMs = 0): unknown => {
  const tag = test.proxy.ask(question)
  test.world.settle()
  test.world.advance(waitMs)
  return test.proxy.adminAnswers.get(tag)
}

const snapshotFigures = (test: TestShard) => test.shard.status().log.snapshot

function takeSnapshot(test: TestShard): void {
  const { completed } = snapshotFigures(test)
  expect(ask(test, { what: 'snapshot' }, 3000)).toEqual({ snapshot: 'started' })
  expect(snapshotFigures(test)).toMatchObject({ running: false, completed: completed + 1, lastFailed: false })
}

const filesOf = (disk: FaultyDisk) => {
  const names = [...disk.files.keys()].sort()
  return { segments: names.filter(isSegmentName), snapshots: names.filter(isSnapshotName) }
}

const logBytes = (disk: FaultyDisk): number =>
  [...disk.files].reduce((sum, [name, { bytes }]) => sum + (name === leaseFile ? 0 : bytes.length), 0)

/** What the next process would be if this one were killed now; it lives on. */
const started = (test: TestShard, changes: ShardChanges = {}): TestShard =>
  new TestShard({
    disk: test.disk.afterKill(),
    world: test.world,
    initialised: true,
    database: test.options.database,
    limits: test.options.limits,
    ...changes,
  })

function expectSame(again: TestShard, before: TestShard): void {
  const db = before.shard.db
  expect(again.shard.db.size).toBe(db.size)
  expect(again.shard.db.expiring).toBe(db.expiring)
  for (let slot = db.vectors.firstOccupied(0, 16383); slot >= 0; ) {
    expect([...again.shard.db.vectors.of(slot)]).toEqual([...db.vectors.of(slot)])
    expect(again.shard.db.slotDigest(slot)).toBe(db.slotDigest(slot))
    slot = db.vectors.firstOccupied(slot + 1, 16383)
  }
  expect(again.shard.log.end).toBe(before.shard.log.end)
}

function fill(test: TestShard, round = 0): void {
  for (let i = 0; i < 20; i++) test.run('SET', `k${i}`, `${round}`)
  test.run('INCRBY', 'n', '5')
  test.run('HSET', 'h', 'f', `${round}`, 'g', 'v')
  test.run('HINCRBY', 'h', 'c', '2')
  test.run('SADD', 'm', 'a', `b${round}`)
  test.run('SET', 'e', 'v', 'PX', '1000000')
  test.run('SET', `gone${round}`, 'v')
  test.run('DEL', `gone${round}`)
}

describe('a snapshot', () => {
  test('and the log behind it are the data; what was before is removed', () => {
    const test = new TestShard({ variations: { ...inParts, segmentBytesMax: 500 } })
    for (let round = 0; round < 10; round++) fill(test, round)
    expect(filesOf(test.disk).segments.length).toBeGreaterThan(10)
    const before = logBytes(test.disk)
    takeSnapshot(test)
    expect(filesOf(test.disk)).toMatchObject({ segments: { length: 1 }, snapshots: { length: 1 } })
    expect(logBytes(test.disk)).toBeLessThan(before / 5)
    expectSame(started(test), test)
    fill(test, 10)
    const again = started(test)
    expectSame(again, test)
    expect(again.logger.lines.map(({ message }) => message)).toContain('snapshot was read')
    const { changes } = snapshotFigures(test)
    expect(changes).toBeGreaterThan(20)
    expect(snapshotFigures(again)).toMatchObject({ changes, logBytes: snapshotFigures(test).logBytes })
    expect(again.run('INCR', 'n')).toBe(':56\r\n')
    // The next one replaces it.
    takeSnapshot(again)
    expect(filesOf(again.disk)).toMatchObject({ segments: { length: 1 }, snapshots: { length: 1 } })
    expectSame(started(again), again)
  })

  test('is cut in parts while its slots change', () => {
    const test = new TestShard({ variations: inParts })
    for (let i = 0; i < 30; i++) test.run('SET', `{s}${i}`, 'before')
    for (let i = 0; i < 10; i++) test.run('INCR', `{s}n${i}`)
    let turns = 0
    ask(test, { what: 'snapshot' })
    for (let i = 0; i < 1000 && snapshotFigures(test).running; i++) {
      test.run('SET', `{s}${i % 30}`, `during ${i}`)
      test.run('DEL', `{s}${(i * 7) % 30}`)
      test.run('INCR', `{s}n${i % 10}`)
      test.run('SET', `{s}n${(i * 3) % 10}`, `${i}`)
      test.world.advance(1)
      turns++
    }
    // A part a turn.
    expect(turns).toBeGreaterThan(25)
    expect(snapshotFigures(test).completed).toBe(1)
    test.world.advance(1000)
    expectSame(started(test), test)
  })

  test('holds the vectors of slots without keys', () => {
    const test = new TestShard()
    test.run('SET', 'k', 'v')
    test.run('DEL', 'k')
    takeSnapshot(test)
    expectSame(started(test), test)
  })

  test('holds a slot that was written to for the first time before the log could be cut off', () => {
    const test = new TestShard()
    const [low = '', high = ''] = ['a', 'b'].sort((one, other) => slotOfKey(one) - slotOfKey(other))
    test.run('SET', high, 'v')
    test.world.advance(2000)
    test.disk.slow = true
    test.run('SET', high, 'w')
    ask(test, { what: 'snapshot' })
    test.run('SET', low, 'v')
    test.disk.slow = false
    test.disk.finishSyncs()
    test.world.advance(3000)
    expect(snapshotFigures(test)).toMatchObject({ running: false, completed: 1 })
    expectSame(started(test), test)
  })

  test('is taken when the log has grown enough, by a least size and by the size of the last one', () => {
    const test = new TestShard({ limits: { snapshotLogBytesMin: 2000, snapshotLogPercent: 200 } })
    const growTo = (bytes: number) => {
      for (let i = 0; snapshotFigures(test).logBytes < bytes; i++)
        test.run('SET', `k${i % 40}`, 'x'.repeat(30))
      test.world.advance(100)
      return snapshotFigures(test)
    }
    expect(growTo(1900)).toMatchObject({ completed: 0, sizeBytes: 0 })
    const { sizeBytes } = growTo(2000)
    expect(sizeBytes).toBeGreaterThan(1100)
    expect(growTo(2 * sizeBytes - 100)).toMatchObject({ completed: 1, sizeBytes })
    test.run('SET', 'large', 'x'.repeat(4000))
    test.world.advance(100)
    const large = snapshotFigures(test)
    expect(large).toMatchObject({ completed: 2, logBytes: 0, changes: 0 })
    expect(growTo(2 * large.sizeBytes - 100).completed).toBe(2)
    expect(growTo(2 * large.sizeBytes).completed).toBe(3)
    test.shard.configure({
      ...test.options,
      limits: { ...test.options.limits, snapshotLogPercent: 0 },
    })
    expect(growTo(50_000).completed).toBe(3)
  })

  test('is asked for, and waited for', () => {
    const test = new TestShard()
    expect(ask(test, { what: 'snapshot' })).toEqual({ snapshot: 'unchanged' })
    test.run('SET', 'k', 'v')
    test.disk.slow = true
    expect(ask(test, { what: 'snapshot' })).toEqual({ snapshot: 'started' })
    expect(ask(test, { what: 'snapshot' })).toEqual({ snapshot: 'running' })
    expect(ask(test, { what: 'snapshot', wait: true })).toEqual({ snapshot: 'running' })
    expect(ask(test, { what: 'snapshot', schedule: true })).toEqual({ snapshot: 'scheduled' })
    expect(snapshotFigures(test)).toMatchObject({ running: true, scheduled: true })
    // The log is durable, and the slots are cut.
    test.disk.finishSyncs()
    test.run('SET', 'k', 'w')
    test.disk.slow = false
    test.disk.finishSyncs()
    test.world.advance(3000)
    expect(snapshotFigures(test)).toMatchObject({ running: false, scheduled: false, completed: 2 })
    const savedMs = snapshotFigures(test).lastSavedMs
    expect(savedMs).toBeLessThan(test.world.wallMs())
    expect(snapshotFigures(test)).toMatchObject({ logBytes: 0, changes: 0 })
    expect(ask(test, { what: 'snapshot', wait: true })).toEqual({ snapshot: 'unchanged' })
    expect(snapshotFigures(test).lastSavedMs).toBe(test.world.wallMs())
    test.run('SET', 'k', 'x')
    test.disk.slow = true
    const tag = test.proxy.ask({ what: 'snapshot', wait: true })
    test.world.advance(100)
    expect(test.proxy.adminAnswers.get(tag)).toBeUndefined()
    test.disk.slow = false
    test.disk.finishSyncs()
    test.world.advance(1000)
    expect(test.proxy.adminAnswers.get(tag)).toEqual({ snapshot: 'completed' })
    expect(snapshotFigures(test).completed).toBe(3)
    const { lastSavedMs } = snapshotFigures(test)
    test.world.advance(60_000)
    expect(snapshotFigures(started(test)).lastSavedMs).toBe(lastSavedMs)
  })

  test('is refused where nothing is kept, and while the log fails', () => {
    const none = new TestShard({ database: { persistence: 'none' } })
    none.run('SET', 'k', 'v')
    expect(ask(none, { what: 'snapshot' })).toMatchObject({ error: expect.stringContaining('none') })
    const test = new TestShard()
    test.run('SET', 'k', 'v')
    Object.assign(test.disk, { failAt: test.disk.calls, failsOn: true })
    test.run('SET', 'k', 'w')
    expect(ask(test, { what: 'snapshot' })).toMatchObject({
      error: expect.stringContaining('can not be written'),
    })
  })

  test('that fails is told, leaves nothing behind, and is tried again', () => {
    const test = new TestShard({ limits: { snapshotLogBytesMin: 500 } })
    fill(test)
    const append = test.disk.append.bind(test.disk)
    let isFull = true
    test.disk.append = (name, parts) => {
      if (!isFull || !isSnapshotName(name)) return append(name, parts)
      test.disk.failAt = test.disk.calls
      test.disk.tornFraction = 0.5
      append(name, parts)
    }
    test.world.advance(2000)
    expect(snapshotFigures(test)).toMatchObject({ completed: 0, failed: 1, lastFailed: true })
    expect(filesOf(test.disk)).toMatchObject({ snapshots: [] })
    expectSame(started(test), test)
    expect(test.run('SET', 'k', 'v')).toBe('+OK\r\n')
    isFull = false
    test.world.advance(1000)
    expect(snapshotFigures(test)).toMatchObject({ completed: 0 })
    test.world.advance(5000)
    expect(snapshotFigures(test)).toMatchObject({ completed: 1, failed: 1, lastFailed: false })
    expectSame(started(test), test)
  })

  test('keeps residues of a slot while it is being cut', () => {
    let goOn: (() => void) | undefined
    class Lingering extends SnapshotWriter {
      override isCutting(): boolean {
        return true
      }

      protected override syncFile(then: (() => void) | null): void {
        if (goOn === undefined) goOn = () => super.syncFile(then)
        else super.syncFile(then)
      }
    }
    const { a, b, connect } = pair({
      variations: { snapshots: { newWriter: (...of) => new Lingering(...of) } },
    })
    connect()
    b.run('INCR', 'n')
    carry(a, b, 500)
    ask(a, { what: 'snapshot' })
    a.run('SET', 'n', '7')
    expect(a.shard.db.residues).toBe(1)
    // Long enough for the other one to acknowledge.
    carry(a, b, 3000)
    expect([snapshotFigures(a).running, a.shard.db.residues]).toEqual([true, 1])
    goOn?.()
    carry(a, b, 2000)
    expect([snapshotFigures(a).running, a.shard.db.residues]).toEqual([false, 0])
  })

  test('does not outlive a change to persistence none, whatever the disk does at it', () => {
    const test = new TestShard({ variations: { segmentBytesMax: 300 } })
    fill(test)
    takeSnapshot(test)
    fill(test, 1)
    const changes: ShardChanges = { database: { persistence: 'none' } }
    for (let failAt = 0; ; failAt++) {
      const disk = test.disk.afterKill()
      disk.failAt = failAt
      let failed = false
      try {
        test.restart({ disk, ...changes })
      } catch {
        failed = true
      }
      const next = test.restart({ disk: disk.afterKill(), ...changes })
      expect(filesOf(next.disk)).toEqual({ segments: [], snapshots: [] })
      expect([...next.disk.files.keys()]).toEqual([leaseFile])
      // The whole data, or none: never a part of it.
      expect([0, test.shard.db.size]).toContain(next.shard.db.size)
      if (!failed && failAt > 30) break
    }
  })
})

describe('a start', () => {
  /** A disk with one snapshot, and the state it stands for. */
  function saved(): TestShard {
    const test = new TestShard({ variations: { segmentBytesMax: 600 } })
    fill(test)
    takeSnapshot(test)
    test.run('SET', 'late', 'v')
    return test
  }

  /** Snapshot complete, and nothing removed yet. */
  function savedWithLog(): { test: TestShard; disk: FaultyDisk } {
    const test = new TestShard({ variations: { segmentBytesMax: 600 } })
    fill(test)
    takeSnapshot(test)
    fill(test, 1)
    const remove = test.disk.remove.bind(test.disk)
    test.disk.remove = (name) => {
      if (!isSegmentName(name) && !isSnapshotName(name)) remove(name)
    }
    takeSnapshot(test)
    test.run('SET', 'late', 'v')
    expect(filesOf(test.disk).snapshots).toHaveLength(2)
    return { test, disk: test.disk.afterKill() }
  }

  const onlySnapshot = (disk: FaultyDisk) => {
    const [name] = filesOf(disk).snapshots
    return {
      name: name as string,
      file: disk.files.get(name as string) as { bytes: Uint8Array; syncedBytes: number },
    }
  }

  test('refuses a snapshot with any byte wrong, and says where', () => {
    const test = saved()
    const { name, file } = onlySnapshot(test.disk)
    for (let at = 0; at < file.bytes.length; at++) {
      const disk = test.disk.afterKill()
      const bytes = file.bytes.slice()
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8))
      disk.files.set(name, { bytes, syncedBytes: bytes.length })
      const before = [...disk.files.keys()]
      try {
        test.restart({ disk })
        expect.fail(`byte ${at} is wrong and was not noticed`)
      } catch (error) {
        if (!(error instanceof LogRefusal)) throw error
        expect(error.file).toBe(name)
        expect(error.offsetBytes).toBeLessThanOrEqual(at)
      }
      expect([...disk.files.keys()]).toEqual(before)
    }
  })

  test('refuses a snapshot that is cut short', () => {
    const test = saved()
    const { name, file } = onlySnapshot(test.disk)
    for (let size = 0; size < file.bytes.length; size += 7) {
      const disk = test.disk.afterKill()
      disk.files.set(name, { bytes: file.bytes.slice(0, size), syncedBytes: size })
      expect(() => test.restart({ disk })).toThrow(`snapshot file ${name}, offset 0: it has no intact end`)
    }
  })

  test('takes what a damaged or unfinished snapshot was to replace, as long as it is there', () => {
    const { test, disk } = savedWithLog()
    const newest = filesOf(disk).snapshots[1] as string
    const whole = disk.files.get(newest)?.bytes as Uint8Array
    for (let at = 0; at < whole.length; at += 61) {
      for (const isCut of [false, true]) {
        const damaged = disk.afterKill()
        const bytes = whole.slice(0, isCut ? at : whole.length)
        if (!isCut) bytes[at] = (bytes[at] as number) ^ 4
        damaged.files.set(newest, { bytes, syncedBytes: bytes.length })
        const again = test.restart({ disk: damaged })
        expectSame(again, test)
        again.world.advance(500)
        expect(filesOf(damaged).snapshots).toHaveLength(1)
        const told = again.logger.lines.filter(({ message }) => message.startsWith('snapshot is damaged'))
        // Without its end it is none, which is nothing to tell of.
        expect(told).toHaveLength(isCut || at >= whole.length - 32 ? 0 : 1)
        expectSame(again.restart(), test)
      }
    }
  })

  test('removes what nothing needs', () => {
    const { test, disk } = savedWithLog()
    const again = test.restart({ disk })
    expectSame(again, test)
    again.world.advance(2000)
    expect(filesOf(disk)).toMatchObject({ segments: { length: 1 }, snapshots: { length: 1 } })
    expectSame(again.restart(), test)
  })

  test('removes nothing before the snapshot that it found is durable', () => {
    const { test, disk } = savedWithLog()
    const newest = disk.files.get(filesOf(disk).snapshots[1] as string) as { syncedBytes: number }
    newest.syncedBytes -= 1
    disk.slow = true
    const before = filesOf(disk)
    const again = test.restart({ disk })
    again.world.advance(2000)
    expect(filesOf(disk)).toEqual(before)
    disk.slow = false
    disk.finishSyncs()
    again.world.advance(2000)
    expect(filesOf(disk)).toMatchObject({ segments: { length: 1 }, snapshots: { length: 1 } })
  })

  test('refuses when the log behind the snapshot is gone, or shorter than it was', () => {
    const test = saved()
    const { name } = onlySnapshot(test.disk)
    const disk = test.disk.afterKill()
    for (const segment of filesOf(disk).segments) disk.remove(segment)
    expect(() => test.restart({ disk })).toThrow(`snapshot file ${name}, offset 0: the log behind it`)
    const bare = test.disk.afterKill()
    bare.remove(name)
    expect(() => test.restart({ disk: bare })).toThrow(
      /the log before it ends at 0, .*durable operations are damaged/,
    )

    // Operations came while the snapshot was cut: the log must hold them.
    const busy = new TestShard({ variations: inParts })
    fill(busy)
    ask(busy, { what: 'snapshot' })
    busy.world.advance(2)
    busy.run('SET', 'k0', 'during')
    expect(snapshotFigures(busy).running).toBe(true)
    busy.world.advance(3000)
    const [segment] = filesOf(busy.disk).segments as [string]
    const bytes = busy.disk.files.get(segment)?.bytes as Uint8Array
    for (let size = 0; size < bytes.length; size++) {
      const short = busy.disk.afterKill()
      short.files.set(segment, { bytes: bytes.slice(0, size), syncedBytes: size })
      expect(() => started(busy, { disk: short }), `cut at ${size} of ${bytes.length}`).toThrow(
        `log file ${segment}`,
      )
    }
  })

  test('refuses the snapshot of another cluster', () => {
    const test = saved()
    const disk = test.disk.afterKill()
    for (const name of filesOf(disk).segments) disk.remove(name)
    const other = new TestShard({ database: { clusterId: 2 } })
    for (let i = 0; i < 60 && test.shard.log.end > other.shard.log.end; i++) other.run('SET', 'k', 'v')
    for (const [name, file] of other.disk.files) if (isSegmentName(name)) disk.files.set(name, file)
    const { name, file } = onlySnapshot(test.disk)
    disk.files.delete(name)
    disk.files.set('0000000000000000.snapshot', file)
    expect(() => test.restart({ disk })).toThrow(/snapshot file .*offset 0: the file was renamed/)
    expect(() => test.restart({ disk: saved().disk, database: { clusterId: 2 } })).toThrow(
      /snapshot file .*written by cluster 1, this is cluster 2/,
    )
  })

  test('gives no stamp again, though the log behind the snapshot is empty and the clock was set back', () => {
    const test = new TestShard()
    test.run('SET', 'k', 'v')
    takeSnapshot(test)
    const last = Math.max(...test.shard.db.vectors.of(test.shard.db.vectors.firstOccupied(0, 16383)))
    test.world.wallOffsetMs -= 1_000_000
    const again = test.restart()
    again.run('SET', 'k', 'w')
    expect(
      Math.max(...again.shard.db.vectors.of(again.shard.db.vectors.firstOccupied(0, 16383))),
    ).toBeGreaterThan(last)
  })

  test.each([
    ['from the end of the lease, when the machine was started since', 'other', true],
    ['from the end of the log, when only the process was', 'boot', false],
  ])(
    'goes on %s: the file that begins with a snapshot ends with no mark of a clean stop',
    (_, bootId, isAhead) => {
      const test = new TestShard()
      test.run('SET', 'k', 'v')
      takeSnapshot(test)
      expect(started(test, { bootId }).shard.status().clock.aheadMs > 1000).toBe(isAhead)
    },
  )
})

describe('peers', () => {
  test('get slot states for what the snapshot brought, and operations for what came after', () => {
    const { a, world } = pair()
    fill(a)
    takeSnapshot(a)
    a.run('SET', 'k1', 'after')
    const again = a.restart()
    const reader = member(2, world)
    open(reader, again, 1)
    carry(reader, again, 500)
    for (const slot of a.shard.db.occupiedSlots())
      expect(reader.shard.db.slotDigest(slot)).toBe(a.shard.db.slotDigest(slot))
    expect(reader.shard.status().sync.intakes[0]?.slotStatesTaken).toBeGreaterThan(10)
  })

  test('that had everything when the snapshot was taken need no slot state', () => {
    const { a, b, connect, world } = pair()
    connect()
    fill(a)
    carry(a, b, 500)
    takeSnapshot(a)
    b.proxy.channelMessages.length = 0
    a.run('SET', 'k1', 'after')
    a.proxy.connection.close()
    world.settle()
    const again = a.restart()
    open(b, again, 11)
    carry(b, again, 500)
    const intake = b.shard.status().sync.intakes.at(-1)
    expect(intake).toMatchObject({ caughtUp: true, slotStatesTaken: 0 })
    expect(b.run('GET', 'k1')).toBe('$5\r\nafter\r\n')
  })
})
