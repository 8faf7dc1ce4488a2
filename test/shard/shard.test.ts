import { describe, expect, test } from 'vitest'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { FrameFlag, FrameKind } from '#protocol/frames/frame.ts'
import { linkOutputPauseBytes } from '#server/link.ts'
import { Keyspace, type KeyspaceOptions } from '#server/store/keyspace.ts'
import { frameBytes, requestText, sessionText } from './proxySide.ts'
import { TestShard } from './testShard.ts'

describe('requests', () => {
  test('are answered each with its tag, in order', () => {
    const { proxy, world } = new TestShard()
    proxy.send('SET', 'k', 'v')
    proxy.send('GET', 'k')
    proxy.send('get', 'absent')
    proxy.send('HSET', 'k', 'f', 'v')
    proxy.send('OBJECT', 'ENCODING', 'k')
    world.settle()
    expect(proxy.arrived.map(({ tag, text }) => `${tag} ${text}`)).toEqual([
      '1 +OK\r\n',
      '2 $1\r\nv\r\n',
      '3 $-1\r\n',
      '4 -WRONGTYPE Operation against a key holding the wrong kind of value\r\n',
      '5 $6\r\nembstr\r\n',
    ])
  })

  test('are answered in the protocol that the client speaks', () => {
    const { proxy, world } = new TestShard()
    const two = proxy.send('GET', 'absent')
    const three = proxy.send3('GET', 'absent')
    world.settle()
    expect([proxy.reply(two), proxy.reply(three)]).toEqual(['$-1\r\n', '_\r\n'])
  })

  test('that do not count as an access', () => {
    const { proxy, world, run } = bound()
    run('SADD', 'k', 'v')
    world.advance(10_000)
    proxy.frame(FrameKind.request, requestText(['SMEMBERS', 'k']), FrameFlag.noTouch)
    world.settle()
    expect(run('OBJECT', 'IDLETIME', 'k')).toBe(':10\r\n')
    run('SMEMBERS', 'k')
    expect(run('OBJECT', 'IDLETIME', 'k')).toBe(':0\r\n')
  })

  test('that no proxy of this release sends get an error', () => {
    const { proxy, world, run } = bound()
    expect(run('NONSENSE', 'x')).toContain("-ERR shard doesn't know the command 'NONSENSE'")
    expect(run('GET')).toContain("-ERR shard doesn't know the command 'GET'")
    expect(run('OBJECT', 'NOTHING')).toContain('-ERR shard')
    const tag = proxy.frame(FrameKind.request, '*1\r\n$3\r\nGE')
    world.settle()
    expect(proxy.reply(tag)).toContain('-ERR shard')
  })

  test('a large batch is answered before its end', () => {
    const { proxy, world, run } = bound()
    run('SET', 'k', 'x'.repeat(1000))
    for (let i = 0; i < 200; i++) proxy.send('GET', 'k')
    world.settle()
    expect(proxy.arrived).toHaveLength(201)
  })

  test('of one frame are answered in one, with their number', () => {
    const { proxy, world } = new TestShard()
    proxy.sendRun(['SET', 'k', 'v'], ['GET', 'k'], ['HGET', 'k', 'f'], ['GET', 'absent'])
    world.settle()
    const wrongType = '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'
    expect(proxy.arrived).toEqual([
      { tag: 1, text: `+OK\r\n$1\r\nv\r\n${wrongType}$-1\r\n`, count: 4, isHeld: false },
    ])
  })

  test('of one frame that does not end with a whole one get an error for the rest', () => {
    const { proxy, world, run } = bound()
    proxy.frame(FrameKind.request, `${requestText(['SET', 'k', 'v'])}*2\r\n$3\r\nGET`)
    world.settle()
    expect(proxy.arrived).toEqual([
      {
        tag: 1,
        text: expect.stringMatching(/^\+OK\r\n-ERR shard doesn't know the command/),
        count: 2,
        isHeld: false,
      },
    ])
    expect(run('GET', 'k')).toBe('$1\r\nv\r\n')
  })

  test('that are cut off do no harm to the next', () => {
    const { proxy, world, run } = bound()
    run('SET', 'k', 'v')
    const half = '*3\r\n$6\r\nAPPEND\r\n$1\r\nk'
    for (const kind of [FrameKind.request, FrameKind.transaction, FrameKind.watch]) {
      const tag = proxy.frame(kind, kind === FrameKind.request ? half : sessionText(1) + half)
      world.settle()
      expect(proxy.reply(tag)).toMatch(/^-ERR/)
      expect(run('GET', 'k')).toBe('$1\r\nv\r\n')
    }
  })

  test('of one frame with large replies are answered in parts', () => {
    const { proxy, world, run } = bound()
    run('SET', 'k', 'x'.repeat(10_000))
    const tag = proxy.sendRun(...Array.from({ length: 50 }, () => ['GET', 'k']))
    world.settle()
    const parts = proxy.arrived.filter((part) => part.tag === tag)
    expect(parts.length).toBeGreaterThan(10)
    expect(parts.reduce((sum, { count }) => sum + count, 0)).toBe(50)
    expect(parts.map(({ text }) => text).join('')).toBe(`$10000\r\n${'x'.repeat(10_000)}\r\n`.repeat(50))
  })
})

describe('a link', () => {
  test('of whoever says something else than hello is closed', () => {
    const shard = new TestShard()
    const other = shard.connect()
    shard.world.settle()
    other.connection.write(frameBytes(99, 1, 0, 0, ''))
    shard.world.settle()
    expect(other.closed).toBe(true)
    expect(shard.logger.lines.at(-1)).toMatchObject({ facts: { reason: 'a frame of kind 99' } })
    expect(shard.run('PING')).toContain('ERR')
  })

  test('whose frames are none is closed, and the shard lives', () => {
    const shard = new TestShard()
    const other = shard.connect()
    shard.world.settle()
    other.connection.write(new Uint8Array([255, 255, 255, 255, 0, 0]))
    shard.world.settle()
    expect(other.closed).toBe(true)
    expect(shard.run('SET', 'k', 'v')).toBe('+OK\r\n')
  })

  test('that does not read is not read from', () => {
    const { proxy, shard, world } = new TestShard()
    const value = 'x'.repeat(1 << 20)
    proxy.send('SET', 'k', value)
    world.settle()
    proxy.connection.pause()
    const wanted = (linkOutputPauseBytes >> 20) + 20
    for (let i = 0; i < wanted; i++) {
      proxy.send('GET', 'k')
      world.settle()
    }
    expect(shard.status().commandsProcessed).toBeLessThan(wanted)
    expect(shard.status().commandsProcessed).toBeGreaterThan(wanted / 2)
    proxy.connection.resume()
    world.settle()
    expect(proxy.arrived).toHaveLength(wanted + 1)
  })
})

describe('transactions', () => {
  test('run as one, and an error inside does not undo the rest', () => {
    const { proxy, world } = new TestShard()
    const tag = proxy.transaction(0, ['SET', 'k', 'a'], ['HGET', 'k', 'f'], ['GET', 'k'], ['INCR', 'k'])
    world.settle()
    expect(proxy.reply(tag)).toBe(
      '*4\r\n+OK\r\n' +
        '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n' +
        '$1\r\na\r\n' +
        '-ERR value is not an integer or out of range\r\n',
    )
  })

  test('are one record of the log', () => {
    const { proxy, world, shard } = new TestShard()
    proxy.transaction(0, ['SET', '{a}1', 'x'], ['SET', '{a}2', 'y'], ['SADD', '{a}3', 'm'])
    world.settle()
    let records = 0
    shard.log.backlog.walk(0, shard.log.end, () => {
      records++
      return true
    })
    expect(records).toBe(1)
  })

  test('with too many commands, or with one that is not understood, do nothing', () => {
    const { proxy, world, run } = bound({ limits: { transactionCommandsMax: 2 } })
    const many = proxy.transaction(0, ['SET', 'k', '1'], ['SET', 'k', '2'], ['SET', 'k', '3'])
    const odd = proxy.transaction(0, ['SET', 'k', '1'], ['NONSENSE'])
    world.settle()
    expect(proxy.reply(many)).toContain('at most 2 are allowed (transaction_commands_max)')
    expect(proxy.reply(odd)).toContain("doesn't know the command 'NONSENSE'")
    expect(run('GET', 'k')).toBe('$-1\r\n')
  })
})

describe('watches', () => {
  const watching = (...keys: string[]) => {
    const shard = new TestShard()
    shard.run('SET', 'k', '1')
    const watched = shard.proxy.watch(7, ...keys)
    shard.world.settle()
    expect(shard.proxy.reply(watched)).toBe('+OK\r\n')
    const exec = () => {
      const tag = shard.proxy.transaction(7, ['SET', 'result', 'done'])
      shard.world.settle()
      return shard.proxy.reply(tag)
    }
    return { ...shard, exec, run: (...words: string[]) => shard.run(...words), test: shard }
  }
  const done = '*1\r\n+OK\r\n'
  const aborted = '*-1\r\n'

  test('nothing happened: EXEC runs, and the watches are over', () => {
    const { exec, run } = watching('k', 'absent')
    expect(exec()).toBe(done)
    run('SET', 'k', '2')
    // The proxy would have said that there is nothing to watch.
    expect(exec()).toBe(aborted)
  })

  test('a key was changed, created, deleted', () => {
    for (const words of [
      ['SET', 'k', '2'],
      ['DEL', 'k'],
      ['SADD', 'absent', 'm'],
      ['EXPIRE', 'k', '100'],
    ]) {
      const { exec, run } = watching('k', 'absent')
      run(...words)
      expect(exec()).toBe(aborted)
    }
    const { exec, run } = watching('k')
    run('GET', 'k')
    run('SET', 'other', '1')
    run('SADD', 'k', 'm')
    expect(exec()).toBe(done)
  })

  test('a key expired: since, or long before', () => {
    const before = watching('x')
    before.run('SET', 'y', '1', 'PX', '100')
    before.proxy.watch(7, 'y')
    before.test.world.advance(200)
    expect(before.exec()).toBe(aborted)

    const after = watching('x')
    after.run('SET', 'y', '1', 'PX', '100')
    after.test.world.advance(200)
    after.proxy.watch(7, 'y')
    after.test.world.advance(5000)
    expect(after.exec()).toBe(done)
  })

  test('end with UNWATCH and with the link', () => {
    const { exec, proxy, world, shard, run } = watching('k')
    expect(shard.status().watchedKeys).toBe(1)
    proxy.unwatch(7)
    world.settle()
    expect(shard.status().watchedKeys).toBe(0)
    expect(exec()).toBe(aborted)
    proxy.watch(8, 'k')
    world.settle()
    expect(shard.status().watchedKeys).toBe(1)
    run('SET', 'k', '5')
    proxy.connection.close()
    world.settle()
    expect(shard.status().watchedKeys).toBe(0)
  })

  test('have a limit', () => {
    const { proxy, world } = new TestShard({ limits: { watchedKeysMax: 2 } })
    const first = proxy.watch(1, 'a', 'b')
    const second = proxy.watch(2, 'a')
    world.settle()
    expect(proxy.reply(first)).toBe('+OK\r\n')
    expect(proxy.reply(second)).toContain('may watch 2 (watched_keys_max)')
  })
})

describe('questions', () => {
  const ask = (test: TestShard, question: unknown): unknown => {
    const tag = test.proxy.ask(question)
    test.world.advance(100)
    return test.proxy.adminAnswers.get(tag)
  }

  test('info tells figures of everything', () => {
    const test = new TestShard()
    test.run('SET', 'k', 'v')
    test.run('SET', 'e', 'v', 'EX', '100')
    test.run('GET', 'k')
    test.run('NOSUCH', 'k', 'v')
    const info = ask(test, { what: 'info' }) as ShardInfo
    expect(info).toMatchObject({
      index: 0,
      runId: test.proxy.runId,
      writesRefused: null,
      stale: false,
      keys: 2,
      expiringKeys: 1,
      commandsProcessed: 3,
      links: 1,
      log: { persistence: 'everysec', startPosition: 0, failure: null },
      clock: { state: 'ok', aheadMs: 0 },
      sync: { members: [], feeds: [], intakes: [] },
    })
    expect(info.commands['set']).toMatchObject({ calls: 2, rejectedCalls: 0, failedCalls: 0 })
    expect(info.log.syncedPosition).toBeLessThanOrEqual(info.log.endPosition)
    expect(info.clock.leaseLeftMs).toBeGreaterThan(1000)
  })

  test('digest and vectors, by slot', () => {
    const test = new TestShard()
    test.run('SET', 'foo', 'v')
    const digest = ask(test, { what: 'digest' }) as { slots: Record<string, string> }
    expect(Object.keys(digest.slots)).toEqual(['12182'])
    const vectors = ask(test, { what: 'vectors' }) as { slots: Record<string, Record<string, number>> }
    expect(Object.keys(vectors.slots)).toEqual(['12182'])
    expect(vectors.slots['12182']?.['1']).toBe(test.shard.db.vectors.get(12182, 7))
  })

  test('resetStats begins the counts anew', () => {
    const test = new TestShard()
    test.run('SET', 'a', 'v')
    test.run('SET', 'a', 'v', 'PX', '1')
    test.run('INCR', 'a')
    test.world.advance(5_000)
    const before = ask(test, { what: 'info' }) as ShardInfo
    expect(before).toMatchObject({ expiredKeys: 1, commandsProcessed: 3 })
    expect(before.commands).toMatchObject({ set: { calls: 2 }, incr: { failedCalls: 1 } })
    expect(ask(test, { what: 'resetStats' })).toEqual({})
    const after = ask(test, { what: 'info' }) as ShardInfo
    expect(after).toMatchObject({ expiredKeys: 0, commandsProcessed: 0, commands: {} })
    test.run('GET', 'a')
    test.world.advance(1_000)
    const later = ask(test, { what: 'info' }) as ShardInfo
    expect(later).toMatchObject({ commandsProcessed: 1, commands: { get: { calls: 1 } } })
    expect(later.commandsPerSecond).toBeGreaterThanOrEqual(0)
  })

  test('configure changes limits, and refuses what it does not know', () => {
    const test = new TestShard()
    expect(ask(test, { what: 'configure', limits: { watchedKeysMax: 1 } })).toEqual({})
    const watch = test.proxy.watch(1, 'a', 'b')
    test.world.settle()
    expect(test.proxy.reply(watch)).toContain('watched_keys_max')
    expect(ask(test, { what: 'configure', limits: { backlogBytesMax: 1 } })).toMatchObject({
      error: expect.stringContaining('backlogBytesMax'),
    })
    expect(ask(test, { what: 'configure', limits: { watchedKeysMax: -1 } })).toMatchObject({
      error: expect.stringContaining('positive'),
    })
    expect(ask(test, { what: 'nothing' })).toEqual({ error: 'unknown question nothing' })
    expect(ask(test, 5)).toMatchObject({ error: expect.stringContaining('JSON') })
  })
})

describe('a large flush', () => {
  /** Long enough that every slice ends after one slot. */
  const slow = (test: TestShard) => {
    const { world } = test
    const now = world.monotonicMs.bind(world)
    let steps = 0
    world.monotonicMs = () => now() + steps++
  }

  test('is done in slices, and seems to be done at once', () => {
    const test = new TestShard()
    for (let i = 0; i < 10_100; i++) test.proxy.send('SET', `k${i}`, 'v')
    test.world.settle()
    expect(test.run('DBSIZE')).toBe(':10100\r\n')
    slow(test)
    const flush = test.proxy.send('FLUSHALL')
    test.world.settle()
    expect(test.proxy.reply(flush)).toBeUndefined()
    expect(test.run('GET', 'k10099')).toBe('$-1\r\n')
    expect(test.run('SET', 'k10099', 'new')).toBe('+OK\r\n')
    expect(test.shard.db.size).toBeGreaterThan(5000)
    // Whoever wants all slots waits for all.
    expect(test.run('DBSIZE')).toBe(':1\r\n')
    test.world.advance(1)
    expect(test.proxy.reply(flush)).toBe('+OK\r\n')
    expect(test.run('GET', 'k10099')).toBe('$3\r\nnew\r\n')
  })

  test('seems to be done at once to every request of a frame', () => {
    const test = new TestShard()
    for (let i = 0; i < 10_100; i++) test.proxy.send('SET', `k${i}`, 'v')
    test.world.settle()
    slow(test)
    test.proxy.send('FLUSHALL')
    test.world.settle()
    expect(test.shard.db.size).toBeGreaterThan(5000)
    const tag = test.proxy.sendRun(...Array.from({ length: 100 }, (_, i) => ['GET', `k${10_000 + i}`]))
    test.world.settle()
    expect(test.proxy.reply(tag)).toBe('$-1\r\n'.repeat(100))
  })

  test('with a wrong option flushes nothing', () => {
    const test = new TestShard()
    for (let i = 0; i < 10_100; i++) test.proxy.send('SET', `k${i}`, 'v')
    expect(test.run('FLUSHALL', 'NOW')).toBe('-ERR syntax error\r\n')
    expect(test.run('DBSIZE')).toBe(':10100\r\n')
  })
})

test('the average of the times to live is found in time', () => {
  const test = new TestShard()
  for (let i = 0; i < 300; i++)
    test.proxy.send('SET', `k${i}`, 'v', 'PX', `${1_000_000 + (i % 10) * 100_000}`)
  for (let i = 0; i < 300; i++) test.proxy.send('SET', `p${i}`, 'v')
  test.world.advance(100_000)
  const { averageTtlMs } = test.shard.status()
  expect(averageTtlMs).toBeGreaterThan(1_200_000)
  expect(averageTtlMs).toBeLessThan(1_500_000)
  test.run('FLUSHALL')
  test.world.advance(2000)
  expect(test.shard.status().averageTtlMs).toBe(0)
})

/** Counts the names that it shows. */
class CountingKeyspace extends Keyspace {
  shown = 0

  override scan(slot: number, position: number, count: number, visit: (key: string) => void): number {
    return super.scan(slot, position, count, (name) => {
      this.shown++
      visit(name)
    })
  }

  override sampleKeys(...[random, count, volatileOnly, visit]: Parameters<Keyspace['sampleKeys']>): void {
    super.sampleKeys(random, count, volatileOnly, (name, access, expireAtMs) => {
      this.shown++
      visit(name, access, expireAtMs)
    })
  }
}

test('the sample for that average is small where few keys expire', () => {
  let db: CountingKeyspace | undefined
  const newKeyspace = (options: KeyspaceOptions): Keyspace => (db = new CountingKeyspace(options))
  const test = new TestShard({ variations: { newKeyspace } })
  for (let i = 0; i < 20_000; i++) test.proxy.send('SET', `k${i}`, 'v')
  test.proxy.send('SET', 'rare', 'v', 'EX', '1000')
  test.world.advance(3000)
  expect(db?.shown).toBeLessThanOrEqual(3)
})

test('expired keys are deleted, and their deletes are logged', () => {
  const test = new TestShard()
  for (let i = 0; i < 500; i++) test.proxy.send('SET', `k${i}`, 'v', 'PX', '1500')
  test.world.settle()
  const before = test.shard.log.end
  test.world.advance(1600)
  expect(test.run('GET', 'k1')).toBe('$-1\r\n')
  expect(test.shard.db.size).toBe(500)
  test.world.advance(5000)
  expect(test.shard.db.size).toBe(0)
  expect(test.shard.status().expiredKeys).toBe(500)
  expect(test.shard.log.end).toBeGreaterThan(before)
})

function bound(...changes: ConstructorParameters<typeof TestShard>) {
  const test = new TestShard(...changes)
  const { proxy, world, shard } = test
  return { proxy, world, shard, run: (...words: string[]) => test.run(...words) }
}
