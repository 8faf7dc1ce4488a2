/** MONITOR at two workers with a shard that runs scripts. The lines are those of redis-server 7.0 for the same requests. */
import { describe, expect, it } from 'vitest'
import { BlockingWorld } from './blockingWorld.ts'
import { encode, type TestClient } from './proxyWorld.ts'

const from = '127.0.0.1:50000'
const ok = '+OK\r\n'

/** Without the times, each of which is checked. */
function linesOf(text: string): string[] {
  const lines = text.split('\r\n').filter((line) => line !== '')
  return lines.map((line) => {
    expect(line).toMatch(/^\+\d{10}\.\d{6} \[0 /)
    return line.slice(line.indexOf('['))
  })
}

const shown = (...words: string[]): string => `[0 ${from}] ${words.map((word) => `"${word}"`).join(' ')}`

function monitoring(world: BlockingWorld, worker = 0): TestClient {
  const monitor = world.client(worker)
  expect(monitor.call('MONITOR')).toBe(ok)
  return monitor
}

describe('a client that monitors', () => {
  it.each([0, 1])('is shown what a client of worker %i asks for, as it was sent', (worker) => {
    const world = new BlockingWorld()
    const monitor = monitoring(world)
    const client = world.client(worker)
    client.call('SET', 'a', '1')
    client.raw('get a\r\n')
    client.call('get', '\x00\n\xff\\"q\x07\b\t\r')
    client.raw(encode(['GET', 'a']) + encode(['PING']))
    expect(linesOf(monitor.read())).toEqual([
      shown('SET', 'a', '1'),
      shown('get', 'a'),
      shown('get', '\\x00\\n\\xff\\\\\\"q\\a\\b\\t\\r'),
      shown('GET', 'a'),
      shown('PING'),
    ])
  })

  it('is shown neither secrets, nor what administrators do, nor what is refused', () => {
    const world = new BlockingWorld()
    const monitor = monitoring(world, 1)
    const client = world.client()
    client.call('AUTH', 'foo')
    client.call('auth', 'u', 'p')
    client.call('HELLO', '3', 'AUTH', 'default', 'x', 'SETNAME', 'n')
    client.call('CONFIG', 'GET', 'save')
    client.call('ACL', 'SETUSER', 'u', '>secret')
    client.call('SLOWLOG', 'LEN')
    client.call('GET')
    client.call('NOSUCH')
    client.call('ACL', 'WHOAMI')
    expect(linesOf(monitor.read())).toEqual([
      shown('AUTH', '(redacted)'),
      shown('auth', '(redacted)', '(redacted)'),
      shown('HELLO', '3', 'AUTH', '(redacted)', '(redacted)', 'SETNAME', 'n'),
      shown('ACL', 'WHOAMI'),
    ])
  })

  it('is shown a transaction when it is run, and nothing of one that is not', () => {
    const world = new BlockingWorld()
    const monitor = monitoring(world)
    const [client, other] = [world.client(), world.client(1)]
    for (const words of [['MULTI'], ['set', 'b', '2'], ['ping'], ['config', 'get', 'save']])
      client.call(...words)
    expect(client.call('Exec')).toContain('+PONG')
    expect(linesOf(monitor.read())).toEqual([
      shown('MULTI'),
      shown('set', 'b', '2'),
      shown('ping'),
      shown('Exec'),
    ])
    client.call('WATCH', 'b')
    other.call('SET', 'b', '3')
    for (const words of [['MULTI'], ['GET', 'b'], ['EXEC']]) client.call(...words)
    for (const words of [['MULTI'], ['GET'], ['EXEC'], ['MULTI'], ['DISCARD']]) client.call(...words)
    expect(linesOf(monitor.read())).toEqual([
      shown('WATCH', 'b'),
      shown('SET', 'b', '3'),
      shown('MULTI'),
      shown('EXEC'),
      shown('MULTI'),
      shown('EXEC'),
      shown('MULTI'),
      shown('DISCARD'),
    ])
  })

  it('is shown what scripts call, behind the script', () => {
    const world = new BlockingWorld()
    const monitors = [monitoring(world, 0), monitoring(world, 1)]
    const script = "return redis.call('set', KEYS[1], 1)"
    world.client().call('EVAL', script, '1', 'kk')
    for (const monitor of monitors)
      expect(linesOf(monitor.read())).toEqual([shown('EVAL', script, '1', 'kk'), '[0 lua] "set" "kk" "1"'])
  })

  it('may not touch keys, and else do what it wants', () => {
    const world = new BlockingWorld()
    const monitor = monitoring(world)
    const refused = "-ERR Replica can't interact with the keyspace\r\n"
    for (const words of [
      ['GET', 'a'],
      ['SET', 'a', '1'],
      ['EVAL', 'return 1', '0'],
      ['PUBLISH', 'a', 'b'],
      ['DBSIZE'],
    ])
      expect(monitor.call(...words)).toBe(refused)
    expect(monitor.call('MONITOR')).toBe('')
    expect(monitor.call('PING')).toMatch(/^\+PONG\r\n\+\d+\.\d+ \[0 .*\] "PING"\r\n$/)
    expect(monitor.call('CLIENT', 'INFO')).toContain(' flags=O ')
  })

  it('is none any more after RESET, QUIT, or its end', () => {
    const world = new BlockingWorld()
    const [reset, quit, gone] = [monitoring(world), monitoring(world, 1), monitoring(world)]
    expect(reset.call('RESET')).toBe('+RESET\r\n')
    expect(quit.call('QUIT')).toMatch(/^(\+\d.*\r\n)*\+OK\r\n$/)
    gone.connection.destroy()
    world.world.settle()
    for (const proxy of world.proxies) expect(proxy.observation.monitors.isOn).toBe(false)
    expect(reset.call('GET', 'a')).toBe('$-1\r\n')
    world.client().call('EVAL', "return redis.call('get', 'a')", '0')
    expect(reset.read()).toBe('')
  })

  it('is not made one inside of a transaction', () => {
    const world = new BlockingWorld()
    const client = world.client()
    client.call('MULTI')
    client.call('MONITOR')
    expect(client.call('EXEC')).toBe("*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n")
  })

  it('is disconnected when it does not read, at monitor_output_bytes_max', () => {
    const world = new BlockingWorld({ limits: { monitorOutputBytesMax: 100_000 } })
    const [slow, fast] = [monitoring(world), monitoring(world)]
    slow.connection.pause()
    const client = world.client()
    for (let i = 0; i < 30; i++) {
      client.call('ECHO', 'x'.repeat(10_000))
      expect(fast.read().length).toBeGreaterThan(10_000)
    }
    expect(world.proxies[0]?.observation.monitors.count).toBe(1)
  })
})

describe('lines for another worker that hangs', () => {
  it('are lost beyond monitor_output_bytes_max, and no more than that is kept', () => {
    const world = new BlockingWorld({ limits: { monitorOutputBytesMax: 100_000 } })
    const monitor = monitoring(world, 1)
    const sibling = world.proxies[0]?.siblings
    expect(sibling?.monitorCount).toBe(1)
    // Written within one turn: nothing is taken before its end.
    for (let i = 0; i < 30; i++) sibling?.sendLines(`+${'x'.repeat(10_000)}\r\n`, 100_000)
    const { length } = monitor.read()
    expect(length).toBeGreaterThan(100_000)
    expect(length).toBeLessThan(130_000)
  })
})
