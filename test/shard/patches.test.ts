/** Changes within long strings, between two clusters: little is sent, and what can't be applied comes as state. */
import { describe, expect, test } from 'vitest'
import { TestShard } from './testShard.ts'
import { carry, pair } from './twoClusters.ts'

const long = 100_000
const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`

/** Both have the value, and are connected. */
function withLongValue(lengthBytes = long) {
  const two = pair()
  two.connect()
  two.a.run('SETRANGE', 'k', String(lengthBytes - 1), 'x')
  carry(two.a, two.b, 500)
  expect(two.b.run('STRLEN', 'k')).toBe(`:${lengthBytes}\r\n`)
  return two
}

/** Bytes that the two send each other until the peer shows the same. */
function bytesToCarry(from: TestShard, command: string[]): number {
  from.run(...command)
  from.world.advance(20)
  return from.proxy.channelMessages.reduce((sum, { bytes }) => sum + bytes.length, 0)
}

describe('a change in a long value', () => {
  test.each([
    ['SETBIT', ['SETBIT', 'k', '12345', '1']],
    ['SETRANGE', ['SETRANGE', 'k', '500', '0123456789']],
    ['APPEND', ['APPEND', 'k', '0123456789']],
    ['BITFIELD', ['BITFIELD', 'k', 'SET', 'u8', '0', '7', 'INCRBY', 'i16', '#40000', '1']],
  ])('%s is some tens of bytes to the peer and in the log', (_, command) => {
    const { a, b } = withLongValue()
    const logged = a.shard.log.end
    const carried = bytesToCarry(a, command)
    expect(a.shard.log.end - logged).toBeLessThan(120)
    expect(carried).toBeLessThan(400)
    carry(a, b, 500)
    expect(b.run('GET', 'k')).toBe(a.run('GET', 'k'))
  })

  test('is there after a restart from the log', () => {
    const { a } = withLongValue()
    a.run('SETRANGE', 'k', '10', 'patched')
    a.run('APPEND', 'k', 'more')
    a.world.advance(1500)
    const again = new TestShard({
      disk: a.disk.afterKill(),
      world: a.world,
      initialised: true,
      database: a.options.database,
      limits: a.options.limits,
    })
    expect(again.run('GETRANGE', 'k', '10', '16')).toBe(bulk('patched'))
    expect(again.run('GETRANGE', 'k', String(long), '-1')).toBe(bulk('more'))
  })

  test('of what the peer has overwritten is held, and comes with the state of the slot', () => {
    const { a, b } = withLongValue()
    b.run('SET', 'k', 'other')
    a.world.advance(2)
    a.run('APPEND', 'k', '!')
    a.run('SET', '{k}next', 'waits behind it')
    const { gate } = b.shard.replication
    const before = { holds: gate.holds, duplicates: gate.duplicates }
    carry(a, b, 2000)
    expect(gate.holds).toBeGreaterThan(before.holds)
    expect(gate.duplicates).toBeGreaterThan(before.duplicates)
    expect(gate.heldCount).toBe(0)
    for (const shard of [a, b]) {
      expect(shard.run('STRLEN', 'k')).toBe(`:${long + 1}\r\n`)
      expect(shard.run('GET', '{k}next')).toBe(bulk('waits behind it'))
    }
    // The conflict is over with the next write, which goes as a patch again after it.
    b.run('APPEND', 'k', '?')
    carry(a, b, 500)
    expect(bytesToCarry(b, ['APPEND', 'k', '?'])).toBeLessThan(400)
    carry(a, b, 500)
    expect(a.run('GETRANGE', 'k', String(long - 1), '-1')).toBe(bulk('x!??'))
  })

  test('that loses against the peer is nowhere in the end', () => {
    const { a, b } = withLongValue()
    a.run('APPEND', 'k', '!')
    a.world.advance(2)
    b.run('SET', 'k', 'other')
    carry(a, b, 2000)
    for (const shard of [a, b]) expect(shard.run('GET', 'k')).toBe(bulk('other'))
  })

  test('goes on while both clusters make them all the time, and they agree afterwards', () => {
    const { a, b } = withLongValue(20_000)
    for (let round = 0; round < 40; round++) {
      a.run('SETBIT', 'k', String(round), '1')
      b.run('SETBIT', 'k', String(1000 + round), '1')
      a.run('INCR', '{k}a')
      b.run('INCR', '{k}b')
      carry(a, b, 30)
    }
    // What each has done beside it is not held up for ever meanwhile.
    expect(Number(b.run('GET', '{k}a').split('\r\n')[1])).toBeGreaterThan(0)
    carry(a, b, 4000)
    expect(a.shard.replication.gate.heldCount + b.shard.replication.gate.heldCount).toBe(0)
    expect(b.run('GET', 'k') === a.run('GET', 'k')).toBe(true)
    for (const shard of [a, b])
      expect(shard.run('MGET', '{k}a', '{k}b')).toBe(`*2\r\n${bulk('40')}${bulk('40')}`)
  })

  test('trips a WATCH, here and at the peer', () => {
    const { a, b } = withLongValue()
    for (const [shard, tag] of [
      [a, 7],
      [b, 8],
    ] as const)
      shard.proxy.watch(tag, 'k')
    a.world.settle()
    a.run('SETBIT', 'k', '3', '1')
    carry(a, b, 500)
    for (const [shard, tag] of [
      [a, 7],
      [b, 8],
    ] as const) {
      const asked = shard.proxy.transaction(tag, ['SET', 'k', 'never'])
      shard.world.settle()
      expect(shard.proxy.reply(asked)).toBe('*-1\r\n')
    }
  })
})
