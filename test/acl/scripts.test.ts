/**
 * What scripts may call, by users who may not do everything: random users and random calls, reply by reply beside redis-server, and
 * what a shard is told of users. `CALLS=100000 npx vitest run test/acl/scripts.test.ts` looks at more than `npm test` does.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FrameKind } from '#protocol/frames/frame.ts'
import { jsonFrame } from '#protocol/frames/hello.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'
import { denialsMax } from '#server/scriptUser.ts'
import { SocketSide } from '#test/compat/side.ts'
import { BlockingWorld } from '#test/proxy/blockingWorld.ts'
import type { TestClient } from '#test/proxy/proxyWorld.ts'
import { RealRedis } from '#test/realRedis.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { frameBytes, requestText, sessionText } from '#test/shard/proxySide.ts'
import { TestShard } from '#test/shard/testShard.ts'
import { isStricter, randomRequest, randomRules } from './randomAccess.ts'

const calls = Number(process.env['CALLS'] ?? 3_000)
/** ACL LOG joins what is not further apart. */
const callsPerUser = 10

const redis: { server?: RealRedis; admin?: SocketSide; client?: SocketSide } = {}
beforeAll(async () => {
  redis.server = await RealRedis.start()
  const path = redis.server.socketPath
  redis.admin = await SocketSide.connect({ path })
  redis.client = await SocketSide.connect({ path })
})
afterAll(async () => {
  for (const side of [redis.admin, redis.client]) side?.close()
  await redis.server?.stop()
})

async function ask(who: 'admin' | 'client', ...request: readonly string[]): Promise<string> {
  const [reply = new Uint8Array(0)] = (await redis[who]?.send([request])) ?? []
  return latin1(reply)
}

/** Whether it may be called, and what happens when it is: only what is denied is compared, as what is run differs. */
const script = `
  local ok, allowed = pcall(redis.acl_check_cmd, unpack(ARGV))
  local reply = redis.pcall(unpack(ARGV))
  local denied = type(reply) == 'table' and reply.err and string.find(reply.err, 'The user executing', 1, true)
  return {tostring(ok), tostring(allowed), denied and reply.err or 'not denied'}`

const shardless = { database: { sharding: false } }

/** Count, reason, context, object and user of the entries of ACL LOG in RESP2, newest first. */
function entriesOf(log: string): string[] {
  const texts = log.split('\r\n').filter((line) => !line.startsWith('$') && !line.startsWith('*'))
  const fields = ['count', 'reason', 'context', 'object', 'username'] as const
  const starts = texts.flatMap((text, i) => (text === 'count' && texts[i + 2] === 'reason' ? [i] : []))
  return starts.map((start) =>
    fields.map((_, field) => texts[start + 1 + 2 * field]?.replace(/^:/, '')).join(' '),
  )
}

describe('random users', () => {
  it('are denied in scripts what redis-server denies', { timeout: 300_000 }, async () => {
    const random = new SeededRandom(seedFromEnv())
    const world = new BlockingWorld({ workerCount: 1, ...shardless }, shardless)
    const [admin, client] = [world.client(), world.client()]
    const differences: unknown[] = []
    let denied = 0
    for (let seen = 0; seen < calls; seen += callsPerUser) {
      const rules = [...randomRules(random).filter((rule) => !rule.startsWith('(')), '+eval', '+auth']
      for (const rule of ['reset', 'on', 'nopass', ...rules, 'on', 'nopass']) {
        const ours = admin.call('ACL', 'SETUSER', 'someone', rule)
        expect({ rule, ours }).toEqual({ rule, ours: await ask('admin', 'ACL', 'SETUSER', 'someone', rule) })
      }
      client.call('AUTH', 'someone', 'x')
      await ask('client', 'AUTH', 'someone', 'x')
      admin.call('ACL', 'LOG', 'RESET')
      await ask('admin', 'ACL', 'LOG', 'RESET')
      const before = differences.length
      let isSame = true
      for (let i = 0; i < callsPerUser; i++) {
        const request = randomRequest(random)
        const ours = client.call('EVAL', script, '0', ...request)
        const theirs = await ask('client', 'EVAL', script, '0', ...request)
        if (ours.includes('The user executing')) denied++
        if (ours === theirs) continue
        isSame = false
        const { rules } = world.proxies[0]?.users.find('someone') ?? {}
        if (!isStricter(request)) differences.push({ rules, request, ours, theirs })
      }
      if (isSame && differences.length === before)
        expect(entriesOf(admin.call('ACL', 'LOG', '5'))).toEqual(
          entriesOf(await ask('admin', 'ACL', 'LOG', '5')),
        )
    }
    expect(differences).toEqual([])
    console.log(`${((100 * denied) / calls).toFixed(1)} % of ${calls} calls denied`)
    expect(denied / calls).toBeGreaterThan(0.1)
    expect(denied / calls).toBeLessThan(0.9)
  })
})

