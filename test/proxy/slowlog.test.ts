/** SLOWLOG over two workers and two shards: threshold 0 logs every request. */
import { describe, expect, it } from 'vitest'
import { cutArguments } from '#protocol/frames/slowlog.ts'
import { defaultRequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { BlockingWorld } from './blockingWorld.ts'
import { encode } from './proxyWorld.ts'

function logging(): BlockingWorld {
  const world = new BlockingWorld({ shardCount: 2, limits: { slowlogSlowerThanUs: 0, slowlogMax: 5 } })
  world.client().call('SLOWLOG', 'RESET')
  return world
}

/** The arguments of each entry, the latest first; SLOWLOG itself left out. */
function logged(world: BlockingWorld, worker = 0): string[][] {
  const reply = world.client(worker).call('SLOWLOG', 'GET', '-1')
  const entries = reply.matchAll(/\*6\r\n:(\d+)\r\n:\d+\r\n:\d+\r\n\*\d+\r\n((?:\$\d+\r\n[^\r]*\r\n)+)/g)
  return [...entries].map(([, , texts = '']) =>
    texts.split('\r\n').filter((line, i) => i % 2 === 1 && line !== ''),
  )
}

describe('SLOWLOG', () => {
  it('has the requests of all workers and shards, with who asked, the latest first', () => {
    const world = logging()
    const [one, two] = [world.client(0), world.client(1)]
    one.call('CLIENT', 'SETNAME', 'me')
    world.world.advance(2)
    one.call('SET', 'a', '1')
    world.world.advance(2)
    two.call('GET', 'b')
    for (const worker of [0, 1]) {
      const entries = logged(world, worker).filter(([name]) => name !== 'SLOWLOG')
      expect(entries[0]?.slice(0, 2)).toEqual(['GET', 'b'])
      expect(entries[1]).toEqual(['SET', 'a', '1', '127.0.0.1:50000', 'me'])
    }
  })

  it('has ids of its own for each entry, and no more entries than slowlog-max-len', () => {
    const world = logging()
    const clients = [world.client(0), world.client(1)]
    for (let i = 0; i < 10; i++) {
      clients[i % 2]?.call('SET', `key${i}`, '1')
      world.world.advance(2)
    }
    const reply = world.client().call('SLOWLOG', 'GET', '-1')
    const ids = [...reply.matchAll(/\*6\r\n:(\d+)/g)].map(([, id]) => id)
    expect(ids).toHaveLength(5)
    expect(new Set(ids).size).toBe(5)
    expect(world.client().call('SLOWLOG', 'LEN')).toBe(':5\r\n')
    expect(world.client().call('SLOWLOG', 'GET', '2')).toMatch(/^\*2\r\n/)
    expect(world.client().call('SLOWLOG', 'GET', '0')).toBe('*0\r\n')
  })

  it('tells of what a transaction runs, not of EXEC, and of no secret', () => {
    const world = logging()
    const client = world.client()
    for (const words of [['MULTI'], ['SET', 'a', '1'], ['EXEC'], ['AUTH', 'secret']]) client.call(...words)
    const names = logged(world).map(([name, argument]) => [name, argument])
    expect(names).toContainEqual(['SET', 'a'])
    expect(names).toContainEqual(['AUTH', '(redacted)'])
    expect(names.map(([name]) => name)).not.toContain('EXEC')
  })

  it('tells of each request of a pipeline', () => {
    const world = logging()
    world.client().raw(['a', 'b', 'c'].map((key) => encode(['GET', `{x}${key}`])).join(''))
    const keys = logged(world)
      .filter(([name]) => name === 'GET')
      .map(([, key]) => key)
    expect(keys).toEqual(['{x}c', '{x}b', '{x}a'])
  })

  it('is told by CONFIG SET from when on, at every worker', () => {
    const world = new BlockingWorld()
    const [one, two] = [world.client(0), world.client(1)]
    two.call('GET', 'before')
    expect(one.call('CONFIG', 'SET', 'slowlog-log-slower-than', '0')).toBe('+OK\r\n')
    two.call('GET', 'then')
    expect(one.call('CONFIG', 'SET', 'slowlog-log-slower-than', '-1')).toBe('+OK\r\n')
    two.call('GET', 'after')
    const keys = logged(world)
      .filter(([name]) => name === 'GET')
      .map(([, key]) => key)
    expect(keys).toEqual(['then'])
  })
})

describe('the arguments of an entry', () => {
  const cut = (words: readonly string[]): string[] => {
    const scanner = new RequestScanner(defaultRequestLimits)
    const bytes = bytesOf(encode(words))
    scanner.scan(bytes, 0, bytes.length)
    return cutArguments(scanner)
  }

  it('are at most 32 of at most 128 bytes, with the words of Redis for the rest', () => {
    expect(cut(['SET', 'x'.repeat(128), 'y'.repeat(130)])).toEqual([
      'SET',
      'x'.repeat(128),
      `${'y'.repeat(128)}... (2 more bytes)`,
    ])
    const words = ['MGET', ...Array.from({ length: 39 }, (_, i) => `k${i}`)]
    expect(cut(words.slice(0, 32))).toEqual(words.slice(0, 32))
    expect(cut(words)).toEqual([...words.slice(0, 31), '... (9 more arguments)'])
  })
})
