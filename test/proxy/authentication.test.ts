import { describe, expect, it } from 'vitest'
import { encode, ProxyWorld } from './proxyWorld.ts'

const secured = () => new ProxyWorld({ database: { password: 'secret' } })

describe('the default user', () => {
  it('needs its password when there is one', () => {
    const client = secured().client()
    expect(client.call('GET', 'a')).toBe('-NOAUTH Authentication required.\r\n')
    expect(client.call('PING')).toBe('-NOAUTH Authentication required.\r\n')
    expect(client.call('AUTH', 'wrong')).toBe(
      '-WRONGPASS invalid username-password pair or user is disabled.\r\n',
    )
    expect(client.call('AUTH', 'bob', 'secret')).toContain('-WRONGPASS')
    expect(client.call('AUTH', 'default', 'secret')).toBe('+OK\r\n')
    expect(client.call('GET', 'a')).toBe('$-1\r\n')
  })

  it('is told of unknown commands and arities before it is asked for a password, as by Redis', () => {
    const client = secured().client()
    expect(client.call('FOO')).toContain('-ERR unknown command')
    expect(client.call('GET')).toBe("-ERR wrong number of arguments for 'get' command\r\n")
  })

  it('may send only little before', () => {
    const many = secured().client()
    expect(many.raw('*11\r\n')).toBe('-ERR Protocol error: unauthenticated multibulk length\r\n')
    expect(many.isClosed).toBe(true)
    const long = secured().client()
    expect(long.raw('*2\r\n$4\r\nAUTH\r\n$16385\r\n')).toBe(
      '-ERR Protocol error: unauthenticated bulk length\r\n',
    )
    const known = secured().client()
    known.call('AUTH', 'secret')
    expect(known.call('SET', 'a', 'x'.repeat(20_000))).toBe('+OK\r\n')
  })

  it('can ask to quit, say hello, and start anew', () => {
    const client = secured().client()
    expect(client.call('HELLO', '3')).toContain('-NOAUTH HELLO must be called with the client already')
    expect(client.call('HELLO', '3', 'AUTH', 'default', 'secret', 'SETNAME', 'me')).toContain('%7\r\n')
    expect(client.call('CLIENT', 'GETNAME')).toBe('$2\r\nme\r\n')
    expect(client.call('RESET')).toBe('+RESET\r\n')
    expect(client.call('GET', 'a')).toContain('-NOAUTH')
    expect(client.call('QUIT')).toBe('+OK\r\n')
    expect(client.isClosed).toBe(true)
  })

  it('needs none when there is none', () => {
    const client = new ProxyWorld().client()
    expect(client.call('GET', 'a')).toBe('$-1\r\n')
    expect(client.call('AUTH', 'x')).toContain('-ERR AUTH <password> called without any password configured')
    expect(client.call('AUTH', 'default', 'anything')).toBe('+OK\r\n')
    expect(client.call('AUTH', 'bob', 'anything')).toContain('-WRONGPASS')
    expect(client.call('AUTH', 'a', 'b', 'c')).toBe('-ERR syntax error\r\n')
  })

  it('keeps its connections when the password changes, but new ones need the new one', () => {
    const world = new ProxyWorld()
    const before = world.client()
    world.proxy.reconfigure({
      ...world.config,
      database: { ...world.config.database, password: 'new' },
    })
    expect(before.call('GET', 'a')).toBe('$-1\r\n')
    expect(world.client().call('GET', 'a')).toContain('-NOAUTH')
  })

  it('gets a refused command into the way of a transaction', () => {
    const client = secured().client()
    client.call('AUTH', 'secret')
    client.call('MULTI')
    expect(client.call('GET')).toContain('-ERR wrong number')
    expect(client.call('EXEC')).toContain('-EXECABORT')
  })
})

