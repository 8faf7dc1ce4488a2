/** CLIENT and its subcommands. */
import { describe, expect, it } from 'vitest'
import { encode, ProxyWorld, type TestClient } from './proxyWorld.ts'

const idOf = (client: TestClient): string => client.call('CLIENT', 'ID').slice(1, -2)

describe('CLIENT', () => {
  it('ID, GETNAME, SETNAME', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const other = world.client()
    expect(Number(idOf(other))).toBeGreaterThan(Number(idOf(client)))
    expect(client.call('CLIENT', 'GETNAME')).toBe('$-1\r\n')
    expect(client.call('CLIENT', 'SETNAME', 'me')).toBe('+OK\r\n')
    expect(client.call('CLIENT', 'GETNAME')).toBe('$2\r\nme\r\n')
    expect(client.call('CLIENT', 'SETNAME', 'a b')).toBe(
      '-ERR Client names cannot contain spaces, newlines or special characters.\r\n',
    )
    expect(client.call('CLIENT', 'SETNAME', '')).toBe('+OK\r\n')
    expect(client.call('CLIENT', 'GETNAME')).toBe('$-1\r\n')
  })

  it('ids of the workers of one port differ', () => {
    const ids = [0, 1, 2].map((worker) => {
      const world = new ProxyWorld({ worker, workerCount: 3 })
      return [idOf(world.client()), idOf(world.client())]
    })
    expect(ids).toEqual([
      ['1', '4'],
      ['2', '5'],
      ['3', '6'],
    ])
  })

  it('SETINFO takes the library and checks it', () => {
    const client = new ProxyWorld().client()
    expect(client.call('CLIENT', 'SETINFO', 'LIB-NAME', 'lib(x)')).toBe('+OK\r\n')
    expect(client.call('CLIENT', 'SETINFO', 'lib-ver', '1.2')).toBe('+OK\r\n')
    expect(client.call('CLIENT', 'SETINFO', 'lib-ver', '1 2')).toBe(
      '-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n',
    )
    expect(client.call('CLIENT', 'SETINFO', 'x', '1')).toBe("-ERR Unrecognized option 'x'\r\n")
    expect(client.call('CLIENT', 'INFO')).toContain(' lib-name=lib(x) lib-ver=1.2\n')
  })

  it('INFO and LIST have the fields of Redis 7.2', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.client().call('CLIENT', 'SETNAME', 'other')
    world.world.advance(3_000)
    const line = client.call('CLIENT', 'INFO').split('\r\n')[1] ?? ''
    expect(line.trimEnd().replace(/(addr)=\S+/g, '$1=?')).toBe(
      'id=1 addr=? laddr=? fd=-1 name= age=3 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=client|info user=default redir=-1 resp=2 lib-name= lib-ver=',
    )
    const list = client.call('CLIENT', 'LIST')
    expect(list.match(/^id=/gm)?.length ?? list.match(/\nid=/g)?.length).toBe(2)
    expect(list).toContain('name=other')
    client.call('HELLO', '3')
    expect(client.call('CLIENT', 'LIST')).toMatch(/^=\d+\r\ntxt:id=1 /)
  })

  it('LIST filters by TYPE and ID', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.client()
    const count = (...filter: string[]): number =>
      client.call('CLIENT', 'LIST', ...filter).match(/id=\d+ addr/g)?.length ?? 0
    expect(count('TYPE', 'normal')).toBe(2)
    expect(count('TYPE', 'replica')).toBe(0)
    expect(count('ID', '1')).toBe(1)
    expect(count('ID', '2', '1', '99', '1')).toBe(2)
    expect(client.call('CLIENT', 'LIST', 'TYPE', 'x')).toBe("-ERR Unknown client type 'x'\r\n")
    expect(client.call('CLIENT', 'LIST', 'ID', 'x')).toBe('-ERR Invalid client ID\r\n')
    for (const filter of [['TYPE'], ['ID'], ['FOO'], ['TYPE', 'normal', 'x']]) {
      expect(client.call('CLIENT', 'LIST', ...filter)).toBe('-ERR syntax error\r\n')
    }
  })

  it('flags show transactions, eviction and touching', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const watcher = world.client()
    client.call('CLIENT', 'NO-EVICT', 'on')
    expect(client.call('CLIENT', 'NO-TOUCH', 'ON')).toBe('+OK\r\n')
    client.call('MULTI')
    client.call('GET', 'a')
    expect(watcher.call('CLIENT', 'LIST', 'ID', '1')).toContain(
      ' flags=xeT db=0 sub=0 psub=0 ssub=0 multi=1 ',
    )
    client.call('EXEC')
    client.call('GET', 'a')
    expect(world.shard.seen.at(-1)?.noTouch).toBe(true)
    client.call('CLIENT', 'NO-TOUCH', 'off')
    client.call('GET', 'a')
    expect(world.shard.seen.at(-1)?.noTouch).toBe(false)
    expect(client.call('CLIENT', 'NO-EVICT', 'x')).toBe('-ERR syntax error\r\n')
  })
})

