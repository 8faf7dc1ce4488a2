/** What a reply promises, and what happens when the disk or the clock doesn't play along. */

import { describe, expect, test } from 'vitest'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import type { MemberState } from '#protocol/sync/member.ts'
import { originOfCluster, stampWallMs } from '#protocol/sync/stamp.ts'
import { trustedClock } from '#server/gates.ts'
import { leaseAheadMs, leaseFile } from '#server/log/lease.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { TestShard } from './testShard.ts'

const logName = '0000000000000000.log'

describe('replies leave', () => {
  test('always: when what they tell of is on the disk, in their order', () => {
    const disk = new FaultyDisk()
    const test = new TestShard({ disk, database: { persistence: 'always' } })
    disk.slow = true
    const set = test.proxy.send('SET', 'k', 'v')
    test.world.settle()
    const get = test.proxy.send('GET', 'k')
    test.world.settle()
    expect([test.proxy.reply(set), test.proxy.reply(get)]).toEqual([undefined, undefined])
    disk.finishSyncs()
    test.world.settle()
    expect(test.proxy.arrived.map(({ tag }) => tag)).toEqual([set, get])
  })

  test('everysec: when the operating system has it', () => {
    const disk = new FaultyDisk()
    disk.slow = true
    const test = new TestShard({ disk })
    expect(test.run('SET', 'k', 'v')).toBe('+OK\r\n')
    expect(test.restart().run('GET', 'k')).toBe('$1\r\nv\r\n')
  })

  test('none: at once, and nothing is kept', () => {
    const test = new TestShard({ database: { persistence: 'none' } })
    expect(test.run('SET', 'k', 'v')).toBe('+OK\r\n')
    expect([...test.disk.files.keys()]).toEqual([leaseFile])
    expect(test.restart().run('GET', 'k')).toBe('$-1\r\n')
  })
})

describe('a restart', () => {
  test('brings back keys, types, times to live and the end of the log', () => {
    const test = new TestShard()
    test.run('SET', 's', 'v')
    test.run('INCRBY', 'n', '41')
    test.run('INCR', 'n')
    test.run('HSET', 'h', 'f', 'v')
    test.run('SADD', 'm', 'a', 'b')
    test.run('SREM', 'm', 'a')
    test.run('SET', 'e', 'v', 'PX', '100000')
    test.run('SET', 'gone', 'v')
    test.run('DEL', 'gone')
    const { db, log } = test.shard
    const left = test.run('PTTL', 'e')
    const again = test.restart()
    expect(again.run('GET', 'n')).toBe('$2\r\n42\r\n')
    expect(again.run('SMEMBERS', 'm')).toBe('*1\r\n$1\r\nb\r\n')
    expect(again.run('PTTL', 'e')).toBe(left)
    expect(again.run('DBSIZE')).toBe(':5\r\n')
    for (const slot of db.occupiedSlots()) {
      expect(again.shard.db.slotDigest(slot)).toBe(db.slotDigest(slot))
      expect([...again.shard.db.vectors.of(slot)]).toEqual([...db.vectors.of(slot)])
    }
    expect(again.shard.log.backlog.end).toBe(log.end)
    expect(again.proxy.runId).not.toBe('')
  })

  test('after a power cut at any time keeps what was promised, for every policy', () => {
    const random = new SeededRandom(seedFromEnv())
    for (let round = 0; round < 60; round++) {
      const persistence = random.pick(['always', 'everysec'] as const)
      const disk = new FaultyDisk()
      let test = new TestShard({ disk, database: { persistence }, variations: { segmentBytesMax: 2000 } })
      disk.slow = true
      let acknowledged = 0
      let sent = 0
      for (let step = 0; step < 40; step++) {
        for (let i = random.below(4); i > 0; i--, sent++) test.proxy.send('INCR', 'n')
        test.world.settle()
        if (random.chance(0.3)) disk.finishSyncs()
        test.world.advance(random.below(300))
        if (persistence === 'always') acknowledged = test.proxy.arrived.length
        else if (test.shard.log.synced === test.shard.log.end) acknowledged = sent
      }
      test.shard.stop()
      test = test.restart({ disk: disk.afterPowerCut(random) })
      const count = Number(test.run('INCRBY', 'n', '0').slice(1))
      expect(count).toBeGreaterThanOrEqual(acknowledged)
      expect(count).toBeLessThanOrEqual(sent)
    }
  })

  test('tells where a torn log was cut off', () => {
    const test = new TestShard()
    test.run('SET', 'k', 'v')
    test.run('SET', 'k', 'w')
    const disk = test.disk.afterKill()
    const file = disk.files.get(logName) as { bytes: Uint8Array }
    file.bytes = file.bytes.slice(0, file.bytes.length - 1)
    const again = test.restart({ disk })
    expect(again.run('GET', 'k')).toBe('$1\r\nv\r\n')
    expect(again.logger.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', facts: expect.objectContaining({ file: logName }) }),
    )
  })

  test('refuses a damaged log', () => {
    const test = new TestShard({ database: { persistence: 'always' } })
    for (let i = 0; i < 5; i++) test.run('SET', 'k', `${i}`)
    const disk = test.disk.afterKill()
    const file = disk.files.get(logName) as { bytes: Uint8Array }
    file.bytes[100] = (file.bytes[100] as number) ^ 1
    expect(() => test.restart({ disk })).toThrow(`log file ${logName}, offset`)
  })
})