describe('HELLO', () => {
  it('chooses the protocol, and the shard is told with each request', () => {
    const world = new ProxyWorld()
    const client = world.client()
    expect(client.call('HELLO', '2')).toMatch(/^\*14\r\n\$6\r\nserver\r\n\$5\r\nredis\r\n\$7\r\nversion\r\n/)
    client.call('GET', 'a')
    expect(client.call('HELLO', '3')).toContain(':3\r\n')
    client.call('GET', 'a')
    expect(world.shard.seen.map(({ resp3 }) => resp3)).toEqual([false, true])
    expect(client.call('HELLO')).toMatch(/^%7\r\n/)
  })

  it('refuses what Redis refuses', () => {
    const client = new ProxyWorld().client()
    expect(client.call('HELLO', '4')).toBe('-NOPROTO unsupported protocol version\r\n')
    expect(client.call('HELLO', 'x')).toBe('-ERR Protocol version is not an integer or out of range\r\n')
    expect(client.call('HELLO', '3', 'FOO')).toBe("-ERR Syntax error in HELLO option 'FOO'\r\n")
    expect(client.call('HELLO', '3', 'AUTH', 'x')).toBe("-ERR Syntax error in HELLO option 'AUTH'\r\n")
    expect(client.call('HELLO', '3', 'SETNAME', 'a b')).toContain('-ERR Client names cannot contain spaces')
    expect(client.call('HELLO', '3', 'AUTH', 'bob', 'x')).toContain('-WRONGPASS')
    expect(client.call('CLIENT', 'GETNAME')).toBe('$-1\r\n')
  })
})

describe('the connection commands', () => {
  it('PING, ECHO, SELECT', () => {
    const client = new ProxyWorld().client()
    expect(client.raw('PING\r\nping hi\r\n')).toBe('+PONG\r\n$2\r\nhi\r\n')
    expect(client.call('PING', 'a', 'b')).toBe("-ERR wrong number of arguments for 'ping' command\r\n")
    expect(client.call('ECHO', 'x\r\ny')).toBe('$4\r\nx\r\ny\r\n')
    expect(client.call('SELECT', '0')).toBe('+OK\r\n')
    expect(client.call('SELECT', '1')).toBe('-ERR DB index is out of range\r\n')
    expect(client.call('SELECT', 'x')).toBe('-ERR value is not an integer or out of range\r\n')
  })

  it('QUIT ends the connection behind its reply, and nothing after it runs', () => {
    const world = new ProxyWorld()
    const client = world.client()
    const requests = [['SET', 'a', '1'], ['QUIT'], ['SET', 'a', '2']]
    expect(client.raw(requests.map(encode).join(''))).toBe('+OK\r\n+OK\r\n')
    expect(client.isClosed).toBe(true)
    expect(world.client().call('GET', 'a')).toBe('$1\r\n1\r\n')
  })

  it('unknown commands and subcommands get the words of Redis', () => {
    const client = new ProxyWorld().client()
    expect(client.call('FOO', 'a', 'b')).toBe(
      "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' \r\n",
    )
    expect(client.call('CLIENT', 'FOO')).toBe("-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n")
    expect(client.call('CLIENT')).toBe("-ERR wrong number of arguments for 'client' command\r\n")
    expect(client.call('CONFIG', 'GET')).toBe("-ERR wrong number of arguments for 'config|get' command\r\n")
    expect(client.call('FOO', 'x'.repeat(100_000)).length).toBeLessThan(300)
  })

  it('TIME and COMMAND', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.world.advance(1_234)
    expect(client.call('TIME')).toBe('*2\r\n$10\r\n1767225601\r\n$6\r\n234000\r\n')
    expect(client.call('COMMAND', 'COUNT')).toMatch(/^:\d+\r\n$/)
    expect(client.call('COMMAND', 'GETKEYS', 'GET', 'a')).toBe('*1\r\n$1\r\na\r\n')
    expect(client.call('COMMAND', 'GETKEYSANDFLAGS', 'GET', 'a')).toBe(
      '*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n',
    )
    expect(client.call('COMMAND')).toMatch(/^\*\d+\r\n\*10\r\n/)
    expect(client.call('OBJECT', 'HELP')).toContain('+OBJECT <subcommand>')
  })
})
