/** Clients that wait at a shard: who is served with what, and when, as frames of proxies see it. */
import { describe, expect, test } from 'vitest'
import type { ShardInfo } from '#protocol/frames/admin.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { Blocking } from '#server/blocking.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Touches } from '#server/touches.ts'
import { FaultyDisk } from '#test/faultyDisk.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import type { ProxySide } from './proxySide.ts'
import { TestShard } from './testShard.ts'
import { carry, deliver, pair } from './twoClusters.ts'

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`
const popped = (key: string, value: string): string => `*2\r\n${bulk(key)}${bulk(value)}`
const nobody = '*-1\r\n'
const wrongType = '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'

/** A shard with one client that waits for `k`. */
function waiting(...words: string[]): { shard: TestShard; proxy: ProxySide; tag: number } {
  const shard = new TestShard()
  const { proxy } = shard
  const tag = proxy.block(1, ...(words.length === 0 ? ['BLPOP', 'k', '0'] : words))
  shard.world.settle()
  expect(proxy.reply(tag)).toBeUndefined()
  return { shard, proxy, tag }
}

const info = ({ shard }: TestShard): ShardInfo => shard.status()

describe('a client that waits', () => {
  test('is answered at once when there is something, by the first key that has', () => {
    const shard = new TestShard()
    shard.run('RPUSH', '{t}b', '1', '2')
    shard.run('RPUSH', '{t}c', '3')
    const tag = shard.proxy.block(1, 'BLPOP', '{t}a', '{t}b', '{t}c', '0')
    shard.world.settle()
    expect(shard.proxy.reply(tag)).toBe(popped('{t}b', '1'))
    expect(info(shard).blockedClients).toBe(0)
  })

  test('is served by a push, which counts what it pushed', () => {
    const { shard, proxy, tag } = waiting()
    expect(info(shard)).toMatchObject({ blockedClients: 1, blockedForEver: 1, blockingKeys: 1 })
    expect(shard.run('RPUSH', 'k', 'a', 'b')).toBe(':2\r\n')
    expect(proxy.reply(tag)).toBe(popped('k', 'a'))
    expect(shard.run('LRANGE', 'k', '0', '-1')).toBe(`*1\r\n${bulk('b')}`)
    expect(info(shard)).toMatchObject({ blockedClients: 0, blockingKeys: 0 })
  })

  test('is served before the next command, also of the same pipeline', () => {
    const { shard, proxy, tag } = waiting()
    const run = proxy.sendRun(['RPUSH', 'k', 'a'], ['LPOP', 'k'], ['RPUSH', 'k', 'b'], ['LPOP', 'k'])
    shard.world.settle()
    expect(proxy.reply(tag)).toBe(popped('k', 'a'))
    const replies = proxy.arrived.filter((reply) => reply.tag === run)
    expect(replies.map(({ text }) => text).join('')).toBe(`:1\r\n$-1\r\n:1\r\n${bulk('b')}`)
    expect(replies.reduce((sum, { count }) => sum + count, 0)).toBe(4)
  })

  test('is one of several: they are served in the order in which they came, each with one push', () => {
    const { shard, proxy, tag } = waiting()
    const second = proxy.block(2, 'BRPOP', 'k', '0')
    const third = proxy.block(3, 'BLPOP', 'k', '0')
    shard.run('RPUSH', 'k', 'a', 'b', 'c', 'd')
    expect([tag, second, third].map((each) => proxy.reply(each))).toEqual(
      ['a', 'd', 'b'].map((value) => popped('k', value)),
    )
    expect(shard.run('LLEN', 'k')).toBe(':1\r\n')
  })

  test('is served in the order in which keys got a value, whatever was deleted before', () => {
    const shard = new TestShard()
    const { proxy } = shard
    const moving = proxy.block(1, 'BRPOPLPUSH', '{t}b', '{t}c', '0')
    const popping = proxy.block(2, 'BZPOPMIN', '{t}c', '0')
    shard.run('SADD', '{t}b', 'm')
    proxy.transaction(0, ['DEL', '{t}b'], ['ZADD', '{t}c', '1', 'm'], ['LPUSH', '{t}b', 'v'])
    shard.world.settle()
    expect(proxy.reply(popping)).toBe(`*3\r\n${bulk('{t}c')}${bulk('m')}${bulk('1')}`)
    // It finds no sorted set in its way any more.
    expect(proxy.reply(moving)).toBe(bulk('v'))
  })

  test('stands last when it blocks again', () => {
    const { shard, proxy } = waiting()
    const second = proxy.block(2, 'BLPOP', 'k', '0')
    shard.run('RPUSH', 'k', 'a')
    const again = proxy.block(1, 'BLPOP', 'k', '0')
    shard.run('RPUSH', 'k', 'b')
    expect(proxy.reply(second)).toBe(popped('k', 'b'))
    expect(proxy.reply(again)).toBeUndefined()
  })

  test('waits for several keys, and for none of them any more when one has served it', () => {
    const { shard, proxy, tag } = waiting('BLPOP', '{t}a', '{t}b', '{t}a', '0')
    expect(info(shard).blockingKeys).toBe(2)
    shard.run('RPUSH', '{t}b', '1')
    expect(proxy.reply(tag)).toBe(popped('{t}b', '1'))
    shard.run('RPUSH', '{t}a', '2')
    expect(shard.run('LLEN', '{t}a')).toBe(':1\r\n')
  })

  test('is given the key of a transaction that was pushed to first, not the one that it named first', () => {
    const { shard, proxy, tag } = waiting('BLPOP', '{t}a', '{t}b', '0')
    const exec = proxy.transaction(0, ['RPUSH', '{t}b', '1'], ['RPUSH', '{t}a', '2'])
    shard.world.settle()
    expect(proxy.reply(exec)).toBe('*2\r\n:1\r\n:1\r\n')
    expect(proxy.reply(tag)).toBe(popped('{t}b', '1'))
  })

  test('sees a transaction when it is complete', () => {
    const { shard, proxy, tag } = waiting()
    proxy.transaction(0, ['LPUSH', 'k', 'a'], ['LPUSH', 'k', 'b'], ['LPUSH', 'k', 'c'])
    shard.world.settle()
    expect(proxy.reply(tag)).toBe(popped('k', 'c'))
    const other = proxy.block(1, 'BLPOP', 'gone', '0')
    proxy.transaction(0, ['LPUSH', 'gone', 'a'], ['DEL', 'gone'])
    shard.world.settle()
    expect(proxy.reply(other)).toBeUndefined()
  })

  test('is woken by whatever makes a list', () => {
    const makers: string[][][] = [
      [
        ['RPUSH', '{k}other', 'v'],
        ['RENAME', '{k}other', 'k'],
      ],
      [
        ['RPUSH', '{k}other', 'v'],
        ['RENAMENX', '{k}other', 'k'],
      ],
      [
        ['RPUSH', '{k}other', 'v'],
        ['COPY', '{k}other', 'k'],
      ],
      [
        ['RPUSH', '{k}other', 'v'],
        ['LMOVE', '{k}other', 'k', 'LEFT', 'LEFT'],
      ],
      [
        ['RPUSH', '{k}other', 'v'],
        ['RPOPLPUSH', '{k}other', 'k'],
      ],
      [['LPUSH', 'k', 'v']],
    ]
    for (const requests of makers) {
      const { shard, proxy, tag } = waiting()
      for (const request of requests) shard.run(...request)
      expect(proxy.reply(tag), String(requests)).toBe(popped('k', 'v'))
      expect(shard.run('EXISTS', 'k')).toBe(':0\r\n')
    }
  })

  test('is not woken by a key of another type, and by its end', () => {
    const { shard, proxy, tag } = waiting()
    for (const request of [
      ['SET', 'k', 'v'],
      ['DEL', 'k'],
      ['SADD', 'k', 'v'],
      ['DEL', 'k'],
    ])
      shard.run(...request)
    expect(proxy.reply(tag)).toBeUndefined()
    shard.run('RPUSH', 'k', 'v')
    expect(proxy.reply(tag)).toBe(popped('k', 'v'))
  })

  test('never begins to wait when one of its keys is of another type', () => {
    const shard = new TestShard()
    shard.run('SET', '{t}s', 'v')
    for (const words of [
      ['BLPOP', '{t}a', '{t}s', '0'],
      ['BLMOVE', '{t}s', '{t}a', 'LEFT', 'LEFT', '0'],
      ['BLMPOP', '0', '2', '{t}a', '{t}s', 'LEFT'],
    ]) {
      const tag = shard.proxy.block(1, ...words)
      shard.world.settle()
      expect(shard.proxy.reply(tag)).toBe(wrongType)
    }
    expect(info(shard).blockedClients).toBe(0)
  })

  test('gets its reply in the protocol that it speaks', () => {
    const { shard, proxy } = waiting('BLPOP', 'x', '0.5')
    const tag = proxy.block3(2, 'BLPOP', 'y', '0.5')
    shard.world.advance(600)
    expect(proxy.reply(tag)).toBe('_\r\n')
  })

  test('counts as one call', () => {
    const { shard } = waiting()
    shard.run('RPUSH', 'k', 'v')
    expect(info(shard).commands).toMatchObject({ blpop: { calls: 1, failedCalls: 0 } })
  })
})

describe('several elements', () => {
  test('BLMPOP takes as many as it asked for, from the key that has them', () => {
    const { shard, proxy, tag } = waiting('BLMPOP', '0', '2', '{t}a', '{t}b', 'RIGHT', 'COUNT', '2')
    shard.run('RPUSH', '{t}b', '1', '2', '3')
    expect(proxy.reply(tag)).toBe(`*2\r\n${bulk('{t}b')}*2\r\n${bulk('3')}${bulk('2')}`)
    expect(shard.run('LLEN', '{t}b')).toBe(':1\r\n')
  })

  test('BLMOVE feeds who waits for its destination', () => {
    const { shard, proxy, tag } = waiting('BLMOVE', '{t}a', '{t}b', 'LEFT', 'RIGHT', '0')
    const second = proxy.block(2, 'BRPOPLPUSH', '{t}b', '{t}c', '0')
    const third = proxy.block(3, 'BLPOP', '{t}c', '0')
    shard.run('RPUSH', '{t}a', 'v')
    expect([tag, second, third].map((each) => proxy.reply(each))).toEqual([
      bulk('v'),
      bulk('v'),
      popped('{t}c', 'v'),
    ])
    expect(shard.run('EXISTS', '{t}a', '{t}b', '{t}c')).toBe(':0\r\n')
  })

  test('two BLMOVEs in a circle pass an element on once each', () => {
    const { shard, proxy, tag } = waiting('BLMOVE', '{t}a', '{t}b', 'LEFT', 'RIGHT', '0')
    const back = proxy.block(2, 'BLMOVE', '{t}b', '{t}a', 'LEFT', 'RIGHT', '0')
    shard.run('RPUSH', '{t}a', 'v')
    expect([tag, back].map((each) => proxy.reply(each))).toEqual([bulk('v'), bulk('v')])
    expect(shard.run('LRANGE', '{t}a', '0', '-1')).toBe(`*1\r\n${bulk('v')}`)
  })

  test('a BLMOVE whose destination is of another type fails when it is served, and the next is', () => {
    const { shard, proxy, tag } = waiting('BLMOVE', '{t}a', '{t}s', 'LEFT', 'RIGHT', '0')
    const next = proxy.block(2, 'BLPOP', '{t}a', '0')
    shard.run('SET', '{t}s', 'text')
    shard.run('RPUSH', '{t}a', 'v')
    expect(proxy.reply(tag)).toBe(wrongType)
    expect(proxy.reply(next)).toBe(popped('{t}a', 'v'))
    expect(info(shard).commands).toMatchObject({ blmove: { calls: 1, failedCalls: 1 } })
  })
})

describe('the end of waiting', () => {
  test('comes when the time is over, and not earlier', () => {
    const { shard, proxy, tag } = waiting('BLPOP', 'k', '1.5')
    shard.world.advance(1499)
    expect(proxy.reply(tag)).toBeUndefined()
    shard.world.advance(1)
    expect(proxy.reply(tag)).toBe(nobody)
    shard.run('RPUSH', 'k', 'v')
    expect(shard.run('LLEN', 'k')).toBe(':1\r\n')
  })

  test('comes by the session, with an error or as if the time were over', () => {
    const { shard, proxy, tag } = waiting()
    const other = proxy.block(2, 'BLPOP', 'k', '0')
    proxy.unblock(2, 'UNBLOCKED because of a test')
    proxy.unblock(1)
    proxy.unblock(3)
    shard.world.settle()
    expect(proxy.reply(tag)).toBe(nobody)
    expect(proxy.reply(other)).toBe('-UNBLOCKED because of a test\r\n')
    shard.run('RPUSH', 'k', 'v')
    expect(shard.run('LLEN', 'k')).toBe(':1\r\n')
  })

  test('comes when its link breaks: nobody is given what others wait for', () => {
    const { shard, proxy } = waiting()
    const other = shard.connect()
    const tag = other.block(1, 'BLPOP', 'k', '5')
    shard.world.settle()
    expect(info(shard)).toMatchObject({ blockedClients: 2, blockedForEver: 1 })
    proxy.connection.destroy()
    shard.world.settle()
    expect(info(shard).blockedClients).toBe(1)
    other.send('RPUSH', 'k', 'v')
    shard.world.settle()
    expect(other.reply(tag)).toBe(popped('k', 'v'))
  })

  test('may be asked for whatever the link; who was served is told of nothing else', () => {
    const { shard, proxy, tag } = waiting()
    const other = shard.connect()
    shard.world.settle()
    const questions = [
      other.ask({ what: 'unblock', session: 1, error: 'UNBLOCKED x' }),
      other.ask({ what: 'unblock', session: 1, error: '' }),
      other.ask({ what: 'unblock', session: 'x', error: '' }),
    ]
    shard.world.settle()
    expect(proxy.reply(tag)).toBe('-UNBLOCKED x\r\n')
    expect(questions.map((question) => other.adminAnswers.get(question))).toEqual([
      { unblocked: true },
      { unblocked: false },
      { error: 'a session and an error text are needed' },
    ])
    expect(proxy.arrived.filter((reply) => reply.tag === tag)).toHaveLength(1)
  })

  test('leaves no timers behind', () => {
    const shard = new TestShard({ database: { persistence: 'none' } })
    const { timerCount } = shard.world
    shard.proxy.block(1, 'BLPOP', 'k', '100')
    shard.proxy.block(2, 'BLPOP', 'k', '100')
    shard.world.settle()
    expect(shard.world.timerCount).toBe(timerCount + 2)
    shard.proxy.unblock(1)
    shard.run('RPUSH', 'k', 'v')
    expect(shard.world.timerCount).toBe(timerCount)
  })

  test('comes late for times that no timer takes', () => {
    const world = new MemoryWorld()
    const touches = new Touches(new Keyspace({ origin: 7, ranges: [] }))
    const blocking = new Blocking(() => 'none', touches, { clock: world, timers: world }, 1)
    const timeoutMs = 2 ** 33
    let over = 0
    blocking.add({
      waiting: { keys: ['k'], type: 'list', timeoutMs, serve: () => false },
      serve: () => false,
      timeOut: () => over++,
    })
    world.advance(timeoutMs - 1)
    expect(over).toBe(0)
    world.advance(1)
    expect(over).toBe(1)
    expect(world.timerCount).toBe(0)
  })
})

describe('a shard that has clients waiting', () => {
  test('lets no more wait than it may, but serves who finds something', () => {
    const shard = new TestShard({ limits: { blockedClientsMax: 2 } })
    const tags = [1, 2, 3].map((session) => shard.proxy.block(session, 'BLPOP', 'k', '0'))
    shard.world.settle()
    expect(tags.map((tag) => shard.proxy.reply(tag))).toEqual([
      undefined,
      undefined,
      '-ERR 2 clients are blocked at this shard already, at most 2 may be (blocked_clients_max)\r\n',
    ])
    shard.run('RPUSH', 'other', 'v')
    const found = shard.proxy.block(4, 'BLPOP', 'other', '0')
    shard.proxy.ask({ what: 'configure', limits: { blockedClientsMax: 3 } })
    shard.proxy.block(5, 'BLPOP', 'k', '0')
    shard.world.settle()
    expect(shard.proxy.reply(found)).toBe(popped('other', 'v'))
    expect(info(shard).blockedClients).toBe(3)
  })

  test('answers a transaction at once, and a request that came in a frame for others', () => {
    const { shard } = waiting()
    const exec = shard.proxy.transaction(
      0,
      ['BLPOP', 'k', '0'],
      ['BLMOVE', 'k', '{k}2', 'LEFT', 'LEFT', '0'],
      ['BLMPOP', '0', '1', 'k', 'LEFT'],
    )
    shard.world.settle()
    expect(shard.proxy.reply(exec)).toBe(`*3\r\n${nobody}$-1\r\n${nobody}`)
    expect(shard.run('BRPOP', 'k', '0')).toBe(nobody)
  })

  test('counts what it serves as a write: a watch is touched, the log has it', () => {
    const { shard, proxy } = waiting('BLMOVE', '{t}a', '{t}b', 'LEFT', 'LEFT', '0')
    proxy.watch(7, '{t}b')
    shard.run('RPUSH', '{t}a', 'v')
    const exec = proxy.transaction(7, ['LLEN', '{t}b'])
    shard.world.settle()
    expect(proxy.reply(exec)).toBe('*-1\r\n')
    const restarted = shard.restart()
    expect(restarted.run('EXISTS', '{t}a')).toBe(':0\r\n')
    expect(restarted.run('LLEN', '{t}b')).toBe(':1\r\n')
  })

  test('says that an element was taken only when that is durable', () => {
    const disk = new FaultyDisk()
    const shard = new TestShard({ disk, database: { persistence: 'always' } })
    const { proxy, world } = shard
    const tag = proxy.block(1, 'BLPOP', 'k', '0')
    world.settle()
    disk.slow = true
    const push = proxy.send('RPUSH', 'k', 'v')
    world.settle()
    expect([push, tag].map((each) => proxy.reply(each))).toEqual([undefined, undefined])
    disk.finishSyncs()
    world.settle()
    expect([push, tag].map((each) => proxy.reply(each))).toEqual([':1\r\n', popped('k', 'v')])
  })

  test('refuses to serve while writes are refused, and says why', () => {
    const { a, b, connect } = pair()
    connect()
    const tag = b.proxy.block(1, 'BLPOP', 'k', '0')
    b.world.settle()
    b.shard.setClock({ state: 'gated', offsetMs: 5000, source: 'test', degradedMs: 100, gateMs: 1000 })
    a.run('RPUSH', 'k', 'v')
    carry(a, b, 500)
    expect(b.proxy.reply(tag)).toContain('-CLOCKSKEW')
    expect(b.run('LLEN', 'k')).toBe(':1\r\n')
  })

  test('takes nothing out of a slot that a running flush has not reached yet', () => {
    const { a, b, connect } = pair({ database: { persistence: 'none' } })
    connect()
    const names = Array.from({ length: 11_000 }, (_, i) => `k${i}`)
    for (const name of names) b.proxy.send('SET', name, 'v')
    carry(a, b, 500)
    const last = names.reduce((one, other) => (slotOfKey(one) > slotOfKey(other) ? one : other))
    const tag = b.proxy.block(1, 'BLPOP', `{${last}}list`, '0')
    b.world.settle()
    // Work takes so long that a slice ends after each slot.
    const { monotonicMs } = b.world
    b.world.monotonicMs = function (this: typeof b.world) {
      this.spend(1)
      return monotonicMs.call(this)
    }
    const flush = b.proxy.send('FLUSHALL')
    a.proxy.send('RPUSH', `{${last}}list`, 'v')
    b.world.settle()
    deliver(a, b)
    expect(b.proxy.reply(flush)).toBeUndefined()
    expect(b.proxy.reply(tag)).toBeUndefined()
    expect(b.shard.status().blockedClients).toBe(1)
    expect(b.run('EXISTS', `{${last}}list`)).toBe(':0\r\n')
  })

  test('says that an element may not be durably taken when the log can not be written', () => {
    const disk = new FaultyDisk()
    const shard = new TestShard({ disk })
    shard.run('SET', 'k0', 'v')
    const tag = shard.proxy.block(1, 'BLPOP', 'k', '0')
    shard.world.settle()
    disk.failAt = disk.calls
    const misconf = /^-MISCONF .*this write is not durable yet and may be lost\r\n$/
    expect(shard.run('RPUSH', 'k', 'v')).toMatch(misconf)
    expect(shard.proxy.reply(tag)).toMatch(misconf)
  })
})

describe('two clusters', () => {
  test('a push of the other one wakes a client, and what it takes is gone at both', () => {
    const { a, b, connect } = pair()
    connect()
    const tag = b.proxy.block(1, 'BLPOP', 'k', '0')
    b.world.settle()
    a.run('RPUSH', 'k', 'from a', 'too')
    carry(a, b, 500)
    expect(b.proxy.reply(tag)).toBe(popped('k', 'from a'))
    expect(a.run('LRANGE', 'k', '0', '-1')).toBe(`*1\r\n${bulk('too')}`)
    expect(b.run('LRANGE', 'k', '0', '-1')).toBe(`*1\r\n${bulk('too')}`)
  })

  test('a chain goes on across clusters', () => {
    const { a, b, connect } = pair()
    connect()
    const moved = b.proxy.block(1, 'BLMOVE', '{t}in', '{t}out', 'LEFT', 'RIGHT', '0')
    const tag = a.proxy.block(1, 'BLPOP', '{t}out', '0')
    a.run('RPUSH', '{t}in', 'v')
    carry(a, b, 1000)
    expect(b.proxy.reply(moved)).toBe(bulk('v'))
    expect(a.proxy.reply(tag)).toBe(popped('{t}out', 'v'))
    expect(b.run('EXISTS', '{t}in', '{t}out')).toBe(':0\r\n')
  })

  test('a client of each is given an element that was pushed in one', () => {
    const { a, b, connect } = pair()
    connect()
    const atA = a.proxy.block(1, 'BLPOP', 'k', '0')
    const atB = b.proxy.block(1, 'BLPOP', 'k', '0')
    a.world.settle()
    a.run('RPUSH', 'k', 'v')
    carry(a, b, 500)
    expect(a.proxy.reply(atA)).toBe(popped('k', 'v'))
    // The pop of A came along with the push, or before B could serve it.
    expect([undefined, popped('k', 'v')]).toContain(b.proxy.reply(atB))
    expect(b.run('EXISTS', 'k')).toBe(':0\r\n')
  })

  test('a state that brings a list wakes, too', () => {
    const { a, b, connect } = pair({ limits: { backlogBytesMax: 64 * 1024 } })
    a.run('RPUSH', 'k', 'v')
    for (let i = 0; i < 200; i++) a.run('SET', `k${i}`, 'x'.repeat(1000))
    const tag = b.proxy.block(1, 'BLPOP', 'k', '0')
    connect()
    carry(a, b, 2000)
    expect(b.shard.status().sync.mergedSlotStates).toBeGreaterThan(0)
    expect(b.proxy.reply(tag)).toBe(popped('k', 'v'))
    expect(a.run('EXISTS', 'k')).toBe(':0\r\n')
  })
})
