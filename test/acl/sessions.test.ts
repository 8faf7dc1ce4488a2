/** Logging in, being refused, and the commands about users: with several clients, reply by reply, beside redis-server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { SocketSide } from '#test/compat/side.ts'
import { BlockingWorld } from '#test/proxy/blockingWorld.ts'
import type { TestClient } from '#test/proxy/proxyWorld.ts'
import { RealRedis } from '#test/realRedis.ts'

/** Client, and what it sends. A client that is named first connects then. */
type Step = readonly [client: string, ...request: string[]]

const directory = mkdtempSync(join(tmpdir(), 'antipode-acl-'))
const aclPath = join(directory, 'users.acl')
const redis: { server?: RealRedis } = {}

beforeAll(async () => {
  writeFileSync(aclPath, '')
  redis.server = await RealRedis.start(['--aclfile', aclPath])
})
afterAll(async () => {
  await redis.server?.stop()
  rmSync(directory, { recursive: true, force: true })
})
afterEach(async () => {
  const names = (await redis.server?.request('ACL', 'USERS')) as string[]
  for (const name of names) if (name !== 'default') await redis.server?.request('ACL', 'DELUSER', name)
  // One that is set already is not set again.
  await redis.server?.request('CONFIG', 'SET', 'requirepass', '')
  await redis.server?.request('ACL', 'LOG', 'RESET')
  await redis.server?.request('FLUSHALL')
})

async function theirs(protocol: string, steps: readonly Step[]): Promise<string[]> {
  const path = redis.server?.socketPath ?? ''
  const clients = new Map<string, SocketSide>()
  const replies: string[] = []
  for (const [name, ...request] of steps) {
    const known = clients.get(name)
    const client = known ?? (await SocketSide.connect({ path }))
    clients.set(name, client)
    if (known === undefined) await client.send([['HELLO', protocol]])
    const [reply] = await client.send([request]).catch(() => [new Uint8Array(0)])
    replies.push(latin1(reply ?? new Uint8Array(0)))
  }
  for (const client of clients.values()) client.close()
  return replies
}

/** Clients are at either of two workers. */
function ours(protocol: string, steps: readonly Step[]): string[] {
  const world = new BlockingWorld()
  const clients = new Map<string, TestClient>()
  return steps.map(([name, ...request]) => {
    const known = clients.get(name)
    const client = known ?? world.client(clients.size % 2)
    clients.set(name, client)
    if (known === undefined) client.call('HELLO', protocol)
    return client.isClosed ? '' : client.call(...request)
  })
}

/** 7.2 shows the flag `sanitize-payload` of every user, 7.0 only of those it was given to. */
const usual = (reply: string): string =>
  reply
    .replace(/\$16\r\nsanitize-payload\r\n/, '')
    .replace(/\+sanitize-payload\r\n/, '')
    .replaceAll('sanitize-payload ', '')
    .replace(/^(\*\d+\r\n)?((?:%|\*)\d+\r\n\$5\r\nflags\r\n)[*~]\d+/, '$2')
    .replaceAll(/^\$\d+\r\nuser /gm, 'user ')

async function compareIn(protocol: string, steps: readonly Step[]): Promise<void> {
  const expected = await theirs(protocol, steps)
  const got = ours(protocol, steps)
  const table = (replies: readonly string[]) =>
    steps.map((step, i) => [step.join(' '), usual(replies[i] ?? '')])
  expect(table(got)).toEqual(table(expected))
}