describe('CLIENT KILL', () => {
  it('by address, the old way', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const other = world.client()
    expect(client.call('CLIENT', 'KILL', other.remoteAddress)).toBe('+OK\r\n')
    expect(other.isClosed).toBe(true)
    expect(client.call('CLIENT', 'KILL', other.remoteAddress)).toBe('-ERR No such client\r\n')
    expect(client.call('CLIENT', 'KILL', client.remoteAddress)).toBe('+OK\r\n')
    expect(client.isClosed).toBe(true)
  })

  it('by filters', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const kill = (...filter: string[]): string => client.call('CLIENT', 'KILL', ...filter)
    expect(kill('ID', idOf(world.client()))).toBe(':1\r\n')
    expect(kill('ID', '999')).toBe(':0\r\n')
    expect(kill('ADDR', world.client().remoteAddress)).toBe(':1\r\n')
    world.client()
    expect(kill('LADDR', '127.0.0.1:1')).toBe(':0\r\n')
    expect(kill('LADDR', '127.0.0.1:12000')).toBe(':1\r\n')
    world.client()
    expect(kill('TYPE', 'pubsub')).toBe(':0\r\n')
    expect(kill('TYPE', 'normal', 'USER', 'default')).toBe(':1\r\n')
    world.client()
    world.world.advance(5_000)
    world.client()
    expect(kill('MAXAGE', '3', 'SKIPME', 'yes')).toBe(':1\r\n')
    expect(kill('ID', idOf(client))).toBe(':0\r\n')
    expect(kill('SKIPME', 'no')).toBe(':2\r\n')
    expect(client.isClosed).toBe(true)
  })

  it('refuses what Redis refuses', () => {
    const client = new ProxyWorld().client()
    const kill = (...filter: string[]): string => client.call('CLIENT', 'KILL', ...filter)
    expect(kill('ID', '0')).toBe('-ERR client-id should be greater than 0\r\n')
    expect(kill('ID', 'x')).toBe('-ERR client-id should be greater than 0\r\n')
    expect(kill('TYPE', 'x')).toBe("-ERR Unknown client type 'x'\r\n")
    expect(kill('USER', 'bob')).toBe("-ERR No such user 'bob'\r\n")
    expect(kill('MAXAGE', '0')).toBe('-ERR maxage should be greater than 0\r\n')
    expect(kill('SKIPME', 'maybe')).toBe('-ERR syntax error\r\n')
    expect(kill('FOO', 'x')).toBe('-ERR syntax error\r\n')
    expect(kill('ID', '1', 'ADDR')).toBe('-ERR syntax error\r\n')
  })

  it('ends a client with requests under way, and their replies go nowhere', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const other = world.client()
    world.shard.isHolding = true
    other.write(encode(['GET', 'a']))
    other.read()
    expect(client.call('CLIENT', 'KILL', 'ID', '2')).toBe(':1\r\n')
    world.shard.release()
    expect(client.call('GET', 'a')).toBe('$-1\r\n')
    expect(other.isClosed).toBe(true)
  })
})

