import { describe, expect, it } from 'vitest'
import { FrameKind } from '#protocol/frames/frame.ts'
import { encode, ProxyWorld } from './proxyWorld.ts'

describe('MULTI and EXEC', () => {
  it('reach the shard as one frame', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const client = world.client()
    expect(client.call('MULTI')).toBe('+OK\r\n')
    expect(client.call('SET', '{t}a', '1')).toBe('+QUEUED\r\n')
    expect(client.raw('incr {t}a\r\n')).toBe('+QUEUED\r\n')
    expect(world.shards.flatMap(({ seen }) => seen)).toEqual([])
    expect(client.call('EXEC')).toBe('*2\r\n+OK\r\n:2\r\n')
    const [frame, ...others] = world.shards.flatMap(({ seen }) => seen)
    expect(others).toEqual([])
    expect(frame).toMatchObject({
      kind: FrameKind.transaction,
      isWatching: false,
      commands: [
        ['SET', '{t}a', '1'],
        ['incr', '{t}a'],
      ],
    })
  })

  it('may be pipelined, and an empty one is an empty array', () => {
    const client = new ProxyWorld().client()
    const requests = [['MULTI'], ['SET', 'a', '1'], ['GET', 'a'], ['EXEC'], ['MULTI'], ['EXEC'], ['GET', 'a']]
    expect(client.raw(requests.map(encode).join(''))).toBe(
      '+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$1\r\n1\r\n+OK\r\n*0\r\n$1\r\n1\r\n',
    )
  })

  it('run the commands of the proxy at their places', () => {
    const world = new ProxyWorld()
    world.shard.info = () => ({ runId: 'r' })
    const client = world.client()
    client.call('MULTI')
    client.call('PING')
    client.call('SET', 'a', '1')
    client.call('ECHO', 'hi')
    client.call('SELECT', '7')
    client.call('GET', 'a')
    client.call('UNWATCH')
    expect(client.call('EXEC')).toBe(
      '*6\r\n+PONG\r\n+OK\r\n$2\r\nhi\r\n-ERR DB index is out of range\r\n$1\r\n1\r\n+OK\r\n',
    )
    expect(client.call('PING')).toBe('+PONG\r\n')
  })

  it('run commands that ask all shards, and what comes behind waits', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    for (const shard of world.shards) shard.info = () => ({ slots: {} })
    const client = world.client()
    const requests = [['MULTI'], ['CRDT', 'DIGEST'], ['PING'], ['EXEC'], ['PING', 'after']]
    expect(client.raw(requests.map(encode).join(''))).toMatch(
      /^\+OK\r\n\+QUEUED\r\n\+QUEUED\r\n\*2\r\n\$16\r\n[0-9a-f]{16}\r\n\+PONG\r\n\$5\r\nafter\r\n$/,
    )
  })

  it('change the protocol for what comes behind', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const requests = [['MULTI'], ['HELLO', '3'], ['SET', 'a', '1'], ['EXEC'], ['GET', 'a']]
    expect(client.raw(requests.map(encode).join(''))).toMatch(/\*2\r\n%7\r\n.*\+OK\r\n\$1\r\n1\r\n$/s)
    expect(world.shard.seen.map(({ resp3 }) => resp3)).toEqual([false, true])
  })

  it('run nothing of the proxy when the shard refuses', () => {
    const world = new ProxyWorld()
    world.shard.answer = ({ kind }) => (kind === FrameKind.transaction ? '-CLOCKSKEW no\r\n' : undefined)
    const client = world.client()
    client.call('MULTI')
    client.call('CLIENT', 'SETNAME', 'x')
    client.call('SET', 'a', '1')
    expect(client.call('EXEC')).toBe('-CLOCKSKEW no\r\n')
    expect(client.call('CLIENT', 'GETNAME')).toBe('$-1\r\n')
  })

  it('refuse what Redis refuses', () => {
    const client = new ProxyWorld().client()
    expect(client.call('EXEC')).toBe('-ERR EXEC without MULTI\r\n')
    expect(client.call('DISCARD')).toBe('-ERR DISCARD without MULTI\r\n')
    client.call('MULTI')
    expect(client.call('MULTI')).toBe('-ERR MULTI calls can not be nested\r\n')
    expect(client.call('WATCH', 'a')).toBe('-ERR WATCH inside MULTI is not allowed\r\n')
    expect(client.call('EXEC')).toBe('*0\r\n')
    client.call('MULTI')
    expect(client.call('SET', 'a')).toBe("-ERR wrong number of arguments for 'set' command\r\n")
    expect(client.call('SET', 'a', '1')).toBe('+QUEUED\r\n')
    expect(client.call('EXEC')).toBe('-EXECABORT Transaction discarded because of previous errors.\r\n')
    expect(client.call('GET', 'a')).toBe('$-1\r\n')
    client.call('MULTI')
    expect(client.call('EXEC', 'x')).toBe(
      "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n",
    )
    expect(client.call('EXEC')).toBe('-ERR EXEC without MULTI\r\n')
    // Redis says so outside of MULTI, too.
    expect(client.call('EXEC', 'x')).toContain('-EXECABORT')
  })

  it('stay in one slot', () => {
    const client = new ProxyWorld().client()
    client.call('MULTI')
    client.call('SET', 'a', '1')
    expect(client.call('SET', 'b', '1')).toBe("-CROSSSLOT Keys in request don't hash to the same slot\r\n")
    expect(client.call('EXEC')).toContain('-EXECABORT')
    client.call('MULTI')
    expect(client.call('MGET', 'a', 'b')).toContain('-CROSSSLOT')
    client.call('DISCARD')
    client.call('WATCH', 'a')
    client.call('MULTI')
    expect(client.call('SET', 'b', '1')).toContain('-CROSSSLOT')
    expect(client.call('DISCARD')).toBe('+OK\r\n')
  })

  it('may span slots without sharding', () => {
    const client = new ProxyWorld({ database: { sharding: false } }).client()
    client.call('WATCH', 'a', 'b')
    expect(client.call('WATCH', 'c')).toBe('+OK\r\n')
    client.call('MULTI')
    client.call('SET', 'd', '1')
    expect(client.call('MGET', 'd', 'e')).toBe('+QUEUED\r\n')
    expect(client.call('EXEC')).toBe('*2\r\n+OK\r\n*2\r\n$1\r\n1\r\n$-1\r\n')
  })

  it('take commands of all shards only when there is one', () => {
    const one = new ProxyWorld().client()
    one.call('MULTI')
    one.call('SET', 'a', '1')
    expect(one.call('DBSIZE')).toBe('+QUEUED\r\n')
    expect(one.call('EXEC')).toBe('*2\r\n+OK\r\n:1\r\n')
    const two = new ProxyWorld({ shardCount: 2 }).client()
    two.call('MULTI')
    expect(two.call('DBSIZE')).toBe("-ERR DBSIZE concerns all shards and can't be part of a transaction\r\n")
    expect(two.call('EXEC')).toContain('-EXECABORT')
  })

  it('DISCARD forgets the queue, RESET and QUIT do so at once', () => {
    const world = new ProxyWorld()
    const client = world.client()
    client.call('MULTI')
    client.call('SET', 'a', '1')
    expect(client.call('DISCARD')).toBe('+OK\r\n')
    client.call('MULTI')
    client.call('SET', 'a', '1')
    expect(client.call('RESET')).toBe('+RESET\r\n')
    expect(client.call('EXEC')).toBe('-ERR EXEC without MULTI\r\n')
    client.call('MULTI')
    client.call('SET', 'a', '1')
    expect(client.call('QUIT')).toBe('+OK\r\n')
    expect(client.isClosed).toBe(true)
    expect(world.client().call('GET', 'a')).toBe('$-1\r\n')
  })

  it('are told apart from an unknown outcome when the shard dies before and after', () => {
    const world = new ProxyWorld()
    const client = world.client()
    client.call('MULTI')
    client.call('SET', 'a', '1')
    world.shard.kill()
    world.world.settle()
    expect(client.call('EXEC')).toContain('was not executed')
  })
})