describe('a disk that takes nothing', () => {
  test('writes get an error, reads go on, and all is well when it works again', () => {
    const disk = new FaultyDisk()
    const test = new TestShard({ disk })
    test.run('SET', 'k', 'before')
    disk.failAt = disk.calls
    disk.failsOn = true
    const misconf = /^-MISCONF Errors writing the log of shard 0: append .* free space on its disk; /
    expect(test.run('SET', 'k', 'during')).toMatch(misconf)
    const reads = test.proxy.send('GET', 'k')
    const write = test.proxy.send('SET', 'k', 'later')
    const read = test.proxy.send('GET', 'absent')
    const exec = test.proxy.transaction(0, ['GET', 'k'], ['SET', 'k', 'exec'])
    test.world.settle()
    expect(test.proxy.reply(reads)).toBe('$6\r\nduring\r\n')
    expect(test.proxy.reply(write)).toMatch(/^-MISCONF .* writes are refused until it works again\r\n$/)
    expect(test.proxy.reply(read)).toBe('$-1\r\n')
    expect(test.proxy.reply(exec)).toMatch(/^-EXECABORT Transaction discarded because of: MISCONF /)
    disk.failAt = Number.POSITIVE_INFINITY
    test.world.advance(1000)
    expect(test.run('SET', 'k', 'after')).toBe('+OK\r\n')
    const again = test.restart()
    expect(again.run('GET', 'k')).toBe('$5\r\nafter\r\n')
  })

  test('of several replies of a turn only those of writes become errors', () => {
    const disk = new FaultyDisk()
    const test = new TestShard({ disk })
    test.run('SET', 'k', '1')
    disk.failAt = disk.calls
    test.proxy.send('GET', 'k')
    test.proxy.send('INCR', 'k')
    test.proxy.send('GET', 'k')
    test.proxy.send('SET', 'k', 'x', 'NX')
    test.world.settle()
    const texts = test.proxy.arrived.map(({ text }) => text)
    expect(texts.slice(1)).toEqual([
      '$1\r\n1\r\n',
      expect.stringMatching(/^-MISCONF .*this write is not durable yet and may be lost\r\n$/),
      '$1\r\n2\r\n',
      '$-1\r\n',
    ])
  })

  test('of several replies of a frame only those of writes become errors', () => {
    const disk = new FaultyDisk()
    const test = new TestShard({ disk })
    test.run('SET', 'k', '1')
    disk.failAt = disk.calls
    const run = test.proxy.sendRun(['GET', 'k'], ['INCR', 'k'], ['GET', 'k'], ['INCR', 'k'])
    const last = test.proxy.send('GET', 'k')
    test.world.settle()
    const misconf = '-MISCONF [^\r]*this write is not durable yet and may be lost\r\n'
    const expected = new RegExp(`^\\$1\r\n1\r\n${misconf}\\$1\r\n2\r\n${misconf}$`)
    expect(test.proxy.reply(run)).toMatch(expected)
    expect(test.proxy.reply(last)).toBe('$1\r\n3\r\n')
  })

  test('a sync that fails ends the process', () => {
    const disk = new FaultyDisk()
    const test = new TestShard({ disk, database: { persistence: 'always' } })
    disk.code = 'EIO'
    disk.failAt = disk.calls + 1
    const set = test.proxy.send('SET', 'k', 'v')
    test.world.settle()
    expect(test.fatal).toHaveLength(1)
    expect(test.proxy.reply(set)).toBeUndefined()
  })

  test('at the start: the shard serves reads and takes writes when it works', () => {
    const before = new TestShard()
    before.run('SET', 'k', 'v')
    before.shard.stop()
    // The lease has run out.
    before.world.advance(10_000)
    const disk = before.disk.afterKill()
    disk.failAt = 0
    disk.failsOn = true
    const list = disk.list.bind(disk)
    // Reading works.
    disk.list = () => [...disk.files.keys()].sort()
    disk.sizeBytes = (name) => disk.files.get(name)?.bytes.length ?? 0
    disk.read = (name, from, length) =>
      disk.files.get(name)?.bytes.slice(from, from + length) ?? new Uint8Array(0)
    disk.sync = (_, done) => done(null)
    expect(list).toThrow()
    const test = new TestShard({ disk, world: before.world, initialised: true })
    expect(test.run('GET', 'k')).toBe('$1\r\nv\r\n')
    expect(test.run('SET', 'k', 'w')).toMatch(/^-MISCONF Errors writing the clock lease of shard 0/)
    disk.failAt = Number.POSITIVE_INFINITY
    test.world.advance(100)
    expect(test.run('SET', 'k', 'w')).toBe('+OK\r\n')
  })
})