describe.each(['2', '3'])('beside redis-server, RESP%s', (protocol) => {
  const compare = (steps: readonly Step[]): Promise<void> => compareIn(protocol, steps)
  const compareWith = (...requests: string[][]): Promise<void> =>
    compare(requests.map((request): Step => ['admin', ...request]))

  it('users are made, shown and deleted', async () => {
    await compareWith(
      ['ACL', 'SETUSER', 'alice', 'on', '>secret', '~a*', '%R~b*', '&c', '+@hash', '-hset'],
      ['ACL', 'GETUSER', 'alice'],
      ['ACL', 'SETUSER', 'alice', '(+set ~x)', '(%W~y', '+@all)', 'clearselectors', '(+mget ~z)'],
      ['ACL', 'LIST'],
      ['ACL', 'USERS'],
      ['ACL', 'SETUSER', 'alice', '(+get'],
      ['ACL', 'SETUSER', 'alice', 'on', 'nonsense'],
      ['ACL', 'SETUSER', 'alice', '+nonsense'],
      ['ACL', 'SETUSER', 'alice', '<wrong'],
      ['ACL', 'SETUSER', 'alice', '#wrong'],
      ['ACL', 'SETUSER', 'alice', '+config|get|x'],
      ['ACL', 'SETUSER', 'alice', 'allkeys', '~x'],
      ['ACL', 'SETUSER', 'alice', 'allchannels', '&x'],
      ['ACL', 'SETUSER', 'a b'],
      ['ACL', 'SETUSER', 'new'],
      ['ACL', 'GETUSER', 'nobody'],
      ['ACL', 'DELUSER', 'default', 'alice'],
      ['ACL', 'DELUSER', 'alice', 'nobody', 'alice'],
      ['ACL', 'USERS'],
      ['ACL', 'WHOAMI'],
      ['ACL', 'CAT'],
      ['ACL', 'CAT', 'nonsense'],
      ['ACL', 'CAT', 'a', 'b'],
      ['ACL', 'GENPASS', '0'],
      ['ACL', 'GENPASS', '4097'],
      ['ACL', 'GENPASS', 'x'],
      ['ACL', 'DRYRUN', 'nobody', 'get', 'a'],
      ['ACL', 'DRYRUN', 'new', 'nonsense'],
      ['ACL', 'DRYRUN', 'new', 'get'],
      ['ACL', 'DRYRUN', 'default', 'get', 'a'],
      ['ACL', 'LOG', 'x'],
      ['ACL', 'LOG', '-1'],
      ['ACL', 'LOG'],
      ['ACL', 'NONSENSE'],
      ['ACL'],
      ['ACL', 'HELP'],
    )
  })

  it('users log in, and are refused', async () => {
    await compare([
      [
        'admin',
        'ACL',
        'SETUSER',
        'alice',
        'on',
        '>secret',
        '~a*',
        '%R~b*',
        '+@all',
        '-@admin',
        '-set',
        '-client|id',
      ],
      ['c', 'AUTH', 'alice', 'wrong'],
      ['c', 'AUTH', 'nobody', 'secret'],
      ['c', 'AUTH', 'alice', 'secret'],
      ['c', 'ACL', 'WHOAMI'],
      ['c', 'GET', 'a1{t}'],
      ['c', 'GET', 'b1{t}'],
      ['c', 'GET', 'c1{t}'],
      ['c', 'APPEND', 'b1{t}', 'x'],
      ['c', 'SET', 'a1{t}', 'x'],
      ['c', 'MSET', 'a1{t}', '1', 'a2{t}', '2'],
      ['c', 'MSET', 'a1{t}', '1', 'b2{t}', '2'],
      ['c', 'MGET', 'a1{t}', 'b2{t}'],
      ['c', 'CLIENT', 'ID'],
      ['c', 'CLIENT', 'GETNAME'],
      ['c', 'ACL', 'LIST'],
      ['c', 'CONFIG', 'GET', 'maxmemory'],
      ['c', 'BITFIELD', 'b1{t}', 'GET', 'u8', '0'],
      ['c', 'BITFIELD', 'b1{t}', 'SET', 'u8', '0', '1'],
      ['c', 'SORT', 'b1{t}', 'STORE', 'c1{t}'],
      ['c', 'SORT', 'b1{t}', 'STORE', 'a9{t}'],
      ['c', 'SORT', 'a1x{t}', 'BY', 'w_*'],
      ['c', 'SORT', 'a1x{t}', 'BY', 'nosort', 'GET', '#'],
      ['c', 'GEORADIUS', 'b1{t}', '0', '0', '1', 'm', 'STORE', 'c1{t}'],
      ['c', 'XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 'c1{t}', '>'],
      ['c', 'RESET'],
      ['c', 'ACL', 'WHOAMI'],
      ['c', 'AUTH', 'secret'],
      ['admin', 'ACL', 'SETUSER', 'alice', 'off'],
      ['c', 'AUTH', 'alice', 'secret'],
    ])
  })

  it('a transaction is looked at when it is queued and when it runs', async () => {
    await compare([
      ['admin', 'ACL', 'SETUSER', 'alice', 'on', 'nopass', '~a*', '+@all'],
      ['c', 'AUTH', 'alice', 'x'],
      ['c', 'MULTI'],
      ['c', 'GET', 'b'],
      ['c', 'EXEC'],
      ['c', 'MULTI'],
      ['c', 'INCR', 'a1{t}'],
      ['c', 'ECHO', 'x'],
      ['c', 'GET', 'a2{t}'],
      ['c', 'PING'],
      ['c', 'INCR', 'a1{t}'],
      ['admin', 'ACL', 'SETUSER', 'alice', '-echo', 'resetkeys', '~a1{t}'],
      ['c', 'EXEC'],
      ['c', 'MULTI'],
      ['c', 'GET', 'a1{t}'],
      ['admin', 'ACL', 'SETUSER', 'alice', '-get'],
      ['c', 'EXEC'],
      ['c', 'MULTI'],
      ['c', 'ECHO', 'refused'],
      ['admin', 'ACL', 'SETUSER', 'alice', '+echo'],
      ['c', 'EXEC'],
      ['c', 'MULTI'],
      ['admin', 'ACL', 'SETUSER', 'alice', '-exec'],
      ['c', 'EXEC'],
    ])
  })

  it('what was denied is logged', async () => {
    const steps: Step[] = [
      ['admin', 'ACL', 'SETUSER', 'alice', 'on', '>secret', '~a*', '+@all', '-set', '-config|set'],
      ['c', 'AUTH', 'alice', 'wrong'],
      ['c', 'auth', 'alice', 'wrong'],
      ['c', 'HELLO', protocol, 'AUTH', 'alice', 'wrong'],
      ['c', 'AUTH', 'alice', 'secret'],
      ['c', 'GET', 'b'],
      ['c', 'SET', 'b', 'x'],
      ['c', 'GET', 'b'],
      ['c', 'MGET', 'a{b}', 'b'],
      ['c', 'CONFIG', 'SET', 'timeout', '0'],
      ['c', 'MULTI'],
      ['c', 'GET', 'b'],
      ['c', 'AUTH', 'alice', 'wrong'],
      ['c', 'DISCARD'],
      ['admin', 'ACL', 'LOG', '20'],
    ]
    const told = (log: string): string[] =>
      [
        ...log.matchAll(
          /count\r\n:(\d+)\r\n\$6\r\nreason\r\n\$\d+\r\n(\w+)\r\n\$7\r\ncontext\r\n\$\d+\r\n(\w+)\r\n\$6\r\nobject\r\n\$\d+\r\n(.*)\r\n\$8\r\nusername\r\n\$\d+\r\n(\w+)\r\n/g,
        ),
      ].map((match) => match.slice(1).join(' '))
    const expected = told((await theirs(protocol, steps)).at(-1) ?? '')
    expect(expected.length).toBeGreaterThan(5)
    expect(told(ours(protocol, steps).at(-1) ?? '')).toEqual(expected)
  })

  it('connections of a user that is deleted end, its own one behind the reply', async () => {
    await compare([
      ['admin', 'ACL', 'SETUSER', 'alice', 'on', 'nopass', 'allkeys', '+@all'],
      ['c', 'AUTH', 'alice', 'x'],
      ['d', 'AUTH', 'alice', 'x'],
      ['c', 'ACL', 'DELUSER', 'alice'],
      ['d', 'PING'],
      ['c', 'PING'],
      ['admin', 'PING'],
    ])
  })

  it('channels are allowed one by one, and who has subscribed to one that is not any more is disconnected', async () => {
    await compare([
      ['admin', 'ACL', 'SETUSER', 'all', 'on', 'nopass', 'allkeys', '+@all', 'resetchannels', '&news*'],
      ['admin', 'ACL', 'SETUSER', 'wide', 'on', 'nopass', '+@all', 'allchannels'],
      ['c', 'AUTH', 'all', 'x'],
      ['c', 'PUBLISH', 'news.de', 'x'],
      ['c', 'PUBLISH', 'other', 'x'],
      ['c', 'SPUBLISH', 'other', 'x'],
      ['c', 'SUBSCRIBE', 'other'],
      ['c', 'PSUBSCRIBE', 'news.*'],
      ['c', 'PSUBSCRIBE', 'news*'],
      ['d', 'AUTH', 'all', 'x'],
      ['d', 'SUBSCRIBE', 'news.de'],
      ['e', 'AUTH', 'wide', 'x'],
      ['e', 'SUBSCRIBE', 'anything'],
      ['e', 'PSUBSCRIBE', '*'],
      ['f', 'AUTH', 'all', 'x'],
      ['f', 'SSUBSCRIBE', 'news.de'],
      ['admin', 'ACL', 'SETUSER', 'all', '&news.de', '-get'],
      ['c', 'PING'],
      ['admin', 'ACL', 'SETUSER', 'all', 'resetchannels', '&news.d?'],
      ['c', 'PING'],
      ['d', 'PING'],
      ['f', 'PING'],
      ['e', 'PING'],
      ['admin', 'ACL', 'SETUSER', 'all', '(+@all ~* &*)', 'resetchannels'],
      ['d', 'PING'],
      ['admin', 'ACL', 'SETUSER', 'all', 'clearselectors'],
      ['d', 'PING'],
      ['f', 'PING'],
      ['e', 'PING'],
    ])
  })

  it('the default user can need a password, and can be off', async () => {
    await compare([
      ['old', 'PING'],
      ['admin', 'CONFIG', 'SET', 'requirepass', 'secret'],
      ['old', 'PING'],
      ['c', 'PING'],
      ['c', 'AUTH', 'wrong'],
      ['c', 'AUTH', 'secret'],
      ['c', 'PING'],
      ['admin', 'ACL', 'SETUSER', 'default', 'off', 'nopass'],
      ['d', 'PING'],
      ['d', 'AUTH', 'default', 'secret'],
      ['admin', 'ACL', 'SETUSER', 'default', 'on'],
      ['d', 'PING'],
      ['admin', 'CONFIG', 'SET', 'acl-pubsub-default', 'nonsense'],
      ['admin', 'CONFIG', 'SET', 'aclfile', 'x'],
      ['admin', 'CONFIG', 'GET', 'acl-pubsub-default'],
      ['admin', 'CONFIG', 'SET', 'acl-pubsub-default', 'allchannels'],
      ['admin', 'ACL', 'SETUSER', 'wide'],
      ['admin', 'ACL', 'GETUSER', 'wide'],
      ['admin', 'CONFIG', 'SET', 'acl-pubsub-default', 'resetchannels'],
      ['admin', 'CLIENT', 'KILL', 'USER', 'nobody'],
      ['admin', 'CLIENT', 'KILL', 'USER', 'wide'],
    ])
  })
})