describe('a user who may not do everything', () => {
  function logged(...rules: string[]): { world: BlockingWorld; admin: TestClient; client: TestClient } {
    const world = new BlockingWorld()
    const [admin, client] = [world.client(0), world.client(1)]
    admin.call('ACL', 'SETUSER', 'some', 'reset', 'on', 'nopass', ...rules)
    client.call('AUTH', 'some', 'x')
    return { world, admin, client }
  }
  const key = "-ERR The user executing the script can't access at least one of the keys"

  it('runs scripts on the keys that it may use, named or not', () => {
    const { client } = logged('~a*', '+@all')
    expect(client.call('EVAL', "return redis.call('set', KEYS[1], 1)", '1', 'a')).toBe('+OK\r\n')
    expect(client.call('EVAL', "return redis.call('set', KEYS[1], 1)", '1', 'b')).toMatch(
      '-NOPERM this user has no permissions to access one of the keys',
    )
    expect(client.call('EVAL', "return redis.call('get', 'b')", '0')).toMatch(key)
    expect(client.call('EVAL', "return redis.call('publish', 'c', 'x')", '0')).toMatch(
      "-ERR The user executing the script can't publish to the channel mentioned in the command",
    )
    expect(client.call('EVAL', "return redis.call('sort', 'a', 'by', 'b*')", '0')).toMatch(
      '-ERR BY option of SORT denied',
    )
    expect(client.call('EVAL', "return redis.call('ping')", '0')).toBe('+PONG\r\n')
  })

  it('is judged by the rules that it has when the script is sent', () => {
    const { admin, client } = logged('~a*', '+@all')
    const reads = ['EVAL', "return redis.call('get', 'a')", '0'] as const
    expect(client.call(...reads)).toBe('$-1\r\n')
    admin.call('ACL', 'SETUSER', 'some', '-get')
    expect(client.call(...reads)).toMatch("-ERR The user executing the script can't run this command")
    admin.call('ACL', 'SETUSER', 'some', '+get', 'resetkeys', '~b')
    expect(client.call(...reads)).toMatch(key)
    admin.call('ACL', 'SETUSER', 'some', '~*', '&*')
    expect(client.call(...reads)).toBe('$-1\r\n')
  })

  it('is judged in transactions, too, by the rules that hold at EXEC', () => {
    const { admin, client } = logged('~a*', '+@all')
    const script = ['EVAL', "return redis.pcall('incr', 'b')", '0'] as const
    for (const request of [['MULTI'], ['INCR', 'b0{a}'], script]) client.call(...request)
    client.call('DISCARD')
    client.call('MULTI')
    client.call(...script)
    expect(client.call('EXEC')).toMatch(/^\*1\r\n-ERR The user executing/)
    client.call('MULTI')
    client.call(...script)
    admin.call('ACL', 'SETUSER', 'some', '~b')
    expect(client.call('EXEC')).toBe('*1\r\n:1\r\n')
  })

  it('does not lend its rules to others, whatever comes in one turn', () => {
    const { world, client } = logged('~a*', '+@all')
    const other = world.client(1)
    const reads = ['EVAL', "return redis.call('get', 'b')", '0'] as const
    for (let round = 0; round < 3; round++) {
      for (const one of [client, other, client, other]) one.write(requestText(reads))
      world.world.settle()
      expect(client.read()).toMatch(/^-ERR The user.*\r\n-ERR The user/)
      expect(other.read()).toBe('$-1\r\n$-1\r\n')
    }
  })

  it('is known to a shard that was started again', () => {
    const { world, client } = logged('~a*', '+@all')
    const reads = ['EVAL', "return redis.call('get', 'b')", '0'] as const
    expect(client.call(...reads)).toMatch(key)
    world.restart(0)
    expect(client.call(...reads)).toMatch(key)
  })

  it('has what it was denied in ACL LOG, at every worker', () => {
    const { admin, client } = logged('~a*', '+@all')
    client.call('EVAL', "for i = 1, 3 do redis.pcall('get', 'b') end redis.pcall('get', 'c')", '0')
    const [last, first] = entriesOf(admin.call('ACL', 'LOG'))
    expect(first).toBe('3 key lua b some')
    expect(last).toBe('1 key lua c some')
    expect(admin.call('ACL', 'LOG')).toMatch('cmd=eval')
  })
})

describe('a shard', () => {
  const actFor = (user: number, session: number) =>
    frameBytes(FrameKind.actFor, user, 0, 0, sessionText(session))

  it('tells of so many different denials of one script', () => {
    const shard = new TestShard()
    const { proxy } = shard
    proxy.connection.write(jsonFrame(FrameKind.user, 7, { name: 'u', rules: ['+@all', '~a'] }))
    proxy.connection.write(actFor(7, 9))
    shard.run('EVAL', "for i = 1, 1000 do redis.pcall('get', i) end", '0')
    expect(proxy.denied).toHaveLength(1)
    expect(proxy.denied[0]).toMatchObject({ session: 9, user: 'u' })
    expect(proxy.denied[0]?.denials).toHaveLength(denialsMax)
  })

  it.each([
    ['whom it was not told of', () => actFor(1, 1)],
    ['whose rules are none', () => jsonFrame(FrameKind.user, 1, { name: 'u', rules: ['+nonsense'] })],
    ['who has no rules', () => jsonFrame(FrameKind.user, 1, { name: 'u' })],
  ])('ends a link on which it is asked to act for a user %s', (_, frame) => {
    const { proxy, world } = new TestShard()
    proxy.connection.write(frame())
    world.settle()
    expect(proxy.closed).toBe(true)
  })
})
