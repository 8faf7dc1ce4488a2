/** CRDT.WAIT and WAIT as clients see them: proxies, shards, and the shard of another cluster, in memory. */
import { describe, expect, test } from 'vitest'
import { members } from '#test/shard/twoClusters.ts'
import { BlockingWorld } from './blockingWorld.ts'
import { linked } from './linkedWorld.ts'
import { encode } from './proxyWorld.ts'

/** Keys of the first and the second of two shards. */
const [low, high] = ['bar', 'foo']
const nobody = ':0\r\n'
const one = ':1\r\n'

describe('CRDT.WAIT', () => {
  test('answers when the other cluster has applied what was written, and not before', () => {
    const { world, peers, carry } = linked()
    const client = world.client()
    client.call('SET', 'k', 'v')
    expect(client.call('CRDT.WAIT', '1', '0')).toBe('')
    expect(peers[0]?.run('GET', 'k')).toBe('$-1\r\n')
    carry(50)
    expect(client.read()).toBe(one)
    expect(peers[0]?.run('GET', 'k')).toBe('$1\r\nv\r\n')
    expect(world.blockedClients).toBe(0)
  })

  test('takes no longer than a round trip and the syncs', () => {
    const { world, carry } = linked()
    const client = world.client()
    client.write(encode(['SET', 'k', 'v']) + encode(['CRDT.WAIT', '1', '0']))
    carry(10)
    expect(client.read()).toBe(`+OK\r\n${one}`)
  })

  test('ends at its time with what is so then', () => {
    const { world, carry } = linked()
    const client = world.client()
    client.call('SET', 'k', 'v')
    expect(client.call('CRDT.WAIT', '1', '500')).toBe('')
    carry(480, () => false)
    expect(client.read()).toBe('')
    carry(40, () => false)
    expect(client.read()).toBe(nobody)
    expect(client.call('CRDT.WAIT', '2', '500')).toBe('')
    carry(600)
    expect(client.read()).toBe(one)
  })

  test('says at once what is so when that is enough', () => {
    const { world, carry } = linked()
    const client = world.client()
    client.call('SET', 'k', 'v')
    expect(client.call('CRDT.WAIT', '0', '0')).toBe(nobody)
    expect(client.call('CRDT.WAIT', '-1', '0')).toBe(nobody)
    carry(100)
    expect(client.call('CRDT.WAIT', '0', '0')).toBe(one)
    expect(client.call('CRDT.WAIT', '1', '0')).toBe(one)
  })

  test('of a client that has written nothing: every other cluster has all of that', () => {
    const { world } = linked()
    const other = world.client()
    other.call('SET', 'k', 'v')
    const client = world.client()
    client.call('GET', 'k')
    expect(client.call('CRDT.WAIT', '2', '0')).toBe(':2\r\n')
    expect(client.call('CRDT.WAIT', '3', '100')).toBe('')
    world.world.advance(100)
    expect(client.read()).toBe(':2\r\n')
  })

  test.each([
    ['by MSET and other commands of many keys', [['MSET', low, '1', high, '2']]],
    [
      'one by one',
      [
        ['SET', low, '1'],
        ['SET', high, '2'],
      ],
    ],
    ['in a transaction', [['MULTI'], ['SET', low, '1'], ['EXEC'], ['SET', high, '2']]],
    [
      'by what blocks',
      [
        ['SET', low, '1'],
        ['RPUSH', `{${high}}l`, '2'],
        ['BLPOP', `{${high}}l`, '0'],
      ],
    ],
    [
      'typed as a line',
      [
        ['SET', low, '1'],
        ['inline', high],
      ],
    ],
    ['by FLUSHALL', [['FLUSHALL']]],
  ])('counts who has the writes of all shards: %s', (_, commands) => {
    const { world, carry } = linked(2)
    world.client().call('MSET', low, '0', high, '0')
    carry(300)
    const client = world.client()
    for (const command of commands) {
      if (command[0] === 'inline') client.raw(`SET ${command[1]} v\r\n`)
      else client.call(...command)
    }
    client.call('CRDT.WAIT', '1', '0')
    carry(300, (shard) => shard === 0)
    expect(client.read()).toBe('')
    carry(300)
    expect(client.read()).toBe(one)
  })

  test('asks only the shards that the client has written to', () => {
    const { world, carry } = linked(2)
    const other = world.client()
    other.call('SET', high, 'v')
    const client = world.client()
    client.call('SET', low, 'v')
    client.call('GET', high)
    client.call('CRDT.WAIT', '1', '0')
    carry(100, (shard) => shard === 0)
    expect(client.read()).toBe(one)
  })

  test('waits for what was there when it was asked first, however much others write', () => {
    const { world, carry } = linked()
    const client = world.client()
    client.call('SET', 'k', 'v')
    expect(client.call('CRDT.WAIT', '0', '0')).toBe(nobody)
    carry(100)
    world.client().call('SET', 'other', 'v')
    expect(client.call('CRDT.WAIT', '1', '0')).toBe(one)
    client.call('SET', 'k', 'w')
    expect(client.call('CRDT.WAIT', '1', '0')).toBe('')
    carry(100)
    expect(client.read()).toBe(one)
  })

  test('is about everything before it in a pipeline, what blocked there included', () => {
    const { world, carry } = linked()
    const client = world.client()
    client.write(encode(['BLPOP', 'q', '0']) + encode(['CRDT.WAIT', '1', '0']) + encode(['GET', 'k']))
    carry(100)
    expect(client.read()).toBe('')
    world.client().call('RPUSH', 'q', 'v')
    carry(100)
    expect(client.read()).toBe(`*2\r\n$1\r\nq\r\n$1\r\nv\r\n${one}$-1\r\n`)
  })

  test('in a transaction tells what is so, without waiting', () => {
    const { world, carry } = linked()
    const client = world.client()
    const transaction = [['MULTI'], ['SET', 'k', 'v'], ['CRDT.WAIT', '1', '0'], ['EXEC']].map(encode).join('')
    expect(client.raw(transaction)).toBe(`+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n${nobody}`)
    carry(100)
    expect(client.raw([['MULTI'], ['CRDT.WAIT', '1', '0'], ['EXEC']].map(encode).join(''))).toBe(
      `+OK\r\n+QUEUED\r\n*1\r\n${one}`,
    )
    const wrong = [['MULTI'], ['CRDT.WAIT', 'x', '0'], ['EXEC']].map(encode).join('')
    expect(client.raw(wrong)).toContain('*1\r\n-ERR value is not an integer or out of range\r\n')
  })

  test('is refused once when a shard was started anew since the write: it may not have kept it', () => {
    const { world } = linked()
    const client = world.client()
    client.call('SET', 'k', 'v')
    world.restart(0)
    expect(client.call('CRDT.WAIT', '1', '0')).toContain('-UNAVAILABLE shard 0 was started anew')
    expect(client.call('CRDT.WAIT', '1', '0')).toBe(':2\r\n')
  })

  test('and also when the client has written to the new one before it asks', () => {
    const { world, carry } = linked(2)
    const client = world.client()
    client.call('MSET', low, '1', high, '2')
    world.restart(0)
    client.call('MSET', low, '3', high, '4')
    expect(client.call('CRDT.WAIT', '1', '0')).toContain('-UNAVAILABLE shard 0 was started anew')
    expect(client.call('CRDT.WAIT', '1', '0')).toBe('')
    carry(100, (shard) => shard === 1)
    expect(client.read()).toBe('')
    client.connection.destroy()
  })

  test('ends with an error when a shard goes away', () => {
    const { world } = linked()
    const client = world.client()
    client.call('SET', 'k', 'v')
    client.call('CRDT.WAIT', '1', '0')
    for (const link of world.links) link.destroy()
    expect(client.read()).toContain('-UNAVAILABLE shard 0 went away')
    expect(client.call('CRDT.WAIT', '1', '0')).toContain('-UNAVAILABLE shard 0 is restarting')
  })

  test('is seen among the blocked clients, and ended by CLIENT UNBLOCK at any worker', () => {
    const { world } = linked(2)
    const client = world.client()
    const id = /:(\d+)/.exec(client.call('CLIENT', 'ID'))?.[1] ?? ''
    client.call('MSET', low, '1', high, '2')
    const other = world.client(1)
    for (const [reason, reply] of [
      ['TIMEOUT', nobody],
      ['ERROR', '-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n'],
    ] as const) {
      expect(client.call('CRDT.WAIT', '1', reason === 'ERROR' ? '0' : '9000')).toBe('')
      const info = other.call('INFO', 'clients')
      expect(info).toContain('blocked_clients:1\r\n')
      expect(info).toContain(`clients_in_timeout_table:${reason === 'ERROR' ? 0 : 1}\r\n`)
      expect(world.client().call('CLIENT', 'LIST')).toMatch(new RegExp(`id=${id} .*flags=b `))
      expect(other.call('CLIENT', 'UNBLOCK', id, reason)).toBe(one)
      expect(client.read()).toBe(reply)
      expect(other.call('INFO', 'clients')).toContain('blocked_clients:0\r\n')
      expect(other.call('CLIENT', 'UNBLOCK', id)).toBe(nobody)
    }
  })

  test('ends with its client, in whatever way that goes', () => {
    const { world, carry } = linked()
    const killer = world.client()
    const waiting = [world.client(), world.client(), world.client()] as const
    const ids = waiting.map((client) => /:(\d+)/.exec(client.call('CLIENT', 'ID'))?.[1] ?? '')
    for (const client of waiting) {
      client.call('SET', 'k', 'v')
      client.call('CRDT.WAIT', '1', '0')
    }
    expect(killer.call('CLIENT', 'KILL', 'ID', ids[0] ?? '')).toBe(one)
    waiting[1].connection.destroy()
    waiting[2].end()
    expect(waiting[2].read()).toBe(nobody)
    expect(killer.call('INFO', 'clients')).toContain('blocked_clients:0\r\n')
    carry(100)
    expect(waiting[2].isClosed).toBe(true)
    expect(killer.call('PING')).toBe('+PONG\r\n')
  })

  test('takes the limit of blocked clients into account', () => {
    const world = new BlockingWorld({}, { limits: { blockedClientsMax: 1 }, database: { members } })
    const [first, second] = [world.client(), world.client()]
    first.call('SET', 'k', 'v')
    second.call('SET', 'k', 'v')
    expect(first.call('CRDT.WAIT', '1', '0')).toBe('')
    expect(second.call('CRDT.WAIT', '1', '0')).toContain('(blocked_clients_max)')
    expect(second.call('BLPOP', 'q', '0')).toContain('(blocked_clients_max)')
  })

  test('follows members that come and go', () => {
    const { world } = linked()
    const client = world.client()
    expect(client.call('CRDT.WAIT', '9', '1000')).toBe('')
    const { shard, options } = world.shard
    shard.configure({ ...options, database: { ...options.database, members } })
    world.world.advance(1000)
    expect(client.read()).toBe(one)
    expect(client.call('CRDT.WAIT', '2', '0')).toBe('')
    shard.configure(options)
    expect(client.read()).toBe(':2\r\n')
  })

  test('in a longer wait than timers can be goes on', () => {
    const { world } = linked()
    const client = world.client()
    const timeoutMs = 3 * 2 ** 31
    expect(client.call('CRDT.WAIT', '9', `${timeoutMs}`)).toBe('')
    world.world.advance(2)
    expect(client.read()).toBe('')
  })
})