describe('the clock', () => {
  const own = originOfCluster(1)
  const slot = slotOfKey('n')

  test('gated: writes are refused, reads go on', () => {
    const test = new TestShard()
    test.run('SET', 'k', 'v')
    const gated = { ...trustedClock, state: 'gated' as const, offsetMs: -4321.7, source: 'ntp.example.org' }
    test.shard.setClock(gated)
    const text =
      'CLOCKSKEW clock is off by 4322 ms from ntp.example.org; writes are refused until it is within 1000 ms\r\n'
    expect(test.run('SET', 'k', 'w')).toBe(`-${text}`)
    expect(test.run('GET', 'k')).toBe('$1\r\nv\r\n')
    const exec = test.proxy.transaction(0, ['GET', 'k'], ['DEL', 'k'])
    const reading = test.proxy.transaction(0, ['GET', 'k'])
    test.world.settle()
    expect(test.proxy.reply(exec)).toBe(`-EXECABORT Transaction discarded because of: ${text}`)
    expect(test.proxy.reply(reading)).toBe('*1\r\n$1\r\nv\r\n')
    test.shard.setClock({ ...trustedClock, state: 'degraded', offsetMs: 300 })
    expect(test.run('SET', 'k', 'w')).toBe('+OK\r\n')
  })

  test('gated: expired keys are hidden, but their deletes wait', () => {
    const test = new TestShard()
    test.run('SET', 'k', 'v', 'PX', '100')
    test.shard.setClock({ ...trustedClock, state: 'gated' })
    test.world.advance(5000)
    expect(test.run('GET', 'k')).toBe('$-1\r\n')
    expect(test.shard.db.size).toBe(1)
    test.shard.setClock(trustedClock)
    test.world.advance(2000)
    expect(test.shard.db.size).toBe(0)
  })

  const lastStamp = (test: TestShard) => {
    test.run('INCR', 'n')
    return test.shard.db.vectors.greatest(slot)
  }

  test('set back before a restart gives no stamp at or below an earlier one', () => {
    for (const persistence of ['none', 'everysec', 'always'] as const) {
      const test = new TestShard({ database: { persistence } })
      test.world.advance(30_000)
      const last = lastStamp(test)
      test.world.wallOffsetMs -= 3_600_000
      expect(lastStamp(test)).toBeGreaterThan(last)
      const before = lastStamp(test)
      const again = test.restart()
      expect(lastStamp(again)).toBeGreaterThan(before)
    }
  })

  test('set back before a restart gives no smaller stamp in another slot either', () => {
    const test = new TestShard()
    const last = lastStamp(test)
    test.world.wallOffsetMs -= 3_600_000
    const again = test.restart()
    again.run('SET', 'elsewhere', 'v')
    expect(again.shard.db.vectors.greatest(slotOfKey('elsewhere'))).toBeGreaterThan(last)
  })

  test('starts at the last stamp of a whole log, else at the end of the lease', () => {
    const aheadMs = (change: (test: TestShard) => TestShard) => {
      const test = new TestShard()
      const last = lastStamp(test)
      const next = lastStamp(change(test))
      expect(next).toBeGreaterThan(last)
      return stampWallMs(next) - stampWallMs(last)
    }
    const withoutLog = (test: TestShard) => {
      const disk = test.disk.afterKill()
      disk.files.delete(logName)
      return disk
    }
    const drained = (test: TestShard) => {
      test.shard.drain(() => {})
      test.world.settle()
      return test
    }
    expect(aheadMs((test) => test.restart())).toBe(0)
    expect(aheadMs((test) => test.restart({ disk: withoutLog(test) }))).toBe(leaseAheadMs)
    // The machine was started again: a log that looks whole may lack its end, unless it was closed.
    expect(aheadMs((test) => test.restart({ bootId: 'another' }))).toBe(leaseAheadMs)
    expect(aheadMs((test) => drained(test).restart({ bootId: 'another' }))).toBe(0)
  })

  test('gives no stamp twice when a power cut took the end of the log', () => {
    const random = new SeededRandom(seedFromEnv())
    for (let round = 0; round < 30; round++) {
      const disk = new FaultyDisk()
      const test = new TestShard({ disk })
      disk.slow = true
      let last = 0
      for (let i = random.below(20); i >= 0; i--) {
        last = lastStamp(test)
        if (random.chance(0.2)) disk.finishSyncs()
        test.world.advance(random.below(300))
      }
      test.world.wallOffsetMs -= random.below(2) * 10_000
      const next = test.restart({ disk: disk.afterPowerCut(random), bootId: 'another' })
      expect(lastStamp(next)).toBeGreaterThan(last)
    }
  })

  test('that jumps ahead takes a new lease before the stamp leaves', () => {
    const test = new TestShard()
    test.world.wallOffsetMs += 600_000
    const last = lastStamp(test)
    const disk = test.disk.afterKill()
    disk.files.delete(logName)
    test.world.wallOffsetMs -= 600_000
    expect(lastStamp(test.restart({ disk }))).toBeGreaterThan(last)
  })

  test('a long turn of stamps ahead of time takes a longer lease', () => {
    const test = new TestShard()
    // As if a peer's operation had shown a time 50 s ahead.
    test.shard.db.vectors.set(slot, own, 0)
    test.shard.db.vectors.set(
      slot,
      3,
      (Math.floor(test.world.wallMs() + 50_000) - Date.UTC(2025, 0, 1)) * 4096 + 3,
    )
    const last = lastStamp(test)
    expect(stampWallMs(last)).toBeGreaterThanOrEqual(test.world.wallMs() + 50_000)
    expect((test.shard.status() as ShardInfo).clock.leaseLeftMs).toBeGreaterThan(50_000)
  })
})

