/** A database without sharding: one shard, commands and transactions over several slots, one record each. */
import { describe, expect, test } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { TestShard } from './testShard.ts'
import { carry, deliver, pair } from './twoClusters.ts'

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`
const spanning = { database: { sharding: false } }

describe('a peer of a database without sharding', () => {
  test('gets a transaction over several slots in one step', () => {
    const { a, b, connect } = pair(spanning)
    connect()
    const before = b.shard.replication.gate.applied
    a.proxy.transaction(0, ['SET', 'x', '1'], ['RPUSH', 'y', 'v'], ['SET', 'x', '2'], ['HSET', 'z', 'f', 'v'])
    carry(a, b, 500)
    expect(new Set(['x', 'y', 'z'].map(slotOfKey)).size).toBe(3)
    expect(b.shard.replication.gate.applied - before).toBe(1)
    expect(b.run('MGET', 'x', 'none')).toBe(`*2\r\n${bulk('2')}$-1\r\n`)
    expect(b.run('EXISTS', 'y', 'z')).toBe(':2\r\n')
  })

  test('gets what one command writes to several slots in one step', () => {
    const { a, b, connect } = pair(spanning)
    connect()
    a.run('RPUSH', 'from', 'v', 'w')
    a.run('SADD', 's1', 'a', 'b')
    carry(a, b, 500)
    const steps = () => b.shard.replication.gate.applied
    for (const [command, ...keys] of [
      [['LMOVE', 'from', 'to', 'LEFT', 'RIGHT'], 'from', 'to'],
      [['RENAME', 'to', 'renamed'], 'renamed'],
      [['SMOVE', 's1', 's2', 'a'], 's1', 's2'],
      [['MSET', 'm1', '1', 'm2', '2', 'm3', '3'], 'm1', 'm2', 'm3'],
      [['DEL', 'm1', 'm2']],
    ] as const) {
      const before = steps()
      a.run(...command)
      carry(a, b, 500)
      expect(steps() - before, command.join(' ')).toBe(1)
      for (const key of keys) expect(b.run('EXISTS', key), `${command.join(' ')}: ${key}`).toBe(':1\r\n')
    }
    expect(b.run('EXISTS', 'm1', 'm2', 'to')).toBe(':0\r\n')
  })

  test('serves a client that waits for keys in several slots', () => {
    const { a, b, connect } = pair(spanning)
    connect()
    const popped = b.proxy.block(1, 'BLPOP', 'k1', 'k2', '0')
    const moved = b.proxy.block(2, 'BLMOVE', 'in', 'out', 'LEFT', 'LEFT', '0')
    b.world.settle()
    a.proxy.transaction(0, ['RPUSH', 'k2', 'v'], ['RPUSH', 'in', 'w'])
    carry(a, b, 500)
    expect(b.proxy.reply(popped)).toBe(`*2\r\n${bulk('k2')}${bulk('v')}`)
    expect(b.proxy.reply(moved)).toBe(bulk('w'))
    expect(a.run('LRANGE', 'out', '0', '-1')).toBe(`*1\r\n${bulk('w')}`)
    expect(a.run('EXISTS', 'in', 'k2')).toBe(':0\r\n')
  })

  test('keeps all of a transaction over a restart of both', () => {
    const shard = new TestShard(spanning)
    shard.proxy.transaction(0, ['INCRBY', 'near', '5'], ['DECRBY', 'far', '5'])
    shard.world.advance(1500)
    const again = new TestShard({ ...spanning, disk: shard.disk.afterKill() })
    expect(again.run('MGET', 'near', 'far')).toBe(`*2\r\n${bulk('5')}${bulk('-5')}`)
  })
})

describe('FLUSHALL in slices without sharding', () => {
  /** Work takes so long that a slice ends after each slot. */
  function slow(test: TestShard): void {
    const { monotonicMs } = test.world
    test.world.monotonicMs = function (this: typeof test.world) {
      this.spend(1)
      return monotonicMs.call(this)
    }
  }

  const names = Array.from({ length: 10_100 }, (_, i) => `k${i}`)
  const last = names.reduce((one, other) => (slotOfKey(one) > slotOfKey(other) ? one : other))
  const first = names.reduce((one, other) => (slotOfKey(one) < slotOfKey(other) ? one : other))

  function filled(): TestShard {
    const shard = new TestShard({ database: { sharding: false, persistence: 'none' } })
    for (const name of names) shard.proxy.send('SET', name, 'v')
    shard.world.settle()
    return shard
  }

  test('comes before every slot of a command', () => {
    const shard = filled()
    slow(shard)
    shard.proxy.send('FLUSHALL')
    expect(shard.run('MSETNX', first, '1', last, '2')).toBe(':1\r\n')
    shard.world.advance(20_000)
    expect(shard.run('MGET', first, last)).toBe(`*2\r\n${bulk('1')}${bulk('2')}`)
    expect(shard.run('DBSIZE')).toBe(':2\r\n')
  })

  test('comes before what a client that waits is given', () => {
    const { a, b, connect } = pair({ database: { sharding: false, persistence: 'none' } })
    connect()
    for (const name of names) b.proxy.send('SET', name, 'v')
    carry(a, b, 500)
    const moved = b.proxy.block(1, 'BLMOVE', `{${first}}list`, last, 'LEFT', 'RIGHT', '0')
    b.world.settle()
    slow(b)
    b.proxy.send('FLUSHALL')
    b.world.settle()
    a.proxy.send('RPUSH', `{${first}}list`, 'v')
    deliver(a, b)
    carry(a, b, 20_000)
    expect(b.proxy.reply(moved)).toBe(bulk('v'))
    expect(b.run('LRANGE', last, '0', '-1')).toBe(`*1\r\n${bulk('v')}`)
  })
})