describe('wrong arguments and WAIT', () => {
  test.each(['CRDT.WAIT', 'WAIT', 'wait'])('%s says what Redis says of them', (name) => {
    const client = new BlockingWorld().client()
    const texts: [string[], string][] = [
      [[], `ERR wrong number of arguments for '${name.toLowerCase()}' command`],
      [['1'], `ERR wrong number of arguments for '${name.toLowerCase()}' command`],
      [['a', '1'], 'ERR value is not an integer or out of range'],
      [['a', '-1'], 'ERR value is not an integer or out of range'],
      [['99999999999999999999', '1'], 'ERR value is not an integer or out of range'],
      [['0', 'a'], 'ERR timeout is not an integer or out of range'],
      [['0', '1.5'], 'ERR timeout is not an integer or out of range'],
      [['0', '-1'], 'ERR timeout is negative'],
    ]
    for (const [args, text] of texts) expect(client.call(name, ...args)).toBe(`-${text}\r\n`)
    expect(client.call(name, '0', '0')).toBe(nobody)
    expect(client.call(name, '-1', '9223372036854775807')).toBe(nobody)
  })

  test('WAIT is about replicas, of which there are none', () => {
    const { world, carry } = linked()
    const client = world.client()
    client.call('SET', 'k', 'v')
    carry(100)
    expect(client.call('WAIT', '1', '100')).toBe('')
    world.world.advance(99)
    expect(client.read()).toBe('')
    world.world.advance(1)
    expect(client.read()).toBe(nobody)
    expect(client.raw([['MULTI'], ['WAIT', '1', '0'], ['EXEC']].map(encode).join(''))).toContain(
      `*1\r\n${nobody}`,
    )
  })
})