describe('lost data', () => {
  const two = [
    { clusterId: 1, name: 'one' },
    { clusterId: 2, name: 'two' },
  ]

  test('with other members reads go on and writes wait', () => {
    const test = new TestShard({ initialised: true, database: { members: two } })
    expect(test.run('SET', 'k', 'v')).toMatch(/^-STALE this shard lost its data/)
    expect(test.run('GET', 'k')).toBe('$-1\r\n')
  })

  test('an empty log is not a lost one, and without other members there is nothing to wait for', () => {
    const test = new TestShard({ database: { members: two } })
    expect(test.restart().run('SET', 'k', 'v')).toBe('+OK\r\n')
    expect(new TestShard({ initialised: true }).run('SET', 'k', 'v')).toBe('+OK\r\n')
  })

  test('without persistence every restart is a loss', () => {
    const test = new TestShard({ database: { members: two, persistence: 'none' } })
    expect(test.run('SET', 'k', 'v')).toBe('+OK\r\n')
    expect(test.restart().run('SET', 'k', 'v')).toMatch(/^-STALE/)
  })
})

describe('a member that is none yet, or none any more', () => {
  const members = (state: MemberState, more: object = {}) => [
    { clusterId: 1, name: 'one', state, ...more },
    { clusterId: 2, name: 'two' },
  ]

  test.each<[MemberState, RegExp]>([
    ['joining', /^-JOINING /],
    ['removing', /^-REMOVING /],
    ['removed', /^-REMOVED /],
  ])('%s: it is read, and refuses writes', (state, error) => {
    const test = new TestShard({ database: { members: members(state) } })
    expect(test.run('SET', 'k', 'v')).toMatch(error)
    expect(test.run('GET', 'k')).toBe('$-1\r\n')
    expect(test.shard.replication.stale).toBe(state === 'joining')
  })

  test('never gives a stamp of who had its id before', () => {
    const own = 7
    const stampFloor = (Date.UTC(2031, 0, 1) - Date.UTC(2025, 0, 1)) * 4096 + own
    const test = new TestShard({ database: { members: members('active', { stampFloor }) } })
    test.run('SET', 'k', 'v')
    expect(test.shard.db.vectors.get(slotOfKey('k'), own)).toBeGreaterThan(stampFloor)
  })
})

test('a drain answers what has come, makes it durable, and closes the links', () => {
  const disk = new FaultyDisk()
  const test = new TestShard({ disk, database: { persistence: 'always' } })
  disk.slow = true
  const set = test.proxy.send('SET', 'k', 'v')
  test.world.settle()
  let drained = false
  test.shard.drain(() => {
    drained = true
  })
  test.world.settle()
  expect([drained, test.proxy.reply(set)]).toEqual([false, undefined])
  disk.finishSyncs()
  disk.finishSyncs()
  test.world.settle()
  expect([drained, test.proxy.reply(set), test.proxy.closed]).toEqual([true, '+OK\r\n', true])
  expect(test.restart().run('GET', 'k')).toBe('$1\r\nv\r\n')
  expect(test.world.timerCount).toBeLessThanOrEqual(2)
})