describe('WATCH', () => {
  it('makes EXEC void when a key was touched', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const other = world.client()
    expect(client.call('WATCH', 'a')).toBe('+OK\r\n')
    client.call('MULTI')
    client.call('SET', 'a', '1')
    other.call('SET', 'a', '2')
    expect(client.call('EXEC')).toBe('*-1\r\n')
    client.call('MULTI')
    client.call('SET', 'a', '1')
    expect(client.call('EXEC')).toBe('*1\r\n+OK\r\n')
  })

  it('counts for a transaction without commands, and for one of the proxy alone', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const other = world.client()
    client.call('WATCH', 'a')
    client.call('MULTI')
    expect(client.call('EXEC')).toBe('*0\r\n')
    client.call('WATCH', 'a')
    other.call('INCR', 'a')
    client.call('MULTI')
    client.call('CLIENT', 'SETNAME', 'x')
    expect(client.call('EXEC')).toBe('*-1\r\n')
    expect(client.call('CLIENT', 'GETNAME')).toBe('$-1\r\n')
  })

  it('takes keys of one slot', () => {
    const client = new ProxyWorld().client()
    expect(client.call('WATCH', 'a', 'b')).toContain('-CROSSSLOT')
    expect(client.call('WATCH', 'a', '{a}b')).toBe('+OK\r\n')
    expect(client.call('WATCH', 'b')).toContain('-CROSSSLOT')
    expect(client.call('UNWATCH')).toBe('+OK\r\n')
    expect(client.call('WATCH', 'b')).toBe('+OK\r\n')
  })

  it('is given up by UNWATCH, DISCARD, a failed EXEC, and the end of the connection', () => {
    const world = new ProxyWorld()
    const client = world.client()
    client.call('WATCH', 'a')
    client.call('UNWATCH')
    expect(world.shard.unwatched.length).toBe(1)
    client.call('UNWATCH')
    expect(world.shard.unwatched.length).toBe(1)
    client.call('WATCH', 'a')
    client.call('MULTI')
    client.call('DISCARD')
    expect(world.shard.unwatched.length).toBe(2)
    client.call('WATCH', 'a')
    client.call('MULTI')
    client.call('FOO')
    client.call('EXEC')
    expect(world.shard.unwatched.length).toBe(3)
    client.call('WATCH', 'a')
    client.connection.close()
    world.world.settle()
    expect(world.shard.unwatched.length).toBe(4)
  })

  it('makes EXEC void when the shard has restarted', () => {
    const world = new ProxyWorld()
    const client = world.client()
    client.call('WATCH', 'a')
    world.shard.kill()
    world.world.settle()
    world.shard.isDown = false
    world.world.advance(1_000)
    client.call('MULTI')
    client.call('SET', 'a', '1')
    expect(client.call('EXEC')).toBe('*-1\r\n')
  })
})