describe('CLIENT REPLY', () => {
  it('OFF silences everything until ON', () => {
    const client = new ProxyWorld().client()
    const silent = [
      ['CLIENT', 'REPLY', 'OFF'],
      ['SET', 'a', '1'],
      ['PING'],
      ['FOO'],
      ['CLIENT', 'REPLY', 'SKIP'],
    ]
    expect(client.raw(silent.map(encode).join(''))).toBe('')
    expect(client.raw(`${encode(['CLIENT', 'REPLY', 'ON'])}${encode(['GET', 'a'])}`)).toBe(
      '+OK\r\n$1\r\n1\r\n',
    )
  })

  it('SKIP silences itself and the next command', () => {
    const client = new ProxyWorld().client()
    const requests = [
      ['CLIENT', 'REPLY', 'SKIP'],
      ['SET', 'a', '1'],
      ['GET', 'a'],
      ['CLIENT', 'REPLY', 'SKIP'],
      ['CLIENT', 'REPLY', 'SKIP'],
      ['PING'],
      ['PING'],
    ]
    expect(client.raw(requests.map(encode).join(''))).toBe('$1\r\n1\r\n+PONG\r\n')
    expect(client.call('CLIENT', 'REPLY', 'x')).toBe('-ERR syntax error\r\n')
  })

  it('keeps the order when shards answer late', () => {
    const world = new ProxyWorld({ shardCount: 2 })
    const client = world.client()
    for (const shard of world.shards) shard.isHolding = true
    const requests = [
      ['GET', 'a'],
      ['CLIENT', 'REPLY', 'SKIP'],
      ['GET', 'b'],
      ['SET', 'b', '1'],
      ['GET', 'b'],
    ]
    client.write(requests.map(encode).join(''))
    client.read()
    world.shards[0]?.release()
    expect(client.read()).toBe('')
    world.shards[1]?.release()
    expect(client.read()).toBe('$-1\r\n+OK\r\n$1\r\n1\r\n')
  })
})

describe('CLIENT PAUSE', () => {
  it('ALL holds every command until it is over, in order', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const other = world.client()
    expect(client.call('CLIENT', 'PAUSE', '1000')).toBe('+OK\r\n')
    expect(other.raw('PING\r\nGET a\r\n')).toBe('')
    expect(other.raw('PING 2\r\n')).toBe('')
    world.world.advance(999)
    expect(other.read()).toBe('')
    world.world.advance(1)
    expect(other.read()).toBe('+PONG\r\n$-1\r\n$1\r\n2\r\n')
  })

  it('WRITE holds writes only, and UNPAUSE ends it', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const other = world.client()
    client.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    expect(other.call('GET', 'a')).toBe('$-1\r\n')
    expect(other.call('SET', 'a', '1')).toBe('')
    expect(client.call('CLIENT', 'UNPAUSE')).toBe('+OK\r\n')
    expect(other.read()).toBe('+OK\r\n')
  })

  it('WRITE holds an EXEC that writes', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const other = world.client()
    other.call('MULTI')
    other.call('SET', 'a', '1')
    client.call('CLIENT', 'PAUSE', '100000', 'WRITE')
    expect(other.call('EXEC')).toBe('')
    client.call('MULTI')
    client.call('GET', 'a')
    expect(client.call('EXEC')).toBe('*1\r\n$-1\r\n')
    client.call('CLIENT', 'UNPAUSE')
    expect(other.read()).toBe('*1\r\n+OK\r\n')
  })

  it('is not shortened by another one', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const other = world.client()
    client.call('CLIENT', 'PAUSE', '1000', 'WRITE')
    client.call('CLIENT', 'PAUSE', '10', 'WRITE')
    other.write('SET a 1\r\n')
    world.world.advance(500)
    expect(other.read()).toBe('')
    world.world.advance(500)
    expect(other.read()).toBe('+OK\r\n')
  })

  it('refuses what Redis refuses', () => {
    const client = new ProxyWorld().client()
    expect(client.call('CLIENT', 'PAUSE', 'x')).toBe('-ERR timeout is not an integer or out of range\r\n')
    expect(client.call('CLIENT', 'PAUSE', '-1')).toBe('-ERR timeout is negative\r\n')
    expect(client.call('CLIENT', 'PAUSE', '1', 'x')).toBe('-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n')
    expect(client.call('CLIENT', 'PAUSE', '1', 'ALL', 'x')).toContain(
      '-ERR unknown subcommand or wrong number',
    )
  })
})
